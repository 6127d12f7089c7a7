//! Compresses pages and the JSON of the management API.
//!
//! How well a text can be compressed says something about it. A site that makes somebody's browser ask for a page, can
//! choose a part of it (such as the `q` of a search) and sees how long the answer is on the wire could guess the rest of
//! the page (the attack is called BREACH). So nothing is compressed that another site may have asked for, and no answer
//! to a form: only those show a secret, a new API key. Blobs and manifests have their digest, and stay as they are.

use super::{
    endpoint::Endpoint,
    error::ServiceError,
    gate::Granted,
    headers::{text as text_of, value},
    routed::Routed,
};
use crate::{storage, wire::ResponseBody};
use flate2::{Compression as Level, write::GzEncoder};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header};
use std::io::Write as _;

/// A shorter text fits into a packet or two as it is.
const SHORTEST: u64 = 2 << 10;

/// Fast, and close to the best for HTML.
const LEVEL: u32 = 4;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// How the text of an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    /// As it is, whatever the client accepts.
    Never,
    /// As it is, because this client does not accept anything else.
    NotAccepted,
    Gzip,
}

impl Compression {
    /// How the answer to a request is sent.
    pub(super) fn of(granted: &Granted) -> Self {
        let request = &granted.request;
        let is_ours = match &request.endpoint {
            Endpoint::Manage(_) => true,
            Endpoint::Pages(page) => !page.is_asset(),
            _ => false,
        };
        let is_read = matches!(request.head.method, Method::GET | Method::HEAD);
        match is_ours && is_read && !may_be_asked_by_others(request) {
            false => Self::Never,
            true if accepts_gzip(&request.head.headers) => Self::Gzip,
            true => Self::NotAccepted,
        }
    }

    /// The answer as it is sent.
    ///
    /// # Errors
    /// The daemon is stopping.
    pub(super) async fn applied(
        self,
        mut response: Response<ResponseBody>,
    ) -> Result<Response<ResponseBody>, ServiceError> {
        // A file that somebody stored stays as it is, whatever its type: it has ranges, and its digest is its tag.
        let is_file = response.headers().contains_key(header::ACCEPT_RANGES) || response.body().in_memory().is_none();
        if self == Self::Never || is_file || !is_text(response.headers()) {
            return Ok(response);
        }
        response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
        if self == Self::NotAccepted || response.body().len() < SHORTEST {
            return Ok(response);
        }
        let Some(text) = std::mem::take(response.body_mut()).into_memory() else { return Ok(response) };
        // It takes about twice as long as other work on bytes in memory.
        let zipped = storage::work_on(text.len() * 2, move || Ok(gzip(&text).map_err(|_| text))).await?;
        match zipped {
            Ok(zipped) => {
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                // Other bytes that mean the same (RFC 9110 §8.8.1).
                let tag = text_of(headers, &header::ETAG).filter(|tag| !tag.starts_with("W/"));
                if let Some(weak) = tag.map(|tag| value(format!("W/{tag}"))) {
                    headers.insert(header::ETAG, weak);
                }
                *response.body_mut() = ResponseBody::from(zipped);
            }
            Err(text) => *response.body_mut() = ResponseBody::from(text),
        }
        Ok(response)
    }
}

fn gzip(text: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), Level::new(LEVEL));
    encoder.write_all(text)?;
    encoder.finish()
}

fn is_text(headers: &HeaderMap) -> bool {
    let media_type = text_of(headers, &header::CONTENT_TYPE).and_then(|value| value.split(';').next());
    matches!(media_type, Some("text/html" | "application/json"))
}

/// Whether a page of another site may have made a browser send this request.
fn may_be_asked_by_others(request: &Routed) -> bool {
    let headers = &request.head.headers;
    match text_of(headers, &SEC_FETCH_SITE) {
        // By a page of this registry, or by somebody who typed the address.
        Some("same-origin" | "none") => false,
        Some(_) => true,
        // Programs do not send it, nor do old browsers. Where the connection is not encrypted, no browser does, and
        // there is nothing to guess.
        None => headers.contains_key(header::COOKIE) && request.is_secure(),
    }
}

/// Whether a client takes gzip (RFC 9110 §12.5.3).
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    let mut any = false;
    for coding in values.flat_map(|value| value.split(',')) {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(1.0, |q| q.trim().parse::<f32>().unwrap_or_default());
        match name.trim() {
            name if name.eq_ignore_ascii_case("gzip") => return weight > 0.0,
            "*" => any = weight > 0.0,
            _ => {}
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_where_it_is_accepted() {
        let accepts = |written: &'static str| {
            accepts_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(written))]))
        };
        for yes in ["gzip", "br, GZIP", "gzip;q=0.5", "gzip; q=1, br", "*", "br;q=1, *;q=0.1"] {
            assert!(accepts(yes), "{yes}");
        }
        for no in ["", "br", "identity", "gzip;q=0", "gzip; q=0.000, *", "*;q=0", "gzipped", "gzip;q=x"] {
            assert!(!accepts(no), "{no}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
