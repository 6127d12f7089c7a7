//! Pages and lists are sent compressed where nobody can learn anything from their length.

use super::Browser;
use crate::PROGRAM;
use flate2::read::GzDecoder;
use http::Method;
use serde_json::json;
use std::io::Read as _;
use testing::{
    managed::{ApiSession, Managed},
    session::{Ask, Reply},
};

/// A registry whose lists are long enough.
async fn registry() -> Managed {
    let registry = Managed::start(PROGRAM, |_| {});
    let client = registry.admin().client;
    for n in 0..12 {
        client.push_empty_index(&format!("team/app{n}"), "v1").await;
    }
    registry
}

fn unzipped(reply: &Reply) -> String {
    assert_eq!(reply.header("content-encoding"), "gzip", "{reply:?}");
    let mut text = String::new();
    GzDecoder::new(&reply.body[..]).read_to_string(&mut text).expect("gzip");
    text
}

fn get<'c>(session: &'c ApiSession, path: &str) -> Ask<'c> {
    session.ask(Method::GET, path).header("accept-encoding", "br, gzip")
}

#[tokio::test]
async fn a_page_is_compressed_for_who_asks_for_it_themselves() {
    let registry = registry().await;
    let browser = Browser::of(&registry, "admin").await;
    let page = |site: &'static str, accepted: &'static str| {
        let ask = browser.ask(Method::GET, "/repositories?q=app").header("accept-encoding", accepted);
        if site.is_empty() { ask } else { ask.header("sec-fetch-site", site) }
    };
    let plain = page("same-origin", "br").send().await.is(200);
    assert!(!plain.has("content-encoding") && plain.items("vary").contains(&"accept-encoding"), "{plain:?}");
    for site in ["same-origin", "none", ""] {
        let zipped = page(site, "br, gzip").send().await.is(200);
        assert!(zipped.body.len() * 3 < plain.body.len(), "{site}: {} of {}", zipped.body.len(), plain.body.len());
        assert_eq!(unzipped(&zipped).as_bytes(), plain.body, "{site}");
        assert_eq!(zipped.items("vary"), ["cookie", "accept-encoding"]);
        assert_eq!(zipped.header("content-security-policy"), plain.header("content-security-policy"));
    }
    // Another site could choose the text that is looked for, and see how long the answer is.
    for site in ["cross-site", "same-site", "anything"] {
        let whole = page(site, "gzip").send().await.is(200);
        assert!(!whole.has("content-encoding"), "{whole:?}");
        assert_eq!(whole.body, plain.body, "{site}");
    }
    let head = browser.ask(Method::HEAD, "/repositories?q=app").header("accept-encoding", "gzip").send().await.is(200);
    assert_eq!(head.header("content-encoding"), "gzip");
}

#[tokio::test]
async fn a_browser_that_does_not_say_who_asks_gets_a_page_as_it_is() {
    let registry = Managed::start(PROGRAM, |files| {
        files.vars.push(("REGISTRY_TRUSTED_PROXIES", "127.0.0.1".into()));
    });
    let mut browser = Browser::new(&registry);
    let behind = async |ask: Ask<'_>| ask.header("x-forwarded-proto", "https").send().await;
    let login = browser.ask(Method::POST, "/login").header("content-type", "application/x-www-form-urlencoded");
    let login = behind(login.header("sec-fetch-site", "same-origin").body("username=admin&password=admin%21")).await;
    browser.keep(&login.is(303));
    let home = || browser.ask(Method::GET, "/profile").header("accept-encoding", "gzip");
    assert!(!behind(home()).await.is(200).has("content-encoding"), "encrypted, by a cookie");
    assert!(behind(home().header("sec-fetch-site", "none")).await.is(200).has("content-encoding"));
}

#[tokio::test]
async fn what_shows_a_secret_is_sent_as_it_is() {
    let registry = registry().await;
    let browser = Browser::of(&registry, "admin").await;
    let form = "name=ci&scopes=repository%3A**%3Apull&days=1";
    let made = browser
        .ask(Method::POST, "/profile/keys")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin")
        .header("accept-encoding", "gzip")
        .body(form)
        .send()
        .await
        .is(201);
    assert!(!made.has("content-encoding") && made.body.len() > 2048, "{made:?}");
    assert!(String::from_utf8_lossy(&made.body).contains("whf_"), "{made:?}");
    let error = browser.ask(Method::GET, "/no/such/page").header("accept-encoding", "gzip").send().await.is(404);
    assert!(!error.has("content-encoding"), "{error:?}");
}

#[tokio::test]
async fn lists_of_the_api_are_compressed_and_their_tags_still_match() {
    let registry = registry().await;
    let admin = registry.admin();
    let list = get(&admin, "/repositories?include=tags").send().await.is(200);
    assert!(unzipped(&list).contains("team/app11"), "{list:?}");
    // A short answer is not worth it.
    let short = get(&admin, "/system").send().await.is(200);
    assert!(!short.has("content-encoding") && short.items("vary").contains(&"accept-encoding"), "{short:?}");

    let description = "long ".repeat(600);
    let group = json!({ "name": "ops", "description": description, "members": ["alice"], "roles": [] });
    admin.post("/groups", &group).await.is(201);
    let zipped = get(&admin, "/groups/ops").send().await.is(200);
    let tag = zipped.header("etag").to_owned();
    assert!(tag.starts_with("W/\"") && unzipped(&zipped).contains("long long"), "{tag}");
    let again = get(&admin, "/groups/ops").header("if-none-match", &tag).send().await.is(304);
    assert!(again.body.is_empty());
    let change = || admin.json(Method::PATCH, "/groups/ops", &json!({ "description": "" })).header("if-match", &tag);
    change().send().await.is(200);
    change().send().await.is(412);
}

#[tokio::test]
async fn what_is_pulled_is_never_compressed() {
    let registry = registry().await;
    let client = registry.admin().client;
    let digest = client.push_blob("team/app1", "x".repeat(10_000)).await;
    for path in [format!("/v2/team/app1/blobs/{digest}"), "/v2/team/app1/manifests/v1".into(), "/metrics".into()] {
        let whole = client.ask(Method::GET, &path).header("accept-encoding", "gzip").send().await.is(200);
        assert!(!whole.has("content-encoding"), "{path}");
    }
}
