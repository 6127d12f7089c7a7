//! What one user learns about another: nothing. Neither from lists, nor from differences between a refusal and "not
//! found", nor by comparison with a registry that the other has never used.

mod step;

use http::Method;
use serde_json::json;
use step::{Step, read, revealed, step};
use testing::{people::htpasswd, registry::Registry, session::*};
use wharfinger::identity::new_signing_key;

/// Two users with only one repository in common, whose names alternate in the catalog.
const RULES: &str = r#"{
  "defaultPolicy": "deny",
  "rules": [
    {"repository": "common/**", "users": ["alice", "bob"], "permissions": ["pull", "push"]},
    {"repository": "team/alice/**", "users": ["alice"], "permissions": ["pull", "push", "delete"]},
    {"repository": "team/bob/**", "users": ["bob"], "permissions": ["pull", "push", "delete"]},
    {"repository": "${user}/**", "users": ["*"], "permissions": ["pull", "push", "delete"]},
    {"repository": "x/${user}/**", "users": ["*"], "permissions": ["pull", "push", "delete"]}
  ]
}"#;

const COUPLES: [(&str, &str); 2] = [("alice", "bob"), ("bob", "alice")];

/// An id that was never issued.
const NO_ID: &str = "3fa85f64-5717-4562-b3fc-2c963f66afa6";

/// Without and with a token service, which has this key.
fn places() -> [Option<String>; 2] {
    [None, Some(new_signing_key().unwrap())]
}

async fn registry(key: &Option<String>) -> Registry {
    Registry::with(|setup| {
        setup.htpasswd = Some(htpasswd(&["alice", "bob", "carol"]));
        setup.rules = Some(RULES.to_owned());
        setup.signing_key = key.clone();
    })
    .await
}

/// The repositories that a user sees in the catalog, in order.
fn catalog(user: &str) -> [String; 5] {
    let mut names = ["USER/one", "team/USER/app", "team/USER/zoo", "x/USER/y", "x/USER/y/z"].map(of(user));
    names.sort();
    names
}

fn of(user: &str) -> impl Fn(&str) -> String {
    move |name| name.replace("USER", user)
}

/// What a user has: in each repository the same image, which others may have too, and in one a secret layer, a manifest
/// of it, a referrer of the image, tags and an upload.
async fn move_in(registry: &Registry, user: &str) -> String {
    let sure = |step: Step, status: u16| async move { step.by(user, registry).await.is(status) };
    let common = index(&[]).to_string();
    let image = sha256(common.as_bytes());
    for name in catalog(user) {
        sure(step(Method::PUT, format!("/v2/{name}/manifests/v1"), &common), 201).await;
    }
    let app = format!("team/{user}/app");
    let (layer, manifest) = secret(user);
    for content in [&layer, "{}"] {
        let target = format!("/v2/{app}/blobs/uploads/?digest={}", sha256(content.as_bytes()));
        sure(step(Method::POST, target, content), 201).await;
    }
    sure(step(Method::PUT, format!("/v2/{app}/manifests/secret-{user}"), manifest), 201).await;
    let refers = json!({
        "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "artifactType": format!("of/{user}"),
        "subject": { "mediaType": OCI_INDEX, "digest": image, "size": common.len() },
    });
    sure(step(Method::PUT, format!("/v2/{app}/manifests/refers-{user}"), refers.to_string()), 201).await;
    let begun = sure(step(Method::POST, format!("/v2/{app}/blobs/uploads/"), ""), 202).await;
    sure(step(Method::PATCH, begun.header("location"), "half of it"), 202).await;
    begun.header("docker-upload-uuid").to_owned()
}

/// A user's layer and the manifest that names it.
fn secret(user: &str) -> (String, String) {
    let layer = format!("what only {user} has");
    let manifest = image(&descriptor(CONFIG, b"{}"), &[descriptor(LAYER, layer.as_bytes())]);
    (layer, manifest.to_string())
}

/// The catalog from any start, in pages of any size.
fn catalog_steps() -> Vec<Step> {
    let mut lasts =
        vec!["".to_owned(), "a".into(), "team".into(), "team/".into(), "x".into(), "x/c".into(), "z".into()];
    for user in ["alice", "bob"] {
        lasts.extend(catalog(user));
        lasts.extend(["USER", "USER/", "USER/zz", "team/USER", "team/USER/b", "x/USER/y/a", "x/USER/z"].map(of(user)));
    }
    let sizes = ["", "n=0&", "n=1&", "n=2&", "n=3&", "n=100&"];
    sizes.iter().flat_map(|n| lasts.iter().map(move |last| read(format!("/v2/_catalog?{n}last={last}")))).collect()
}

