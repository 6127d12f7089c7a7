//! Parsing of method, raw path and raw query into an endpoint.

use super::{grammar, text};
use http::Method;
use oci::{Digest, Reference, RepositoryName};
use wharfinger::{
    service::{
        DistributionEndpoint as Distribution, OpsEndpoint as Ops, TokenEndpoint,
        endpoint::{Endpoint, Need},
        query::Pagination,
    },
    storage::{FactKey, Item},
    who::Action,
};

/// `<METHOD> <path>[?<query>]`.
pub fn path(data: &[u8]) {
    let Some((method, target)) = text(data).and_then(|text| text.split_once(' ')) else { return };
    let Ok(method) = Method::from_bytes(method.as_bytes()) else { return };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let parsed = Endpoint::parse(&method, path, query);
    if method == Method::GET {
        // HEAD exists wherever GET does, with the same endpoint.
        let head = Endpoint::parse(&Method::HEAD, path, query);
        assert_eq!(format!("{head:?}"), format!("{parsed:?}"));
    }
    if is_escaped_well(path) {
        let twin = twin(path);
        let again = Endpoint::parse(&method, &twin, query);
        assert_eq!(format!("{again:?}"), format!("{parsed:?}"), "{path:?} and {twin:?} are the same path");
    }
    match parsed {
        Ok(endpoint) => is_sound(&method, path, &endpoint),
        Err(_) => assert!(!must_be_served(&method, path), "a valid path is refused"),
    }
}

/// Checks the properties of every endpoint that was parsed from a path.
pub(crate) fn is_sound(method: &Method, path: &str, endpoint: &Endpoint) {
    assert!(!endpoint.name().is_empty() && endpoint.name().chars().all(|c| c.is_ascii_lowercase() || c == '_'));
    // The management API has aliases, and pages have two endpoints at some paths.
    if let Endpoint::Manage(_) | Endpoint::Pages(_) = endpoint {
        return;
    }
    // It formats back to its path, with escapes decoded once.
    let (rendered, query) = render(endpoint);
    let path = unescape(path);
    let same = |rendered: &str| path == rendered;
    assert!(same(&rendered) || rendered.strip_suffix('/').is_some_and(same), "{path:?} is {rendered:?}");
    let again = Endpoint::parse(method, &rendered, &query).expect("the formatted path is parsed");
    assert_eq!(again, *endpoint, "{rendered}?{query}");

    let need = endpoint.needs();
    let session =
        matches!(endpoint, Endpoint::Distribution(Distribution::UploadStatus(..) | Distribution::UploadCancel(..)));
    match (&need, method.as_str()) {
        (Need::Repository(_, Action::Pull), "GET" | "HEAD") => {}
        (Need::Repository(_, Action::Push), "PUT" | "POST" | "PATCH") => {}
        (Need::Repository(_, Action::Push), "GET" | "HEAD" | "DELETE") if session => {}
        (Need::Repository(_, Action::Delete), "DELETE") if !session => {}
        (Need::Nothing | Need::Sight | Need::Entry | Need::List | Need::Operate, "GET" | "HEAD") => {}
        (Need::Nothing, "POST") if *endpoint == TokenEndpoint::Issue.into() => {}
        _ => panic!("{method} must not need just {need:?}"),
    }
    let Need::Repository(name, _) = need else {
        assert_eq!(endpoint.repository(), None);
        // An endpoint without a repository is exactly one of these.
        let known = ["/v2", "/v2/", "/v2/_catalog", "/auth/token", "/health", "/health/ready", "/metrics"];
        return assert!(known.contains(&path.as_str()));
    };
    assert_eq!(endpoint.repository(), Some(name));
    assert!(grammar::is_name(name.as_str()));
    assert!(path.starts_with(&format!("/v2/{name}/")), "the path contains the name unchanged");
    let one_segment =
        rendered.replacen(&format!("/v2/{name}/"), &format!("/v2/{}/", name.as_str().replace('/', "%2f")), 1);
    assert_eq!(Endpoint::parse(method, &one_segment, &query).ok().as_ref(), Some(endpoint), "{one_segment}");
    for place in places(endpoint, name) {
        let own = format!("repositories/{name}");
        let pool = ["uploads", "blobs", own.as_str()];
        assert!(pool.iter().any(|root| grammar::stays_below(&place, root)), "{place}");
    }
}

/// The paths in the store that an endpoint leads to.
fn places(endpoint: &Endpoint, name: &RepositoryName) -> Vec<String> {
    let blob =
        |digest: &Digest| vec![Item::Blob(digest.clone()).path(), FactKey::Layer(name.clone(), digest.clone()).path()];
    let Endpoint::Distribution(endpoint) = endpoint else { return Vec::new() };
    match endpoint {
        Distribution::ManifestRead(_, reference)
        | Distribution::ManifestPush(_, reference, _)
        | Distribution::ManifestDelete(_, reference) => match reference {
            Reference::Tag(tag) => vec![FactKey::Tag(name.clone(), tag.clone()).path()],
            Reference::Digest(digest) => vec![FactKey::Revision(name.clone(), digest.clone()).path()],
        },
        Distribution::BlobRead(_, digest) | Distribution::BlobDelete(_, digest) | Distribution::BlobPush(_, digest) => {
            blob(digest)
        }
        Distribution::BlobMount { digest, .. } => blob(digest),
        Distribution::UploadAppend(_, place)
        | Distribution::UploadFinish(_, place, _)
        | Distribution::UploadStatus(_, place)
        | Distribution::UploadCancel(_, place) => vec![Item::Upload(place.id).path()],
        _ => Vec::new(),
    }
}

