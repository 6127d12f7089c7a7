//! What an import found and did.

use crate::{files::IntakeWay, storage::fs::Layout};
use serde::{Serialize, Serializer};

/// The most problems listed individually.
const MOST_PROBLEMS: usize = 10_000;

/// The report of an import.
#[derive(Clone, Debug, Serialize)]
pub struct ImportReport {
    /// Whose data it is.
    #[serde(serialize_with = "by_name")]
    pub layout: Layout,
    /// Nothing was written.
    pub dry_run: bool,
    /// Repositories with at least one manifest.
    pub repositories: u64,
    /// Layers and configs.
    pub blobs: ImportTally,
    pub manifests: ImportTally,
    pub tags: ImportTally,
    /// How the bytes of blobs came in.
    pub ways: ImportWays,
    /// Tags that were set here after the old registry set them: they stay as they are here.
    pub kept_tags: Vec<String>,
    /// What could not be read or is not acceptable.
    pub problems: Vec<ImportProblem>,
    /// Problems beyond those listed.
    pub more_problems: u64,
    pub seconds: f64,
}

/// What became of the things of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportTally {
    /// Now here, and not before; in a dry run, those that an import would bring.
    pub imported: u64,
    /// Here already.
    pub present: u64,
    /// Left behind: each has a problem.
    pub failed: u64,
    /// The size in bytes of those imported; zero for tags, and in a dry run.
    pub bytes: u64,
}

/// How the bytes of blobs came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportWays {
    pub reflink: u64,
    pub copy: u64,
    pub hard_link: u64,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImportProblem {
    /// Its path, below the directory that is imported.
    pub path: String,
    pub problem: String,
}

impl ImportReport {
    pub(super) fn new(layout: Layout, dry_run: bool) -> Self {
        Self {
            layout,
            dry_run,
            repositories: 0,
            blobs: ImportTally::default(),
            manifests: ImportTally::default(),
            tags: ImportTally::default(),
            ways: ImportWays::default(),
            kept_tags: Vec::new(),
            problems: Vec::new(),
            more_problems: 0,
            seconds: 0.0,
        }
    }

    pub(super) fn add(&mut self, problem: ImportProblem) {
        match self.problems.len() < MOST_PROBLEMS {
            true => self.problems.push(problem),
            false => self.more_problems += 1,
        }
    }

    /// Whether everything could be read.
    pub fn is_complete(&self) -> bool {
        self.problems.is_empty()
    }
}

impl ImportWays {
    pub(super) fn add(&mut self, way: IntakeWay) {
        match way {
            IntakeWay::Reflink => self.reflink += 1,
            IntakeWay::Copy => self.copy += 1,
            IntakeWay::HardLink => self.hard_link += 1,
        }
    }
}

impl ImportProblem {
    pub(super) fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into() }
    }
}

fn by_name<S: Serializer>(layout: &Layout, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(layout.name())
}
