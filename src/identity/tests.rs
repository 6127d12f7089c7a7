//! Tokens of external services and of our own, and every way in which one can be invalid.

use super::*;
use crate::who::{ApiKeyId, SessionId, Subject};
use std::time::{Duration, SystemTime};

fn users(lines: &str) -> Users {
    Users::parse(lines).unwrap()
}

const HASH: &str = "$2y$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe";

fn issuer(pem: &str) -> Issuer {
    Issuer::parse(pem.as_bytes(), "here", "registry").unwrap()
}

mod own {
    use super::*;

    #[test]
    fn our_tokens_are_accepted_until_they_expire() {
        let (issuer, users) = (issuer(&new_signing_key().unwrap()), users(&format!("alice:{HASH}\n")));
        let (now, life) = (SystemTime::now(), Duration::from_secs(300));
        let alice = Subject::User("alice".into());
        let access = [Access { kind: "repository".into(), name: "a/b".into(), actions: vec!["pull".into()] }];
        let token = issuer.access_token(&users, (&alice, None), Some(&access), now, life).unwrap();
        let bearer = issuer.verify(&users, &token, now + Duration::from_secs(299)).unwrap();
        assert_eq!((&bearer.subject, bearer.access.as_deref()), (&alice, Some(access.as_slice())));
        assert_eq!((bearer.key, bearer.session), (None, None));
        let issued = now.duration_since(bearer.issued.unwrap()).unwrap();
        assert!(issued < Duration::from_millis(2), "{issued:?}");
        assert!(issuer.verify(&users, &token, now + Duration::from_secs(300 + 59)).is_ok(), "clocks differ");
        assert_eq!(issuer.verify(&users, &token, now + Duration::from_secs(300 + 61)), Err(TokenRefused::Expired));
        assert_eq!(issuer.verify(&users, &token, now - Duration::from_secs(62)), Err(TokenRefused::TooEarly));
        let identity = issuer.access_token(&users, (&alice, None), None, now, life).unwrap();
        assert_eq!(issuer.verify(&users, &identity, now).unwrap().access, None);
        let nobody = issuer.access_token(&users, (&Subject::Anonymous, None), Some(&[]), now, life).unwrap();
        assert_eq!(issuer.verify(&users, &nobody, now).unwrap().subject, Subject::Anonymous);
    }

    #[test]
    fn a_changed_or_removed_line_ends_only_the_tokens_of_that_user() {
        let issuer = issuer(&new_signing_key().unwrap());
        let before = users(&format!("alice:{HASH}\nbob:{HASH}\n"));
        let (now, life) = (SystemTime::now(), Duration::from_secs(300));
        let token =
            |name: &str| issuer.access_token(&before, (&Subject::User(name.into()), None), None, now, life).unwrap();
        let refresh = issuer
            .refresh_token(&before, (&Subject::User("alice".into()), None), now, Duration::from_secs(86_400 * 30))
            .unwrap();
        assert_eq!(issuer.verify_refresh(&before, &refresh, now).unwrap().subject, Subject::User("alice".into()));
        for after in [format!("bob:{HASH}\n"), format!("alice:{}\nbob:{HASH}\n", HASH.replace("2y", "2a"))] {
            let after = users(&after);
            assert_eq!(issuer.verify(&after, &token("alice"), now), Err(TokenRefused::Outdated));
            assert_eq!(issuer.verify_refresh(&after, &refresh, now), Err(TokenRefused::Outdated));
            assert!(issuer.verify(&after, &token("bob"), now).is_ok());
        }
    }

    #[test]
    fn a_refresh_token_gives_no_access_and_an_access_token_no_other_token() {
        let (issuer, users) = (issuer(&new_signing_key().unwrap()), users(&format!("alice:{HASH}\n")));
        let (now, life, alice) = (SystemTime::now(), Duration::from_secs(300), Subject::User("alice".into()));
        let refresh = issuer.refresh_token(&users, (&alice, None), now, life).unwrap();
        assert_eq!(issuer.verify(&users, &refresh, now), Err(TokenRefused::Audience));
        let access = issuer.access_token(&users, (&alice, None), None, now, life).unwrap();
        assert_eq!(issuer.verify_refresh(&users, &access, now), Err(TokenRefused::Audience));
    }

