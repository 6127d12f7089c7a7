//! What pages load: stylesheet, script and icons. They are part of the program, have the hash of their content in their
//! names, and never change under a name.

use super::super::{
    answer,
    compression::accepts_gzip,
    gate::Granted,
    headers::{IMMUTABLE, value},
};
use crate::wire::ResponseBody;
use http::{HeaderName, HeaderValue, Response, header};
use sha2::{Digest as _, Sha256};
use std::sync::LazyLock;

/// Lets a script below `/ui` see that a page of another path cannot be loaded.
const SERVICE_WORKER_ALLOWED: HeaderName = HeaderName::from_static("service-worker-allowed");

/// A file that pages load.
pub(super) struct PageAsset {
    /// The last segment of its path.
    pub(super) name: String,
    media_type: &'static str,
    bytes: &'static [u8],
    /// The same, compressed by the build script.
    gzip: &'static [u8],
}

macro_rules! asset {
    ($stem:literal, $extension:literal, $media_type:literal) => {
        PageAsset::of(
            $stem,
            $extension,
            $media_type,
            include_bytes!(concat!("assets/", $stem, ".", $extension)),
            include_bytes!(concat!(env!("OUT_DIR"), "/", $stem, ".", $extension, ".gz")),
        )
    };
}

/// All of them.
static ASSETS: LazyLock<[PageAsset; 6]> = LazyLock::new(|| {
    [
        asset!("style", "css", "text/css; charset=utf-8"),
        asset!("app", "js", "text/javascript; charset=utf-8"),
        asset!("upload", "js", "text/javascript; charset=utf-8"),
        asset!("worker", "js", "text/javascript; charset=utf-8"),
        asset!("icons", "svg", "image/svg+xml"),
        asset!("mark", "svg", "image/svg+xml"),
    ]
});

/// The paths of the assets.
pub(super) struct AssetPaths {
    pub(super) style: String,
    pub(super) script: String,
    pub(super) upload: String,
    pub(super) worker: String,
    pub(super) icons: String,
    pub(super) mark: String,
}

pub(super) static PATHS: LazyLock<AssetPaths> = LazyLock::new(|| {
    let [style, script, upload, worker, icons, mark] = &*ASSETS;
    let path = |asset: &PageAsset| format!("/ui/{}", asset.name);
    AssetPaths {
        style: path(style),
        script: path(script),
        upload: path(upload),
        worker: path(worker),
        icons: path(icons),
        mark: path(mark),
    }
});

impl PageAsset {
    fn of(stem: &str, extension: &str, media_type: &'static str, bytes: &'static [u8], gzip: &'static [u8]) -> Self {
        let hash: String = Sha256::digest(bytes).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Self { name: format!("{stem}.{hash}.{extension}"), media_type, bytes, gzip }
    }
}

/// The place of an asset in the table, by the last segment of its path.
pub(super) fn find(name: &str) -> Option<usize> {
    ASSETS.iter().position(|asset| asset.name == name)
}

/// The answer to a request for an asset.
pub(super) fn show(granted: &Granted, place: usize) -> Response<ResponseBody> {
    let Some(asset) = ASSETS.get(place) else { return answer::empty(http::StatusCode::NOT_FOUND) };
    let takes_gzip = accepts_gzip(&granted.request.head.headers);
    let mut response = Response::new(ResponseBody::from(if takes_gzip { asset.gzip } else { asset.bytes }));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
    headers.insert(header::CACHE_CONTROL, IMMUTABLE);
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::ETAG, value(format!("\"{}\"", asset.name)));
    if asset.name.starts_with("worker.") {
        headers.insert(SERVICE_WORKER_ALLOWED, HeaderValue::from_static("/"));
    }
    if takes_gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}
