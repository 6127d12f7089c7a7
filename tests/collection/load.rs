//! Requests at a fixed rate, independent of earlier responses. Each latency counts from the scheduled time.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Number of connections; each has at most one request in flight.
const CONNECTIONS: usize = 64;

/// Durations of requests, sorted.
pub struct Times(Vec<Duration>);

impl Times {
    /// The duration within which this many of a thousand requests completed, in milliseconds.
    fn under(&self, of_a_thousand: usize) -> f64 {
        let at = (self.0.len() * of_a_thousand / 1000).min(self.0.len() - 1);
        self.0[at].as_secs_f64() * 1e3
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let most = self.0.last().copied().unwrap_or_default().as_secs_f64() * 1e3;
        let [p50, p99, p999] = [500, 990, 999].map(|part| self.under(part));
        write!(f, "{} requests: p50 {p50:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms, max {most:.1} ms", self.0.len())
    }
}

/// Sends this many requests per second, for this long. `request` formats the n-th one. Each response must be 200 or 201.
pub async fn send(
    to: SocketAddr,
    per_second: u32,
    lasting: Duration,
    request: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static,
) -> Times {
    let (request, next, start) = (Arc::new(request), Arc::new(AtomicUsize::new(0)), Instant::now());
    let count = (lasting.as_secs_f64() * f64::from(per_second)) as usize;
    let connections: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (request, next) = (request.clone(), next.clone());
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(to).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (mut times, mut answer) = (Vec::new(), Vec::new());
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return times;
                    }
                    let due = start + Duration::from_secs(1) * number as u32 / per_second;
                    tokio::time::sleep_until(due.into()).await;
                    let request = request(number);
                    stream.write_all(&request).await.unwrap();
                    read(&mut stream, &mut answer, !request.starts_with(b"HEAD ")).await;
                    times.push(due.elapsed());
                }
            })
        })
        .collect();
    let mut times = Vec::with_capacity(count);
    for connection in connections {
        times.extend(connection.await.unwrap());
    }
    times.sort_unstable();
    Times(times)
}

/// A request without a body.
pub fn ask(method: &str, target: &str) -> Vec<u8> {
    format!("{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
}

/// A request with a body.
pub fn bring(method: &str, target: &str, media_type: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Type: {media_type}\r\n");
    let mut request = format!("{head}Content-Length: {}\r\n\r\n", content.len()).into_bytes();
    request.extend_from_slice(content);
    request
}

/// Reads one response, with its body if it has one.
async fn read(stream: &mut TcpStream, answer: &mut Vec<u8>, has_body: bool) {
    answer.clear();
    let head = loop {
        if let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        assert!(stream.read_buf(answer).await.unwrap() > 0, "the connection was closed");
    };
    let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
    assert!(text.starts_with("http/1.1 20"), "{text}");
    let len =
        text.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse::<usize>().unwrap());
    while has_body && answer.len() < head + len {
        assert!(stream.read_buf(answer).await.unwrap() > 0, "the connection was closed");
    }
}
