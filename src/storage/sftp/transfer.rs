//! The bytes of open files, with several requests under way: a request at a time would be slow over a distance.

use super::{RemoteMeta, SftpTrouble, link::RemoteFile};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use russh_sftp::{
    client::error::Error as SftpError,
    protocol::{FileAttributes, StatusCode},
};
use std::{sync::Arc, time::SystemTime};

/// Most bytes of one transfer that are under way.
const IN_FLIGHT: usize = 4 << 20;

/// A file that is open for reading.
#[derive(Clone)]
pub struct RemoteReader {
    file: Arc<RemoteFile>,
    pub meta: RemoteMeta,
}

impl RemoteReader {
    pub(super) fn new(file: RemoteFile, meta: RemoteMeta) -> Self {
        Self { file: Arc::new(file), meta }
    }

    /// The bytes of a span in order, with several requests under way. It ends early if the file does.
    pub fn read(&self, start: u64, len: u64) -> impl stream::Stream<Item = Result<Bytes, SftpTrouble>> + Send + use<> {
        let piece = u64::from(self.file.link.read_len);
        let (file, end) = (self.file.clone(), start + len);
        let at_once = IN_FLIGHT / self.file.link.read_len as usize;
        let offsets = stream::iter((0..len.div_ceil(piece)).map(move |index| start + index * piece));
        offsets
            .map(move |at| {
                let file = file.clone();
                async move { read_exactly(&file, at, piece.min(end - at) as u32).await }
            })
            .buffered(at_once.max(1))
    }
}

/// Reads until so many bytes came, or the file ends.
async fn read_exactly(file: &RemoteFile, at: u64, len: u32) -> Result<Bytes, SftpTrouble> {
    let first = read_piece(file, at, len).await?;
    if first.len() == len as usize || first.is_empty() {
        return Ok(first);
    }
    let mut bytes = first.to_vec();
    while bytes.len() < len as usize {
        let more = read_piece(file, at + bytes.len() as u64, len - bytes.len() as u32).await?;
        if more.is_empty() {
            break;
        }
        bytes.extend_from_slice(&more);
    }
    Ok(bytes.into())
}

/// One read; empty at the end of the file.
pub(super) async fn read_piece(file: &RemoteFile, at: u64, len: u32) -> Result<Bytes, SftpTrouble> {
    if len == 0 {
        return Ok(Bytes::new());
    }
    let read = match file.link.session.read(file.handle.clone(), at, len).await {
        Ok(data) => Ok(data.data.into()),
        Err(SftpError::Status(status)) if status.status_code == StatusCode::Eof => Ok(Bytes::new()),
        Err(error) => Err(error.into()),
    };
    file.link.watch(read)
}

impl RemoteFile {
    /// Writes bytes at a place, with several requests under way.
    pub(super) async fn write(&self, at: u64, pieces: &[Bytes]) -> Result<(), SftpTrouble> {
        let most = self.link.write_len as usize;
        let mut place = at;
        let mut writes = Vec::new();
        for piece in pieces {
            let mut rest = piece.clone();
            while !rest.is_empty() {
                let next = rest.split_to(rest.len().min(most));
                let here = place;
                place += next.len() as u64;
                writes.push((here, next));
            }
        }
        let written = stream::iter(writes.into_iter().map(Ok))
            .try_for_each_concurrent((IN_FLIGHT / most).max(1), |(at, bytes)| async move {
                self.link.session.write(self.handle.clone(), at, bytes.to_vec()).await.map(drop)
            });
        self.link.watch(written.await.map_err(SftpTrouble::from))
    }

    /// Makes its bytes durable, if the server can.
    pub(super) async fn sync(&self) -> Result<(), SftpTrouble> {
        if !self.link.offers.fsync {
            return Ok(());
        }
        let synced = self.link.session.fsync(self.handle.clone()).await;
        self.link.watch(synced.map(drop).map_err(SftpTrouble::from))
    }

    /// What the server says about it.
    pub(super) async fn meta(&self) -> Result<RemoteMeta, SftpTrouble> {
        let found = self.link.session.fstat(self.handle.clone()).await;
        self.link.watch(found.map(|found| RemoteMeta::from(&found.attrs)).map_err(SftpTrouble::from))
    }

    /// Cuts it to a length.
    pub(super) async fn cut(&self, len: u64) -> Result<(), SftpTrouble> {
        let attributes = FileAttributes { size: Some(len), ..FileAttributes::default() };
        let cut = self.link.session.fsetstat(self.handle.clone(), attributes).await;
        self.link.watch(cut.map(drop).map_err(SftpTrouble::from))
    }

    /// Sets its time, if the server lets us. Whether it did, [`RemoteFile::meta`] tells.
    pub(super) async fn set_modified(&self, modified: SystemTime) -> Result<(), SftpTrouble> {
        let seconds = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let seconds = Some(u32::try_from(seconds).unwrap_or(u32::MAX));
        let attributes = FileAttributes { atime: seconds, mtime: seconds, ..FileAttributes::default() };
        let set = self.link.session.fsetstat(self.handle.clone(), attributes).await;
        match self.link.watch(set.map_err(SftpTrouble::from)) {
            Err(trouble) if trouble.is_lost() => Err(trouble),
            _ => Ok(()),
        }
    }
}
