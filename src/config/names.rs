//! Whose variable a name is: ours, a mistake for ours, CNCF Distribution's, or somebody else's altogether.

use std::ffi::OsStr;

use super::vars::{VARS, Var, var};

/// What a variable's name turned out to be.
#[derive(Debug)]
pub(super) enum Name {
    /// A row of the table.
    Ours(&'static Var),
    /// Fatal: the operator meant something by it; the text says what to do.
    Refused(String),
    /// Begins like ours but belongs to someone else.
    Ignored,
    /// Nothing to do with us.
    Foreign,
}

/// Variables of other programs which would otherwise look like mistakes.
const OTHERS: &[&str] = &[
    // podman, buildah, skopeo: the client's credentials file.
    "REGISTRY_AUTH_FILE",
    // CI jobs which log in.
    "REGISTRY_USERNAME",
    "REGISTRY_USER",
    "REGISTRY_PASSWORD",
    "REGISTRY_TOKEN",
];

const NONE: &str = "has no counterpart yet";

/// Names of CNCF Distribution (`*` at the end: any continuation) and what to use instead; first match wins.
const DISTRIBUTION: &[(&str, &str)] = &[
    ("REGISTRY_STORAGE", "use REGISTRY_STORAGE_PATH; there is one driver, the file system"),
    ("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "use REGISTRY_STORAGE_PATH"),
    ("REGISTRY_STORAGE_FILESYSTEM*", NONE),
    ("REGISTRY_STORAGE_S3*", NONE),
    ("REGISTRY_STORAGE_AZURE*", NONE),
    ("REGISTRY_STORAGE_GCS*", NONE),
    ("REGISTRY_STORAGE_INMEMORY*", NONE),
    ("REGISTRY_STORAGE_CACHE*", "needs no counterpart; unset it"),
    ("REGISTRY_STORAGE_DELETE_ENABLED", "has no counterpart yet; deleting is possible"),
    ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING*", "use REGISTRY_UPLOAD_TIMEOUT and REGISTRY_UPLOAD_CLEANUP_INTERVAL"),
    ("REGISTRY_STORAGE_MAINTENANCE*", NONE),
    ("REGISTRY_STORAGE_REDIRECT*", NONE),
    ("REGISTRY_STORAGE_TAG*", "needs no counterpart; unset it"),
    ("REGISTRY_HTTP_ADDR", "use REGISTRY_HOST and REGISTRY_PORT"),
    ("REGISTRY_HTTP_HOST", "use REGISTRY_PUBLIC_URL"),
    ("REGISTRY_HTTP_NET", NONE),
    ("REGISTRY_HTTP_PREFIX", NONE),
    ("REGISTRY_HTTP_RELATIVEURLS", "needs no counterpart; locations are relative unless told otherwise"),
    ("REGISTRY_HTTP_SECRET", "needs no counterpart; upload state is kept on disk, unset it"),
    ("REGISTRY_HTTP_DRAINTIMEOUT", "use server.drain_seconds in the file REGISTRY_SETTINGS names"),
    ("REGISTRY_HTTP_TLS_CERTIFICATE", "use REGISTRY_TLS_CERT"),
    ("REGISTRY_HTTP_TLS_KEY", "use REGISTRY_TLS_KEY"),
    ("REGISTRY_HTTP_TLS_CLIENTCAS*", "use REGISTRY_TLS_CLIENT_CA"),
    ("REGISTRY_HTTP_TLS*", NONE),
    ("REGISTRY_HTTP_HTTP2*", NONE),
    ("REGISTRY_HTTP_H2C*", "needs no counterpart; HTTP/2 without TLS is always understood"),
    ("REGISTRY_HTTP_HEADERS*", NONE),
    ("REGISTRY_HTTP_DEBUG_ADDR", "use REGISTRY_ADMIN_ADDR"),
    ("REGISTRY_HTTP_DEBUG*", "use REGISTRY_ADMIN_ADDR, which serves metrics too"),
    ("REGISTRY_AUTH", "use REGISTRY_AUTH_TYPE"),
    ("REGISTRY_AUTH_HTPASSWD_PATH", "use REGISTRY_AUTH_TYPE=basic and REGISTRY_AUTH_HTPASSWD"),
    ("REGISTRY_AUTH_HTPASSWD_REALM", "use REGISTRY_AUTH_REALM"),
    ("REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE", "use REGISTRY_AUTH_TOKEN_PUBLICKEY"),
    ("REGISTRY_AUTH_TOKEN_JWKS", "use REGISTRY_AUTH_TOKEN_PUBLICKEY"),
    ("REGISTRY_AUTH_TOKEN_AUTOREDIRECT*", "use REGISTRY_AUTH_TOKEN_REALM"),
    ("REGISTRY_AUTH_TOKEN_SIGNINGALGORITHMS*", "needs no counterpart; the key decides the algorithm"),
    ("REGISTRY_AUTH_SILLY*", NONE),
    ("REGISTRY_LOG_FORMATTER", "use REGISTRY_LOG_FORMAT"),
    ("REGISTRY_LOG_ACCESSLOG*", "use REGISTRY_LOG_LEVEL=warn to leave out the line per request"),
    ("REGISTRY_LOG_FIELDS*", NONE),
    ("REGISTRY_LOG_HOOKS*", NONE),
    ("REGISTRY_LOG_REPORTCALLER", NONE),
    ("REGISTRY_LOGLEVEL", "use REGISTRY_LOG_LEVEL"),
    ("REGISTRY_CATALOG_MAXENTRIES", "use REGISTRY_PAGINATION_MAX_LIMIT"),
    ("REGISTRY_TAGS_MAXTAGS", "use REGISTRY_PAGINATION_MAX_LIMIT"),
    ("REGISTRY_PROXY_REMOTEURL", NONE),
    ("REGISTRY_PROXY_USERNAME", NONE),
    ("REGISTRY_PROXY_PASSWORD", NONE),
    ("REGISTRY_PROXY_TTL", NONE),
    ("REGISTRY_PROXY_CACHEWRITETIMEOUT", NONE),
    ("REGISTRY_PROXY_EXEC*", NONE),
    ("REGISTRY_NOTIFICATIONS*", NONE),
    ("REGISTRY_MIDDLEWARE*", NONE),
    ("REGISTRY_VALIDATION*", NONE),
    ("REGISTRY_POLICY_REPOSITORY*", NONE),
    ("REGISTRY_HEALTH_STORAGEDRIVER*", NONE),
    ("REGISTRY_REDIS_ADDR*", "needs no counterpart; unset it"),
    ("REGISTRY_CONFIGURATION_PATH", "has no counterpart; use REGISTRY_SETTINGS and environment variables"),
];

/// Whether a value is one Kubernetes sets for a service's port (`tcp://10.0.0.1:5000`).
pub(super) fn is_service_link_value(value: &OsStr) -> bool {
    let value = value.to_string_lossy();
    ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme))
}