/// Everything one user might try to learn about the other, who has an upload with this id.
fn curious(me: &str, other: &str, id: &str) -> Vec<Step> {
    let (layer, manifest) = secret(other);
    let (blob, revision) = (sha256(layer.as_bytes()), sha256(manifest.as_bytes()));
    let common = sha256(index(&[]).to_string().as_bytes());
    let mut steps = catalog_steps();
    for name in ["team/USER/app", "team/USER/none", "x/USER/y"].map(of(other)) {
        steps.extend(everything(&name, &blob, &revision, id));
    }
    let own = format!("team/{me}/app");
    for method in [Method::GET, Method::HEAD, Method::DELETE] {
        let step = |target: String| step(method.clone(), target, "");
        steps.extend(
            [&revision, &format!("secret-{other}"), &format!("refers-{other}"), &blob]
                .map(|reference| step(format!("/v2/{own}/manifests/{reference}"))),
        );
        steps.extend([&blob, &revision, &common].map(|digest| step(format!("/v2/{own}/blobs/{digest}"))));
        steps.push(step(format!("/v2/{own}/blobs/uploads/{id}")));
    }
    for query in ["", "?n=1", "?n=1&last=refers-alice", "?n=9&last=refers", &format!("?last=secret-{other}")] {
        steps.push(read(format!("/v2/{own}/tags/list{query}")));
    }
    for subject in [&common, &revision, &blob] {
        steps.push(read(format!("/v2/{own}/referrers/{subject}")));
        steps.push(read(format!("/v2/{own}/referrers/{subject}?artifactType=of/{other}")));
    }
    // Mounts: an ordinary upload begins, whether or not the blob exists.
    let uploads = format!("/v2/{own}/blobs/uploads/");
    for digest in [&blob, &revision, &sha256(b"nowhere")] {
        for from in
            ["", "&from=team/USER/app", "&from=team/USER/none", "&from=x/USER/y", "&from=USER/one"].map(of(other))
        {
            steps.push(step(Method::POST, format!("{uploads}?mount={digest}{from}"), ""));
        }
        steps.push(step(Method::POST, format!("{uploads}?mount={digest}&from={own}"), ""));
    }
    // Pushes that would succeed if only the other's content counted.
    let put = |reference: &str, body: &str| step(Method::PUT, format!("/v2/{own}/manifests/{reference}"), body);
    let child = json!({ "mediaType": OCI_MANIFEST, "digest": revision, "size": manifest.len() });
    steps.extend([
        put("stolen", &manifest),
        put(&revision, &manifest),
        put("parent", &index(&[child]).to_string()),
        put("v1", &index(&[]).to_string()).with("if-match", format!("\"{revision}\"")),
        put("new", &index(&[]).to_string()).with("if-none-match", "*"),
        step(Method::PATCH, format!("{uploads}{id}"), " and the rest"),
        step(Method::PATCH, format!("{uploads}{id}"), "x").with("content-range", "10-10"),
        step(Method::PUT, format!("{uploads}{id}?digest={blob}"), ""),
        step(Method::PUT, format!("{uploads}{NO_ID}?digest={blob}"), ""),
        step(Method::POST, format!("{uploads}?digest={blob}"), "something else"),
        step(Method::POST, format!("{uploads}?digest={blob}"), ""),
    ]);
    for name in ["team/USER/app", "team/USER/none", "x/USER/y"].map(of(other)) {
        steps.push(read(format!("/auth/token?scope=repository:{name}:pull,push,delete&scope=registry:catalog:*")));
    }
    // A caller who has the content may push it, and gets the same response as everybody.
    steps.push(step(Method::POST, format!("{uploads}?digest={blob}"), &layer));
    steps.push(put("brought", &manifest));
    steps
}

