//! Bytes of uploads.
//!
//! Bytes are gathered in memory until they are a part of full length. What has been gathered at the end of a request is
//! stored before the client is told of it ([`Content::keep`](crate::storage::Content::keep)): an upload that comes in
//! one request is one object.

use super::{
    ObjectStorage, failed,
    names::{DataId, data},
    parts::take,
    session::{self, Held, LiveSession, OpenParts, SessionRecord, SessionState},
};
use crate::storage::{
    Appended, Result, TakenOver, UploadProgress, UploadTurn,
    objects::{ObjectError, PART_LEN, found},
    work_on,
};
use bytes::Bytes;
use oci::{Hasher, UploadId};

impl ObjectStorage {
    pub(super) async fn begin_session(&self, id: &UploadId, note: Bytes) -> Result<()> {
        let mut held = self.sessions.hold(id).await;
        *held = Some(self.create_session(id, SessionRecord::new(DataId::fresh(), self.instance), note).await?);
        Ok(())
    }

    pub(super) async fn progress_of(&self, id: &UploadId) -> Result<Option<UploadProgress>> {
        let mut held = self.sessions.hold(id).await;
        let Some(live) = self.refresh(id, &mut held).await? else { return Ok(None) };
        let sealed = match live.record.state {
            SessionState::Open => false,
            SessionState::Sealed | SessionState::Publishing { .. } => true,
            SessionState::Ended => return Ok(None),
        };
        Ok(Some(UploadProgress { len: live.len(), facts: live.note.clone(), sealed, touched: live.touched }))
    }

    pub(super) async fn append_to(
        &self,
        id: &UploadId,
        turn: &UploadTurn,
        at: u64,
        bytes: Vec<Bytes>,
        mut hasher: Hasher,
    ) -> Result<(Appended, Hasher)> {
        let mut held = self.sessions.hold(id).await;
        let live = match self.session(id, &mut held).await? {
            Some(live) if live.is_open() && !turn.is_over() => live,
            _ => return Ok((Appended::Gone, hasher)),
        };
        if live.len() != at {
            return Ok((Appended::At(live.len()), hasher));
        }
        live.turn = Some(turn.clone());
        let len: usize = bytes.iter().map(Bytes::len).sum();
        // Copied: pieces of a request's body may hold much more memory than their length.
        let (piece, hasher) = work_on(len, move || {
            let piece = Bytes::from(bytes.concat());
            hasher.update(&piece);
            Ok((piece, hasher))
        })
        .await?;
        live.touched = self.clock();
        live.tail_len += piece.len() as u64;
        live.tail.push(piece);
        if let Err(error) = self.put_full_parts(live).await {
            // How much of it is stored is unknown: the record says what is.
            *held = None;
            return Err(error);
        }
        Ok((Appended::To(at + len as u64), hasher))
    }

    /// Stores what is in memory alone, and completes the object that is being written: afterwards all bytes are in
    /// segments. The record is not stored yet.
    pub(super) async fn flush(&self, held: &mut Held) -> Result<()> {
        let Some(live) = held.as_mut() else { return Ok(()) };
        let flushed = self.flush_tail(live).await;
        if flushed.is_err() {
            **held = None;
        }
        flushed
    }

    async fn flush_tail(&self, live: &mut LiveSession) -> Result<()> {
        self.put_full_parts(live).await?;
        self.settle_ahead(live).await?;
        let len = live.tail_len;
        if len > 0 {
            let tail = take(live, len as usize);
            let Some(parts) = live.record.parts.take() else { return self.put_segment(live, tail, len).await };
            let key = data(live.record.data, parts.segment);
            let put = self.objects.put_part(&key, &parts.id, parts.parts.len(), tail).await;
            let OpenParts { segment, id, parts: mut all } = parts;
            all.push(failed(put, "write", &key)?);
            failed(self.objects.complete_parts(&key, &id, &all).await, "complete", &key)?;
            live.record.segments.push((segment, (all.len() as u64 - 1) * PART_LEN as u64 + len));
            return Ok(());
        }
        self.complete(live).await
    }

