//! Variables of CNCF Distribution: what to use instead, and which values ask for nothing that this
//! registry does not do anyway.

use std::ffi::{OsStr, OsString};

use super::env::Place;
use super::live::Live;
use super::problems::{Problems, Warning};
use super::values;

/// A variable of Distribution in the environment.
#[derive(Debug)]
pub(super) struct Foreign {
    name: String,
    place: Place,
    value: OsString,
    row: &'static Row,
}

/// A name (`*` at the end: any continuation), what to do about it, and which values may stay.
#[derive(Debug)]
struct Row(&'static str, &'static str, Harmless);

/// Values that ask for what this registry does anyway.
#[derive(Debug)]
enum Harmless {
    /// None: the operator wants something that this name does not do here.
    Never,
    /// All of them: there is nothing to set.
    All,
    /// These words.
    Words(&'static [&'static str]),
    /// What this switch of the settings file says.
    Switch(&'static str, fn(&Live) -> bool),
}

use Harmless::{All, Never, Switch, Words};

const NOTHING: &str = "there is no counterpart yet";

/// The first row that matches a name counts.
const TABLE: &[Row] = &[
    Row("REGISTRY_STORAGE", "use REGISTRY_STORAGE_PATH; files are the only kind of storage", Words(&["filesystem"])),
    Row("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "use REGISTRY_STORAGE_PATH", Never),
    Row("REGISTRY_STORAGE_FILESYSTEM_MAXTHREADS", "threads need no setting", All),
    Row("REGISTRY_STORAGE_FILESYSTEM*", NOTHING, Never),
    Row("REGISTRY_STORAGE_S3*", NOTHING, Never),
    Row("REGISTRY_STORAGE_AZURE*", NOTHING, Never),
    Row("REGISTRY_STORAGE_GCS*", NOTHING, Never),
    Row("REGISTRY_STORAGE_INMEMORY*", NOTHING, Never),
    Row("REGISTRY_STORAGE_CACHE*", "caching needs no setting", All),
    Row("REGISTRY_STORAGE_DELETE_ENABLED", DELETE, Switch("operator.delete", |live| live.operator.delete)),
    Row("REGISTRY_STORAGE_DELETE*", DELETE, Never),
    Row(
        "REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED",
        READ_ONLY,
        Switch("operator.read_only", |live| live.operator.read_only),
    ),
    Row("REGISTRY_STORAGE_MAINTENANCE_READONLY*", READ_ONLY, Never),
    Row("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_ENABLED", PURGING, Words(&["true"])),
    Row("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_DRYRUN", PURGING, Words(&["false"])),
    Row("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING*", PURGING, Never),
    Row("REGISTRY_STORAGE_MAINTENANCE*", NOTHING, Never),
    Row("REGISTRY_STORAGE_REDIRECT_DISABLE", "blobs are never redirected", Words(&["true"])),
    Row("REGISTRY_STORAGE_REDIRECT*", NOTHING, Never),
    Row("REGISTRY_STORAGE_TAG*", "the number of tag lookups needs no setting", All),
    Row("REGISTRY_HTTP_ADDR", "use REGISTRY_HOST and REGISTRY_PORT", Never),
    Row("REGISTRY_HTTP_HOST", "use REGISTRY_PUBLIC_URL", Never),
    Row("REGISTRY_HTTP_NET", NOTHING, Words(&["tcp"])),
    Row("REGISTRY_HTTP_PREFIX", NOTHING, Words(&["/"])),
    Row("REGISTRY_HTTP_RELATIVEURLS", "use REGISTRY_PUBLIC_URL for absolute URLs", Words(&["true"])),
    Row("REGISTRY_HTTP_SECRET", "uploads are kept on disk and need no secret", All),
    Row("REGISTRY_HTTP_DRAINTIMEOUT", "use server.drain_seconds in the settings file (REGISTRY_SETTINGS)", Never),
    Row("REGISTRY_HTTP_TLS_CERTIFICATE", "use REGISTRY_TLS_CERT", Never),
    Row("REGISTRY_HTTP_TLS_KEY", "use REGISTRY_TLS_KEY", Never),
    Row("REGISTRY_HTTP_TLS_CLIENTCAS*", "use REGISTRY_TLS_CLIENT_CA", Never),
    Row("REGISTRY_HTTP_TLS_MINIMUMTLS", "TLS 1.2 and 1.3 are supported, nothing else", Words(&["tls1.2"])),
    Row("REGISTRY_HTTP_TLS*", NOTHING, Never),
    Row("REGISTRY_HTTP_HTTP2_DISABLED", "HTTP/2 cannot be turned off", Words(&["false"])),
    Row("REGISTRY_HTTP_HTTP2*", NOTHING, Never),
    Row("REGISTRY_HTTP_H2C_ENABLED", "HTTP/2 without TLS cannot be turned off", Words(&["true"])),
    Row("REGISTRY_HTTP_H2C*", NOTHING, Never),
    Row("REGISTRY_HTTP_HEADERS*", NOTHING, Never),
    Row("REGISTRY_HTTP_DEBUG_ADDR", "use REGISTRY_ADMIN_ADDR", Never),
    Row("REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED", "metrics cannot be turned off", Words(&["true"])),
    Row("REGISTRY_HTTP_DEBUG*", "use REGISTRY_ADMIN_ADDR; metrics are at /metrics there", Never),
    Row("REGISTRY_AUTH", "use REGISTRY_AUTH_TYPE", Never),
    Row("REGISTRY_AUTH_HTPASSWD_PATH", "use REGISTRY_AUTH_TYPE=basic and REGISTRY_AUTH_HTPASSWD", Never),
    Row("REGISTRY_AUTH_HTPASSWD_REALM", "use REGISTRY_AUTH_REALM", Never),
    Row("REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE", "use REGISTRY_AUTH_TOKEN_PUBLICKEY", Never),
    Row("REGISTRY_AUTH_TOKEN_JWKS", "use REGISTRY_AUTH_TOKEN_PUBLICKEY", Never),
    Row("REGISTRY_AUTH_TOKEN_AUTOREDIRECT", "use REGISTRY_AUTH_TOKEN_REALM", Words(&["false"])),
    Row("REGISTRY_AUTH_TOKEN_AUTOREDIRECT*", "use REGISTRY_AUTH_TOKEN_REALM", Never),
    Row("REGISTRY_AUTH_TOKEN_SIGNINGALGORITHMS*", "the key decides the algorithm; unset it", Never),
    Row("REGISTRY_AUTH_SILLY*", NOTHING, Never),
    Row("REGISTRY_LOG_FORMATTER", "use REGISTRY_LOG_FORMAT", Never),
    Row("REGISTRY_LOG_ACCESSLOG_DISABLED", ACCESS_LOG, Words(&["false"])),
    Row("REGISTRY_LOG_ACCESSLOG*", ACCESS_LOG, Never),
    Row("REGISTRY_LOG_FIELDS*", NOTHING, Never),
    Row("REGISTRY_LOG_HOOKS*", NOTHING, Never),
    Row("REGISTRY_LOG_REPORTCALLER", NOTHING, Words(&["false"])),
    Row("REGISTRY_LOGLEVEL", "use REGISTRY_LOG_LEVEL", Never),
    Row("REGISTRY_CATALOG_MAXENTRIES", "use REGISTRY_PAGINATION_MAX_LIMIT", Never),
    Row("REGISTRY_TAGS_MAXTAGS", "use REGISTRY_PAGINATION_MAX_LIMIT", Never),
    Row("REGISTRY_PROXY_REMOTEURL", NOTHING, Never),
    Row("REGISTRY_PROXY_USERNAME", NOTHING, Never),
    Row("REGISTRY_PROXY_PASSWORD", NOTHING, Never),
    Row("REGISTRY_PROXY_TTL", NOTHING, Never),
    Row("REGISTRY_PROXY_CACHEWRITETIMEOUT", NOTHING, Never),
    Row("REGISTRY_PROXY_EXEC*", NOTHING, Never),
    Row("REGISTRY_NOTIFICATIONS*", NOTHING, Never),
    Row("REGISTRY_MIDDLEWARE*", NOTHING, Never),
    Row("REGISTRY_VALIDATION*", NOTHING, Never),
    Row("REGISTRY_POLICY_REPOSITORY*", NOTHING, Never),
    Row("REGISTRY_HEALTH_STORAGEDRIVER_ENABLED", "health checks cannot be turned off", Words(&["true"])),
    Row("REGISTRY_HEALTH_STORAGEDRIVER*", NOTHING, Never),
    Row("REGISTRY_REDIS*", "no cache in Redis is needed", All),
    Row("REGISTRY_CONFIGURATION_PATH", "use REGISTRY_SETTINGS and environment variables", Never),
];

const DELETE: &str = "use operator.delete in the settings file (REGISTRY_SETTINGS)";
const READ_ONLY: &str = "use operator.read_only in the settings file (REGISTRY_SETTINGS)";
const PURGING: &str = "use REGISTRY_UPLOAD_TIMEOUT and REGISTRY_UPLOAD_CLEANUP_INTERVAL";
const ACCESS_LOG: &str = "use REGISTRY_LOG_LEVEL=warn to leave out the line for each request";

/// Whether a name is one of Distribution's.
pub(super) fn knows(name: &str) -> bool {
    row(name).is_some()
}

fn row(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|Row(pattern, ..)| match pattern.strip_suffix('*') {
        Some(stem) => name.starts_with(stem),
        None => name == *pattern,
    })
}

