//! Tags: sorted by bytes, from any start, in pages.

use super::all_pages;
use testing::{registry::Registry, session::*};

/// Tags with every kind of character, unsorted.
const TAGS: [&str; 10] = ["v1", "V1", "_1", "1.0", "a", "a-b", "a.b", "a_b", "Z", "latest"];

async fn with_tags<'a>(tags: impl IntoIterator<Item = &'a str>) -> Registry {
    let registry = Registry::start().await;
    let manifest = index(&[]).to_string();
    let query: Vec<_> = tags.into_iter().map(|tag| format!("tag={tag}")).collect();
    for tags in query.chunks(100) {
        let target = format!("{}?{}", sha256(manifest.as_bytes()), tags.join("&"));
        registry.put_bytes("org/app", &target, OCI_INDEX, manifest.clone()).await.is(201);
    }
    registry
}

fn sorted() -> Vec<&'static str> {
    let mut tags = TAGS.to_vec();
    tags.sort_unstable();
    tags
}

#[tokio::test]
async fn tags_are_in_byte_order_and_all_on_one_page() {
    let registry = with_tags(TAGS).await;
    let reply = registry.read("/v2/org/app/tags/list").await;
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.json()["name"], "org/app");
    assert_eq!(reply.strings("tags"), sorted());
    assert_eq!(reply.next(), None);
}

#[tokio::test]
async fn a_list_starts_after_any_text_even_if_it_is_not_a_tag() {
    let registry = with_tags(TAGS).await;
    for last in
        ["", "0", "1.0", "A", "Z", "a", "a-", "a-b", "a.", "a0", "zzz", "~", "%20", "%C3%A9", "a%2Fb", "..", "%00"]
    {
        let text: String = form_urlencoded::parse(format!("x={last}").as_bytes()).next().unwrap().1.into();
        let expected: Vec<_> = sorted().into_iter().filter(|tag| *tag > text.as_str()).collect();
        let whole = registry.read(format!("/v2/org/app/tags/list?last={last}")).await;
        assert_eq!(whole.strings("tags"), expected, "{last}");
        let some = registry.read(format!("/v2/org/app/tags/list?n=2&last={last}")).await;
        assert_eq!(some.strings("tags"), expected[..expected.len().min(2)], "{last}");
        assert_eq!(some.has("link"), expected.len() > 2);
    }
}

#[tokio::test]
async fn pages_of_any_size_make_up_the_whole() {
    let registry = with_tags(TAGS).await;
    for n in 1..=TAGS.len() + 1 {
        let first = format!("/v2/org/app/tags/list?n={n}");
        let (tags, pages) = all_pages(&registry, &first, "tags").await;
        assert_eq!(tags, sorted());
        assert_eq!(pages, TAGS.len().div_ceil(n), "no empty page at the end");
        if let Some(next) = registry.read(&first).await.next() {
            assert!(next.starts_with("/v2/org/app/tags/list?"), "relative: {next}");
            assert!(next.contains(&format!("n={n}&")), "{next}");
        }
    }
}

#[tokio::test]
async fn a_page_may_be_empty() {
    let registry = with_tags(TAGS).await;
    let reply = registry.read("/v2/org/app/tags/list?n=0").await;
    assert!(reply.strings("tags").is_empty());
    assert!(!reply.has("link"));
    registry.get("/v2/org/nobodys/tags/list?n=0").await.refused(404, "NAME_UNKNOWN");
}

#[tokio::test]
async fn an_invalid_page_size_is_refused() {
    let registry = with_tags(TAGS).await;
    for bad in ["-1", "x", "1.5", "%2B1", "0x10", "1e3"] {
        let reply = registry.get(format!("/v2/org/app/tags/list?n={bad}")).await;
        reply.refused(400, "PAGINATION_NUMBER_INVALID");
    }
}

#[tokio::test]
async fn a_repository_without_tags_has_an_empty_list() {
    let registry = Registry::start().await;
    let digest = registry.push_empty_index("app", "v1").await;
    registry.delete("/v2/app/manifests/v1").await.is(202);
    let reply = registry.read("/v2/app/tags/list").await;
    assert_eq!(reply.json(), serde_json::json!({ "name": "app", "tags": [] }));
    registry.delete(format!("/v2/app/manifests/{digest}")).await.is(202);
    registry.get("/v2/app/tags/list").await.refused(404, "NAME_UNKNOWN");
    registry.push_blob("blobs-only", "x").await;
    registry.get("/v2/blobs-only/tags/list").await.refused(404, "NAME_UNKNOWN");
}

#[tokio::test]
async fn five_thousand_tags_are_listed_at_once_and_in_pages() {
    let tags: Vec<String> = (0..5_000).map(|i| format!("build-{i}")).collect();
    let registry = with_tags(tags.iter().map(String::as_str)).await;
    let mut expected = tags.clone();
    expected.sort();
    let whole = registry.read("/v2/org/app/tags/list").await;
    assert_eq!(whole.strings("tags"), expected);
    assert_eq!(whole.next(), None);
    for (n, size, pages) in [(1000, 1000, 5), (999, 999, 6), (1001, 1000, 5), (4000, 1000, 5), (u64::MAX, 1000, 5)] {
        let first = format!("/v2/org/app/tags/list?n={n}");
        assert_eq!(registry.read(&first).await.strings("tags").len(), size);
        assert_eq!(all_pages(&registry, &first, "tags").await, (expected.clone(), pages), "{n}");
    }
    let beyond = "99999999999999999999999999";
    let reply = registry.read(format!("/v2/org/app/tags/list?n={beyond}")).await;
    assert_eq!(reply.strings("tags").len(), 1000);
}
