//! Maintenance of a registry while it serves: garbage collection, retention, scrubbing of all blobs, the end of idle
//! uploads, and the check of a whole store.
//!
//! All of it works on top of the registry. How a push or a deletion makes sure that a concurrent collection takes
//! nothing that is needed is described in [`crate::registry`].

mod collect;
pub mod fsck;
mod import;
mod pace;
mod retention;
mod scrub;
mod sweep;
#[cfg(test)]
mod tests;

pub use collect::{
    Collected, CollectionError, CollectionOptions, CollectionReport, CollectionStep, Count, Follow, Kinds,
    RepositoryReport, Untagged,
};
pub use import::{
    ImportOptions, ImportProblem, ImportProgress, ImportRefusal, ImportReport, ImportSource, ImportTally, ImportWays,
    import,
};
pub use retention::{Grounds, PlannedManifest, PlannedTag, RemovedManifests, RetentionPlan, RetentionVerdict};
pub use scrub::{ScrubPass, Scrubbed};
