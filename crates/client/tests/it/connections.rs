//! TLS, proxies, and control over the addresses that are connected to.

use crate::{
    daemon::{Daemon, password},
    fake::{Answer, Fake},
    words::*,
};
use client::{Client, ErrorKind, PushOptions, RegistryAddress, Resolve, Secret};
use oci::media_type::OCI_MANIFEST;
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{RootCertStore, ServerConfig, pki_types::pem::PemObject as _, server::WebPkiClientVerifier};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A certificate authority, and a certificate it signed for `localhost` or a client.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// The certificate chain and the key, as PEM.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn server(&self, clients: Option<&Self>) -> Arc<ServerConfig> {
        let (chain, key) = self.sign("localhost");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.0.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let chain = vec![rustls::pki_types::CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()];
        let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

async fn daemon(tls: Arc<ServerConfig>) -> (Daemon, RegistryAddress) {
    let daemon = Daemon::with(|setup| setup.tls = Some(tls)).await;
    let registry = format!("https://localhost:{}", daemon.address().port()).parse().unwrap();
    (daemon, registry)
}

#[tokio::test]
async fn certificates_are_verified_against_the_given_authorities() {
    let authority = Authority::new();
    let (_daemon, registry) = daemon(authority.server(None)).await;
    let error = Client::builder(registry.clone()).retries(quick()).build().ping().await.unwrap_err();
    assert_eq!((error.kind(), error.is_temporary()), (ErrorKind::Tls, false), "{error}");
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");

    let client = Client::new(registry.clone().certificate_authorities(authority.pem()));
    let blob = content(3 << 20);
    client.ping().await.unwrap();
    push_image(&client, &repository("a"), &blob, &[tag("v1")]).await;
    assert_eq!(client.pull_blob(&repository("a"), &digest(&blob), None).bytes(3 << 20).await.unwrap(), blob);
    Client::new(registry.clone().insecure()).ping().await.unwrap();

    let error = Client::new(registry.certificate_authorities("not PEM")).ping().await.unwrap_err();
    assert!(error.to_string().ends_with("the certificate authorities given are not PEM certificates"), "{error}");
}

#[tokio::test]
async fn a_client_certificate_is_presented_to_the_registry() {
    let (authority, people) = (Authority::new(), Authority::new());
    let (_daemon, registry) = daemon(authority.server(Some(&people))).await;
    let registry = registry.certificate_authorities(authority.pem());
    let error = Client::builder(registry.clone()).retries(quick()).build().ping().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Tls | ErrorKind::Unreachable), "{error}");
    let (chain, key) = people.sign("alice");
    Client::new(registry.clone().client_certificate(chain, Secret::new(key))).ping().await.unwrap();
    let error = Client::new(registry.client_certificate("x", Secret::new("s3cret"))).ping().await.unwrap_err();
    assert!(error.to_string().contains("the client certificate cannot be used"), "{error}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

#[tokio::test]
async fn a_registry_without_tls_and_one_with_a_bad_certificate_give_different_errors() {
    let fake = Fake::start(|_| Answer::new(200)).await;
    let registry: RegistryAddress = format!("https://{}", fake.address).parse().unwrap();
    let client = Client::builder(registry.insecure()).retries(quick()).build();
    let error = client.ping().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    assert!(error.to_string().ends_with("if the registry speaks plain HTTP, write http:// before its name"), "{error}");
}

/// A resolver that knows some names and refuses all others.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<Vec<String>>>);

#[async_trait::async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.0.lock().unwrap().push(host.to_owned());
        match host {
            "registry.example.com" | "store.example.com" => Ok(vec![IpAddr::from([127, 0, 0, 1])]),
            _ => Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{host} is a private address"))),
        }
    }
}

