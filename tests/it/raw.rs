//! A client that speaks HTTP/1.1 by hand, to stop in the middle.

use bytes::Bytes;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// One connection.
pub struct Raw(TcpStream);

impl Raw {
    /// Sends a request's head and the beginning of a body that it says is `len` bytes long.
    pub async fn begin(address: SocketAddr, method: &str, target: &str, len: usize, begins: &[u8]) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let head = format!("{method} {target} HTTP/1.1\r\nHost: registry\r\nContent-Length: {len}\r\n\r\n");
        stream.write_all(&[head.as_bytes(), begins].concat()).await.expect("it is taken");
        Self(stream)
    }

    /// Sends more; the other side may be gone.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await;
    }

    /// The status of the answer; `None` if there is none any more.
    pub async fn status(&mut self) -> Option<u16> {
        self.head().await?.get(9..12)?.parse().ok()
    }

    /// The head of the answer in lower case; `None` if there is none any more.
    pub async fn head(&mut self) -> Option<String> {
        let mut answer = Vec::new();
        while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
            match self.0.read_buf(&mut answer).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
        let head = String::from_utf8_lossy(&answer);
        Some(head.split("\r\n\r\n").next()?.to_lowercase())
    }

    /// The body of the answer, read with a pause before each mebibyte; as far as it comes.
    pub async fn body_slowly(&mut self, pause: Duration) -> Bytes {
        let (mut answer, mut paused) = (Vec::new(), 0);
        loop {
            let end = answer.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |at| at + 4);
            let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
            let len = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if len.is_some_and(|len| answer.len() >= end + len) {
                return Bytes::from(answer).slice(end..);
            }
            if answer.len() >> 20 >= paused {
                paused += 1;
                tokio::time::sleep(pause).await;
            }
            match self.0.read_buf(&mut answer).await {
                Ok(0) | Err(_) => return Bytes::from(answer).slice(end..),
                Ok(_) => {}
            }
        }
    }

    /// How many bytes still come before the other side ends it.
    pub async fn rest(&mut self) -> usize {
        let (mut piece, mut all) = (vec![0; 1 << 20], 0);
        while let Ok(n @ 1..) = self.0.read(&mut piece).await {
            all += n;
        }
        all
    }

    /// Ends the connection in the middle.
    pub async fn cut(mut self) {
        let _ = self.0.shutdown().await;
    }
}

/// All that a request by hand brings back until the other side closes.
pub async fn exchange(address: SocketAddr, request: &str) -> Bytes {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("it is taken");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    answer.into()
}
