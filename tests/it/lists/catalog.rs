//! Repositories: sorted by the bytes of their names, from any start, and without deleted ones.

use super::all_pages;
use testing::{registry::Registry, session::*};

/// Names that a directory walk would return in another order: `a-b` is before `a/c`.
const NAMES: [&str; 12] =
    ["a", "a-b", "a-b/c", "a.b", "a/c", "a/c-d", "a/c/d", "a/c.d/e", "a0", "a_b", "ab", "b/only/deep"];

async fn with_names() -> Registry {
    let registry = Registry::start().await;
    for name in NAMES.iter().rev() {
        registry.push_empty_index(name, "v1").await;
    }
    registry
}

fn sorted() -> Vec<&'static str> {
    let mut names = NAMES.to_vec();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn repositories_are_in_byte_order() {
    let registry = with_names().await;
    assert_eq!(sorted()[..5], ["a", "a-b", "a-b/c", "a.b", "a/c"]);
    let reply = registry.read("/v2/_catalog").await;
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.strings("repositories"), sorted());
    assert_eq!(reply.next(), None);
}

#[tokio::test]
async fn a_page_starts_after_any_text_even_if_it_is_not_a_name() {
    let registry = with_names().await;
    let others = [
        "0",
        "a-",
        "a-a",
        "a-b/",
        "a-b/z",
        "a.",
        "a/",
        "a/b",
        "a/c-",
        "a/c-d/x",
        "a/c.d",
        "a/c0",
        "a~",
        "A",
        "b",
        "b/only",
        "b/only/deep/er",
        "z",
        "a b",
        "a+b",
        "a!",
        "a%",
        "a-b c",
        "é",
        "a/é",
        "/",
        "..",
        "-",
        "a//c",
    ];
    for last in NAMES.iter().chain(&others) {
        let expected: Vec<_> = sorted().into_iter().filter(|name| name > last).collect();
        let query: String = form_urlencoded::byte_serialize(last.as_bytes()).collect();
        let whole = registry.read(format!("/v2/_catalog?last={query}")).await;
        assert_eq!(whole.strings("repositories"), expected, "{last:?}");
        let one = registry.read(format!("/v2/_catalog?n=1&last={query}")).await;
        assert_eq!(one.strings("repositories"), expected[..expected.len().min(1)], "{last:?}");
        assert_eq!(one.has("link"), expected.len() > 1, "{last:?}");
    }
}

#[tokio::test]
async fn pages_of_any_size_make_up_the_whole() {
    let registry = with_names().await;
    for n in 1..=NAMES.len() + 1 {
        let (names, pages) = all_pages(&registry, &format!("/v2/_catalog?n={n}"), "repositories").await;
        assert_eq!(names, sorted());
        assert_eq!(pages, NAMES.len().div_ceil(n));
    }
}

#[tokio::test]
async fn a_page_may_be_empty_and_an_invalid_number_is_refused() {
    let registry = with_names().await;
    let reply = registry.read("/v2/_catalog?n=0").await;
    assert!(reply.strings("repositories").is_empty() && !reply.has("link"));
    registry.get("/v2/_catalog?n=x").await.refused(400, "PAGINATION_NUMBER_INVALID");
    registry.get("/v2/_catalog?n=-1").await.refused(400, "PAGINATION_NUMBER_INVALID");
}

#[tokio::test]
async fn a_page_has_the_default_size_or_at_most_the_maximum() {
    let registry = Registry::with(|setup| {
        setup.settings.page_default = 3;
        setup.settings.page_max = 5;
    })
    .await;
    for name in NAMES {
        registry.push_empty_index(name, "v1").await;
    }
    for (query, size) in [("", 3), ("?n=4", 4), ("?n=5", 5), ("?n=6", 5), ("?n=99999999999999999999999", 5)] {
        let first = format!("/v2/_catalog{query}");
        let reply = registry.read(&first).await;
        assert_eq!(reply.strings("repositories"), sorted()[..size], "{query}");
        let next = reply.next().unwrap();
        assert!(next.starts_with("/v2/_catalog?") && next.contains(&format!("n={size}&")), "{next}");
        assert_eq!(all_pages(&registry, &first, "repositories").await.0, sorted());
    }
}

#[tokio::test]
async fn an_empty_registry_has_no_repositories() {
    let registry = Registry::start().await;
    let reply = registry.read("/v2/_catalog").await;
    assert_eq!(reply.json(), serde_json::json!({ "repositories": [] }));
}

#[tokio::test]
async fn a_repository_is_listed_while_it_has_a_manifest() {
    let registry = Registry::start().await;
    registry.push_blob("org/app", "a blob makes no repository").await;
    registry.begin("org/upload").await;
    assert!(registry.read("/v2/_catalog").await.strings("repositories").is_empty());
    let digest = registry.push_empty_index("org/app", "v1").await;
    registry.push_empty_index("org/app/below", "v1").await;
    registry.delete("/v2/org/app/manifests/v1").await.is(202);
    assert_eq!(registry.read("/v2/_catalog").await.strings("repositories"), ["org/app", "org/app/below"]);
    registry.delete(format!("/v2/org/app/manifests/{digest}")).await.is(202);
    assert_eq!(registry.read("/v2/_catalog").await.strings("repositories"), ["org/app/below"]);
    // A repository counts even if its only manifest has a sha512 digest.
    let manifest = index(&[]).to_string();
    registry.put_bytes("org/app", &sha512(manifest.as_bytes()), OCI_INDEX, manifest).await.is(201);
    assert_eq!(registry.read("/v2/_catalog?n=1").await.strings("repositories"), ["org/app"]);
}
