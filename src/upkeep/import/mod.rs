//! Imports the data of another registry from its directory: blobs by reflink or copy, each verified, then what a client
//! would push, checked like a push. The source is only read.
//!
//! Everything is done in the order of a push: blobs, links, manifests, tags. An import that is interrupted leaves
//! garbage at worst, and the next one continues, since it skips what is here. A daemon may serve the store meanwhile:
//! to collections of it the import is a client that pushes.

mod contents;
mod layouts;
mod linked;
mod report;
mod source;
mod tree;

pub use report::{ImportProblem, ImportReport, ImportTally, ImportWays};
pub use source::{ImportRefusal, ImportSource};

use crate::{
    files::IntakeMode,
    registry::{AutoCreate, Condition, IncomingBlob, PushTimes, Registry, RegistryError, Repository, Result, Settings},
    storage::{StorageError, blocking},
};
use contents::{FoundManifest, FoundTag, RepositoryContents, manifest_bytes};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::{Bounds, Digest, Reference, Tag};
use source::SourceLimits;
use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime},
};

/// What to do.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImportOptions {
    pub mode: IntakeMode,
    /// Only find out what an import would bring, and what it could not read. The bytes of layers are not read.
    pub dry_run: bool,
}

/// Where an import is: what it is handling, and how many of these it has handled.
pub type ImportProgress<'p> = &'p (dyn Fn(&'static str, u64) + Sync);

/// Repositories are imported together until they hold this many blobs, so that many small ones share syncs, and memory
/// does not grow with the registry.
const GROUP: usize = 50_000;

/// Blobs that are made durable together.
const MOST_BLOBS: usize = 4096;
const MOST_BYTES: u64 = 1 << 30;

/// Names that are asked for, or linked, together.
const AT_ONCE: usize = 1000;

/// Blobs that are copied and hashed at the same time, for each processor.
const COPIES: usize = 4;

/// Manifests that are pushed at the same time: they wait for the disk.
const PUSHES: usize = 32;

/// Repositories that are imported at the same time.
const REPOSITORIES: usize = 8;

/// One import.
struct Importer<'i> {
    registry: Registry,
    source: Arc<ImportSource>,
    options: ImportOptions,
    limits: SourceLimits,
    report: Mutex<ImportReport>,
    progress: ImportProgress<'i>,
}

/// Imports what is in `source`. Problems of the source are in the report.
///
/// # Errors
/// The store's.
pub async fn import(
    registry: &Registry,
    source: Arc<ImportSource>,
    options: ImportOptions,
    progress: ImportProgress<'_>,
) -> Result<ImportReport> {
    let began = Instant::now();
    // The operator decides that these repositories are here, and they are nobody's.
    let settings = Settings { auto_create: AutoCreate::Anywhere, owner_on_push: false, ..registry.settings().clone() };
    let limits = SourceLimits {
        manifest_bytes: settings.manifest_bytes,
        bounds: Bounds { depth: settings.manifest_depth, descriptors: settings.manifest_descriptors },
    };
    let report = Mutex::new(ImportReport::new(source.layout(), options.dry_run));
    let registry = registry.under(Arc::new(settings));
    let importer = Importer { registry, source, options, limits, report, progress };
    importer.run().await?;
    let mut report = importer.report.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.seconds = began.elapsed().as_secs_f64();
    report.problems.sort_by(|a, b| a.path.cmp(&b.path));
    report.kept_tags.sort();
    Ok(report)
}

impl Importer<'_> {
    async fn run(&self) -> Result<()> {
        let source = self.source.clone();
        let (repositories, problems) = blocking(move || {
            let mut problems = Vec::new();
            Ok((source.repositories(&mut problems), problems))
        })
        .await?;
        problems.into_iter().for_each(|problem| self.report().add(problem));
        let contents = stream::iter(repositories).map(|repository| {
            let (source, limits) = (self.source.clone(), self.limits);
            blocking(move || Ok(source.contents(&repository, limits)))
        });
        let mut contents = contents.buffered(REPOSITORIES);
        let (mut group, mut held) = (Vec::new(), 0);
        while let Some(next) = contents.next().await {
            let next = next?;
            self.add_findings(&next);
            held += next.blobs.len() + next.manifests.iter().map(Vec::len).sum::<usize>();
            group.push(next);
            if held >= GROUP {
                self.import_group(std::mem::take(&mut group)).await?;
                held = 0;
            }
        }
        self.import_group(group).await
    }

    /// Reports what was found wrong while reading a repository.
    fn add_findings(&self, found: &RepositoryContents) {
        let mut report = self.report();
        report.repositories += u64::from(!found.manifests.is_empty());
        report.manifests.failed += found.bad_manifests;
        report.tags.failed += found.bad_tags;
        found.problems.iter().for_each(|problem| report.add(problem.clone()));
        (self.progress)("reading repositories", report.repositories);
    }

    async fn import_group(&self, group: Vec<RepositoryContents>) -> Result<()> {
        let mut wanted = BTreeMap::new();
        for repository in &group {
            for digest in &repository.blobs {
                wanted.entry(digest).or_insert_with(|| self.source.blob_path(&repository.root, digest));
            }
        }
        let wanted = wanted.into_iter().map(|(digest, path)| (digest.clone(), path)).collect();
        let absent = self.import_blobs(wanted).await?;
        let repositories = stream::iter(group.into_iter().map(Ok));
        repositories
            .try_for_each_concurrent(REPOSITORIES, |repository| self.import_repository(repository, &absent))
            .await
    }

    /// Brings blobs into the store; returns those that could not be.
    async fn import_blobs(&self, wanted: Vec<(Digest, String)>) -> Result<HashSet<Digest>> {
        let mut missing = Vec::new();
        for some in wanted.chunks(AT_ONCE) {
            let digests: Vec<_> = some.iter().map(|(digest, _)| digest.clone()).collect();
            let known = self.registry.known_blobs(&digests, self.options.dry_run).await?;
            let unknown = some.iter().zip(&known).filter(|(_, is_known)| !**is_known);
            missing.extend(unknown.map(|(wanted, _)| wanted.clone()));
            self.report().blobs.present += known.iter().filter(|is_known| **is_known).count() as u64;
        }
        let mut absent = HashSet::new();
        let at_once = COPIES * std::thread::available_parallelism().map_or(2, usize::from);
        let incoming = stream::iter(missing).map(|(digest, path)| async move {
            let taken = self.take_in(&digest, &path).await;
            (digest, path, taken)
        });
        let mut incoming = incoming.buffer_unordered(at_once);
        let (mut ready, mut bytes) = (Vec::new(), 0);
        while let Some((digest, path, taken)) = incoming.next().await {
            match taken {
                Ok(Some(blob)) => {
                    bytes += blob.taken.len;
                    ready.push(blob);
                }
                // A dry run.
                Ok(None) => self.report().blobs.imported += 1,
                Err(failure) => {
                    let problem = failure.of_source(&path)?;
                    let mut report = self.report();
                    report.blobs.failed += 1;
                    report.add(problem);
                    absent.insert(digest);
                }
            }
            if ready.len() >= MOST_BLOBS || bytes >= MOST_BYTES {
                self.publish(std::mem::take(&mut ready)).await?;
                bytes = 0;
            }
        }
        self.publish(ready).await?;
        Ok(absent)
    }

    async fn take_in(&self, digest: &Digest, path: &str) -> Result<Option<IncomingBlob>, ImportFailure> {
        let (source, shown) = (self.source.clone(), path.to_owned());
        let file = blocking(move || Ok(source.tree.file(&shown))).await.map_err(RegistryError::from)??;
        match self.options.dry_run {
            true => Ok(None),
            false => Ok(Some(self.registry.take_in(digest, Arc::new(file), self.options.mode).await?)),
        }
    }

    async fn publish(&self, ready: Vec<IncomingBlob>) -> Result<()> {
        if ready.is_empty() {
            return Ok(());
        }
        let taken: Vec<_> = ready.iter().map(|blob| (blob.taken.len, blob.taken.way)).collect();
        self.registry.publish_taken_in(ready).await?;
        let mut report = self.report();
        for (len, way) in taken {
            report.blobs.imported += 1;
            report.blobs.bytes += len;
            report.ways.add(way);
        }
        (self.progress)("importing blobs", report.blobs.imported);
        Ok(())
    }

    async fn import_repository(&self, found: RepositoryContents, absent: &HashSet<Digest>) -> Result<()> {
        let repository = self.registry.repository(&found.name);
        if !self.options.dry_run {
            let blobs: Vec<_> = found.blobs.iter().filter(|digest| !absent.contains(*digest)).cloned().collect();
            for some in blobs.chunks(AT_ONCE) {
                repository.link_all(some).await?;
            }
        }
        for group in &found.manifests {
            for some in group.chunks(AT_ONCE) {
                let digests: Vec<_> = some.iter().map(|manifest| manifest.digest.clone()).collect();
                let known = repository.known_manifests(&digests, self.options.dry_run).await?;
                let pushes = some.iter().zip(known).map(|(manifest, is_known)| {
                    let tags = found.tags.get(&manifest.digest).map_or(&[][..], Vec::as_slice);
                    Ok(self.import_manifest(&repository, &found.root, manifest, tags, is_known))
                });
                stream::iter(pushes).try_for_each_concurrent(PUSHES, |push| push).await?;
            }
        }
        Ok(())
    }

    /// Pushes a manifest and its tags, unless they are here.
    async fn import_manifest(
        &self,
        repository: &Repository,
        root: &str,
        manifest: &FoundManifest,
        tags: &[FoundTag],
        is_known: bool,
    ) -> Result<()> {
        let mut new = Vec::new();
        for found in tags {
            match repository.tagged_since(&found.tag).await {
                Ok(Some((digest, _))) if digest == manifest.digest => self.report().tags.present += 1,
                // Somebody pushed it here after the old registry had it.
                Ok(Some((_, since))) if since > found.since => {
                    self.report().kept_tags.push(format!("{}:{}", repository.name(), found.tag));
                }
                // A damaged tag is replaced.
                Ok(_) | Err(RegistryError::Storage(StorageError::Damaged { .. })) => new.push(found.clone()),
                Err(error) => return Err(error),
            }
        }
        if is_known && new.is_empty() {
            self.report().manifests.present += 1;
            return Ok(());
        }
        let path = self.source.blob_path(root, &manifest.digest);
        match self.push(repository, &path, manifest, &new).await {
            Ok(bytes) => {
                let mut report = self.report();
                report.tags.imported += new.len() as u64;
                match is_known {
                    true => report.manifests.present += 1,
                    false => {
                        report.manifests.imported += 1;
                        report.manifests.bytes += bytes;
                    }
                }
                (self.progress)("importing manifests", report.manifests.imported);
            }
            Err(failure) => {
                let problem = failure.of_manifest(&path, repository)?;
                let mut report = self.report();
                report.manifests.failed += u64::from(!is_known);
                report.manifests.present += u64::from(is_known);
                report.tags.failed += new.len() as u64;
                report.add(problem);
            }
        }
        Ok(())
    }

    /// Returns the size of the manifest, or zero in a dry run.
    async fn push(
        &self,
        repository: &Repository,
        path: &str,
        manifest: &FoundManifest,
        tags: &[FoundTag],
    ) -> Result<u64, ImportFailure> {
        if self.options.dry_run {
            return Ok(0);
        }
        let (source, limits) = (self.source.clone(), self.limits);
        let (shown, digest) = (path.to_owned(), manifest.digest.clone());
        let read = blocking(move || Ok(manifest_bytes(&source.tree, &shown, &digest, limits)));
        let (bytes, _) = read.await.map_err(RegistryError::from)??;
        let reference = Reference::Digest(manifest.digest.clone());
        let media_type = manifest.media_type.as_deref();
        // A clock that was wrong there must not make anything younger than it can be.
        let now = SystemTime::now();
        // Also without a tag.
        for some in tags.chunks(repository.settings().tags_per_push.max(1)).chain(tags.is_empty().then_some(tags)) {
            let times = PushTimes {
                manifest: manifest.pushed.map(|pushed| pushed.min(now)),
                tags: some.iter().map(|found| (found.tag.clone(), found.since.min(now))).collect(),
            };
            let tags: Vec<Tag> = some.iter().map(|found| found.tag.clone()).collect();
            let how = (Condition::None, times);
            repository.put_manifest_of(&reference, &tags, media_type, bytes.clone(), how).await?;
        }
        Ok(bytes.len() as u64)
    }

    fn report(&self) -> MutexGuard<'_, ImportReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why something was not imported.
enum ImportFailure {
    /// Only this one cannot be.
    Here(ImportProblem),
    /// The registry refuses it, or cannot store anything more.
    Registry(RegistryError),
}

impl From<ImportProblem> for ImportFailure {
    fn from(problem: ImportProblem) -> Self {
        Self::Here(problem)
    }
}

impl From<RegistryError> for ImportFailure {
    fn from(error: RegistryError) -> Self {
        Self::Registry(error)
    }
}

impl ImportFailure {
    /// The problem of a file; an error if it is the store's, which ends the import.
    fn of_source(self, path: &str) -> Result<ImportProblem> {
        match self {
            Self::Here(problem) => Ok(problem),
            Self::Registry(RegistryError::DigestMismatch { actual, .. }) => {
                Ok(ImportProblem::new(path, format!("is damaged: its bytes have the digest {actual}")))
            }
            Self::Registry(error @ RegistryError::BlobTooLarge(_)) => Ok(ImportProblem::new(path, error.to_string())),
            // The bytes could not be read to their end.
            Self::Registry(RegistryError::Storage(StorageError::Io { operation: "take in", source, .. })) => {
                Ok(ImportProblem::new(path, format!("cannot be read: {}", crate::files::cause(&source))))
            }
            Self::Registry(error) => Err(error),
        }
    }

    /// The same for a manifest, which the registry may refuse like one that is pushed.
    fn of_manifest(self, path: &str, repository: &Repository) -> Result<ImportProblem> {
        let error = match self {
            Self::Here(problem) => return Ok(problem),
            Self::Registry(error @ (RegistryError::Storage(_) | RegistryError::Stopping)) => return Err(error),
            Self::Registry(error) => error,
        };
        let mut text = format!("was refused in {}: {error}", repository.name());
        if let RegistryError::MissingReferences(missing) = &error {
            let named: Vec<_> = missing.iter().take(MOST_NAMED).map(|missing| missing.digest.as_str()).collect();
            text = format!("{text}: {}", named.join(", "));
            if missing.len() > MOST_NAMED {
                text.push_str(", …");
            }
        }
        Ok(ImportProblem::new(path, text))
    }
}

/// Missing references that a problem names.
const MOST_NAMED: usize = 3;
