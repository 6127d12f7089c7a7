//! Uploads as directories: `session.json` (what is noted with it) and `data`, which sealing renames to `sealed`, so that
//! nothing can be added to bytes that are being verified. Whoever takes a sealed upload over opens it again: what was
//! verified before is then not published any more.

use super::Inner;
use crate::{
    files::{Sys, absent},
    oci::UploadId,
    storage::{Appended, Progress, TakenOver, Turn},
};
use bytes::Bytes;
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

impl<S: Sys> Inner<S> {
    pub(super) fn place_note(&self, dir: &str, facts: &Bytes) -> io::Result<()> {
        let staged = self.files.stage(facts, None, false)?;
        let placed = self.sys().rename(staged.path(), &session(dir));
        placed.inspect_err(|_| self.files.discard(staged))
    }

    pub(super) fn append(
        &self,
        id: &UploadId,
        turn: &Turn,
        path: &str,
        at: u64,
        bytes: &[Bytes],
    ) -> io::Result<Appended> {
        let _lock = self.lock(id);
        if turn.is_over() {
            return Ok(Appended::Gone);
        }
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

    pub(super) fn take_over(
        &self,
        dir: &str,
        turn: &Turn,
        to: u64,
        was: &Bytes,
        facts: &Bytes,
    ) -> io::Result<TakenOver> {
        let (path, is_sealed) = match absent(self.sys().meta(&data(dir)))? {
            Some(_) => (data(dir), false),
            None => (sealed(dir), true),
        };
        let Some(file) = absent(self.sys().open_rw(&path))? else { return Ok(TakenOver::Gone) };
        let len = self.sys().file_meta(&file)?.len;
        if len < to {
            return Ok(TakenOver::At(len));
        }
        if len > to && self.noted(dir)?.as_ref() != Some(was) {
            return Ok(TakenOver::Changed);
        }
        let change = || {
            if is_sealed {
                self.sys().rename(&path, &data(dir))?;
            }
            if len > to {
                // In this order: a hash that was noted for the bytes that go must not outlive them.
                self.place_note(dir, facts)?;
                self.sys().truncate(&file, to)?;
            }
            Ok(())
        };
        // Whatever was done ends the turn of those who have not seen it, and only what is done begins the next.
        let changed = change();
        let next = turn.next();
        changed.map(|()| TakenOver::Yes(next))
    }

    /// What is noted with an upload.
    pub(super) fn noted(&self, dir: &str) -> io::Result<Option<Bytes>> {
        let Some(note) = absent(self.sys().open(&session(dir)))? else { return Ok(None) };
        let mut facts = vec![0; self.sys().file_meta(&note)?.len as usize];
        let read = self.sys().read_at(&note, &mut facts, 0)?;
        facts.truncate(read);
        Ok(Some(facts.into()))
    }

    /// Where an open session stands, if that can be had without waiting: clients go on where they have just been.
    pub(super) fn progress_now(&self, dir: &str) -> Option<Progress> {
        let (note, about, _) = self.sys().open_now(&session(dir))?;
        let mut facts = vec![0; about.len as usize];
        if self.sys().read_now(&note, &mut facts) != facts.len() {
            return None;
        }
        let (_, data, _) = self.sys().open_now(&data(dir))?;
        Some(Progress { len: data.len, facts: facts.into(), sealed: false, touched: data.modified })
    }

    pub(super) fn progress(&self, dir: &str) -> io::Result<Option<Progress>> {
        let (path, is_sealed) = match absent(self.sys().meta(&data(dir)))? {
            Some(_) => (data(dir), false),
            None => (sealed(dir), true),
        };
        let Some(meta) = absent(self.sys().meta(&path))? else { return Ok(None) };
        let Some(facts) = self.noted(dir)? else { return Ok(None) };
        Ok(Some(Progress { len: meta.len, facts, sealed: is_sealed, touched: meta.modified }))
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
