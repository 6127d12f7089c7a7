//! The endpoints of the distribution protocol, one file per noun. Each function reads the rest of
//! a granted request, calls the registry and shapes the answer; none makes an error response.

mod blob;
mod catalog;
mod manifest;
mod referrer;
mod tag;
mod upload;

pub(super) use upload::{Standing, session_headers};

use super::{
    body::Body,
    endpoint::Endpoint,
    error::Error,
    gate::Granted,
    headers::{self, value},
    ops,
};
use crate::registry::{Interruption, Registry};
use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt;

/// Serves a granted request.
pub(super) async fn dispatch(granted: Granted) -> Result<Response<Body>, Error> {
    Ok(match granted.request.endpoint.clone() {
        Endpoint::Ping => ping(),
        Endpoint::Catalog(page) => catalog::list(granted, page).await?,
        Endpoint::Tags(name, page) => tag::list(granted, name, page).await?,
        Endpoint::Referrers { repository, subject, types, last } => {
            referrer::list(granted, repository, subject, types, last).await?
        }
        Endpoint::ManifestRead(name, reference) => manifest::read(granted, name, reference).await?,
        Endpoint::ManifestPush(name, reference, tags) => manifest::push(granted, name, reference, tags).await?,
        Endpoint::ManifestDelete(name, reference) => manifest::delete(granted, name, reference).await?,
        Endpoint::BlobRead(name, digest) => blob::read(granted, name, digest).await?,
        Endpoint::BlobDelete(name, digest) => blob::delete(granted, name, digest).await?,
        Endpoint::BlobPush(name, digest) => blob::push(granted, name, digest).await?,
        Endpoint::BlobMount { repository, digest, from } => blob::mount(granted, repository, digest, from).await?,
        Endpoint::UploadBegin(name, algorithm) => upload::begin(granted, name, algorithm).await?,
        Endpoint::UploadAppend(name, id) => upload::append(granted, name, id).await?,
        Endpoint::UploadFinish(name, id, digest) => upload::finish(granted, name, id, digest).await?,
        Endpoint::UploadStatus(name, id) => upload::status(granted, name, id).await?,
        Endpoint::UploadCancel(name, id) => upload::cancel(granted, name, id).await?,
        Endpoint::Health => ops::health(),
        Endpoint::Ready => ops::ready(granted).await?,
        Endpoint::Metrics => ops::metrics(granted).await?,
    })
}

/// Clients ask this first, to learn that this is a registry and whether to log in (end-1).
fn ping() -> Response<Body> {
    json(b"{}".as_slice(), "application/json")
}

/// A response with a whole JSON body.
fn json(bytes: impl Into<Bytes>, media_type: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// A response without a body.
fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = status;
    if status != StatusCode::NO_CONTENT {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    response
}

/// The answer to a push of a content: where it is, and its digest.
fn created(location: String, digest: &crate::oci::Digest) -> Response<Body> {
    let mut response = empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, value(location));
    headers.insert(headers::CONTENT_DIGEST, value(digest.as_str()));
    response
}

/// The `Link` to the next page (RFC 8288): relative, as clients refuse other hosts.
fn next_page(response: &mut Response<Body>, target: String) {
    response.headers_mut().insert(header::LINK, value(format!("<{target}>; rel=\"next\"")));
}

impl Granted {
    fn registry(&self) -> &Registry {
        &self.request.state.registry
    }

    /// The request's body as the registry takes it.
    fn incoming(&mut self) -> impl Stream<Item = Result<Bytes, Interruption>> + Unpin + Send + use<> {
        let body = std::mem::take(&mut self.request.body);
        Box::pin(futures_util::stream::unfold(body, |mut body| async {
            loop {
                let item = match body.frame().await? {
                    Ok(frame) => match frame.into_data() {
                        Ok(bytes) => Ok(bytes),
                        Err(_trailers) => continue,
                    },
                    Err(e) if e.is::<super::stall::Stalled>() => Err(Interruption::Stalled),
                    Err(_) => Err(Interruption::Cut),
                };
                return Some((item, body));
            }
        }))
    }
}
