//! Files up and down.

use super::{DownloadArgs, UploadArgs, file_path, property_pairs, unpack};
use crate::{
    commands::artifact::notes::UploadNotes,
    failure::{ExitStatus, Failure},
    file_source::FileSource,
    layout::NewFile,
    management::{Management, query, segment},
    output::OutputFormat,
    progress::TransferLines,
    session::CommandSession,
};
use client::{ApiRequest, ApiResponse, ApiStream, BlobSource, ByteStream};
use futures_util::TryStreamExt as _;
use http::{HeaderMap, Method, header};
use serde_json::{Value, json};
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Files up to this length are uploaded in one request.
const SMALL: u64 = 4 << 20;

/// How often progress is shown.
const LOOK: Duration = Duration::from_millis(200);

/// Times that an upload is continued without having got any further.
const MOST_TRIES: u32 = 5;

pub(super) async fn upload(args: UploadArgs, management: &Management, session: &CommandSession) -> Result<(), Failure> {
    let pairs = property_pairs(&args.properties)?;
    let mut made = Vec::new();
    for file in &args.files {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let path = match (&args.path, args.files.len()) {
            (Some(path), 1) => path.clone(),
            (Some(directory), _) => format!("{}/{name}", directory.trim_end_matches('/')),
            (None, _) => name.clone(),
        };
        let version = args.version.clone().unwrap_or(name);
        let source = FileSource::open(Some(file)).await?;
        let lines = TransferLines::new(&session.output, source.size);
        let line = lines.add(&path, source.size);
        let progress = line.callback();
        let target = UploadTarget {
            repo: args.repo.clone(),
            version,
            path,
            pairs: pairs.clone(),
            overwrite: args.overwrite,
            notes: session.upload_notes(),
        };
        let artifact =
            upload_file(&target, &source, management, &|done| progress(client::TransferPhase::Sending, done)).await?;
        line.end();
        lines.end();
        let UploadTarget { version, path, .. } = target;
        session.output.note(&format!("Uploaded {} as {version}/{path}.", file.display()));
        made.push(artifact);
    }
    match session.output.format {
        OutputFormat::Table if !session.output.is_quiet => Ok(()),
        _ => session.output.list(&made, super::ARTIFACTS, "/id"),
    }
}

/// Where an upload goes.
pub struct UploadTarget {
    /// The repository.
    pub repo: String,
    /// The version.
    pub version: String,
    /// The path.
    pub path: String,
    /// Properties, as parameters of a query.
    pub pairs: Vec<(String, String)>,
    /// Whether other bytes may be replaced.
    pub overwrite: bool,
    /// Where uploads that have begun are noted.
    pub notes: UploadNotes,
}

/// Uploads a file: at once if it is small, and else so that it can be resumed. Says how many bytes were sent.
pub async fn upload_file(
    target: &UploadTarget,
    source: &FileSource,
    management: &Management,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Value, Failure> {
    match source.size <= SMALL {
        true => upload_at_once(target, source, management).await,
        false => upload_in_session(target, source, management, progress).await,
    }
}

/// `PUT /{repo}/-/{version}/{path}`.
async fn upload_at_once(to: &UploadTarget, source: &FileSource, management: &Management) -> Result<Value, Failure> {
    let mut pairs = to.pairs.clone();
    pairs.push(("digest".into(), source.digest.to_string()));
    pairs.extend(to.overwrite.then(|| ("overwrite".to_owned(), "true".to_owned())));
    let target = file_path(&format!("{}/-", to.repo), &to.version, &to.path, &pairs).replacen("%2F-", "/-", 1);
    let request = ApiRequest::new(Method::PUT, format!("/api/v1{target}"))
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .eager();
    let answer = management.client.stream_api(&request, source, 0, source.size).await?;
    answer.value().map_err(Failure::failed)
}

/// An upload session: each attempt begins where the server says that the last one ended.
async fn upload_in_session(
    to: &UploadTarget,
    source: &FileSource,
    management: &Management,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Value, Failure> {
    let key = UploadNotes::key(management.client.registry().name(), to, &source.digest);
    let (mut location, mut offset) = match continued(management, to.notes.find(&key), source.size).await {
        Some(found) => found,
        None => {
            let begin = format!("/artifacts/{}/upload?size={}", segment(&to.repo), source.size);
            let begun = management.send(Method::POST, &begin, None).await?;
            (location_of(&begun.headers)?, 0)
        }
    };
    to.notes.keep(&key, &location);
    let counted = CountedSource { source, sent: Arc::default() };
    let mut tries = 0;
    while offset < source.size {
        let range = format!("{offset}-{}", source.size - 1);
        let request = ApiRequest::new(Method::PATCH, location.clone())
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_RANGE, range)
            .eager();
        match counted.send(&request, offset, management, progress).await {
            Ok(answer) => {
                location = location_of(&answer.headers)?;
                offset = source.size;
            }
            Err(error) if tries < MOST_TRIES && may_continue(&error) => {
                tokio::time::sleep(Duration::from_millis(300) * 2_u32.pow(tries)).await;
                let status = ApiRequest::new(Method::GET, location.clone()).eager();
                let status = management.client.send_api(&status).await?;
                let reached = reached(&status.headers);
                tries = if reached > offset { 0 } else { tries + 1 };
                offset = reached;
                location = location_of(&status.headers).unwrap_or(location);
            }
            Err(error) => return Err(error.into()),
        }
        progress(offset);
    }
    let mut all = vec![
        ("version".to_owned(), to.version.clone()),
        ("path".to_owned(), to.path.clone()),
        ("digest".to_owned(), source.digest.to_string()),
    ];
    all.extend(to.overwrite.then(|| ("overwrite".to_owned(), "true".to_owned())));
    let separator = if location.contains('?') { '&' } else { '?' };
    let parameters = query(all.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    let properties: serde_json::Map<String, Value> = to
        .pairs
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix("property.")?.to_owned(), value.clone().into())))
        .collect();
    let request = ApiRequest::new(Method::PUT, format!("{location}{separator}{}", &parameters[1..]))
        .json(&json!({ "properties": properties }));
    let made = management.request(&request).await?.value().map_err(Failure::failed)?;
    to.notes.forget(&key);
    Ok(made)
}

