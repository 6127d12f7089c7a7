//! What a check tells: findings and a summary.

use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Harmless, and goes by itself.
    Note,
    /// Nothing is lost, but it should not be so.
    Warning,
    /// Something that was pushed cannot be pulled as it was.
    Damage,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A path cannot be read.
    Unreadable,
    /// A blob's bytes have another digest.
    BlobDamaged,
    /// A manifest's bytes have another digest.
    ManifestDamaged,
    /// A repository has a manifest whose bytes are not there.
    ManifestMissing,
    /// A manifest is not one this version understands.
    ManifestUnknown,
    /// A blob that a manifest needs is not there.
    BlobMissing,
    /// A manifest says another length than the blob has.
    LengthDisagrees,
    /// A repository may not serve a blob that one of its manifests needs.
    LinkMissing,
    /// A repository has not the manifest that one of its indexes needs.
    ChildMissing,
    /// A client deleted a blob that a manifest needs.
    Deleted,
    /// A client deleted a manifest that an index lists.
    IndexIncomplete,
    /// What is kept of a manifest cannot be read.
    RevisionGarbled,
    /// What is kept of a manifest is not what the manifest says.
    RevisionDisagrees,
    /// A tag holds no digest.
    TagGarbled,
    /// A tag points to a manifest that the repository has not.
    TagDangling,
    /// A tag would not be found when its manifest is deleted.
    HintMissing,
    /// A hint at a tag that points elsewhere.
    HintStale,
    /// A manifest with a subject is not listed as its referrer.
    ReferrerMissing,
    /// An entry among the referrers is not what its manifest says.
    ReferrerDisagrees,
    /// An entry among the referrers whose manifest the repository has not.
    ReferrerDangling,
    /// A right to serve a blob that is not there.
    LinkWithoutBlob,
    /// What is kept of a push under way cannot be read.
    IntentGarbled,
    /// An upload session that was never begun or ended whole.
    UploadIncomplete,
    /// A temporary file that nobody writes any more.
    TemporaryLeft,
    /// Nothing of ours.
    Stray,
    /// Others may write or read it, or we may not.
    Mode,
    /// What was taken aside before.
    Quarantined,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub kind: Kind,
    /// Where, below the storage root.
    pub path: String,
    /// What is wrong, for people.
    pub what: String,
    /// What to do about it, for people.
    pub advice: String,
    /// What was done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repaired: Option<String>,
}

/// What was looked at and found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Repositories with a manifest or a tag.
    pub repositories: u64,
    /// Manifests of repositories.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// Blobs.
    pub blobs: u64,
    /// Blobs whose bytes were read and held against their names.
    pub blobs_read: u64,
    /// Bytes of these.
    pub bytes_read: u64,
    /// Findings of [`Severity::Note`].
    pub notes: u64,
    /// Findings of [`Severity::Warning`].
    pub warnings: u64,
    /// Findings of [`Severity::Damage`].
    pub damage: u64,
    /// Findings that were repaired.
    pub repaired: u64,
    /// Below which directory lies what was taken aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<String>,
    /// How long it took.
    pub seconds: f64,
}

impl Summary {
    /// The worst that was found; `None` where all was well, but for notes.
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
