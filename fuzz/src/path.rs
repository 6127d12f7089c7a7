//! Method, raw path and raw query into an endpoint.

use super::{grammar, text};
use http::Method;
use wharfinger::{
    oci::{Digest, Reference, RepositoryName},
    service::{
        endpoint::{Endpoint, Need},
        query::Pagination,
    },
    storage::{Item, Key},
    who::Action,
};

/// `<METHOD> <path>[?<query>]`.
pub fn path(data: &[u8]) {
    let Some((method, target)) = text(data).and_then(|text| text.split_once(' ')) else { return };
    let Ok(method) = Method::from_bytes(method.as_bytes()) else { return };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let parsed = Endpoint::parse(&method, path, query);
    if method == Method::GET {
        // HEAD is there wherever GET is, and asks the same.
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
        Err(_) => assert!(!must_be_served(&method, path), "of the grammar, and refused"),
    }
}

/// What holds of every endpoint that was read from a path.
pub fn is_sound(method: &Method, path: &str, endpoint: &Endpoint) {
    // It renders back to the path it came from, escapes resolved once.
    let (rendered, query) = render(endpoint);
    let path = unescape(path);
    let same = |rendered: &str| path == rendered;
    assert!(same(&rendered) || rendered.strip_suffix('/').is_some_and(same), "{path:?} is {rendered:?}");
    let again = Endpoint::parse(method, &rendered, &query).expect("what was rendered is read");
    assert_eq!(again, *endpoint, "{rendered}?{query}");

    assert!(!endpoint.name().is_empty() && endpoint.name().chars().all(|c| c.is_ascii_lowercase() || c == '_'));
    let need = endpoint.needs();
    let session = matches!(endpoint, Endpoint::UploadStatus(..) | Endpoint::UploadCancel(..));
    match (&need, method.as_str()) {
        (Need::Repository(_, Action::Pull), "GET" | "HEAD") => {}
        (Need::Repository(_, Action::Push), "PUT" | "POST" | "PATCH") => {}
        (Need::Repository(_, Action::Push), "GET" | "HEAD" | "DELETE") if session => {}
        (Need::Repository(_, Action::Delete), "DELETE") if !session => {}
        (Need::Nothing | Need::Entry | Need::List | Need::Operate, "GET" | "HEAD") => {}
        (Need::Nothing, "POST") if *endpoint == Endpoint::Token => {}
        _ => panic!("{method} must not need just {need:?}"),
    }
    let Need::Repository(name, _) = need else {
        assert_eq!(endpoint.repository(), None);
        // What can be read without a repository is one of these, and nothing that looks like one.
        let known = ["/v2", "/v2/", "/v2/_catalog", "/auth/token", "/health", "/health/ready", "/metrics"];
        return assert!(known.contains(&path.as_str()));
    };
    assert_eq!(endpoint.repository(), Some(name));
    assert!(grammar::is_name(name.as_str()));
    assert!(path.starts_with(&format!("/v2/{name}/")), "a name stands in the path as it is");
    let one_segment =
        rendered.replacen(&format!("/v2/{name}/"), &format!("/v2/{}/", name.as_str().replace('/', "%2f")), 1);
    assert_eq!(Endpoint::parse(method, &one_segment, &query).ok().as_ref(), Some(endpoint), "{one_segment}");
    for place in places(endpoint, name) {
        let own = format!("repositories/{name}");
        let pool = ["uploads", "blobs", own.as_str()];
        assert!(pool.iter().any(|root| grammar::stays_below(&place, root)), "{place}");
    }
}

