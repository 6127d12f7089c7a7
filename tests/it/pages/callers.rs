//! Every page by every kind of caller: it shows what they may see, and nothing else.

use super::{Browser, html, shows};
use crate::{PROGRAM, facts::record};
use http::Method;
use serde_json::json;
use testing::{managed::Managed, registry::Registry};

/// A registry with a repository that everybody may pull, one of alice, and one that only the administrator may see.
async fn registry() -> (Managed, String) {
    let registry = Managed::start(PROGRAM, |files| {
        files.rules = json!({
            "adminUsers": ["admin"],
            "rules": [{ "repository": "team/**", "users": ["alice"], "permissions": ["pull", "push", "delete"] }],
            "groups": { "people": { "members": ["alice", "bob"], "roles": ["people"] } },
            "roles": { "people": { "permissions": ["LOGIN:WEBUI"] } },
        })
        .to_string();
    });
    let admin = registry.admin();
    let (digest, _) = admin.client.push_image("team/app", "6.0.9", "a").await;
    admin.client.push_image("team/app", "6.0.10", "b").await;
    admin.client.push_image("open/app", "1.0", "c").await;
    admin.client.push_image("secret/app", "1.0", "d").await;
    record(&registry.root(), "open/app", "visibility", "public\n");
    (registry, digest)
}

#[tokio::test]
async fn each_caller_sees_their_pages() {
    let (registry, digest) = registry().await;
    let callers = [
        (Browser::new(&registry), [200, 401, 401, 404, 401]),
        (Browser::of(&registry, "bob").await, [200, 404, 404, 404, 200]),
        (Browser::of(&registry, "alice").await, [200, 200, 403, 404, 200]),
        (Browser::of(&registry, "admin").await, [200, 200, 200, 200, 200]),
    ];
    for (browser, [public, own, settings, secret, profile]) in callers {
        let who = browser.cookie.clone();
        let secret = if who.is_none() { 401 } else { secret };
        for (path, status) in [
            ("/".to_owned(), 200),
            ("/repositories".to_owned(), 200),
            ("/repositories?q=app&sort=size&show=public".to_owned(), 200),
            ("/repositories?sort=nonsense".to_owned(), 400),
            ("/search?q=app".to_owned(), 200),
            ("/search".to_owned(), 200),
            ("/login".to_owned(), 200),
            ("/system".to_owned(), 200),
            ("/repositories/open/app".to_owned(), public),
            ("/repositories/open/app/-/manifests/1.0".to_owned(), public),
            ("/repositories/open/app/-/manifests/2.0".to_owned(), 404),
            ("/repositories/open/app/-/untagged".to_owned(), public),
            ("/repositories/open/app/-/retention".to_owned(), public),
            ("/repositories/team/app".to_owned(), own),
            ("/repositories/team/app/-/untagged".to_owned(), own),
            ("/repositories/team/app/-/retention".to_owned(), own),
            ("/repositories/team/app/-/compare".to_owned(), own),
            ("/repositories/team/app/-/compare?from=6.0.9&to=6.0.10".to_owned(), own),
            (format!("/repositories/team/app/-/manifests/{digest}"), own),
            ("/repositories/team/app/-/access".to_owned(), settings),
            ("/repositories/team/app/-/settings".to_owned(), settings),
            ("/repositories/secret/app".to_owned(), secret),
            ("/repositories/secret/app/-/manifests/1.0".to_owned(), secret),
            ("/repositories/no/such".to_owned(), if who.is_none() { 401 } else { 404 }),
            ("/profile".to_owned(), profile),
            ("/no/such/page".to_owned(), 404),
        ] {
            let reply = browser.get(&path).await;
            assert_eq!(reply.status, status, "{path} by {who:?}: {reply:?}");
            let text = html(&reply);
            assert!(status == 200 || text.contains(&format!("{status} ")), "{text}");
            let may_know = secret == 200 || path.contains("secret");
            assert!(may_know || !text.contains("secret/"), "{path} by {who:?}: {text}");
            if status == 401 {
                assert!(reply.header("www-authenticate").starts_with("Bearer"), "no window of the browser: {reply:?}");
            }
        }
    }
}

