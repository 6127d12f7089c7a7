//! The same commands, and the terminal UI, however callers of the server sign in.

use crate::{
    rig::{Person, daemon, password, registry},
    tui::session::Terminal,
};
use testing::{certs::Authority, managed::Managed};

/// What everybody who may push does.
fn works(person: &Person) {
    person.has_image("image", 30);
    person.types(&["push", "image", "admin/app:v1"]).succeeds();
    assert!(person.types(&["ls", "admin/app"]).succeeds().contains("v1"));
    person.types(&["tag", "set", "admin/app:v1", "v2"]).succeeds();
    person.types(&["pull", "admin/app:v2", "copy"]).succeeds();
    assert_eq!(
        person.types(&["digest", "admin/app:v1"]).succeeds(),
        person.types(&["digest", "admin/app:v2"]).succeeds()
    );
    assert!(person.types(&["repo", "list", "-q"]).succeeds().contains("admin/app"));
    person.types(&["tag", "delete", "admin/app:v2"]).succeeds();
    assert!(!person.types(&["status"]).succeeds().is_empty());
}

/// The same on the terminal.
fn shows(person: &Person, who: &str) {
    let mut screen = Terminal::of(person, &[]);
    screen.waits_for(who);
    screen.types("2");
    screen.waits_for("Repositories · 1");
    screen.types("\r");
    screen.waits_for("linux/amd64");
    screen.types("q");
    assert_eq!(screen.ends().code(), Some(0));
}

#[test]
fn nobody_signs_in() {
    let registry = Managed::start(daemon(), |files| {
        files.vars.push(("REGISTRY_AUTH_TYPE", "none".into()));
        for name in ["REGISTRY_AUTH_HTPASSWD", "REGISTRY_ACCESS_CONTROL_ENABLED", "REGISTRY_ACCESS_CONTROL_CONFIG"] {
            files.vars.push((name, String::new()));
        }
    });
    let person = Person::new(&registry);
    person.types(&["context", "add", "here", person.server()]).succeeds();
    person.types(&["context", "use", "here"]).succeeds();
    works(&person);
    assert_eq!(person.types(&["repo", "show", "admin/app", "--json"]).json()["tag_count"], 1);
    // There are no users to manage, and it says so.
    assert_ne!(person.types(&["user", "list"]).status, 0);
    shows(&person, "not logged in");
}

#[test]
fn users_sign_in_with_passwords() {
    let registry = registry(|files| files.vars.retain(|(name, _)| *name != "REGISTRY_AUTH_TOKEN_SIGNINGKEY"));
    let admin = Person::logged_in(&registry, "admin");
    works(&admin);
    assert_eq!(admin.types(&["repo", "show", "admin/app", "--json"]).json()["tag_count"], 1);
    admin.types(&["group", "create", "devs", "-r", "developer"]).succeeds();
    admin.types(&["user", "groups", "alice", "--add", "devs"]).succeeds();
    shows(&admin, "administrator");
    // Without a session: the password is sent as it is.
    let script = Person::new(&registry);
    let mut command = script.command(&["--server", script.server(), "whoami", "-q"]);
    command.envs([("WHARF_USERNAME", "admin"), ("WHARF_PASSWORD", &password("admin"))]);
    assert_eq!(crate::rig::Typed::from(command.output().unwrap()).succeeds(), "admin\n");
}

#[test]
fn users_sign_in_at_the_token_service_of_the_registry() {
    let registry = registry(|_| {});
    let admin = Person::logged_in(&registry, "admin");
    works(&admin);
    admin.types(&["user", "lock", "bob"]).succeeds();
    shows(&admin, "administrator");
}