/// Every route of a repository, requested for a user's content.
fn everything(name: &str, blob: &str, revision: &str, id: &str) -> Vec<Step> {
    let common = index(&[]).to_string();
    let mut steps = Vec::new();
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::POST] {
        for path in [
            "tags/list".to_owned(),
            "tags/list?n=1&last=r".to_owned(),
            "manifests/v1".to_owned(),
            format!("manifests/{revision}"),
            format!("referrers/{}", sha256(common.as_bytes())),
            format!("blobs/{blob}"),
            format!("blobs/uploads/{id}"),
            format!("blobs/uploads/{id}?digest={blob}"),
        ] {
            steps.push(step(method.clone(), format!("/v2/{name}/{path}"), ""));
        }
    }
    for query in
        ["".to_owned(), format!("?digest={blob}"), format!("?mount={blob}"), format!("?mount={blob}&from={name}")]
    {
        steps.push(step(Method::POST, format!("/v2/{name}/blobs/uploads/{query}"), ""));
    }
    steps.extend([
        step(Method::PATCH, format!("/v2/{name}/blobs/uploads/{id}"), "more"),
        step(Method::PUT, format!("/v2/{name}/manifests/v1"), &common),
        step(Method::PUT, format!("/v2/{name}/manifests/v1"), &common).with("if-none-match", "*"),
        step(Method::PUT, format!("/v2/{name}/manifests/v1"), "no manifest"),
        read(format!("/v2/{name}/manifests/v1")).with("if-none-match", format!("\"{}\"", sha256(common.as_bytes()))),
        read(format!("/v2/{name}/blobs/{blob}")).with("range", "bytes=0-0"),
        read(format!("/v2/{name}/blobs/{blob}")).with("range", "bytes=9999-"),
    ]);
    steps
}

#[tokio::test]
async fn a_registry_looks_the_same_whether_or_not_another_user_is_there() {
    for key in places() {
        for (me, other) in COUPLES {
            let (together, alone) = (registry(&key).await, registry(&key).await);
            let id = move_in(&together, other).await;
            for registry in [&together, &alone] {
                move_in(registry, me).await;
            }
            for step in curious(me, other, &id) {
                let (with, without) = (step.by(me, &together).await, step.by(me, &alone).await);
                assert_eq!(revealed(&with, &together), revealed(&without, &alone), "{me}: {step:?}");
            }
            // The attempts have not harmed the other either.
            let (layer, _) = secret(other);
            let blob = format!("/v2/team/{other}/app/blobs/{}", sha256(layer.as_bytes()));
            read(blob).by(other, &together).await.is(200);
            let upload = format!("/v2/team/{other}/app/blobs/uploads/{id}");
            assert_eq!(read(upload).by(other, &together).await.is(204).header("range"), "0-9");
        }
    }
}

