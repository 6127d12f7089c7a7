//! A socket, in clear or under TLS.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::RecvFlags;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::Url;
use crate::Result;

/// The certificates that are believed.
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Believes the certificates of a PEM text, and no others.
    pub fn in_pem(pem: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            roots.add(certificate?)?;
        }
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }
}

/// Either kind of connection.
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    pub fn connect(url: &Url, trust: Option<&Trust>, patience: Duration) -> Result<Self> {
        let socket = TcpStream::connect_timeout(&url.address()?, patience)?;
        socket.set_nodelay(true)?;
        if socket.peer_addr()?.ip().is_loopback() {
            // BBR, where it is the default, would take timers for each packet from the cores the server runs on.
            let _ = rustix::net::sockopt::set_tcp_congestion(&socket, "reno");
        }
        socket.set_read_timeout(Some(patience))?;
        socket.set_write_timeout(Some(patience))?;
        if !url.tls {
            return Ok(Self::Plain(socket));
        }
        let trust = trust.ok_or("https needs a file of certificates to believe")?;
        let session = ClientConnection::new(trust.0.clone(), ServerName::try_from(url.host.clone())?)?;
        let mut stream = StreamOwned::new(session, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self::Tls(Box::new(stream)))
    }

    /// Throws away what arrived, at most the length of `scratch`; 0 at the end.
    ///
    /// In clear the kernel does it without a copy, so `scratch` keeps what it had.
    pub fn discard(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => loop {
                match rustix::net::recv(&*socket, &mut *scratch, RecvFlags::TRUNC) {
                    Ok((_, gone)) => return Ok(gone),
                    Err(rustix::io::Errno::INTR) => {}
                    Err(errno) => return Err(errno.into()),
                }
            },
            Self::Tls(stream) => stream.read(scratch),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(into),
            Self::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
