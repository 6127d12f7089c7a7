//! A migration as everybody sees it: the record, and the meters of the images that are being copied.

use super::{
    meter::ImageMeter,
    record::{ImageRecord, MigrationPhase, MigrationRecord, PartialBlob},
};
use api::{
    migration::{ImageCounts, ImageStatus, MigratedImage, MigrationProgress},
    tasks::{Task, TaskStatus},
};
use jiff::Timestamp;
use oci::{Digest, RepositoryName, UploadId};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

/// The name of the kind of task.
const KIND: &str = "migration";

/// Failures that are shown with a migration. All are in the list of its images.
const FAILURES_SHOWN: usize = 20;

/// One migration.
pub struct MigrationState {
    pub id: Ulid,
    pub owner: Option<String>,
    content: Mutex<StateContent>,
    /// Counts changes, for those who follow.
    changes: watch::Sender<u64>,
}

struct StateContent {
    record: MigrationRecord,
    /// Of the images that are being copied, by their place in the record.
    meters: BTreeMap<usize, Arc<ImageMeter>>,
    /// Ends the run in progress.
    run: Option<CancellationToken>,
    /// Whether the record has changed since it was written.
    is_dirty: bool,
}

impl MigrationState {
    pub(super) fn new(id: Ulid, record: MigrationRecord) -> Self {
        let content = StateContent { record, meters: BTreeMap::new(), run: None, is_dirty: false };
        let owner = content.record.owner.clone();
        Self { id, owner, content: Mutex::new(content), changes: watch::Sender::new(0) }
    }

    fn content(&self) -> MutexGuard<'_, StateContent> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the record.
    pub(super) fn with<T>(&self, read: impl FnOnce(&MigrationRecord) -> T) -> T {
        read(&self.content().record)
    }

