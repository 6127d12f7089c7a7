//! Copies images between registries and directories, byte for byte.

mod store;

pub use store::ImageStore;

use crate::{
    failure::Failure,
    layout::OciLayout,
    output::{OutputFormat, count},
    place::{ImageName, ImagePlace},
    progress::TransferLines,
    session::CommandSession,
};
use bytes::Bytes;
use client::{Platform, PushOutcome};
use futures_util::{StreamExt, TryStreamExt, stream};
use oci::{Digest, Manifest, Reference, ReferencedDigest, Tag};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What is copied with an image, and how.
#[derive(Clone, Debug)]
pub struct CopyOptions {
    /// Only these of an image for several platforms; all if empty.
    pub platforms: Vec<Platform>,
    /// Also what refers to it.
    pub referrers: bool,
    /// Also tags that are named after its digest.
    pub digest_tags: bool,
    /// All tags of the repository.
    pub all_tags: bool,
    /// Blobs copied at the same time.
    pub jobs: usize,
    /// Leaves tags that exist alone.
    pub no_clobber: bool,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            platforms: Vec::new(),
            referrers: false,
            digest_tags: false,
            all_tags: false,
            jobs: 4,
            no_clobber: false,
        }
    }
}

/// Levels of indexes, and of referrers of referrers, that are followed.
const MOST_DEPTH: usize = 8;

/// A manifest to be copied.
struct CopiedManifest {
    media_type: String,
    digest: Digest,
    bytes: Bytes,
    /// The names that it gets.
    tags: Vec<String>,
}

/// Everything to be copied: blobs in any order, manifests after what they refer to.
#[derive(Default)]
struct CopyPlan {
    blobs: BTreeMap<Digest, u64>,
    manifests: Vec<CopiedManifest>,
    known: BTreeMap<Digest, usize>,
}

/// Copies an image, or all images of a repository.
pub async fn copy_image(
    source: &ImagePlace,
    target: &ImagePlace,
    options: &CopyOptions,
    session: &CommandSession,
) -> Result<(), Failure> {
    let from = ImageStore::open(source, session)?;
    let to = ImageStore::open(target, session)?;
    copy_between(&from, source, &to, target, options, session).await
}

/// Pushes an image of a directory that is already open.
pub async fn copy_layout(
    layout: OciLayout,
    name: Option<String>,
    target: &ImageName,
    session: &CommandSession,
) -> Result<(), Failure> {
    let place = ImagePlace::Layout("archive".into(), name);
    let target = ImagePlace::Registry(target.clone());
    let to = ImageStore::open(&target, session)?;
    copy_between(&ImageStore::Layout(layout), &place, &to, &target, &CopyOptions::default(), session).await
}

async fn copy_between(
    from: &ImageStore,
    source: &ImagePlace,
    to: &ImageStore,
    target: &ImagePlace,
    options: &CopyOptions,
    session: &CommandSession,
) -> Result<(), Failure> {
    let mut plan = CopyPlan::default();
    for (reference, tag) in chosen(from, source, target, options).await? {
        if options.no_clobber
            && let Some(tag) = &tag
            && to.resolve(tag).await?.is_some()
        {
            session.output.note(&format!("{tag} exists already."));
            continue;
        }
        plan.add(from, &reference, tag, options).await?;
    }
    if options.referrers {
        plan.add_referrers(from).await?;
    }
    if options.digest_tags {
        plan.add_digest_tags(from).await?;
    }
    let report = execute(&plan, from, to, options, session).await?;
    let last = plan.manifests.iter().rev().find(|manifest| !manifest.tags.is_empty()).or(plan.manifests.last());
    let Some(last) = last else { return Ok(()) };
    let summary = json!({
        "digest": last.digest.as_str(),
        "manifests": plan.manifests.len(),
        "blobs": { "copied": report.copied, "linked": report.linked, "existed": report.existed },
        "bytes": report.bytes,
    });
    match session.output.format {
        OutputFormat::Table | OutputFormat::Wide if !session.output.is_quiet => {
            session.output.note(&format!(
                "Copied {}: {}, {} ({}); {} already there.",
                last.digest,
                count(plan.manifests.len() as u64, "manifest"),
                count(report.copied + report.linked, "blob"),
                crate::output::bytes(report.bytes),
                report.existed
            ));
            Ok(())
        }
        _ => session.output.one(&summary, &[], "/digest"),
    }
}