/// Where an upload of an earlier run goes on, if the server still has it.
async fn continued(management: &Management, location: Option<String>, size: u64) -> Option<(String, u64)> {
    let location = location?;
    let status = ApiRequest::new(Method::GET, location.clone()).eager();
    let status = management.client.send_api(&status).await.ok()?;
    let reached = reached(&status.headers);
    (reached <= size).then(|| (location_of(&status.headers).unwrap_or(location), reached))
}

/// A file that counts what is read of it.
struct CountedSource<'f> {
    source: &'f FileSource,
    sent: Arc<AtomicU64>,
}

#[async_trait::async_trait]
impl BlobSource for CountedSource<'_> {
    async fn open(&self, offset: u64) -> io::Result<ByteStream> {
        let sent = self.sent.clone();
        sent.store(offset, Ordering::Relaxed);
        let bytes = self.source.open(offset).await?;
        Ok(Box::pin(bytes.inspect_ok(move |bytes| {
            sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        })))
    }
}

impl CountedSource<'_> {
    /// Sends the rest of the file, and says again and again how far it is.
    async fn send(
        &self,
        request: &ApiRequest,
        offset: u64,
        management: &Management,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<ApiResponse, client::Error> {
        let send = management.client.stream_api(request, self, offset, self.source.size - offset);
        let mut ticks = tokio::time::interval(LOOK);
        tokio::pin!(send);
        loop {
            tokio::select! {
                answer = &mut send => return answer,
                _ = ticks.tick() => progress(self.sent.load(Ordering::Relaxed)),
            }
        }
    }
}

/// Whether an upload may go on after this: the connection broke, or the server is at another place or busy.
fn may_continue(error: &client::Error) -> bool {
    use client::ErrorKind;
    let is_elsewhere = error.status().is_some_and(|status| status.as_u16() == 416);
    is_elsewhere || error.is_temporary() || matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Timeout)
}

/// The path that an answer names for the next request.
fn location_of(headers: &HeaderMap) -> Result<String, Failure> {
    let text = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    let text = text.ok_or_else(|| Failure::failed("the server did not say where the upload goes on"))?;
    // Only the path counts: the upload stays at the server that was chosen.
    let path = match text.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => text,
    };
    Ok(path.to_owned())
}

/// The bytes that a server has, by its `Range` of the form `0-499`.
fn reached(headers: &HeaderMap) -> u64 {
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let last = range.and_then(|range| range.rsplit('-').next()).and_then(|last| last.parse::<u64>().ok());
    last.map_or(0, |last| last + 1)
}

