//! A daemon that is suspended for longer than its timeouts, as by a laptop's sleep, and resumes.

use crate::PROGRAM;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::time::Duration;
use testing::{daemon::Daemon, session::*, wire::Wire};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

const MIB: usize = 1 << 20;

#[tokio::test]
async fn transfers_continue_after_the_process_was_suspended() {
    let dir = tempfile::tempdir().unwrap();
    let settings = dir.path().join("settings.toml");
    std::fs::write(&settings, "[server]\nupload_stall_seconds = 2\ndownload_stall_seconds = 2\nheader_seconds = 2\n")
        .unwrap();
    let settings = ("REGISTRY_SETTINGS", settings.to_str().unwrap());
    let daemon = Daemon::start(PROGRAM, &dir.path().join("data"), &[settings]);
    let address = daemon.address();
    let content = noise(16 * MIB, 1);
    let digest = daemon.push_blob("app", content.clone()).await;

    // A pull by HTTP/2 that has read nothing of the body yet, and one by HTTP/1.1 in the middle.
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let mut builder = http2::Builder::new(TokioExecutor::new());
    let (mut h2, connection) = builder.initial_stream_window_size(64 << 10).handshake(io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(format!("http://registry/v2/app/blobs/{digest}")).body(Empty::<Bytes>::new()).unwrap();
    let pull = h2.send_request(request).await.unwrap();
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain
        .write_all(format!("GET /v2/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut received = vec![0; MIB];
    plain.read_exact(&mut received).await.unwrap();
    // An upload, and a request with an incomplete head.
    let place = daemon.begin("app").await;
    let mut upload = Wire::begin(address, "PATCH", &place, 10, b"01234").await;
    let mut head = TcpStream::connect(address).await.unwrap();
    head.write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    sleep(Duration::from_millis(700)).await;

    daemon.signal("STOP");
    sleep(Duration::from_secs(4)).await;
    daemon.signal("CONT");
    sleep(Duration::from_millis(500)).await;

    head.write_all(b"Connection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    head.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    upload.send(b"56789").await;
    assert_eq!(upload.status().await, Some(202));
    assert_eq!(pull.into_body().collect().await.expect("the pull goes on").to_bytes(), content);
    plain.read_to_end(&mut received).await.unwrap();
    assert!(received.ends_with(&content), "{} bytes came", received.len());
    let output = "the process was stopped";
    daemon.until(Duration::from_secs(5), output, async || daemon.log().contains(output)).await;
}

#[tokio::test]
async fn a_client_that_stalls_while_the_daemon_runs_is_disconnected() {
    let dir = tempfile::tempdir().unwrap();
    let settings = dir.path().join("settings.toml");
    std::fs::write(&settings, "[server]\nupload_stall_seconds = 2\n").unwrap();
    let settings = ("REGISTRY_SETTINGS", settings.to_str().unwrap());
    let daemon = Daemon::start(PROGRAM, &dir.path().join("data"), &[settings]);
    let place = daemon.begin("app").await;
    let mut upload = Wire::begin(daemon.address(), "PATCH", &place, 10, b"01234").await;
    sleep(Duration::from_millis(500)).await;
    daemon.signal("STOP");
    sleep(Duration::from_secs(3)).await;
    daemon.signal("CONT");
    assert_eq!(upload.status().await, Some(StatusCode::REQUEST_TIMEOUT.as_u16()));
}
