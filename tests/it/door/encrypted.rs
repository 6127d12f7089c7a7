//! TLS: the handshake, the choice of a protocol, client certificates.

use crate::PROGRAM;
use std::{path::Path, time::Instant};
use testing::{
    certs::{Authority, Pair, connect},
    daemon::Daemon,
    kept::Kept,
    registry::Registry,
    wire::{Wire, ms},
};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_missing_tls_handshake_times_out() {
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
    assert!(!answer.starts_with(b"HTTP/"), "anything but TLS and HTTP gets no HTTP response");
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
        assert!(answer.head.starts_with("http/1.1 400 this port takes https only"), "{answer:?}");
        let error: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(error["errors"][0]["message"], "this port takes HTTPS only: use https://");
        assert!(wire.rest().await.is_empty(), "and the connection ends");
    }
    // The connection served nothing, and TLS still works.
    let mut kept =
        Kept::http1(connect(registry.address(), &authority.client(&["http/1.1"], None)).await.unwrap()).await;
    assert_eq!(kept.get("/v2/").await.status, 200);
}

#[tokio::test]
async fn the_same_timeouts_apply_after_the_handshake() {
    let authority = Authority::new();
    let tls = authority.server();
    let registry = Registry::with(|setup| {
        (setup.limits.first_byte, setup.limits.header) = (ms(300), ms(200));
        (setup.limits.keep_alive, setup.tls) = (ms(500), Some(tls));
    })
    .await;
    let client = authority.client(&["http/1.1"], None);
    let asked = Instant::now();
    let mut silent = Wire::over(connect(registry.address(), &client).await.unwrap());
    silent.rest().await;
    assert!(asked.elapsed() >= ms(290) && asked.elapsed() < ms(2000), "{:?}", asked.elapsed());
    // A slow handshake does not count towards the first request's time.
    let stream = TcpStream::connect(registry.address()).await.unwrap();
    tokio::time::sleep(ms(350)).await;
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let mut late = Wire::over(client.connect(name, stream).await.unwrap());
    tokio::time::sleep(ms(100)).await;
    assert_eq!(late.get("/v2/").await.status, 200);
    let answered = Instant::now();
    late.rest().await;
    assert!(answered.elapsed() >= ms(490) && answered.elapsed() < ms(2500), "{:?}", answered.elapsed());
    // A head has a timeout too, but an idle connection has a longer one.
    let mut slow = Wire::over(connect(registry.address(), &client).await.unwrap());
    slow.send("GET /v2/ HTTP/1.1\r\nX").await;
    assert!(slow.rest().await.is_empty());
    let mut idle = Wire::over(connect(registry.address(), &client).await.unwrap());
    assert_eq!(idle.get("/v2/").await.status, 200);
    assert!(idle.stays(ms(300)).await);
    assert_eq!(idle.get("/v2/").await.status, 200);
    assert!(idle.rest().await.is_empty());
    let mut silent = Wire::over(connect(registry.address(), &authority.client(&["h2"], None)).await.unwrap());
    assert!(!silent.rest().await.is_empty(), "HTTP/2 settings and GOAWAY");
}

#[tokio::test]
async fn the_client_chooses_among_the_offered_protocols() {
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
async fn a_refused_client_gets_the_reason_over_tls_too() {
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
async fn required_client_certificates_are_enforced() {
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
    let daemon = Daemon::start(PROGRAM, &root, &vars);
    let served = |pair: Option<Pair>| {
        let client = servers.client(&["http/1.1"], pair);
        let address = daemon.address();
        async move {
            // With TLS 1.3 a client learns of the rejection only when it reads.
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
