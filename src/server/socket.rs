//! A TCP connection with a timeout for clients that do not read.

use crate::{
    files::system::tune,
    wire::{awake::Moment, stall::StallTimer},
};
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, Interest, ReadBuf},
    net::TcpStream,
    time::timeout,
};

/// A connection. Its timer runs while the kernel accepts nothing, whatever protocol is above: under TLS, the progress
/// of a long write is visible only here.
pub(super) struct Socket {
    pub(super) stream: TcpStream,
    stall: Duration,
    clock: StallTimer,
}

/// The first bytes of HTTP/2 with prior knowledge (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Time between two checks of a preface that arrives in pieces; doubled each time, up to the second value. The socket
/// stays readable meanwhile, so readiness cannot tell that more has arrived.
const LOOK: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(500));

/// How much of what a client still sends is discarded after its answer, for how long in all and in silence. So the
/// client reads why it was refused instead of meeting a reset. Clients send chunks and small layers in one go and read
/// only then, some of them over slow lines.
const LINGER_BYTES: usize = 16 << 20;
const LINGER: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(1);

impl Socket {
    pub(super) fn new(stream: TcpStream, peer: SocketAddr, stall: Duration) -> Self {
        // Responses are written whole; waiting to join them with more only delays them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        tune(&stream, peer);
        Self { stream, stall, clock: StallTimer::default() }
    }

    /// Peeks at the first bytes: `true` for HTTP/2, `false` for anything else.
    ///
    /// # Errors
    /// A connection error, or the end of the connection before its first byte.
    pub(super) async fn speaks_h2(&self) -> io::Result<bool> {
        let (mut first, mut pause) = ([0; PREFACE.len()], LOOK.0);
        loop {
            match self.stream.peek(&mut first).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n if first[..n] != PREFACE[..n] => return Ok(false),
                n if n == PREFACE.len() => return Ok(true),
                _ => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(LOOK.1);
        }
    }

    /// Peeks at the first byte where TLS is expected: the first letter of a method is no TLS record.
    ///
    /// # Errors
    /// A connection error, or the end of the connection before its first byte.
    pub(super) async fn speaks_plain_http(&self) -> io::Result<bool> {
        let mut first = [0];
        match self.stream.peek(&mut first).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(first[0].is_ascii_uppercase()),
        }
    }

    /// Sends these bytes and closes the connection.
    pub(super) async fn refuse(&mut self, answer: &str) {
        if self.stream.write_all(answer.as_bytes()).await.is_ok() {
            self.linger().await;
        }
    }

    /// Closes the sending side and discards what the client still sends, within limits.
    pub(super) async fn linger(&self) {
        if rustix::net::shutdown(&self.stream, rustix::net::Shutdown::Write).is_err() {
            return;
        }
        let discard = async {
            let (mut buffer, mut left) = (vec![0; 16 << 10], LINGER_BYTES);
            while left > 0 && matches!(timeout(SILENCE, self.stream.readable()).await, Ok(Ok(()))) {
                match self.stream.try_read(&mut buffer) {
                    Ok(0) => break,
                    Ok(n) => left = left.saturating_sub(n),
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => break,
                }
            }
        };
        // The client has had its answer, even if it does not end in time.
        let _ = timeout(LINGER, discard).await;
    }

    /// Sends without a write of this socket: calls `send` whenever the socket is writable, until it no longer would
    /// block.
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        mut send: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let stream = &self.stream;
        let mut attempt = || loop {
            ready!(stream.poll_write_ready(cx))?;
            match stream.try_io(Interest::WRITABLE, || send(stream)) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        };
        let sent = attempt();
        self.timed(cx, sent)
    }

    /// Sets the timer back when something was sent; otherwise lets it run, and fails when it expires.
    fn timed(&mut self, cx: &mut Context<'_>, sent: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if sent.is_ready() {
            self.clock.stop();
        } else if self.clock.poll(cx, self.stall, Moment::now).is_ready() {
            // The kernel drops what it still holds for this client.
            let _ = self.stream.set_zero_linger();
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        sent
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.timed(cx, sent)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.timed(cx, sent)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(all(test, not(portable)))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn loopback_connections_are_not_paced() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        let socket = Socket::new(stream, peer, Duration::from_secs(1));
        assert_eq!(rustix::net::sockopt::tcp_congestion(&socket.stream).unwrap(), "reno");
    }
}