/// What is to be copied, each with the name that it gets.
async fn chosen(
    from: &ImageStore,
    source: &ImagePlace,
    target: &ImagePlace,
    options: &CopyOptions,
) -> Result<Vec<(Reference, Option<String>)>, Failure> {
    if options.all_tags {
        let names = from.tags().await?;
        // Tags of digests are copied by their own option.
        let names = names.into_iter().filter(|name| options.digest_tags || subject_of(name).is_none());
        let mut all = Vec::new();
        for name in names {
            all.push((from.reference(&name)?, Some(name)));
        }
        return if all.is_empty() { Err(Failure::not_found("the source has no tags")) } else { Ok(all) };
    }
    let reference = match source {
        ImagePlace::Registry(name) => name.reference()?,
        ImagePlace::Layout(_, name) => from.reference(name.as_deref().unwrap_or_default())?,
    };
    let own = match source {
        ImagePlace::Registry(name) => name.tag.as_ref().map(|tag| tag.as_str().to_owned()),
        ImagePlace::Layout(_, name) => name.clone().filter(|name| name.parse::<Tag>().is_ok()),
    };
    let name = match target {
        ImagePlace::Registry(ImageName { tag: Some(tag), .. }) => Some(tag.as_str().to_owned()),
        ImagePlace::Registry(ImageName { digest: Some(_), .. }) => None,
        ImagePlace::Layout(_, Some(name)) => Some(name.clone()),
        // As it is called where it comes from.
        ImagePlace::Registry(_) | ImagePlace::Layout(_, None) => own.or_else(|| match &reference {
            Reference::Tag(tag) => Some(tag.as_str().to_owned()),
            Reference::Digest(_) => None,
        }),
    };
    Ok(vec![(reference, name)])
}

/// The digest that a tag such as `sha256-….sig` is about.
fn subject_of(tag: &str) -> Option<Digest> {
    let (name, _) = tag.split_once('.').unwrap_or((tag, ""));
    let (algorithm, hex) = name.split_once('-')?;
    format!("{algorithm}:{hex}").parse().ok()
}

impl CopyPlan {
    /// Adds an image with everything that it refers to.
    async fn add(
        &mut self,
        from: &ImageStore,
        reference: &Reference,
        tag: Option<String>,
        options: &CopyOptions,
    ) -> Result<(), Failure> {
        let (mut media_type, mut digest, mut bytes) = from.manifest(reference).await?;
        if let Some(chosen) = choose_platforms(from, &bytes, options).await? {
            (media_type, digest, bytes) = chosen;
        }
        self.add_manifest(from, media_type, digest.clone(), bytes, 0).await?;
        if let (Some(tag), Some(place)) = (tag, self.known.get(&digest)) {
            self.manifests[*place].tags.push(tag);
        }
        Ok(())
    }

    /// Adds a manifest after what it refers to.
    async fn add_manifest(
        &mut self,
        from: &ImageStore,
        media_type: String,
        digest: Digest,
        bytes: Bytes,
        depth: usize,
    ) -> Result<(), Failure> {
        if self.known.contains_key(&digest) {
            return Ok(());
        }
        if depth > MOST_DEPTH {
            return Err(Failure::failed("indexes are nested too deeply"));
        }
        let manifest = Manifest::parse(&bytes, Some(&media_type), crate::commands::content::BOUNDS)
            .map_err(|error| Failure::failed(format!("{digest}: {error}")))?;
        for part in manifest.config.iter().chain(&manifest.layers) {
            if oci::media_type::is_foreign_layer(&part.media_type) {
                continue;
            }
            let ReferencedDigest::Known(digest) = &part.digest else {
                return Err(Failure::failed(format!("{} has an unknown algorithm", part.digest.as_str())));
            };
            self.blobs.insert(digest.clone(), part.size);
        }
        for child in &manifest.children {
            let ReferencedDigest::Known(digest) = &child.digest else { continue };
            let (media_type, digest, bytes) = from.manifest(&Reference::Digest(digest.clone())).await?;
            Box::pin(self.add_manifest(from, media_type, digest, bytes, depth + 1)).await?;
        }
        self.known.insert(digest.clone(), self.manifests.len());
        self.manifests.push(CopiedManifest { media_type, digest, bytes, tags: Vec::new() });
        Ok(())
    }

    /// Adds what refers to the manifests, and what refers to that.
    async fn add_referrers(&mut self, from: &ImageStore) -> Result<(), Failure> {
        let mut next = 0;
        let mut depth_ends = self.manifests.len();
        let mut depth = 0;
        while next < self.manifests.len() && depth <= MOST_DEPTH {
            let subject = self.manifests[next].digest.clone();
            for referrer in from.referrers(&subject).await? {
                let (media_type, digest, bytes) = from.manifest(&Reference::Digest(referrer)).await?;
                self.add_manifest(from, media_type, digest, bytes, 0).await?;
            }
            next += 1;
            if next == depth_ends {
                (depth, depth_ends) = (depth + 1, self.manifests.len());
            }
        }
        Ok(())
    }

