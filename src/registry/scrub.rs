//! Reading all blobs in the background, slowly, so that damage is found while a sound copy may
//! still be somewhere else.
//!
//! A pass goes through the pool in the order of digests. Where it stands is written down from time
//! to time, so a restart costs it no more than what came since. It takes no lock, and waits where
//! the rate says so.

use super::{Registry, Result, pace::Pace};
use crate::{
    files::world,
    oci::{Digest, Hasher, Span},
    storage::{self, Blob, Durability, Examined, Item, ItemKind, Key, Put, RunId},
};
use serde::{Deserialize, Serialize};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime},
};

/// How the daemon reads all blobs, by the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrub {
    /// Whether it does.
    pub enabled: bool,
    /// From the beginning of one pass to that of the next.
    pub every: Duration,
    /// Most bytes read per second.
    pub bytes_per_second: u64,
}

impl Default for Scrub {
    fn default() -> Self {
        Self { enabled: true, every: Duration::from_secs(30 * 86_400), bytes_per_second: 20 << 20 }
    }
}

/// What was read in one pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScrubPass {
    /// When it began, in seconds since 1970.
    pub began: u64,
    /// When it ended; zero while it goes on.
    pub ended: u64,
    /// Blobs read.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of these blobs, those that were damaged or could not be read.
    pub damaged: u64,
}

/// Where scrubbing stands, as it is kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Standing {
    /// The pass under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pass: Option<ScrubPass>,
    /// The last blob it has read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<Digest>,
    /// The last pass that went to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<ScrubPass>,
}

/// What was read since the start of this process, as it is kept.
#[derive(Default)]
pub(super) struct Counters {
    blobs: AtomicU64,
    bytes: AtomicU64,
    damaged: AtomicU64,
}

/// What was read since the start of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Blobs read.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of these blobs, those that were damaged or could not be read.
    pub damaged: u64,
    /// When the last pass over this store ended, in seconds since 1970; zero if none did.
    pub last: u64,
}

/// Blobs looked up at once.
const PAGE: usize = 256;

/// Read at once.
const STEP: u64 = 1 << 20;

/// The least a blob counts for: a disk that has to seek is busy with a small one too.
const LEAST: u64 = 64 << 10;

