//! What clients see at the connection limit.

use crate::PROGRAM;
use std::time::Duration;
use testing::{daemon::Daemon, registry::Registry, session::*, wire::Wire};
use tokio::io::AsyncWriteExt as _;

#[tokio::test]
async fn when_every_connection_is_busy_health_is_answered_and_others_get_retry_after() {
    let registry = Registry::with(|setup| setup.limits.connections = 2).await;
    let (one, two) = (registry.begin("app").await, registry.begin("app").await);
    let address = registry.address();
    let mut uploads = Vec::new();
    for place in [&one, &two] {
        uploads.push(Wire::begin(address, "PATCH", place, 10, b"12345").await);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let fresh = || Client::new(address);
    let refused = fresh().get("/v2/").await;
    refused.refused(503, "UNAVAILABLE");
    assert_eq!((refused.header("retry-after"), refused.header("connection")), ("5", "close"));
    assert_eq!(fresh().get("/health").await.status, 200);
    assert_eq!(fresh().get("/health/ready").await.status, 200);
    for upload in &mut uploads {
        upload.send(b"67890").await;
        assert_eq!(upload.status().await, Some(202), "existing connections are served");
    }
    assert_eq!(fresh().get("/v2/").await.status, 200);
}

#[tokio::test]
async fn a_client_that_half_closes_after_its_request_gets_a_response_and_a_log_line() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(PROGRAM, &dir.path().join("data"), &[]);
    let digest = sha256(b"half");
    for (request, status) in [
        ("GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Request-Id: half-1\r\n\r\n".to_owned(), "200"),
        (
            format!(
                "POST /v2/app/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\nX-Request-Id: half-2\r\n\
                 Content-Length: 4\r\n\r\nhalf"
            ),
            "201",
        ),
    ] {
        let mut wire = Wire::open(daemon.address()).await;
        wire.send(request).await;
        wire.io.shutdown().await.unwrap();
        let answer = String::from_utf8(wire.rest().await).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer:?}");
    }
    for (id, status) in [("half-1", "status=200"), ("half-2", "status=201")] {
        let is_logged = async || daemon.log().lines().any(|line| line.contains(id) && line.contains(status));
        daemon.until(Duration::from_secs(5), id, is_logged).await;
    }
}
