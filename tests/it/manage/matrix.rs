//! Every operation of the management API by every kind of caller. The operations and what they need are those of
//! `/api/v1/openapi.json`, which another test compares with the code; what follows from a need is written here.
//!
//! A request names things that do not exist and has a body with an unknown field. So a caller who is allowed to make it
//! is told so (400, 404 and others), and nothing changes; a caller who is not is told that and nothing else.

use crate::PROGRAM;
use http::Method;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fmt::Write as _};
use testing::{
    managed::{ApiSession, Managed},
    people::{basic, htpasswd, password},
    session::Reply,
};

/// A method and a path with its variables filled in, and what it needs.
struct Request {
    method: Method,
    path: String,
    need: String,
    has_body: bool,
}

/// A repository that exists, which `reader` may pull and `proprietor` owns.
const REPOSITORY: &str = "existing/app";

/// The operations of the API, with names of things that do not exist.
async fn operations(registry: &Managed) -> Vec<Request> {
    let document = registry.nobody().get("/openapi.json").await.is(200).json();
    let mut requests = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            requests.push(request(&method.to_ascii_uppercase(), &format!("/api/v1{path}"), operation));
        }
    }
    let all = document["paths"].as_object().unwrap().values().flat_map(|methods| methods.as_object().unwrap().values());
    let all: Vec<_> = all.collect();
    for alias in document["x-aliases"].as_array().unwrap() {
        let operation = all.iter().find(|operation| operation["operationId"] == alias["operationId"]).unwrap();
        requests.push(request(alias["method"].as_str().unwrap(), alias["path"].as_str().unwrap(), operation));
    }
    requests
}

/// A request of an operation by one of its paths.
fn request(method: &str, path: &str, operation: &Value) -> Request {
    Request {
        method: Method::from_bytes(method.as_bytes()).unwrap(),
        path: filled(path),
        need: operation["x-need"].as_str().unwrap().to_owned(),
        has_body: operation.get("requestBody").is_some(),
    }
}

fn filled(path: &str) -> String {
    let value = |name: &str| match name {
        "id" => "01J0000000000000000000000A",
        "artifact" => "art-aaaaaaaaaaaaaaaaaaaaaaaaaa",
        "upload" | "uuid" => "3fa85f64-5717-4562-b3fc-2c963f66afa6",
        "sid" => "00112233445566778899aabbccddeeff",
        "key" => "0011223344556677",
        "index" => "7",
        "file" => "settings",
        "digest" => "sha256:0000000000000000000000000000000000000000000000000000000000000000",
        "repository" if path.contains("{namespace}") => "app",
        "namespace" if path.contains("{repository}") => "existing",
        "repository" => REPOSITORY,
        _ => "absent",
    };
    path.split(['{', '}']).enumerate().map(|(i, part)| if i % 2 == 0 { part } else { value(part) }).collect()
}

async fn send(caller: &ApiSession, request: &Request) -> Reply {
    let ask = caller.client.ask(request.method.clone(), &request.path);
    match request.has_body || request.method == Method::POST {
        true => {
            ask.header("content-type", "application/json").body(json!({ "no_such_field": 1 }).to_string()).send().await
        }
        false => ask.send().await,
    }
}

/// The permission of roles in a need, if it names one.
fn permission_in(need: &str) -> Option<&str> {
    need.split([' ', ',']).find(|word| is_permission(word))
}

/// Whether a need is a permission of roles.
fn is_permission(need: &str) -> bool {
    need.contains(':') && need.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b':')
}

/// A user's name that stands for a role.
fn role_name(prefix: &str, permission: &str) -> String {
    format!("{prefix}-{}", permission.to_ascii_lowercase().replace(':', "-"))
}

