//! Uploads as directories: `session.json` (the note) and `data`, which is renamed to `sealed` when the upload is
//! sealed, so that nothing can be appended to bytes that are being verified. Taking over a sealed upload reopens it:
//! what was verified before is then not published any more.

use super::FsInner;
use crate::{
    files::{Meta, Sys, absent},
    storage::{Appended, TakenOver, UploadProgress, UploadTurn},
};
use bytes::Bytes;
use oci::UploadId;
use std::io;

pub(super) fn data(dir: &str) -> String {
    format!("{dir}/data")
}

pub(super) fn sealed(dir: &str) -> String {
    format!("{dir}/sealed")
}

pub(super) fn session(dir: &str) -> String {
    format!("{dir}/session.json")
}

impl<S: Sys> FsInner<S> {
    pub(super) fn place_note(&self, dir: &str, facts: &Bytes) -> io::Result<()> {
        let staged = self.files.stage(facts, None, false)?;
        let placed = self.sys().rename(staged.path(), &session(dir));
        placed.inspect_err(|_| self.files.discard(staged))
    }

    pub(super) fn append(
        &self,
        id: &UploadId,
        turn: &UploadTurn,
        dir: &str,
        at: u64,
        bytes: &[Bytes],
    ) -> io::Result<Appended> {
        let _lock = self.lock(id);
        if turn.is_over() {
            return Ok(Appended::Gone);
        }
        let Some(file) = absent(self.sys().open_rw(&data(dir)))? else { return Ok(Appended::Gone) };
        let meta = self.sys().file_meta(&file)?;
        if self.ends_published(dir, &meta) {
            return Ok(Appended::Gone);
        }
        let len = meta.len;
        if len != at {
            return Ok(Appended::At(len));
        }
        if let Err(e) = self.sys().write_at(&file, bytes, at) {
            // Bytes of the failed append were neither hashed nor acknowledged; without them the length is what the
            // client expects.
            self.sys().truncate(&file, at)?;
            return Err(e);
        }
        Ok(Appended::To(at + bytes.iter().map(|part| part.len() as u64).sum::<u64>()))
    }

    pub(super) fn take_over(
        &self,
        dir: &str,
        turn: &UploadTurn,
        to: u64,
        was: &Bytes,
        facts: &Bytes,
    ) -> io::Result<TakenOver> {
        let (path, is_sealed) = match absent(self.sys().meta(&data(dir)))? {
            Some(_) => (data(dir), false),
            None => (sealed(dir), true),
        };
        let Some(file) = absent(self.sys().open_rw(&path))? else { return Ok(TakenOver::Gone) };
        let meta = self.sys().file_meta(&file)?;
        let len = meta.len;
        if len < to {
            return Ok(TakenOver::At(len));
        }
        if len > to && self.ends_published(dir, &meta) {
            return Ok(TakenOver::Gone);
        }
        if len > to && self.read_note(dir)?.as_ref() != Some(was) {
            return Ok(TakenOver::Changed);
        }
        let change = || {
            if is_sealed {
                self.sys().rename(&path, &data(dir))?;
            }
            if len > to {
                // In this order: the hash of bytes that are cut off must not outlive them.
                self.place_note(dir, facts)?;
                self.sys().truncate(&file, to)?;
            }
            Ok(())
        };
        // Whatever was done ends the turns of requests that have not seen it, and only a completed change begins the
        // next turn.
        let changed = change();
        let next = turn.next();
        changed.map(|()| TakenOver::Yes(next))
    }

    /// The note of an upload.
    pub(super) fn read_note(&self, dir: &str) -> io::Result<Option<Bytes>> {
        let Some(note) = absent(self.sys().open(&session(dir)))? else { return Ok(None) };
        let mut facts = vec![0; self.sys().file_meta(&note)?.len as usize];
        let read = self.sys().read_at(&note, &mut facts, 0)?;
        facts.truncate(read);
        Ok(Some(facts.into()))
    }