    #[test]
    fn a_token_names_the_session_or_the_api_key_that_it_ends_with() {
        let (issuer, users) = (issuer(&new_signing_key().unwrap()), users(&format!("alice:{HASH}\n")));
        let (now, life, alice) = (SystemTime::now(), Duration::from_secs(300), Subject::User("alice".into()));
        let (session, key) = (SessionId::of([7; 16]), ApiKeyId::of([9; 8]));
        let of_session = issuer.session_token(&users, &alice, session, now, life).unwrap();
        let bearer = issuer.verify(&users, &of_session, now).unwrap();
        assert_eq!((bearer.session, bearer.key, bearer.access), (Some(session), None, None));
        assert_eq!(issuer.verify_refresh(&users, &of_session, now), Err(TokenRefused::Audience));
        let of_key = issuer.access_token(&users, (&alice, Some(key)), None, now, life).unwrap();
        assert_eq!(issuer.verify(&users, &of_key, now).unwrap().key, Some(key));
        let refresh = issuer.refresh_token(&users, (&alice, Some(key)), now, life).unwrap();
        assert_eq!(issuer.verify_refresh(&users, &refresh, now).unwrap().key, Some(key));
    }

    #[test]
    fn a_fingerprint_lasts_until_the_line_changes_or_is_locked() {
        let issuer = issuer(&new_signing_key().unwrap());
        let before = users(&format!("alice:{HASH}\nci:!\n"));
        for user in ["alice", "ci"] {
            let fingerprint = issuer.fingerprint(&before, user).unwrap();
            assert!(issuer.is_current(&before, user, &fingerprint));
            for after in [format!("{user}:!{HASH}\n"), format!("{user}:{}\n", HASH.replace("2y", "2a")), String::new()]
            {
                assert!(!issuer.is_current(&users(&after), user, &fingerprint), "{after}");
            }
            assert!(!issuer.is_current(&before, user, ""));
        }
        assert_eq!(issuer.fingerprint(&before, "bob"), None);
        assert_eq!(issuer.fingerprint(&users(&format!("alice:!{HASH}\n")), "alice"), None);
    }

    #[test]
    fn keys_are_rotated_by_putting_the_new_one_first() {
        let (old, new) = (new_signing_key().unwrap(), new_signing_key().unwrap());
        let users = users(&format!("alice:{HASH}\n"));
        let (now, life, alice) = (SystemTime::now(), Duration::from_secs(300), Subject::User("alice".into()));
        let of_old = issuer(&old).access_token(&users, (&alice, None), None, now, life).unwrap();
        let both = issuer(&format!("{new}{old}"));
        let of_both = both.access_token(&users, (&alice, None), None, now, life).unwrap();
        assert!(both.verify(&users, &of_old, now).is_ok());
        assert!(issuer(&new).verify(&users, &of_both, now).is_ok(), "the first signs");
        assert_eq!(issuer(&new).verify(&users, &of_old, now), Err(TokenRefused::Signature));
    }

    /// Tokens issued before an update name the key by it.
    #[test]
    fn the_id_of_a_key_is_a_hash_of_its_public_half() {
        // RFC 8410 §10.3; the id by: openssl pkey -pubout -outform DER, sha256, the first 12 bytes in base64url.
        let key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        assert_eq!(format!("{:?}", issuer(key)), r#"Issuer(keys ["oekVYFTgT6yJmuny"], for "registry")"#);
    }

    #[test]
    fn keys_made_by_openssl_are_read_and_others_refused() {
        for (args, good) in [
            (&["genpkey", "-algorithm", "ed25519"][..], true),
            (&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], true),
            (&["ecparam", "-name", "prime256v1", "-genkey", "-noout"], true),
            (&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], false),
            (&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], false),
        ] {
            let Ok(made) = std::process::Command::new("openssl").args(args).output() else { return };
            assert_eq!(Issuer::parse(&made.stdout, "i", "a").is_ok(), good, "{args:?}");
        }
        for bad in ["", "alice:x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert!(Issuer::parse(bad.as_bytes(), "i", "a").is_err(), "{bad:?}");
        }
    }
}

mod elsewhere;