#[tokio::test]
async fn forbidden_and_missing_content_get_the_same_response() {
    for key in places() {
        let registry = registry(&key).await;
        let id = move_in(&registry, "bob").await;
        let (layer, manifest) = secret("bob");
        let (blob, revision) = (sha256(layer.as_bytes()), sha256(manifest.as_bytes()));
        let there = "team/bob/app";
        for step in everything(there, &blob, &revision, &id) {
            // Among bob's names, among nobody's, and with a name that only has a similar form.
            for absent in ["team/bob/nix", "none/at/alls", "x/bob/y/none"] {
                for user in ["alice", "carol", "-"] {
                    let forbidden = revealed(&step.by(user, &registry).await, &registry);
                    let unknown = revealed(&step.about(there, absent).by(user, &registry).await, &registry);
                    assert_eq!(forbidden.replace(there, "NAME"), unknown.replace(absent, "NAME"), "{user}: {step:?}");
                    let status = if user == "-" { "401" } else { "403" };
                    // Invalid syntax and unsupported methods are reported to everybody.
                    let refused = [status, "400", "405"].iter().any(|status| forbidden.starts_with(status));
                    assert!(refused, "{user}: {step:?}: {forbidden}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_session_of_another_user_looks_unknown() {
    for key in places() {
        let registry = registry(&key).await;
        let content = "begun by bob";
        let begun = step(Method::POST, "/v2/common/app/blobs/uploads/", "").by("bob", &registry).await.is(202);
        let upload = begun.header("location").to_owned();
        step(Method::PATCH, &upload, content).by("bob", &registry).await.is(202);
        let none = format!("/v2/common/app/blobs/uploads/{NO_ID}");
        let digest = sha256(content.as_bytes());
        for (method, query, range) in [
            (Method::GET, "", ""),
            (Method::HEAD, "", ""),
            (Method::PATCH, "", ""),
            (Method::PATCH, "", "0-3"),
            (Method::PATCH, "", "12-15"),
            (Method::PUT, "?digest=", ""),
            (Method::PUT, "?digest=", "12-15"),
            (Method::DELETE, "", ""),
        ] {
            let query = if query.is_empty() { String::new() } else { format!("{query}{digest}") };
            let ask = |upload: &str| {
                let step = step(method.clone(), format!("{upload}{query}"), "more");
                if range.is_empty() { step } else { step.with("content-range", range) }
            };
            let (foreign, unknown) =
                (ask(&upload).by("alice", &registry).await, ask(&none).by("alice", &registry).await);
            assert_eq!(revealed(&foreign, &registry), revealed(&unknown, &registry), "{method} {query} {range}");
            assert_eq!(foreign.status, 404, "{method} {query} {range}");
        }
        let finished = step(Method::PUT, format!("{upload}?digest={digest}"), "").by("bob", &registry).await;
        assert_eq!(finished.status, 201, "nothing of it has come to bob's upload");
    }
}

#[tokio::test]
async fn each_user_pages_through_their_own_catalog() {
    for key in places() {
        let registry = registry(&key).await;
        for (user, _) in COUPLES {
            move_in(&registry, user).await;
        }
        for (user, other) in COUPLES {
            for n in 1..7 {
                let (mut names, mut target) = (Vec::new(), format!("/v2/_catalog?n={n}"));
                loop {
                    let page = read(&target).by(user, &registry).await.is(200);
                    names.extend(page.strings("repositories"));
                    let Some(next) = page.next() else { break };
                    assert!(!next.contains(other) && names.len() < 5, "{next}");
                    target = next.to_owned();
                }
                assert_eq!(names, catalog(user));
            }
            // From a start among the other's names: the page continues with the caller's own next name, and so does the
            // link.
            for last in catalog(other) {
                let page = read(format!("/v2/_catalog?n=1&last={last}")).by(user, &registry).await.is(200);
                let expected: Vec<_> = catalog(user).into_iter().filter(|name| *name > last).collect();
                assert_eq!(page.strings("repositories"), expected[..expected.len().min(1)]);
                assert_eq!(page.next().is_some(), expected.len() > 1);
                assert!(!page.next().unwrap_or_default().contains(other), "{page:?}");
            }
            let tags = read(format!("/v2/team/{user}/app/tags/list")).by(user, &registry).await;
            assert_eq!(tags.strings("tags"), [format!("refers-{user}"), format!("secret-{user}"), "v1".into()]);
            let common = sha256(index(&[]).to_string().as_bytes());
            let referrers = read(format!("/v2/team/{user}/app/referrers/{common}")).by(user, &registry).await.json();
            assert_eq!(referrers["manifests"].as_array().map(Vec::len), Some(1), "{referrers}");
            assert_eq!(referrers["manifests"][0]["artifactType"], format!("of/{user}"));
        }
    }
}

#[tokio::test]
async fn a_mount_from_a_forbidden_repository_becomes_an_upload() {
    for key in places() {
        let registry = registry(&key).await;
        for (user, _) in COUPLES {
            move_in(&registry, user).await;
        }
        for (user, other) in COUPLES {
            let digest = sha256(secret(other).0.as_bytes());
            for from in [String::new(), format!("&from=team/{other}/app")] {
                let target = format!("/v2/team/{user}/app/blobs/uploads/?mount={digest}{from}");
                let begun = step(Method::POST, target, "").by(user, &registry).await.is(202);
                assert!(
                    begun.header("location").starts_with(&format!("/v2/team/{user}/app/blobs/uploads/")),
                    "{begun:?}"
                );
                assert!(!begun.has("docker-content-digest"));
                let blob = read(format!("/v2/team/{user}/app/blobs/{digest}")).by(user, &registry).await;
                blob.refused(404, "BLOB_UNKNOWN");
            }
            // The user may mount their own.
            let digest = sha256(secret(user).0.as_bytes());
            let target = format!("/v2/team/{user}/zoo/blobs/uploads/?mount={digest}&from=team/{user}/app");
            step(Method::POST, target, "").by(user, &registry).await.is(201);
        }
    }
}