    /// The progress of an open session, if that does not have to wait: clients continue where they just were.
    pub(super) fn progress_now(&self, dir: &str) -> Option<UploadProgress> {
        let (note, about, _) = self.sys().open_now(&session(dir))?;
        let mut facts = vec![0; about.len as usize];
        if self.sys().read_now(&note, &mut facts) != facts.len() {
            return None;
        }
        let (_, data, _) = self.sys().open_now(&data(dir))?;
        Some(UploadProgress { len: data.len, facts: facts.into(), sealed: false, touched: data.modified })
    }

    pub(super) fn progress(&self, dir: &str) -> io::Result<Option<UploadProgress>> {
        let (path, is_sealed) = match absent(self.sys().meta(&data(dir)))? {
            Some(_) => (data(dir), false),
            None => (sealed(dir), true),
        };
        let Some(meta) = absent(self.sys().meta(&path))? else { return Ok(None) };
        let Some(facts) = self.read_note(dir)? else { return Ok(None) };
        Ok(Some(UploadProgress { len: meta.len, facts, sealed: is_sealed, touched: meta.modified }))
    }

    /// Ends a session whose bytes have a second name, and returns whether it did. That name may be a blob, which must
    /// never change. A crash can leave both names of a blob that was being published: a power failure may keep each
    /// half of a rename, and a file system that cannot rename without replacing gives the second name first.
    fn ends_published(&self, dir: &str, meta: &Meta) -> bool {
        let is_published = meta.links > 1;
        if is_published {
            self.remove_session(dir);
        }
        is_published
    }

    /// Removes a session, its bytes first: without them it does not exist any more, and nothing can be appended.
    /// Anything left after a crash is removed with the expired sessions.
    pub(super) fn remove_session(&self, dir: &str) {
        for path in [data(dir), sealed(dir), session(dir)] {
            let _ = self.sys().unlink(&path);
        }
        let _ = self.sys().rmdir(dir);
    }
}

#[cfg(test)]
mod tests {
    use super::{data, sealed};
    use crate::storage::{
        Appended, Content, TakenOver, UploadTurn,
        fs::{Fs, Init},
        key::{self, blob},
    };
    use bytes::Bytes;
    use oci::{Algorithm, Hasher, UploadId};

    #[tokio::test]
    async fn a_session_whose_bytes_became_a_blob_ends_when_it_is_written_to() {
        let root = tempfile::tempdir().unwrap();
        let (store, _) = Fs::open(root.path(), Init::EmptyDirectory).unwrap();
        let note = Bytes::from_static(b"{}");
        let hasher = || Hasher::new(Algorithm::Sha256);
        let published = root.path().join(blob(&Hasher::digest(Algorithm::Sha256, b"layer")));
        for (name, is_longer) in [("data", true), ("data", false), ("sealed", false)] {
            let (id, turn) = (UploadId::from(uuid::Uuid::new_v4()), UploadTurn::default());
            let dir = key::upload(&id);
            store.begin(&id, note.clone()).await.unwrap();
            store.append(&id, &turn, 0, vec!["layer".into()], hasher()).await.unwrap();
            if name == "sealed" {
                store.seal(&id, &turn).await.unwrap().unwrap();
                assert!(!root.path().join(data(&dir)).exists() && root.path().join(sealed(&dir)).exists());
            }
            std::fs::create_dir_all(published.parent().unwrap()).unwrap();
            std::fs::hard_link(root.path().join(format!("{dir}/{name}")), &published).unwrap();
            // Nothing of it changes yet: the request that was to publish it can be repeated.
            let same = store.take_over(&id, &turn, 5, &note, note.clone()).await.unwrap();
            let TakenOver::Yes(turn) = same else { panic!("{same:?}") };
            match is_longer {
                true => {
                    let (appended, _) = store.append(&id, &turn, 5, vec!["more".into()], hasher()).await.unwrap();
                    assert_eq!(appended, Appended::Gone);
                }
                false => {
                    let cut = store.take_over(&id, &turn, 0, &note, note.clone()).await.unwrap();
                    assert!(matches!(cut, TakenOver::Gone), "{cut:?}");
                }
            }
            assert!(store.progress(&id).await.unwrap().is_none(), "the session has ended");
            assert_eq!(std::fs::read(&published).unwrap(), b"layer");
            std::fs::remove_file(&published).unwrap();
        }
    }
}
