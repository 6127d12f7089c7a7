//! Variables of CNCF Distribution: what to use instead, and which values are harmless because this registry behaves
//! that way anyway.

use std::ffi::{OsStr, OsString};

use super::env::ValueSource;
use super::live::Live;
use super::problems::{Problems, Warning};
use super::values;

/// A variable of Distribution that is set.
#[derive(Debug)]
pub(super) struct Foreign {
    name: String,
    place: ValueSource,
    value: OsString,
    row: &'static DistributionRow,
}

/// Names (`*` at the end matches any suffix), what to do about them, and which values are harmless.
#[derive(Debug)]
struct DistributionRow(&'static [&'static str], &'static str, HarmlessValues);

/// Values that ask for what this registry does anyway.
#[derive(Debug)]
enum HarmlessValues {
    /// None: this name asks for something that it does not do here.
    Never,
    /// All: there is nothing to set.
    All,
    /// These words.
    Words(&'static [&'static str]),
    /// The current value of this switch in the settings file.
    Switch(&'static str, fn(&Live) -> bool),
}

use HarmlessValues::{All, Never, Switch, Words};

const NOTHING: &str = "there is no counterpart yet";

/// The first row that matches a name applies.
const TABLE: &[DistributionRow] = &[
    DistributionRow(&["REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY"], "use REGISTRY_STORAGE_PATH", Never),
    DistributionRow(&["REGISTRY_STORAGE_FILESYSTEM_MAXTHREADS"], "threads need no setting", All),
    DistributionRow(
        &[
            "REGISTRY_STORAGE_FILESYSTEM*",
            "REGISTRY_STORAGE_S3_LOGLEVEL",
            "REGISTRY_STORAGE_S3_ACCELERATE",
            "REGISTRY_STORAGE_S3_STORAGECLASS",
            "REGISTRY_STORAGE_S3_OBJECTACL",
            "REGISTRY_STORAGE_INMEMORY*",
        ],
        NOTHING,
        Never,
    ),
    DistributionRow(&["REGISTRY_STORAGE_S3_ACCESSKEY"], "use REGISTRY_S3_ACCESS_KEY or its file", Never),
    DistributionRow(&["REGISTRY_STORAGE_S3_SECRETKEY"], "use REGISTRY_S3_SECRET_KEY or its file", Never),
    DistributionRow(&["REGISTRY_STORAGE_S3_BUCKET"], "use REGISTRY_STORAGE=s3 and REGISTRY_S3_BUCKET", Never),
    DistributionRow(&["REGISTRY_STORAGE_S3_REGION"], "use REGISTRY_S3_REGION", Never),
    DistributionRow(&["REGISTRY_STORAGE_S3_REGIONENDPOINT"], "use REGISTRY_S3_ENDPOINT", Never),
    DistributionRow(&["REGISTRY_STORAGE_S3_FORCEPATHSTYLE"], "use REGISTRY_S3_PATH_STYLE", Words(&["true"])),
    DistributionRow(&["REGISTRY_STORAGE_S3_ROOTDIRECTORY"], "use REGISTRY_S3_PREFIX", Never),
    DistributionRow(
        &["REGISTRY_STORAGE_S3_ENCRYPT", "REGISTRY_STORAGE_S3_KEYID"],
        "use REGISTRY_S3_SSE",
        Words(&["false"]),
    ),
    DistributionRow(&["REGISTRY_STORAGE_S3*"], "use the variables REGISTRY_S3_BUCKET and following", Never),
    DistributionRow(&["REGISTRY_STORAGE_AZURE*"], "use the variables REGISTRY_AZURE_CONTAINER and following", Never),
    DistributionRow(&["REGISTRY_STORAGE_GCS*"], "use the variables REGISTRY_GCS_BUCKET and following", Never),
    DistributionRow(&["REGISTRY_STORAGE_CACHE*"], "caching needs no setting", All),
    DistributionRow(
        &["REGISTRY_STORAGE_DELETE_ENABLED"],
        DELETE,
        Switch("operator.delete", |live| live.operator.delete),
    ),
    DistributionRow(&["REGISTRY_STORAGE_DELETE*"], DELETE, Never),
    DistributionRow(
        &["REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED"],
        READ_ONLY,
        Switch("operator.read_only", |live| live.operator.read_only),
    ),
    DistributionRow(&["REGISTRY_STORAGE_MAINTENANCE_READONLY*"], READ_ONLY, Never),
    DistributionRow(&["REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_ENABLED"], PURGING, Words(&["true"])),
    DistributionRow(&["REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_DRYRUN"], PURGING, Words(&["false"])),
    DistributionRow(&["REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING*"], PURGING, Never),
    DistributionRow(&["REGISTRY_STORAGE_MAINTENANCE*"], NOTHING, Never),
    DistributionRow(
        &["REGISTRY_STORAGE_REDIRECT_DISABLE"],
        "blobs are redirected only by the setting reads.redirect",
        Words(&["true"]),
    ),
    DistributionRow(&["REGISTRY_STORAGE_REDIRECT*"], NOTHING, Never),
    DistributionRow(&["REGISTRY_STORAGE_TAG*"], "the number of tag lookups needs no setting", All),
    DistributionRow(&["REGISTRY_HTTP_ADDR"], "use REGISTRY_HOST and REGISTRY_PORT", Never),
    DistributionRow(&["REGISTRY_HTTP_HOST"], "use REGISTRY_PUBLIC_URL", Never),
    DistributionRow(&["REGISTRY_HTTP_NET"], NOTHING, Words(&["tcp"])),
    DistributionRow(&["REGISTRY_HTTP_PREFIX"], NOTHING, Words(&["/"])),
    DistributionRow(&["REGISTRY_HTTP_RELATIVEURLS"], "use REGISTRY_PUBLIC_URL for absolute URLs", Words(&["true"])),
    DistributionRow(&["REGISTRY_HTTP_SECRET"], "uploads are kept on disk and need no secret", All),
    DistributionRow(
        &["REGISTRY_HTTP_DRAINTIMEOUT"],
        "use server.drain_seconds in the settings file (REGISTRY_SETTINGS)",
        Never,
    ),
    DistributionRow(&["REGISTRY_HTTP_TLS_CERTIFICATE"], "use REGISTRY_TLS_CERT", Never),
    DistributionRow(&["REGISTRY_HTTP_TLS_KEY"], "use REGISTRY_TLS_KEY", Never),
    DistributionRow(&["REGISTRY_HTTP_TLS_CLIENTCAS*"], "use REGISTRY_TLS_CLIENT_CA", Never),
    DistributionRow(
        &["REGISTRY_HTTP_TLS_MINIMUMTLS"],
        "TLS 1.2 and 1.3 are supported, nothing else",
        Words(&["tls1.2"]),
    ),
    DistributionRow(&["REGISTRY_HTTP_TLS*"], NOTHING, Never),
    DistributionRow(&["REGISTRY_HTTP_HTTP2_DISABLED"], "HTTP/2 cannot be turned off", Words(&["false"])),
    DistributionRow(&["REGISTRY_HTTP_HTTP2*"], NOTHING, Never),
    DistributionRow(&["REGISTRY_HTTP_H2C_ENABLED"], "HTTP/2 without TLS cannot be turned off", Words(&["true"])),
    DistributionRow(&["REGISTRY_HTTP_H2C*", "REGISTRY_HTTP_HEADERS*"], NOTHING, Never),
    DistributionRow(&["REGISTRY_HTTP_DEBUG_ADDR"], "use REGISTRY_ADMIN_ADDR", Never),
    DistributionRow(&["REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED"], "metrics cannot be turned off", Words(&["true"])),
    DistributionRow(&["REGISTRY_HTTP_DEBUG*"], "use REGISTRY_ADMIN_ADDR; metrics are at /metrics there", Never),
    DistributionRow(&["REGISTRY_AUTH"], "use REGISTRY_AUTH_TYPE", Never),
    DistributionRow(&["REGISTRY_AUTH_HTPASSWD_PATH"], "use REGISTRY_AUTH_TYPE=basic and REGISTRY_AUTH_HTPASSWD", Never),
    DistributionRow(&["REGISTRY_AUTH_HTPASSWD_REALM"], "use REGISTRY_AUTH_REALM", Never),
    DistributionRow(&["REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE"], "use REGISTRY_AUTH_TOKEN_PUBLICKEY", Never),
    DistributionRow(&["REGISTRY_AUTH_TOKEN_JWKS"], "use REGISTRY_AUTH_TOKEN_PUBLICKEY", Never),
    DistributionRow(&["REGISTRY_AUTH_TOKEN_AUTOREDIRECT"], "use REGISTRY_AUTH_TOKEN_REALM", Words(&["false"])),
    DistributionRow(&["REGISTRY_AUTH_TOKEN_AUTOREDIRECT*"], "use REGISTRY_AUTH_TOKEN_REALM", Never),
    DistributionRow(&["REGISTRY_AUTH_TOKEN_SIGNINGALGORITHMS*"], "the key decides the algorithm; unset it", Never),
    DistributionRow(&["REGISTRY_AUTH_SILLY*"], NOTHING, Never),
    DistributionRow(&["REGISTRY_LOG_FORMATTER"], "use REGISTRY_LOG_FORMAT", Never),
    DistributionRow(&["REGISTRY_LOG_ACCESSLOG_DISABLED"], ACCESS_LOG, Words(&["false"])),
    DistributionRow(&["REGISTRY_LOG_ACCESSLOG*"], ACCESS_LOG, Never),
    DistributionRow(&["REGISTRY_LOG_FIELDS*", "REGISTRY_LOG_HOOKS*"], NOTHING, Never),
    DistributionRow(&["REGISTRY_LOG_REPORTCALLER"], NOTHING, Words(&["false"])),
    DistributionRow(&["REGISTRY_LOGLEVEL"], "use REGISTRY_LOG_LEVEL", Never),
    DistributionRow(&["REGISTRY_CATALOG_MAXENTRIES"], "use REGISTRY_PAGINATION_MAX_LIMIT", Never),
    DistributionRow(&["REGISTRY_TAGS_MAXTAGS"], "use REGISTRY_PAGINATION_MAX_LIMIT", Never),
    DistributionRow(
        &["REGISTRY_PROXY_REMOTEURL", "REGISTRY_PROXY_TTL", "REGISTRY_PROXY_CACHEWRITETIMEOUT"],
        "use a rule [[mirror]] in the settings file (docs/mirror.md)",
        Never,
    ),
    DistributionRow(
        &[
            "REGISTRY_PROXY_USERNAME",
            "REGISTRY_PROXY_PASSWORD",
            "REGISTRY_PROXY_EXEC*",
            "REGISTRY_NOTIFICATIONS*",
            "REGISTRY_MIDDLEWARE*",
            "REGISTRY_VALIDATION*",
            "REGISTRY_POLICY_REPOSITORY*",
        ],
        NOTHING,
        Never,
    ),
    DistributionRow(&["REGISTRY_HEALTH_STORAGEDRIVER_ENABLED"], "health checks cannot be turned off", Words(&["true"])),
    DistributionRow(
        &["REGISTRY_HEALTH_STORAGEDRIVER*", "REGISTRY_HEALTH_FILE*", "REGISTRY_HEALTH_HTTP*", "REGISTRY_HEALTH_TCP*"],
        NOTHING,
        Never,
    ),
    DistributionRow(&["REGISTRY_REDIS*"], "no cache in Redis is needed", All),
    DistributionRow(&["REGISTRY_CONFIGURATION_PATH"], "use REGISTRY_SETTINGS and environment variables", Never),
];

