//! The vocabulary of the OCI distribution protocol: names, tags, digests, references, ranges, manifests.
//!
//! Each is parsed once, at the edge; a value that exists is valid. This crate does no I/O and knows no settings.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

mod digest;
mod expression;
mod hasher;
mod id;
pub mod json;
mod manifest;
pub mod media_type;
mod name;
pub mod order;
mod pattern;
mod patterns;
mod range;
mod reference;

pub use digest::{Algorithm, Digest, InvalidDigest};
pub use expression::{Expression, InvalidExpression};
pub use hasher::{Hasher, SavedHash};
pub use id::{InvalidUploadId, UploadId, UploadPlace};
pub use manifest::{Bounds, Descriptor, Field, InvalidManifest, Manifest, ReferencedDigest};
pub use media_type::ManifestType;
pub use name::{InvalidName, RepositoryName};
pub use pattern::{InvalidPattern, Pattern, glob_matches};
pub use patterns::Patterns;
pub use range::{ChunkRange, InvalidChunkRange, RangeSet, Ranges, Span};
pub use reference::{InvalidReference, InvalidTag, Reference, Tag};

/// The beginning of a client's text, long enough for any digest or media type: errors quote no more than this.
pub fn excerpt(text: &str) -> std::borrow::Cow<'_, str> {
    const MOST: usize = 150;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// A client's text for an error: quoted, escaped and shortened.
fn quoted(text: &str) -> String {
    format!("{:?}", excerpt(text))
}
