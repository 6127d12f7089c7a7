//! A plain HTTP/1.1 connection's IO, as hyper sees it, with windows of files sent by the kernel.

use super::{clocks::Heads, socket::Socket};
use crate::service::sendfile::{self, Slot};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use rustix::net::SendFlags;
#[cfg(not(portable))]
use rustix::net::sockopt::set_tcp_cork;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// A plain connection that knows markers.
pub(super) struct Plain {
    io: TokioIo<Heads<Socket>>,
    slot: Option<Arc<Slot>>,
    /// The kernel was told to send whole packets only.
    #[cfg(not(portable))]
    corked: bool,
}

impl Plain {
    pub(super) fn new(io: Heads<Socket>, slot: Option<Arc<Slot>>) -> Self {
        Self {
            io: TokioIo::new(io),
            slot,
            #[cfg(not(portable))]
            corked: false,
        }
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.io.inner().inner
    }

    fn socket_mut(&mut self) -> &mut Socket {
        &mut self.io.inner_mut().inner
    }

    /// A response was cut short: nothing that follows could be told from the rest of it.
    fn check(&self) -> io::Result<()> {
        match self.slot.as_ref().is_some_and(|slot| slot.is_cut()) {
            true => Err(io::ErrorKind::ConnectionAborted.into()),
            false => Ok(()),
        }
    }

    /// Sends the window a marker stands for. While more follow, the kernel keeps back what does not
    /// fill a packet: the rest of each window would go out as a small one.
    #[cfg(not(portable))]
    fn poll_window(&mut self, cx: &mut Context<'_>, marked: usize) -> Poll<io::Result<usize>> {
        let Some(slot) = self.slot.clone() else { return Poll::Ready(Err(lost())) };
        let Self { io, corked, .. } = self;
        io.inner_mut().inner.poll_send(cx, move |stream| {
            let mut queue = slot.queue();
            let Some(window) = queue.front_mut() else { return Err(lost()) };
            if window.more && !*corked {
                *corked = set_tcp_cork(stream, true).is_ok();
            }
            let mut offset = window.offset;
            let sent = rustix::fs::sendfile(stream, &window.file, Some(&mut offset), window.len.min(marked))?;
            if sent == 0 {
                // The file is shorter than it was. The client must see a short body, never zeros.
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            window.offset += sent as u64;
            window.len -= sent;
            if window.len == 0 {
                if !window.more && *corked {
                    set_tcp_cork(stream, false)?;
                    *corked = false;
                }
                queue.pop_front();
            }
            Ok(sent)
        })
    }

    #[cfg(portable)]
    fn poll_window(&mut self, _: &mut Context<'_>, _: usize) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(lost()))
    }
}

/// A marker where none may be: whoever wrote it did not go by the slot.
fn lost() -> io::Error {
    io::Error::other("a marker without a window")
}

impl Read for Plain {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Plain {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        match sendfile::is_marker(buf) {
            true => Poll::Ready(Err(lost())),
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
            // The head goes first; the kernel is told that more follows, to fill the packet.
            Some(marker) => self.socket_mut().poll_send(cx, |stream| {
                let mut control = rustix::net::SendAncillaryBuffer::default();
                let flags = SendFlags::NOSIGNAL | more();
                Ok(rustix::net::sendmsg(stream, &bufs[..marker], &mut control, flags)?)
            }),
        }
    }

    fn is_write_vectored(&self) -> bool {
        // Markers must reach us uncopied.
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(not(portable))]
fn more() -> SendFlags {
    SendFlags::MORE
}

#[cfg(portable)]
fn more() -> SendFlags {
    SendFlags::empty()
}

#[cfg(all(test, not(portable)))]
mod tests {
    use super::*;
    use crate::{
        server::activity::Activity,
        service::sendfile::{WINDOW, Window},
    };
    use rustix::net::sockopt::tcp_cork;
    use std::{future::poll_fn, io::Read as _, time::Duration};

    /// A response of two windows that ends within a packet: what fills none is kept back between
    /// them only, for the kernel would keep the end for 200 ms.
    #[tokio::test]
    async fn nothing_is_kept_back_once_a_response_has_ended() {
        const SIZE: usize = WINDOW + 1000;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let client = std::thread::spawn(move || client.read_exact(&mut [1; SIZE]).map(|()| client));

        let (stream, peer) = listener.accept().await.unwrap();
        let socket = Socket::new(stream, peer, Duration::from_secs(60));
        let slot = Arc::new(Slot::default());
        let heads = Heads::new(socket, Activity::new(), Duration::from_secs(60));
        let mut plain = Plain::new(heads, Some(slot.clone()));
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
