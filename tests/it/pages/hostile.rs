//! What a repository can carry is hostile text, and stays text.

use super::Browser;
use crate::PROGRAM;
use serde_json::{Value, json};
use testing::managed::Managed;

/// Texts that would run, or end an attribute, if a page wrote them as they are.
const CORPUS: [&str; 8] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'><svg/onload=alert(1)>",
    "</title></textarea></pre><script>alert(1)</script>",
    "javascript:alert(1)",
    "https://x/\" onmouseover=\"alert(1)",
    "{{ 7 * 7 }}<!-- -->",
    "\u{202e}gpj.exe\u{2066}",
];

/// Checks that nothing of the corpus became part of the page's structure.
fn is_harmless(page: &str) {
    for bad in ["<script>", "<img", "<svg/onload", "\" onmouseover", "href=\"javascript:", "<!-- -->"] {
        assert!(!page.contains(bad), "{bad} in {page}");
    }
}

#[tokio::test]
async fn nothing_that_is_pushed_becomes_markup() {
    let registry = Managed::start(PROGRAM, |_| {});
    let client = registry.admin().client;
    let texts: Value = CORPUS.iter().enumerate().map(|(i, text)| (format!("{text}{i}"), json!(text))).collect();
    let config = json!({
        "architecture": CORPUS[1],
        "os": CORPUS[0],
        "created": CORPUS[0],
        "config": {
            "Env": CORPUS.iter().map(|text| format!("{text}={text}")).collect::<Vec<_>>(),
            "Entrypoint": CORPUS,
            "User": CORPUS[2],
            "Labels": texts,
            "ExposedPorts": texts,
        },
        "rootfs": { "type": "layers", "diff_ids": [] },
        "history": CORPUS.iter().map(|text| json!({ "created_by": text, "comment": text })).collect::<Vec<_>>(),
    });
    let config = config.to_string();
    let config_digest = client.push_blob("app", config.clone()).await;
    let layer = client.push_blob("app", "layer").await;
    let image = |note: &str| {
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest, "size": config.len() },
            "layers": [{
                "mediaType": CORPUS[1], "digest": layer, "size": 5,
                "annotations": { "org.opencontainers.image.title": CORPUS[0] },
            }],
            "annotations": { "note": note, CORPUS[1]: CORPUS[0], "texts": texts.to_string() },
        })
    };
    let pushed = client.put_manifest("app", "one", &image("one")).await.is(201);
    let subject_digest = pushed.header("docker-content-digest").to_owned();
    client.put_manifest("app", "two", &image(CORPUS[3])).await.is(201);
    let subject = image("one").to_string();
    let referrer = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": CORPUS[0],
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": layer, "size": 5 },
        "layers": [],
        "subject": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": subject_digest, "size": subject.len(),
        },
        "annotations": { CORPUS[0]: CORPUS[1] },
    });
    client.put_manifest("app", "sig", &referrer).await.is(201);
    let admin = registry.admin();
    admin.patch("/repositories/app", &json!({ "description": CORPUS[1] })).await.is(200);
    let browser = Browser::of(&registry, "admin").await;
    for path in [
        "/",
        "/repositories",
        "/repositories/app",
        "/repositories/app/-/manifests/one",
        "/repositories/app/-/manifests/two",
        "/repositories/app/-/manifests/sig",
        "/repositories/app/-/compare?from=one&to=two",
        "/repositories/app/-/untagged",
        "/repositories/app/-/retention",
        "/repositories/app/-/settings",
        "/repositories/app/-/access",
    ] {
        is_harmless(&html_with_words(&browser.get(path).await.is(200)));
    }
    let shown = html_with_words(&browser.get("/repositories/app/-/manifests/one").await);
    assert!(shown.contains("&lt;script&gt;") || shown.contains("&#60;script&#62;"), "it is shown as text: {shown}");
}

/// The page. The words that every page is searched for may appear in it as text here.
fn html_with_words(reply: &testing::session::Reply) -> String {
    let text = String::from_utf8(reply.body.to_vec()).unwrap();
    assert!(reply.header("content-security-policy").contains("script-src 'self'"));
    text
}

#[tokio::test]
async fn nothing_that_is_asked_for_becomes_markup() {
    let registry = Managed::start(PROGRAM, |_| {});
    let browser = Browser::of(&registry, "admin").await;
    registry.admin().client.push_image("app", "1.0", "a").await;
    for text in CORPUS {
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for path in [
            "/repositories?q=",
            "/repositories?show=",
            "/repositories?sort=",
            "/repositories?namespace=",
            "/repositories?last=",
            "/repositories/app?q=",
            "/repositories/app?sort=",
            "/repositories/app/-/compare?from=",
            "/repositories/app/-/manifests/",
            "/repositories/",
            "/repositories/-/new?namespace=",
            "/search?q=",
            "/search?kind=",
            "/login?next=",
            "/?done=",
            "/no/",
        ] {
            let reply = browser.get(&format!("{path}{encoded}")).await;
            assert!(reply.status.as_u16() < 500, "{path}{text}: {reply:?}");
            is_harmless(&html_with_words(&reply));
        }
        let made = browser.post("/profile/keys", &[("name", text), ("scopes", text), ("days", "1")]).await;
        is_harmless(&html_with_words(&made));
        let made =
            browser.post("/profile/keys", &[("name", text), ("scopes", "repository:x:pull"), ("days", "1")]).await;
        is_harmless(&html_with_words(&made));
        let failed = browser.post("/login", &[("username", text), ("password", text)]).await;
        is_harmless(&html_with_words(&failed));
        let failed = browser.post("/repositories/-/new", &[("name", text), ("description", text)]).await;
        is_harmless(&html_with_words(&failed));
    }
    assert!(html_with_words(&browser.get("/profile").await.is(200)).contains("API keys"));
}
