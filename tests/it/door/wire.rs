//! Clients that write what they like, byte by byte if need be; and well-behaved ones of HTTP/2.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Longer than anything here takes.
pub const LONG: Duration = Duration::from_secs(10);

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A connection on which bytes are written as they are.
pub struct Wire<T = TcpStream> {
    pub io: T,
    read: Vec<u8>,
}

/// One response of HTTP/1.1; its head in lower case.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Wire {
    pub async fn open(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire<T> {
    pub fn over(io: T) -> Self {
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

    /// The next response, its body read by its length.
    pub async fn answer(&mut self) -> Answer {
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.more().await.unwrap() > 0, "it ended: {:?}", String::from_utf8_lossy(&self.read));
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).unwrap().to_lowercase();
        let status = head[9..12].parse().unwrap();
        let len = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
        while self.read.len() < len {
            assert!(self.more().await.unwrap() > 0, "the body ended at {} of {len}", self.read.len());
        }
        Answer { status, head, body: self.read.drain(..len).collect() }
    }

    /// All that comes until the other side ends the connection, however it does.
    pub async fn rest(&mut self) -> Vec<u8> {
        while matches!(self.more().await, Ok(1..)) {}
        self.take()
    }

    /// The same, but for no longer than this.
    pub async fn rest_for(&mut self, long: Duration) -> Vec<u8> {
        let _ = timeout(long, async { while matches!(self.io.read_buf(&mut self.read).await, Ok(1..)) {} }).await;
        self.take()
    }

    /// Whether the other side says nothing and stays, for so long.
    pub async fn stays(&mut self, long: Duration) -> bool {
        timeout(long, self.io.read_buf(&mut self.read)).await.is_err()
    }

    /// What was read and not looked at yet.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.read)
    }

    pub async fn more(&mut self) -> io::Result<usize> {
        timeout(LONG, self.io.read_buf(&mut self.read)).await.expect("something, or the end")
    }
}

/// A whole answer to a well-behaved client.
#[derive(Debug)]
pub struct Whole {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A kept connection of either protocol.
pub enum Kept {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Kept {
    pub async fn http1(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) = http1::handshake(TokioIo::new(io)).await.unwrap();
        tokio::spawn(connection);
        Self::One(sender)
    }

    pub async fn http2(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await.unwrap();
        tokio::spawn(connection);
        Self::Two(sender)
    }

    pub async fn ask(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Whole> {
        let response = match self {
            Self::One(sender) => timeout(LONG, sender.send_request(request)).await,
            Self::Two(sender) => timeout(LONG, sender.send_request(request)).await,
        };
        let (head, body) = response.expect("an answer")?.into_parts();
        let body = timeout(LONG, body.collect()).await.expect("a body")?.to_bytes();
        Ok(Whole { status: head.status, headers: head.headers, body })
    }

    pub async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Whole {
        let uri = match self {
            Self::One(_) => path.to_owned(),
            Self::Two(_) => format!("http://localhost{path}"),
        };
        let mut request = Request::builder().method(method).uri(uri);
        if matches!(self, Self::One(_)) {
            request = request.header("host", "localhost");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.ask(request.body(Full::new(body.into())).unwrap()).await.unwrap()
    }

    pub async fn get(&mut self, path: &str) -> Whole {
        self.send("GET", path, &[], "").await
    }
}
