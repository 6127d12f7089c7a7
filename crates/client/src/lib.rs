//! A client of OCI registries: log in, pull, push, list and delete.
//!
//! A [`Client`] speaks to one [`RegistryAddress`]. It logs in when it is asked to, repeats what may be
//! repeated, resumes transfers whose connection breaks, and hands out nothing that does not have
//! its digest.
//!
//! ```no_run
//! use client::{Client, Credential, PageRequest, PushOptions, Secret};
//! use oci::Reference;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let alice = Credential::Password { user: "alice".into(), password: Secret::new("secret") };
//! let client = Client::builder("registry.example.com".parse()?).credentials(alice).build();
//! let app = "team/app".parse()?;
//!
//! // Pull: the manifest, then each layer as a stream.
//! let manifest = client.pull_manifest(&app, &Reference::Tag("v1".parse()?)).await?;
//! let parsed = oci::Manifest::parse(&manifest.bytes, Some(&manifest.media_type), oci::Bounds { depth: 32, descriptors: 1000 })?;
//! for layer in &parsed.layers {
//!     let oci::ReferencedDigest::Known(digest) = &layer.digest else { continue };
//!     let mut blob = client.pull_blob(&app, digest, Some(layer.size));
//!     while let Some(bytes) = blob.chunk().await? {
//!         println!("{} bytes", bytes.len());
//!     }
//! }
//!
//! // Push: a blob that can be read again from any offset, then a manifest under two tags.
//! let config = bytes::Bytes::from_static(b"{}");
//! let digest = oci::Hasher::digest(oci::Algorithm::Sha256, &config);
//! client.push_blob(&app, &digest, 2, &config, &PushOptions::default()).await?;
//! client.push_manifest(&app, &manifest.media_type, manifest.bytes, &["v2".parse()?, "latest".parse()?]).await?;
//!
//! // List: page by page.
//! let mut tags = client.tags(&app, &PageRequest { size: Some(100), after: None });
//! while let Some(page) = tags.next_page().await? {
//!     println!("{page:?}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! To copy a blob from one registry to another without a file in between, push a [`RemoteBlob`].
//!
//! # Trust
//! The registry, its token service and where it redirects to are strangers. Their lengths are
//! bounded, their words escaped, their URLs checked ([`Resolve`] decides about every address that
//! is connected to). Credentials go to the registry's own scheme, host and port, and to the token
//! service it names: by https, unless the caller asked for plain HTTP or it is this machine.
//!
//! It stands on hyper, as the daemon does, rather than on reqwest: that would bring fifty more
//! packages, and connect to a host that is an address without asking the resolver.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]
#![warn(missing_docs)]

mod api;
mod blob;
mod body;
mod client;
mod error;
mod headers;
mod login;
mod manifest;
mod net;
mod observe;
mod pages;
mod plain;
mod platform;
mod progress;
mod referrers;
mod registry;
mod retry;
mod source;
mod text;
mod transport;
mod untag;
mod upload;
mod url;

pub use api::{ApiRequest, ApiResponse, ApiStream};
pub use blob::{BlobDownload, RemoteBlob};
pub use client::{Builder, Client, LoggedIn};
pub use error::{Error, ErrorKind, ResponseError};
pub use login::{Credential, CredentialSource, Secret};
pub use manifest::{ManifestHead, PulledManifest};
pub use net::{Resolve, SystemResolver};
pub use observe::{ExchangeObserver, ExchangeReport};
pub use pages::{PageRequest, Pages};
pub use plain::{PlainBody, PlainFault, PlainHttp, PlainLimits};
pub use platform::{InvalidPlatform, Platform};
pub use progress::{ProgressCallback, TransferPhase};
pub use referrers::Referrer;
pub use registry::{InvalidRegistry, RegistryAddress};
pub use retry::Retries;
pub use source::{BlobSource, ByteStream};
pub use text::{escaped, is_unprintable};
pub use transport::Timeouts;
pub use upload::{PushOptions, PushOutcome};