/// Formats the path and query of an endpoint.
fn render(endpoint: &Endpoint) -> (String, String) {
    let mut pairs: Vec<(&str, String)> = Vec::new();
    let page = |page: &Pagination| {
        let n = page.n.map(|n| ("n", n.to_string()));
        n.into_iter().chain(page.last.clone().map(|last| ("last", last)))
    };
    let endpoint = match endpoint {
        Endpoint::Distribution(endpoint) => endpoint,
        Endpoint::Token(TokenEndpoint::Issue) => return ("/auth/token".to_owned(), String::new()),
        Endpoint::Ops(Ops::Health) => return ("/health".to_owned(), String::new()),
        Endpoint::Ops(Ops::Ready) => return ("/health/ready".to_owned(), String::new()),
        Endpoint::Ops(Ops::Metrics) => return ("/metrics".to_owned(), String::new()),
        Endpoint::Manage(endpoint) => unreachable!("{endpoint:?} is not rendered"),
        Endpoint::Pages(endpoint) => unreachable!("{endpoint:?} is not rendered"),
    };
    let path = match endpoint {
        Distribution::Ping => "/v2/".to_owned(),
        Distribution::Catalog(p) => {
            pairs.extend(page(p));
            "/v2/_catalog".to_owned()
        }
        Distribution::Tags(name, p) => {
            pairs.extend(page(p));
            format!("/v2/{name}/tags/list")
        }
        Distribution::Referrers { repository, subject, types, last } => {
            pairs.extend(types.iter().map(|t| ("artifactType", t.clone())));
            pairs.extend(last.clone().map(|last| ("last", last)));
            format!("/v2/{repository}/referrers/{subject}")
        }
        Distribution::ManifestRead(name, reference) | Distribution::ManifestDelete(name, reference) => {
            format!("/v2/{name}/manifests/{reference}")
        }
        Distribution::ManifestPush(name, reference, tags) => {
            pairs.extend(tags.iter().map(|tag| ("tag", tag.to_string())));
            format!("/v2/{name}/manifests/{reference}")
        }
        Distribution::BlobRead(name, digest) | Distribution::BlobDelete(name, digest) => {
            format!("/v2/{name}/blobs/{digest}")
        }
        Distribution::UploadBegin(name, algorithm) => {
            pairs.push(("digest-algorithm", algorithm.to_string()));
            format!("/v2/{name}/blobs/uploads/")
        }
        Distribution::BlobPush(name, digest) => {
            pairs.push(("digest", digest.to_string()));
            format!("/v2/{name}/blobs/uploads/")
        }
        Distribution::BlobMount { repository, digest, from } => {
            pairs.push(("mount", digest.to_string()));
            pairs.extend(from.iter().map(|from| ("from", from.to_string())));
            format!("/v2/{repository}/blobs/uploads/")
        }
        Distribution::UploadFinish(name, place, digest) => {
            pairs.push(("digest", digest.to_string()));
            format!("/v2/{name}/blobs/uploads/{place}")
        }
        Distribution::UploadAppend(name, place)
        | Distribution::UploadStatus(name, place)
        | Distribution::UploadCancel(name, place) => format!("/v2/{name}/blobs/uploads/{place}"),
    };
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    (path, query)
}

/// Decodes escapes once; invalid ones stay.
pub(crate) fn unescape(text: &str) -> String {
    let (bytes, mut plain, mut at) = (text.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        let escaped =
            bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%').filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        match escaped {
            Some(hex) => {
                plain.push(u8::from_str_radix(std::str::from_utf8(hex).unwrap(), 16).unwrap());
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// Whether every `%` begins an escape, and the result is text.
fn is_escaped_well(path: &str) -> bool {
    let bytes = path.as_bytes();
    let escape = |at: usize| bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    (0..bytes.len()).filter(|&at| bytes[at] == b'%').all(escape) && !unescape(path).contains('\u{fffd}')
}

/// The same path with every third of its unescaped characters escaped.
fn twin(path: &str) -> String {
    let (mut twin, mut after) = (String::new(), 0);
    for (at, character) in path.char_indices() {
        if character == '%' {
            after = at + 3;
        }
        match character == '/' || at < after || at % 3 != 0 {
            true => twin.push(character),
            false => {
                character.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| twin.push_str(&format!("%{byte:02X}")));
            }
        }
    }
    twin
}

/// A second parser for plain paths, which must be served whatever the query is.
fn must_be_served(method: &Method, path: &str) -> bool {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let changes = matches!(*method, Method::DELETE);
    let Some(rest) = path.strip_prefix("/v2/") else {
        return reads && ["/v2", "/health", "/health/ready", "/metrics"].contains(&path);
    };
    let named = |keyword: &str, is: fn(&str) -> bool| {
        rest.rsplit_once(keyword).is_some_and(|(name, last)| !last.contains('/') && grammar::is_name(name) && is(last))
    };
    let reference = |text: &str| grammar::is_tag(text) || grammar::is_digest(text);
    (reads && rest.is_empty())
        || ((reads || changes) && (named("/manifests/", reference) || named("/blobs/", grammar::is_digest)))
        || (reads && named("/referrers/", grammar::is_digest))
        || (matches!(*method, Method::GET | Method::HEAD | Method::PATCH | Method::DELETE)
            && named("/blobs/uploads/", grammar::is_upload_id))
}
