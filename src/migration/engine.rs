//! One run of a migration: lists the images, and copies them.

use super::{
    copy::{CopyOutcome, ImageCopy},
    failure::CopyFailure,
    images::ImagePattern,
    limits::{HOPELESS, MOST_PAUSE, PAUSE},
    meter::ImageMeter,
    record::{ImageRecord, MigrationPlan},
    source::Authority,
    state::MigrationState,
};
use crate::who::Action;
use api::migration::{ImageStatus, OnImageError};
use client::{Client, Platform};
use futures_util::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use oci::{Digest, Reference, RepositoryName, Tag};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::{
    sync::{Mutex as AsyncMutex, Semaphore},
    time::sleep,
};

/// Repositories that are remembered for one blob.
const PLACES_EACH: usize = 4;

/// Repositories in which a blob is looked for that an earlier run may have copied.
const EARLIER_PLACES: usize = 500;

/// What one run of a migration shares.
pub(super) struct Engine {
    pub(super) state: Arc<MigrationState>,
    pub(super) plan: MigrationPlan,
    pub(super) patterns: Vec<Arc<ImagePattern>>,
    pub(super) prefix: Option<RepositoryName>,
    pub(super) platforms: Vec<Platform>,
    pub(super) client: Client,
    pub(super) authority: Authority,
    pub(super) blobs: Semaphore,
    /// Blobs that are being copied now.
    flights: Mutex<HashMap<Digest, Weak<AsyncMutex<()>>>>,
    /// Repositories here that have a blob.
    places: Mutex<HashMap<Digest, Vec<RepositoryName>>>,
    /// Repositories that earlier runs copied to.
    earlier: Vec<RepositoryName>,
    /// Blobs that a dry run has counted.
    counted: Mutex<HashSet<Digest>>,
    /// The tags of a repository that are named after digests.
    companions: AsyncMutex<HashMap<RepositoryName, Arc<[Tag]>>>,
}

/// How a run ended.
pub(super) enum RunEnd {
    Completed,
    Failed(String),
    /// It can continue later.
    Paused(String),
}

/// How an image ended.
enum ImageEnd {
    Done,
    Failed { is_of_all: bool },
    Obstacle(&'static str),
}

impl Engine {
    pub(super) fn new(
        state: Arc<MigrationState>,
        asked: (Vec<ImagePattern>, Option<RepositoryName>, Vec<Platform>),
        client: Client,
        authority: Authority,
    ) -> Self {
        let (patterns, prefix, platforms) = asked;
        let plan = state.with(|record| record.plan.clone());
        let blobs = Semaphore::new(authority.live().migration.blobs);
        let mut engine = Self {
            state,
            plan,
            patterns: patterns.into_iter().map(Arc::new).collect(),
            prefix,
            platforms,
            client,
            authority,
            blobs,
            flights: Mutex::default(),
            places: Mutex::default(),
            earlier: Vec::new(),
            counted: Mutex::default(),
            companions: AsyncMutex::default(),
        };
        engine.earlier = engine.earlier_targets();
        engine
    }

    /// Copies everything that is not copied yet.
    pub(super) fn run(&self) -> BoxFuture<'_, RunEnd> {
        Box::pin(async move {
            // A repository whose tags could not be listed is listed again.
            let is_listed = self.state.with(|record| {
                let unlisted = |image: &ImageRecord| image.reference == Self::UNLISTED;
                record.listed && !record.images.iter().any(unlisted)
            });
            if !is_listed {
                match self.list().await {
                    Ok(images) => self.state.change(|record| (record.images, record.listed) = (images, true)),
                    Err(why) => return RunEnd::Failed(why),
                }
            }
            let places = self.state.change(|record| {
                let is_done =
                    |image: &ImageRecord| matches!(image.status, ImageStatus::Completed | ImageStatus::Skipped);
                let ahead: Vec<usize> =
                    (0..record.images.len()).filter(|place| !is_done(&record.images[*place])).collect();
                for place in &ahead {
                    let image = &mut record.images[*place];
                    if image.reference != Self::UNLISTED {
                        (image.status, image.message) = (ImageStatus::Waiting, None);
                    }
                }
                ahead
            });
            self.copy_all(places).await
        })
    }

