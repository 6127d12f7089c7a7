//! Lists from registries with unusual paging, and links that lead elsewhere.

use crate::{
    fake::{Answer, Fake},
    words::*,
};
use client::{ErrorKind, PageRequest};
use futures_util::{StreamExt as _, TryStreamExt as _};
use oci::{Tag, media_type::OCI_INDEX};
use serde_json::json;

#[tokio::test]
async fn every_form_of_link_to_the_next_page_is_followed() {
    let fake = Fake::start(|asked| {
        let link = |target: &str| Answer::new(200).header("link", format!("<{target}>; rel=\"next\""));
        match asked.target.as_str() {
            "/v2/a/tags/list?n=2&last=a" => link("/v2/a/tags/list?n=2&last=c").body(r#"{"tags":["b","c"]}"#),
            "/v2/a/tags/list?n=2&last=c" => link("list?n=2&last=d").body(r#"{"tags":["d"]}"#),
            "/v2/a/tags/list?n=2&last=d" => link("?page=4").body(r#"{"tags":null}"#),
            "/v2/a/tags/list?page=4" => Answer::new(200).body(r#"{"name":"a","tags":["e"]}"#),
            other => panic!("{other}"),
        }
    })
    .await;
    let page = PageRequest { size: Some(2), after: Some("a".into()) };
    let tags: Vec<Tag> = fake.client().tags(&repository("a"), &page).entries().try_collect().await.unwrap();
    assert_eq!(tags, ["b", "c", "d", "e"].map(tag));
}

#[tokio::test]
async fn a_next_page_on_another_host_or_equal_to_this_one_is_refused() {
    let elsewhere = Fake::start(|_| Answer::new(200).body(r#"{"tags":["stolen"]}"#)).await;
    let absolute = format!("<http://{}/v2/a/tags/list?n=1>; rel=next", elsewhere.address);
    for (link, kind) in [
        (absolute.as_str(), ErrorKind::Refused),
        ("<https://evil.example/v2/a/tags/list>; rel=next", ErrorKind::Refused),
        ("<file:///etc/passwd>; rel=next", ErrorKind::Refused),
        ("</v2/a/tags/list>; rel=next", ErrorKind::Protocol),
    ] {
        let sent = link.to_owned();
        let fake = Fake::start(move |_| Answer::new(200).header("link", &sent).body(r#"{"tags":["b"]}"#)).await;
        let entries: Vec<_> = fake.client().tags(&repository("a"), &PageRequest::default()).entries().collect().await;
        let error = entries[0].as_ref().unwrap_err();
        assert_eq!((error.kind(), entries.len()), (kind, 1), "{link}: {error}");
    }
    assert_eq!(elsewhere.asked().len(), 0);
}

#[tokio::test]
async fn invalid_names_and_bodies_without_a_list_are_errors() {
    for (body, said) in [
        (r#"{"repositories":["ok","../\u001b[31m"]}"#, r"the list has an invalid name, ../\u{1b}[31m"),
        ("<html>", "the answer cannot be read: "),
        (r#"[["ok"]]"#, "the answer cannot be read: "),
    ] {
        let fake = Fake::start(move |_| Answer::new(200).body(body)).await;
        let error = fake.client().catalog(&PageRequest::default()).next_page().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[tokio::test]
async fn the_client_filters_referrers_unless_the_registry_did() {
    let subject = digest(b"subject");
    let entry = |name: &[u8], kind: &str| json!({ "mediaType": "x/y", "digest": digest(name), "size": 1, "artifactType": kind });
    let index = json!({ "schemaVersion": 2, "manifests": [entry(b"1", "a/b"), entry(b"2", "c/d")] }).to_string();
    for (filters, found) in [("", 1), ("artifactType", 2), ("other, artifactType", 2)] {
        let index = index.clone();
        let fake = Fake::start(move |_| {
            Answer::new(200).header("content-type", OCI_INDEX).header("oci-filters-applied", filters).body(&index)
        })
        .await;
        let referrers = fake.client().referrers(&repository("a"), &subject, Some("a/b")).await.unwrap();
        assert_eq!(referrers.len(), found, "{filters}");
        assert_eq!(fake.lines(), [format!("GET /v2/a/referrers/{subject}?artifactType=a%2Fb")]);
    }
}

#[tokio::test]
async fn referrers_come_in_pages_too() {
    let subject = digest(b"subject");
    let fake = Fake::start(|asked| {
        let name = if asked.target.ends_with("?p=2") { "2" } else { "1" };
        let entry = json!({ "mediaType": "x/y", "digest": digest(name.as_bytes()), "size": 1 });
        let answer =
            Answer::new(200).header("content-type", OCI_INDEX).body(json!({ "manifests": [entry] }).to_string());
        if name == "1" { answer.header("link", "<?p=2>; rel=\"next\"") } else { answer }
    })
    .await;
    assert_eq!(fake.client().referrers(&repository("a"), &subject, None).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_web_page_in_place_of_referrers_means_that_there_is_no_referrers_api() {
    let subject = digest(b"subject");
    let fake = Fake::start(|asked| match asked.target.contains("/referrers/") {
        true => Answer::new(200).header("content-type", "text/html").body("<html>"),
        false => Answer::new(404),
    })
    .await;
    assert_eq!(fake.client().referrers(&repository("a"), &subject, None).await.unwrap(), []);
    assert_eq!(fake.lines()[1], format!("GET /v2/a/manifests/{}", subject.fallback_tag()));
}
