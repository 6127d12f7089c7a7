//! Checks whether a store is consistent: visits every name below its root, and looks for everything that is
//! referenced.
//!
//! A daemon may be serving the store meanwhile, and what is read in two steps may change between them. So a problem
//! is only suspected at first, and checked again from the start after a pause. If it is still there, it is reported,
//! and moved to quarantine if a repair was requested; there it is checked once more, and moved back if it is correct
//! by then. Writers write dependencies first, so anything that was fixed before the move is seen after it. Nothing is
//! ever deleted.
//!
//! All functions here block.

mod artifacts;
mod bytes;
mod facts;
mod finding;
mod manifest;
mod repair;
mod walk;

pub use finding::{Finding, FindingKind, Severity, Summary};

use super::pace::Pace;
use crate::{
    files::{self, world},
    storage::{self, FactKey, ObjectStorage, ObjectSurvey, OpenStore, RunId, StoreSurvey, fs::Fs, key::StorePlace},
};
use oci::Digest;
use repair::Fix;
use std::{
    collections::HashSet,
    str::FromStr,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::runtime::Handle;

/// Options of a check.
#[derive(Clone, Debug)]
pub struct FsckOptions {
    /// Which blobs are read completely and verified against their digests; manifests always are.
    pub read: Option<PoolPart>,
    /// Maximum number of blob bytes read per second.
    pub bytes_per_second: Option<u64>,
    /// Quarantine what is wrong, and rewrite what can be derived.
    pub repair: bool,
    /// How long to wait before a suspected problem is checked again; zero if nobody else writes.
    pub patience: Duration,
}

impl Default for FsckOptions {
    fn default() -> Self {
        Self { read: None, bytes_per_second: None, repair: false, patience: Duration::from_secs(1) }
    }
}

/// One of several parts that together make up the pool: `1/7` is the first of seven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolPart {
    number: u32,
    of: u32,
}

impl PoolPart {
    /// The whole pool.
    pub const WHOLE: Self = Self { number: 1, of: 1 };

    /// Whether a blob is in this part.
    pub fn has(self, digest: &Digest) -> bool {
        let start = digest.hex().get(..8).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        start.unwrap_or_default() % self.of == self.number - 1
    }
}

impl FromStr for PoolPart {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "must be K/N with 1 ≤ K ≤ N, such as 1/7";
        let (number, of) = text.split_once('/').ok_or(WRONG)?;
        let (number, of) = (number.parse().map_err(|_| WRONG)?, of.parse().map_err(|_| WRONG)?);
        if (1..=of).contains(&number) { Ok(Self { number, of }) } else { Err(WRONG) }
    }
}

/// Observes a check.
pub trait Watch {
    /// The number of things checked so far.
    fn at(&mut self, so_far: &Summary);
    /// A problem was found.
    fn found(&mut self, finding: &Finding);
}

/// Passes over the names: tags and indexes depend on manifests, and indexes on other indexes.
const PASSES: usize = 4;

/// Checks a whole store, and repairs it if requested.
pub fn check<S: StoreSurvey>(survey: &S, options: &FsckOptions, watch: &mut dyn Watch) -> Summary {
    let began = Instant::now();
    let tally = Tally { watch, pace: options.bytes_per_second.map(Pace::new), summary: Summary::default() };
    let mut check = Check {
        survey,
        options,
        tally,
        run: RunId::fresh(),
        suspects: Vec::new(),
        reported: HashSet::new(),
        is_first: true,
        has_changed: false,
        repository: String::new(),
    };
    // Other things may have depended on what was quarantined: check them once more.
    for _ in 0..PASSES {
        check.walk();
        check.confirm();
        if !std::mem::take(&mut check.has_changed) {
            break;
        }
        check.is_first = false;
    }
    let mut summary = check.tally.summary;
    summary.seconds = began.elapsed().as_secs_f64();
    summary
}

/// A store that can be checked, of any kind.
#[derive(Clone)]
pub enum CheckedStore {
    Files(Arc<Fs>),
    Objects(Arc<ObjectStorage>),
}

impl CheckedStore {
    /// The store to check in this one.
    pub fn of(store: &OpenStore) -> Option<Self> {
        let files = store.files.clone().map(Self::Files);
        files.or_else(|| store.objects.clone().map(Self::Objects))
    }

