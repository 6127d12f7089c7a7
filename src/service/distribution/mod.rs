//! The endpoints of the distribution protocol, one file per noun. Each function reads the rest of
//! a granted request, calls the registry and builds the answer; none builds an error response.
//!
//! [`dispatch`] boxes the future of each endpoint separately: one future that could be any of them
//! takes 54 KB, which every request would move twice.

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
use std::{
    future::{Future, ready},
    pin::Pin,
};

/// An endpoint at work. Boxed here: together their states take tens of kilobytes, and each request would carry all.
type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + Send>>;

/// Serves a granted request.
pub(super) fn dispatch(granted: Granted) -> Answering {
    match granted.request.endpoint.clone() {
        Endpoint::Ping => Box::pin(ready(Ok(ping()))),
        Endpoint::Catalog(page) => Box::pin(catalog::list(granted, page)),
        Endpoint::Tags(name, page) => Box::pin(tag::list(granted, name, page)),
        Endpoint::Referrers { repository, subject, types, last } => {
            Box::pin(referrer::list(granted, repository, subject, types, last))
        }
        Endpoint::ManifestRead(name, reference) => Box::pin(manifest::read(granted, name, reference)),
        Endpoint::ManifestPush(name, reference, tags) => Box::pin(manifest::push(granted, name, reference, tags)),
        Endpoint::ManifestDelete(name, reference) => Box::pin(manifest::delete(granted, name, reference)),
        Endpoint::BlobRead(name, digest) => Box::pin(blob::read(granted, name, digest)),
        Endpoint::BlobDelete(name, digest) => Box::pin(blob::delete(granted, name, digest)),
        Endpoint::BlobPush(name, digest) => Box::pin(blob::push(granted, name, digest)),
        Endpoint::BlobMount { repository, digest, from } => Box::pin(blob::mount(granted, repository, digest, from)),
        Endpoint::UploadBegin(name, algorithm) => Box::pin(upload::begin(granted, name, algorithm)),
        Endpoint::UploadAppend(name, place) => Box::pin(upload::append(granted, name, place)),
        Endpoint::UploadFinish(name, place, digest) => Box::pin(upload::finish(granted, name, place, digest)),
        Endpoint::UploadStatus(name, place) => Box::pin(upload::status(granted, name, place.id)),
        Endpoint::UploadCancel(name, place) => Box::pin(upload::cancel(granted, name, place.id)),
        Endpoint::Token => Box::pin(token::serve(granted)),
        Endpoint::Health => Box::pin(ready(Ok(ops::health()))),
        Endpoint::Ready => Box::pin(ops::ready(granted)),
        Endpoint::Metrics => Box::pin(ops::metrics(granted)),
    }
}

/// Clients ask this first, to learn that this is a registry and whether to log in (end-1).
fn ping() -> Response<Body> {
    answer::json("{}", "application/json")
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