const DELETE: &str = "use operator.delete in the settings file (REGISTRY_SETTINGS)";
const READ_ONLY: &str = "use operator.read_only in the settings file (REGISTRY_SETTINGS)";
const PURGING: &str = "use REGISTRY_UPLOAD_TIMEOUT and REGISTRY_UPLOAD_CLEANUP_INTERVAL";
const ACCESS_LOG: &str = "use REGISTRY_LOG_LEVEL=warn to leave out the line for each request";

/// Whether a name is one of Distribution's.
pub(super) fn is_known(name: &str) -> bool {
    row(name).is_some()
}

fn row(name: &str) -> Option<&'static DistributionRow> {
    let fits = |pattern: &&str| match pattern.strip_suffix('*') {
        Some(stem) => name.starts_with(stem),
        None => name == *pattern,
    };
    TABLE.iter().find(|DistributionRow(patterns, ..)| patterns.iter().any(fits))
}

impl Foreign {
    /// The variable, if its name is one of Distribution's.
    pub(super) fn of(name: &str, value: &OsStr, place: &ValueSource) -> Option<Self> {
        let row = row(name)?;
        Some(Self { name: name.to_owned(), place: place.clone(), value: value.to_owned(), row })
    }

    /// Reports the variable as a problem, which prevents startup, unless its value is harmless under these settings.
    /// The value is only shown if it is one of the words of the table.
    pub(super) fn report(&self, live: &Live, problems: &mut Problems, warnings: &mut Vec<Warning>) {
        const WHOSE: &str = "is a variable of CNCF Distribution";
        let DistributionRow(_, answer, harmless) = self.row;
        let value = self.value.to_str().unwrap_or_default().trim();
        let problem = |message: String| self.place.problem(&self.name, message);
        let ignored = |why: String| Warning(problem(format!("{WHOSE} and ignored: {why}; unset it")));
        match harmless {
            All => warnings.push(ignored((*answer).to_owned())),
            Words(words) => match words.iter().find(|word| word.eq_ignore_ascii_case(value)) {
                Some(word) => warnings.push(ignored(format!("{word} is what this registry does anyway"))),
                None => problems.push(problem(format!("{WHOSE}: {answer}"))),
            },
            Switch(key, of) => match values::boolean(value) {
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

    /// The message about a variable, and whether it is a problem or a warning.
    fn reported(name: &str, value: &str) -> (String, bool) {
        assert!(matches!(classify(name, false), Name::Distribution), "{name}");
        let (mut problems, mut warnings) = (Problems::default(), Vec::new());
        let foreign = Foreign::of(name, value.as_ref(), &ValueSource::Environment).unwrap();
        foreign.report(&Live::default(), &mut problems, &mut warnings);
        assert_eq!(problems.0.len() + warnings.len(), 1);
        let warned = warnings.first().map(ToString::to_string);
        (warned.unwrap_or_else(|| problems.to_string()), !problems.is_empty())
    }

    #[test]
    fn names_of_distribution_are_reported_with_our_names() {
        let table = [
            ("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "use REGISTRY_STORAGE_PATH"),
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
            ("REGISTRY_STORAGE_S3_SECRETKEY", "use REGISTRY_S3_SECRET_KEY"),
            ("REGISTRY_PROXY_REMOTEURL", "use a rule [[mirror]]"),
            ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_NAME", "no counterpart yet"),
        ];
        for (name, part) in table {
            let (reported, fatal) = reported(name, "hunter2");
            assert!(
                fatal && reported.starts_with(&format!("{name}: is a variable of CNCF Distribution: ")),
                "{reported}"
            );
            assert!(reported.contains(part) && !reported.contains("hunter2"), "{reported}");
        }
    }

    #[test]
    fn harmless_names_of_distribution_are_accepted() {
        for name in ["REGISTRY_HTTP_SECRET", "REGISTRY_REDIS_ADDRS", "REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR"] {
            let (reported, fatal) = reported(name, "hunter2");
            assert!(!fatal && reported.contains("ignored") && reported.ends_with("; unset it"), "{reported}");
            assert!(!reported.contains("hunter2"), "{reported}");
        }
    }

    /// The rows of the tables in the page for those who come from Distribution: a variable, and what the page says.
    fn rows_of_the_page() -> Vec<(String, &'static str)> {
        let page = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/coming-from/distribution.md"));
        let (_, tables) = page.split_once("<!-- begin keys of distribution -->").unwrap();
        let (tables, _) = tables.split_once("<!-- end keys of distribution -->").unwrap();
        let rows = tables.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" | "));
        rows.flat_map(|(keys, says)| {
            let keys = keys.trim_end_matches('`').split("`, `").flat_map(|keys| keys.split("` and all of `"));
            keys.map(move |key| (format!("REGISTRY_{}", key.to_uppercase().replace('.', "_")), says))
        })
        .collect()
    }

    #[test]
    fn the_page_for_newcomers_names_every_variable_and_says_what_the_program_says() {
        let page = rows_of_the_page();
        assert!(page.len() > 70, "{}", page.len());
        for (name, says) in &page {
            let Some(DistributionRow(_, answer, _)) = row(name) else {
                assert!(matches!(classify(name, false), Name::Ours(_)), "the page names {name}, which nothing answers");
                continue;
            };
            let words = answer.split(|c: char| !(c.is_ascii_alphanumeric() || "_.".contains(c)));
            let is_name =
                |word: &&str| ["REGISTRY_", "operator.", "server."].iter().any(|start| word.starts_with(start));
            let named: Vec<&str> = words.filter(is_name).filter(|word| *word != "REGISTRY_SETTINGS").collect();
            assert!(named.is_empty() || named.iter().any(|word| says.contains(word)), "{name}: {named:?}: {says}");
            let is_absent = ["not yet", "not there"].iter().any(|words| says.contains(words));
            assert!(*answer != NOTHING || is_absent, "{name}: {says}");
        }
        for DistributionRow(patterns, ..) in TABLE {
            for pattern in *patterns {
                let stem = pattern.trim_end_matches('*');
                // What is left of a group of which the page has members.
                let is_rest = *pattern != stem && page.iter().any(|(name, _)| name.starts_with(stem));
                let is_named = page.iter().any(|(name, _)| name == stem);
                assert!(is_rest || is_named, "the page does not name {pattern}");
            }
        }
    }

    #[test]
    fn no_row_is_hidden_by_an_earlier_one() {
        for DistributionRow(patterns, ..) in TABLE {
            for pattern in *patterns {
                let DistributionRow(first, ..) = row(&pattern.replace('*', "_X")).unwrap();
                assert_eq!(first, patterns, "an earlier row hides {pattern}");
            }
        }
    }
}
