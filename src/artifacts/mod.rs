//! Artifacts: files with versions and properties, kept beside images. What describes one, parsed once, and pure
//! functions of such descriptions.
//!
//! `registry::artifacts` stores them.

mod artifact;
mod file_name;
mod id;
mod media_type;
mod metadata;
mod path;
mod properties;
mod repository_name;
mod text;
mod trashed;
mod version;

pub mod archive;
pub mod index;
pub mod retention;
pub mod search;

pub use artifact::Artifact;
pub use file_name::{ArtifactFileName, InvalidFileName};
pub use id::{ArtifactId, InvalidArtifactId};
pub use media_type::{ArtifactMediaType, InvalidMediaType};
pub use metadata::{ArtifactMetadata, InvalidMetadata};
pub use path::{ArtifactPath, InvalidArtifactPath};
pub use properties::{InvalidProperties, Properties, PropertyKey, PropertyValue};
pub use repository_name::{ArtifactRepositoryName, InvalidArtifactRepository};
pub use search::{
    ArchiveFormat, ArtifactFilters, ArtifactOrder, ArtifactQuery, ArtifactSort, DownloadQuery, InvalidQuery, Wildcard,
};
pub use trashed::TrashedArtifact;
pub use version::{ArtifactVersion, InvalidVersion};

/// Serde by the text of a type: written by `Display`, read by `FromStr`.
macro_rules! as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
use as_text;