/// A registry with a user for each role that matters, and the permissions that some operation needs.
async fn registry_with_roles(settings: &str) -> (Managed, Vec<String>) {
    // The operations are the same under every configuration.
    let any = Managed::start(PROGRAM, |_| {});
    let operations = operations(&any).await;
    let permissions: BTreeSet<_> = operations.iter().filter_map(|request| permission_in(&request.need)).collect();
    let permissions: Vec<_> = permissions.into_iter().map(str::to_owned).collect();
    let words = any.user("alice").get("/permissions").await.is(200);
    let (verbs, resources) = (words.strings("verbs"), words.strings("resources"));
    let all: Vec<_> =
        verbs.iter().flat_map(|verb| resources.iter().map(move |what| format!("{verb}:{what}"))).collect();
    let mut users = vec!["admin".to_owned(), "alice".to_owned(), "reader".to_owned(), "proprietor".to_owned()];
    let (mut groups, mut roles) = (json!({}), json!({}));
    for permission in &permissions {
        let without: Vec<_> = all.iter().filter(|other| *other != permission && *other != "ADMIN:SYSTEM").collect();
        for (name, of_role) in
            [(role_name("only", permission), json!([permission])), (role_name("not", permission), json!(without))]
        {
            groups[&name] = json!({ "members": [name], "roles": [name] });
            roles[&name] = json!({ "permissions": of_role, "repositories": ["**"], "artifacts": ["**"] });
            users.push(name);
        }
    }
    let names: Vec<_> = users.iter().map(String::as_str).collect();
    let registry = Managed::start(PROGRAM, |files| {
        files.htpasswd = htpasswd(&names);
        files.settings = format!("[management]\nmax_writes_per_minute = 0\n{settings}");
        files.rules = json!({
            "adminUsers": ["admin"],
            "rules": [{ "repository": REPOSITORY, "users": ["reader"], "permissions": ["pull"] }],
            "groups": groups,
            "roles": roles,
        })
        .to_string();
    });
    (registry, permissions)
}

/// What a caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// Anything but that they may not.
    Allowed,
    /// Who are you?
    LogIn,
    /// No.
    Denied,
    /// There is no such repository.
    Absent,
}

fn told(reply: &Reply) -> Told {
    match reply.status.as_u16() {
        401 => Told::LogIn,
        403 => Told::Denied,
        404 if reply.code() == "NOT_FOUND" && reply.message().contains("visible") => Told::Absent,
        _ => Told::Allowed,
    }
}

/// What follows from a need for each kind of caller. `Absent` counts as allowed where the thing does not exist anyway.
fn expected(need: &str, user: Option<&str>) -> Vec<Told> {
    let allowed = vec![Told::Allowed, Told::Absent];
    let action = need.split(',').next().unwrap();
    let is_of_repository = matches!(action, "pull" | "push" | "delete" | "the repository's owner");
    // Both, where another need is one or the other.
    let needs_both = need.contains(", as the repository's owner");
    let only_admin = role_name("only", "ADMIN:SYSTEM");
    match (need, user) {
        ("nothing", _) => allowed,
        (need, _) if need.starts_with("nothing;") => allowed,
        // From this machine everybody sees the system.
        (need, _) if need.ends_with("from this machine") => allowed,
        ("to list repositories", Some(_)) => allowed,
        (_, None) => vec![Told::LogIn],
        (_, Some(user)) if user == "admin" || user == only_admin => allowed,
        ("a login" | "access to the registry", Some(_)) => allowed,
        (_, Some("reader")) if action == "pull" => allowed,
        // Whoever may pull knows that the repository exists.
        (_, Some("reader")) if is_of_repository => vec![Told::Denied],
        // These roles have every action, and all permissions but one.
        (_, Some(user)) if is_of_repository && user.starts_with("not-") => {
            let needs_permission = needs_both || action == "the repository's owner";
            let owns = !needs_permission || !permission_in(need).is_some_and(|of| has_lost(user, of));
            if owns { allowed } else { vec![Told::Denied] }
        }
        (_, Some(user)) if is_of_repository => {
            let has = permission_in(need).is_some_and(|permission| user == role_name("only", permission));
            if has && !needs_both { allowed } else { vec![Told::Absent] }
        }
        (need, Some(user)) if need.ends_with("in the artifact repository") => {
            let permission = permission_in(need).unwrap();
            // Whoever may do one of these sees that the repository exists.
            let sees = ["VIEW:REPO", "VIEW:ARTIFACT", "DOWNLOAD:ARTIFACT", "UPLOAD:ARTIFACT"];
            let is_seen = user.starts_with("not-") || sees.iter().any(|seen| user == role_name("only", seen));
            let has = user == role_name("only", permission)
                || (user.starts_with("not-") && !has_lost(user, permission))
                || (permission == "VIEW:REPO" && is_seen);
            match (has, is_seen) {
                (true, _) => allowed,
                (false, true) => vec![Told::Denied],
                (false, false) => vec![Told::Absent],
            }
        }
        (need, Some(user)) => {
            let permissions: Vec<_> = need.split([' ', ',']).filter(|word| is_permission(word)).collect();
            assert!(!permissions.is_empty(), "a new kind of need: {need}");
            // One of them is enough.
            let has = permissions.iter().any(|permission| {
                user == role_name("only", permission)
                    || (user.starts_with("not-") && *permission != "ADMIN:SYSTEM" && !has_lost(user, permission))
            });
            if has { allowed } else { vec![Told::Denied] }
        }
    }
}

