//! Encrypted connections.

use crate::{
    client::{H2, Raw},
    rig::{Door, ms},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    server::WebPkiClientVerifier,
};
use std::{io, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use wharfinger::server::Tls;

/// Signs certificates for servers and clients.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn signed(&self, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        (vec![cert.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        Arc::new(roots)
    }

    fn config(&self, name: &str, asks_clients: bool) -> Arc<ServerConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let builder = match asks_clients {
            true => builder.unwrap().with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(self.roots(), provider).build().unwrap(),
            ),
            false => builder.unwrap().with_no_client_auth(),
        };
        let (certs, key) = self.signed(name);
        let mut config = builder.with_single_cert(certs, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }

    pub fn tls(&self, name: &str) -> Tls {
        Tls::new(self.config(name, false))
    }
}

/// A client that trusts an authority.
pub struct Client(Arc<ClientConfig>);

impl Client {
    fn new(authority: &Authority, protocols: &[&str], identified: bool) -> Self {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(authority.roots());
        let mut config = match identified {
            true => {
                let (certs, key) = authority.signed("client.test");
                builder.with_client_auth_cert(certs, key).unwrap()
            }
            false => builder.with_no_client_auth(),
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Self(Arc::new(config))
    }

    pub async fn to(&self, door: &Door) -> io::Result<TlsStream<TcpStream>> {
        self.to_name(door, "a.test").await
    }

    async fn to_name(&self, door: &Door, name: &'static str) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(name).unwrap();
        TlsConnector::from(self.0.clone()).connect(name, door.connect().await).await
    }
}

/// One that speaks HTTP/1.1 and one that speaks HTTP/2.
pub fn plain_and_h2(authority: &Authority) -> (Client, Client) {
    (Client::new(authority, &[], false), Client::new(authority, &["h2"], false))
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_not_waited_for() {
    let authority = Authority::new();
    let door = Door::with(Some(authority.tls("a.test")), |limits| limits.tls_handshake = ms(150)).await;
    assert!(door.raw().await.rest().await.is_empty());
    let mut half = door.raw().await;
    half.send([22, 3, 1, 2, 0, 1]).await;
    half.rest().await;
    let mut plain = door.connect().await;
    plain.write_all(b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut got = Vec::new();
    let _ = plain.read_to_end(&mut got).await;
    let got = String::from_utf8(got).unwrap();
    assert!(got.starts_with("HTTP/1.1 400 this port takes HTTPS only"), "{got}");
    assert!(!got.contains("HTTP/1.1 200"), "nothing is served in clear: {got}");
}

#[tokio::test]
async fn after_the_handshake_the_same_clocks_run() {
    let authority = Authority::new();
    let (h1, h2) = plain_and_h2(&authority);
    let set = |limits: &mut wharfinger::config::Limits| {
        (limits.first_byte, limits.header, limits.keep_alive) = (ms(200), ms(200), ms(600));
    };
    let door = Door::with(Some(authority.tls("a.test")), set).await;
    assert!(Raw::new(h1.to(&door).await.unwrap()).rest().await.is_empty());
    assert!(!Raw::new(h2.to(&door).await.unwrap()).rest().await.is_empty(), "its settings, and the end");
    let mut slow = Raw::new(h1.to(&door).await.unwrap());
    slow.send("GET /small HTTP/1.1\r\nX").await;
    assert!(slow.rest().await.is_empty());
    let mut idle = Raw::new(h1.to(&door).await.unwrap());
    idle.get("/small").await;
    tokio::time::sleep(ms(300)).await;
    assert_eq!(idle.get("/small").await.body, b"small");
    assert!(idle.rest().await.is_empty());
}

#[tokio::test]
async fn an_encrypted_download_that_stands_still_is_cut() {
    let authority = Authority::new();
    let (h1, _) = plain_and_h2(&authority);
    let door = Door::with(Some(authority.tls("a.test")), |limits| limits.download_stall = ms(300)).await;
    let mut client = Raw::new(h1.to(&door).await.unwrap());
    client.send("GET /file HTTP/1.1\r\nHost: x\r\n\r\n".repeat(8)).await;
    tokio::time::sleep(ms(100)).await;
    door.bodies_are_gone().await;
    assert!(client.rest().await.len() < 8 * crate::app::FILE);
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused_where_one_is_asked_for() {
    let authority = Authority::new();
    let door = Door::with(Some(Tls::new(authority.config("a.test", true))), |_| {}).await;
    let stranger = Client::new(&authority, &[], false);
    // With TLS 1.3 a client learns of it when it reads.
    if let Ok(mut stream) = stranger.to(&door).await {
        let _ = stream.write_all(b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(stream.read(&mut [0; 100]).await.is_err());
    }
    let forged = Client::new(&Authority::new(), &[], true);
    assert!(forged.to(&door).await.is_err());
    let known = Client::new(&authority, &["h2"], true);
    assert_eq!(H2::over(known.to(&door).await.unwrap()).await.get("/small").await, b"small");
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_from_the_next_handshake_on() {
    let authority = Authority::new();
    let tls = authority.tls("a.test");
    let door = Door::with(Some(tls.clone()), |_| {}).await;
    let (client, _) = plain_and_h2(&authority);
    let mut before = Raw::new(client.to(&door).await.unwrap());
    before.get("/small").await;
    tls.renew(authority.config("b.test", false));
    assert!(client.to(&door).await.is_err(), "that name is gone");
    let mut after = Raw::new(client.to_name(&door, "b.test").await.unwrap());
    assert_eq!(after.get("/small").await.body, b"small");
    assert_eq!(before.get("/small").await.body, b"small", "who was here stays");
}
