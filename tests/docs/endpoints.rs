//! The pages for those who come from another registry name only endpoints and web pages that exist.

use super::{ours_only, pages, spans};
use http::Method;
use wharfinger::service::{
    endpoint::Endpoint,
    error::{ApiError, ServiceError},
};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Replaces the placeholders of a path, which are words in capitals or in angle brackets.
fn filled(path: &str) -> String {
    let word = |word: &str| match word.trim_matches(['<', '>']) {
        "ID" if path.contains("/keys/") => "0123456789abcdef".to_owned(),
        "ID" => "01J0000000000000000000000A".to_owned(),
        "DIGEST" | "digest" => DIGEST.to_owned(),
        "integer" => "1".to_owned(),
        bare if bare.chars().all(|c| c.is_ascii_uppercase()) => bare.to_lowercase(),
        bare => bare.to_owned(),
    };
    path.split_inclusive(['/', '?', '&', '='])
        .map(|part| match part.strip_suffix(['/', '?', '&', '=']) {
            Some(start) => format!("{}{}", word(start), &part[start.len()..]),
            None => word(part),
        })
        .collect()
}

/// Whether no endpoint has this method and path.
fn is_unknown(method: &str, target: &str) -> bool {
    let target = filled(target);
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let parsed = Endpoint::parse(&Method::from_bytes(method.as_bytes()).unwrap(), path, query);
    matches!(
        parsed,
        Err(ServiceError::PathUnknown | ServiceError::MethodNotAllowed(_) | ServiceError::Api(ApiError::NotFound))
    )
}

#[test]
fn pages_for_newcomers_name_only_endpoints_that_exist() {
    let files = ["/etc/", "/var/", "/data", "/dev/"];
    let mut named = 0;
    for (page, text) in pages().iter().filter(|(page, _)| page.starts_with("docs/coming-from/")) {
        for code in spans(&ours_only(page, text)) {
            let (method, target) = match code.split_once(' ') {
                Some((method, target)) if target.starts_with('/') => (method, target),
                None if code.starts_with('/') && !files.iter().any(|file| code.starts_with(file)) => ("GET", &*code),
                _ => continue,
            };
            if method.chars().all(|c| c.is_ascii_uppercase()) {
                assert!(!is_unknown(method, target), "{page}: {code}: no such endpoint");
                named += 1;
            }
        }
    }
    assert!(named > 150, "{named}");
}

#[test]
fn unknown_endpoints_are_noticed() {
    assert!(!is_unknown("DELETE", "/api/v1/repositories/NAME/-/tags/TAG"));
    assert!(!is_unknown("GET", "/v2/<name>/referrers/<digest>?artifactType=<artifactType>"));
    for (method, target) in [("GET", "/api/v1/artifacts"), ("POST", "/api/v1/dashboard"), ("GET", "/v2/_zot/pprof")] {
        assert!(is_unknown(method, target), "{target}");
    }
}