    /// Adds the tags that are named after the digests of the manifests.
    async fn add_digest_tags(&mut self, from: &ImageStore) -> Result<(), Failure> {
        for name in from.tags().await? {
            if subject_of(&name).is_some_and(|subject| self.known.contains_key(&subject)) {
                let reference = from.reference(&name)?;
                self.add(from, &reference, Some(name), &CopyOptions::default()).await?;
            }
        }
        Ok(())
    }
}

/// The part of an image for several platforms that is wanted: of one platform its manifest, of several an index of
/// them. `None` to copy it as it is.
async fn choose_platforms(
    from: &ImageStore,
    bytes: &Bytes,
    options: &CopyOptions,
) -> Result<Option<(String, Digest, Bytes)>, Failure> {
    let mut index: Value = oci::json::from_slice(bytes).map_err(|error| Failure::failed(error.to_string()))?;
    let Some(entries) =
        index.get_mut("manifests").and_then(Value::as_array_mut).filter(|_| !options.platforms.is_empty())
    else {
        return Ok(None);
    };
    let is_wanted = |entry: &Value| {
        let text = crate::commands::content::platform_text(&entry["platform"]);
        options.platforms.iter().any(|platform| {
            let wanted = platform.to_string();
            // A variant that is not asked for does not matter.
            text == wanted || text.strip_prefix(&wanted).is_some_and(|rest| rest.starts_with('/'))
        })
    };
    entries.retain(is_wanted);
    match &entries[..] {
        [] => Err(Failure::not_found("the image has none of these platforms")),
        [only] => {
            let digest = only["digest"].as_str().unwrap_or_default();
            let digest: Digest = digest.parse().map_err(|error| Failure::failed(format!("{digest}: {error}")))?;
            from.manifest(&Reference::Digest(digest)).await.map(Some)
        }
        _ => {
            let media_type =
                index["mediaType"].as_str().unwrap_or("application/vnd.oci.image.index.v1+json").to_owned();
            let bytes = Bytes::from(index.to_string());
            Ok(Some((media_type, crate::layout::sha256(&bytes), bytes)))
        }
    }
}

/// What happened to the blobs.
#[derive(Default)]
struct TransferReport {
    copied: u64,
    linked: u64,
    existed: u64,
    /// Of blobs that were sent.
    bytes: u64,
}

async fn execute(
    plan: &CopyPlan,
    from: &ImageStore,
    to: &ImageStore,
    options: &CopyOptions,
    session: &CommandSession,
) -> Result<TransferReport, Failure> {
    let missing = missing_blobs(plan, to).await?;
    let lines = TransferLines::new(&session.output, missing.values().sum());
    let existed = plan.blobs.len() - missing.len();
    let lines = &lines;
    let outcomes: Vec<(PushOutcome, u64)> = stream::iter(missing)
        .map(|(digest, size)| async move {
            let line = lines.add(crate::output::short(digest.as_str()), size);
            let outcome = to.copy_blob(from, &digest, size, line.callback()).await;
            line.end();
            outcome.map(|outcome| (outcome, size))
        })
        .buffer_unordered(options.jobs)
        .try_collect()
        .await?;
    lines.end();
    let mut report = TransferReport { existed: existed as u64, ..TransferReport::default() };
    for (outcome, size) in outcomes {
        match outcome {
            PushOutcome::Existed => report.existed += 1,
            PushOutcome::Mounted => report.linked += 1,
            PushOutcome::Uploaded => {
                report.copied += 1;
                report.bytes += size;
            }
        }
    }
    for manifest in &plan.manifests {
        to.put_manifest(&manifest.media_type, &manifest.digest, manifest.bytes.clone(), &manifest.tags).await?;
    }
    Ok(report)
}

/// The blobs of manifests that the target does not have. What a manifest refers to is there if it is.
async fn missing_blobs(plan: &CopyPlan, to: &ImageStore) -> Result<BTreeMap<Digest, u64>, Failure> {
    let mut missing = BTreeMap::new();
    let mut present = BTreeSet::new();
    for manifest in &plan.manifests {
        let is_there = to.has_manifest(&manifest.digest, manifest.bytes.len()).await?;
        let parsed = Manifest::parse(&manifest.bytes, Some(&manifest.media_type), crate::commands::content::BOUNDS)
            .map_err(|error| Failure::failed(format!("{}: {error}", manifest.digest)))?;
        for part in parsed.config.iter().chain(&parsed.layers) {
            let ReferencedDigest::Known(digest) = &part.digest else { continue };
            if is_there && to.keeps_what_manifests_need() {
                present.insert(digest.clone());
            } else if plan.blobs.contains_key(digest) {
                missing.insert(digest.clone(), part.size);
            }
        }
    }
    missing.retain(|digest, _| !present.contains(digest));
    Ok(missing)
}
