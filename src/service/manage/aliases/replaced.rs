//! Paths of other registries that have nothing behind them here. The answer says what replaces them.

use super::super::{
    super::{
        endpoint::RequestLine,
        error::{ApiError, ServiceError},
        query::Query,
    },
    repositories::invalid,
};
use crate::manage::settings;

/// Sections of settings, and where the same is found here.
const SECTIONS: &[(&str, &str)] = &[
    (
        "registry",
        "its settings are in the sections manifests, uploads, collection and pagination (/api/v1/settings lists all)",
    ),
    ("artifacts", "the sections are listed at /api/v1/settings"),
    ("metrics", "what was transferred is at /api/v1/metrics and cannot be set; /metrics is for Prometheus"),
];

/// The refusal of a path below `/api/v1`; `None` if it is not one of these.
pub(super) fn refusal(line: &RequestLine<'_>, rest: &[&str]) -> Option<ServiceError> {
    match rest {
        ["settings", "metrics"] if line.is_read() => None,
        ["settings", section] | ["settings", section, "reset"] => {
            let (name, instead) = SECTIONS.iter().find(|(name, _)| name == section)?;
            // A section of this name may come.
            (!settings::sections().contains(name))
                .then(|| ApiError::Replaced(format!("the settings have no section {name:?}: {instead}")).into())
        }
        ["registry", "proxy", ..] => {
            // Others may read it: it is in the logs of proxies, and in the history of the shell.
            if Query::parse(line.query).names("password") {
                return Some(invalid("password", "must not be in a URL, which others can read"));
            }
            let what = "this registry does not ask other registries for their lists: ask them with a client, such as \
                        \"crane catalog HOST\" or \"crane ls HOST/NAME\"";
            Some(ApiError::Replaced(what.to_owned()).into())
        }
        _ => None,
    }
}
