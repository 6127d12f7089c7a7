//! Who is trusted, and what is shown to them.

use crate::{login::Secret, registry::TlsOptions};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// The TLS options of a client, compiled at the first connection that needs them: reading the
/// system's certificates takes milliseconds, and a machine without any can still speak plain HTTP.
pub(crate) struct TlsSetup {
    options: TlsOptions,
    /// The host that the client certificate and `insecure` are for.
    host: String,
    compiled: OnceCell<Compiled>,
}

/// Other hosts (token services, object stores) get neither the client certificate nor the leniency.
struct Compiled {
    own: Arc<ClientConfig>,
    others: Arc<ClientConfig>,
}

impl TlsSetup {
    pub(crate) fn new(options: TlsOptions, host: String) -> Self {
        Self { options, host, compiled: OnceCell::new() }
    }

    /// The configuration for a host.
    pub(crate) async fn of(&self, host: &str) -> Result<Arc<ClientConfig>, String> {
        let compile = || async {
            let options = self.options.clone();
            let compiled = tokio::task::spawn_blocking(move || compile(&options)).await;
            compiled.map_err(|error| error.to_string())?
        };
        let compiled = self.compiled.get_or_try_init(compile).await?;
        Ok(if host.eq_ignore_ascii_case(&self.host) { compiled.own.clone() } else { compiled.others.clone() })
    }
}

fn compile(options: &TlsOptions) -> Result<Compiled, String> {
    let others = config(options, false)?;
    let own = if options.insecure || options.identity.is_some() { config(options, true)? } else { others.clone() };
    Ok(Compiled { own, others })
}

fn config(options: &TlsOptions, is_own: bool) -> Result<Arc<ClientConfig>, String> {
    // Named, so that nothing depends on which provider a program installs.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let builder = if is_own && options.insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Unchecked(provider)))
    } else {
        builder.with_root_certificates(roots(&options.authorities)?)
    };
    let mut config = match &options.identity {
        Some((chain, key)) if is_own => identity(chain, key)
            .and_then(|(chain, key)| builder.with_client_auth_cert(chain, key).map_err(|error| error.to_string()))
            .map_err(|error| format!("the client certificate cannot be used: {error}"))?,
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if !options.http1_only {
        config.alpn_protocols.insert(0, b"h2".to_vec());
    }
    Ok(Arc::new(config))
}

fn identity(chain: &[u8], key: &Secret) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
    let chain = chain.map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes()).map_err(|error| error.to_string())?;
    Ok((chain, key))
}

/// The authorities of the system, and those given.
fn roots(authorities: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authorities) {
        let certificate = certificate.map_err(|error| format!("a certificate authority cannot be read: {error}"))?;
        roots.add(certificate).map_err(|error| format!("a certificate authority cannot be used: {error}"))?;
    }
    if roots.is_empty() && !authorities.is_empty() {
        return Err("the certificate authorities given are not PEM certificates".into());
    }
    // Systems have odd certificates among theirs; each that can be used counts.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("this system has no certificate authorities; install ca-certificates or set SSL_CERT_FILE".into());
    }
    Ok(roots)
}

/// Accepts any certificate; the handshake's signatures are still checked, so that a broken peer is noticed.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
