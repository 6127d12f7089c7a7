//! Certificate, key and client authorities, from PEM files to what rustls accepts with.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::env::Env;
use super::problems::{Problem, Problems};
use super::snapshot::Snapshot;

/// The files it is made of.
pub(super) fn files(env: &Env) -> Vec<&Path> {
    [&env.tls_cert, &env.tls_key, &env.tls_client_ca].into_iter().flatten().map(AsRef::as_ref).collect()
}

/// The TLS side of a generation; `None` when TLS is off or something is wrong.
pub(super) fn load(env: &Env, files: &Snapshot, problems: &mut Problems) -> Option<Arc<ServerConfig>> {
    let cert = env.tls_cert.as_deref().map(|path| (path, certificates(path, files)));
    let key = env.tls_key.as_deref().map(|path| (path, key(path, files)));
    let roots = env.tls_client_ca.as_deref().map(|path| (path, roots(path, files)));
    // Every file is read before anything is judged, so that all problems are listed at once.
    let mut take = |path: &Path, error: String| problems.push(Problem::of_file(path, error));
    let cert = cert.map(|(path, read)| (path, read.map_err(|error| take(path, error)).ok()));
    let key = key.map(|(path, read)| (path, read.map_err(|error| take(path, error)).ok()));
    let roots = roots.map(|(path, read)| (path, read.map_err(|error| take(path, error)).ok()));
    // Set without its companion: already reported by the environment.
    let ((cert_path, cert), (_, key)) = cert.zip(key)?;
    let roots = match roots {
        None => None,
        Some((_, roots)) => Some(roots?),
    };
    match build(cert?, key?, roots) {
        Ok(config) => Some(Arc::new(config)),
        Err(error) => {
            take(cert_path, format!("certificate and REGISTRY_TLS_KEY cannot be used: {error}"));
            None
        }
    }
}

fn build(
    cert: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: Option<RootCertStore>,
) -> Result<ServerConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match roots {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| error.to_string())?)
        }
    };
    let mut config = builder.with_single_cert(cert, key).map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &Path, files: &Snapshot) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_slice_iter(files.bytes(path)?).collect::<Result<Vec<_>, _>>();
    let found = read.map_err(|error| explain(&error, "certificate"))?;
    if found.is_empty() {
        return Err(explain(&pem::Error::NoItemsFound, "certificate"));
    }
    Ok(found)
}

fn key(path: &Path, files: &Snapshot) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(files.bytes(path)?).map_err(|error| explain(&error, "private key"))
}

fn roots(path: &Path, files: &Snapshot) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for cert in certificates(path, files)? {
        roots.add(cert).map_err(|error| format!("holds a certificate that cannot be an authority: {error}"))?;
    }
    Ok(roots)
}

/// A PEM error without the file's content, which some of its forms carry.
fn explain(error: &pem::Error, what: &str) -> String {
    match error {
        pem::Error::NoItemsFound => format!("holds no {what} in PEM form"),
        _ => format!("is not a sound PEM file with a {what}"),
    }
}
