//! Downloads and deletions of one file.

use super::{create, put, registry, stored};
use http::Method;
use serde_json::json;
use testing::session::sha256;

#[tokio::test]
async fn a_file_is_downloaded_in_ranges_and_only_if_it_changed() {
    let registry = registry();
    let alice = registry.user("alice");
    create(&alice, "ci-builds").await;
    stored(&alice, "ci-builds/-/1.0/app.html?media_type=text/html", "<script>0123456789</script>").await;
    let path = "/artifacts/ci-builds/1.0/app.html";
    let whole = alice.get(path).await.is(200);
    let etag = format!("\"{}\"", sha256(b"<script>0123456789</script>"));
    for (header, value) in [
        ("etag", etag.as_str()),
        ("content-type", "text/html"),
        ("content-disposition", "attachment; filename=\"app.html\""),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox"),
        ("accept-ranges", "bytes"),
        ("content-length", "27"),
    ] {
        assert_eq!(whole.header(header), value, "{header}");
    }
    assert!(!whole.has("wharf-variants"));
    let part = alice.ask(Method::GET, path).header("range", "bytes=8-10").send().await.is(206);
    assert_eq!((&part.body[..], part.header("content-range")), (&b"012"[..], "bytes 8-10/27"));
    alice.ask(Method::GET, path).header("range", "bytes=27-").send().await.refused(416, "RANGE_INVALID");
    let same = alice.ask(Method::GET, path).header("if-none-match", &etag).send().await.is(304);
    assert!(same.body.is_empty());
    let head = alice.ask(Method::HEAD, path).send().await.is(200);
    assert_eq!((head.header("content-length"), head.body.len()), ("27", 0));
}

#[tokio::test]
async fn of_several_variants_the_newest_is_sent_and_properties_choose() {
    let registry = registry();
    let alice = registry.user("alice");
    create(&alice, "ci-builds").await;
    for os in ["linux", "macos", "windows"] {
        stored(&alice, &format!("ci-builds/-/1.0/app?property.os={os}&property.arch=arm64"), os).await;
    }
    let newest = alice.get("/artifacts/ci-builds/1.0/app").await.is(200);
    assert_eq!((&newest.body[..], newest.header("wharf-variants")), (&b"windows"[..], "3"));
    let chosen = alice.get("/artifacts/ci-builds/1.0/app?property.os=macos").await.is(200);
    assert_eq!((&chosen.body[..], chosen.has("wharf-variants")), (&b"macos"[..], false));
    alice.get("/artifacts/ci-builds/1.0/app?property.os=plan9").await.refused(404, "NOT_FOUND");
    let several = alice.delete("/artifacts/ci-builds/1.0/app?property.arch=arm64").await.is(409);
    assert_eq!(
        (several.code().as_str(), several.json()["errors"][0]["detail"].as_array().unwrap().len()),
        ("AMBIGUOUS", 3)
    );
    alice.delete("/artifacts/ci-builds/1.0/app?property.os=linux").await.is(204);
    alice.delete("/artifacts/ci-builds/1.0/app?all=true").await.is(204);
    alice.delete("/artifacts/ci-builds/1.0/app?all=true").await.refused(404, "NOT_FOUND");
    assert_eq!(alice.get("/artifacts/ci-builds/trash").await.is(200).json()["items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn versions_are_in_their_natural_order_and_latest_is_the_newest_that_has_the_file() {
    let registry = registry();
    let alice = registry.user("alice");
    create(&alice, "ci-builds").await;
    for (version, path) in [("1.9", "app"), ("1.10", "app"), ("1.10", "notes"), ("1.11-rc.1", "other")] {
        stored(&alice, &format!("ci-builds/-/{version}/{path}"), version).await;
    }
    assert_eq!(alice.get("/artifacts/ci-builds/latest/app").await.is(200).body, "1.10");
    alice.get("/artifacts/ci-builds/latest/absent").await.refused(404, "NOT_FOUND");
    let versions = alice.get("/artifacts/ci-builds/versions").await.is(200);
    let text = String::from_utf8(versions.body.to_vec()).unwrap();
    let place = |version: &str| text.find(&format!("\"{version}\":[")).unwrap();
    assert!(place("1.11-rc.1") < place("1.10") && place("1.10") < place("1.9"), "{text}");
    assert_eq!(versions.json()["1.10"].as_array().unwrap().len(), 2);
    let page = alice.get("/artifacts/ci-builds/versions?n=2").await.is(200);
    assert_eq!(page.next(), Some("/api/v1/artifacts/ci-builds/versions?n=2&last=1.10"));
    let rest = alice.client.get(page.next().unwrap()).await.is(200).json();
    assert_eq!(rest.as_object().unwrap().keys().collect::<Vec<_>>(), ["1.9"]);
}

#[tokio::test]
async fn a_deleted_file_is_restored_unless_another_has_its_place() {
    let registry = registry();
    let alice = registry.user("alice");
    create(&alice, "ci-builds").await;
    let id = stored(&alice, "ci-builds/-/1.0/app", "one").await["id"].as_str().unwrap().to_owned();
    alice.delete("/artifacts/ci-builds/1.0/app").await.is(204);
    alice.get("/artifacts/ci-builds/1.0/app").await.refused(404, "NOT_FOUND");
    let trash = alice.get("/artifacts/ci-builds/trash").await.is(200).json();
    assert_eq!((&trash["items"][0]["artifact"]["id"], &trash["items"][0]["deleted_by"]), (&json!(id), &json!("alice")));
    let restore = format!("/artifacts/ci-builds/{id}/restore");
    let post = || alice.ask(Method::POST, &restore).send();
    assert_eq!(post().await.is(200).json()["id"], id);
    post().await.refused(404, "NOT_FOUND");
    assert_eq!(alice.get("/artifacts/ci-builds/1.0/app").await.is(200).body, "one");
    alice.delete("/artifacts/ci-builds/1.0/app").await.is(204);
    put(&alice, "ci-builds/-/1.0/app", "two").await.is(201);
    post().await.refused(409, "NAME_TAKEN");
}