    /// Checks it like [`check`], off the reactor. Returns also the observer.
    ///
    /// # Errors
    /// The daemon is stopping.
    pub async fn check<W: Watch + Send + 'static>(
        self,
        options: FsckOptions,
        mut watch: W,
    ) -> std::io::Result<(Summary, W)> {
        let runtime = Handle::current();
        files::detached(move || {
            let summary = match self {
                Self::Files(files) => check(&files.survey(), &options, &mut watch),
                Self::Objects(objects) => check(&ObjectSurvey::new(objects, runtime), &options, &mut watch),
            };
            (summary, watch)
        })
        .await
    }
}

/// A check in progress.
struct Check<'a, S: StoreSurvey> {
    survey: &'a S,
    options: &'a FsckOptions,
    tally: Tally<'a>,
    /// The name of the quarantine directory of this check.
    run: RunId,
    /// Paths with a suspected problem.
    suspects: Vec<String>,
    /// Findings already reported: several paths may lead to the same one.
    reported: HashSet<(String, FindingKind, String)>,
    /// Whether this is the first pass, which counts what it visits and reads the bytes of blobs.
    is_first: bool,
    /// Whether this pass removed a manifest from its repository.
    has_changed: bool,
    /// The last repository whose names were seen.
    repository: String,
}

/// What was checked, and the rate limit.
struct Tally<'a> {
    watch: &'a mut dyn Watch,
    pace: Option<Pace>,
    summary: Summary,
}

impl Tally<'_> {
    /// Counts blob bytes that were read, and waits if the rate is exceeded.
    fn read(&mut self, bytes: u64) {
        self.summary.bytes_read += bytes;
        self.watch.at(&self.summary);
        if let Some(pace) = &mut self.pace {
            thread::sleep(pace.pause(bytes));
        }
    }
}

/// A finding, and how it could be repaired.
struct FindingWithFix {
    finding: Finding,
    fix: Fix,
}

impl FindingWithFix {
    fn new(
        severity: Severity,
        kind: FindingKind,
        path: &str,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let (what, advice) = (what.into(), advice.into());
        Self {
            finding: Finding { severity, kind, path: path.to_owned(), what, advice, repaired: None },
            fix: Fix::None,
        }
    }

    fn damage(kind: FindingKind, path: &str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(Severity::Damage, kind, path, what, advice)
    }

    fn warning(kind: FindingKind, path: &str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(Severity::Warning, kind, path, what, advice)
    }

    fn note(kind: FindingKind, path: &str, what: impl Into<String>) -> Self {
        Self::new(Severity::Note, kind, path, what, "nothing to do")
    }

    fn by(self, fix: Fix) -> Self {
        Self { fix, ..self }
    }
}

/// The result of checking one path.
type Look = storage::Result<Vec<FindingWithFix>>;

impl<S: StoreSurvey> Check<'_, S> {
    fn count(&mut self, place: Option<&StorePlace>) {
        let summary = &mut self.tally.summary;
        let repository = match place {
            Some(StorePlace::Blob(_)) => {
                summary.blobs += 1;
                None
            }
            Some(StorePlace::Fact(FactKey::Revision(name, _))) => {
                summary.manifests += 1;
                Some(name)
            }
            Some(StorePlace::Fact(FactKey::Tag(name, _))) => {
                summary.tags += 1;
                Some(name)
            }
            _ => return,
        };
        if let Some(name) = repository.filter(|name| name.as_str() != self.repository) {
            self.repository = name.to_string();
            summary.repositories += 1;
        }
        self.tally.watch.at(&self.tally.summary);
    }

    /// Repairs a finding if requested, and reports it.
    fn report(&mut self, found: FindingWithFix) {
        let FindingWithFix { mut finding, fix } = found;
        if !self.reported.insert((finding.path.clone(), finding.kind, finding.what.clone())) {
            return;
        }
        if self.options.repair {
            match self.repair(&finding.path, fix) {
                Ok(done) => finding.repaired = done,
                Err(error) => finding.advice = format!("{}; the repair failed: {error}", finding.advice),
            }
        }
        self.tally.summary.count(&finding);
        self.tally.watch.found(&finding);
    }

    /// Everything that is wrong at a path now. Reads the bytes of blobs only `with_bytes`.
    fn examine(&mut self, path: &str, with_bytes: bool) -> Vec<FindingWithFix> {
        match self.check_path(path, with_bytes) {
            Ok(found) => found,
            Err(error) => vec![unreadable(path, &error)],
        }
    }

    fn check_path(&mut self, path: &str, with_bytes: bool) -> Look {
        match self.survey.meta(path)? {
            Some(meta) => self.check_entry(path, &meta, with_bytes),
            None => Ok(Vec::new()),
        }
    }

    /// The same if the entry is known; if it was read a while ago, the result is only a suspicion.
    fn check_entry(&mut self, path: &str, meta: &files::Meta, with_bytes: bool) -> Look {
        let Some(place) = StorePlace::of(path, meta.kind) else { return Ok(vec![stray(path, meta.kind)]) };
        let mut found: Vec<FindingWithFix> = mode(path, &place, meta).into_iter().collect();
        found.extend(match place {
            StorePlace::Fact(key) => self.fact(path, &key)?,
            StorePlace::Blob(digest) => self.blob(path, &digest, meta, with_bytes)?,
            StorePlace::Grave(entry) => self.grave(path, &entry, with_bytes)?,
            StorePlace::Upload(_) => self.upload(path)?,
            StorePlace::Aside(_) => vec![FindingWithFix::note(
                FindingKind::TemporaryLeft,
                path,
                "was moved here by a collection; if that was killed, the daemon moves it back",
            )],
            StorePlace::Temporary => {
                temporary(path, meta, world::now().duration_since(meta.modified).unwrap_or_default())
            }
            StorePlace::Quarantined => vec![FindingWithFix::note(
                FindingKind::Quarantined,
                path,
                "holds what an earlier repair moved away; look at it, and delete it when you no longer need it",
            )],
            StorePlace::Directory
            | StorePlace::Closed
            | StorePlace::UploadFile
            | StorePlace::Note
            | StorePlace::Secret => Vec::new(),
        });
        Ok(found)
    }
}

