//! A socket, with or without TLS.

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

/// The trusted certificates.
pub struct TrustedCertificates {
    pem: String,
    config: Arc<ClientConfig>,
}

impl TrustedCertificates {
    /// Trusts the certificates of a PEM text, and no others.
    pub fn in_pem(pem: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            roots.add(certificate?)?;
        }
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Ok(Self { pem: pem.to_owned(), config: Arc::new(config) })
    }

    /// The certificates as a PEM text.
    pub fn pem(&self) -> &str {
        &self.pem
    }
}

/// Either kind of connection.
pub enum HttpStream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl HttpStream {
    pub fn connect(url: &Url, trust: Option<&TrustedCertificates>, patience: Duration) -> Result<Self> {
        let socket = TcpStream::connect_timeout(&url.address()?, patience)?;
        socket.set_nodelay(true)?;
        if socket.peer_addr()?.ip().is_loopback() {
            // BBR, where it is the default, would use timers for each packet on the cores of the server.
            let _ = rustix::net::sockopt::set_tcp_congestion(&socket, "reno");
        }
        socket.set_read_timeout(Some(patience))?;
        socket.set_write_timeout(Some(patience))?;
        if !url.tls {
            return Ok(Self::Plain(socket));
        }
        let trust = trust.ok_or("https needs a file of certificates to believe")?;
        let session = ClientConnection::new(trust.config.clone(), ServerName::try_from(url.host.clone())?)?;
        let mut stream = StreamOwned::new(session, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self::Tls(Box::new(stream)))
    }

    /// Discards bytes that have arrived, at most the length of `scratch`; 0 at the end.
    ///
    /// Without TLS the kernel does it without a copy, and `scratch` is not written to.
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

impl Read for HttpStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(into),
            Self::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for HttpStream {
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
