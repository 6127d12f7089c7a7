//! Classifies a variable's name: ours, a misspelling of ours, CNCF Distribution's, or another program's.

use std::ffi::OsStr;

use super::distribution;
use super::variable::Var;
use super::vars::{VARS, var};

/// The class of a variable's name.
#[derive(Debug)]
pub(super) enum Name {
    /// A row of the table.
    Ours(&'static Var),
    /// A variable of CNCF Distribution; whether it matters depends on its value.
    Distribution,
    /// A misspelling of this variable.
    Misspelt(&'static Var),
    /// A variable of Refity, and what is used here instead.
    Refity(&'static str),
    /// Has our prefix but belongs to another program.
    Ignored,
    /// Unrelated.
    Foreign,
}

/// Variables of other programs that would otherwise look like misspellings.
const OTHERS: &[&str] = &[
    // podman, buildah, skopeo: the client's credentials file.
    "REGISTRY_AUTH_FILE",
    // CI jobs that log in.
    "REGISTRY_USERNAME",
    "REGISTRY_USER",
    "REGISTRY_PASSWORD",
    "REGISTRY_TOKEN",
];

/// Variables of Refity, and ours.
const REFITY: &[(&str, &str)] = &[
    ("FTP_HOST", "use REGISTRY_STORAGE=sftp and REGISTRY_SFTP_HOST"),
    ("FTP_PORT", "use REGISTRY_SFTP_PORT"),
    ("FTP_USERNAME", "use REGISTRY_SFTP_USERNAME"),
    ("FTP_PASSWORD", "use REGISTRY_SFTP_PASSWORD or REGISTRY_SFTP_PASSWORD_FILE"),
    ("FTP_KNOWN_HOSTS", "use REGISTRY_SFTP_KNOWN_HOSTS"),
    ("SFTP_SYNC_UPLOAD", "use REGISTRY_SFTP_WRITE_BEHIND, which means the opposite and is off by default"),
    ("FTP_USAGE_ENABLED", "the usage is always shown to administrators"),
];

/// Whether a value is one that Kubernetes sets for a service's port (`tcp://10.0.0.1:5000`).
pub(super) fn is_service_link_value(value: &OsStr) -> bool {
    let value = value.to_string_lossy();
    ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme))
}

/// Classifies a name; `linked` says that its value is that of a Kubernetes service link.
pub(super) fn classify(name: &str, linked: bool) -> Name {
    let upper = name.to_ascii_uppercase();
    let prefixed = upper.starts_with("REGISTRY_");
    if prefixed && (is_service_link(name, linked) || OTHERS.contains(&name)) {
        return Name::Ignored;
    }
    if let Some(var) = var(name) {
        return Name::Ours(var);
    }
    if distribution::is_known(name) {
        return Name::Distribution;
    }
    if let Some((_, instead)) = REFITY.iter().find(|(refity, _)| *refity == name) {
        return Name::Refity(instead);
    }
    match near_miss(&upper) {
        Some(var) => Name::Misspelt(var),
        None if prefixed => Name::Ignored,
        None => Name::Foreign,
    }
}

/// The names that Kubernetes gives every container for each service called `registry…`.
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

/// The variable most likely meant, if the name is close enough to one.
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
        // REGISTRY_CERT and REGISTRY_TEST, which other programs use, differ by two letters from PORT and HOST.
        let short = var.name.len() <= "REGISTRY_".len() + 5;
        if short && upper.starts_with("REGISTRY_") { 1 } else { 2 }
    };
    let close = VARS.iter().map(|var| (strsim::osa_distance(var.name, upper), var));
    let closest = close.filter(|(far, var)| *far <= allowed(var));
    closest.min_by_key(|(far, _)| *far).map(|(_, var)| var)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(name: &str) -> String {
        match classify(name, false) {
            Name::Ours(var) => format!("ours {}", var.name),
            Name::Misspelt(var) => format!("did you mean {}?", var.name),
            Name::Distribution => "of Distribution".into(),
            Name::Ignored => "ignored".into(),
            Name::Refity(_) => "refity".into(),
            Name::Foreign => "foreign".into(),
        }
    }

    #[test]
    fn misspelt_names_are_reported_with_the_right_name() {
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
            assert_eq!(answer(name), format!("did you mean {ours}?"), "{name}");
        }
    }

    #[test]
    fn names_of_other_programs_are_ignored() {
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
    fn a_service_link_is_distinguished_from_our_port_by_its_value() {
        assert!(matches!(classify("REGISTRY_PORT", true), Name::Ignored));
        assert!(matches!(classify("REGISTRY_2_PORT", true), Name::Ignored));
        assert!(matches!(classify("REGISTRY_PORT", false), Name::Ours(_)));
        // Only …_PORT can be a link; any other name with such a value is a mistake to report.
        assert!(matches!(classify("REGISTRY_HOST", true), Name::Ours(_)));
    }

    #[test]
    fn no_name_of_ours_is_taken_for_that_of_another_program() {
        for var in VARS {
            assert_eq!(answer(var.name), format!("ours {}", var.name));
        }
    }
}
