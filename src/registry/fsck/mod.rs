//! Checks whether a store holds together: looks at every name below its root, and looks for
//! everything that is referred to.
//!
//! A daemon may be serving the store meanwhile, and what is read in two steps may change between
//! them. So a problem is only suspected at first, and looked at again from the start after a while.
//! What is still wrong then is reported, and moved to quarantine if a repair is asked for; there it
//! is checked once more, and moved back if it is right by then. Writers write dependencies first, so
//! whatever was healed before the move is seen after it. Nothing is ever deleted.
//!
//! Everything here blocks.

mod bytes;
mod facts;
mod finding;
mod manifest;
mod repair;
mod walk;

pub use finding::{Finding, Kind, Severity, Summary};

use super::pace::Pace;
use crate::{
    files::{self, Sys},
    oci::Digest,
    storage::{self, Key, RunId, fs::Survey, key::Place},
};
use repair::Fix;
use std::{
    collections::HashSet,
    str::FromStr,
    thread,
    time::{Duration, Instant},
};

/// How a check goes.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which blobs are read whole and held against their names; manifests always are.
    pub read: Option<Part>,
    /// Most bytes of these read per second.
    pub bytes_per_second: Option<u64>,
    /// Take aside what is wrong, and write again what can be known.
    pub repair: bool,
    /// How long what seems wrong is left alone before it is looked at again; zero where nobody
    /// writes.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { read: None, bytes_per_second: None, repair: false, patience: Duration::from_secs(1) }
    }
}

/// One of several parts of the pool, which together are all of it: `1/7` is the first of seven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    number: u32,
    of: u32,
}

impl Part {
    /// All of the pool.
    pub const WHOLE: Self = Self { number: 1, of: 1 };

    /// Whether a blob is in this part.
    pub fn has(self, digest: &Digest) -> bool {
        let start = digest.hex().get(..8).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        start.unwrap_or_default() % self.of == self.number - 1
    }
}

impl FromStr for Part {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "must be K/N with 1 ≤ K ≤ N, such as 1/7";
        let (number, of) = text.split_once('/').ok_or(WRONG)?;
        let (number, of) = (number.parse().map_err(|_| WRONG)?, of.parse().map_err(|_| WRONG)?);
        if (1..=of).contains(&number) { Ok(Self { number, of }) } else { Err(WRONG) }
    }
}

/// Somebody who is told how a check goes.
pub trait Watch {
    /// So much was looked at by now.
    fn at(&mut self, so_far: &Summary);
    /// Something was found.
    fn found(&mut self, finding: &Finding);
}

/// Passes over the names: tags and indexes depend on manifests, and indexes on indexes.
const PASSES: usize = 4;

/// Looks at a whole store, and repairs it if that is asked for.
pub fn check<S: Sys>(survey: &Survey<S>, options: &Options, watch: &mut dyn Watch) -> Summary {
    let began = Instant::now();
    let tally = Tally { watch, pace: options.bytes_per_second.map(Pace::new), summary: Summary::default() };
    let mut check = Check {
        survey,
        options,
        tally,
        run: RunId::fresh(),
        suspects: Vec::new(),
        told: HashSet::new(),
        is_first: true,
        has_changed: false,
        repository: String::new(),
    };
    // What was taken aside others may have depended on: they are looked at once more.
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

/// A check under way.
struct Check<'a, S: Sys> {
    survey: &'a Survey<S>,
    options: &'a Options,
    tally: Tally<'a>,
    /// Names the directory of what is taken aside.
    run: RunId,
    /// Paths at which something seemed wrong.
    suspects: Vec<String>,
    /// What several things lead to is told once.
    told: HashSet<(String, Kind, String)>,
    /// This is the pass that counts, and reads the bytes of blobs.
    is_first: bool,
    /// A manifest was taken from its repository in this pass.
    has_changed: bool,
    /// The repository whose names were met last.
    repository: String,
}

/// What was looked at, and how fast that may go.
struct Tally<'a> {
    watch: &'a mut dyn Watch,
    pace: Option<Pace>,
    summary: Summary,
}

impl Tally<'_> {
    /// Bytes of a blob were read; waits if that were too many.
    fn read(&mut self, bytes: u64) {
        self.summary.bytes_read += bytes;
        self.watch.at(&self.summary);
        if let Some(pace) = &mut self.pace {
            thread::sleep(pace.pause(bytes));
        }
    }
}

/// Something found, and how it could be repaired.
struct Found {
    finding: Finding,
    fix: Fix,
}

impl Found {
    fn new(severity: Severity, kind: Kind, path: &str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        let (what, advice) = (what.into(), advice.into());
        Self {
            finding: Finding { severity, kind, path: path.to_owned(), what, advice, repaired: None },
            fix: Fix::None,
        }
    }

    fn damage(kind: Kind, path: &str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(Severity::Damage, kind, path, what, advice)
    }

    fn warning(kind: Kind, path: &str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(Severity::Warning, kind, path, what, advice)
    }

    fn note(kind: Kind, path: &str, what: impl Into<String>) -> Self {
        Self::new(Severity::Note, kind, path, what, "nothing to do")
    }

