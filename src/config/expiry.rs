//! When the configured certificates expire.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

/// When the first certificate of each active file expires; `None` if there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expiries {
    /// The server's certificate and its intermediates.
    pub server: Option<SystemTime>,
    /// The authorities of client certificates.
    pub client_ca: Option<SystemTime>,
    /// The certificate that verifies tokens.
    pub token: Option<SystemTime>,
}

impl Expiries {
    /// Each expiry with its name.
    pub fn named(&self) -> [(&'static str, Option<SystemTime>); 3] {
        [("server", self.server), ("client_ca", self.client_ca), ("token", self.token)]
    }
}

/// When the first of these PEM certificates expires.
pub(super) fn first_end(pem: &[u8]) -> Option<SystemTime> {
    CertificateDer::pem_slice_iter(pem).filter_map(|cert| end(&cert.ok()?)).min()
}

/// When a certificate expires.
fn end(cert: &CertificateDer<'_>) -> Option<SystemTime> {
    // The library reveals it only in its error; it checks the time before trust, and no authority is trusted here.
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
