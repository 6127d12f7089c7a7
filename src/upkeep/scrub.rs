//! Slowly reads all blobs in the background, so that damage is found while an intact copy may still exist elsewhere.
//!
//! A pass reads the pool in the order of digests. Its position is saved from time to time, so a restart only repeats
//! what came after the last save. It takes no lock, and waits as the rate requires.

use super::pace::Pace;
use crate::{
    files::world,
    registry::{Registry, Result, ScrubCounters},
    storage::{self, Blob, Durability, FactKey, Item, ItemsOf, Put},
};
use oci::{Digest, Hasher, Span, json};
use serde::{Deserialize, Serialize};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime},
};

/// What one pass has read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScrubPass {
    /// When it started, in seconds since 1970.
    pub began: u64,
    /// When it ended; zero while it runs.
    pub ended: u64,
    /// Blobs read.
    pub blobs: u64,
    /// Their total size in bytes.
    pub bytes: u64,
    /// How many of these blobs were damaged or could not be read.
    pub damaged: u64,
}

/// The state of scrubbing, as it is saved.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Standing {
    /// The current pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pass: Option<ScrubPass>,
    /// The last blob it has read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<Digest>,
    /// The last pass that completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<ScrubPass>,
}

/// What has been read since this process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Blobs read.
    pub blobs: u64,
    /// Their total size in bytes.
    pub bytes: u64,
    /// How many of these blobs were damaged or could not be read.
    pub damaged: u64,
    /// When the last pass over this store ended, in seconds since 1970; zero if none has.
    pub last: u64,
}

/// Blobs listed at once.
const PAGE: usize = 256;

/// Bytes read at once.
const STEP: u64 = 1 << 20;

/// The minimum size that a blob counts as: a small blob costs the disk a seek too.
const LEAST: u64 = 64 << 10;

impl Registry {
    /// Continues reading blobs for about this long, if a pass is in progress or due. Returns the pass if it has
    /// completed.
    ///
    /// # Errors
    /// Only the store's; a problem with one blob is logged and counted.
    pub async fn scrub(&self, time: Duration) -> Result<Option<ScrubPass>> {
        let began = Instant::now();
        let mut standing = self.read_state().await?;
        let mut pass = match standing.pass.take() {
            Some(pass) => pass,
            None if !self.is_pass_due(&standing) => return Ok(None),
            None => ScrubPass { began: seconds(), ..ScrubPass::default() },
        };
        let mut after = standing.after.take();
        let mut pace = Pace::new(self.settings().scrub.bytes_per_second);
        let mut unlisted = None;
        let mut blobs = self.store().aged(ItemsOf::blobs(), PAGE).after(after.clone().map(Item::Blob));
        let is_whole = loop {
            let digest = match blobs.next().await {
                Ok(Some(aged)) => aged.item,
                Ok(None) => break true,
                // Blobs that were read are not read, and logged, again.
                Err(error) => {
                    unlisted = Some(error);
                    break false;
                }
            };
            if began.elapsed() >= time {
                break false;
            }
            self.scrub_one(&digest, &mut pass, &mut pace).await;
            after = Some(digest);
        };
        let ended = match is_whole {
            true => {
                pass.ended = seconds();
                standing = Standing { last: Some(pass.clone()), ..Standing::default() };
                Some(pass)
            }
            false => {
                standing.after = after;
                standing.pass = Some(pass);
                None
            }
        };
        let json = serde_json::to_vec_pretty(&standing).unwrap_or_default();
        self.store().put(vec![Put::any(FactKey::Scrub, json)], Durability::Process).await?;
        unlisted.map_or(Ok(ended), |error| Err(error.into()))
    }

    /// The pass that is in progress, and how far it is in percent: blobs are read in the order of their digests, which
    /// are spread evenly.
    ///
    /// # Errors
    /// The store's.
    pub async fn scrub_progress(&self) -> Result<Option<(ScrubPass, u8)>> {
        let standing = self.read_state().await?;
        let place = standing.after.as_ref().and_then(|after| u16::from_str_radix(after.hex().get(..2)?, 16).ok());
        Ok(standing.pass.map(|pass| (pass, (place.unwrap_or_default() * 100 / 256) as u8)))
    }

    /// Ends the pass that is in progress before it has read everything. The next one begins at its time.
    ///
    /// # Errors
    /// The store's.
    pub async fn abandon_scrub(&self) -> Result<()> {
        let Standing { pass: Some(pass), .. } = self.read_state().await? else { return Ok(()) };
        let standing = Standing { last: Some(ScrubPass { ended: seconds(), ..pass }), ..Standing::default() };
        let json = serde_json::to_vec_pretty(&standing).unwrap_or_default();
        Ok(self.store().put(vec![Put::any(FactKey::Scrub, json)], Durability::Process).await.map(|_| ())?)
    }

    /// What was read so far.
    pub async fn scrubbed(&self) -> Scrubbed {
        let ScrubCounters { blobs, bytes, damaged } = &self.counters().scrubs;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let last = self.read_state().await.ok().and_then(|standing| standing.last);
        Scrubbed {
            blobs: get(blobs),
            bytes: get(bytes),
            damaged: get(damaged),
            last: last.map_or(0, |pass| pass.ended),
        }
    }

    async fn read_state(&self) -> Result<Standing> {
        let fact = self.store().get(&FactKey::Scrub).await?;
        // If the state cannot be read, the pass starts over.
        Ok(fact.and_then(|fact| json::from_slice(&fact.bytes).ok()).unwrap_or_default())
    }

