//! How fast a registry is from here: random blobs are pushed and pulled, and a manifest is asked for.

use crate::{
    failure::Failure,
    output::{Column, ColumnKind, count},
    place::ImageName,
    session::CommandSession,
};
use bytes::{Bytes, BytesMut};
use clap::Args;
use client::{Client, PushOptions};
use futures_util::{StreamExt, TryStreamExt, stream};
use oci::{Algorithm, Digest, Hasher, Reference, RepositoryName, Tag};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// `wharf bench`.
#[derive(Args)]
pub struct BenchArgs {
    /// The repository to write to. It should hold nothing else.
    repository: String,
    /// Blobs.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    blobs: u16,
    /// The size of a blob in MiB.
    #[arg(long, default_value_t = 8, value_name = "MIB", value_parser = clap::value_parser!(u16).range(1..=1024))]
    size: u16,
    /// Transfers at the same time.
    #[arg(short, long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// Leave what was pushed.
    #[arg(long)]
    keep: bool,
}

const RESULTS: &[Column] = &[
    Column::text("OPERATION", "/operation"),
    Column::of("COUNT", "/count", ColumnKind::Number),
    Column::of("BYTES", "/bytes", ColumnKind::Bytes),
    Column::of("PER SECOND", "/bytes_per_second", ColumnKind::Bytes),
    Column::of("MEDIAN MS", "/median_ms", ColumnKind::Number),
    Column::of("SLOWEST MS", "/slowest_ms", ColumnKind::Number),
];

/// The tag of what is pushed.
const TAG: &str = "wharf-bench";

/// Times that the manifest is asked for.
const QUESTIONS: usize = 100;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

pub async fn run(args: BenchArgs, session: &CommandSession) -> Result<(), Failure> {
    let name = ImageName::parse(&args.repository)?.only_repository()?;
    let (client, repository) = session.registry_of(&name)?;
    let size = usize::from(args.size) << 20;
    let jobs = usize::from(args.jobs);
    let base = noise(size)?;

    let started = Instant::now();
    let pushes = stream::iter(0..args.blobs).map(|number| push(&client, &repository, &base, number));
    let pushed: Vec<(Digest, Duration)> = pushes.buffer_unordered(jobs).try_collect().await?;
    let mut results = vec![result("push blob", pushed.iter().map(|(_, took)| *took), size, started.elapsed())];

    let (manifest, took) = push_manifest(&client, &repository, &pushed, size).await?;
    results.push(result("push manifest", [took].into_iter(), 0, took));

    let started = Instant::now();
    let pulls = stream::iter(&pushed).map(|(digest, _)| pull(&client, &repository, digest, size));
    let pulled: Vec<Duration> = pulls.buffer_unordered(jobs).try_collect().await?;
    results.push(result("pull blob", pulled.into_iter(), size, started.elapsed()));

    let reference = Reference::Tag(tag()?);
    let started = Instant::now();
    let mut asked = Vec::new();
    for _ in 0..QUESTIONS {
        let question = Instant::now();
        client.pull_manifest(&repository, &reference).await?;
        asked.push(question.elapsed());
    }
    results.push(result("pull manifest", asked.into_iter(), 0, started.elapsed()));

    if !args.keep {
        match client.delete_manifest(&repository, &manifest).await {
            Ok(()) => session
                .output
                .note(&format!("Deleted the manifest; {} can be collected.", count(u64::from(args.blobs), "blob"))),
            Err(error) => session.output.note(&format!("{repository}:{TAG} is left behind: {error}")),
        }
    }
    session.output.list(&results, RESULTS, "/bytes_per_second")
}

/// Random bytes, which no registry can compress or know already.
fn noise(size: usize) -> Result<Bytes, Failure> {
    let mut bytes = vec![0; size];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::failed(format!("the system gives no random bytes: {error}")))?;
    Ok(bytes.into())
}

/// Pushes the bytes with another beginning, so that each blob is one of its own.
async fn push(
    client: &Client,
    repository: &RepositoryName,
    base: &Bytes,
    number: u16,
) -> Result<(Digest, Duration), Failure> {
    let mut blob = BytesMut::from(&base[..]);
    blob[..2].copy_from_slice(&number.to_be_bytes());
    let blob = blob.freeze();
    let digest = Hasher::digest(Algorithm::Sha256, &blob);
    let started = Instant::now();
    let options = PushOptions { unchecked: true, ..PushOptions::default() };
    client.push_blob(repository, &digest, blob.len() as u64, &blob, &options).await?;
    Ok((digest, started.elapsed()))
}

/// Pushes an image of the blobs.
async fn push_manifest(
    client: &Client,
    repository: &RepositoryName,
    blobs: &[(Digest, Duration)],
    size: usize,
) -> Result<(Digest, Duration), Failure> {
    let config =
        Bytes::from_static(br#"{"architecture":"unknown","os":"unknown","rootfs":{"type":"layers","diff_ids":[]}}"#);
    let config_digest = Hasher::digest(Algorithm::Sha256, &config);
    client.push_blob(repository, &config_digest, config.len() as u64, &config, &PushOptions::default()).await?;
    let layer =
        |(digest, _): &(Digest, Duration)| json!({ "mediaType": LAYER, "digest": digest.as_str(), "size": size });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": { "mediaType": CONFIG, "digest": config_digest.as_str(), "size": config.len() },
        "layers": blobs.iter().map(layer).collect::<Vec<_>>(),
    });
    let started = Instant::now();
    let bytes = Bytes::from(manifest.to_string());
    let digest = client.push_manifest(repository, MANIFEST, bytes, &[tag()?]).await?;
    Ok((digest, started.elapsed()))
}

async fn pull(client: &Client, repository: &RepositoryName, digest: &Digest, size: usize) -> Result<Duration, Failure> {
    let started = Instant::now();
    let mut blob = client.pull_blob(repository, digest, Some(size as u64));
    while blob.chunk().await?.is_some() {}
    Ok(started.elapsed())
}

fn tag() -> Result<Tag, Failure> {
    TAG.parse().map_err(|error| Failure::failed(format!("{TAG}: {error}")))
}

/// One row: operations of so many bytes each, and how long each and all of them took.
fn result(operation: &str, times: impl Iterator<Item = Duration>, size: usize, whole: Duration) -> Value {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    let milliseconds = |took: Option<&Duration>| took.map(|took| (took.as_secs_f64() * 10_000.0).round() / 10.0);
    let bytes = (size * times.len()) as u64;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate has three figures"
    )]
    let rate = (bytes as f64 / whole.as_secs_f64().max(1e-9)) as u64;
    let or_null = |number: u64| if size == 0 { Value::Null } else { number.into() };
    json!({
        "operation": operation, "count": times.len(), "bytes": or_null(bytes), "bytes_per_second": or_null(rate),
        "seconds": whole.as_secs_f64(), "median_ms": milliseconds(times.get(times.len() / 2)),
        "slowest_ms": milliseconds(times.last()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_has_a_rate_and_the_slowest_time() {
        let times = [30, 10, 20].map(Duration::from_millis);
        let row = result("pull blob", times.into_iter(), 1000, Duration::from_millis(50));
        assert_eq!((&row["count"], &row["bytes"], &row["bytes_per_second"]), (&json!(3), &json!(3000), &json!(60_000)));
        assert_eq!((&row["median_ms"], &row["slowest_ms"]), (&json!(20.0), &json!(30.0)));
        assert!(result("pull manifest", times.into_iter(), 0, Duration::ZERO)["bytes"].is_null());
    }
}
