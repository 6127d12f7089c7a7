//! Blobs and uploads as files.
//!
//! An upload is a directory: `session.json` (what is noted with it) and `data`, which sealing
//! renames to `sealed`, so that nothing can be added to bytes that were verified, not even after
//! a restart.

use super::{Fs, Inner, lifecycle::older_than};
use crate::{
    files::{Kind, Sys, absent},
    oci::{Digest, Hasher, UploadId},
    storage::{
        Appended, Blob, Check, Content, Error, Item, Progress, Published, Result, Verdict, Verified, blocking,
        content::read_whole, key,
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join;
use std::{io, time::Duration};

/// So many bytes are hashed by one thread while another writes them. Fewer are not worth the second thread, and so many
/// come at once only while few send (`registry::batch`): otherwise the cores are busy as it is.
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
                Error::io("begin", &dir, e)
            })
        })
        .await
    }

    async fn note(&self, id: &UploadId, facts: Bytes) -> Result<bool> {
        let (id, dir) = (*id, key::upload(id));
        self.run(move |inner| {
            let failed = |e| Error::io("note", &dir, e);
            let _lock = inner.lock(&id);
            // Not to make the directory of a session that has ended.
            if absent(inner.sys().meta(&dir)).map_err(failed)?.is_none() {
                return Ok(false);
            }
            inner.place_note(&dir, &facts).map_err(failed)?;
            Ok(true)
        })
        .await
    }

    async fn append(&self, id: &UploadId, at: u64, bytes: Vec<Bytes>, hasher: Hasher) -> Result<(Appended, Hasher)> {
        let (id, path) = (*id, data(&key::upload(id)));
        let hash = |mut hasher: Hasher, bytes: &[Bytes]| {
            bytes.iter().for_each(|part| hasher.update(part));
            hasher
        };
        let write = move |inner: &Inner<S>, bytes: &[Bytes]| {
            inner.append(&id, &path, at, bytes).map_err(|e| Error::io("append to", &path, e))
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

    async fn progress(&self, id: &UploadId) -> Result<Option<Progress>> {
        let dir = key::upload(id);
        if let Some(progress) = self.inner.progress_now(&dir) {
            return Ok(Some(progress));
        }
        self.run(move |inner| inner.progress(&dir).map_err(|e| Error::io("look at", &dir, e))).await
    }

    async fn read_upload(&self, id: &UploadId) -> Result<Option<Blob>> {
        let dir = key::upload(id);
        self.run(move |inner| {
            let failed = |e| Error::io("read", &dir, e);
            match inner.read_blob(&data(&dir)).map_err(failed)? {
                Some(blob) => Ok(Some(blob)),
                None => inner.read_blob(&sealed(&dir)).map_err(failed),
            }
        })
        .await
    }

    async fn seal(&self, id: &UploadId) -> Result<Option<Blob>> {
        let (id, dir) = (*id, key::upload(id));
        self.run(move |inner| {
            let failed = |e| Error::io("seal", &dir, e);
            let _lock = inner.lock(&id);
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

    async fn publish(&self, id: &UploadId, verified: &Verified) -> Result<Published> {
        let (id, dir, verified) = (*id, key::upload(id), verified.clone());
        self.run(move |inner| {
            let published = inner.publish(&id, &dir, &verified)?;
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
            let failed = |e| Error::io("write", &path, e);
            if let Some(published) = inner.already(&path, &verified)? {
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

    async fn abandon(&self, id: &UploadId, idle: Duration) -> Result<Verdict> {
        let (id, dir) = (*id, key::upload(id));
        self.run(move |inner| {
            let failed = |e| Error::io("end", &dir, e);
            let _lock = inner.lock(&id);
            let Some((touched, _)) = absent(inner.age(&dir)).map_err(failed)? else { return Ok(Verdict::Gone) };
            if !idle.is_zero() && !older_than(touched, idle) {
                return Ok(Verdict::Renewed);
            }
            inner.remove_session(&dir);
            match absent(inner.sys().meta(&dir)).map_err(failed)? {
                None => Ok(Verdict::Condemned),
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
        self.run(move |inner| inner.find(&item, |path| inner.read_blob(path).map_err(|e| Error::io("open", path, e))))
            .await
    }

    async fn read(&self, digest: &Digest, check: Check) -> Result<Option<Bytes>> {
        if let Some(small) = self.inner.bytes_now(digest) {
            return small.checked(digest, check).map(Some);
        }
        read_whole(digest, self.open(digest).await?, check).await
    }
}

fn data(dir: &str) -> String {
    format!("{dir}/data")
}

fn sealed(dir: &str) -> String {
    format!("{dir}/sealed")
}

fn session(dir: &str) -> String {
    format!("{dir}/session.json")
}

impl<S: Sys> Inner<S> {
    fn place_note(&self, dir: &str, facts: &Bytes) -> io::Result<()> {
        let staged = self.files.stage(facts, None, false)?;
        let placed = self.sys().rename(staged.path(), &session(dir));
        placed.inspect_err(|_| self.files.discard(staged))
    }

    fn append(&self, id: &UploadId, path: &str, at: u64, bytes: &[Bytes]) -> io::Result<Appended> {
        let _lock = self.lock(id);
        let Some(file) = absent(self.sys().open_rw(path))? else { return Ok(Appended::Gone) };
        let len = self.sys().file_meta(&file)?.len;
        if len != at {
            return Ok(Appended::At(len));
        }
        if let Err(e) = self.sys().write_at(&file, bytes, at) {
            // What did go in was not hashed and not answered for; without it the client's idea
            // of the length holds.
            self.sys().truncate(&file, at)?;
            return Err(e);
        }
        Ok(Appended::To(at + bytes.iter().map(|part| part.len() as u64).sum::<u64>()))
    }

    /// Where an open session stands, if that can be had without waiting: clients go on where they have just been.
    fn progress_now(&self, dir: &str) -> Option<Progress> {
        let (note, about, _) = self.sys().open_now(&session(dir))?;
        let mut facts = vec![0; about.len as usize];
        if self.sys().read_now(&note, &mut facts) != facts.len() {
            return None;
        }
        let (_, data, _) = self.sys().open_now(&data(dir))?;
        Some(Progress { len: data.len, facts: facts.into(), sealed: false, touched: data.modified })
    }

    fn progress(&self, dir: &str) -> io::Result<Option<Progress>> {
        let (path, is_sealed) = match absent(self.sys().meta(&data(dir)))? {
            Some(_) => (data(dir), false),
            None => (sealed(dir), true),
        };
        let Some(meta) = absent(self.sys().meta(&path))? else { return Ok(None) };
        let Some(note) = absent(self.sys().open(&session(dir)))? else { return Ok(None) };
        let mut facts = vec![0; self.sys().file_meta(&note)?.len as usize];
        let read = self.sys().read_at(&note, &mut facts, 0)?;
        facts.truncate(read);
        Ok(Some(Progress { len: meta.len, facts: facts.into(), sealed: is_sealed, touched: meta.modified }))
    }

    /// A blob that can be opened without waiting for anything.
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

    fn publish(&self, id: &UploadId, dir: &str, verified: &Verified) -> Result<Published> {
        let path = key::blob(verified.digest());
        let failed = |e| Error::io("publish", &path, e);
        // No append comes in between.
        let _lock = self.lock(id);
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
                false => Err(Error::damaged(from, "it is not as long as when it was verified")),
            };
        }
        if let Some(published) = self.already(&path, verified)? {
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

    /// Whether a whole blob stands at `path`. Its name is durable then: whoever made it may not
    /// have got so far yet. It counts as new again, too.
    fn already(&self, path: &str, verified: &Verified) -> Result<Option<Published>> {
        let failed = |e| Error::io("look at", path, e);
        match absent(self.sys().meta(path)).map_err(failed)? {
            Some(meta) if meta.kind == Kind::File && meta.len == verified.len() => {
                // A collection may have moved it away meanwhile: then it does not stand here.
                if absent(self.sys().touch(path)).map_err(failed)?.is_none() {
                    return Ok(None);
                }
                self.files.settle(path, "the name of a blob that was there").map_err(failed)?;
                Ok(Some(Published::Existed))
            }
            _ => Ok(None),
        }
    }

    /// Names durable content `path` by `naming`, which does not replace. `None` where something
    /// stands there that is not this blob, and has to be replaced.
    fn named(&self, path: &str, verified: &Verified, naming: impl Fn() -> io::Result<()>) -> Result<Option<Published>> {
        match naming() {
            Ok(()) => {
                self.files.sync_parent(path, "the name of a blob").map_err(|e| Error::io("sync", path, e))?;
                Ok(Some(Published::New))
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => self.already(path, verified),
            Err(e) => Err(Error::io("publish", path, e)),
        }
    }

    /// Removes a session, its bytes first: without them it is none any more, and nothing can be
    /// added. What stays after a crash is swept as an expired session.
    pub(super) fn remove_session(&self, dir: &str) {
        for path in [data(dir), sealed(dir), session(dir)] {
            let _ = self.sys().unlink(&path);
        }
        let _ = self.sys().rmdir(dir);
    }
}
