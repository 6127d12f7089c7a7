//! Certificates for one test, and TLS connections with them.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use std::{io, net::SocketAddr, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A certificate authority.
pub struct Authority {
    pub pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
pub struct Pair {
    pub cert_pem: String,
    pub key_pem: String,
    cert: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let cert = params.self_signed(&key).unwrap();
        Self { pem: cert.pem(), der: cert.der().clone(), issuer: Issuer::new(params, key) }
    }

    pub fn sign(&self, name: &str) -> Pair {
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        Pair {
            cert_pem: cert.pem(),
            key_pem: key.serialize_pem(),
            cert: cert.der().clone(),
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }

    /// The configuration of a server called `localhost`, with a certificate of this authority.
    pub fn server(&self) -> Arc<ServerConfig> {
        self.server_of("localhost")
    }

    /// The same with another server name.
    pub fn server_of(&self, name: &str) -> Arc<ServerConfig> {
        self.accepting(name, WebPkiClientVerifier::no_client_auth())
    }

    /// The same as `localhost`, for clients with a certificate of this authority only.
    pub fn server_that_asks(&self) -> Arc<ServerConfig> {
        let asks = WebPkiClientVerifier::builder_with_provider(self.roots(), provider()).build().unwrap();
        self.accepting("localhost", asks)
    }

    fn accepting(&self, name: &str, clients: Arc<dyn ClientCertVerifier>) -> Arc<ServerConfig> {
        let pair = self.sign(name);
        let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let config = config.with_client_cert_verifier(clients).with_single_cert(vec![pair.cert], pair.key);
        let mut config = config.unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        Arc::new(roots)
    }

    /// A client that trusts this authority, offers these protocols and presents this certificate.
    pub fn client(&self, protocols: &[&str], pair: Option<Pair>) -> TlsConnector {
        let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(self.roots());
        let mut config = match pair {
            None => config.with_no_client_auth(),
            Some(pair) => config.with_client_auth_cert(vec![pair.cert], pair.key).unwrap(),
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Connects to a server as `localhost` and completes the handshake.
pub async fn connect(address: SocketAddr, client: &TlsConnector) -> io::Result<TlsStream<TcpStream>> {
    connect_as("localhost", address, client).await
}

/// The same, expecting another server name.
pub async fn connect_as(
    name: &'static str,
    address: SocketAddr,
    client: &TlsConnector,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    client.connect(ServerName::try_from(name).unwrap(), stream).await
}