impl Registry {
    /// Goes on reading blobs, where a pass is under way or due, for about so long. The pass, if
    /// this ended it.
    ///
    /// # Errors
    /// Only the store's; what is wrong with one blob is logged and counted.
    pub async fn scrub(&self, time: Duration) -> Result<Option<ScrubPass>> {
        let began = Instant::now();
        let mut standing = self.standing().await?;
        let mut pass = match standing.pass.take() {
            Some(pass) => pass,
            None if !self.is_scrub_due(&standing) => return Ok(None),
            None => ScrubPass { began: seconds(), ..ScrubPass::default() },
        };
        let mut after = standing.after.take().map(Item::Blob);
        let mut pace = Pace::new(self.settings.scrub.bytes_per_second);
        let mut unlisted = None;
        let is_whole = 'pass: loop {
            let page = match self.core.store.items(&ItemKind::Blobs, after.as_ref(), PAGE).await {
                Ok(page) => page,
                // What was read so far is not read, and told, again.
                Err(error) => {
                    unlisted = Some(error);
                    break false;
                }
            };
            for aged in page.entries {
                if began.elapsed() >= time {
                    break 'pass false;
                }
                if let Item::Blob(digest) = &aged.item {
                    self.scrub_one(digest, &mut pass, &mut pace).await;
                }
                after = Some(aged.item);
            }
            if !page.more {
                break true;
            }
        };
        let ended = match (is_whole, after) {
            (true, _) => {
                pass.ended = seconds();
                standing = Standing { last: Some(pass.clone()), ..Standing::default() };
                Some(pass)
            }
            (false, after) => {
                standing.after = after.and_then(|item| match item {
                    Item::Blob(digest) => Some(digest),
                    _ => None,
                });
                standing.pass = Some(pass);
                None
            }
        };
        let json = serde_json::to_vec_pretty(&standing).unwrap_or_default();
        self.core.store.put(vec![Put::any(Key::Scrub, json)], Durability::Process).await?;
        unlisted.map_or(Ok(ended), |error| Err(error.into()))
    }

    /// What was read so far.
    pub async fn scrubbed(&self) -> Scrubbed {
        let Counters { blobs, bytes, damaged } = &self.core.scrubbed;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let last = self.standing().await.ok().and_then(|standing| standing.last);
        Scrubbed {
            blobs: get(blobs),
            bytes: get(bytes),
            damaged: get(damaged),
            last: last.map_or(0, |pass| pass.ended),
        }
    }

    async fn standing(&self) -> Result<Standing> {
        let fact = self.core.store.get(&Key::Scrub).await?;
        // Where it cannot be read the pass begins anew.
        Ok(fact.and_then(|fact| serde_json::from_slice(&fact.bytes).ok()).unwrap_or_default())
    }

    fn is_scrub_due(&self, standing: &Standing) -> bool {
        let now = seconds();
        // One that began in the future, before the clock was set back, is not waited for.
        standing
            .last
            .as_ref()
            .is_none_or(|last| now < last.began || now - last.began >= self.settings.scrub.every.as_secs())
    }

    async fn scrub_one(&self, digest: &Digest, pass: &mut ScrubPass, pace: &mut Pace) {
        let counters = &self.core.scrubbed;
        let is_damaged = match self.is_sound(digest, pass, pace).await {
            Ok(true) => false,
            Ok(false) => match self.core.store.examine(digest, RunId::fresh()).await {
                Ok(Examined::Damaged { aside, replaced }) => {
                    let from =
                        if replaced { "a sound copy took its place" } else { "push an image that contains it again" };
                    tracing::error!(%digest, ?aside, "a blob is damaged and was moved to quarantine; {from}");
                    true
                }
                Ok(Examined::Sound) => {
                    tracing::warn!(%digest, "a blob was read wrong once and right the next time; check disk and memory");
                    false
                }
                Ok(Examined::Gone) => false,
                Err(error) => {
                    tracing::error!(%digest, %error, "a blob is damaged and cannot be moved to quarantine");
                    true
                }
            },
            Err(error) => {
                tracing::error!(%digest, %error, "cannot read a blob");
                true
            }
        };
        pass.blobs += 1;
        counters.blobs.fetch_add(1, Ordering::Relaxed);
        if is_damaged {
            pass.damaged += 1;
            counters.damaged.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether a blob's bytes are what its name says; one that is gone is not damaged.
    async fn is_sound(&self, digest: &Digest, pass: &mut ScrubPass, pace: &mut Pace) -> storage::Result<bool> {
        let Some(blob) = self.core.store.open(digest).await? else { return Ok(true) };
        pace.wait(LEAST.saturating_sub(blob.len())).await;
        let mut hasher = Hasher::new(digest.algorithm());
        let mut at = 0;
        while at < blob.len() {
            let len = STEP.min(blob.len() - at);
            hasher = step(&blob, Span { start: at, len }, hasher).await?;
            at += len;
            pass.bytes += len;
            self.core.scrubbed.bytes.fetch_add(len, Ordering::Relaxed);
            pace.wait(len).await;
        }
        Ok(hasher.finish() == *digest)
    }
}

async fn step(blob: &Blob, span: Span, mut hasher: Hasher) -> storage::Result<Hasher> {
    let bytes = blob.read_aside(span).await?;
    storage::blocking(move || {
        hasher.update(&bytes);
        Ok(hasher)
    })
    .await
}

fn seconds() -> u64 {
    world::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        oci::Algorithm,
        registry::Settings,
        storage::{
            Content, Verified,
            fs::{Fs, Init},
        },
    };
    use std::{path::Path, sync::Arc};

    fn registry(dir: &Path, scrub: Scrub) -> Registry {
        let store = Fs::open(dir, Init::EmptyDirectory).unwrap().0;
        Registry::new(Arc::new(store), Arc::new(Settings { scrub, ..Settings::default() }))
    }

    async fn fill(dir: &Path, blobs: u32, len: usize) -> Vec<Digest> {
        let store = Fs::open(dir, Init::EmptyDirectory).unwrap().0;
        let mut digests = Vec::new();
        for n in 0..blobs {
            let bytes = vec![n as u8; len];
            let digest = Hasher::digest(Algorithm::Sha256, &bytes);
            store.put_blob(&Verified::vouch(digest.clone(), len as u64), bytes.into()).await.unwrap();
            digests.push(digest);
        }
        digests
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_pass_reads_every_blob_and_takes_aside_what_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let digests = fill(dir.path(), 50, 1000).await;
        let path = dir.path().join(Item::Blob(digests[7].clone()).path());
        std::fs::write(&path, vec![1; 1000]).unwrap();
        let registry = registry(dir.path(), Scrub::default());
        let pass = registry.scrub(LONG).await.unwrap().unwrap();
        assert_eq!((pass.blobs, pass.bytes, pass.damaged), (50, 50_000, 1));
        assert!(!path.exists());
        let scrubbed = registry.scrubbed().await;
        assert_eq!((scrubbed.blobs, scrubbed.damaged, scrubbed.last), (50, 1, pass.ended));
        assert_eq!(registry.scrub(LONG).await.unwrap(), None, "the next is a month away");
        assert_eq!(registry.scrubbed().await.blobs, 50);
    }

    #[tokio::test]
    async fn a_pass_goes_on_where_it_stood_and_no_faster_than_it_may() {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path(), 40, 100_000).await;
        let scrub = Scrub { bytes_per_second: 4_000_000, every: Duration::ZERO, ..Scrub::default() };
        let began = Instant::now();
        let (mut slices, mut pass) = (0, None);
        while pass.is_none() {
            // Each time as if the daemon had been started anew.
            pass = registry(dir.path(), scrub.clone()).scrub(Duration::from_millis(150)).await.unwrap();
            slices += 1;
        }
        assert_eq!(pass.map(|pass| (pass.blobs, pass.bytes)), Some((40, 4_000_000)));
        assert!(slices > 3, "{slices}");
        assert!(began.elapsed() > Duration::from_millis(800), "{:?}", began.elapsed());
        // What cannot be read is begun anew.
        std::fs::write(dir.path().join("state/scrub.json"), "{").unwrap();
        let pass = registry(dir.path(), Scrub::default()).scrub(LONG).await.unwrap();
        assert_eq!(pass.map(|pass| pass.blobs), Some(40));
    }
}