    /// Completes the object that is being written. If another process has completed it, with more parts perhaps, those
    /// that are known here are its first.
    pub(super) async fn complete(&self, live: &mut LiveSession) -> Result<()> {
        let Some(parts) = live.record.parts.take() else { return Ok(()) };
        let (key, len) = (data(live.record.data, parts.segment), parts.len());
        if len == 0 {
            return failed(self.objects.abort_parts(&key, &parts.id).await, "abort", &key);
        }
        match self.objects.complete_parts(&key, &parts.id, &parts.parts).await {
            Ok(()) => {}
            Err(ObjectError::Absent) => match failed(found(self.objects.head(&key).await), "read", &key)? {
                Some(meta) if meta.len >= len => {}
                // They were dropped. No client was told of them: what was told is in segments.
                _ => return Ok(()),
            },
            Err(error) => return Err(error.during("complete", &key)),
        }
        live.record.segments.push((parts.segment, len));
        Ok(())
    }

    pub(super) async fn keep_session(&self, id: &UploadId, turn: &UploadTurn) -> Result<()> {
        let mut held = self.sessions.hold(id).await;
        if !turn.is_over() {
            self.flush(&mut held).await?;
        }
        Ok(())
    }

    pub(super) async fn note_session(
        &self,
        id: &UploadId,
        turn: &UploadTurn,
        was: &Bytes,
        note: Bytes,
    ) -> Result<bool> {
        let mut held = self.sessions.hold(id).await;
        let is_ours = held.as_ref().is_some_and(|live| live.record.by == self.instance);
        let live = match is_ours {
            true => self.session(id, &mut held).await?,
            false => self.refresh(id, &mut held).await?,
        };
        let has_changed = |live: &LiveSession| live.note != *was || live.record.state == SessionState::Ended;
        let Some(live) = live.filter(|live| !turn.is_over() && !has_changed(live)) else { return Ok(false) };
        live.note = note;
        // Of what others wrote, only the note is replaced.
        let becomes_writer = live.turn.is_some();
        self.save(id, &mut held, becomes_writer).await
    }

    pub(super) async fn take_session_over(
        &self,
        id: &UploadId,
        turn: &UploadTurn,
        to: u64,
        was: &Bytes,
        note: Bytes,
    ) -> Result<TakenOver> {
        let mut held = self.sessions.hold(id).await;
        loop {
            let Some(live) = self.session(id, &mut held).await? else { return Ok(TakenOver::Gone) };
            let len = live.len();
            match live.record.state {
                SessionState::Ended => return Ok(TakenOver::Gone),
                _ if len < to => return Ok(TakenOver::At(len)),
                _ if len > to && live.note != *was => return Ok(TakenOver::Changed),
                SessionState::Publishing { .. } => {
                    if !self.reclaim(id, &mut held).await? {
                        continue;
                    }
                    let Some(_) = held.as_ref() else { return Ok(TakenOver::Gone) };
                }
                SessionState::Open | SessionState::Sealed => {}
            }
            let Some(live) = held.as_mut() else { continue };
            let is_same = len == to && live.record.by == self.instance && live.is_open();
            if len > to {
                self.cut(&mut held, to).await?;
                if let Some(live) = held.as_mut() {
                    live.note = note.clone();
                }
            } else if !is_same && live.record.by != self.instance {
                // The parts of another process are completed, not continued: it may still be writing one.
                self.flush(&mut held).await?;
            }
            if held.as_ref().is_none_or(|live| live.len() < to) {
                self.save(id, &mut held, true).await?;
                continue;
            }
            if let Some(live) = held.as_mut() {
                live.record.state = SessionState::Open;
                if !is_same {
                    // Even if this process wrote it before: a request of another may have read it meanwhile.
                    live.record.epoch += 1;
                    live.record.by = self.instance;
                }
            }
            if is_same || self.save(id, &mut held, true).await? {
                let next = turn.next();
                if let Some(live) = held.as_mut() {
                    live.turn = Some(next.clone());
                    live.touched = if len > to { self.clock() } else { live.touched };
                }
                return Ok(TakenOver::Yes(next));
            }
        }
    }

