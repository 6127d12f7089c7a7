//! Blobs: pulled as verified streams that resume, looked up, deleted.

use crate::{
    BlobSource, ByteStream, Client, Error, ProgressCallback, TransferPhase,
    error::{ErrorCause, ErrorKind},
    headers,
    manifest::{mismatch, pull},
    progress::report,
    retry::Attempts,
    transport::RegistryResponse,
};
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::{HeaderValue, Method, StatusCode, header};
use oci::{Digest, Hasher, Reference, RepositoryName};
use std::io;

/// A blob on its way here.
///
/// Its last bytes are handed out only once all of it has the right length and digest. If the
/// connection breaks, it goes on where it was, from the registry anew: the address that a registry
/// redirects to may have expired.
pub struct BlobDownload {
    client: Client,
    repository: RepositoryName,
    digest: Digest,
    size: Option<u64>,
    /// How much was received.
    position: u64,
    /// Of all that was received; only if that is all from the beginning.
    hasher: Option<Hasher>,
    /// All is there, and right.
    is_verified: bool,
    /// Received, and not handed out yet.
    held: Option<Bytes>,
    answer: Option<RegistryResponse>,
    /// A validator of the first answer, so that a resumed one is of the same content.
    etag: Option<HeaderValue>,
    /// The server does not do ranges right: read all of it again, and skip.
    is_whole: bool,
    attempts: Attempts,
    progress: Option<ProgressCallback>,
    is_over: bool,
}

impl Client {
    /// The length of a blob; `None` if there is none.
    ///
    /// # Errors
    /// If the registry does not answer the question.
    pub async fn head_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<Option<u64>, Error> {
        let unknown = || ErrorCause::protocol("the answer does not say how long the blob is");
        let found = self.find_blob(repository, digest).await;
        let length = found.and_then(|found| found.map(|length| length.ok_or_else(unknown)).transpose());
        length.map_err(|fault| fault.during(self.about_blob("look up blob", repository, digest)))
    }

    /// Whether there is a blob, and how long the registry says it is.
    pub(crate) async fn find_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Option<u64>>, ErrorCause> {
        let answer = self.read(&self.request(Method::HEAD, &path(repository, digest))?, &pull(repository)).await?;
        let length = || headers::text(&answer.headers, header::CONTENT_LENGTH).and_then(|size| size.parse().ok());
        match answer.status {
            StatusCode::OK => Ok(Some(length())),
            StatusCode::NOT_FOUND => Ok(None),
            // The registry has it, and sent us to a store whose signed addresses are for GET alone.
            StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED if !self.registry().is_own(&answer.url) => {
                Ok(Some(None))
            }
            _ => Err(answer.fault()),
        }
    }

    /// Pulls a blob. `size` is what its descriptor says, if there is one.
    pub fn pull_blob(&self, repository: &RepositoryName, digest: &Digest, size: Option<u64>) -> BlobDownload {
        self.pull_blob_from(repository, digest, size, 0)
    }

    /// Pulls the rest of a blob. Without its beginning the digest cannot be checked; whoever joins
    /// the two has to.
    pub fn pull_blob_from(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        size: Option<u64>,
        offset: u64,
    ) -> BlobDownload {
        BlobDownload {
            client: self.clone(),
            repository: repository.clone(),
            digest: digest.clone(),
            size,
            position: offset,
            hasher: (offset == 0).then(|| Hasher::new(digest.algorithm())),
            is_verified: false,
            held: None,
            answer: None,
            etag: None,
            is_whole: false,
            attempts: self.attempts(),
            progress: None,
            is_over: false,
        }
    }

    /// Deletes a blob from a repository.
    ///
    /// # Errors
    /// If the registry does not do it; many do not.
    pub async fn delete_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<(), Error> {
        let deleted = self.delete(repository, &path(repository, digest)).await;
        deleted.map_err(|fault| fault.during(self.about_blob("delete blob", repository, digest)))
    }

