//! When the configured certificates expire.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

use super::env::Env;
use super::live::{Live, Tokens};
use super::snapshot::Snapshot;

/// When the first certificate of each file that is in force expires; `None` where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expiries {
    /// Of the server's certificate and those that lead to its authority.
    pub server: Option<SystemTime>,
    /// Of the authorities of client certificates.
    pub client_ca: Option<SystemTime>,
    /// Of the certificate that tokens are verified with.
    pub token: Option<SystemTime>,
}

impl Expiries {
    /// Those of `live`, which was compiled from these files after `last`. A file that was rejected left its part of
    /// `live` as it was.
    pub(super) fn of(env: &Env, files: &Snapshot, live: &Live, last: Option<&Live>) -> Self {
        let read = |path: Option<&PathBuf>| first_end(files.bytes(path?).ok()?);
        let (server, client_ca) = match last {
            Some(last) if is_same(&live.tls, &last.tls) => (last.expiries.server, last.expiries.client_ca),
            _ => (read(env.tls_cert.as_ref()), read(env.tls_client_ca.as_ref())),
        };
        let token = match (&live.tokens, last) {
            (Tokens::Elsewhere(now), Some(Live { tokens: Tokens::Elsewhere(before), expiries, .. }))
                if Arc::ptr_eq(now, before) =>
            {
                expiries.token
            }
            (Tokens::Elsewhere(_), _) => read(env.auth_token_publickey.as_ref()),
            (Tokens::Own(_) | Tokens::None, _) => None,
        };
        Self { server, client_ca, token }
    }

    /// Each with its name.
    pub fn named(&self) -> [(&'static str, Option<SystemTime>); 3] {
        [("server", self.server), ("client_ca", self.client_ca), ("token", self.token)]
    }
}

fn is_same<T>(a: &Option<Arc<T>>, b: &Option<Arc<T>>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if Arc::ptr_eq(a, b))
}

/// When the first of these PEM certificates expires.
fn first_end(pem: &[u8]) -> Option<SystemTime> {
    CertificateDer::pem_slice_iter(pem).filter_map(|cert| end(&cert.ok()?)).min()
}

/// When a certificate expires.
fn end(cert: &CertificateDer<'_>) -> Option<SystemTime> {
    // The library reveals it only in its refusal; it judges the time before trust, and nobody is trusted here.
    let too_late = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX));
    let cert = EndEntityCert::try_from(cert).ok()?;
    match cert.verify_for_usage(&[], &[], &[], too_late, KeyUsage::server_auth(), None, None) {
        Err(Error::CertExpired { not_after, .. }) => UNIX_EPOCH.checked_add(Duration::from_secs(not_after.as_secs())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};

    #[test]
    fn the_first_certificate_to_expire_counts_and_authorities_are_certificates_too() {
        let pem = |year: i32, is_ca: bool| {
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.not_after = date_time_ymd(year, 1, 1);
            params.is_ca = if is_ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::NoCa };
            params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
        };
        let at = |year: i64| {
            Some(UNIX_EPOCH + Duration::from_secs(date_time_ymd(year as i32, 1, 1).unix_timestamp() as u64))
        };
        let chain = format!("{}{}{}", pem(2040, false), pem(2031, true), KeyPair::generate().unwrap().serialize_pem());
        assert_eq!(first_end(chain.as_bytes()), at(2031));
        assert_eq!(first_end(pem(9999, false).as_bytes()), at(9999));
        assert_eq!(first_end(pem(2001, false).as_bytes()), at(2001), "also after its end");
        for nothing in ["", "{\"keys\":[]}", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert_eq!(first_end(nothing.as_bytes()), None, "{nothing}");
        }
    }
}
