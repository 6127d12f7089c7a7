//! `wharfinger health`: asks the daemon of this configuration whether it is ready. For containers, which have no curl.

use super::{complain, print_problems, say};
use crate::config::{ConfigReport, Env};
use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs},
    process::ExitCode,
    time::Duration,
};

/// For connecting, and for each part of the answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// The status line and more.
const LONGEST_ANSWER: u64 = 64 << 10;

/// Asks the daemon of this configuration, or one at another address by plain HTTP; exits 0 if it is ready, 1 if it is
/// not or does not answer.
pub(super) fn health(report: &ConfigReport, other: Option<&str>) -> ExitCode {
    if !report.problems.is_empty() {
        print_problems(&report.problems);
        return ExitCode::from(super::EX_CONFIG);
    }
    let address = other.map_or_else(|| address(&report.env).to_string(), str::to_owned);
    match ask(&report.env, &address, other.is_some()) {
        Ok(200) => {
            say(format_args!("{address} is ready"));
            ExitCode::SUCCESS
        }
        Ok(status) => {
            complain(format_args!("{address} is not ready: it answers {status}"));
            ExitCode::FAILURE
        }
        Err(why) => {
            complain(format_args!("{address} does not answer: {why}"));
            ExitCode::FAILURE
        }
    }
}

/// Where the daemon answers: at the admin address if there is one. An address that stands for all is asked by the
/// loopback interface.
fn address(env: &Env) -> SocketAddr {
    let mut address = env.admin_addr.unwrap_or_else(|| env.listen());
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// The status of `GET /health/ready`.
fn ask(env: &Env, at: &str, is_other: bool) -> io::Result<u16> {
    let is_tls = !is_other && env.tls_cert.is_some() && env.admin_addr.is_none();
    if is_tls && env.tls_client_ca.is_some() {
        return Err(io::Error::other("it asks for a client certificate; set REGISTRY_ADMIN_ADDR, which needs none"));
    }
    let (stream, address) = connect(at)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    match is_tls {
        true => status_of(tls::connect(stream, address)?, at),
        false => status_of(stream, at),
    }
}

/// Connects to the first address of a name that answers: `localhost` is two.
fn connect(at: &str) -> io::Result<(TcpStream, SocketAddr)> {
    let mut last = io::Error::other("the name has no address");
    for address in at.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return Ok((stream, address)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn status_of(mut stream: impl Read + Write, host: &str) -> io::Result<u16> {
    write!(stream, "GET /health/ready HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    stream.flush()?;
    let mut answer = Vec::new();
    let ended = stream.take(LONGEST_ANSWER).read_to_end(&mut answer);
    let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let status = std::str::from_utf8(line).ok().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    match (status, ended) {
        (Some(status), _) => Ok(status),
        (None, Err(error)) => Err(error),
        (None, Ok(_)) => Err(io::Error::new(io::ErrorKind::InvalidData, "it does not speak HTTP")),
    }
}

/// TLS to this machine's own daemon. Nothing secret is sent, so whose certificate it has does not matter.
mod tls {
    use rustls::{
        ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{self, CryptoProvider},
        pki_types::{CertificateDer, ServerName, UnixTime},
    };
    use std::{
        io,
        net::{SocketAddr, TcpStream},
        sync::Arc,
    };

    pub(super) fn connect(
        stream: TcpStream,
        address: SocketAddr,
    ) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_no_client_auth();
        let connection = ClientConnection::new(Arc::new(config), ServerName::IpAddress(address.ip().into()));
        Ok(StreamOwned::new(connection.map_err(io::Error::other)?, stream))
    }

    #[derive(Debug)]
    struct Anybody(Arc<CryptoProvider>);

    impl ServerCertVerifier for Anybody {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            crypto::verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            crypto::verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
}