    pub(crate) fn about_blob(&self, verb: &str, repository: &RepositoryName, digest: &Digest) -> String {
        self.about(verb, repository, &Reference::Digest(digest.clone()))
    }
}

impl BlobDownload {
    /// How long it is, as its descriptor or the registry's answer says; known once the first bytes are here.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Reports progress.
    #[must_use]
    pub fn progress(mut self, progress: ProgressCallback) -> Self {
        self.progress = Some(progress);
        self
    }

    /// The next bytes; `None` at the end, when all of it was verified.
    ///
    /// # Errors
    /// If the blob cannot be pulled, or is not what its digest says. After an error there is
    /// nothing more.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        if self.is_over {
            return Ok(None);
        }
        let next = self.next().await;
        self.is_over = !matches!(next, Ok(Some(_)));
        next.map_err(|fault| fault.during(self.client.about_blob("pull blob", &self.repository, &self.digest)))
    }

    /// As a stream, which ends after the first error.
    pub fn stream(self) -> impl Stream<Item = Result<Bytes, Error>> + Send {
        stream::try_unfold(self, |mut blob| async { Ok(blob.chunk().await?.map(|bytes| (bytes, blob))) })
    }

    /// All of it, if it is no longer than `limit`. For configurations and other small blobs.
    ///
    /// # Errors
    /// As [`BlobDownload::chunk`], and if it is longer.
    pub async fn bytes(mut self, limit: usize) -> Result<Bytes, Error> {
        let mut all = bytes::BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if chunk.len() > limit - all.len() {
                let fault = ErrorCause::new(ErrorKind::TooLarge, format!("it is larger than {limit} bytes"));
                return Err(fault.during(self.client.about_blob("pull blob", &self.repository, &self.digest)));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }

    /// Hands out a piece when the next one has arrived, or the end is verified.
    async fn next(&mut self) -> Result<Option<Bytes>, ErrorCause> {
        loop {
            match self.receive().await {
                Ok(Some(bytes)) => {
                    if let Some(before) = self.held.replace(bytes) {
                        return Ok(Some(before));
                    }
                }
                Ok(None) => {
                    if let Some(last) = self.held.take() {
                        return Ok(Some(last));
                    }
                    report(self.progress.as_ref(), TransferPhase::Complete, self.position);
                    return Ok(None);
                }
                Err(fault) => {
                    self.attempts.reached(self.position);
                    if fault.retry {
                        report(self.progress.as_ref(), TransferPhase::Resuming, self.position);
                    }
                    self.attempts.pause(fault).await?;
                }
            }
        }
    }

    /// The next bytes from the network; `None` if all are there and are right.
    async fn receive(&mut self) -> Result<Option<Bytes>, ErrorCause> {
        if self.is_verified {
            return Ok(None);
        }
        let mut answer = match self.answer.take() {
            Some(answer) => answer,
            // It broke after the last byte.
            None if self.position > 0 && self.size == Some(self.position) => return self.finish(),
            None => self.open().await?,
        };
        match answer.chunk().await? {
            Some(bytes) => {
                self.position += bytes.len() as u64;
                if self.size.is_some_and(|size| self.position > size) {
                    return Err(self.wrong_length());
                }
                if let Some(hasher) = &mut self.hasher {
                    hasher.update(&bytes);
                }
                report(self.progress.as_ref(), TransferPhase::Receiving, self.position);
                self.answer = Some(answer);
                Ok(Some(bytes))
            }
            None => {
                if self.size.is_some_and(|size| self.position < size) {
                    let ended = format!("the answer ended after {} bytes", self.position);
                    return Err(ErrorCause::new(ErrorKind::Unreachable, ended).retryable());
                }
                self.finish()
            }
        }
    }

    fn finish(&mut self) -> Result<Option<Bytes>, ErrorCause> {
        let digest = self.hasher.take().map(Hasher::finish);
        if digest.is_some_and(|digest| digest != self.digest) {
            return Err(mismatch(&self.digest));
        }
        self.is_verified = true;
        Ok(None)
    }

    fn wrong_length(&self) -> ErrorCause {
        let expected = self.size.unwrap_or_default();
        ErrorCause::new(ErrorKind::Digest, format!("it is not {expected} bytes long, as it should be"))
    }

    /// An answer whose body goes on at `position`.
    async fn open(&mut self) -> Result<RegistryResponse, ErrorCause> {
        let mut call = self.client.get(&path(&self.repository, &self.digest))?;
        // Nobody on the way is to change what has a digest.
        call = call.header(header::ACCEPT_ENCODING, "identity")?;
        let is_range = self.position > 0 && !self.is_whole;
        if is_range {
            call = call.header(header::RANGE, &format!("bytes={}-", self.position))?;
            if let Some(etag) = &self.etag {
                call.headers.insert(header::IF_RANGE, etag.clone());
            }
        }
        let answer = self.client.open_once(&call, &pull(&self.repository)).await?;
        match answer.status {
            StatusCode::PARTIAL_CONTENT if is_range => match headers::content_range(&answer.headers) {
                Some((first, _, total)) if first == self.position => {
                    self.learn_size(total)?;
                    Ok(answer)
                }
                _ => Err(self.without_ranges("its partial answer is of another part")),
            },
            StatusCode::RANGE_NOT_SATISFIABLE if is_range => Err(self.without_ranges("it refuses the range")),
            StatusCode::OK => {
                self.learn_size(headers::text(&answer.headers, header::CONTENT_LENGTH).and_then(|n| n.parse().ok()))?;
                self.etag = strong_etag(&answer);
                self.skip(answer).await
            }
            _ => Err(answer.fault().await),
        }
    }

    /// From now on reads all of it, and skips what it has.
    fn without_ranges(&mut self, why: &str) -> ErrorCause {
        self.is_whole = true;
        ErrorCause::protocol(why).retryable()
    }

    /// Passes over what was received before. It is hashed already; if this is other content, the
    /// digest will tell.
    async fn skip(&self, mut answer: RegistryResponse) -> Result<RegistryResponse, ErrorCause> {
        let mut left = self.position;
        while left > 0 {
            let Some(bytes) = answer.chunk().await? else {
                return Err(ErrorCause::new(ErrorKind::Unreachable, "the answer ended early").retryable());
            };
            let skipped = left.min(bytes.len() as u64);
            left -= skipped;
            if skipped < bytes.len() as u64 {
                answer.put_back(bytes.slice(skipped as usize..));
            }
        }
        Ok(answer)
    }

    fn learn_size(&mut self, said: Option<u64>) -> Result<(), ErrorCause> {
        match (self.size, said) {
            (Some(size), Some(said)) if size != said => Err(self.wrong_length()),
            (None, Some(_)) => {
                self.size = said;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// An entity tag that promises the same bytes.
fn strong_etag(answer: &RegistryResponse) -> Option<HeaderValue> {
    let etag = answer.headers.get(header::ETAG)?;
    etag.as_bytes().starts_with(b"\"").then(|| etag.clone())
}

fn path(repository: &RepositoryName, digest: &Digest) -> String {
    format!("/v2/{repository}/blobs/{digest}")
}

/// A blob of a registry, as the source of a push to another. Nothing is kept in between.
#[derive(Clone, Debug)]
pub struct RemoteBlob {
    /// Where it is.
    pub client: Client,
    /// In which repository.
    pub repository: RepositoryName,
    /// Which one.
    pub digest: Digest,
    /// How long its descriptor says it is.
    pub size: Option<u64>,
}

#[async_trait::async_trait]
impl BlobSource for RemoteBlob {
    async fn open(&self, offset: u64) -> io::Result<ByteStream> {
        let blob = self.client.pull_blob_from(&self.repository, &self.digest, self.size, offset);
        let bytes = stream::try_unfold(blob, |mut blob| async {
            Ok(blob.chunk().await.map_err(io::Error::other)?.map(|bytes| (bytes, blob)))
        });
        Ok(Box::pin(bytes))
    }
}
