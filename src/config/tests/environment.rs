//! Variables, `.env` and flags.

use std::ffi::OsString;
use std::path::Path;

use super::{env, os, reported, write};
use crate::config::{variables, *};

fn problems(pairs: &[(&str, &str)]) -> String {
    reported(pairs).0
}

#[test]
fn an_empty_environment_gives_the_documented_defaults() {
    let (env, warnings) = env(&[("PATH", "/bin"), ("HOME", "/root")]).unwrap();
    assert_eq!(env.listen().to_string(), "0.0.0.0:15000");
    assert_eq!(env.storage_path, Path::new("./data"));
    assert!(!env.storage_is_explicit());
    assert_eq!(env.storage_init, StorageInit::Auto);
    assert_eq!((env.upload_timeout.as_secs(), env.upload_cleanup_interval.as_secs()), (3600, 300));
    assert_eq!((env.auth_type, env.auth_realm.as_str()), (AuthType::None, "Registry"));
    assert_eq!((env.pagination_default_limit, env.pagination_max_limit), (100, 1000));
    assert_eq!((env.log_level, env.log_format), (LogLevel::Info, LogFormat::Pretty));
    assert!(matches!(&warnings[..], [Warning(open)] if open.message.starts_with("the registry is open")));
}

#[test]
fn every_row_of_the_table_reaches_its_own_field() {
    let before = format!("{:?}", Env::default());
    for var in VARS {
        let mut env = Env::default();
        let set = |text: &str, env: &mut Env| {
            assert_eq!(variables::read([(var.name, text.to_owned())], env), [], "{text}");
        };
        if let Some(default) = var.default {
            set(default, &mut env);
            assert_eq!(format!("{env:?}"), before, "{}", var.name);
        }
        set(var.example, &mut env);
        assert_eq!(format!("{env:?}") == before, var.default == Some(var.example), "{}", var.name);
        let name = var.name.strip_prefix("REGISTRY_").unwrap_or(var.name);
        let flag = if var.is_secret() { "" } else { &name.to_lowercase().replace('_', "-") };
        assert_eq!(var.flag, flag, "{}", var.name);
    }
}

#[test]
fn a_flag_beats_the_environment_which_beats_dotenv_which_beats_the_default() {
    let dir = tempfile::tempdir().unwrap();
    let file =
        write(dir.path(), ".env", "REGISTRY_PORT=1\nREGISTRY_HOST=10.0.0.1\nREGISTRY_AUTH_REALM=file\nOTHER=x\n");
    let vars = os(&[("REGISTRY_PORT", "2"), ("REGISTRY_HOST", "10.0.0.2")]);
    let flags = [("REGISTRY_PORT", OsString::from("3"))];
    let (env, _) = Env::load(vars, Some(&file), flags).unwrap();
    assert_eq!((env.port, env.source("REGISTRY_PORT")), (3, Some(&ValueSource::Flag)));
    assert_eq!(env.host.to_string(), "10.0.0.2");
    assert_eq!(env.auth_realm, "file");
    assert_eq!(env.source("REGISTRY_AUTH_REALM"), Some(&ValueSource::File(file, 3)));
    assert_eq!(env.upload_timeout.as_secs(), 3600);
    let (env, _) = Env::load([], Some(&dir.path().join("absent")), []).unwrap();
    assert_eq!(env.port, 15000);
}

#[test]
fn an_overridden_value_may_be_invalid() {
    let vars = os(&[("REGISTRY_PORT", "many")]);
    let flags = [("REGISTRY_PORT", OsString::from("3"))];
    assert_eq!(Env::load(vars, None, flags).unwrap().0.port, 3);
}