pub(super) async fn download(
    args: DownloadArgs,
    management: &Management,
    session: &CommandSession,
) -> Result<(), Failure> {
    let is_exact = |text: &str| !text.contains(['*', '%']);
    let filter = &args.filter;
    let target = match (&filter.version, &filter.path) {
        (Some(version), Some(path))
            if is_exact(version) && is_exact(path) && !args.archive && !args.unpack && filter.num.is_none() =>
        {
            file_path(&args.repo, version, path, &property_pairs(&filter.properties)?)
        }
        _ => {
            let mut pairs = filter.pairs()?;
            let is_tar = args.unpack || session.output.format == OutputFormat::TarGz;
            let text = |text: &str| text.to_owned();
            pairs.extend(filter.num.map(|num| (text("num"), num.to_string())));
            pairs.extend((args.archive || args.unpack).then(|| (text("archive"), text("1"))));
            pairs.extend(args.flat.then(|| (text("flat"), text("1"))));
            pairs.push((text("format"), text(if is_tar { "tar.gz" } else { "zip" })));
            let pairs = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()));
            format!("/artifacts/{}/query{}", segment(&args.repo), query(pairs))
        }
    };
    let request = ApiRequest::new(Method::GET, format!("/api/v1{target}")).eager();
    let mut stream = management.client.open_api(&request).await?;
    if args.unpack {
        let directory = args.output.unwrap_or_else(|| PathBuf::from("."));
        let count = unpack::unpack(stream, &directory).await?;
        session.output.note(&format!("Unpacked {count} files into {}.", directory.display()));
        return Ok(());
    }
    let name = name_of(stream.headers()).unwrap_or_else(|| "download".into());
    let path = match args.output {
        Some(path) if path == Path::new("-") => {
            let mut out = io::stdout().lock();
            while let Some(bytes) = stream.chunk().await? {
                out.write_all(&bytes)?;
            }
            return Ok(out.flush()?);
        }
        Some(path) if path.is_dir() => path.join(name),
        Some(path) => path,
        None => PathBuf::from(name),
    };
    save(stream, &path, session).await?;
    session.output.note(&format!("Wrote {}.", path.display()));
    Ok(())
}

/// Writes an answer to a file, which appears when it is whole and has the digest that the server names.
async fn save(mut stream: ApiStream, path: &Path, session: &CommandSession) -> Result<(), Failure> {
    let text = |name: header::HeaderName| stream.headers().get(name).and_then(|value| value.to_str().ok());
    let length = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    let digest = text(header::ETAG).and_then(|etag| etag.trim_matches('"').parse::<oci::Digest>().ok());
    let mut hasher = digest.as_ref().map(|digest| oci::Hasher::new(digest.algorithm()));
    let lines = TransferLines::new(&session.output, length.unwrap_or_default());
    let line = lines.add(&path.display().to_string(), length.unwrap_or_default());
    let progress = line.callback();
    let mut file = NewFile::beside(path)?;
    let mut written = 0;
    while let Some(bytes) = stream.chunk().await? {
        if let Some(hasher) = &mut hasher {
            hasher.update(&bytes);
        }
        written += bytes.len() as u64;
        file.write(&bytes)?;
        progress(client::TransferPhase::Receiving, written);
    }
    line.end();
    lines.end();
    if length.is_some_and(|length| length != written) || hasher.map(oci::Hasher::finish) != digest {
        return Err(Failure::new(ExitStatus::Digest, format!("{} did not arrive as it was sent", path.display())));
    }
    file.finish()
}

/// The name in `Content-Disposition`, without directories: it comes from whoever uploaded the file.
fn name_of(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_DISPOSITION)?.to_str().ok()?;
    let plain = || Some(value.split_once("filename=\"")?.1.split_once('"')?.0.to_owned());
    let encoded = value.split_once("filename*=UTF-8''").map(|(_, rest)| rest.split(';').next().unwrap_or_default());
    let decoded =
        encoded.map(|text| percent_encoding::percent_decode_str(text.trim()).decode_utf8_lossy().into_owned());
    let name = decoded.or_else(plain)?;
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_odd = name.is_empty() || name.starts_with('.') || name.contains(|c: char| c.is_control());
    (!is_odd).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_never_saved_outside_the_directory() {
        let named = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_DISPOSITION, value.parse().unwrap());
            name_of(&headers)
        };
        assert_eq!(named("attachment; filename=\"app.tar.gz\"").as_deref(), Some("app.tar.gz"));
        assert_eq!(named("attachment; filename=\"x\"; filename*=UTF-8''%C3%A9.bin").as_deref(), Some("é.bin"));
        assert_eq!(named("attachment; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd").as_deref(), Some("passwd"));
        for bad in [
            "attachment",
            "attachment; filename=\"..\"",
            "attachment; filename=\".bashrc\"",
            "attachment; filename=\"a/\"",
        ] {
            assert_eq!(named(bad), None, "{bad}");
        }
    }
}
