//! The assertions of the official conformance suite of the distribution specification, so that they hold without that
//! program. Every option is on; each kind of content is tested with sha256 and with sha512.

mod blobs;
mod contents;
mod empty;
mod set;

use bytes::Bytes;
use http::Method;
use testing::session::*;

/// The suite's name for a repository, and another one to mount from.
const REPO: &str = "conformance/repo1";
const OTHER: &str = "conformance/repo2";

/// Asserts that a blob exists: `HEAD` and `GET` serve it with the headers that clients rely on.
async fn is_served(client: &Client, name: &str, digest: &str, content: &[u8]) {
    let path = format!("/v2/{name}/blobs/{digest}");
    let head = client.head(&path).await.is(200);
    let get = client.get(&path).await.is(200);
    for reply in [&head, &get] {
        assert_eq!(reply.header("content-length"), content.len().to_string());
        assert_eq!(reply.header("docker-content-digest"), digest);
    }
    assert!(head.body.is_empty());
    assert_eq!(get.body, content);
}

/// Asserts that new content is at the `Location` of its response.
async fn location_leads_to(client: &Client, created: &Reply, content: &[u8]) {
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(client.read(created.header("location")).await.body, content);
}

/// Deletes a blob and asserts that it is gone at once.
async fn goes_away(client: &Client, name: &str, digest: &str) {
    let path = format!("/v2/{name}/blobs/{digest}");
    client.delete(&path).await.is(202);
    client.head(&path).await.is(404);
    client.delete(&path).await.refused(404, "BLOB_UNKNOWN");
}

/// Appends the digest to a URL that may have a query already.
fn with_digest(location: &str, digest: &str) -> String {
    let sign = if location.contains('?') { '&' } else { '?' };
    format!("{location}{sign}digest={digest}")
}

/// Opens a session and finishes it with one body, sent without a length, as Go does for an empty one.
async fn post_and_put(client: &Client, name: &str, digest: &str, content: Bytes) -> Reply {
    let location = client.locate(name).await;
    let put = client.ask(Method::PUT, with_digest(&location, digest));
    put.header("content-type", "application/octet-stream").stream(vec![content]).send().await
}
