//! The endpoints of the distribution protocol, one file per noun. Each function reads the rest of
//! a granted request, calls the registry and shapes the answer; none makes an error response.

mod blob;
mod catalog;
mod manifest;
mod referrer;
mod tag;
mod upload;

use super::{answer, body::Body, endpoint::Endpoint, error::Error, gate::Granted, ops, token};
use crate::registry::Interruption;
use bytes::Bytes;
use futures_util::Stream;
use http::Response;
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
        Endpoint::Token => token::serve(granted).await?,
        Endpoint::Health => ops::health(),
        Endpoint::Ready => ops::ready(granted).await?,
        Endpoint::Metrics => ops::metrics(granted).await?,
    })
}

/// Clients ask this first, to learn that this is a registry and whether to log in (end-1).
fn ping() -> Response<Body> {
    answer::json(b"{}".as_slice(), "application/json")
}

impl Granted {
    /// The request's body as the registry takes it.
    pub(super) fn incoming(&mut self) -> impl Stream<Item = Result<Bytes, Interruption>> + Unpin + Send + use<> {
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