    /// Changes the record, and shows that.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut MigrationRecord) -> T) -> T {
        let changed = {
            let mut content = self.content();
            content.is_dirty = true;
            change(&mut content.record)
        };
        self.show();
        changed
    }

    /// Shows the present state to those who follow.
    pub(super) fn show(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Changes are seen by this.
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whether it runs or waits for its turn.
    pub fn is_open(&self) -> bool {
        self.with(|record| record.phase.is_open())
    }

    /// The record as it is to be written, if it has changed since the last call.
    pub(super) fn unsaved(&self) -> Option<MigrationRecord> {
        let mut content = self.content();
        let is_dirty = std::mem::take(&mut content.is_dirty);
        is_dirty.then(|| content.record.clone())
    }

    /// Begins a run: the token ends it. `None` if it is in progress already.
    pub(super) fn begin(&self, parent: &CancellationToken) -> Option<CancellationToken> {
        let mut content = self.content();
        if content.record.phase.is_open() && content.run.is_some() {
            return None;
        }
        let token = parent.child_token();
        content.run = Some(token.clone());
        content.record.phase = MigrationPhase::Pending;
        content.record.ended = None;
        content.is_dirty = true;
        drop(content);
        self.show();
        Some(token)
    }

    /// Ends a run in this phase, or leaves it as it is if somebody has cancelled it.
    pub(super) fn end(&self, phase: MigrationPhase) {
        let mut content = self.content();
        content.run = None;
        content.meters.clear();
        for image in content.record.images.iter_mut().filter(|image| image.status == ImageStatus::Running) {
            image.status = ImageStatus::Waiting;
        }
        content.record.phase = phase;
        content.record.ended = Some(now());
        content.is_dirty = true;
        drop(content);
        self.show();
    }

    /// Asks a run to end. Returns whether there is one.
    pub(super) fn cancel(&self) -> bool {
        match &self.content().run {
            Some(run) => {
                run.cancel();
                true
            }
            None => false,
        }
    }

    /// Begins an image.
    pub(super) fn begin_image(&self, place: usize) -> Arc<ImageMeter> {
        let meter = Arc::new(ImageMeter::default());
        self.content().meters.insert(place, meter.clone());
        self.change_image(place, |image| image.status = ImageStatus::Running);
        meter
    }

    /// Changes what is known of an image.
    pub(super) fn change_image(&self, place: usize, change: impl FnOnce(&mut ImageRecord)) {
        self.change(|record| {
            if let Some(image) = record.images.get_mut(place) {
                change(image);
            }
        });
    }

    /// Ends an image.
    pub(super) fn end_image(&self, place: usize, status: ImageStatus, message: Option<String>) {
        let meter = self.content().meters.remove(&place);
        self.change_image(place, |image| {
            (image.status, image.message) = (status, message);
            if let Some(meter) = meter {
                (image.bytes, image.layers) = (meter.bytes(), meter.layers());
            }
        });
    }

    /// Takes samples for the rates, and shows them.
    pub(super) fn tick(&self) {
        let (meters, at): (Vec<_>, _) = (self.content().meters.values().cloned().collect(), Instant::now());
        meters.iter().for_each(|meter| meter.sample(at));
        if !meters.is_empty() {
            self.show();
        }
    }

    /// The session that has the first bytes of a blob.
    pub(super) fn partial(&self, repository: &RepositoryName, digest: &Digest) -> Option<UploadId> {
        self.with(|record| {
            let known = record.partial.iter().find(|blob| blob.is(repository, digest))?;
            known.upload.parse().ok()
        })
    }

    /// Notes the session of a blob, or that there is none any more.
    pub(super) fn set_partial(&self, repository: &RepositoryName, digest: &Digest, upload: Option<UploadId>) {
        self.change(|record| {
            record.partial.retain(|blob| !blob.is(repository, digest));
            record.partial.extend(upload.map(|upload| PartialBlob {
                repository: repository.to_string(),
                digest: digest.to_string(),
                upload: upload.to_string(),
            }));
        });
    }

    /// As a task.
    pub fn task(&self) -> Task {
        let content = self.content();
        let StateContent { record, meters, .. } = &*content;
        let (status, error) = match &record.phase {
            MigrationPhase::Pending => (TaskStatus::Pending, None),
            MigrationPhase::Running => (TaskStatus::Running, None),
            MigrationPhase::Paused(why) => (TaskStatus::Paused, Some(why.clone())),
            MigrationPhase::NeedsCredentials => (TaskStatus::NeedsCredentials, None),
            MigrationPhase::Completed => (TaskStatus::Completed, None),
            MigrationPhase::Failed(why) => (TaskStatus::Failed, Some(why.clone())),
            MigrationPhase::Cancelled => (TaskStatus::Cancelled, None),
        };
        let progress = progress_of(record, meters);
        let layers = record.images.iter().enumerate().map(|(place, image)| layers_of(image, meters.get(&place)));
        let layers = layers.fold([0; 2], |sum, layers| [sum[0] + layers[0], sum[1] + layers[1]]);
        Task {
            id: self.id.to_string(),
            kind: KIND.to_owned(),
            owner: record.owner.clone(),
            status,
            progress: percent(record, meters),
            step: (record.phase == MigrationPhase::Running).then(|| {
                let step = match (record.listed, record.plan.dry_run) {
                    (false, _) => "listing",
                    (true, false) => "copying",
                    (true, true) => "measuring",
                };
                step.to_owned()
            }),
            step_done: record
                .listed
                .then_some(progress.images.total - progress.images.waiting - progress.images.running),
            error,
            start_time: written(record.started),
            end_time: record.ended.map(written),
            stats: Some(json!({
                "total_layers": layers[0],
                "layers_skipped": layers[1],
                "bytes_skipped": progress.bytes_skipped,
                "bytes_fetched": progress.bytes_fetched,
            })),
            migration: Some(progress),
        }
    }

    /// Its images in their order, with their places.
    pub fn images(
        &self,
        after: Option<usize>,
        most: usize,
        status: Option<ImageStatus>,
    ) -> Vec<(usize, MigratedImage)> {
        let content = self.content();
        let StateContent { record, meters, .. } = &*content;
        let rest = record.images.iter().enumerate().skip(after.map_or(0, |after| after.saturating_add(1)));
        let asked = rest.filter(|(_, image)| status.is_none_or(|status| image.status == status));
        asked.take(most).map(|(place, image)| (place, shown(record, image, meters.get(&place)))).collect()
    }
}

impl PartialBlob {
    fn is(&self, repository: &RepositoryName, digest: &Digest) -> bool {
        self.repository == repository.as_str() && self.digest == digest.as_str()
    }
}

