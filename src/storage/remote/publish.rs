//! How the bytes of an upload become a blob, and how an upload ends otherwise.

use super::{
    ObjectStorage, failed,
    generations::write_segments,
    names::{BytesIn, Generation, LEASE, ListedGeneration, Marker, data},
    session::{self, Held, SessionRecord, SessionState},
};
use crate::storage::{Condemnation, Condemned, Item, Published, Result, RunId, UploadTurn, Verified, Why};
use bytes::Bytes;
use oci::UploadId;
use std::time::Duration;

/// Up to this length, the bytes of an upload that are still in memory are stored in the generation itself.
const SMALL: u64 = 1 << 20;

/// A blob that exists is renewed by a push if it is older than this.
const RENEWED_AFTER: Duration = Duration::from_secs(600);

impl ObjectStorage {
    pub(super) async fn publish_session(
        &self,
        id: &UploadId,
        turn: &UploadTurn,
        verified: &Verified,
    ) -> Result<Published> {
        let mut held = self.sessions.hold(id).await;
        let Some(live) = self.session(id, &mut held).await? else { return Ok(Published::Gone) };
        if turn.is_over() || !matches!(live.record.state, SessionState::Open | SessionState::Sealed) {
            return Ok(Published::Gone);
        }
        if live.len() != verified.len() {
            return Ok(Published::Differs);
        }
        live.turn = Some(turn.clone());
        let in_memory = live.record.len() == 0 && live.len() <= SMALL;
        if in_memory {
            let bytes = Bytes::from(live.tail.concat());
            let published = self.put_bytes(verified, bytes).await?;
            self.end_session(id, &mut held).await?;
            return Ok(published);
        }
        self.flush(&mut held).await?;
        let Some(live) = held.as_ref() else { return Ok(Published::Gone) };
        if live.len() != verified.len() {
            return Ok(Published::Differs);
        }
        let item = Item::Blob(verified.digest().clone());
        let looked = self.look_for_push(&item).await?;
        if let Some(published) = self.renew_existing(&item, &looked, verified.len()).await? {
            // Even if another process has it now: its bytes are the blob's.
            return self.drop_session(id, &mut held).await.map(|_| published);
        }
        let bytes = match live.record.segments.as_slice() {
            [(segment, _)] => BytesIn::One(live.record.data, *segment),
            _ => BytesIn::Many(live.record.data),
        };
        let value = match bytes {
            BytesIn::Many(_) => write_segments(&live.record.segments),
            BytesIn::One(..) | BytesIn::Itself => Bytes::new(),
        };
        let generation = Generation::after(&looked, verified.len(), bytes);
        let publishing = (verified.digest().clone(), generation.to_string());
        let Some(live) = held.as_mut() else { return Ok(Published::Gone) };
        live.record.state = SessionState::Publishing { digest: publishing.0, generation: publishing.1 };
        if !self.save(id, &mut held, true).await? {
            return Ok(Published::Gone);
        }
        let put = self.put_object(&format!("{}/{generation}", item.path()), value).await;
        *held = None;
        put?;
        let published = self.heal(&item, &looked, verified.len()).await?;
        self.delete_objects(vec![session::key(id)]).await?;
        self.sessions.forget(id);
        Ok(published)
    }

