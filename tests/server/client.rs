//! Clients that write what they like, byte by byte if need be.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{io, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    task::JoinHandle,
    time::timeout,
};

/// Longer than anything here takes; waiting so long is a failure.
pub const LONG: Duration = Duration::from_secs(8);

/// A connection on which bytes are written as they are.
pub struct Raw<T> {
    pub io: T,
    read: Vec<u8>,
}

/// One response, read by its length.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Raw<T> {
    pub fn new(io: T) -> Self {
        Self { io, read: Vec::new() }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.io.write_all(bytes.as_ref()).await.unwrap();
        self.io.flush().await.unwrap();
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        self.answer().await
    }

    /// The next response.
    pub async fn answer(&mut self) -> Answer {
        self.answer_of("GET").await
    }

    /// The next response, to a request by this method.
    pub async fn answer_of(&mut self, method: &str) -> Answer {
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.more().await.unwrap() > 0, "the connection ended: {:?}", String::from_utf8_lossy(&self.read));
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).unwrap().to_lowercase();
        let status = head[9..12].parse().unwrap();
        let len = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
        let len = if method == "HEAD" { 0 } else { len };
        while self.read.len() < len {
            assert!(self.more().await.unwrap() > 0, "the body ended at {} of {len}", self.read.len());
        }
        Answer { status, head, body: self.read.drain(..len).collect() }
    }

    /// What comes until the other side ends the connection, by whatever means.
    pub async fn rest(&mut self) -> Vec<u8> {
        while matches!(self.more().await, Ok(1..)) {}
        std::mem::take(&mut self.read)
    }

    async fn more(&mut self) -> io::Result<usize> {
        timeout(LONG, self.io.read_buf(&mut self.read)).await.expect("something, or the end")
    }
}

impl Answer {
    pub fn closes(&self) -> bool {
        self.head.contains("connection: close")
    }
}

/// An HTTP/2 connection, and the task that ends when it does.
pub struct H2 {
    pub sender: hyper::client::conn::http2::SendRequest<Empty<Bytes>>,
    pub connection: JoinHandle<hyper::Result<()>>,
}

impl H2 {
    pub async fn over(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await.unwrap();
        Self { sender, connection: tokio::spawn(connection) }
    }

    pub async fn ask(&mut self, path: &str) -> hyper::Result<Response<Incoming>> {
        let request = Request::get(format!("http://x{path}")).body(Empty::new()).unwrap();
        timeout(LONG, self.sender.send_request(request)).await.expect("an answer")
    }

    pub async fn get(&mut self, path: &str) -> Vec<u8> {
        let response = self.ask(path).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        timeout(LONG, response.into_body().collect()).await.expect("a body").unwrap().to_bytes().to_vec()
    }
}
