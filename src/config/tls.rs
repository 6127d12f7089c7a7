//! Builds the rustls configuration from PEM files: certificate, key and client authorities.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use webpki::{EndEntityCert, KeyUsage};

use super::env::Env;
use super::problems::{Problem, Problems, Warning};
use super::snapshot::Snapshot;
use crate::identity::is_rsa_key;

/// The files it is built from.
pub(super) fn files(env: &Env) -> Vec<&Path> {
    [&env.tls_cert, &env.tls_key, &env.tls_client_ca].into_iter().flatten().map(AsRef::as_ref).collect()
}

/// The TLS part of a generation; `None` if TLS is off or after a problem.
pub(super) fn load(
    env: &Env,
    files: &Snapshot,
    problems: &mut Problems,
    warnings: &mut Vec<Warning>,
) -> Option<Arc<ServerConfig>> {
    let cert = env.tls_cert.as_deref().map(|path| (path, certificates(path, files)));
    let key = env.tls_key.as_deref().map(|path| (path, key(path, files)));
    let roots = env.tls_client_ca.as_deref().map(|path| (path, roots(path, files)));
    // Every file is read before anything is checked, so that all problems are reported at once.
    let mut take = |path: &Path, error: String| problems.push(Problem::of_file(path, error));
    let cert = cert.map(|(path, read)| (path, read.map_err(|error| take(path, error)).ok()));
    let key = key.map(|(path, read)| (path, read.map_err(|error| take(path, error)).ok()));
    let roots = roots.map(|(path, read)| (path, read.map_err(|error| take(path, error)).ok()));
    // One without the other: the environment has reported that.
    let ((cert_path, cert), (key_path, key)) = cert.zip(key)?;
    let roots = match roots {
        None => None,
        Some((_, roots)) => Some(roots?),
    };
    let cert = cert?;
    let dated = cert.iter().filter_map(out_of_date).map(|message| Warning(Problem::of_file(cert_path, message)));
    warnings.extend(dated);
    match build(cert, key?, roots) {
        Ok(config) => Some(Arc::new(config)),
        Err(error) => {
            let (path, message) = refused(&error, cert_path, key_path);
            take(path, message);
            None
        }
    }
}

/// Explains why rustls rejects certificate and key, and which of the two files is at fault.
fn refused<'p>(error: &rustls::Error, cert: &'p Path, key: &'p Path) -> (&'p Path, String) {
    match error {
        rustls::Error::InconsistentKeys(_) => (
            cert,
            format!("the certificate belongs to another key than {}: use the key it was issued for", key.display()),
        ),
        rustls::Error::InvalidCertificate(_) => (cert, "the first certificate is damaged".to_owned()),
        _ => (key, "the private key is damaged or of an unsupported kind: use RSA, ECDSA or Ed25519".to_owned()),
    }
}

/// How long before it expires a certificate is warned about.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// The error that clients report about a certificate's validity period, now or soon.
fn out_of_date(cert: &CertificateDer<'_>) -> Option<String> {
    let cert = EndEntityCert::try_from(cert).ok()?;
    let now = UnixTime::now();
    let soon = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + SOON);
    let date = |time: UnixTime| {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        jiff::Timestamp::from_second(seconds).map_or_else(|_| "an unknown time".to_owned(), |time| time.to_string())
    };
    // The time is checked before trust, and no authority is trusted here.
    let judge = |at| cert.verify_for_usage(&[], &[], &[], at, KeyUsage::server_auth(), None, None).err();
    match (judge(now), judge(soon)) {
        (Some(webpki::Error::CertExpired { not_after, .. }), _) => {
            Some(format!("the certificate expired on {}: clients refuse it; renew it", date(not_after)))
        }
        (Some(webpki::Error::CertNotValidYet { not_before, .. }), _) => {
            Some(format!("the certificate is not valid before {}: clients refuse it until then", date(not_before)))
        }
        (_, Some(webpki::Error::CertExpired { not_after, .. })) => {
            Some(format!("the certificate expires on {}: renew it", date(not_after)))
        }
        _ => None,
    }
}

fn build(
    cert: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: Option<RootCertStore>,
) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match roots {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            // This happens only without any authority, and such a file was rejected before.
            let verifier = verifier.map_err(|error| rustls::Error::General(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(cert, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &Path, files: &Snapshot) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_slice_iter(files.bytes(path)?).collect::<Result<Vec<_>, _>>();
    let found = read.map_err(|error| explain(&error, "certificate"))?;
    if found.is_empty() {
        return Err(explain(&pem::Error::NoItemsFound, "certificate"));
    }
    for (i, cert) in found.iter().enumerate() {
        // A certificate that cannot be parsed is reported where it is used.
        if let Ok(cert) = EndEntityCert::try_from(cert) {
            let judged = is_rsa_key(cert.subject_public_key_info().as_ref());
            judged.map_err(|unfit| format!("certificate {} of the file has {unfit}", i + 1))?;
        }
    }
    Ok(found)
}

fn key(path: &Path, files: &Snapshot) -> Result<PrivateKeyDer<'static>, String> {
    let bytes = files.bytes(path)?;
    let encrypted = |line: &[u8]| {
        line.starts_with(b"-----BEGIN ENCRYPTED") || (line.starts_with(b"Proc-Type:") && line.ends_with(b"ENCRYPTED"))
    };
    if bytes.split(|byte| *byte == b'\n').any(|line| encrypted(line.trim_ascii_end())) {
        let path = path.display();
        return Err(format!("the private key is encrypted; store it without a passphrase: openssl pkey -in {path}"));
    }
    PrivateKeyDer::from_pem_slice(bytes).map_err(|error| explain(&error, "private key"))
}

fn roots(path: &Path, files: &Snapshot) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for (i, cert) in certificates(path, files)?.into_iter().enumerate() {
        roots
            .add(cert)
            .map_err(|_| format!("certificate {} of the file is damaged or cannot be an authority", i + 1))?;
    }
    Ok(roots)
}

/// A PEM error without the file's content, which some variants contain.
fn explain(error: &pem::Error, what: &str) -> String {
    match error {
        pem::Error::NoItemsFound => format!("holds no {what} in PEM form"),
        _ => format!("is damaged, or not a PEM file with a {what}"),
    }
}
