//! Read-only replicas beside the daemon that writes.

use super::{BEHIND, Site, push};
use http::Method;
use testing::{chaos::pull, content::noise};

const READ_ONLY: &[(&str, &str)] = &[("REGISTRY_SFTP_READ_ONLY", "true")];

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_replica_serves_pulls_and_refuses_writes_with_words() {
    let Some(site) = Site::new("a read-only replica") else { return };
    let writer = site.daemon("one", BEHIND);
    let first = push(&writer, "app", "v1", 100_000, 1).await;
    site.uploaded(&writer).await;
    let replica = site.daemon("two", READ_ONLY);
    replica.logged("only to read");
    assert_eq!(pull(&replica, "app", "v1").await, first);
    // What is pushed later, moved and deleted is seen.
    let second = push(&writer, "app", "v2", 100_000, 2).await;
    site.uploaded(&writer).await;
    assert_eq!(pull(&replica, "app", "v2").await, second);
    assert_eq!(replica.tags("app").await, ["v1", "v2"]);
    writer.delete("/v2/app/manifests/v1").await.is(202);
    site.uploaded(&writer).await;
    replica.get("/v2/app/manifests/v1").await.refused(404, "MANIFEST_UNKNOWN");
    assert_eq!(replica.get("/v2/_catalog").await.is(200).strings("repositories"), ["app"]);
    // Nothing is written, by whichever way it is asked for.
    for (method, path) in [
        (Method::POST, "/v2/app/blobs/uploads/".to_owned()),
        (Method::PUT, "/v2/app/manifests/v3".to_owned()),
        (Method::DELETE, format!("/v2/app/manifests/{second}")),
    ] {
        let refused = replica.ask(method.clone(), &path).body(noise(10, 1)).send().await;
        let words = String::from_utf8_lossy(&refused.body).into_owned();
        assert!(refused.status.is_client_error() && words.contains("read-only"), "{method} {path}: {refused:?}");
    }
    replica.get("/api/v1/storage").await.is(200);
    for path in ["/", "/system", "/repositories/app", "/health"] {
        replica.get(path).await.is(200);
    }
    // The writer goes on, and so does the replica when the writer has ended.
    let third = push(&writer, "app", "v3", 1000, 3).await;
    site.uploaded(&writer).await;
    drop(writer);
    assert_eq!(pull(&replica, "app", "v3").await, third);
    let log = replica.log();
    assert!(!log.contains("cannot") && !log.contains(" ERROR "), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_of_nothing_and_contradictions_are_refused() {
    let Some(site) = Site::new("replicas that cannot be") else { return };
    let refused = site.refusal("two", READ_ONLY);
    assert!(refused.contains("ROOT.json"), "{refused}");
    let refused = site.refusal("two", &[READ_ONLY, BEHIND].concat());
    assert!(refused.contains("REGISTRY_SFTP_WRITE_BEHIND") && refused.contains("REGISTRY_SFTP_READ_ONLY"), "{refused}");
}
