//! The endpoints of the distribution protocol, one file per resource. Each function reads the rest of a granted
//! request, calls the registry and builds the response; none builds an error response.
//!
//! [`serve`] boxes the future of each endpoint separately: one future that could be any of them takes 54 KB, which
//! every request would move twice.

mod blob;
mod catalog;
mod endpoint;
mod manifest;
mod mirrored;
mod referrer;
mod tag;
mod upload;

pub use endpoint::DistributionEndpoint;

use super::{
    answer::{self, Answering},
    gate::Granted,
};
use crate::wire::ResponseBody;
use http::Response;
use std::future::ready;

/// Answers a granted request.
fn serve(endpoint: DistributionEndpoint, granted: Granted) -> Answering {
    use DistributionEndpoint as Endpoint;
    match endpoint {
        Endpoint::Ping => Box::pin(ready(Ok(ping()))),
        Endpoint::Catalog(page) => Box::pin(catalog::list(granted, page)),
        Endpoint::Tags(name, page) => {
            Box::pin(async move { tag::list(granted.repository(&name), &granted, page).await })
        }
        Endpoint::Referrers { repository, subject, types, last } => {
            Box::pin(referrer::list(granted.repository(&repository), subject, types, last))
        }
        Endpoint::ManifestRead(name, reference) => {
            Box::pin(manifest::read(granted.repository(&name), granted, reference))
        }
        Endpoint::ManifestPush(name, reference, tags) => {
            Box::pin(manifest::push(granted.repository(&name), granted, reference, tags))
        }
        Endpoint::ManifestDelete(name, reference) => Box::pin(manifest::delete(granted.repository(&name), reference)),
        Endpoint::BlobRead(name, digest) => Box::pin(blob::read(granted.repository(&name), granted, digest)),
        Endpoint::BlobDelete(name, digest) => Box::pin(blob::delete(granted.repository(&name), digest)),
        Endpoint::BlobPush(name, digest) => Box::pin(blob::push(granted.repository(&name), granted, digest)),
        Endpoint::BlobMount { repository, digest, from } => {
            Box::pin(blob::mount(granted.repository(&repository), granted, digest, from))
        }
        Endpoint::UploadBegin(name, algorithm) => Box::pin(upload::begin(granted.repository(&name), algorithm)),
        Endpoint::UploadAppend(name, place) => Box::pin(upload::append(granted.repository(&name), granted, place)),
        Endpoint::UploadFinish(name, place, digest) => {
            Box::pin(upload::finish(granted.repository(&name), granted, place, digest))
        }
        Endpoint::UploadStatus(name, place) => Box::pin(upload::status(granted.repository(&name), place.id)),
        Endpoint::UploadCancel(name, place) => Box::pin(upload::cancel(granted.repository(&name), place.id)),
    }
}

/// Clients send this first, to check that this is a registry and whether they have to log in (end-1).
fn ping() -> Response<ResponseBody> {
    answer::json("{}", "application/json")
}
