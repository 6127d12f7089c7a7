//! Media types of manifests, and a few others that a registry acts on.

pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI artifact manifest: existed only in release candidates of image-spec 1.1, but is still used.
pub const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
/// Docker image manifest, version 2 schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// The kinds of manifest that are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ManifestType {
    /// [`OCI_MANIFEST`].
    OciImage,
    OciIndex,
    OciArtifact,
    /// [`DOCKER_MANIFEST`].
    DockerImage,
    DockerList,
}

impl ManifestType {
    /// Every accepted type.
    pub const ALL: [Self; 5] = [Self::OciImage, Self::OciIndex, Self::OciArtifact, Self::DockerImage, Self::DockerList];

    /// The media type, without parameters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OciImage => OCI_MANIFEST,
            Self::OciIndex => OCI_INDEX,
            Self::OciArtifact => OCI_ARTIFACT,
            Self::DockerImage => DOCKER_MANIFEST,
            Self::DockerList => DOCKER_LIST,
        }
    }

    /// The type for a media type, ignoring its parameters (`; charset=…`) and its case.
    pub fn of(media_type: &str) -> Option<Self> {
        let essence = essence(media_type);
        Self::ALL.into_iter().find(|t| t.as_str().eq_ignore_ascii_case(essence))
    }

    /// Whether this type lists other manifests.
    pub fn is_index(self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerList)
    }
}

/// A media type without its parameters.
pub fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// Whether a `Content-Type` does not identify a manifest type, so that the body has to.
pub fn is_generic(media_type: &str) -> bool {
    let generic = ["", "application/json", "application/octet-stream", "text/plain"];
    generic.iter().any(|g| g.eq_ignore_ascii_case(essence(media_type)))
}

/// Whether layers of this type may be available only by their `urls`, and not stored here (image-spec,
/// "Non-Distributable Layers").
pub fn is_foreign_layer(media_type: &str) -> bool {
    let media_type = essence(media_type);
    media_type.starts_with("application/vnd.oci.image.layer.nondistributable.v1.tar")
        || media_type.starts_with("application/vnd.docker.image.rootfs.foreign.diff.tar")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_case_of_a_media_type_are_ignored() {
        for t in ManifestType::ALL {
            assert_eq!(ManifestType::of(t.as_str()), Some(t));
        }
        assert_eq!(ManifestType::of(&format!("{OCI_INDEX}; charset=utf-8")), Some(ManifestType::OciIndex));
        assert_eq!(ManifestType::of(&OCI_INDEX.to_uppercase()), Some(ManifestType::OciIndex));
        assert_eq!(ManifestType::of("application/vnd.docker.distribution.manifest.v1+json"), None);
    }

    #[test]
    fn generic_types_and_foreign_layers_are_recognised() {
        assert!(is_generic("") && is_generic("application/json; charset=utf-8"));
        assert!(!is_generic(OCI_INDEX));
        assert!(is_foreign_layer("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"));
        assert!(!is_foreign_layer("application/vnd.oci.image.layer.v1.tar+gzip"));
    }
}
