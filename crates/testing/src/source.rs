//! A registry to copy from, which misbehaves as it is told. Nothing in it is checked.

use crate::content::{CONFIG, LAYER, OCI_MANIFEST, descriptor, image, sha256};
use bytes::Bytes;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status, with these headers.
    Status(u16, Vec<(&'static str, String)>),
    /// The connection breaks after this many bytes of the body.
    Cut(usize),
    /// Other bytes of the same length.
    WrongBytes,
    /// A byte at a time, with this pause.
    Drip(Duration),
    /// Pieces of 64 KiB, with this pause.
    Slow(Duration),
}

/// A request: its line (`GET /v2/app/tags/list`), how often there was one like it before, and its `Authorization`.
pub struct Asked<'a> {
    pub line: &'a str,
    pub before: usize,
    pub authorization: Option<&'a str>,
}

type Faults = dyn Fn(&Asked<'_>) -> Option<Fault> + Send + Sync;

#[derive(Default)]
struct SourceContent {
    /// By path: the media type and the bytes.
    files: BTreeMap<String, (String, Bytes)>,
    /// Request lines, in their order.
    asked: Vec<String>,
    /// Blobs that are being sent, and the most of them so far.
    sending: (usize, usize),
}

/// A running registry, which ends with the test.
pub struct Source {
    address: SocketAddr,
    content: Arc<Mutex<SourceContent>>,
    serving: JoinHandle<()>,
}

impl Source {
    pub async fn start(faults: impl Fn(&Asked<'_>) -> Option<Fault> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let content: Arc<Mutex<SourceContent>> = Arc::default();
        let (shared, faults): (_, Arc<Faults>) = (content.clone(), Arc::new(faults));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, faults) = (shared.clone(), faults.clone());
                // A client may disconnect at any time.
                tokio::spawn(async move { serve(stream, &shared, &*faults).await.unwrap_or(()) });
            }
        });
        let source = Self { address, content, serving };
        source.put("/v2/", "application/json", "{}");
        source
    }

    /// Its address, as a request names it.
    pub fn name(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves this at a path.
    pub fn put(&self, path: &str, media_type: &str, bytes: impl Into<Bytes>) {
        let mut content = self.content.lock().expect("content");
        content.files.insert(path.to_owned(), (media_type.to_owned(), bytes.into()));
    }

    /// Serves a blob; returns its digest.
    pub fn put_blob(&self, repository: &str, bytes: impl Into<Bytes>) -> String {
        let bytes = bytes.into();
        let digest = sha256(&bytes);
        self.put(&format!("/v2/{repository}/blobs/{digest}"), "application/octet-stream", bytes);
        digest
    }

    /// Serves a manifest under its digest and a tag; returns the digest.
    pub fn put_manifest(&self, repository: &str, tag: &str, manifest: &Value) -> String {
        let (bytes, media_type) = (manifest.to_string(), manifest["mediaType"].as_str().unwrap_or(OCI_MANIFEST));
        let digest = sha256(bytes.as_bytes());
        for reference in [tag, &digest] {
            self.put(&format!("/v2/{repository}/manifests/{reference}"), media_type, bytes.clone());
        }
        digest
    }

    /// Serves an image with these layers under a tag; returns its digest.
    pub fn put_image(&self, repository: &str, tag: &str, layers: &[Bytes]) -> String {
        let config = format!("{{\"of\":\"{repository}:{tag}\"}}");
        self.put_blob(repository, config.clone());
        let layers = layers.iter().map(|layer| {
            self.put_blob(repository, layer.clone());
            descriptor(LAYER, layer)
        });
        let manifest = image(&descriptor(CONFIG, config.as_bytes()), &layers.collect::<Vec<_>>());
        self.put_manifest(repository, tag, &manifest)
    }

    /// Serves a list of tags.
    pub fn put_tags(&self, repository: &str, tags: &[&str]) {
        let list = json!({ "name": repository, "tags": tags });
        self.put(&format!("/v2/{repository}/tags/list"), "application/json", list.to_string());
    }

    /// Serves a catalog.
    pub fn put_catalog(&self, repositories: &[&str]) {
        self.put("/v2/_catalog", "application/json", json!({ "repositories": repositories }).to_string());
    }

    /// How often this was asked: `GET /v2/app/blobs/sha256:…`, without the query.
    pub fn count(&self, line: &str) -> usize {
        self.content.lock().expect("content").asked.iter().filter(|asked| *asked == line).count()
    }

    /// The most blobs that were sent at the same time.
    pub fn most_at_once(&self) -> usize {
        self.content.lock().expect("content").sending.1
    }

    /// All request lines so far, without queries.
    pub fn asked(&self) -> Vec<String> {
        self.content.lock().expect("content").asked.clone()
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Serves one request and closes the connection.
async fn serve(mut stream: TcpStream, shared: &Mutex<SourceContent>, faults: &Faults) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut lines = text.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let header = |name: &str| {
        let found = text.lines().filter_map(|line| line.split_once(':')).find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim().to_owned())
    };
    let path = target.split('?').next().unwrap_or_default();
    let line = format!("{method} {path}");
    let (found, before) = {
        let mut content = shared.lock().expect("content");
        let before = content.asked.iter().filter(|asked| **asked == line).count();
        content.asked.push(line.clone());
        (content.files.get(path).cloned(), before)
    };
    let authorization = header("authorization");
    let fault = faults(&Asked { line: &line, before, authorization: authorization.as_deref() });
    if let Some(Fault::Status(status, headers)) = &fault {
        let mut answer = format!("HTTP/1.1 {status} Some\r\nconnection: close\r\ncontent-length: 0\r\n");
        headers.iter().for_each(|(name, value)| answer.push_str(&format!("{name}: {value}\r\n")));
        return stream.write_all(format!("{answer}\r\n").as_bytes()).await;
    }
    let Some((media_type, mut bytes)) = found else {
        let answer = "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        return stream.write_all(answer.as_bytes()).await;
    };
    if matches!(fault, Some(Fault::WrongBytes)) {
        bytes = bytes.iter().map(|byte| byte ^ 1).collect::<Vec<_>>().into();
    }
    let from = header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let mut answer = match from {
        Some(from) if from < bytes.len() => {
            let range = format!("content-range: bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
            bytes = bytes.slice(from..);
            format!("HTTP/1.1 206 Partial Content\r\n{range}\r\n")
        }
        _ => "HTTP/1.1 200 OK\r\n".to_owned(),
    };
    answer.push_str(&format!(
        "connection: close\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\n\r\n",
        bytes.len()
    ));
    stream.write_all(answer.as_bytes()).await?;
    if method == "HEAD" {
        return Ok(());
    }
    let (piece, pause) = match fault {
        Some(Fault::Cut(after)) => return stream.write_all(&bytes[..after.min(bytes.len())]).await,
        Some(Fault::Drip(pause)) => (1, pause),
        Some(Fault::Slow(pause)) => (64 << 10, pause),
        _ => (bytes.len().max(1), Duration::ZERO),
    };
    let is_blob = path.contains("/blobs/");
    if is_blob {
        let mut content = shared.lock().expect("content");
        content.sending.0 += 1;
        content.sending.1 = content.sending.1.max(content.sending.0);
    }
    let (most, last) = bytes.split_at(bytes.len().saturating_sub(1) / piece * piece);
    let sent = send(&mut stream, most, piece, pause).await;
    // Before the last bytes: with these, the client may ask for the next blob at once.
    if is_blob {
        shared.lock().expect("content").sending.0 -= 1;
    }
    sent?;
    stream.write_all(last).await?;
    stream.shutdown().await
}

async fn send(stream: &mut TcpStream, bytes: &[u8], piece: usize, pause: Duration) -> std::io::Result<()> {
    for piece in bytes.chunks(piece) {
        stream.write_all(piece).await?;
        tokio::time::sleep(pause).await;
    }
    Ok(())
}