    /// The usable generations of a blob that is pushed; whether they are whole is checked.
    async fn look_for_push(&self, item: &Item) -> Result<Vec<ListedGeneration>> {
        // Nothing is there, mostly: then one list shows it.
        if self.generations(item).await?.generations.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.look_with_bytes(item).await?.usable().copied().collect())
    }

    /// If a blob of this length exists, it is renewed and stays.
    async fn renew_existing(&self, item: &Item, usable: &[ListedGeneration], len: u64) -> Result<Option<Published>> {
        let Some(listed) = usable.iter().rfind(|listed| listed.generation.len == len) else { return Ok(None) };
        if self.idle_for(listed.written, RENEWED_AFTER) {
            self.put_object(&format!("{}/{LEASE}", item.path()), Bytes::new()).await?;
        }
        Ok(Some(Published::Existed))
    }

    /// After a right generation is there, those of another length are removed.
    async fn heal(&self, item: &Item, before: &[ListedGeneration], len: u64) -> Result<Published> {
        let wrong: Vec<_> = before.iter().filter(|listed| listed.generation.len != len).copied().collect();
        if let Item::Blob(digest) = item {
            self.memory.forget_blob(digest);
        }
        if wrong.is_empty() {
            return Ok(Published::New);
        }
        self.remove_generations(item, &wrong).await?;
        Ok(Published::Healed)
    }

    /// Stores bytes in memory as a blob.
    pub(super) async fn put_bytes(&self, verified: &Verified, bytes: Bytes) -> Result<Published> {
        let item = Item::Blob(verified.digest().clone());
        let looked = self.look_for_push(&item).await?;
        // Its length is checked against the name: a test vouches for wrong ones.
        if let Some(existed) = self.renew_existing(&item, &looked, bytes.len() as u64).await? {
            return Ok(existed);
        }
        let generation = Generation::after(&looked, bytes.len() as u64, BytesIn::Itself);
        self.put_object(&format!("{}/{generation}", item.path()), bytes.clone()).await?;
        self.heal(&item, &looked, bytes.len() as u64).await
    }

    /// Ends a session whose bytes are not needed; `false` if another process has changed it.
    async fn end_session(&self, id: &UploadId, held: &mut Held) -> Result<bool> {
        let Some(live) = held.as_mut() else { return Ok(false) };
        // Whether that part is stored does not matter any more, but nothing may write it after its removal.
        let _ = self.settle_ahead(live).await;
        (live.tail, live.tail_len) = (Vec::new(), 0);
        if live.record.segments.is_empty() && live.record.parts.is_none() {
            self.delete_objects(vec![session::key(id)]).await?;
            **held = None;
            self.sessions.forget(id);
            return Ok(true);
        }
        live.record.state = SessionState::Ended;
        if !self.save(id, held, true).await? {
            return Ok(false);
        }
        let Some(live) = held.take() else { return Ok(false) };
        self.delete_bytes_of(&live.record).await?;
        self.delete_objects(vec![session::key(id)]).await?;
        self.sessions.forget(id);
        Ok(true)
    }

    /// Ends a session, whoever changes it meanwhile.
    async fn drop_session(&self, id: &UploadId, held: &mut Held) -> Result<()> {
        while !self.end_session(id, held).await? {
            match self.session(id, held).await? {
                Some(live) if matches!(live.record.state, SessionState::Publishing { .. }) => return Ok(()),
                Some(_) => {}
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Removes all objects of an upload but its record.
    pub(super) async fn delete_bytes_of(&self, record: &SessionRecord) -> Result<()> {
        if let Some(parts) = &record.parts {
            let key = data(record.data, parts.segment);
            failed(self.objects.abort_parts(&key, &parts.id).await, "abort", &key)?;
        }
        self.delete_data(record.data).await
    }

    pub(super) async fn abandon_session(
        &self,
        id: &UploadId,
        turn: &UploadTurn,
        idle: Duration,
    ) -> Result<Condemnation> {
        let mut held = self.sessions.hold(id).await;
        loop {
            let Some(live) = self.refresh(id, &mut held).await? else { return Ok(Condemnation::Gone) };
            if turn.is_over() || !self.idle_for(live.touched, idle) {
                return Ok(Condemnation::Renewed);
            }
            let record = live.record.clone();
            let ended = match record.state {
                SessionState::Publishing { .. } => {
                    self.condemn_unpublished(&record).await?;
                    self.delete_objects(vec![session::key(id)]).await?;
                    *held = None;
                    self.sessions.forget(id);
                    true
                }
                _ => self.end_session(id, &mut held).await?,
            };
            if ended {
                return Ok(Condemnation::Condemned);
            }
        }
    }

    /// Takes care of a publication that another process may have begun and not ended, or that is still running: if its
    /// generation is not there yet, it is condemned before it appears. Then its bytes are found and removed with it.
    pub(super) async fn condemn_unpublished(&self, record: &SessionRecord) -> Result<()> {
        let SessionState::Publishing { digest, generation } = &record.state else { return Ok(()) };
        if let Some(directory) = record.copying {
            self.delete_data(directory).await?;
        }
        let Some(generation) = Generation::parse(generation) else { return Ok(()) };
        let item = Item::Blob(digest.clone());
        let looked = self.generations(&item).await?;
        if looked.generations.iter().any(|listed| listed.generation == generation) {
            return Ok(());
        }
        let entry = Condemned { run: RunId::fresh(), item, why: Why::Unreferenced };
        self.put_object(&Marker { entry, generation }.key(), Bytes::new()).await.map(drop)
    }
}
