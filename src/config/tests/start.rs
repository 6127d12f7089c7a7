//! What startup logs: where each value comes from, and its effect.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{env, os, reported, write};
use crate::config::*;
use crate::identity::{Identity, Issuer};
use crate::who::Subject;

/// The lines that startup logs for these variables.
fn decisions(pairs: &[(&str, &str)]) -> Vec<String> {
    env(pairs).unwrap().0.decisions()
}

#[test]
fn start_lines_name_each_value_and_where_it_comes_from() {
    let dir = tempfile::tempdir().unwrap();
    let dotenv = write(dir.path(), "e", "REGISTRY_LOG_LEVEL=warn\n");
    let vars = os(&[("REGISTRY_ADMIN_ADDR", "127.0.0.1:1"), ("REGISTRY_PUBLIC_URL", "https://r.example/")]);
    let flags = [("REGISTRY_PORT", OsString::from("5000"))];
    let lines = Env::load(vars, Some(&dotenv), flags).unwrap().0.decisions();
    let expected = [
        "address: 0.0.0.0:5000 (host: default; port: flag --port)".to_owned(),
        "storage directory: ./data (default); initialised if empty".to_owned(),
        "authentication: none (default); every caller is anonymous".to_owned(),
        "access rules: none (default)".to_owned(),
        "permissions: anyone who can reach 0.0.0.0:5000 may pull, push and delete".to_owned(),
        "TLS: off (default); plain HTTP".to_owned(),
        "settings file: none (default)".to_owned(),
        "public URL: https://r.example (environment REGISTRY_PUBLIC_URL)".to_owned(),
        "metrics and health details: 127.0.0.1:1 (environment REGISTRY_ADMIN_ADDR)".to_owned(),
        "trusted proxies: none (default); forwarding headers are ignored".to_owned(),
        format!("log: level warn ({} line 1); format pretty (default)", dotenv.display()),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn start_lines_and_warnings_say_who_may_do_what() {
    let users = [("REGISTRY_AUTH_TYPE", "basic"), ("REGISTRY_AUTH_HTPASSWD", "users")];
    let rules = [("REGISTRY_ACCESS_CONTROL_ENABLED", "true"), ("REGISTRY_ACCESS_CONTROL_CONFIG", "rules.json")];
    let token = [
        ("REGISTRY_AUTH_TYPE", "token"),
        ("REGISTRY_AUTH_TOKEN_REALM", "https://auth.example/token"),
        ("REGISTRY_AUTH_TOKEN_SERVICE", "r"),
        ("REGISTRY_AUTH_TOKEN_ISSUER", "auth"),
        ("REGISTRY_AUTH_TOKEN_PUBLICKEY", "key.pem"),
    ];
    let certificates =
        [("REGISTRY_TLS_CERT", "c"), ("REGISTRY_TLS_KEY", "k"), ("REGISTRY_TLS_CLIENT_CA", "clients.crt")];
    type Pairs<'a> = &'a [&'a [(&'a str, &'a str)]];
    let table: [(Pairs<'_>, &str, &str); 9] = [
        (&[], "anyone who can reach 0.0.0.0:15000 may pull, push and delete", "the registry is open: "),
        (&[&[("REGISTRY_HOST", "127.0.0.1")]], "anyone who can reach 127.0.0.1:15000 may pull, push and delete", ""),
        (&[&[("REGISTRY_HOST", "::1")]], "anyone who can reach [::1]:15000 may pull, push and delete", ""),
        (&[&certificates], "anyone with a client certificate from clients.crt may pull, push and delete", ""),
        (&[&rules], "the access rules decide; every caller is anonymous", "access rules without authentication: "),
        (&[&users, &rules], "the access rules decide", ""),
        (
            &[&users],
            "every user may pull, push and delete in every repository; anonymous callers may do nothing",
            "users without access rules: ",
        ),
        (&[&token], "what the token grants; callers without a token may do nothing", ""),
        (&[&token, &rules], "what the token grants, as far as the access rules allow it", ""),
    ];
    for (pairs, permissions, warning) in table {
        let pairs = pairs.concat();
        let line = format!("permissions: {permissions}");
        assert!(decisions(&pairs).contains(&line), "{pairs:?}: {:?}", decisions(&pairs));
        let (problems, warnings) = reported(&pairs);
        assert_eq!(problems, "");
        assert_eq!(warnings.lines().count(), usize::from(!warning.is_empty()), "{pairs:?}: {warnings}");
        assert!(warnings.contains(warning), "{warnings}");
        let reads_on = warnings.contains("see \"Users and permissions\" in README.md");
        assert_eq!(reads_on, !warning.is_empty(), "{warnings}");
    }
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    assert!(std::fs::read_to_string(readme).unwrap().contains("\n## Users and permissions"));
}

#[test]
fn a_start_names_the_users_and_the_token_service() {
    let own = [
        ("REGISTRY_HOST", "127.0.0.1"),
        ("REGISTRY_AUTH_TYPE", "basic"),
        ("REGISTRY_AUTH_HTPASSWD", "users"),
        ("REGISTRY_AUTH_TOKEN_SIGNINGKEY", "auto"),
    ];
    let line = "authentication: basic (environment REGISTRY_AUTH_TYPE); built-in token service \"wharfinger\" at \
                /auth/token; users from users (environment REGISTRY_AUTH_HTPASSWD)";
    assert!(decisions(&own).iter().any(|decision| decision == line), "{:?}", decisions(&own));
}

#[test]
fn a_changed_dotenv_is_reported_with_the_variables_that_a_restart_would_change() {
    let dir = tempfile::tempdir().unwrap();
    let dotenv = write(dir.path(), ".env", "REGISTRY_PORT=15000\nREGISTRY_AUTH_REALM=one\nREGISTRY_HOST=127.0.0.1\n");
    let vars = os(&[("REGISTRY_HOST", "127.0.0.2")]);
    let flags = [("REGISTRY_LOG_LEVEL", OsString::from("info"))];
    let pending = Pending::new(vars, Some(&dotenv), flags);
    let changed = || pending.changes(&Live::default()).map_err(|problems| problems.to_string());
    assert_eq!(changed(), Ok(vec![]));
    // The host is overridden by the environment, the level by a flag; the port keeps its default.
    write(dir.path(), ".env", "REGISTRY_AUTH_REALM=hunter2\nREGISTRY_HOST=127.0.0.9\nREGISTRY_LOG_LEVEL=warn\n");
    assert_eq!(changed(), Ok(vec!["REGISTRY_AUTH_REALM".to_owned()]));
    write(dir.path(), ".env", "REGISTRY_PORT=15001\nREGISTRY_TRUSTED_PROXIES=10.0.0.1\nREGISTRY_AUTH_REALM=one\n");
    let both = ["REGISTRY_PORT (15000 -> 15001)", "REGISTRY_TRUSTED_PROXIES (not set -> 10.0.0.1)"];
    assert_eq!(changed(), Ok(both.map(str::to_owned).to_vec()));
    write(dir.path(), ".env", "REGISTRY_PORT=many\n");
    assert!(changed().unwrap_err().contains("REGISTRY_PORT: \"many\" is not a port"));
    std::fs::remove_file(&dotenv).unwrap();
    assert_eq!(changed(), Ok(vec!["REGISTRY_AUTH_REALM".to_owned()]));
}

#[test]
fn files_are_compiled_once_for_a_start_unless_they_change_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let users = write(dir.path(), "users", "# no users\n");
    let vars = || os(&[("REGISTRY_AUTH_TYPE", "basic"), ("REGISTRY_AUTH_HTPASSWD", users.to_str().unwrap())]);
    let report = read(vars(), None, []);
    let compiled = report.live.identity.users().unwrap().clone();
    let watch = report.follow().unwrap();
    assert!(Arc::ptr_eq(watch.live().load().identity.users().unwrap(), &compiled));

    let report = read(vars(), None, []);
    write(dir.path(), "users", "alice:$2y$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe\n");
    let live = report.follow().unwrap().live();
    assert!(live.load().identity.users().unwrap().contains("alice"));
    assert_eq!(live.load().number, 0, "it is the first that is served");

    let report = read(vars(), None, []);
    write(dir.path(), "users", "alice\n");
    assert!(report.follow().is_err(), "changed for the worse");
}

#[test]
fn the_signing_key_that_a_start_creates_is_the_one_it_serves_with() {
    let dir = tempfile::tempdir().unwrap();
    let users = write(dir.path(), "users", "# no users\n");
    let vars = [
        ("REGISTRY_STORAGE_PATH", dir.path().to_str().unwrap()),
        ("REGISTRY_AUTH_TYPE", "basic"),
        ("REGISTRY_AUTH_HTPASSWD", users.to_str().unwrap()),
        ("REGISTRY_AUTH_TOKEN_SIGNINGKEY", "auto"),
        ("REGISTRY_PUBLIC_URL", "https://r.example"),
    ];
    let report = read(os(&vars), None, []);
    assert_eq!(report.problems.to_string(), "");
    let Identity::OwnTokens(before) = report.live.identity.clone() else { panic!("{:?}", report.live.identity) };

    let key = crate::identity::new_signing_key().unwrap();
    let path = dir.path().join(crate::storage::SIGNING_KEY);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, &key).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let live = report.follow().unwrap().live();
    let Identity::OwnTokens(now) = live.load().identity.clone() else { panic!("{:?}", live.load().identity) };
    let made = Issuer::parse(key.as_bytes(), "wharfinger", "r.example").unwrap();
    let (at, life) = (SystemTime::now(), Duration::from_secs(60));
    let token = made.access_token(&now.users, (&Subject::Anonymous, None), None, at, life).unwrap();
    assert!(now.issuer.verify(&now.users, &token, at).is_ok());
    assert!(before.issuer.verify(&now.users, &token, at).is_err(), "the new key does not verify old tokens");
}

#[test]
fn problems_of_the_signing_key_and_of_the_users_are_both_reported() {
    let dir = tempfile::tempdir().unwrap();
    let users = write(dir.path(), "users", "# no users\n");
    let key = write(dir.path(), "key.pem", &crate::identity::new_signing_key().unwrap());
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let vars = [
        ("REGISTRY_AUTH_TYPE", "basic"),
        ("REGISTRY_AUTH_HTPASSWD", users.to_str().unwrap()),
        ("REGISTRY_AUTH_TOKEN_SIGNINGKEY", key.to_str().unwrap()),
        ("REGISTRY_PUBLIC_URL", "https://r.example"),
    ];
    let mut watch = read(os(&vars), None, []).follow().unwrap();
    let live = watch.live();
    let service = || match &live.load().identity {
        Identity::OwnTokens(service) => service.clone(),
        other => panic!("{other:?}"),
    };
    let first = service();
    write(dir.path(), "key.pem", "half a key");
    write(dir.path(), "users", "alice:$2y$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe\n");
    assert!(watch.reload());
    assert!(Arc::ptr_eq(&service().issuer, &first.issuer), "the key as it was");
    assert!(service().users.contains("alice"), "and the users as they are");
}
