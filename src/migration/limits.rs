//! Limits on what another registry sends, besides those in the settings.

use std::time::Duration;

/// Most entries of a catalog or of lists of tags that one migration reads.
pub(super) const MOST_ENTRIES: usize = 1_000_000;

/// Most pages of one list. A page can be empty, and its link can lead on for ever.
pub(super) const MOST_PAGES: usize = 10_000;

/// Entries that are asked for in one page.
pub(super) const PAGE: u32 = 1000;

/// Most manifests of one image, with its referrers.
pub(super) const MOST_MANIFESTS: usize = 2_000;

/// Most bytes of the manifests of one image together: they are held in memory while it is copied.
pub(super) const MOST_MANIFEST_BYTES: usize = 32 << 20;

/// Indexes within indexes, and referrers of referrers.
pub(super) const DEEPEST: usize = 8;

/// Blobs from this size are received in a session, which continues after an interruption.
pub(super) const RESUMED_FROM: u64 = 16 << 20;

/// A source that sends less than this in `migration.slow_source_seconds` holds up others. Time in which nothing is
/// expected does not count.
pub(super) const SLOWEST: u64 = 64 << 10;

/// How long the source may send nothing.
pub(super) const STALL: Duration = Duration::from_secs(30);

/// After how many images in a row that failed for reasons of the source, or for want of room, the rest is not tried.
pub(super) const HOPELESS: usize = 20;

/// Blobs of one image that wait for their turn at the same time.
pub(super) const WAITING_BLOBS: usize = 64;

/// The first pause before an image is attempted again; each is twice the last.
pub(super) const PAUSE: Duration = Duration::from_secs(2);

/// The longest pause before an image is attempted again.
pub(super) const MOST_PAUSE: Duration = Duration::from_secs(60);

/// How often progress is shown to those who follow.
pub(super) const TICK: Duration = Duration::from_millis(250);

/// How often it is checked whether whoever started it may still do so.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How often it is written, while there is some.
pub(super) const SAVE_EVERY: Duration = Duration::from_secs(2);

/// Ended migrations that are kept.
pub(super) const MOST_ENDED: usize = 100;

/// Migrations that have not ended.
pub(super) const MOST_OPEN: usize = 100;

/// The longest message that is kept of a failure, in characters.
pub(super) const LONGEST_MESSAGE: usize = 500;
