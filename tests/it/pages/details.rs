//! What pages make of what is stored: the newest tags, what is attached, names of browsers, code in hints.

use super::{Browser, html, shows};
use crate::PROGRAM;
use http::Method;
use serde_json::json;
use testing::{managed::Managed, session::sha256};

#[tokio::test]
async fn the_newest_tags_come_first_and_a_candidate_is_not_newer_than_its_release() {
    let registry = Managed::start(PROGRAM, |_| {});
    let (browser, client) = (Browser::of(&registry, "admin").await, registry.admin().client);
    for tag in ["1.2.0", "1.2.0-rc.1", "1.10.0-rc.2", "1.9.0", "nightly"] {
        client.push_empty_index("team/app", tag).await;
    }
    let order = |page: &str| {
        let row = page.split("/repositories/team/app/-/manifests/").skip(1);
        row.map(|rest| rest.split('"').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let page = html(&browser.get("/repositories").await.is(200));
    assert_eq!(order(&page), ["1.10.0-rc.2", "1.9.0", "1.2.0"]);
    client.push_empty_index("team/app", "latest").await;
    let page = html(&browser.get("/repositories").await.is(200));
    assert_eq!(order(&page), ["latest", "1.10.0-rc.2", "1.9.0"]);
    for n in 0..101 {
        client.push_empty_index("team/many", &format!("v{n}")).await;
    }
    let list = registry.admin().get("/repositories?q=many&include=tags").await.is(200).json();
    let tags = list["items"][0]["tags"].as_array().unwrap().clone();
    assert_eq!((tags.len(), &tags[0], &tags[99]), (100, &json!("v1"), &json!("v100")));
}

#[tokio::test]
async fn what_is_attached_is_listed_with_its_image() {
    let registry = Managed::start(PROGRAM, |_| {});
    let (admin, client) = (registry.admin(), registry.admin().client);
    let browser = Browser::of(&registry, "admin").await;
    let (image, _) = client.push_image("team/app", "1.0", "x").await;
    let path = "/repositories/team/app/-/referrers";
    shows(&html(&browser.get(path).await.is(200)), &["Nothing is attached", "cosign sign"]);
    let attach = async |subject: &str, kind: &str| {
        let config = client.push_blob("team/app", "{}").await;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": kind,
            "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2 },
            "layers": [],
            "subject": { "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": subject, "size": 1 },
        });
        let digest = sha256(manifest.to_string().as_bytes());
        client.put_manifest("team/app", &digest, &manifest).await.is(201);
        digest
    };
    let signature = attach(&image, "application/vnd.dev.cosign.artifact.sig.v1+json").await;
    let sbom = attach(&image, "application/spdx+json").await;
    let gone = format!("sha256:{}", "0".repeat(64));
    let other = attach(&gone, "text/<script>").await;
    let list = admin.get(path).await.is(200).json();
    let items = list["items"].as_array().unwrap();
    let of = |digest: &str| items.iter().find(|item| item["digest"] == digest).unwrap_or_else(|| panic!("no {digest}"));
    assert_eq!((items.len(), &of(&signature)["subject_tags"]), (3, &json!(["1.0"])));
    assert_eq!(
        (&of(&sbom)["artifact_type"], &of(&sbom)["has_subject"]),
        (&json!("application/spdx+json"), &json!(true))
    );
    assert_eq!((&of(&other)["has_subject"], &of(&other)["pushed_by"]), (&json!(false), &json!("admin")));
    let page = html(&browser.get(path).await.is(200));
    shows(&page, &["Signature", "SBOM", "Attachment", "not here", "oras pull", &gone[7..19], &sbom[7..19]]);
    assert!(!page.contains("<script>"), "{page}");
    let mut digests = Vec::new();
    let mut next = Some(format!("/api/v1{path}?n=1"));
    while let Some(target) = next {
        let page = client.get(&target).await.is(200);
        digests.push(page.json()["items"][0]["digest"].as_str().unwrap().to_owned());
        next = page.next().map(str::to_owned);
    }
    assert_eq!(digests.len(), 3);
    admin.get(&format!("{path}?last=x")).await.refused(400, "INVALID_REQUEST");
    registry.user("alice").get(path).await.refused(404, "NOT_FOUND");
    registry.nobody().get(path).await.is(401);
}

#[tokio::test]
async fn a_session_has_the_name_of_its_browser() {
    let registry = Managed::start(PROGRAM, |_| {});
    let mut browser = Browser::new(&registry);
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
    let login = browser.ask(Method::POST, "/login").header("content-type", "application/x-www-form-urlencoded");
    let login = login.header("sec-fetch-site", "same-origin").header("user-agent", agent);
    let reply = login.body("username=admin&password=admin%21").send().await.is(303);
    browser.keep(&reply);
    let named = format!("<bdi title=\"{agent}\">Firefox 128 on Linux</bdi>");
    shows(&html(&browser.get("/profile").await.is(200)), &[&named]);
}

#[tokio::test]
async fn hints_have_code_as_code() {
    let registry = Managed::start(PROGRAM, |_| {});
    let browser = Browser::of(&registry, "admin").await;
    for section in ["operator", "collection", "pagination", "sessions"] {
        let page = html(&browser.get(&format!("/settings/{section}")).await.is(200));
        assert!(!page.contains('`'), "{section}");
    }
    shows(&html(&browser.get("/settings/operator").await.is(200)), &["<code>read_only</code> and <code>delete</code>"]);
    let docs = html(&browser.get("/docs/api/repositories").await.is(200));
    shows(&docs, &["<code class=\"path\">/<wbr>repositories/<wbr>{repository}"]);
}

#[tokio::test]
async fn a_browser_keeps_the_page_for_when_nothing_answers() {
    let registry = Managed::start(PROGRAM, |_| {});
    let browser = Browser::new(&registry);
    let page = html(&browser.get("/ui/offline").await.is(200));
    shows(&page, &["The registry does not answer", "data-retry=\"5\"", "Try now"]);
    let home = html(&Browser::of(&registry, "admin").await.get("/").await.is(200));
    let worker = home.split("data-worker=\"").nth(1).expect("a worker").split('"').next().unwrap();
    let script = browser.get(worker).await.is(200);
    assert_eq!(script.header("service-worker-allowed"), "/");
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
    assert!(String::from_utf8_lossy(&script.body).contains("/ui/offline"));
}
