//! A TCP connection that its reader, its writer and its end share.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

/// A connection. Clones are the same connection.
#[derive(Clone)]
pub(super) struct Socket(Arc<TcpStream>);

/// The first bytes of HTTP/2 with prior knowledge (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How much of what a client still sends is thrown away after its answer, and for how long: so
/// that it reads why it was refused, and is not met by a reset.
const LINGER_BYTES: usize = 1 << 20;
const LINGER: Duration = Duration::from_secs(1);

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Self {
        // Replies are written whole; waiting to join them with more only delays.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        Self(Arc::new(stream))
    }

    /// Looks at the first bytes: `true` for HTTP/2, `false` for anything else.
    ///
    /// # Errors
    /// The connection's, or its end before a byte.
    pub(super) async fn speaks_h2(&self) -> io::Result<bool> {
        let mut first = [0; PREFACE.len()];
        loop {
            match self.0.peek(&mut first).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n if first[..n] != PREFACE[..n] => return Ok(false),
                n if n == PREFACE.len() => return Ok(true),
                // Part of the preface: the socket stays readable, so wait by the clock for more.
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    /// Says that nothing more will be sent and takes what the client still sends, within bounds.
    pub(super) async fn linger(&self) {
        if rustix::net::shutdown(&*self.0, rustix::net::Shutdown::Write).is_err() {
            return;
        }
        let discard = async {
            let (mut buffer, mut left) = (vec![0; 16 << 10], LINGER_BYTES);
            while left > 0 && self.0.readable().await.is_ok() {
                match self.0.try_read(&mut buffer) {
                    Ok(0) => break,
                    Ok(n) => left = left.saturating_sub(n),
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => break,
                }
            }
        };
        // A client that does not end in time has had its answer.
        let _ = tokio::time::timeout(LINGER, discard).await;
    }

    /// Tries `io` when the socket is ready for writing, until it does not say it would block.
    pub(super) fn poll_io(
        &self,
        cx: &mut Context<'_>,
        mut io: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_io(Interest::WRITABLE, || io(&self.0)) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_read(buf.initialize_unfilled()) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Poll::Ready(Err(e)),
                Ok(n) => {
                    buf.advance(n);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_io(cx, |stream| stream.try_write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_io(cx, |stream| stream.try_write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match rustix::net::shutdown(&*self.0, rustix::net::Shutdown::Write) {
            // The client was quicker.
            Ok(()) | Err(rustix::io::Errno::NOTCONN) => Poll::Ready(Ok(())),
            Err(e) => Poll::Ready(Err(e.into())),
        }
    }
}