/// What a name is; `linked` says that its value is one of a Kubernetes service link.
pub(super) fn classify(name: &str, linked: bool) -> Name {
    let upper = name.to_ascii_uppercase();
    let prefixed = upper.starts_with("REGISTRY_");
    if prefixed && (is_service_link(name, linked) || OTHERS.contains(&name)) {
        return Name::Ignored;
    }
    if let Some(var) = var(name) {
        return Name::Ours(var);
    }
    let distribution = DISTRIBUTION.iter().find(|(pattern, _)| matches(pattern, name));
    if let Some((_, answer)) = distribution {
        return Name::Refused(format!("is a variable of CNCF Distribution: {answer}"));
    }
    match near_miss(&upper) {
        Some(var) => Name::Refused(format!("is not a variable; did you mean {}?", var.name)),
        None if prefixed => Name::Ignored,
        None => Name::Foreign,
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(stem) => name.starts_with(stem),
        None => name == pattern,
    }
}

/// The names Kubernetes gives every container for each service called `registry…`.
fn is_service_link(name: &str, linked: bool) -> bool {
    if name.ends_with("_SERVICE_HOST") || name.ends_with("_SERVICE_PORT") || name.contains("_SERVICE_PORT_") {
        return true;
    }
    if linked && name.ends_with("_PORT") {
        return true;
    }
    // …_PORT_5000_TCP, …_PORT_5000_TCP_ADDR, …_PORT_5000_TCP_PORT, …_PORT_5000_TCP_PROTO
    let Some((_, tail)) = name.split_once("_PORT_") else {
        return false;
    };
    let mut words = tail.split('_');
    let number = words.next().is_some_and(|word| word.parse::<u16>().is_ok());
    number && matches!(words.next(), Some("TCP" | "UDP" | "SCTP"))
}