pub(super) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// A time as RFC 3339, in UTC and whole seconds.
fn written(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn layers_of(image: &ImageRecord, meter: Option<&Arc<ImageMeter>>) -> [u64; 2] {
    meter.map_or(image.layers, |meter| meter.layers())
}

fn progress_of(record: &MigrationRecord, meters: &BTreeMap<usize, Arc<ImageMeter>>) -> MigrationProgress {
    let mut counts = ImageCounts { total: record.images.len() as u64, ..ImageCounts::default() };
    let (mut bytes, mut rate, mut running, mut failed) = ([0u64; 3], 0, Vec::new(), Vec::new());
    for (place, image) in record.images.iter().enumerate() {
        let meter = meters.get(&place);
        let count = match image.status {
            ImageStatus::Waiting => &mut counts.waiting,
            ImageStatus::Running => &mut counts.running,
            ImageStatus::Completed => &mut counts.completed,
            ImageStatus::Skipped => &mut counts.skipped,
            ImageStatus::Failed => &mut counts.failed,
        };
        *count += 1;
        let of_image = meter.map_or(image.bytes, |meter| meter.bytes());
        bytes.iter_mut().zip(of_image).for_each(|(sum, bytes)| *sum = sum.saturating_add(bytes));
        rate += meter.map_or(0, |meter| meter.rate());
        match image.status {
            ImageStatus::Running => running.push(shown(record, image, meter)),
            ImageStatus::Failed if failed.len() < FAILURES_SHOWN => failed.push(shown(record, image, meter)),
            _ => {}
        }
    }
    let can_resume = match &record.phase {
        MigrationPhase::Pending | MigrationPhase::Running | MigrationPhase::Completed => false,
        MigrationPhase::Paused(_) | MigrationPhase::NeedsCredentials => true,
        MigrationPhase::Failed(_) | MigrationPhase::Cancelled => true,
    };
    let plan = record.plan.clone();
    MigrationProgress {
        source_registry: plan.source,
        patterns: plan.images,
        target_prefix: plan.target_prefix,
        platforms: plan.platforms,
        referrers: plan.referrers,
        overwrite: plan.overwrite,
        on_error: plan.on_error,
        dry_run: plan.dry_run,
        can_resume,
        images: counts,
        bytes_total: bytes[0],
        bytes_fetched: bytes[1],
        bytes_skipped: bytes[2],
        bytes_per_second: rate,
        running,
        failed,
    }
}

/// An image, as the API has it.
fn shown(record: &MigrationRecord, image: &ImageRecord, meter: Option<&Arc<ImageMeter>>) -> MigratedImage {
    let [bytes_total, bytes_fetched, bytes_skipped] = meter.map_or(image.bytes, |meter| meter.bytes());
    let [layers, layers_skipped] = layers_of(image, meter);
    let left = bytes_total.saturating_sub(bytes_fetched).saturating_sub(bytes_skipped);
    let name = image.name();
    MigratedImage {
        target: match &record.plan.target_prefix {
            Some(prefix) => format!("{prefix}/{name}"),
            None => name.clone(),
        },
        source: name,
        status: image.status,
        digest: image.digest.clone(),
        bytes_total,
        bytes_fetched,
        bytes_skipped,
        bytes_per_second: meter.map_or(0, |meter| meter.rate()),
        bytes_remaining: if image.status == ImageStatus::Running { left } else { 0 },
        layers,
        layers_skipped,
        message: image.message.clone(),
    }
}

/// The part that is done: images that have ended, and the parts of those in progress.
fn percent(record: &MigrationRecord, meters: &BTreeMap<usize, Arc<ImageMeter>>) -> u8 {
    if record.phase == MigrationPhase::Completed {
        return 100;
    }
    if record.images.is_empty() {
        return 0;
    }
    let part = |(place, image): (usize, &ImageRecord)| match image.status {
        ImageStatus::Waiting => 0.0,
        ImageStatus::Running => meters.get(&place).map_or(0.0, |meter| {
            let [total, fetched, skipped] = meter.bytes();
            if total == 0 { 0.0 } else { ((fetched + skipped) as f64 / total as f64).min(1.0) }
        }),
        ImageStatus::Completed | ImageStatus::Skipped | ImageStatus::Failed => 1.0,
    };
    let done: f64 = record.images.iter().enumerate().map(part).sum();
    ((done * 100.0 / record.images.len() as f64) as u8).min(99)
}
