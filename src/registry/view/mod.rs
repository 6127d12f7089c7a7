//! What a repository holds, as people look at it: manifests with their sizes and platforms, tags in several orders, a
//! summary of the whole. Everything stored is text of strangers: what cannot be read is left out, never guessed.

mod compare;
mod details;
mod image;
mod known;
mod platform;
mod shared;
mod tags;
#[cfg(test)]
mod tests;
mod whole;

pub(super) use known::KnownTags;

pub use compare::{ConfigChange, ImageComparison};
pub use details::{ManifestDetail, ManifestKind, ManifestReader};
pub use image::{HistoryStep, ImageView};
pub use platform::PlatformName;
pub use shared::{AttachedDetail, AttachedPlace, ManifestLinks};
pub use tags::{TagCursor, TagDetail, TagListing, TagOrder, TaggedManifest};