    /// Stands for the tags of a repository that could not be listed.
    pub(super) const UNLISTED: &'static str = "*";

    async fn copy_all(&self, places: Vec<usize>) -> RunEnd {
        let at_once = self.authority.live().migration.images;
        let (mut ahead, mut copies) = (places.into_iter(), FuturesUnordered::new());
        let (mut hopeless, mut stop) = (0, None);
        loop {
            while copies.len() < at_once
                && stop.is_none()
                && let Some(place) = ahead.next()
            {
                copies.push(self.copy_one(place));
            }
            match copies.next().await {
                None => break,
                Some(ImageEnd::Done) => hopeless = 0,
                Some(ImageEnd::Obstacle(why)) => stop = Some(RunEnd::Paused(why.to_owned())),
                Some(ImageEnd::Failed { is_of_all }) => {
                    hopeless = if is_of_all { hopeless + 1 } else { 0 };
                    if self.plan.on_error == OnImageError::Stop {
                        stop = Some(RunEnd::Failed("an image could not be copied; the others were not tried".into()));
                    } else if hopeless >= HOPELESS {
                        let why = format!("{HOPELESS} images in a row could not be copied; the others were not tried");
                        stop = Some(RunEnd::Failed(why));
                    }
                }
            }
        }
        if let Some(end) = stop {
            return end;
        }
        let counts = |record: &super::record::MigrationRecord| {
            let failed = record.images.iter().filter(|image| image.status == ImageStatus::Failed).count();
            (failed, record.images.len())
        };
        match self.state.with(counts) {
            (0, _) => RunEnd::Completed,
            (failed, all) => RunEnd::Failed(format!("{failed} of {all} images could not be copied")),
        }
    }