fn unreadable(path: &str, error: &storage::StorageError) -> FindingWithFix {
    let what = error.to_string();
    match error {
        storage::StorageError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            let advice = "run fsck as the daemon's user; if you did, change the owner of the path to that user";
            FindingWithFix::warning(FindingKind::Unreadable, path, what, advice)
        }
        _ => FindingWithFix::damage(FindingKind::Unreadable, path, what, "check the disk; the kernel log may say more"),
    }
}

fn stray(path: &str, kind: files::FileKind) -> FindingWithFix {
    let what = match kind {
        files::FileKind::Other => "is a link, a socket or a device, which the registry never creates or follows",
        files::FileKind::Directory => "is a directory that does not belong in a storage directory",
        files::FileKind::File => "is a file that does not belong in a storage directory",
    };
    let advice = "move it away (it is not served)";
    FindingWithFix::warning(FindingKind::Stray, path, what, advice).by(Fix::Quarantine(repair::WrongFile::any(path)))
}

/// A temporary file is useless after this time.
const STALE: Duration = Duration::from_secs(3600);

fn temporary(path: &str, meta: &files::Meta, age: Duration) -> Vec<FindingWithFix> {
    let is_left = meta.kind == files::FileKind::File && age > STALE;
    let found = || FindingWithFix::note(FindingKind::TemporaryLeft, path, "was left by a crash; the daemon deletes it");
    is_left.then(found).into_iter().collect()
}

fn mode(path: &str, place: &StorePlace, meta: &files::Meta) -> Option<FindingWithFix> {
    let needed = if meta.kind == files::FileKind::Directory { 0o500 } else { 0o400 };
    let found = |what: String, advice: &str| {
        Some(FindingWithFix::warning(FindingKind::Mode, path, what, format!("chmod {advice}")))
    };
    match (place, meta.mode) {
        (StorePlace::Closed, _) => None,
        (_, mode) if mode & 0o002 != 0 => found(format!("anyone can write to it (mode {mode:04o})"), "o-w"),
        (_, mode) if mode & needed != needed => {
            found(format!("its owner cannot read it (mode {mode:04o})"), if needed == 0o500 { "u+rx" } else { "u+r" })
        }
        (StorePlace::Secret, mode) if mode & 0o077 != 0 => {
            found(format!("users other than its owner can read this key (mode {mode:04o})"), "go=")
        }
        (StorePlace::Fact(key), mode) if key.is_private() && mode & 0o077 != 0 => {
            found(format!("users other than its owner can read this file (mode {mode:04o})"), "go=")
        }
        _ => None,
    }
}

/// A digest, short enough for a sentence.
fn short(digest: &Digest) -> String {
    format!("{}:{}…", digest.algorithm(), &digest.hex()[..12])
}
