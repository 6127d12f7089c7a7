//! CORS: which web pages may use the registry from a browser (Fetch standard, "CORS protocol").
//!
//! Not tower-http's layer: it writes `Vary` on every answer also while no origin is allowed, takes
//! every OPTIONS for a preflight, and would stand outside of the generation a request goes by.

use super::{Face, State, answer, body::Body};
use crate::config::{Live, Origins};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};

/// What pages read of an answer beside what every page may. Browsers hide the rest.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "Accept-Ranges, Allow, Content-Length, Content-Range, Docker-Content-Digest, Docker-Distribution-API-Version, \
     Docker-Upload-UUID, ETag, Link, Location, OCI-Filters-Applied, OCI-Subject, OCI-Tag, Range, Retry-After, \
     Warning, WWW-Authenticate, X-Request-ID",
);

/// What pages may send beside what every page may.
const TAKEN: HeaderValue = HeaderValue::from_static(
    "Accept, Authorization, Cache-Control, Content-Range, Content-Type, If-Match, If-None-Match, If-Range, Range, \
     X-Request-ID",
);

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");

/// Seconds a browser may remember a preflight. An origin that is taken away can send requests for
/// as long, though it cannot read the answers.
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");

/// What the browser is told of one request.
pub(super) struct Cors {
    /// `None`: no page sent it, or one that may not.
    allowed: Option<HeaderValue>,
    /// The browser's own login may be used, which no page but a listed one is to have.
    credentials: bool,
    preflight: bool,
}

impl Cors {
    /// `None` while no origin is configured, and for what is no business of pages: with `*` any
    /// page that the operator visits could read the metrics of this machine.
    pub(super) fn of<B>(state: &State, live: &Live, request: &Request<B>) -> Option<Self> {
        let for_clients = ["/v2", "/auth/"].iter().any(|root| request.uri().path().starts_with(root));
        if live.cors_origins == Origins::None || state.face == Face::Admin || !for_clients {
            return None;
        }
        let origin = request.headers().get(header::ORIGIN);
        let allowed = origin.filter(|origin| live.cors_origins.allow(origin.as_bytes()));
        let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let preflight = allowed.is_some() && asks && request.method() == Method::OPTIONS;
        let any = live.cors_origins == Origins::Any;
        let allowed = allowed.map(|origin| if any { HeaderValue::from_static("*") } else { origin.clone() });
        Some(Self { allowed, credentials: !any, preflight })
    }

    /// The answer to a preflight, if it is one that is allowed. Browsers send it without credentials.
    pub(super) fn preflight(&self) -> Option<Response<Body>> {
        self.preflight.then(|| {
            let mut response = answer::empty(StatusCode::NO_CONTENT);
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, TAKEN);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBERED);
            response
        })
    }

    /// Tells the browser whether the page may read the answer.
    pub(super) fn sign(self, headers: &mut HeaderMap) {
        // Also where no page asks: what a cache keeps of it must not be given to one.
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = self.allowed else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        if !self.preflight {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
}
