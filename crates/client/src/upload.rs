//! Pushing a blob: found, mounted, or uploaded in a session that resumes.

use crate::{
    BlobSource, Client, Error, ProgressCallback, TransferPhase,
    error::{ErrorCause, ErrorKind},
    headers,
    login::Scopes,
    manifest::said_digest,
    progress::report,
    retry::Attempts,
    transport::{Call, RegistryResponse, Whole},
    url,
};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use oci::{Algorithm, Digest, RepositoryName};

/// How a blob is pushed.
#[derive(Clone, Default)]
pub struct PushOptions {
    /// Another repository of the registry that has the blob: it is then linked instead of sent.
    pub mount_from: Option<RepositoryName>,
    /// Sends pieces of this many bytes, for a proxy that limits requests. Otherwise all in one. A
    /// registry that wants larger pieces gets them.
    pub chunk: Option<u64>,
    /// Does not ask first whether the blob is there.
    pub unchecked: bool,
    /// Called with the progress.
    pub progress: Option<ProgressCallback>,
}

/// How a blob got to where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PushOutcome {
    /// It was there.
    Existed,
    /// It was linked from another repository.
    Mounted,
    /// It was sent.
    Uploaded,
}

/// Blobs up to this length are sent with the request that closes the session: one round trip less.
const SMALL: u64 = 1 << 20;

/// The pieces for registries that take nothing but pieces.
const CHUNK: u64 = 16 << 20;

impl Client {
    /// Pushes a blob of this digest and length.
    ///
    /// # Errors
    /// If the source cannot be read, or the registry does not accept it.
    pub async fn push_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        size: u64,
        source: &dyn BlobSource,
        options: &PushOptions,
    ) -> Result<PushOutcome, Error> {
        let mut upload = BlobUpload {
            client: self,
            repository,
            digest,
            size,
            source,
            options,
            scopes: Scopes::repository(repository, &["pull", "push"]),
            session: None,
            chunk: options.chunk,
            takes_bodies: true,
            refused: None,
            attempts: self.attempts(),
        };
        let pushed = upload.run().await;
        if pushed.as_ref().is_err_and(|fault| !matches!(fault.kind, ErrorKind::Unreachable | ErrorKind::Timeout)) {
            upload.cancel().await;
        }
        pushed.map_err(|fault| fault.during(self.about_blob("push blob", repository, digest)))
    }
}

struct BlobUpload<'a> {
    client: &'a Client,
    repository: &'a RepositoryName,
    digest: &'a Digest,
    size: u64,
    source: &'a dyn BlobSource,
    options: &'a PushOptions,
    scopes: Scopes,
    session: Option<UploadSession>,
    chunk: Option<u64>,
    /// Whether the closing request may have a body.
    takes_bodies: bool,
    /// The offset that the registry refused last (416).
    refused: Option<u64>,
    attempts: Attempts,
}

/// An upload session of the registry.
struct UploadSession {
    url: Uri,
    offset: u64,
}

