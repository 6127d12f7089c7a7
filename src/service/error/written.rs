//! How an error is written: as the body, the headers and the reason phrase of a response.

use super::{
    super::{
        answer,
        pages::{PageError, error_page},
    },
    ErrorRow, ServiceError,
};
use crate::{
    registry::{self, AbsentReference},
    wire::ResponseBody,
};
use api::{ErrorBody, ErrorEntry};
use http::{HeaderValue, Response, StatusCode, header};
use hyper::ext::ReasonPhrase;
use serde_json::json;
use std::borrow::Cow;

/// Maximum number of entries in one error body: a manifest can name ten thousand blobs, and nobody reads all of them.
const MOST_ENTRIES: usize = 100;

impl ServiceError {
    /// One entry per missing digest (distribution-spec, "Pushing Manifests") for the first [`MOST_ENTRIES`] of them;
    /// for other errors a single entry.
    fn body(&self, row: &ErrorRow) -> ErrorBody {
        let Self::Registry(registry::RegistryError::MissingReferences(missing)) = self else {
            let message = row.message.clone().map_or_else(|| self.to_string(), Cow::into_owned);
            let entry = ErrorEntry { code: row.code.into(), message, detail: row.detail.clone() };
            return ErrorBody { errors: vec![entry], request_id: None };
        };
        let entry = |reference: &AbsentReference| ErrorEntry {
            code: row.code.into(),
            message: reference.to_string(),
            detail: Some(json!({ "digest": reference.digest.as_str() })),
        };
        ErrorBody { errors: missing.iter().take(MOST_ENTRIES).map(entry).collect(), request_id: None }
    }

    /// The response in the format that the clients of its family of endpoints expect.
    ///
    /// The challenges of the management API and of the pages never make a browser show its own login window.
    pub(in super::super) fn response(&self, format: ErrorFormat) -> Response<ResponseBody> {
        let mut row = self.row();
        let mut body = self.body(&row);
        if let ErrorFormat::Api { request_id, .. } = &format {
            body.request_id = Some(request_id.clone());
        }
        if format != ErrorFormat::Distribution && row.status == StatusCode::UNAUTHORIZED {
            row.headers = vec![(header::WWW_AUTHENTICATE, API_CHALLENGE.to_owned())];
        }
        let mut response = match &format {
            ErrorFormat::Page(page) => {
                let message = body.errors.first().map_or("", |entry| &entry.message);
                error_page(row.status, message, page)
            }
            ErrorFormat::Distribution | ErrorFormat::Api { .. } => {
                let mut written = json!(body);
                if matches!(format, ErrorFormat::Api { says_success: true, .. }) {
                    written["success"] = json!(false);
                    written["message"] = json!(body.errors.first().map(|entry| &entry.message));
                }
                answer::json(written.to_string(), "application/json")
            }
        };
        *response.status_mut() = row.status;
        for (name, value) in row.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        if let Some(phrase) = body.errors.first().and_then(|entry| phrase(row.status, &entry.message)) {
            response.extensions_mut().insert(phrase);
        }
        response
    }
}

/// The challenge of the management API and the pages: browsers have no window for this scheme (RFC 6750).
const API_CHALLENGE: &str = "Bearer realm=\"wharfinger\"";

/// How errors are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum ErrorFormat {
    /// As in the distribution specification ("Error Codes").
    Distribution,
    /// The same with the request's ID, for the management API.
    Api {
        /// As in `X-Request-Id`.
        request_id: String,
        /// With `success` and `message`, for the paths without a version.
        says_success: bool,
    },
    /// As a page, for browsers.
    Page(PageError),
}

/// The longest reason phrase, in bytes. Proxies limit the status line.
const LONGEST_PHRASE: usize = 200;

/// The message as the reason phrase of HTTP/1.1 (hyper omits it on HTTP/2). A response to `HEAD` has no body; of a 5xx
/// docker and podman print only the status line, and containerd never prints more. Clients handle 401 and 404 without
/// it.
pub(super) fn phrase(status: StatusCode, message: &str) -> Option<ReasonPhrase> {
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND) {
        return None;
    }
    let plain = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    ReasonPhrase::try_from(message.chars().map(plain).take(LONGEST_PHRASE).collect::<String>()).ok()
}