    /// Whether a pass is in progress or due.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn is_scrub_due(&self) -> Result<bool> {
        let standing = self.read_state().await?;
        Ok(standing.pass.is_some() || self.is_pass_due(&standing))
    }

    fn is_pass_due(&self, standing: &Standing) -> bool {
        let now = seconds();
        // Do not wait for a pass that started in the future, before the clock was set back.
        standing
            .last
            .as_ref()
            .is_none_or(|last| now < last.began || now - last.began >= self.settings().scrub.every.as_secs())
    }

    async fn scrub_one(&self, digest: &Digest, pass: &mut ScrubPass, pace: &mut Pace) {
        let counters = &self.counters().scrubs;
        let is_damaged = match self.is_sound(digest, pass, pace).await {
            Ok(true) => false,
            Ok(false) => self.quarantine(digest).await,
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

    /// Whether a blob's bytes match its digest; a blob that is gone is not damaged.
    async fn is_sound(&self, digest: &Digest, pass: &mut ScrubPass, pace: &mut Pace) -> storage::Result<bool> {
        let Some(blob) = self.store().open(digest).await? else { return Ok(true) };
        pace.wait(LEAST.saturating_sub(blob.len())).await;
        let mut hasher = Hasher::new(digest.algorithm());
        let mut at = 0;
        while at < blob.len() {
            let len = STEP.min(blob.len() - at);
            hasher = step(&blob, Span { start: at, len }, hasher).await?;
            at += len;
            pass.bytes += len;
            self.counters().scrubs.bytes.fetch_add(len, Ordering::Relaxed);
            pace.wait(len).await;
        }
        Ok(hasher.finish() == *digest)
    }
}

async fn step(blob: &Blob, span: Span, mut hasher: Hasher) -> storage::Result<Hasher> {
    let bytes = blob.read_uncached(span).await?;
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
        registry::{ScrubSettings, Settings},
        storage::{
            Content, Verified,
            fs::{Fs, Init},
        },
    };
    use oci::Algorithm;
    use std::{path::Path, sync::Arc};

    fn registry(dir: &Path, scrub: ScrubSettings) -> Registry {
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
    async fn a_pass_reads_every_blob_and_quarantines_damaged_ones() {
        let dir = tempfile::tempdir().unwrap();
        let digests = fill(dir.path(), 50, 1000).await;
        let path = dir.path().join(Item::Blob(digests[7].clone()).path());
        std::fs::write(&path, vec![1; 1000]).unwrap();
        let registry = registry(dir.path(), ScrubSettings::default());
        let pass = registry.scrub(LONG).await.unwrap().unwrap();
        assert_eq!((pass.blobs, pass.bytes, pass.damaged), (50, 50_000, 1));
        assert!(!path.exists());
        let scrubbed = registry.scrubbed().await;
        assert_eq!((scrubbed.blobs, scrubbed.damaged, scrubbed.last), (50, 1, pass.ended));
        assert_eq!(registry.scrub(LONG).await.unwrap(), None, "the next is a month away");
        assert!(!registry.is_scrub_due().await.unwrap());
        assert_eq!(registry.scrubbed().await.blobs, 50);
    }

    #[tokio::test]
    async fn a_pass_says_how_far_it_is_and_can_be_ended() {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path(), 40, 100_000).await;
        let scrub = ScrubSettings { bytes_per_second: 4_000_000, ..ScrubSettings::default() };
        let registry = registry(dir.path(), scrub);
        assert_eq!(registry.scrub_progress().await.unwrap(), None);
        assert_eq!(registry.scrub(Duration::from_millis(300)).await.unwrap(), None);
        let (pass, percent) = registry.scrub_progress().await.unwrap().unwrap();
        assert!((1..40).contains(&pass.blobs) && (1..100).contains(&percent), "{pass:?} {percent}");
        registry.abandon_scrub().await.unwrap();
        assert_eq!(registry.scrub_progress().await.unwrap(), None);
        assert!(!registry.is_scrub_due().await.unwrap(), "the next one begins at its time");
    }

    #[tokio::test]
    async fn a_pass_resumes_where_it_stopped_and_respects_its_rate() {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path(), 40, 100_000).await;
        let scrub = ScrubSettings { bytes_per_second: 4_000_000, every: Duration::ZERO, ..ScrubSettings::default() };
        let began = Instant::now();
        let (mut slices, mut pass) = (0, None);
        while pass.is_none() {
            // Each time as if the daemon had just been restarted.
            pass = registry(dir.path(), scrub.clone()).scrub(Duration::from_millis(150)).await.unwrap();
            slices += 1;
            assert!(registry(dir.path(), scrub.clone()).is_scrub_due().await.unwrap());
        }
        assert_eq!(pass.map(|pass| (pass.blobs, pass.bytes)), Some((40, 4_000_000)));
        assert!(slices > 3, "{slices}");
        assert!(began.elapsed() > Duration::from_millis(800), "{:?}", began.elapsed());
        // An unreadable state starts the pass over.
        std::fs::write(dir.path().join("state/scrub.json"), "{").unwrap();
        let pass = registry(dir.path(), ScrubSettings::default()).scrub(LONG).await.unwrap();
        assert_eq!(pass.map(|pass| pass.blobs), Some(40));
    }
}
