//! CORS: which web pages may use the registry from a browser (Fetch standard, "CORS protocol").
//!
//! tower-http's layer is not used: it adds `Vary` to every response even when no origin is allowed, treats every
//! OPTIONS as a preflight, and would not see the configuration generation of the request.

use super::{Face, ServiceState, answer};
use crate::{
    config::{Live, Origins},
    wire::ResponseBody,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};

/// Response headers that pages may read in addition to the always readable ones.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "Accept-Ranges, Allow, Content-Length, Content-Range, Docker-Content-Digest, Docker-Distribution-API-Version, \
     Docker-Upload-UUID, ETag, Link, Location, OCI-Filters-Applied, OCI-Subject, OCI-Tag, Range, Retry-After, \
     Warning, WWW-Authenticate, X-Request-ID",
);

/// Request headers that pages may send in addition to the always allowed ones.
const TAKEN: HeaderValue = HeaderValue::from_static(
    "Accept, Authorization, Cache-Control, Content-Range, Content-Type, If-Match, If-None-Match, If-Range, Range, \
     X-Request-ID",
);

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");

/// Seconds a browser may cache a preflight. An origin that is removed can send requests for as long, but it cannot read
/// the responses.
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");

/// The CORS decision for one request.
pub(super) struct Cors {
    /// `None` if the request has no origin or one that is not allowed.
    allowed: Option<HeaderValue>,
    /// Whether the page may use the browser's stored login: only listed origins may.
    credentials: bool,
    preflight: bool,
}

impl Cors {
    /// `None` if no origin is configured, or if the endpoint is not for pages: with `*`, any page that the operator
    /// visits could read the metrics of this machine.
    pub(super) fn of<B>(state: &ServiceState, live: &Live, request: &Request<B>) -> Option<Self> {
        let for_clients = ["/v2", "/auth/", "/api/"].iter().any(|root| request.uri().path().starts_with(root));
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

    /// The response to an allowed preflight. Browsers send preflights without credentials.
    pub(super) fn preflight(&self) -> Option<Response<ResponseBody>> {
        self.preflight.then(|| {
            let mut response = answer::empty(StatusCode::NO_CONTENT);
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, TAKEN);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBERED);
            response
        })
    }

    /// Adds the headers that let the page read the response.
    pub(super) fn sign(self, headers: &mut HeaderMap) {
        // Also on requests without an origin: a cache must not give their responses to a page.
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