impl Foreign {
    /// A variable that was found, if it is one of Distribution's.
    pub(super) fn of(name: &str, value: &OsStr, place: &Place) -> Option<Self> {
        let row = row(name)?;
        Some(Self { name: name.to_owned(), place: place.clone(), value: value.to_owned(), row })
    }

    /// Whether it keeps the registry from starting under these settings: a value that changes
    /// nothing does not. A value is only shown if it is one of the words of the table.
    pub(super) fn judge(&self, live: &Live, problems: &mut Problems, warnings: &mut Vec<Warning>) {
        const WHOSE: &str = "is a variable of CNCF Distribution";
        let Row(_, answer, harmless) = self.row;
        let value = self.value.to_str().unwrap_or_default().trim();
        let problem = |message: String| self.place.problem(&self.name, message);
        let ignored = |why: String| Warning(problem(format!("{WHOSE} and ignored: {why}; unset it")));
        match harmless {
            All => warnings.push(ignored((*answer).to_owned())),
            Words(words) => match words.iter().find(|word| word.eq_ignore_ascii_case(value)) {
                Some(word) => warnings.push(ignored(format!("{word} is what this registry does anyway"))),
                None => problems.push(problem(format!("{WHOSE}: {answer}"))),
            },
            Switch(key, of) => match values::truth(value) {
                Ok(asked) if asked == of(live) => {
                    warnings.push(ignored(format!("{key} is {asked} already")));
                }
                _ => problems.push(problem(format!("{WHOSE}: {answer}"))),
            },
            Never => problems.push(problem(format!("{WHOSE}: {answer}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::names::{Name, classify};

    /// The problem or the warning about a variable, and whether it is a problem.
    fn judged(name: &str, value: &str) -> (String, bool) {
        assert!(matches!(classify(name, false), Name::Distribution), "{name}");
        let (mut problems, mut warnings) = (Problems::default(), Vec::new());
        let foreign = Foreign::of(name, value.as_ref(), &Place::Environment).unwrap();
        foreign.judge(&Live::default(), &mut problems, &mut warnings);
        assert_eq!(problems.0.len() + warnings.len(), 1);
        let warned = warnings.first().map(ToString::to_string);
        (warned.unwrap_or_else(|| problems.to_string()), !problems.is_empty())
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
            ("REGISTRY_LOG_FORMATTER", "REGISTRY_LOG_FORMAT"),
            ("REGISTRY_STORAGE_DELETE_ENABLED", "use operator.delete in the settings file"),
            ("REGISTRY_STORAGE_MAINTENANCE_READONLY", "use operator.read_only in the settings file"),
            ("REGISTRY_STORAGE_S3_SECRETKEY", "no counterpart yet"),
            ("REGISTRY_PROXY_REMOTEURL", "no counterpart yet"),
            ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_NAME", "no counterpart yet"),
        ];
        for (name, part) in table {
            let (told, fatal) = judged(name, "hunter2");
            assert!(fatal && told.starts_with(&format!("{name}: is a variable of CNCF Distribution: ")), "{told}");
            assert!(told.contains(part) && !told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn names_of_distribution_that_need_no_counterpart_may_stay() {
        for name in ["REGISTRY_HTTP_SECRET", "REGISTRY_REDIS_ADDRS", "REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR"] {
            let (told, fatal) = judged(name, "hunter2");
            assert!(!fatal && told.contains("ignored") && told.ends_with("; unset it"), "{told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn no_row_is_hidden_by_an_earlier_one() {
        for Row(pattern, ..) in TABLE {
            let Row(first, ..) = row(&pattern.replace('*', "_X")).unwrap();
            assert_eq!(first, pattern, "an earlier row hides this one");
        }
    }
}
