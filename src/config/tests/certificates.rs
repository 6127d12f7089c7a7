//! Certificates and keys that the settings name.

use super::write;
use crate::config::*;
use std::path::Path;

#[test]
fn certificates_are_compiled_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    let pair = |name: &str| {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let cert = write(dir.path(), &format!("{name}.crt"), &made.cert.pem());
        (cert, write(dir.path(), &format!("{name}.key"), &made.signing_key.serialize_pem()))
    };
    let ((cert, key), (_, other)) = (pair("a"), pair("b"));
    let tls = |cert: &Path, key: &Path, ca: Option<&Path>| {
        let given =
            [("REGISTRY_TLS_CERT", Some(cert)), ("REGISTRY_TLS_KEY", Some(key)), ("REGISTRY_TLS_CLIENT_CA", ca)];
        let flags = given.into_iter().filter_map(|(name, path)| Some((name, path?.as_os_str().to_owned())));
        let (env, _) = Env::load([], None, flags).unwrap();
        Live::load(&env).map(|(live, _)| live.tls.unwrap()).map_err(|problems| problems.to_string())
    };
    let config = tls(&cert, &key, None).unwrap();
    assert_eq!(config.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    assert!(tls(&cert, &key, Some(&cert)).is_ok());
    let reported = tls(&cert, &other, None).unwrap_err();
    assert!(reported.contains("a.crt: the certificate belongs to another key than "), "{reported}");
    assert!(reported.ends_with("b.key: use the key it was issued for"), "{reported}");
    assert!(tls(&key, &cert, None).unwrap_err().contains("holds no certificate in PEM form"));
    let all = tls(&key, &cert, Some(&dir.path().join("none"))).unwrap_err();
    assert_eq!(all.lines().count(), 3, "{all}");
}

#[test]
fn an_encrypted_key_is_reported_as_encrypted() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let cert = write(dir.path(), "tls.crt", &made.cert.pem());
    let plain = made.signing_key.serialize_pem();
    for text in [
        plain.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
        plain.replace("KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n"),
    ] {
        let key = write(dir.path(), "tls.key", &text);
        let flags = [("REGISTRY_TLS_CERT", &cert), ("REGISTRY_TLS_KEY", &key)];
        let flags = flags.map(|(name, path)| (name, path.clone().into_os_string()));
        let reported = Live::load(&Env::load([], None, flags).unwrap().0).unwrap_err().to_string();
        let expected = format!(
            "tls.key: the private key is encrypted; store it without a passphrase: openssl pkey -in {}",
            key.display()
        );
        assert!(reported.ends_with(&expected), "{reported}");
    }
}

#[test]
fn short_rsa_keys_are_refused_in_every_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("tls.crt"), dir.path().join("tls.key"));
    let sound = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let load = |cert: &Path, ca: &Path| {
        let flags = [("REGISTRY_TLS_CERT", cert), ("REGISTRY_TLS_KEY", &*key), ("REGISTRY_TLS_CLIENT_CA", ca)];
        let flags = flags.map(|(name, path)| (name, path.into()));
        Live::load(&Env::load([], None, flags).unwrap().0).map(|_| ()).map_err(|problems| problems.to_string())
    };
    for bits in ["1024", "2048"] {
        let asked = ["req", "-x509", "-nodes", "-subj", "/CN=localhost", "-newkey"];
        let mut openssl = std::process::Command::new("openssl");
        openssl.args(asked).arg(format!("rsa:{bits}")).arg("-out").arg(&cert).arg("-keyout").arg(&key);
        let Ok(made) = openssl.output() else { return };
        assert!(made.status.success());
        let chain = write(dir.path(), "chain.crt", &(sound.cert.pem() + &std::fs::read_to_string(&cert).unwrap()));
        let as_server = load(&cert, &cert);
        if bits == "2048" {
            assert_eq!(as_server, Ok(()));
            continue;
        }
        let unfit = "has an RSA key of 1024 bits; 2048 to 8192 bits are accepted";
        let reported = as_server.unwrap_err();
        assert_eq!(reported.matches(&format!("tls.crt: certificate 1 of the file {unfit}")).count(), 2, "{reported}");
        let reported = load(&chain, &chain).unwrap_err();
        assert_eq!(reported.matches(&format!("chain.crt: certificate 2 of the file {unfit}")).count(), 2, "{reported}");
    }
}

#[test]
fn an_expired_or_future_certificate_is_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let now = jiff::Zoned::now();
    let day = |days: i64| {
        let date = now.date().checked_add(jiff::Span::new().days(days)).unwrap();
        rcgen::date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    let warned = |from: i64, to: i64| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        (params.not_before, params.not_after) = (day(from), day(to));
        let cert = write(dir.path(), "tls.crt", &params.self_signed(&key).unwrap().pem());
        let key = write(dir.path(), "tls.key", &key.serialize_pem());
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let flags = [("REGISTRY_TLS_CERT", cert.into_os_string()), ("REGISTRY_TLS_KEY", key.into_os_string())];
        let (_, warnings) = Live::load(&Env::load([], None, flags).unwrap().0).unwrap();
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(warned(-30, 30), "");
    let reported = warned(-30, -3);
    assert!(reported.contains("tls.crt: the certificate expired on ") && reported.ends_with("renew it"), "{reported}");
    assert!(warned(-30, 7).contains("the certificate expires on "));
    assert!(warned(3, 30).contains("the certificate is not valid before "));
}