    /// Copies an image, in several attempts if need be.
    fn copy_one(&self, place: usize) -> BoxFuture<'_, ImageEnd> {
        Box::pin(async move {
            let image = self.state.with(|record| record.images[place].clone());
            if image.reference == Self::UNLISTED {
                return ImageEnd::Failed { is_of_all: false };
            }
            let attempts = self.authority.live().migration.attempts;
            let meter = self.state.begin_image(place);
            let mut pause = PAUSE;
            for attempt in 1.. {
                if let Some(why) = self.authority.obstacle().await {
                    self.state.end_image(place, ImageStatus::Waiting, None);
                    return ImageEnd::Obstacle(why);
                }
                meter.reset();
                let failure = match self.attempt(place, &image, &meter).await {
                    Ok(outcome) => {
                        let (status, message) = match outcome {
                            CopyOutcome::Copied => (ImageStatus::Completed, None),
                            CopyOutcome::Unchanged => (ImageStatus::Skipped, Some("it was here already".to_owned())),
                            CopyOutcome::Kept(why) => (ImageStatus::Skipped, Some(why.to_owned())),
                        };
                        self.state.end_image(place, status, message);
                        return ImageEnd::Done;
                    }
                    Err(failure) => failure,
                };
                let message = failure.message();
                if !failure.is_temporary() || attempt >= attempts {
                    tracing::warn!(migration = %self.state.id, image = image.name(), problem = message, "an image could not be copied");
                    self.state.end_image(place, ImageStatus::Failed, Some(message));
                    return ImageEnd::Failed { is_of_all: failure.is_of_all() };
                }
                let next = format!("attempt {attempt} of {attempts} failed, the next follows soon: {message}");
                self.state.change_image(place, |image| image.message = Some(next));
                sleep(pause).await;
                pause = (pause * 2).min(MOST_PAUSE);
                self.state.change_image(place, |image| image.message = None);
            }
            ImageEnd::Failed { is_of_all: false }
        })
    }

    async fn attempt(
        &self,
        place: usize,
        image: &ImageRecord,
        meter: &Arc<ImageMeter>,
    ) -> Result<CopyOutcome, CopyFailure> {
        let invalid = |why: String| CopyFailure::Final(why);
        let source: RepositoryName = image.repository.parse().map_err(|e: oci::InvalidName| invalid(e.to_string()))?;
        let target = target_name(self.prefix.as_ref(), &source).map_err(|e| invalid(format!("its name here: {e}")))?;
        if !self.authority.may(Action::Push, &target).await {
            return Err(CopyFailure::Final(format!("you may not push to {target}")));
        }
        let reference: Reference = match image.reference.contains(':') {
            true => Reference::Digest(image.reference.parse().map_err(|_| invalid("its digest is invalid".into()))?),
            false => Reference::Tag(image.reference.parse().map_err(|_| invalid("its tag is invalid".into()))?),
        };
        let target = self.authority.registry().repository(&target);
        let copy = ImageCopy { engine: self, source: &source, target: &target, meter, counted: Mutex::default() };
        let resolved = |digest: &Digest| {
            self.state.change_image(place, |image| image.digest = Some(digest.to_string()));
        };
        copy.run(&reference, resolved).await
    }

    /// Held while a blob is copied.
    pub(super) fn flight(&self, digest: &Digest) -> Arc<AsyncMutex<()>> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(digest).and_then(Weak::upgrade) {
            return flight;
        }
        // Few are in progress.
        flights.retain(|_, flight| flight.strong_count() > 0);
        let flight = Arc::<AsyncMutex<()>>::default();
        flights.insert(digest.clone(), Arc::downgrade(&flight));
        flight
    }

    /// Repositories that may have a blob. Whether they do is checked when it is taken from there.
    pub(super) fn places(&self, digest: &Digest) -> Vec<RepositoryName> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let known = places.get(digest).cloned().unwrap_or_default();
        known.into_iter().chain(self.earlier.iter().cloned()).collect()
    }

    /// A repository has a blob.
    pub(super) fn note_place(&self, digest: &Digest, repository: &RepositoryName) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let known = places.entry(digest.clone()).or_default();
        if known.len() < PLACES_EACH && !known.contains(repository) {
            known.push(repository.clone());
        }
    }

    /// Whether a dry run meets a blob for the first time.
    pub(super) fn is_first_sight(&self, digest: &Digest) -> bool {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner).insert(digest.clone())
    }

    /// The tags of a repository that are named after digests.
    pub(super) async fn companions(&self, repository: &RepositoryName) -> Result<Arc<[Tag]>, CopyFailure> {
        let mut known = self.companions.lock().await;
        if let Some(tags) = known.get(repository) {
            return Ok(tags.clone());
        }
        let tags = self.tags(repository).await?;
        let tags: Arc<[Tag]> = tags.into_iter().filter(|tag| tag.companion().is_some()).collect();
        known.insert(repository.clone(), tags.clone());
        Ok(tags)
    }

    /// Notes the tags of a repository that are named after digests.
    pub(super) async fn note_companions(&self, repository: &RepositoryName, tags: &[Tag]) {
        let tags = tags.iter().filter(|tag| tag.companion().is_some()).cloned().collect();
        self.companions.lock().await.insert(repository.clone(), tags);
    }

    /// The repositories here that earlier runs have copied to.
    fn earlier_targets(&self) -> Vec<RepositoryName> {
        let mut targets: Vec<RepositoryName> = self.state.with(|record| {
            let begun = record.images.iter().filter(|image| image.status != ImageStatus::Waiting);
            let names: HashSet<&str> = begun.map(|image| image.repository.as_str()).collect();
            let names = names.into_iter().filter_map(|name| name.parse().ok());
            names.filter_map(|name| target_name(self.prefix.as_ref(), &name).ok()).collect()
        });
        targets.sort();
        targets.truncate(EARLIER_PLACES);
        targets
    }
}

/// The name of a repository here.
pub(super) fn target_name(
    prefix: Option<&RepositoryName>,
    source: &RepositoryName,
) -> Result<RepositoryName, oci::InvalidName> {
    match prefix {
        Some(prefix) => format!("{prefix}/{source}").parse(),
        None => Ok(source.clone()),
    }
}