#[tokio::test]
async fn only_addresses_from_the_resolver_are_connected_to() {
    let store = Fake::start(|_| Answer::new(200).header("content-type", OCI_MANIFEST).body(image(b"x"))).await;
    let port = store.address.port();
    let names = Names::default();
    let client_of = |fake: &Fake| {
        let registry: RegistryAddress = format!("http://registry.example.com:{}", fake.address.port()).parse().unwrap();
        Client::builder(registry).retries(quick()).resolver(names.clone()).build()
    };
    // The target of a redirect is resolved in the same way.
    let fake =
        Fake::start(move |_| Answer::new(307).header("location", format!("http://store.example.com:{port}/m"))).await;
    client_of(&fake).pull_manifest(&repository("a"), &tagged("v1")).await.unwrap();
    assert_eq!(*names.0.lock().unwrap(), ["registry.example.com", "store.example.com"]);

    let fake =
        Fake::start(move |_| Answer::new(307).header("location", format!("http://internal.example.com:{port}/m")))
            .await;
    let error = client_of(&fake).pull_manifest(&repository("a"), &tagged("v1")).await.unwrap_err();
    assert_eq!((error.kind(), error.is_temporary()), (ErrorKind::Refused, false), "{error}");
    assert!(error.to_string().ends_with("internal.example.com is a private address"), "{error}");

    // Not even a public address is connected to unless the resolver returned it.
    let fake = Fake::start(move |_| Answer::new(307).header("location", "http://8.8.8.8/m")).await;
    let error = client_of(&fake).pull_manifest(&repository("a"), &tagged("v1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert_eq!(store.asked().len(), 1);
}

#[tokio::test]
async fn a_remote_registry_cannot_redirect_into_the_clients_own_network() {
    for (near, header) in [
        ("http://127.0.0.1:1/x", "location"),
        ("http://169.254.169.254/latest", "location"),
        ("http://localhost:1/t", "realm"),
    ] {
        let fake = Fake::start(move |_| match header {
            "realm" => Answer::new(401).header("www-authenticate", format!("Bearer realm=\"{near}\"")),
            _ => Answer::new(307).header("location", near),
        })
        .await;
        let registry: RegistryAddress = format!("http://registry.example.com:{}", fake.address.port()).parse().unwrap();
        let client =
            Client::builder(registry).resolver(Names::default()).credentials(password("alice", "alice!")).build();
        let error = client.ping().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains("is an address in the client's own network"), "{error}");
    }
}

/// Terminates TLS in front of a plain HTTP server; returns the port on `localhost`.
async fn ending_tls(config: Arc<ServerConfig>, behind: SocketAddr) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let config = config.clone();
            tokio::spawn(async move {
                let mut tls = TlsAcceptor::from(config).accept(tcp).await.unwrap();
                let mut tcp = TcpStream::connect(behind).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut tls, &mut tcp).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn a_registry_behind_a_tls_proxy_may_send_http_locations() {
    let fake = Fake::start(|asked| match asked.method.as_str() {
        "HEAD" => Answer::new(404),
        "POST" => {
            let location = format!("http://{}/v2/a/blobs/uploads/7?_state=x", asked.header("host"));
            Answer::new(202).header("location", location)
        }
        _ => Answer::new(201),
    })
    .await;
    let authority = Authority::new();
    let mut config = Arc::unwrap_or_clone(authority.server(None));
    config.alpn_protocols.clear();
    let port = ending_tls(Arc::new(config), fake.address).await;
    let registry: RegistryAddress = format!("https://localhost:{port}").parse().unwrap();
    let client = Client::new(registry.certificate_authorities(authority.pem()));
    let blob = content(10);
    client.push_blob(&repository("a"), &digest(&blob), 10, &blob, &PushOptions::default()).await.unwrap();
    let last = fake.asked().pop().unwrap();
    assert!(last.line().starts_with("PUT /v2/a/blobs/uploads/7?_state=x&digest="), "{last:?}");
}

#[tokio::test]
async fn plain_requests_name_the_registry_to_the_proxy() {
    let proxy = Fake::start(|_| Answer::new(200)).await;
    let url = format!("http://alice:s3cret@{}", proxy.address);
    let client = Client::builder("http://registry.example.com".parse().unwrap()).proxy(&url, "").build();
    client.ping().await.unwrap();
    let asked = &proxy.asked()[0];
    assert_eq!(asked.line(), "GET http://registry.example.com/v2/");
    assert_eq!(asked.header("proxy-authorization"), "Basic YWxpY2U6czNjcmV0");
    let fake = Fake::start(|_| Answer::new(200)).await;
    fake.builder().proxy(&url, "127.0.0.1").build().ping().await.unwrap();
    assert_eq!((fake.asked().len(), proxy.asked().len()), (1, 1));
    // https needs a tunnel, which this proxy does not support.
    let client = Client::builder("registry.example.com".parse().unwrap()).proxy(&url, "").retries(quick()).build();
    let error = client.ping().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert_eq!(proxy.asked()[1].line(), "CONNECT registry.example.com:443");
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
}