#[test]
fn each_wrong_value_is_a_problem_and_never_a_default() {
    let table = [
        ("REGISTRY_HOST", "localhost"),
        ("REGISTRY_PORT", "65536"),
        ("REGISTRY_PORT", "-1"),
        ("REGISTRY_ADMIN_ADDR", "15001"),
        ("REGISTRY_PUBLIC_URL", "registry.example.com"),
        ("REGISTRY_TRUSTED_PROXIES", "proxy"),
        ("REGISTRY_STORAGE_INIT", "maybe"),
        ("REGISTRY_UPLOAD_TIMEOUT", "0"),
        ("REGISTRY_UPLOAD_TIMEOUT", "1h"),
        ("REGISTRY_UPLOAD_CLEANUP_INTERVAL", "-300"),
        ("REGISTRY_AUTH_TYPE", "ldap"),
        ("REGISTRY_AUTH_REALM", "a\"b"),
        ("REGISTRY_ACCESS_CONTROL_ENABLED", "1"),
        ("REGISTRY_PAGINATION_DEFAULT_LIMIT", "0"),
        ("REGISTRY_PAGINATION_MAX_LIMIT", "NaN"),
        ("REGISTRY_LOG_LEVEL", "trace"),
        ("REGISTRY_LOG_FORMAT", "text"),
    ];
    for (name, value) in table {
        let reported = problems(&[(name, value)]);
        assert!(reported.starts_with(&format!("{name}: ")), "{name}={value}: {reported}");
        assert_eq!(reported.lines().count(), 1, "{reported}");
    }
}

