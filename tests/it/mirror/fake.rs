//! A registry that does what a test tells it to, and counts what it is asked for.

use bytes::Bytes;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// An answer, as far as a test changes it.
#[derive(Clone, Default)]
pub struct Fake {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// Only this much of the body is sent, and then the connection ends.
    pub cut: Option<usize>,
    /// A pause after each tenth of the body.
    pub pause: Duration,
}

/// The fake registry.
#[derive(Clone)]
pub struct Upstream {
    address: SocketAddr,
    state: Arc<Mutex<FakeState>>,
}

#[derive(Default)]
struct FakeState {
    answers: HashMap<String, Fake>,
    asked: HashMap<String, usize>,
    /// Every answer, whatever was asked.
    always: Option<Fake>,
}

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Self { address: listener.local_addr().unwrap(), state: Arc::default() };
        let serving = upstream.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move { serving.serve(stream).await });
            }
        });
        upstream
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, a GET or HEAD of this path is answered like this.
    pub fn answer(&self, path: impl Into<String>, fake: Fake) {
        self.state.lock().unwrap().answers.insert(path.into(), fake);
    }

    /// From now on, everything is answered like this; `None` for what was set before.
    pub fn always(&self, fake: Option<Fake>) {
        self.state.lock().unwrap().always = fake;
    }

    pub fn has_blob(&self, name: &str, content: impl Into<Bytes>) -> String {
        let content = content.into();
        let digest = testing::content::sha256(&content);
        self.answer(format!("/v2/{name}/blobs/{digest}"), Fake::ok(content));
        digest
    }

    /// Serves a manifest at a tag and at its digest.
    pub fn has_manifest(&self, name: &str, tag: &str, manifest: &serde_json::Value) -> String {
        let bytes = Bytes::from(serde_json::to_vec(manifest).unwrap());
        let digest = testing::content::sha256(&bytes);
        for reference in [tag, &digest] {
            let mut fake = Fake::ok(bytes.clone());
            fake.headers.push(("Content-Type".to_owned(), manifest["mediaType"].as_str().unwrap().to_owned()));
            fake.headers.push(("Docker-Content-Digest".to_owned(), digest.clone()));
            self.answer(format!("/v2/{name}/manifests/{reference}"), fake);
        }
        digest
    }

    /// How often this was asked for: `GET /v2/…`.
    pub fn asked(&self, request: &str) -> usize {
        self.state.lock().unwrap().asked.get(request).copied().unwrap_or(0)
    }

    /// How often anything was asked for.
    pub fn asked_in_all(&self) -> usize {
        self.state.lock().unwrap().asked.values().sum()
    }

    async fn serve(&self, mut stream: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            head.push(byte);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
        let fake = {
            let mut state = self.state.lock().unwrap();
            *state.asked.entry(format!("{method} {path}")).or_default() += 1;
            state.always.clone().or_else(|| state.answers.get(&path).cloned()).unwrap_or_else(Fake::absent)
        };
        let mut answer = format!("HTTP/1.1 {} Whatever\r\nConnection: close\r\n", fake.status);
        if !fake.headers.iter().any(|(name, _)| name == "Content-Length") {
            answer.push_str(&format!("Content-Length: {}\r\n", fake.body.len()));
        }
        fake.headers.iter().for_each(|(name, value)| answer.push_str(&format!("{name}: {value}\r\n")));
        answer.push_str("\r\n");
        if stream.write_all(answer.as_bytes()).await.is_err() || method == "HEAD" {
            return;
        }
        let body = &fake.body[..fake.cut.unwrap_or(fake.body.len())];
        for part in body.chunks((fake.body.len() / 10).max(1)) {
            if stream.write_all(part).await.is_err() {
                return;
            }
            if !fake.pause.is_zero() {
                tokio::time::sleep(fake.pause).await;
            }
        }
        let _ = stream.shutdown().await;
    }
}

impl Fake {
    pub fn ok(body: impl Into<Bytes>) -> Self {
        Self { status: 200, body: body.into(), ..Self::default() }
    }

    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub fn absent() -> Self {
        Self::status(404)
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}