    fn by(self, fix: Fix) -> Self {
        Self { fix, ..self }
    }
}

/// What looking at one path found.
type Look = storage::Result<Vec<Found>>;

impl<S: Sys> Check<'_, S> {
    fn count(&mut self, place: Option<&Place>) {
        let summary = &mut self.tally.summary;
        let repository = match place {
            Some(Place::Blob(_)) => {
                summary.blobs += 1;
                None
            }
            Some(Place::Fact(Key::Revision(name, _))) => {
                summary.manifests += 1;
                Some(name)
            }
            Some(Place::Fact(Key::Tag(name, _))) => {
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

    /// Repairs something if that is asked for, and tells of it.
    fn tell(&mut self, found: Found) {
        let Found { mut finding, fix } = found;
        if !self.told.insert((finding.path.clone(), finding.kind, finding.what.clone())) {
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

    /// Everything that is wrong at a path as it is now. The bytes of blobs are read `with_bytes`.
    fn examine(&mut self, path: &str, with_bytes: bool) -> Vec<Found> {
        match self.look(path, with_bytes) {
            Ok(found) => found,
            Err(error) => vec![unreadable(path, &error)],
        }
    }

    fn look(&mut self, path: &str, with_bytes: bool) -> Look {
        match self.survey.look(path)? {
            Some(meta) => self.judge(path, &meta, with_bytes),
            None => Ok(Vec::new()),
        }
    }

    /// The same where it is known what stands there; if that was a while ago, only for a suspicion.
    fn judge(&mut self, path: &str, meta: &files::Meta, with_bytes: bool) -> Look {
        let Some(place) = Place::of(path, meta.kind) else { return Ok(vec![stray(path, meta.kind)]) };
        let mut found: Vec<Found> = mode(path, &place, meta).into_iter().collect();
        found.extend(match place {
            Place::Fact(key) => self.fact(path, &key)?,
            Place::Blob(digest) => self.blob(path, &digest, meta, with_bytes)?,
            Place::Grave(entry) => self.grave(path, &entry, with_bytes)?,
            Place::Upload(_) => self.upload(path)?,
            Place::Aside(_) => vec![Found::note(
                Kind::TemporaryLeft,
                path,
                "was moved here by a collection; if that was killed, the daemon moves it back",
            )],
            Place::Temporary => temporary(path, meta, Survey::<S>::age(meta)),
            Place::Quarantined => vec![Found::note(
                Kind::Quarantined,
                path,
                "holds what an earlier repair moved away; look at it, and delete it when you no longer need it",
            )],
            Place::Directory | Place::Closed | Place::UploadFile | Place::Note | Place::Secret => Vec::new(),
        });
        Ok(found)
    }
}

fn unreadable(path: &str, error: &storage::Error) -> Found {
    let what = error.to_string();
    match error {
        storage::Error::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            let advice = "run fsck as the daemon's user; if you did, change the owner of the path to that user";
            Found::warning(Kind::Unreadable, path, what, advice)
        }
        _ => Found::damage(Kind::Unreadable, path, what, "check the disk; the kernel log may say more"),
    }
}

fn stray(path: &str, kind: files::Kind) -> Found {
    let what = match kind {
        files::Kind::Other => "is a link, a socket or a device, which the registry never creates or follows",
        files::Kind::Directory => "is a directory that does not belong in a storage directory",
        files::Kind::File => "is a file that does not belong in a storage directory",
    };
    let advice = "move it away (it is not served)";
    Found::warning(Kind::Stray, path, what, advice).by(Fix::Aside(repair::Aside::whatever(path)))
}

/// A temporary file is no use to anybody after this.
const STALE: Duration = Duration::from_secs(3600);

fn temporary(path: &str, meta: &files::Meta, age: Duration) -> Vec<Found> {
    let is_left = meta.kind == files::Kind::File && age > STALE;
    let found = || Found::note(Kind::TemporaryLeft, path, "was left by a crash; the daemon deletes it");
    is_left.then(found).into_iter().collect()
}

fn mode(path: &str, place: &Place, meta: &files::Meta) -> Option<Found> {
    let needed = if meta.kind == files::Kind::Directory { 0o500 } else { 0o400 };
    let found = |what: String, advice: &str| Some(Found::warning(Kind::Mode, path, what, format!("chmod {advice}")));
    match (place, meta.mode) {
        (Place::Closed, _) => None,
        (_, mode) if mode & 0o002 != 0 => found(format!("anyone can write to it (mode {mode:04o})"), "o-w"),
        (_, mode) if mode & needed != needed => {
            found(format!("its owner cannot read it (mode {mode:04o})"), if needed == 0o500 { "u+rx" } else { "u+r" })
        }
        (Place::Secret, mode) if mode & 0o077 != 0 => {
            found(format!("users other than its owner can read this key (mode {mode:04o})"), "go=")
        }
        _ => None,
    }
}

/// A digest, short enough for a sentence.
fn short(digest: &Digest) -> String {
    format!("{}:{}…", digest.algorithm(), &digest.hex()[..12])
}
