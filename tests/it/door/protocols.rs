//! The same content over every protocol: sent by the kernel, framed, encrypted.

use bytes::Bytes;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use testing::{
    certs::{Authority, connect},
    kept::Kept,
    registry::Registry,
    session::*,
    wire::{Wire, ms},
};
use tokio::{io::AsyncWriteExt, net::TcpStream};

/// A connection of each protocol. A store can have only one registry, so the content is pushed to a plain and to an
/// encrypted one.
struct Four {
    plain: Registry,
    encrypted: Registry,
    authority: Authority,
}

impl Four {
    async fn start() -> Self {
        let authority = Authority::new();
        let tls = authority.server();
        Self {
            plain: Registry::start().await,
            encrypted: Registry::with(|setup| setup.tls = Some(tls)).await,
            authority,
        }
    }

    async fn connect(&self) -> Vec<(&'static str, Kept)> {
        let plain = || async { TcpStream::connect(self.plain.address()).await.unwrap() };
        let tls = |protocol: &'static str| async move {
            let client = self.authority.client(&[protocol], None);
            connect(self.encrypted.address(), &client).await.unwrap()
        };
        vec![
            ("HTTP/1.1", Kept::http1(plain().await).await),
            ("HTTP/2", Kept::http2(plain().await).await),
            ("HTTP/1.1 over TLS", Kept::http1(tls("http/1.1").await).await),
            ("HTTP/2 over TLS", Kept::http2(tls("h2").await).await),
        ]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_is_pushed_and_pulled_by_every_protocol_at_once() {
    let four = Arc::new(Four::start().await);
    // Several windows of a file and of HTTP/2, and not a multiple of either.
    let content = noise((5 << 20) + 12_345, 1);
    let digest = sha256(&content);
    let path = Arc::new(format!("/v2/app/blobs/{digest}"));
    let mut tasks = Vec::new();
    for (name, mut kept) in four.connect().await {
        let (content, digest, path) = (content.clone(), digest.clone(), path.clone());
        tasks.push(tokio::spawn(async move {
            let push = format!("/v2/app/blobs/uploads/?digest={digest}");
            assert_eq!(kept.send("POST", &push, &[], content.clone()).await.status, 201, "{name}");
            for _ in 0..3 {
                let whole = kept.get(&path).await;
                assert_eq!((whole.status.as_u16(), sha256(&whole.body)), (200, digest.clone()), "{name}");
                let tls = name.ends_with("TLS");
                assert_eq!(whole.headers.contains_key("strict-transport-security"), tls, "{name}");
                for (range, from, to) in [
                    ("bytes=0-0", 0, 1),
                    ("bytes=262100-524400", 262_100, 524_401),
                    ("bytes=-12346", (5 << 20) - 1, content.len()),
                    ("bytes=1048576-", 1 << 20, content.len()),
                ] {
                    let part = kept.send("GET", &path, &[("range", range)], "").await;
                    assert_eq!(part.status, 206, "{name} {range}");
                    assert!(part.body == content.slice(from..to), "{name} {range}");
                }
                let none = kept.send("HEAD", &path, &[], "").await;
                assert_eq!(none.headers["content-length"], content.len().to_string(), "{name}");
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn many_ranges_come_in_order_over_every_protocol() {
    let four = Four::start().await;
    let content = noise(1_500_000, 2);
    let digest = four.plain.push_blob("app", content.clone()).await;
    for (name, mut kept) in four.connect().await {
        if name.ends_with("TLS") {
            kept.send("POST", &format!("/v2/app/blobs/uploads/?digest={digest}"), &[], content.clone()).await;
        }
        let range = ("range", "bytes=700000-1300000,300000-300004,-3,0-262143");
        let parts = kept.send("GET", &format!("/v2/app/blobs/{digest}"), &[range], "").await;
        assert_eq!(parts.status, 206, "{name}");
        let media_type = parts.headers["content-type"].to_str().unwrap().to_owned();
        let boundary = media_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
        let mut expected = Vec::new();
        for (from, to) in [(700_000, 1_300_001), (300_000, 300_005), (1_499_997, 1_500_000), (0, 262_144)] {
            let lead = if expected.is_empty() { "" } else { "\r\n" };
            let head = format!(
                "{lead}--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {from}-{}/1500000\r\n\r\n",
                to - 1
            );
            expected.extend(head.as_bytes());
            expected.extend(&content[from..to]);
        }
        expected.extend(format!("\r\n--{boundary}--\r\n").as_bytes());
        assert!(parts.body == expected, "{name}");
        assert_eq!(kept.get("/v2/").await.body, "{}\n", "{name}: the connection is still usable");
    }
}

/// The path of a blob.
fn file(registry: &Registry, digest: &str) -> PathBuf {
    let hex = digest.strip_prefix("sha256:").unwrap();
    registry.root().join("blobs/sha256").join(&hex[..2]).join(hex)
}

/// Truncates a file at a page boundary: the kernel's send buffers share the file's pages, and a cut within a page would
/// clear the rest of it there too.
fn cut(path: &Path) {
    std::fs::File::options().append(true).open(path).unwrap().set_len(245 * 4096).unwrap();
}

#[tokio::test]
async fn a_truncated_file_ends_the_connection_and_never_sends_zeros() {
    let registry = Registry::start().await;
    let content = Bytes::from(noise(1 << 20, 3).repeat(16));
    let digest = registry.push_blob("app", content.clone()).await;
    let mut wire = Wire::open(registry.address()).await;
    wire.send(format!("GET /v2/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    assert!(wire.more().await.unwrap() > 0);
    cut(&file(&registry, &digest));
    let got = wire.rest().await;
    let body = &got[got.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4..];
    assert!(body.len() < content.len() && content.starts_with(body), "{} bytes", body.len());
    // A range that still exists is served correctly.
    let part = registry.ask(http::Method::GET, format!("/v2/app/blobs/{digest}")).header("range", "bytes=5-9").send();
    assert_eq!(part.await.body, content[5..10]);
}

#[tokio::test]
async fn a_file_shorter_than_its_blob_is_never_padded() {
    let four = Four::start().await;
    let content = noise(4 << 20, 5);
    let digest = sha256(&content);
    for (name, mut kept) in four.connect().await {
        let pushed = kept.send("POST", &format!("/v2/app/blobs/uploads/?digest={digest}"), &[], content.clone()).await;
        assert_eq!(pushed.status, 201, "{name}");
    }
    cut(&file(&four.plain, &digest));
    cut(&file(&four.encrypted, &digest));
    for (name, mut kept) in four.connect().await {
        let request = match &kept {
            Kept::One(_) => http::Request::get(format!("/v2/app/blobs/{digest}")).header("host", "localhost"),
            Kept::Two(_) => http::Request::get(format!("http://localhost/v2/app/blobs/{digest}")),
        };
        // An error, or the remaining bytes with their own length; the digest reveals it to the client.
        if let Ok(whole) = kept.ask(request.body(Bytes::new().into()).unwrap()).await {
            assert!(whole.status != 200 || content.starts_with(&whole.body), "{name}: {} bytes", whole.body.len());
            assert_ne!(whole.status, 404, "{name}");
        }
    }
}

#[tokio::test]
async fn a_client_that_reads_slowly_gets_the_right_bytes() {
    let registry = Registry::start().await;
    let content = noise(1 << 20, 4);
    let digest = registry.push_blob("app", content.clone()).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 << 10).unwrap();
    let mut wire = Wire::over(socket.connect(registry.address()).await.unwrap());
    wire.send(format!("GET /v2/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
    let mut got = Vec::new();
    for step in 0.. {
        if wire.more().await.unwrap() == 0 {
            break;
        }
        got.extend(wire.take());
        if step % 32 == 0 {
            tokio::time::sleep(ms(1)).await;
        }
    }
    let body = &got[got.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4..];
    assert!(body == content);
}

#[tokio::test]
async fn an_image_is_pushed_and_pulled_by_every_protocol() {
    let four = Four::start().await;
    for (name, mut kept) in four.connect().await {
        let config = Bytes::from(format!("{{\"of\":\"{name}\"}}"));
        let begun = kept.send("POST", "/v2/app/blobs/uploads/", &[], "").await;
        assert_eq!(begun.status, 202, "{name}");
        let location = begun.headers["location"].to_str().unwrap().to_owned();
        assert_eq!(kept.send("PATCH", &location, &[], config.clone()).await.status, 202, "{name}");
        let finish = format!("{location}?digest={}", sha256(&config));
        assert_eq!(kept.send("PUT", &finish, &[], "").await.status, 201, "{name}");
        let manifest = image(&descriptor(CONFIG, &config), &[]).to_string();
        let put = kept.send("PUT", "/v2/app/manifests/v1", &[("content-type", OCI_MANIFEST)], manifest.clone()).await;
        assert_eq!(put.status, 201, "{name}");
        assert_eq!(kept.get("/v2/app/manifests/v1").await.body, manifest, "{name}");
    }
}

#[tokio::test]
async fn the_protocol_is_detected_however_the_first_bytes_arrive() {
    let registry = Registry::start().await;
    let mut stream = TcpStream::connect(registry.address()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    // The preface and empty settings of HTTP/2, byte by byte.
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0" {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::time::sleep(ms(2)).await;
    }
    let mut wire = Wire::over(stream);
    assert!(wire.more().await.unwrap() > 0);
    assert_eq!(wire.take()[3], 4, "the server sends its settings");
    for begins in ["P", "PRI", "PRI * HTTP/2.0\r\n"] {
        let mut wire = Wire::open(registry.address()).await;
        wire.send(begins).await;
        tokio::time::sleep(ms(20)).await;
        wire.send("x /v2/ HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let answer = String::from_utf8_lossy(&wire.rest_for(ms(500)).await).into_owned();
        assert!(answer.starts_with("HTTP/1.1 4"), "{begins:?}: {answer}");
    }
    // A method that starts like the preface.
    let mut wire = Wire::open(registry.address()).await;
    wire.send("P").await;
    tokio::time::sleep(ms(20)).await;
    wire.send("OST /v2/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(wire.answer().await.status, 202);
    // And a request that is cut at every position.
    let mut wire = Wire::open(registry.address()).await;
    wire.io.set_nodelay(true).unwrap();
    let target = format!("s/uploads/?digest={} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r", sha256(b"abc"));
    for piece in ["P", "OST /v2/app/blob", &target, "\n\r\nab", "c"] {
        wire.send(piece).await;
        tokio::time::sleep(ms(30)).await;
    }
    assert_eq!(wire.answer().await.status, 201);
}
