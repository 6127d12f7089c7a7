//! The IO of a plain HTTP/1.1 connection, as hyper sees it; the kernel sends windows of files.

use super::{heads::Heads, socket::Socket};
use crate::{
    files::system::{MORE, cork, send_file},
    wire::sendfile::{self, SendfileSlot},
};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use rustix::net::SendFlags;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// A plain connection that recognises markers.
pub(super) struct PlainConnection {
    io: TokioIo<Heads<Socket>>,
    slot: Option<Arc<SendfileSlot>>,
    /// The kernel was asked to send full packets only.
    corked: bool,
}

impl PlainConnection {
    pub(super) fn new(io: Heads<Socket>, slot: Option<Arc<SendfileSlot>>) -> Self {
        Self { io: TokioIo::new(io), slot, corked: false }
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.io.inner().inner
    }

    fn socket_mut(&mut self) -> &mut Socket {
        &mut self.io.inner_mut().inner
    }

    /// Fails after a response was cut short: the client could not tell what follows from the rest of it.
    fn check(&self) -> io::Result<()> {
        match self.slot.as_ref().is_some_and(|slot| slot.is_cut()) {
            true => Err(io::ErrorKind::ConnectionAborted.into()),
            false => Ok(()),
        }
    }

    /// Sends the window of a marker. While more windows follow, the kernel keeps back what does not fill a packet:
    /// otherwise the rest of each window would go out as a small packet.
    fn poll_window(&mut self, cx: &mut Context<'_>, marked: usize) -> Poll<io::Result<usize>> {
        let Some(slot) = self.slot.clone() else { return Poll::Ready(Err(missing_window())) };
        let Self { io, corked, .. } = self;
        io.inner_mut().inner.poll_send(cx, move |stream| {
            let mut queue = slot.queue();
            let Some(window) = queue.front_mut() else { return Err(missing_window()) };
            if window.more && !*corked {
                *corked = cork(stream, true).is_ok();
            }
            let sent = send_file(stream, &window.file, window.offset, window.len.min(marked))?;
            if sent == 0 {
                // The file has become shorter. The client must see a short body, never zeros.
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            window.offset += sent as u64;
            window.len -= sent;
            if window.len == 0 {
                if !window.more && *corked {
                    cork(stream, false)?;
                    *corked = false;
                }
                queue.pop_front();
            }
            Ok(sent)
        })
    }
}

/// The error for a marker without a window: its body did not use the slot.
fn missing_window() -> io::Error {
    io::Error::other("a marker without a window")
}

impl Read for PlainConnection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for PlainConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        match sendfile::is_marker(buf) {
            true => Poll::Ready(Err(missing_window())),
            false => Pin::new(&mut self.io).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        match bufs.iter().position(|buf| sendfile::is_marker(buf)) {
            None => Pin::new(&mut self.io).poll_write_vectored(cx, bufs),
            Some(0) => self.poll_window(cx, bufs[0].len()),
            // The head is sent first, with a hint that more follows, so that the packet is filled.
            Some(marker) => self.socket_mut().poll_send(cx, |stream| {
                let mut control = rustix::net::SendAncillaryBuffer::default();
                let flags = SendFlags::NOSIGNAL | MORE;
                Ok(rustix::net::sendmsg(stream, &bufs[..marker], &mut control, flags)?)
            }),
        }
    }

    fn is_write_vectored(&self) -> bool {
        // Markers must arrive here uncopied.
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(all(test, not(portable)))]
mod tests {
    use super::*;
    use crate::{
        server::activity::Activity,
        wire::{
            memory::ClientMemory,
            sendfile::{WINDOW, Window},
        },
    };
    use rustix::net::sockopt::tcp_cork;
    use std::{future::poll_fn, io::Read as _, time::Duration};

    /// A response of two windows that ends within a packet. The partial packet is kept back only between the windows;
    /// at the end, the kernel would delay it by 200 ms.
    #[tokio::test]
    async fn nothing_stays_buffered_after_a_response() {
        const SIZE: usize = WINDOW + 1000;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let client = std::thread::spawn(move || client.read_exact(&mut [1; SIZE]).map(|()| client));

        let (stream, peer) = listener.accept().await.unwrap();
        let socket = Socket::new(stream, peer, Duration::from_secs(60));
        let slot = Arc::new(SendfileSlot::default());
        let heads = Heads::new(socket, Activity::new(), Duration::from_secs(60), &ClientMemory::new(0).share(true));
        let mut plain = PlainConnection::new(heads, Some(slot.clone()));
        let file = Arc::new(tempfile::tempfile().unwrap());
        file.set_len(SIZE as u64).unwrap();
        for (offset, len) in [(0, WINDOW), (WINDOW, SIZE - WINDOW)] {
            let more = offset == 0;
            let mut marker = slot.window(Window { file: file.clone(), offset: offset as u64, len, more });
            while !marker.is_empty() {
                let sent = poll_fn(|cx| Pin::new(&mut plain).poll_write_vectored(cx, &[IoSlice::new(&marker)]));
                drop(marker.split_to(sent.await.unwrap()));
            }
            assert_eq!(tcp_cork(&plain.socket().stream).unwrap(), more, "after the window at {offset}");
        }
        client.join().unwrap().unwrap();
    }
}