impl BlobUpload<'_> {
    async fn run(&mut self) -> Result<PushOutcome, ErrorCause> {
        if !self.options.unchecked && self.is_there().await? {
            return Ok(PushOutcome::Existed);
        }
        if let Some(from) = &self.options.mount_from
            && self.mount(from).await?
        {
            return Ok(PushOutcome::Mounted);
        }
        loop {
            match self.step().await {
                Ok(false) => {}
                Ok(true) => {
                    report(self.options.progress.as_ref(), TransferPhase::Complete, self.size);
                    return Ok(PushOutcome::Uploaded);
                }
                Err(fault) => {
                    let is_retry = fault.retry;
                    if is_retry {
                        report(self.options.progress.as_ref(), TransferPhase::Resuming, self.offset());
                    }
                    self.attempts.pause(fault).await?;
                    if self.resume().await? {
                        return Ok(PushOutcome::Uploaded);
                    }
                }
            }
        }
    }

    fn offset(&self) -> u64 {
        self.session.as_ref().map_or(0, |session| session.offset)
    }

    /// Whether the blob is in the repository.
    async fn is_there(&self) -> Result<bool, ErrorCause> {
        match self.client.find_blob(self.repository, self.digest).await {
            Ok(found) => Ok(found.is_some()),
            // Some registries let push who may not pull; some answer HEAD by errors of their own.
            Err(fault) if fault.status.is_some() && !fault.retry => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// Links the blob. A registry that does not do it has opened a session, or none.
    async fn mount(&mut self, from: &RepositoryName) -> Result<bool, ErrorCause> {
        let mut call = self.begin_call()?;
        call.url = with_query(&call.url, &[("mount", self.digest.as_str()), ("from", from.as_str())])?;
        let scopes = self.scopes.clone().with("repository", from.as_str(), &["pull"]);
        let answer = self.client.read(&call, &scopes).await?;
        match answer.status {
            StatusCode::CREATED => Ok(true),
            StatusCode::ACCEPTED => {
                self.session = Some(self.opened(&answer)?);
                Ok(false)
            }
            // What keeps from mounting need not keep from pushing.
            status if status.is_client_error() => Ok(false),
            _ => Err(answer.fault()),
        }
    }

    fn begin_call(&self) -> Result<Call, ErrorCause> {
        let mut call = self.client.request(Method::POST, &format!("/v2/{}/blobs/uploads/", self.repository))?;
        if self.digest.algorithm() != Algorithm::default() {
            call.url = with_query(&call.url, &[("digest-algorithm", self.digest.algorithm().as_str())])?;
        }
        Ok(call)
    }

    fn opened(&mut self, answer: &Whole) -> Result<UploadSession, ErrorCause> {
        let least = answer.headers.get("oci-chunk-min-length").and_then(|value| value.to_str().ok()?.parse().ok());
        self.chunk = self.chunk.map(|chunk| chunk.max(least.unwrap_or(1)).max(1));
        let url = self.location(&answer.url, &answer.headers)?;
        Ok(UploadSession {
            url: url.ok_or_else(|| ErrorCause::protocol("the answer names no upload session"))?,
            offset: 0,
        })
    }

    fn location(&self, base: &Uri, headers: &HeaderMap) -> Result<Option<Uri>, ErrorCause> {
        let location = headers::text(headers, header::LOCATION);
        location.map(|location| self.client.locate(base, location)).transpose()
    }

    /// The next request; true if the blob is there.
    async fn step(&mut self) -> Result<bool, ErrorCause> {
        let Some(session) = &self.session else {
            let answer = self.client.read(&self.begin_call()?, &self.scopes).await?;
            // A registry may know the blob from elsewhere.
            if answer.status == StatusCode::CREATED {
                return Ok(true);
            }
            if answer.status != StatusCode::ACCEPTED {
                return Err(answer.fault());
            }
            self.session = Some(self.opened(&answer)?);
            return Ok(false);
        };
        let (url, offset) = (session.url.clone(), session.offset);
        let fits = self.size <= SMALL && self.chunk.is_none_or(|chunk| self.size <= chunk);
        if offset == self.size {
            self.close(&url, 0).await
        } else if offset == 0 && fits && self.takes_bodies {
            self.close(&url, self.size).await
        } else {
            self.append(&url, offset).await.map(|()| false)
        }
    }

    /// Sends the next piece: all that is left, unless pieces are wanted.
    async fn append(&mut self, url: &Uri, offset: u64) -> Result<(), ErrorCause> {
        let length = self.chunk.unwrap_or(u64::MAX).min(self.size - offset);
        let mut call =
            Call::new(Method::PATCH, url.clone()).header(header::CONTENT_TYPE, "application/octet-stream")?;
        // Without a range, old registries append; with one, some refuse the first piece.
        if self.chunk.is_some() || offset > 0 {
            call = call.header(header::CONTENT_RANGE, &format!("{offset}-{}", offset + length - 1))?;
        }
        let answer = self.send(&call, offset, length).await?;
        let status = answer.status;
        if is_too_simple(status) && self.chunk.is_none() {
            self.chunk = Some(CHUNK);
            answer.discard().await;
            return Ok(());
        }
        if !status.is_success() {
            return Err(self.setback(answer, offset).await);
        }
        let (expected, location) = (offset + length, self.location(url, &answer.headers)?);
        let reached = match headers::uploaded(&answer.headers) {
            // One byte looks like none.
            Some(0) if expected == 1 => expected,
            Some(reached) => reached,
            None => expected,
        };
        answer.discard().await;
        if reached > expected || reached <= offset {
            let detail = format!("after {expected} bytes were sent, the registry says it has {reached}");
            return Err(ErrorCause::protocol(detail).retryable());
        }
        self.refused = None;
        self.session = Some(UploadSession { url: location.unwrap_or_else(|| url.clone()), offset: reached });
        self.attempts.reached(reached);
        Ok(())
    }

    /// Ends the session, with the whole blob or without a body.
    async fn close(&mut self, url: &Uri, length: u64) -> Result<bool, ErrorCause> {
        let target = with_query(url, &[("digest", self.digest.as_str())])?;
        let call = Call::new(Method::PUT, target).header(header::CONTENT_TYPE, "application/octet-stream")?;
        let answer = self.send(&call, 0, length).await?;
        if is_too_simple(answer.status) && length > 0 {
            self.takes_bodies = false;
            answer.discard().await;
            return Ok(false);
        }
        if !answer.status.is_success() {
            return Err(self.setback(answer, if length > 0 { 0 } else { self.size }).await);
        }
        let said = said_digest(&answer.headers)?;
        answer.discard().await;
        match said {
            Some(said) if said.algorithm() == self.digest.algorithm() && said != *self.digest => {
                Err(ErrorCause::new(ErrorKind::Digest, format!("the registry stored it as {said}")))
            }
            _ => Ok(true),
        }
    }

    async fn send(&self, call: &Call, offset: u64, length: u64) -> Result<RegistryResponse, ErrorCause> {
        let failed = |error| ErrorCause::source(&error);
        let stream = if length > 0 {
            self.source.open(offset).await.map_err(failed)?
        } else {
            Bytes::new().open(0).await.map_err(failed)?
        };
        let (progress, mut position) = (self.options.progress.clone(), offset);
        let counted = stream.inspect(move |piece| {
            if let Ok(bytes) = piece {
                position += bytes.len() as u64;
                report(progress.as_ref(), TransferPhase::Sending, position);
            }
        });
        self.client.send_stream(call, &self.scopes, Box::pin(counted), length).await
    }

    /// What a refusal means: some are only a matter of where to go on.
    async fn setback(&mut self, answer: RegistryResponse, offset: u64) -> ErrorCause {
        let status = answer.status;
        let fault = answer.fault().await;
        match status {
            StatusCode::RANGE_NOT_SATISFIABLE => {
                self.refused = Some(offset);
                fault.retryable()
            }
            // The session is gone; the next one starts over.
            StatusCode::NOT_FOUND | StatusCode::GONE => fault.retryable(),
            _ if fault.codes.iter().any(|error| error.code == "DIGEST_INVALID") => fault.of(ErrorKind::Digest),
            _ => fault,
        }
    }

    /// After a break: where does the session stand? True if the blob is there.
    async fn resume(&mut self) -> Result<bool, ErrorCause> {
        let Some(session) = &self.session else { return Ok(false) };
        // The closing request may have done its work before the connection broke.
        if (session.offset == self.size || self.size <= SMALL) && self.is_there().await? {
            return Ok(true);
        }
        let answer = self.client.read(&Call::new(Method::GET, session.url.clone()), &self.scopes).await?;
        let url = session.url.clone();
        self.session = match answer.status {
            StatusCode::NO_CONTENT | StatusCode::OK | StatusCode::ACCEPTED => {
                let url = self.location(&url, &answer.headers)?.unwrap_or(url);
                let offset = match headers::uploaded(&answer.headers) {
                    // It refused to begin at 0, so this is how it says one byte.
                    Some(0) if self.refused == Some(0) && answer.headers.contains_key(header::RANGE) => 1,
                    said => said.unwrap_or(0),
                };
                if offset > self.size {
                    return Err(ErrorCause::protocol(format!(
                        "the registry says it has {offset} of {} bytes",
                        self.size
                    )));
                }
                Some(UploadSession { url, offset })
            }
            // Gone, or a registry that does not tell: from the beginning.
            _ => None,
        };
        self.attempts.reached(self.offset());
        Ok(false)
    }

    /// Lets the registry forget a session that failed. Whether it does is its own matter.
    async fn cancel(&self) {
        if let Some(session) = &self.session {
            let call = Call::new(Method::DELETE, session.url.clone());
            if let Ok(answer) = self.client.open_once(&call, &self.scopes).await {
                answer.discard().await;
            }
        }
    }
}

/// A refusal of the way in which the bytes were sent.
fn is_too_simple(status: StatusCode) -> bool {
    matches!(status, StatusCode::METHOD_NOT_ALLOWED | StatusCode::LENGTH_REQUIRED | StatusCode::NOT_IMPLEMENTED)
}

fn with_query(url: &Uri, pairs: &[(&str, &str)]) -> Result<Uri, ErrorCause> {
    url::with_query(url, pairs).map_err(|error| ErrorCause::protocol(format!("the upload's address is {error}")))
}
