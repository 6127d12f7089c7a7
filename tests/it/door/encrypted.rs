//! TLS: the handshake, the choice of a protocol, certificates of clients.

use super::{
    certs::{Authority, Pair, connect},
    wire::{Kept, Wire, ms},
};
use crate::{daemon::Daemon, registry::Registry};
use std::{path::Path, time::Instant};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_handshake_that_does_not_come_is_not_waited_for() {
    let authority = Authority::new();
    let tls = authority.server();
    let registry = Registry::with(|setup| (setup.limits.tls_handshake, setup.tls) = (ms(250), Some(tls))).await;
    for begins in [&b""[..], b"\x16\x03\x01"] {
        let asked = Instant::now();
        let mut wire = Wire::open(registry.address()).await;
        wire.send(begins).await;
        wire.rest().await;
        assert!(asked.elapsed() >= ms(240) && asked.elapsed() < ms(2000), "{:?}", asked.elapsed());
    }
    let mut wire = Wire::open(registry.address()).await;
    wire.send(b"\x80 neither TLS nor HTTP").await;
    let answer = wire.rest().await;
    assert!(!answer.starts_with(b"HTTP/"), "what is neither TLS nor HTTP is not answered in HTTP");
}

#[tokio::test]
async fn plain_http_on_the_tls_port_is_told_to_use_https() {
    let authority = Authority::new();
    let tls = authority.server();
    let registry = Registry::with(|setup| setup.tls = Some(tls)).await;
    let long = format!("PUT /v2/app/blobs/uploads/x HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", 8 << 20);
    for asked in ["GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &long] {
        let mut wire = Wire::open(registry.address()).await;
        wire.send(asked).await;
        let answer = wire.answer().await;
        assert_eq!(answer.status, 400, "{asked}");
        let error: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(error["errors"][0]["message"], "this port takes HTTPS only: use https://");
        assert!(wire.rest().await.is_empty(), "and the connection ends");
    }
    // Nothing was served by it, and TLS goes on.
    let mut kept =
        Kept::http1(connect(registry.address(), &authority.client(&["http/1.1"], None)).await.unwrap()).await;
    assert_eq!(kept.get("/v2/").await.status, 200);
}

#[tokio::test]
async fn after_the_handshake_the_same_clocks_run() {
    let authority = Authority::new();
    let tls = authority.server();
    let registry = Registry::with(|setup| {
        (setup.limits.first_byte, setup.limits.keep_alive, setup.tls) = (ms(300), ms(500), Some(tls));
    })
    .await;
    let client = authority.client(&["http/1.1"], None);
    let asked = Instant::now();
    let mut silent = Wire::over(connect(registry.address(), &client).await.unwrap());
    silent.rest().await;
    assert!(asked.elapsed() >= ms(290) && asked.elapsed() < ms(2000), "{:?}", asked.elapsed());
    // A slow handshake does not count against the first request.
    let stream = TcpStream::connect(registry.address()).await.unwrap();
    tokio::time::sleep(ms(350)).await;
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let mut late = Wire::over(client.connect(name, stream).await.unwrap());
    tokio::time::sleep(ms(100)).await;
    assert_eq!(late.get("/v2/").await.status, 200);
    let answered = Instant::now();
    late.rest().await;
    assert!(answered.elapsed() >= ms(490) && answered.elapsed() < ms(2500), "{:?}", answered.elapsed());
}

#[tokio::test]
async fn the_client_chooses_the_protocol_among_those_offered() {
    let authority = Authority::new();
    let tls = authority.server();
    let registry = Registry::with(|setup| setup.tls = Some(tls)).await;
    for (offered, chosen) in [
        (&["h2", "http/1.1"][..], Some(&b"h2"[..])),
        (&["http/1.1", "h2"], Some(b"h2")),
        (&["http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let stream = connect(registry.address(), &authority.client(offered, None)).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen, "{offered:?}");
        let mut kept = match chosen {
            Some(b"h2") => Kept::http2(stream).await,
            _ => Kept::http1(stream).await,
        };
        assert_eq!(kept.get("/v2/").await.status, 200, "{offered:?}");
    }
    assert!(connect(registry.address(), &authority.client(&["spdy/3"], None)).await.is_err());
}

#[tokio::test]
async fn a_refused_client_reads_why_over_tls_too() {
    let authority = Authority::new();
    let tls = authority.server();
    let registry = Registry::with(|setup| setup.tls = Some(tls)).await;
    let mut wire = Wire::over(connect(registry.address(), &authority.client(&["http/1.1"], None)).await.unwrap());
    let length = 8 << 20;
    wire.send(format!("PUT /v2/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n")).await;
    for _ in 0..128 {
        wire.send([7; 64 << 10]).await;
    }
    assert_eq!(wire.answer().await.status, 413);
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn where_clients_need_a_certificate_none_is_served_without() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    std::fs::create_dir(&root).unwrap();
    let (servers, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let pair = servers.sign("localhost");
    let vars = [
        ("REGISTRY_TLS_CERT", &*write(dir.path(), "tls.crt", &pair.cert_pem)),
        ("REGISTRY_TLS_KEY", &*write(dir.path(), "tls.key", &pair.key_pem)),
        ("REGISTRY_TLS_CLIENT_CA", &*write(dir.path(), "clients.crt", &clients.pem)),
    ];
    let daemon = Daemon::start(&root, &vars);
    let served = |pair: Option<Pair>| {
        let client = servers.client(&["http/1.1"], pair);
        let address = daemon.address();
        async move {
            // With TLS 1.3 a client learns of its refusal only when it reads.
            let Ok(stream) = connect(address, &client).await else { return false };
            let mut wire = Wire::over(stream);
            if tokio::io::AsyncWriteExt::write_all(&mut wire.io, b"GET /v2/ HTTP/1.0\r\n\r\n").await.is_err() {
                return false;
            }
            wire.rest().await.starts_with(b"HTTP/1.0 200")
        }
    };
    assert!(!served(None).await, "no certificate");
    assert!(!served(Some(strangers.sign("client"))).await, "somebody else's");
    assert!(served(Some(clients.sign("client"))).await);
    let stream = connect(daemon.address(), &servers.client(&["h2"], Some(clients.sign("client")))).await.unwrap();
    assert_eq!(Kept::http2(stream).await.get("/v2/").await.status, 200);
}
