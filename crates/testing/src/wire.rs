//! A client that writes HTTP/1.1 byte by byte if necessary, and stops anywhere.

use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

/// Longer than anything in a test takes; exceeding it is a failure.
pub const LONG: Duration = Duration::from_secs(10);

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A connection on which bytes are written unchanged.
pub struct Wire<T = TcpStream> {
    pub io: T,
    read: Vec<u8>,
}

/// An HTTP/1.1 response; its head in lower case.
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

    /// Sends a request's head with this Content-Length, and the beginning of its body.
    pub async fn begin(address: SocketAddr, method: &str, target: &str, len: usize, begins: &[u8]) -> Self {
        let mut wire = Self::open(address).await;
        let head = format!("{method} {target} HTTP/1.1\r\nHost: registry\r\nContent-Length: {len}\r\n\r\n");
        wire.send([head.as_bytes(), begins].concat()).await;
        wire
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

    /// Sends although the peer may have disconnected.
    pub async fn send_in_vain(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.io.write_all(bytes.as_ref()).await;
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        self.answer().await
    }

    /// The next response, with a body of its Content-Length.
    pub async fn answer(&mut self) -> Answer {
        self.answer_to("GET").await
    }

    /// The next response, to a request with this method.
    pub async fn answer_to(&mut self, method: &str) -> Answer {
        let head = self.head().await;
        let head = head.unwrap_or_else(|| panic!("it ended: {:?}", String::from_utf8_lossy(&self.read)));
        let status = head[9..12].parse().unwrap();
        let len = if method == "HEAD" { 0 } else { length(&head) };
        while self.read.len() < len {
            assert!(self.more().await.unwrap() > 0, "the body ended at {} of {len}", self.read.len());
        }
        Answer { status, head, body: self.read.drain(..len).collect() }
    }

    /// The head of the next response in lower case, including its empty line; `None` if the connection ends first.
    pub async fn head(&mut self) -> Option<String> {
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if !matches!(self.more().await, Ok(1..)) {
                return None;
            }
        };
        Some(String::from_utf8(self.read.drain(..end).collect()).unwrap().to_lowercase())
    }

    /// The status of the next response; `None` if there is none.
    pub async fn status(&mut self) -> Option<u16> {
        self.head().await?.get(9..12)?.parse().ok()
    }

    /// The body of the next response, read with a pause before each mebibyte, as far as it arrives.
    pub async fn body_slowly(&mut self, pause: Duration) -> Vec<u8> {
        let len = self.head().await.map_or(0, |head| length(&head));
        let mut pauses = 0;
        while self.read.len() < len {
            if self.read.len() >> 20 >= pauses {
                pauses += 1;
                sleep(pause).await;
            }
            if !matches!(self.more().await, Ok(1..)) {
                break;
            }
        }
        self.take()
    }

    /// Everything until the peer ends the connection, in whatever way.
    pub async fn rest(&mut self) -> Vec<u8> {
        while matches!(self.more().await, Ok(1..)) {}
        self.take()
    }

    /// The same, but for at most this time.
    pub async fn rest_for(&mut self, long: Duration) -> Vec<u8> {
        let _ = timeout(long, async { while matches!(self.io.read_buf(&mut self.read).await, Ok(1..)) {} }).await;
        self.take()
    }

    /// Whether the peer sends nothing and keeps the connection open for this time.
    pub async fn stays(&mut self, long: Duration) -> bool {
        timeout(long, self.io.read_buf(&mut self.read)).await.is_err()
    }

    /// Takes the bytes that were received but not used yet.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.read)
    }

    pub async fn more(&mut self) -> io::Result<usize> {
        timeout(LONG, self.io.read_buf(&mut self.read)).await.expect("something, or the end")
    }

    /// Closes the connection in the middle.
    pub async fn cut(mut self) {
        let _ = self.io.shutdown().await;
    }
}

impl Answer {
    pub fn closes(&self) -> bool {
        self.head.contains("connection: close")
    }
}

/// The Content-Length in a head.
fn length(head: &str) -> usize {
    head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap())
}

/// Sends a request; returns everything until the peer closes.
pub async fn exchange(address: SocketAddr, request: &str) -> Vec<u8> {
    let mut wire = Wire::open(address).await;
    wire.send(request).await;
    while wire.more().await.expect("an answer") > 0 {}
    wire.take()
}