/// The variable someone most likely meant, if the name is close enough to one.
fn near_miss(upper: &str) -> Option<&'static Var> {
    let words = |name: &str| {
        let mut words: Vec<_> = name.split('_').map(str::to_owned).collect();
        words.sort();
        words
    };
    if let Some(var) = VARS.iter().find(|var| words(var.name) == words(upper)) {
        return Some(var);
    }
    let allowed = |var: &Var| {
        // Within two letters of PORT or HOST lie REGISTRY_CERT and REGISTRY_TEST, which are other people's.
        let short = var.name.len() <= "REGISTRY_".len() + 5;
        if short && upper.starts_with("REGISTRY_") { 1 } else { 2 }
    };
    let close = VARS.iter().map(|var| (distance(var.name, upper), var));
    let closest = close.filter(|(far, var)| *far <= allowed(var));
    closest.min_by_key(|(far, _)| *far).map(|(_, var)| var)
}

/// How many letters must be added, removed, changed or swapped with a neighbour.
pub(super) fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > 2 {
        return usize::MAX;
    }
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let best = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                if swapped { best.min(rows[i - 2][j - 2] + 1) } else { best }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(name: &str) -> String {
        match classify(name, false) {
            Name::Ours(var) => format!("ours {}", var.name),
            Name::Refused(message) => message,
            Name::Ignored => "ignored".into(),
            Name::Foreign => "foreign".into(),
        }
    }

    #[test]
    fn mistakes_are_answered_with_the_right_name() {
        let table = [
            ("REGISTRY_PROT", "REGISTRY_PORT"),
            ("REGISTRY_STORAGE_PAHT", "REGISTRY_STORAGE_PATH"),
            ("REGISTRY_PATH_STORAGE", "REGISTRY_STORAGE_PATH"),
            ("REGISTRY_LOGFORMAT", "REGISTRY_LOG_FORMAT"),
            ("REGISTRY_HTPASSWD_AUTH", "REGISTRY_AUTH_HTPASSWD"),
            ("REGISTERY_PORT", "REGISTRY_PORT"),
            ("REGSITRY_AUTH_TYPE", "REGISTRY_AUTH_TYPE"),
            ("registry_port", "REGISTRY_PORT"),
            ("REGISTRY_TLS_CERTS", "REGISTRY_TLS_CERT"),
            ("REGISTRY_ACCESS_CONTROL_ENABLE", "REGISTRY_ACCESS_CONTROL_ENABLED"),
        ];
        for (name, ours) in table {
            assert_eq!(answer(name), format!("is not a variable; did you mean {ours}?"), "{name}");
        }
    }

    #[test]
    fn names_of_distribution_are_answered_with_ours() {
        let table = [
            ("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "use REGISTRY_STORAGE_PATH"),
            ("REGISTRY_STORAGE", "REGISTRY_STORAGE_PATH"),
            ("REGISTRY_HTTP_ADDR", "REGISTRY_HOST and REGISTRY_PORT"),
            ("REGISTRY_HTTP_HOST", "REGISTRY_PUBLIC_URL"),
            ("REGISTRY_AUTH", "REGISTRY_AUTH_TYPE"),
            ("REGISTRY_AUTH_HTPASSWD_PATH", "REGISTRY_AUTH_HTPASSWD"),
            ("REGISTRY_AUTH_HTPASSWD_REALM", "REGISTRY_AUTH_REALM"),
            ("REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE", "REGISTRY_AUTH_TOKEN_PUBLICKEY"),
            ("REGISTRY_HTTP_TLS_CERTIFICATE", "REGISTRY_TLS_CERT"),
            ("REGISTRY_HTTP_TLS_KEY", "REGISTRY_TLS_KEY"),
            ("REGISTRY_HTTP_TLS_CLIENTCAS_0", "REGISTRY_TLS_CLIENT_CA"),
            ("REGISTRY_HTTP_TLS_LETSENCRYPT_EMAIL", "no counterpart yet"),
            ("REGISTRY_HTTP_SECRET", "unset it"),
            ("REGISTRY_LOG_FORMATTER", "REGISTRY_LOG_FORMAT"),
            ("REGISTRY_STORAGE_DELETE_ENABLED", "no counterpart yet"),
            ("REGISTRY_STORAGE_S3_SECRETKEY", "no counterpart yet"),
            ("REGISTRY_PROXY_REMOTEURL", "no counterpart yet"),
            ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_NAME", "no counterpart yet"),
            ("REGISTRY_REDIS_ADDRS", "unset it"),
        ];
        for (name, part) in table {
            let answer = answer(name);
            assert!(answer.starts_with("is a variable of CNCF Distribution"), "{name}: {answer}");
            assert!(answer.contains(part), "{name}: {answer}");
        }
    }

    #[test]
    fn names_of_others_are_ignored() {
        let names = [
            "REGISTRY_SERVICE_HOST",
            "REGISTRY_SERVICE_PORT",
            "REGISTRY_SERVICE_PORT_HTTP",
            "REGISTRY_PORT_15000_TCP",
            "REGISTRY_PORT_15000_TCP_ADDR",
            "REGISTRY_PORT_15000_TCP_PORT",
            "REGISTRY_UI_PORT_80_TCP",
            "REGISTRY_UI_PORT_80_TCP_PROTO",
            "REGISTRY_REDIS_SERVICE_HOST",
            "REGISTRY_AUTH_FILE",
            "REGISTRY_USERNAME",
            "REGISTRY_PASSWORD",
            "REGISTRY_IMAGE",
            "REGISTRY_URL",
            "REGISTRY_CERT",
            "REGISTRY_TEST",
            "REGISTRY_VERSION",
            "REGISTRY_DOMAIN",
        ];
        for name in names {
            assert_eq!(answer(name), "ignored", "{name}");
        }
        for name in ["PATH", "HOME", "OCI_REGISTRY_PORT", "CI_REGISTRY_PASSWORD", "PORT"] {
            assert_eq!(answer(name), "foreign", "{name}");
        }
    }

    #[test]
    fn a_service_link_is_told_from_our_port_by_its_value() {
        assert!(matches!(classify("REGISTRY_PORT", true), Name::Ignored));
        assert!(matches!(classify("REGISTRY_2_PORT", true), Name::Ignored));
        assert!(matches!(classify("REGISTRY_PORT", false), Name::Ours(_)));
        // Only …_PORT can be a link; anything else with such a value is a mistake to report.
        assert!(matches!(classify("REGISTRY_HOST", true), Name::Ours(_)));
    }

    #[test]
    fn no_name_of_ours_is_taken_for_another() {
        for var in VARS {
            assert_eq!(answer(var.name), format!("ours {}", var.name));
        }
    }
}
