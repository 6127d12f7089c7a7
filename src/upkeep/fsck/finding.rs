//! What a check reports: findings and a summary.

use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Harmless, and disappears by itself.
    Note,
    /// Nothing is lost, but it should be fixed.
    Warning,
    /// Something that was pushed cannot be pulled unchanged.
    Damage,
}

/// The kind of problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// A path cannot be read.
    Unreadable,
    /// A blob's bytes do not match its digest.
    BlobDamaged,
    /// A manifest's bytes do not match its digest.
    ManifestDamaged,
    /// A repository has a manifest whose bytes do not exist.
    ManifestMissing,
    /// This version cannot parse a manifest.
    ManifestUnknown,
    /// A blob that a manifest needs does not exist.
    BlobMissing,
    /// A manifest states a different length than the blob has.
    LengthDisagrees,
    /// A repository may not serve a blob that one of its manifests needs.
    LinkMissing,
    /// A repository lacks a manifest that one of its indexes needs.
    ChildMissing,
    /// A client deleted a blob that a manifest needs.
    Deleted,
    /// A client deleted a manifest that an index lists.
    IndexIncomplete,
    /// The record of a manifest cannot be read.
    RevisionGarbled,
    /// The record of a manifest differs from the manifest.
    RevisionDisagrees,
    /// A tag does not contain a digest.
    TagGarbled,
    /// A tag points to a manifest that the repository does not have.
    TagDangling,
    /// The facts of a repository cannot be read.
    FactGarbled,
    /// A hint is missing: the deletion of a manifest would miss a tag, or a lookup by facts would miss a repository.
    HintMissing,
    /// A hint at a tag that points elsewhere.
    HintStale,
    /// A manifest with a subject is not listed as its referrer.
    ReferrerMissing,
    /// A referrer's entry differs from its manifest.
    ReferrerDisagrees,
    /// A referrer's entry whose manifest the repository does not have.
    ReferrerDangling,
    /// A membership link to a blob that does not exist.
    LinkWithoutBlob,
    /// The record of an artifact cannot be read.
    ArtifactGarbled,
    /// An intent cannot be read.
    IntentGarbled,
    /// An upload session whose start or end was interrupted.
    UploadIncomplete,
    /// A temporary file that nobody writes any more.
    TemporaryLeft,
    /// A file that does not belong to a store.
    Stray,
    /// Other users may read or write it, or this process may not.
    Mode,
    /// Files quarantined by an earlier check.
    Quarantined,
}

/// One problem that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub kind: FindingKind,
    /// Its path below the storage root.
    pub path: String,
    /// What is wrong, for people.
    pub what: String,
    /// What to do about it, for people.
    pub advice: String,
    /// What was done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repaired: Option<String>,
}

/// What was checked and found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Repositories with a manifest or a tag.
    pub repositories: u64,
    /// Manifests of repositories.
    pub manifests: u64,
    pub tags: u64,
    pub blobs: u64,
    /// Blobs whose bytes were read and verified.
    pub blobs_read: u64,
    /// Total bytes of these.
    pub bytes_read: u64,
    /// Findings of [`Severity::Note`].
    pub notes: u64,
    /// Findings of [`Severity::Warning`].
    pub warnings: u64,
    /// Findings of [`Severity::Damage`].
    pub damage: u64,
    /// Findings that were repaired.
    pub repaired: u64,
    /// The directory of what was quarantined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<String>,
    /// Duration of the check.
    pub seconds: f64,
}

impl Summary {
    /// The worst severity found; `None` if there is nothing but notes.
    pub fn worst(&self) -> Option<Severity> {
        match (self.damage, self.warnings) {
            (0, 0) => None,
            (0, _) => Some(Severity::Warning),
            _ => Some(Severity::Damage),
        }
    }

    pub(super) fn count(&mut self, finding: &Finding) {
        match finding.severity {
            Severity::Note => self.notes += 1,
            Severity::Warning => self.warnings += 1,
            Severity::Damage => self.damage += 1,
        }
        self.repaired += u64::from(finding.repaired.is_some());
    }
}