    /// Drops the bytes after the first `to`.
    async fn cut(&self, held: &mut Held, to: u64) -> Result<()> {
        let Some(live) = held.as_mut() else { return Ok(()) };
        if let Err(error) = self.settle_ahead(live).await {
            **held = None;
            return Err(error);
        }
        let stored = live.record.len();
        if to >= stored && live.record.by == self.instance {
            let keep = take(live, (to - stored) as usize);
            (live.tail, live.tail_len) = (keep, to - stored);
            return Ok(());
        }
        (live.tail, live.tail_len) = (Vec::new(), 0);
        self.flush(held).await?;
        let Some(live) = held.as_mut() else { return Ok(()) };
        let mut left = to;
        live.record.segments.retain_mut(|(_, len)| {
            *len = left.min(*len);
            left -= *len;
            *len > 0
        });
        Ok(())
    }

    /// Seals an upload, with all bytes in segments. `None` if there is none, or the turn is over.
    pub(super) async fn seal_session(&self, id: &UploadId, turn: &UploadTurn) -> Result<Option<super::ObjectBlob>> {
        let mut held = self.sessions.hold(id).await;
        loop {
            let Some(live) = self.session(id, &mut held).await? else { return Ok(None) };
            if turn.is_over() || !matches!(live.record.state, SessionState::Open | SessionState::Sealed) {
                return Ok(None);
            }
            let is_stored = live.record.state == SessionState::Sealed && live.tail_len == 0;
            live.turn = Some(turn.clone());
            live.record.state = SessionState::Sealed;
            self.flush(&mut held).await?;
            if (is_stored || self.save(id, &mut held, true).await?)
                && let Some(live) = held.as_ref()
            {
                return Ok(Some(self.blob_of(&live.record)));
            }
        }
    }

    /// The bytes of an upload so far.
    pub(super) async fn read_session(&self, id: &UploadId) -> Result<Option<super::ObjectBlob>> {
        let mut held = self.sessions.hold(id).await;
        loop {
            let Some(live) = self.session(id, &mut held).await? else { return Ok(None) };
            if live.record.state == SessionState::Ended {
                return Ok(None);
            }
            if live.tail_len == 0 && live.record.parts.is_none() {
                return Ok(Some(self.blob_of(&live.record)));
            }
            self.flush(&mut held).await?;
            if self.save(id, &mut held, true).await?
                && let Some(live) = held.as_ref()
            {
                return Ok(Some(self.blob_of(&live.record)));
            }
        }
    }

    fn blob_of(&self, record: &SessionRecord) -> super::ObjectBlob {
        let segments = record.segments.iter().map(|(segment, len)| (data(record.data, *segment), *len));
        super::ObjectBlob::new(self.objects.clone(), segments.collect())
    }

    /// Renews an upload by writing its record again; `false` if there is none.
    pub(super) async fn renew_session(&self, id: &UploadId) -> Result<bool> {
        let mut held = self.sessions.hold(id).await;
        loop {
            match self.session(id, &mut held).await? {
                None => return Ok(false),
                Some(live) if live.record.state == SessionState::Ended => return Ok(false),
                Some(live) => live.touched = self.clock(),
            }
            if self.save(id, &mut held, false).await? {
                return Ok(true);
            }
        }
    }

    /// Takes the session away from a publication that was interrupted, or is still running: its bytes may belong to a
    /// blob now, so the session goes on with copies. `false` if the record has changed meanwhile; nothing is held if
    /// the session cannot go on.
    async fn reclaim(&self, id: &UploadId, held: &mut Held) -> Result<bool> {
        let Some(live) = held.as_ref() else { return Ok(false) };
        let old = live.record.clone();
        self.condemn_unpublished(&old).await?;
        // Named before anything is in it, so that it is found if this is interrupted.
        let directory = DataId::fresh();
        let Some(live) = held.as_mut() else { return Ok(false) };
        live.record.copying = Some(directory);
        if !self.save(id, held, true).await? {
            return Ok(false);
        }
        for (segment, _) in &old.segments {
            if !self.copy_segment(&data(old.data, *segment), directory).await? {
                self.delete_data(directory).await?;
                self.delete_objects(vec![session::key(id)]).await?;
                **held = None;
                return Ok(true);
            }
        }
        let Some(live) = held.as_mut() else { return Ok(false) };
        (live.record.data, live.record.copying) = (directory, None);
        live.record.state = SessionState::Sealed;
        live.record.epoch += 1;
        self.save(id, held, true).await
    }
}