/// Whether this user's role has every permission but this one.
fn has_lost(user: &str, permission: &str) -> bool {
    user == role_name("not", permission)
}

#[tokio::test]
async fn every_operation_is_open_to_those_it_is_for_and_to_nobody_else() {
    let (registry, permissions) = registry_with_roles("").await;
    registry.admin().client.push_image(REPOSITORY, "v1", "x").await;
    // Those who may delete it find that they cannot.
    let immutable = json!({ "immutable_tags": ".*" });
    registry.admin().patch(&format!("/repositories/{REPOSITORY}"), &immutable).await.is(200);
    let mut callers: Vec<(Option<String>, ApiSession)> = vec![(None, registry.nobody())];
    let named = ["admin", "alice", "reader"].map(str::to_owned).into_iter();
    let of_roles =
        permissions.iter().flat_map(|permission| ["only", "not"].map(|prefix| role_name(prefix, permission)));
    callers.extend(named.chain(of_roles).map(|user| (Some(user.clone()), registry.user(&user))));
    let (operations, mut wrong, mut cells) = (operations(&registry).await, String::new(), 0);
    for request in &operations {
        for (user, caller) in &callers {
            let reply = send(caller, request).await;
            let (told, expected) = (told(&reply), expected(&request.need, user.as_deref()));
            cells += 1;
            if !expected.contains(&told) || reply.status.is_server_error() {
                let Request { method, path, need, .. } = request;
                writeln!(wrong, "{method} {path} ({need}) by {user:?}: {} {told:?}, not {expected:?}", reply.status)
                    .unwrap();
            }
        }
        let impostor = send(&registry.caller(Some(password("admin", "guessed"))), request).await;
        if impostor.status != 401 && request.need != "nothing" {
            writeln!(wrong, "{} {} with a wrong password: {}", request.method, request.path, impostor.status).unwrap();
        }
    }
    println!("{cells} cells of {} operations", operations.len());
    assert!(wrong.is_empty(), "{wrong}");
    assert!(cells >= 8 * operations.len() && operations.len() > 10, "only {cells} cells");
    // None of this changed anything.
    assert_eq!(registry.admin().client.tags(REPOSITORY).await, ["v1"]);
}

#[tokio::test]
async fn what_the_operator_switched_off_is_off_here_too() {
    let (registry, _) = registry_with_roles("[operator]\nread_only = true\nmessage = \"moving\"\n").await;
    let admin = registry.admin();
    for request in operations(&registry).await {
        let reply = send(&admin, &request).await;
        let reads = request.method == Method::GET;
        assert!(reads || reply.status != 201, "{} {}", request.method, request.path);
        if reply.status == 405 {
            assert!(reply.message().contains("moving"), "{} {}: {reply:?}", request.method, request.path);
        }
    }
    admin.post("/gc", &json!({})).await.refused(405, "UNSUPPORTED");
}

#[tokio::test]
async fn without_roles_only_what_is_ones_own_is_managed() {
    let open = Managed::start(PROGRAM, |files| files.vars.push(("REGISTRY_AUTH_TYPE", "none".into())));
    let users = Managed::start(PROGRAM, |files| {
        files.vars.push(("REGISTRY_ACCESS_CONTROL_ENABLED", "false".into()));
        files.vars.push(("REGISTRY_ACCESS_CONTROL_CONFIG", String::new()));
    });
    for request in operations(&users).await.iter().filter(|request| is_permission(&request.need)) {
        send(&open.nobody(), request).await.refused(403, "MANAGEMENT_DISABLED");
        send(&users.user("alice"), request).await.refused(409, "ACCESS_CONTROL_DISABLED");
        send(&users.nobody(), request).await.refused(401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn a_token_with_scopes_manages_nothing() {
    let registry = Managed::start(PROGRAM, |files| files.vars.push(("REGISTRY_AUTH_TOKEN_SIGNINGKEY", "auto".into())));
    let token =
        registry.ask(Method::GET, "/auth/token?scope=repository:app:pull").header("authorization", basic("admin"));
    let token: Value = token.send().await.is(200).json();
    let caller = registry.caller(Some(format!("Bearer {}", token["token"].as_str().unwrap())));
    for request in operations(&registry).await.iter().filter(|request| is_permission(&request.need)) {
        send(&caller, request).await.refused(403, "SCOPE_TOO_NARROW");
    }
}