#[test]
fn an_empty_value_is_a_problem_for_every_variable() {
    for var in VARS {
        for empty in ["", "  "] {
            let reported = problems(&[(var.name, empty)]);
            let expected = format!("{}: is empty: give it a value or unset it", var.name);
            assert!(reported.lines().any(|line| line == expected), "{reported}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_text_is_a_problem() {
    use std::os::unix::ffi::OsStringExt;
    let vars = [("REGISTRY_STORAGE_PATH".into(), OsString::from_vec(vec![b'/', 0xFF]))];
    let reported = Env::load(vars, None, []).unwrap_err().to_string();
    assert_eq!(reported, "REGISTRY_STORAGE_PATH: is not UTF-8 text");
}

#[test]
fn missing_companion_variables_are_reported() {
    let table: &[(&[(&str, &str)], &str)] = &[
        (&[("REGISTRY_TLS_CERT", "c")], "REGISTRY_TLS_CERT: needs REGISTRY_TLS_KEY"),
        (&[("REGISTRY_TLS_KEY", "k")], "REGISTRY_TLS_KEY: needs REGISTRY_TLS_CERT"),
        (&[("REGISTRY_TLS_CLIENT_CA", "a")], "REGISTRY_TLS_CLIENT_CA: needs REGISTRY_TLS_CERT"),
        (&[("REGISTRY_AUTH_TYPE", "basic")], "REGISTRY_AUTH_TYPE=basic: needs REGISTRY_AUTH_HTPASSWD"),
        (&[("REGISTRY_AUTH_TYPE", "token")], "REGISTRY_AUTH_TYPE=token: needs REGISTRY_AUTH_TOKEN_REALM"),
        (&[("REGISTRY_AUTH_TYPE", "token")], "REGISTRY_AUTH_TYPE=token: needs REGISTRY_AUTH_TOKEN_SERVICE"),
        (&[("REGISTRY_AUTH_TYPE", "token")], "REGISTRY_AUTH_TYPE=token: needs REGISTRY_AUTH_TOKEN_ISSUER"),
        (&[("REGISTRY_AUTH_TYPE", "token")], "REGISTRY_AUTH_TYPE=token: needs REGISTRY_AUTH_TOKEN_PUBLICKEY"),
        (&[("REGISTRY_AUTH_HTPASSWD", "h")], "REGISTRY_AUTH_HTPASSWD: has no effect without REGISTRY_AUTH_TYPE=basic"),
        (
            &[("REGISTRY_ACCESS_CONTROL_ENABLED", "true")],
            "REGISTRY_ACCESS_CONTROL_ENABLED: needs REGISTRY_ACCESS_CONTROL_CONFIG",
        ),
        (
            &[("REGISTRY_ACCESS_CONTROL_CONFIG", "a.json")],
            "REGISTRY_ACCESS_CONTROL_CONFIG: needs REGISTRY_ACCESS_CONTROL_ENABLED=true",
        ),
        (
            &[("REGISTRY_PAGINATION_DEFAULT_LIMIT", "2000")],
            "REGISTRY_PAGINATION_DEFAULT_LIMIT: 2000 is more than REGISTRY_PAGINATION_MAX_LIMIT (1000)",
        ),
        (&[("REGISTRY_ADMIN_ADDR", "127.0.0.1:15000")], "REGISTRY_ADMIN_ADDR: 127.0.0.1:15000 is also the address of"),
    ];
    for (vars, line) in table {
        let reported = problems(vars);
        assert!(reported.lines().any(|said| said.starts_with(line)), "{vars:?}: {reported}");
    }
}

#[test]
fn variables_without_effect_are_warned_about() {
    let (problems, warnings) = reported(&[
        ("REGISTRY_HOST", "127.0.0.1"),
        ("REGISTRY_AUTH_REALM", "Mine"),
        ("REGISTRY_TRUSTED_PROXIES", "0.0.0.0/0"),
    ]);
    assert_eq!(problems, "");
    assert_eq!(
        warnings,
        "REGISTRY_AUTH_REALM: has no effect without REGISTRY_AUTH_TYPE=basic\n\
         REGISTRY_TRUSTED_PROXIES: 0.0.0.0/0 trusts the forwarding headers of every client, who can then claim any \
         address"
    );
}

#[test]
fn a_login_over_plain_http_is_warned_about() {
    let own = |more: &[(&'static str, &'static str)]| {
        let base = [
            ("REGISTRY_AUTH_TYPE", "basic"),
            ("REGISTRY_AUTH_HTPASSWD", "users"),
            ("REGISTRY_AUTH_TOKEN_SIGNINGKEY", "auto"),
            ("REGISTRY_HOST", "127.0.0.1"),
            ("REGISTRY_ACCESS_CONTROL_ENABLED", "true"),
            ("REGISTRY_ACCESS_CONTROL_CONFIG", "rules"),
        ];
        reported(&[&base[..], more].concat())
    };
    let (problems, warnings) = own(&[]);
    assert_eq!(problems, "");
    let told_so = "REGISTRY_AUTH_TOKEN_SIGNINGKEY: only clients on this machine can log in";
    assert!(warnings.starts_with(told_so) && warnings.contains("REGISTRY_PUBLIC_URL"), "{warnings}");
    let (_, warnings) = own(&[("REGISTRY_PUBLIC_URL", "http://r.example")]);
    let told_so = "REGISTRY_PUBLIC_URL: http://r.example: clients send passwords and tokens there unencrypted";
    assert!(warnings.starts_with(told_so), "{warnings}");
    for quiet in [
        &[("REGISTRY_PUBLIC_URL", "https://r.example")][..],
        &[("REGISTRY_PUBLIC_URL", "http://localhost:5000")],
        &[("REGISTRY_TLS_CERT", "c"), ("REGISTRY_TLS_KEY", "k")],
        &[("REGISTRY_TRUSTED_PROXIES", "127.0.0.1")],
    ] {
        assert_eq!(own(quiet), (String::new(), String::new()), "{quiet:?}");
    }
    let token = |realm| {
        reported(&[
            ("REGISTRY_AUTH_TYPE", "token"),
            ("REGISTRY_AUTH_TOKEN_REALM", realm),
            ("REGISTRY_AUTH_TOKEN_SERVICE", "registry"),
            ("REGISTRY_AUTH_TOKEN_ISSUER", "issuer"),
            ("REGISTRY_AUTH_TOKEN_PUBLICKEY", "keys"),
        ])
    };
    let (problems, warnings) = token("http://auth.example/token");
    assert_eq!(problems, "");
    assert!(
        warnings.starts_with("REGISTRY_AUTH_TOKEN_REALM: clients send passwords to this http address"),
        "{warnings}"
    );
    for quiet in ["https://auth.example/token", "http://127.0.0.1:5001/token", "http://[::1]:5001/token"] {
        assert_eq!(token(quiet), (String::new(), String::new()), "{quiet}");
    }
}

#[test]
fn the_built_in_token_service_needs_an_address_that_clients_can_reach() {
    let own = |more: &[(&'static str, &'static str)]| {
        let base = [
            ("REGISTRY_AUTH_TYPE", "basic"),
            ("REGISTRY_AUTH_HTPASSWD", "users"),
            ("REGISTRY_AUTH_TOKEN_SIGNINGKEY", "auto"),
        ];
        problems(&[&base[..], more].concat())
    };
    let reported = own(&[]);
    assert!(reported.starts_with("REGISTRY_AUTH_TOKEN_SIGNINGKEY: needs REGISTRY_PUBLIC_URL"), "{reported}");
    assert_eq!(own(&[("REGISTRY_HOST", "127.0.0.1")]), "");
    assert_eq!(own(&[("REGISTRY_PUBLIC_URL", "https://r.example")]), "");
    assert_eq!(own(&[("REGISTRY_TRUSTED_PROXIES", "10.0.0.0/8")]), "", "a proxy says by which address");
    assert_eq!(own(&[("REGISTRY_TLS_CERT", "c"), ("REGISTRY_TLS_KEY", "k")]), "");
    let named =
        [("REGISTRY_HOST", "::1"), ("REGISTRY_AUTH_TOKEN_SERVICE", "r.example"), ("REGISTRY_AUTH_TOKEN_ISSUER", "us")];
    assert_eq!(own(&named), "");
    let none = [("REGISTRY_HOST", "::1"), ("REGISTRY_AUTH_TYPE", "none"), ("REGISTRY_AUTH_TOKEN_SIGNINGKEY", "auto")];
    let (env, warnings) = env(&none).unwrap();
    assert!(env.auth_token_signingkey.is_some() && warnings.len() == 1, "{warnings:?}");
}

#[test]
fn variables_of_other_programs_are_ignored_with_one_warning_without_values() {
    let vars = [
        ("REGISTRY_HOST", "127.0.0.1"),
        ("REGISTRY_PORT", "tcp://10.0.0.1:5000"),
        ("REGISTRY_PORT_15000_TCP", "tcp://10.0.0.1:15000"),
        ("REGISTRY_SERVICE_HOST", "10.0.0.1"),
        ("REGISTRY_AUTH_FILE", "/run/auth.json"),
        ("REGISTRY_USERNAME", "ci-user"),
        ("REGISTRY_PASSWORD", "hunter2"),
    ];
    let (env, warnings) = env(&vars).unwrap();
    assert_eq!(env.port, 15000);
    assert!(!env.is_given("REGISTRY_PORT"));
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        ["ignored, not variables of Wharfinger: REGISTRY_AUTH_FILE, REGISTRY_PASSWORD, REGISTRY_PORT, \
          REGISTRY_PORT_15000_TCP, REGISTRY_SERVICE_HOST, REGISTRY_USERNAME"]
    );
}

#[test]
fn all_problems_are_listed_at_once_each_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let dotenv = write(dir.path(), ".env", "REGISTRY_LOG_LEVEL=loud\nnonsense here\n");
    let settings = write(dir.path(), "settings.toml", "[uploads]\nmax_opens = 3\n[server]\nheader_bytes = 1\n");
    let vars = os(&[
        ("REGISTRY_HTTP_ADDR", ":5000"),
        ("REGISTRY_STORAGE_PAHT", "/srv"),
        ("REGISTRY_HOST", "here"),
        ("REGISTRY_TLS_CERT", "/nowhere.crt"),
        ("REGISTRY_SETTINGS", settings.to_str().unwrap()),
    ]);
    let flags = [("REGISTRY_PORT", OsString::from("x"))];
    let reported = read(vars, Some(&dotenv), flags).problems.to_string();
    let reported = reported.replace(&format!("{}/", dir.path().display()), "");
    let expected = [
        ".env:2: is not NAME=value (put quotes around values with spaces)",
        "REGISTRY_STORAGE_PAHT: is not a variable of Wharfinger; did you mean REGISTRY_STORAGE_PATH?",
        "REGISTRY_HOST: \"here\" is not an IP address such as 0.0.0.0, 127.0.0.1 or :: (host names are not supported)",
        "--port: \"x\" is not a port from 0 to 65535 (0 = any free port)",
        ".env:1: REGISTRY_LOG_LEVEL: \"loud\" is not one of debug, info, warn, error",
        "REGISTRY_TLS_CERT: needs REGISTRY_TLS_KEY, which is not set",
        "settings.toml:2: uploads.max_opens: is not a setting; did you mean max_open?",
        "settings.toml:4: server.header_bytes: 1 is not in the range 16 KiB to 1 MiB",
        "/nowhere.crt: cannot be read: no such file or directory",
        "REGISTRY_HTTP_ADDR: is a variable of CNCF Distribution: use REGISTRY_HOST and REGISTRY_PORT",
    ];
    assert_eq!(reported.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn secrets_are_never_printed() {
    let vars = [
        ("REGISTRY_PASSWORD", "hunter2"),
        ("REGISTRY_PROXY_PASSWORD", "hunter2"),
        ("REGISTRY_HTTP_SECRET", "hunter2"),
        ("REGISTRY_STORAGE_S3_SECRETKEY", "hunter2"),
        ("REGISTRY_AUTH", "hunter2"),
        ("REGISTRY_PUBLIC_URL", "https://me:hunter2@registry.example"),
        ("REGISTRY_AUTH_TOKEN_REALM", "hunter2"),
        ("REGISTRY_AUTH_TOKEN_SIGNINGKEY", "-----BEGIN PRIVATE KEY-----\nhunter2"),
        ("REGISTRY_TLS_KEY", "-----BEGIN PRIVATE KEY-----\nhunter2"),
    ];
    let (problems, warnings) = reported(&vars);
    assert!(problems.lines().count() >= 8, "{problems}");
    assert!(!problems.contains("hunter2"), "{problems}");
    assert!(!warnings.contains("hunter2"), "{warnings}");
}

#[test]
fn variables_of_distribution_that_change_nothing_are_warned_about() {
    let local = ("REGISTRY_HOST", "127.0.0.1");
    let harmless = [
        ("REGISTRY_STORAGE_DELETE_ENABLED", "True", "operator.delete is true already"),
        ("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "false", "operator.read_only is false already"),
        ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_ENABLED", "true", "true is what this registry does anyway"),
        ("REGISTRY_STORAGE_REDIRECT_DISABLE", "true", "true is what this registry does anyway"),
        ("REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR", "inmemory", "caching needs no setting"),
        ("REGISTRY_HTTP_SECRET", "hunter2", "uploads are kept on disk and need no secret"),
        ("REGISTRY_HTTP_RELATIVEURLS", "true", "true is what this registry does anyway"),
        ("REGISTRY_HTTP_H2C_ENABLED", "true", "true is what this registry does anyway"),
        ("REGISTRY_LOG_ACCESSLOG_DISABLED", "false", "false is what this registry does anyway"),
    ];
    for (name, value, why) in harmless {
        let expected = format!("{name}: is a variable of CNCF Distribution and ignored: {why}; unset it");
        assert_eq!(reported(&[local, (name, value)]), (String::new(), expected));
    }
    let refused = [
        ("REGISTRY_STORAGE_DELETE_ENABLED", "false", "use operator.delete in the settings file (REGISTRY_SETTINGS)"),
        ("REGISTRY_STORAGE_DELETE_ENABLED", "hunter2", "use operator.delete in the settings file (REGISTRY_SETTINGS)"),
        ("REGISTRY_STORAGE_DELETE", "{enabled: true}", "use operator.delete in the settings file (REGISTRY_SETTINGS)"),
        (
            "REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED",
            "true",
            "use operator.read_only in the settings file (REGISTRY_SETTINGS)",
        ),
        ("REGISTRY_STORAGE_REDIRECT_DISABLE", "false", "blobs are redirected only by the setting reads.redirect"),
        ("REGISTRY_HTTP_H2C_ENABLED", "false", "HTTP/2 without TLS cannot be turned off"),
    ];
    for (name, value, answer) in refused {
        let expected = format!("{name}: is a variable of CNCF Distribution: {answer}");
        assert_eq!(reported(&[local, (name, value)]), (expected, String::new()));
    }
}

#[test]
fn a_switch_of_distribution_is_compared_with_the_settings_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let settings = write(dir.path(), "settings.toml", "[operator]\ndelete = false\nread_only = true\n");
    let vars = |delete, read_only| {
        let settings = settings.to_str().unwrap();
        let vars = [
            ("REGISTRY_HOST", "127.0.0.1"),
            ("REGISTRY_SETTINGS", settings),
            ("REGISTRY_STORAGE_DELETE_ENABLED", delete),
            ("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", read_only),
        ];
        let report = read(os(&vars), None, []);
        (report.problems.0.len(), report.warnings.len())
    };
    assert_eq!(vars("false", "true"), (0, 2));
    assert_eq!(vars("true", "true"), (1, 1));
    assert_eq!(vars("true", "false"), (2, 0));
}