/// Where an endpoint leads in the store.
fn places(endpoint: &Endpoint, name: &RepositoryName) -> Vec<String> {
    let blob =
        |digest: &Digest| vec![Item::Blob(digest.clone()).path(), Key::Layer(name.clone(), digest.clone()).path()];
    match endpoint {
        Endpoint::ManifestRead(_, reference)
        | Endpoint::ManifestPush(_, reference, _)
        | Endpoint::ManifestDelete(_, reference) => match reference {
            Reference::Tag(tag) => vec![Key::Tag(name.clone(), tag.clone()).path()],
            Reference::Digest(digest) => vec![Key::Revision(name.clone(), digest.clone()).path()],
        },
        Endpoint::BlobRead(_, digest) | Endpoint::BlobDelete(_, digest) | Endpoint::BlobPush(_, digest) => blob(digest),
        Endpoint::BlobMount { digest, .. } => blob(digest),
        Endpoint::UploadAppend(_, place)
        | Endpoint::UploadFinish(_, place, _)
        | Endpoint::UploadStatus(_, place)
        | Endpoint::UploadCancel(_, place) => vec![Item::Upload(place.id).path()],
        _ => Vec::new(),
    }
}

/// Path and query of an endpoint, in their plainest form.
fn render(endpoint: &Endpoint) -> (String, String) {
    let mut pairs: Vec<(&str, String)> = Vec::new();
    let page = |page: &Pagination| {
        let n = page.n.map(|n| ("n", n.to_string()));
        n.into_iter().chain(page.last.clone().map(|last| ("last", last)))
    };
    let path = match endpoint {
        Endpoint::Ping => "/v2/".to_owned(),
        Endpoint::Token => "/auth/token".to_owned(),
        Endpoint::Health => "/health".to_owned(),
        Endpoint::Ready => "/health/ready".to_owned(),
        Endpoint::Metrics => "/metrics".to_owned(),
        Endpoint::Catalog(p) => {
            pairs.extend(page(p));
            "/v2/_catalog".to_owned()
        }
        Endpoint::Tags(name, p) => {
            pairs.extend(page(p));
            format!("/v2/{name}/tags/list")
        }
        Endpoint::Referrers { repository, subject, types, last } => {
            pairs.extend(types.iter().map(|t| ("artifactType", t.clone())));
            pairs.extend(last.clone().map(|last| ("last", last)));
            format!("/v2/{repository}/referrers/{subject}")
        }
        Endpoint::ManifestRead(name, reference) | Endpoint::ManifestDelete(name, reference) => {
            format!("/v2/{name}/manifests/{reference}")
        }
        Endpoint::ManifestPush(name, reference, tags) => {
            pairs.extend(tags.iter().map(|tag| ("tag", tag.to_string())));
            format!("/v2/{name}/manifests/{reference}")
        }
        Endpoint::BlobRead(name, digest) | Endpoint::BlobDelete(name, digest) => format!("/v2/{name}/blobs/{digest}"),
        Endpoint::UploadBegin(name, algorithm) => {
            pairs.push(("digest-algorithm", algorithm.to_string()));
            format!("/v2/{name}/blobs/uploads/")
        }
        Endpoint::BlobPush(name, digest) => {
            pairs.push(("digest", digest.to_string()));
            format!("/v2/{name}/blobs/uploads/")
        }
        Endpoint::BlobMount { repository, digest, from } => {
            pairs.push(("mount", digest.to_string()));
            pairs.extend(from.iter().map(|from| ("from", from.to_string())));
            format!("/v2/{repository}/blobs/uploads/")
        }
        Endpoint::UploadFinish(name, place, digest) => {
            pairs.push(("digest", digest.to_string()));
            format!("/v2/{name}/blobs/uploads/{place}")
        }
        Endpoint::UploadAppend(name, place)
        | Endpoint::UploadStatus(name, place)
        | Endpoint::UploadCancel(name, place) => format!("/v2/{name}/blobs/uploads/{place}"),
    };
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    (path, query)
}

/// Escapes resolved once; what is no escape stays.
pub fn unescape(text: &str) -> String {
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

/// Whether every `%` begins an escape, and text comes of them.
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

/// Plain paths that no query can spoil, read in a second way.
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