#[test]
fn users_sign_in_at_a_token_service_elsewhere() {
    // One registry issues the tokens that the other one trusts.
    let pair = Authority::new().sign("tokens");
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(home.path().join(name), text).unwrap();
        home.path().join(name).display().to_string()
    };
    let (key, certificate) = (file("key.pem", &pair.key_pem), file("certificate.pem", &pair.cert_pem));
    let issuer = registry(|files| {
        files.vars.push(("REGISTRY_AUTH_TOKEN_SIGNINGKEY", key));
        files.vars.push(("REGISTRY_AUTH_TOKEN_SERVICE", "shared".into()));
    });
    let registry = Managed::start(daemon(), |files| {
        files.vars.extend([
            ("REGISTRY_AUTH_TYPE", "token".to_owned()),
            ("REGISTRY_AUTH_HTPASSWD", String::new()),
            ("REGISTRY_AUTH_TOKEN_REALM", format!("http://{}/auth/token", issuer.address())),
            ("REGISTRY_AUTH_TOKEN_SERVICE", "shared".to_owned()),
            ("REGISTRY_AUTH_TOKEN_ISSUER", "wharfinger".to_owned()),
            ("REGISTRY_AUTH_TOKEN_PUBLICKEY", certificate),
        ]);
    });
    let admin = Person::logged_in(&registry, "admin");
    works(&admin);
    assert!(admin.types(&["catalog", "-q"]).succeeds().contains("admin/app"));
    // The API that manages the registry has no callers then, and says so.
    let mut screen = Terminal::of(&admin, &[]);
    screen.waits_for("users sign in elsewhere");
    screen.types("2");
    screen.waits_for("401 Unauthorized");
    screen.types("q");
    assert_eq!(screen.ends().code(), Some(0));
    // Users are managed where they are.
    assert_ne!(admin.types(&["user", "create", "carl", "--generate"]).status, 0);
    let alice = Person::logged_in(&registry, "alice");
    alice.types(&["ls", "admin/app"]).fails(5);
}

#[test]
fn no_change_gets_lost_where_every_write_needs_a_condition() {
    let registry = registry(|files| files.settings = "[management]\nrequire_if_match = true\n".to_owned());
    let admin = Person::logged_in(&registry, "admin");
    admin.types(&["group", "create", "devs", "-r", "developer"]).succeeds();
    admin.types(&["group", "update", "devs", "-d", "Who writes the code"]).succeeds();
    admin.types(&["settings", "update", "operator", "-s", "message=Hello."]).succeeds();
    admin.types(&["user", "lock", "bob"]).succeeds();
    // Many who add members at the same time: all of them are in.
    let names: Vec<String> = (0..6).map(|i| format!("user{i}")).collect();
    for name in &names {
        admin.types_with("correct horse battery\n", &["user", "create", name, "--password-stdin"]).succeeds();
    }
    std::thread::scope(|scope| {
        let adding: Vec<_> = names
            .chunks(2)
            .map(|some| {
                let added = some.join(",");
                let admin = &admin;
                scope.spawn(move || admin.types(&["group", "members", "devs", "--add", &added]).succeeds())
            })
            .collect();
        adding.into_iter().for_each(|added| drop(added.join().unwrap()));
    });
    assert_eq!(admin.types(&["group", "members", "devs", "-q"]).succeeds().lines().count(), names.len());
    // What is sent by hand is sent as it is.
    let refused = admin.types(&["api", "PATCH", "/groups/devs", "-d", r#"{"description":""}"#]).fails(1);
    assert!(refused.contains("If-Match"), "{refused}");
    admin.types(&["group", "delete", "devs", "--yes"]).succeeds();

    // In the terminal UI, what somebody else has changed meanwhile is not overwritten.
    let mut screen = Terminal::of(&admin, &[]);
    screen.waits_for("administrator");
    screen.types(":users\r");
    screen.waits_for("alice");
    screen.types("/alice\re");
    screen.waits_for("User alice");
    admin.types(&["group", "create", "ops", "-r", "developer"]).succeeds();
    admin.types(&["user", "groups", "alice", "--add", "ops"]).succeeds();
    screen.types("\r\r\r\r\r");
    screen.waits_for("Somebody else has changed it meanwhile");
    screen.waits_for("ops");
    screen.types("\r\r\r\r\r");
    screen.waits_for("alice is changed.");
    assert_eq!(admin.types(&["user", "show", "alice", "--json"]).json()["groups"], serde_json::json!(["staff", "ops"]));
}
