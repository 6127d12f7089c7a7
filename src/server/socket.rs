//! A TCP connection with a clock on a client that takes nothing of what is written.

use super::clocks::Clock;
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
    time::{Instant, timeout},
};

/// A connection. Its clock runs while the kernel takes nothing, whatever is above: under TLS only
/// here one sees that a long write gets on.
pub(super) struct Socket {
    pub(super) stream: TcpStream,
    stall: Duration,
    clock: Clock,
}

/// The first bytes of HTTP/2 with prior knowledge (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Between two looks at a preface that arrives in pieces; doubled each time, up to the second.
/// The socket stays readable meanwhile, so one cannot wait for more by readiness.
const LOOK: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(500));

/// What the kernel may hold that it has not sent. It says it takes more when a good part of what it
/// holds is gone: left to itself it holds 4 MiB, and a client of 20 KB/s seems to stand still for a
/// minute. Also, a client that takes nothing occupies no more than this.
#[cfg(not(portable))]
const UNSENT: u32 = 256 << 10;

/// How much of what a client still sends is thrown away after its answer, for how long in all and
/// in silence: so that it reads why it was refused, and is not met by a reset. Clients send chunks
/// and small layers in one go and read only then, some of them over slow lines.
const LINGER_BYTES: usize = 16 << 20;
const LINGER: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(1);

impl Socket {
    pub(super) fn new(stream: TcpStream, peer: SocketAddr, stall: Duration) -> Self {
        // Replies are written whole; waiting to join them with more only delays.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        tune(&stream, peer);
        Self { stream, stall, clock: Clock::default() }
    }

    /// Looks at the first bytes: `true` for HTTP/2, `false` for anything else.
    ///
    /// # Errors
    /// The connection's, or its end before a byte.
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

    /// Looks at the first byte where TLS is expected: a method's first letter is no TLS record.
    ///
    /// # Errors
    /// The connection's, or its end before a byte.
    pub(super) async fn speaks_plain_http(&self) -> io::Result<bool> {
        let mut first = [0];
        match self.stream.peek(&mut first).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(first[0].is_ascii_uppercase()),
        }
    }

    /// Answers with these bytes and ends the connection.
    pub(super) async fn refuse(&mut self, answer: &str) {
        if self.stream.write_all(answer.as_bytes()).await.is_ok() {
            self.linger().await;
        }
    }

    /// Says that nothing more will be sent and takes what the client still sends, within bounds.
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
        // A client that does not end in time has had its answer.
        let _ = timeout(LINGER, discard).await;
    }

    /// Sends by other means than a write: tries `send` whenever the socket takes more, until it
    /// does not say it would block.
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

    /// Counts what was sent as progress, or lets the clock run that ends a stalled connection.
    fn timed(&mut self, cx: &mut Context<'_>, sent: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if sent.is_ready() {
            self.clock.stop();
        } else if self.clock.has_rung(cx, Instant::now() + self.stall) {
            // What the kernel still holds for this client goes with the connection.
            let _ = self.stream.set_zero_linger();
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        sent
    }
}

/// What only Linux has.
#[cfg(not(portable))]
fn tune(stream: &TcpStream, peer: SocketAddr) {
    let socket = socket2::SockRef::from(stream);
    if let Err(error) = socket.set_tcp_notsent_lowat(UNSENT) {
        tracing::debug!(%error, "cannot set TCP_NOTSENT_LOWAT");
    }
    // Within the machine, as to a proxy, no path is congested; BBR, where it is the default, sets a timer for each packet.
    if peer.ip().to_canonical().is_loopback()
        && let Err(error) = socket.set_tcp_congestion(b"reno")
    {
        tracing::debug!(%error, "cannot set TCP_CONGESTION");
    }
}

#[cfg(portable)]
fn tune(_: &TcpStream, _: SocketAddr) {}

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
    async fn a_connection_within_the_machine_is_not_paced() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        let socket = Socket::new(stream, peer, Duration::from_secs(1));
        assert_eq!(rustix::net::sockopt::tcp_congestion(&socket.stream).unwrap(), "reno");
    }
}
