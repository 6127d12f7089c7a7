//! Where an upload session belongs: a repository of images or of artifacts. A session of one is unknown in all others.

use super::{Registry, Repository};
use crate::{artifacts::ArtifactRepositoryName, storage::Storage};
use oci::RepositoryName;
use std::fmt;

/// The repository of an upload session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadHome {
    Images(RepositoryName),
    Artifacts(ArtifactRepositoryName),
}

/// As the note of a session has it: no name of a repository contains a colon.
impl fmt::Display for UploadHome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Images(name) => name.fmt(f),
            Self::Artifacts(name) => write!(f, "artifacts:{name}"),
        }
    }
}

/// The sessions of one repository and one caller.
#[derive(Clone)]
pub(super) struct UploadSessions {
    pub(super) registry: Registry,
    pub(super) home: UploadHome,
}

impl UploadSessions {
    pub(super) fn store(&self) -> &dyn Storage {
        self.registry.store()
    }
}

impl Repository {
    pub(super) fn sessions(&self) -> UploadSessions {
        UploadSessions { registry: self.registry.clone(), home: UploadHome::Images(self.name.clone()) }
    }
}
