//! Query strings, as the endpoints read them.

use super::{grammar, path, text};
use http::Method;
use oci::{Digest, RepositoryName, Tag};
use wharfinger::service::{DistributionEndpoint as Distribution, endpoint::Endpoint, query::Pagination};

const ID: &str = "3fa85f64-5717-4562-b3fc-2c963f66afa6";

/// A raw query.
pub fn query(data: &[u8]) {
    let Some(query) = text(data) else { return };
    let pairs = pairs(query);
    // A parameter without a value counts as absent, except for `mount` and `digest` of a POST.
    let is_named = |name: &str| pairs.iter().any(|(key, _)| key == name);
    let all = |name: &str| -> Vec<&str> {
        pairs.iter().filter(|(key, value)| key == name && !value.is_empty()).map(|(_, v)| v.as_str()).collect()
    };
    let ask = |method: Method, path: &str| {
        let endpoint = Endpoint::parse(&method, path, query).ok()?;
        path::is_sound(&method, path, &endpoint);
        match endpoint {
            Endpoint::Distribution(endpoint) => Some(endpoint),
            other => panic!("{other:?} is not below /v2"),
        }
    };
    let digest = |name: &str| match all(name).as_slice() {
        [one] if grammar::is_digest(one) => one.parse::<Digest>().ok(),
        _ => None,
    };
    let name: RepositoryName = "a".parse().unwrap();

    // The first `n` and `last` count; a number that is too large becomes the largest.
    let n = match all("n").first() {
        None => Some(None),
        Some(n) if n.chars().all(|c| c.is_ascii_digit()) => Some(Some(n.parse().unwrap_or(usize::MAX))),
        Some(_) => None,
    };
    let last = all("last").first().map(|last| (*last).to_owned());
    let page = n.map(|n| Pagination { n, last: last.clone() });
    assert_eq!(ask(Method::GET, "/v2/_catalog"), page.clone().map(Distribution::Catalog));
    assert_eq!(ask(Method::GET, "/v2/a/tags/list"), page.map(|page| Distribution::Tags(name.clone(), page)));

    let subject: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
    let referrers = Distribution::Referrers {
        repository: name.clone(),
        subject: subject.clone(),
        types: all("artifactType").into_iter().map(str::to_owned).collect(),
        last,
    };
    assert_eq!(ask(Method::GET, &format!("/v2/a/referrers/{subject}")), Some(referrers));

    let tags: Option<Vec<Tag>> =
        all("tag").iter().map(|tag| tag.parse().ok().filter(|_| grammar::is_tag(tag))).collect();
    let push = tags.map(|tags| Distribution::ManifestPush(name.clone(), "v1".parse().unwrap(), tags));
    assert_eq!(ask(Method::PUT, "/v2/a/manifests/v1"), push);

    let finish = digest("digest").map(|digest| Distribution::UploadFinish(name.clone(), ID.parse().unwrap(), digest));
    assert_eq!(ask(Method::PUT, &format!("/v2/a/blobs/uploads/{ID}")), finish);

    // For a POST `mount` has precedence over `digest`.
    let post = ask(Method::POST, "/v2/a/blobs/uploads/");
    if is_named("mount") {
        let expected = match (digest("mount"), all("from").as_slice()) {
            (None, _) | (_, [_, _, ..]) => None,
            (Some(digest), []) => Some(Distribution::BlobMount { repository: name, digest, from: None }),
            (Some(digest), [from]) if grammar::is_name(from) => {
                Some(Distribution::BlobMount { repository: name, digest, from: from.parse().ok() })
            }
            (Some(_), [_]) => Some(Distribution::UploadBegin(name, Default::default())),
        };
        assert_eq!(post, expected);
    } else if is_named("digest") {
        assert_eq!(post, digest("digest").map(|digest| Distribution::BlobPush(name, digest)));
    } else {
        let expected = match all("digest-algorithm").as_slice() {
            [] => Some("sha256"),
            [known @ ("sha256" | "sha512")] => Some(*known),
            _ => None,
        };
        assert_eq!(post, expected.map(|known| Distribution::UploadBegin(name, known.parse().unwrap())));
    }
}

/// `application/x-www-form-urlencoded`, as the URL standard reads it.
fn pairs(query: &str) -> Vec<(String, String)> {
    let plain = |text: &str| path::unescape(&text.replace('+', " "));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (plain(key), plain(value)))
        .collect()
}