#[tokio::test]
async fn pages_show_what_people_look_for() {
    let (registry, _) = registry().await;
    let alice = Browser::of(&registry, "alice").await;
    let host = registry.nobody().client.address().to_string();
    let home = html(&alice.get("/").await.is(200));
    shows(&home, &["Recent pushes", "<bdi><span class=\"dim\">team/<wbr></span>app</bdi>", "alice"]);
    let list = html(&alice.get("/repositories").await.is(200));
    shows(&list, &["open/<wbr>", "team/<wbr>", "6.0.10", &format!("docker pull {host}/team/app:6.0.10")]);
    let tags = html(&alice.get("/repositories/team/app").await.is(200));
    let place = |tag: &str| tags.find(&format!("value=\"{tag}\" aria-label")).unwrap();
    assert!(place("6.0.10") < place("6.0.9"), "in natural order: {tags}");
    shows(&tags, &[&format!("docker pull {host}/team/app:6.0.10"), "data-tool=\"podman\"", "Delete…"]);
    let filtered = html(&alice.get("/repositories/team/app?q=6.0.9").await.is(200));
    assert!(filtered.contains("/-/manifests/6.0.9") && !filtered.contains("/-/manifests/6.0.10"), "{filtered}");
    shows(&html(&alice.get("/repositories/team/app?q=nothing").await.is(200)), &["No tag matches"]);
    let manifest = html(&alice.get("/repositories/team/app/-/manifests/6.0.9").await.is(200));
    shows(&manifest, &["6.0.9", "By digest", "team/app@sha256:", "Layers", "Nothing is attached"]);
    let compared = html(&alice.get("/repositories/team/app/-/compare").await.is(200));
    shows(&compared, &["Compare 6.0.9 with 6.0.10", "To download"]);
    let found = html(&alice.get("/search?q=6.0.1").await.is(200));
    shows(&found, &["/repositories/team/app/-/manifests/6.0.10"]);
    let admin = Browser::of(&registry, "admin").await;
    shows(&html(&admin.get("/repositories/team/app/-/access").await.is(200)), &["alice", "pull", "push"]);
    shows(&html(&admin.get("/system").await.is(200)), &["Storage", "Tasks", "Check the storage", "htpasswd"]);
}

#[tokio::test]
async fn an_open_registry_says_so_and_needs_no_login() {
    let registry = Registry::start().await;
    let ask = |path: &'static str| registry.ask(Method::GET, path).header("accept", "text/html");
    shows(&html(&ask("/").send().await.is(200)), &["Open registry", "An empty wharf", "docker push"]);
    registry.push_image("hello/alpine", "3.22", "x").await;
    shows(&html(&ask("/").send().await.is(200)), &["hello/<wbr>"]);
    shows(&html(&ask("/login").send().await.is(200)), &["has no logins"]);
    shows(&html(&ask("/repositories/hello/alpine").send().await.is(200)), &["3.22"]);
    // A name that somebody else can let point here is none of ours.
    let rebound = ask("/").header("host", "evil.example").send().await;
    assert!(html(&rebound.is(403)).contains("not a name of this registry"));
}

#[tokio::test]
async fn programs_get_json_for_unknown_paths_and_browsers_a_page() {
    let (registry, _) = registry().await;
    registry.nobody().client.get("/nothing").await.refused(404, "UNSUPPORTED");
    let browser = Browser::new(&registry);
    let page = html(&browser.get("/nothing").await.is(404));
    shows(&page, &["There is nothing here", "404 Not Found"]);
    browser.get("/v2/nothing").await.refused(404, "UNSUPPORTED");
}

#[tokio::test]
async fn what_pages_load_never_changes_under_its_name() {
    let (registry, _) = registry().await;
    let client = registry.nobody().client;
    let page = html(&client.get("/login").await.is(200));
    let mut bytes = page.len();
    let paths: Vec<_> = page.split('"').filter(|text| text.starts_with("/ui/") && text.contains('.')).collect();
    let mut paths: Vec<_> = paths.iter().map(|path| path.split('#').next().unwrap()).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), 4, "{paths:?}");
    for path in paths {
        let plain = client.get(path).await.is(200);
        assert_eq!(plain.header("cache-control"), "max-age=31536000, immutable");
        assert_eq!(plain.header("vary"), "accept-encoding");
        let packed = client.ask(Method::GET, path).header("accept-encoding", "br, gzip").send().await.is(200);
        assert_eq!(packed.header("content-encoding"), "gzip");
        assert!(packed.body.starts_with(&[0x1f, 0x8b]) && packed.body.len() < plain.body.len());
        assert!(!path.ends_with(".js") || plain.body.len() <= 25 << 10);
        bytes += packed.body.len();
        client.head(path).await.is(200);
    }
    assert!(bytes <= 60 << 10, "{bytes}");
    client.get("/ui/style.000000000000.css").await.is(404);
}

#[tokio::test]
async fn pages_can_be_switched_off() {
    let registry = Managed::start(PROGRAM, |files| files.settings = "[ui]\nenabled = false\n".to_owned());
    let admin = registry.admin();
    for path in ["/", "/login", "/repositories", "/system"] {
        admin.client.get(path).await.is(404);
    }
    admin.get("/system").await.is(200);
}
