//! A scripted registry: a function returns its responses and breaks connections.

use client::{Builder, Client, RegistryAddress};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::words::quick;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The part of the body that was read.
    pub body: Vec<u8>,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// `GET /v2/`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

/// A response.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// The connection breaks after this many bytes of the body.
    cut: Option<usize>,
}

impl Answer {
    pub fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.into(), value.to_string()));
        self
    }

    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    pub fn cut(mut self, after: usize) -> Self {
        self.cut = Some(after);
        self
    }
}

/// How much of a request's body is read before the connection breaks; `None` if it does not break.
type Cut = dyn Fn(&Asked) -> Option<usize> + Send + Sync;
type Script = dyn Fn(&Asked) -> Answer + Send + Sync;

/// A running registry, which ends with the test.
pub struct Fake {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    serving: JoinHandle<()>,
}

impl Fake {
    pub async fn start(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::cutting(|_| None, script).await
    }

    /// A registry that also breaks connections during requests. The script sees what arrived; its answer is lost.
    pub async fn cutting(
        cut: impl Fn(&Asked) -> Option<usize> + Send + Sync + 'static,
        script: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (log, cut, script): (_, Arc<Cut>, Arc<Script>) = (asked.clone(), Arc::new(cut), Arc::new(script));
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (log, cut, script) = (log.clone(), cut.clone(), script.clone());
                // A client may disconnect at any time.
                tokio::spawn(async move { serve(stream, &log, &*cut, &*script).await.unwrap_or(()) });
            }
        });
        Self { address, asked, serving }
    }

    pub fn registry(&self) -> RegistryAddress {
        self.address.to_string().parse().unwrap()
    }

    pub fn builder(&self) -> Builder {
        Client::builder(self.registry()).retries(quick())
    }

    pub fn client(&self) -> Client {
        self.builder().build()
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The request lines.
    pub fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Serves one request and closes the connection.
async fn serve(mut stream: TcpStream, log: &Mutex<Vec<Asked>>, cut: &Cut, script: &Script) -> std::io::Result<()> {
    let mut read = Vec::new();
    let head = loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
        // TLS: a plain HTTP server answers 400.
        if read[0] == 0x16 {
            return stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").await;
        }
    };
    let text = String::from_utf8(read[..head].to_vec()).unwrap();
    let mut lines = text.lines();
    let first: Vec<&str> = lines.next().unwrap().split(' ').collect();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    });
    let mut asked =
        Asked { method: first[0].into(), target: first[1].into(), headers: headers.collect(), body: Vec::new() };
    let length: usize = asked.header("content-length").parse().unwrap_or(0);
    let cut = cut(&asked);
    let wanted = cut.unwrap_or(length).min(length);
    let mut body = read.split_off(head + 4);
    while body.len() < wanted && stream.read_buf(&mut body).await? > 0 {}
    body.truncate(wanted);
    asked.body = body;
    log.lock().unwrap().push(asked.clone());
    let answer = script(&asked);
    if cut.is_some() {
        return Ok(());
    }
    let mut head = format!("HTTP/1.1 {} Some\r\nconnection: close\r\n", answer.status);
    if !answer.headers.iter().any(|(name, _)| name == "content-length") && answer.status != 204 {
        head.push_str(&format!("content-length: {}\r\n", answer.body.len()));
    }
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).await?;
    if asked.method != "HEAD" {
        stream.write_all(&answer.body[..answer.cut.unwrap_or(answer.body.len())]).await?;
    }
    stream.shutdown().await
}
