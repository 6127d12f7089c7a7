//! Blobs and uploads as files: the calls of [`Content`].

use super::{
    Fs, FsInner,
    lifecycle::older_than,
    upload::{data, sealed, session},
};
use crate::{
    files::{FileKind, IntakeMode, Sys, absent},
    storage::{
        Appended, Blob, Condemnation, Content, DigestCheck, Item, Published, Result, StorageError, TakenIn, TakenOver,
        UploadProgress, UploadTurn, Verified, blocking, content::read_whole, key,
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join;
use oci::{Digest, Hasher, UploadId};
use std::{io, sync::Arc, time::Duration};

/// From this length on, one thread hashes while another writes. Shorter batches are not worth a second thread, and
/// batches this long come only while few clients send (`registry::batch`): otherwise all cores are busy anyway.
const HASHED_APART: usize = 512 << 10;

#[async_trait]
impl<S: Sys> Content for Fs<S> {
    async fn begin(&self, id: &UploadId, facts: Bytes) -> Result<()> {
        let dir = key::upload(id);
        self.run(move |inner| {
            let begun = || {
                inner.files.make_dir(&dir)?;
                inner.files.make_growing(&data(&dir), &Bytes::new())?;
                inner.files.make_growing(&session(&dir), &facts)
            };
            begun().map_err(|e| {
                inner.remove_session(&dir);
                StorageError::io("begin", &dir, e)
            })
        })
        .await
    }

    async fn note(&self, id: &UploadId, turn: &UploadTurn, was: &Bytes, facts: Bytes) -> Result<bool> {
        let (id, dir, turn, was) = (*id, key::upload(id), turn.clone(), was.clone());
        self.run(move |inner| {
            let failed = |e| StorageError::io("note", &dir, e);
            let _lock = inner.lock(&id);
            // A session that has ended has no note, and its directory is not recreated.
            if turn.is_over() || inner.read_note(&dir).map_err(failed)? != Some(was) {
                return Ok(false);
            }
            inner.place_note(&dir, &facts).map_err(failed)?;
            Ok(true)
        })
        .await
    }

    async fn append(
        &self,
        id: &UploadId,
        turn: &UploadTurn,
        at: u64,
        bytes: Vec<Bytes>,
        hasher: Hasher,
    ) -> Result<(Appended, Hasher)> {
        let (id, turn, dir) = (*id, turn.clone(), key::upload(id));
        let hash = |mut hasher: Hasher, bytes: &[Bytes]| {
            bytes.iter().for_each(|part| hasher.update(part));
            hasher
        };
        let write = move |inner: &FsInner<S>, bytes: &[Bytes]| {
            inner.append(&id, &turn, &dir, at, bytes).map_err(|e| StorageError::io("append to", &dir, e))
        };
        if bytes.iter().map(Bytes::len).sum::<usize>() < HASHED_APART {
            return self
                .run(move |inner| match write(inner, &bytes)? {
                    appended @ Appended::To(_) => Ok((appended, hash(hasher, &bytes))),
                    appended => Ok((appended, hasher)),
                })
                .await;
        }
        let (parts, seen) = (bytes.clone(), hasher.clone());
        let writing = self.run(move |inner| write(inner, &bytes));
        match join(writing, blocking(move || Ok(hash(seen, &parts)))).await {
            (Ok(appended @ Appended::To(_)), hashed) => Ok((appended, hashed?)),
            (appended, _) => Ok((appended?, hasher)),
        }
    }

    async fn take_over(
        &self,
        id: &UploadId,
        turn: &UploadTurn,
        to: u64,
        was: &Bytes,
        facts: Bytes,
    ) -> Result<TakenOver> {
        let (id, dir, turn, was) = (*id, key::upload(id), turn.clone(), was.clone());
        self.run(move |inner| {
            let _lock = inner.lock(&id);
            inner.take_over(&dir, &turn, to, &was, &facts).map_err(|e| StorageError::io("take over", &dir, e))
        })
        .await
    }

    async fn progress(&self, id: &UploadId) -> Result<Option<UploadProgress>> {
        let dir = key::upload(id);
        if let Some(progress) = self.inner.progress_now(&dir) {
            return Ok(Some(progress));
        }
        self.run(move |inner| inner.progress(&dir).map_err(|e| StorageError::io("look at", &dir, e))).await
    }

    async fn read_upload(&self, id: &UploadId) -> Result<Option<Blob>> {
        let dir = key::upload(id);
        self.run(move |inner| {
            let failed = |e| StorageError::io("read", &dir, e);
            match inner.read_blob(&data(&dir)).map_err(failed)? {
                Some(blob) => Ok(Some(blob)),
                None => inner.read_blob(&sealed(&dir)).map_err(failed),
            }
        })
        .await
    }

    async fn seal(&self, id: &UploadId, turn: &UploadTurn) -> Result<Option<Blob>> {
        let (id, turn, dir) = (*id, turn.clone(), key::upload(id));
        self.run(move |inner| {
            let failed = |e| StorageError::io("seal", &dir, e);
            let _lock = inner.lock(&id);
            if turn.is_over() {
                return Ok(None);
            }
            if let Some(blob) = inner.read_blob(&sealed(&dir)).map_err(failed)? {
                return Ok(Some(blob));
            }
            match absent(inner.sys().rename(&data(&dir), &sealed(&dir))).map_err(failed)? {
                Some(()) => inner.read_blob(&sealed(&dir)).map_err(failed),
                None => Ok(None),
            }
        })
        .await
    }

    async fn publish(&self, id: &UploadId, turn: &UploadTurn, verified: &Verified) -> Result<Published> {
        let (id, turn, dir, verified) = (*id, turn.clone(), key::upload(id), verified.clone());
        self.run(move |inner| {
            // No append comes in between, and nobody takes over an upload that is about to be removed.
            let _lock = inner.lock(&id);
            if turn.is_over() {
                return Ok(Published::Gone);
            }
            let published = inner.publish(&dir, &verified)?;
            if !matches!(published, Published::Gone | Published::Differs) {
                inner.remove_session(&dir);
            }
            Ok(published)
        })
        .await
    }

    async fn put_blob(&self, verified: &Verified, bytes: Bytes) -> Result<Published> {
        let verified = verified.clone();
        self.run(move |inner| {
            let path = key::blob(verified.digest());
            let failed = |e| StorageError::io("write", &path, e);
            if let Some(published) = inner.existing(&path, &verified)? {
                return Ok(published);
            }
            let staged = inner.files.stage(&bytes, Some("the bytes of a small blob"), false).map_err(failed)?;
            let placed = inner.named(&path, &verified, || inner.files.place_new(&staged, &path));
            match placed {
                Ok(Some(published)) => {
                    if published != Published::New {
                        inner.files.discard(staged);
                    }
                    Ok(published)
                }
                Ok(None) => {
                    inner.files.place(staged, &path).map_err(failed)?;
                    inner.files.sync_parent(&path, "the name of a healed small blob").map_err(failed)?;
                    Ok(Published::Healed)
                }
                Err(e) => {
                    inner.files.discard(staged);
                    Err(e)
                }
            }
        })
        .await
    }

    async fn take_in(&self, from: Arc<std::fs::File>, mode: IntakeMode, hasher: Hasher) -> Result<(TakenIn, Hasher)> {
        self.run(move |inner| inner.take_in(&from, mode, hasher)).await
    }

    async fn publish_taken_in(&self, blobs: Vec<(TakenIn, Verified)>) -> Result<Vec<Published>> {
        self.run(move |inner| inner.publish_taken_in(blobs)).await
    }

    async fn drop_taken_in(&self, taken: TakenIn) -> Result<()> {
        self.run(move |inner| {
            inner.drop_taken_in(taken);
            Ok(())
        })
        .await
    }

    async fn abandon(&self, id: &UploadId, turn: &UploadTurn, idle: Duration) -> Result<Condemnation> {
        let (id, turn, dir) = (*id, turn.clone(), key::upload(id));
        self.run(move |inner| {
            let failed = |e| StorageError::io("end", &dir, e);
            let _lock = inner.lock(&id);
            let Some((touched, _)) = absent(inner.age(&dir)).map_err(failed)? else { return Ok(Condemnation::Gone) };
            if turn.is_over() || (!idle.is_zero() && !older_than(touched, idle)) {
                return Ok(Condemnation::Renewed);
            }
            inner.remove_session(&dir);
            match absent(inner.sys().meta(&dir)).map_err(failed)? {
                None => Ok(Condemnation::Condemned),
                Some(_) => Err(failed(io::ErrorKind::DirectoryNotEmpty.into())),
            }
        })
        .await
    }

    async fn open(&self, digest: &Digest) -> Result<Option<Blob>> {
        let item = Item::Blob(digest.clone());
        if let Some(blob) = self.inner.blob_now(&item.path()) {
            return Ok(Some(blob));
        }
        self.run(move |inner| {
            inner.find(&item, |path| inner.read_blob(path).map_err(|e| StorageError::io("open", path, e)))
        })
        .await
    }

    async fn read(&self, digest: &Digest, check: DigestCheck) -> Result<Option<Bytes>> {
        if let Some(small) = self.inner.bytes_now(digest) {
            return small.checked(digest, check).map(Some);
        }
        let path = key::blob(digest);
        if let Some(small) = self.run(move |inner| Ok(inner.small_kept(&path))).await? {
            return small.checked(digest, check).map(Some);
        }
        read_whole(digest, self.open(digest).await?, check).await
    }
}

impl<S: Sys> FsInner<S> {
    /// Opens a blob if that does not have to wait.
    fn blob_now(&self, path: &str) -> Option<Blob> {
        let (file, meta, _) = self.sys().open_now(path)?;
        self.sys().share(file).ok().map(|file| Blob::file(file, meta.len))
    }

    pub(super) fn read_blob(&self, path: &str) -> io::Result<Option<Blob>> {
        let Some(file) = absent(self.sys().open(path))? else { return Ok(None) };
        let len = self.sys().file_meta(&file)?.len;
        match self.sys().share(file) {
            Ok(file) => Ok(Some(Blob::file(file, len))),
            Err(file) => {
                let mut bytes = vec![0; len as usize];
                let read = self.sys().read_at(&file, &mut bytes, 0)?;
                bytes.truncate(read);
                Ok(Some(Blob::memory(bytes.into())))
            }
        }
    }

    fn publish(&self, dir: &str, verified: &Verified) -> Result<Published> {
        let path = key::blob(verified.digest());
        let failed = |e| StorageError::io("publish", &path, e);
        let (from, file) = match absent(self.sys().open(&data(dir))).map_err(failed)? {
            Some(file) => (data(dir), file),
            None => match absent(self.sys().open(&sealed(dir))).map_err(failed)? {
                Some(file) => (sealed(dir), file),
                None => return Ok(Published::Gone),
            },
        };
        if self.sys().file_meta(&file).map_err(failed)?.len != verified.len() {
            return match from == data(dir) {
                true => Ok(Published::Differs),
                false => Err(StorageError::damaged(from, "it is not as long as when it was verified")),
            };
        }
        if let Some(published) = self.existing(&path, verified)? {
            return Ok(published);
        }
        self.files.sync_data(&file, &from, "the bytes of an upload").map_err(failed)?;
        match self.named(&path, verified, || self.files.rename_new(&from, &path))? {
            Some(published) => Ok(published),
            None => {
                self.files.rename(&from, &path).map_err(failed)?;
                self.files.sync_parent(&path, "the name of a healed blob").map_err(failed)?;
                Ok(Published::Healed)
            }
        }
    }

    /// Whether a whole blob is at `path`. If so, makes its name durable, as its writer may not have synced it yet, and
    /// renews it.
    pub(super) fn existing(&self, path: &str, verified: &Verified) -> Result<Option<Published>> {
        let failed = |e| StorageError::io("look at", path, e);
        match absent(self.sys().meta(path)).map_err(failed)? {
            Some(meta) if meta.kind == FileKind::File && meta.len == verified.len() => {
                // A collection may have moved it away in the meantime; then it counts as missing.
                if absent(self.sys().touch(path)).map_err(failed)?.is_none() {
                    return Ok(None);
                }
                self.files.settle(path, "the name of a blob that was there").map_err(failed)?;
                Ok(Some(Published::Existed))
            }
            _ => Ok(None),
        }
    }

    /// Gives durable content the name `path` by `naming`, which does not replace. `None` if something else is there and
    /// has to be replaced.
    fn named(&self, path: &str, verified: &Verified, naming: impl Fn() -> io::Result<()>) -> Result<Option<Published>> {
        match naming() {
            Ok(()) => {
                self.files.sync_parent(path, "the name of a blob").map_err(|e| StorageError::io("sync", path, e))?;
                Ok(Some(Published::New))
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => self.existing(path, verified),
            Err(e) => Err(StorageError::io("publish", path, e)),
        }
    }
}
