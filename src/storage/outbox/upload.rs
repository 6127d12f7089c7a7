//! Uploads what waits, on a thread of its own.

use super::{
    WriteBehind, WriteBehindState,
    journal::{JournalRecord, UploadedParts, on_disk, sha256_of},
    reading::read_piece,
    waiting::WaitingWrite,
};
use crate::storage::objects::{ObjectError, ObjectResult, Objects, PART_LEN, PutWhen};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::{runtime, time::sleep_until};

/// How often progress is logged while something waits.
const REPORT: Duration = Duration::from_secs(10);

impl<O: Objects> WriteBehind<O> {
    /// Begins to upload, until [`drain`](super::OutboxWatch::drain).
    ///
    /// # Errors
    /// The system has no more threads.
    pub fn start(&self) -> io::Result<()> {
        let state = self.0.clone();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("outbox".into()).spawn(move || runtime.block_on(state.work()))?;
        Ok(())
    }

    /// [`OutboxWatch::drain`](super::OutboxWatch::drain).
    pub(super) async fn upload_for(&self, most: Duration) -> usize {
        let deadline = tokio::time::Instant::now() + most;
        loop {
            let changed = self.0.changed.notified();
            let left = self.0.waiting().len();
            if left == 0 || tokio::time::timeout_at(deadline, changed).await.is_err() {
                self.0.stopping.store(true, Ordering::Relaxed);
                self.0.changed.notify_waiters();
                return left;
            }
        }
    }
}

impl<O: Objects> WriteBehindState<O> {
    async fn work(self: Arc<Self>) {
        let state = self.clone();
        // Nothing of it ends by itself but the uploads.
        let learn = async { tokio::join!(state.learn(), state.measure()) };
        tokio::select! {
            _ = learn => {}
            () = self.upload_all() => {}
        }
    }

    async fn upload_all(self: Arc<Self>) {
        let mut under_way = FuturesUnordered::new();
        let mut reported = Instant::now();
        while !self.stopping.load(Ordering::Relaxed) {
            let changed = self.changed.notified();
            let mut soonest = None;
            while under_way.len() < self.settings.at_once {
                let taken = self.waiting().take(self.settings.is_free);
                match taken {
                    Ok(write) => under_way.push(self.clone().upload_one(write)),
                    Err(next) => {
                        soonest = next;
                        break;
                    }
                }
            }
            let wake = soonest.unwrap_or_else(|| Instant::now() + REPORT);
            tokio::select! {
                Some(()) = under_way.next(), if !under_way.is_empty() => {}
                () = changed => {}
                () = sleep_until(wake.into()) => {}
            }
            if reported.elapsed() >= REPORT {
                reported = Instant::now();
                self.report();
            }
        }
    }

    fn report(&self) {
        let waiting = self.waiting();
        let (writes, bytes, done) = (waiting.len(), waiting.bytes, waiting.done());
        drop(waiting);
        if writes > 0 {
            tracing::info!(writes, bytes, done, "uploading from the journal");
        }
    }

    async fn upload_one(self: Arc<Self>, write: Arc<WaitingWrite>) {
        let number = write.number;
        let uploaded = match self.upload(&write).await {
            Ok(()) => on_disk(&self.journal, move |journal| journal.remove(number)).await,
            Err(error) => Err(error),
        };
        match uploaded {
            Ok(()) => {
                self.note_uploaded(&write);
                self.uploads.fetch_add(1, Ordering::Relaxed);
                self.uploaded_bytes.fetch_add(write.record.len(), Ordering::Relaxed);
                self.waiting().remove(number);
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                let tries = self.waiting().failed(number, error.to_string());
                let key = write.record.keys().first().map_or("", String::as_str);
                if tries.is_power_of_two() {
                    tracing::warn!(key, tries, %error, "cannot upload from the journal; trying again");
                }
            }
        }
        self.changed.notify_waiters();
    }

    /// Notes what the server has now, before the journal stops hiding it.
    fn note_uploaded(&self, write: &WaitingWrite) {
        let (mut index, meta) = (self.index(), write.meta());
        for key in write.record.keys() {
            match &meta {
                Some(meta) => index.put(key, meta.len, meta.modified, write.number),
                None => index.remove(key),
            }
        }
    }

    async fn upload(&self, write: &WaitingWrite) -> ObjectResult<()> {
        match &write.record {
            JournalRecord::Delete { keys, .. } => self.inner.delete(keys.clone()).await,
            JournalRecord::Put { key, len, sha256, .. } => {
                if *len <= PART_LEN as u64 {
                    let part = self.part(write, 0, sha256.first()).await?;
                    self.inner.put(key, vec![part], PutWhen::Any).await.map(drop)
                } else {
                    self.upload_parts(write, key, *len, sha256).await
                }
            }
        }
    }

    /// A part of a write, as it was acknowledged.
    async fn part(&self, write: &WaitingWrite, index: usize, sha256: Option<&String>) -> ObjectResult<bytes::Bytes> {
        let (number, at) = (write.number, index as u64 * PART_LEN as u64);
        let len = (write.record.len() - at).min(PART_LEN as u64) as usize;
        let file = on_disk(&self.journal, move |journal| journal.open_entry(number)).await?;
        let Some(file) = file else { return Err(ObjectError::Damaged { why: "a file of the journal is gone".into() }) };
        let bytes = read_piece(file, at, len).await?;
        match sha256 == Some(&sha256_of(std::slice::from_ref(&bytes))) {
            true => Ok(bytes),
            false => Err(ObjectError::Damaged { why: format!("write {number} of the journal has other bytes") }),
        }
    }

    /// Uploads a large object, from where an earlier attempt stopped.
    async fn upload_parts(&self, write: &WaitingWrite, key: &str, len: u64, sha256: &[String]) -> ObjectResult<()> {
        let number = write.number;
        let mut sent = on_disk(&self.journal, move |journal| journal.progress(number)).await?;
        if sent.id.is_empty() {
            sent = UploadedParts { id: self.inner.begin_parts(key).await?, parts: Vec::new() };
        }
        let finished = self.send_parts(write, key, &mut sent, sha256).await;
        match finished {
            // The server knows nothing of it any more, or has completed it already.
            Err(ObjectError::Absent) => {
                on_disk(&self.journal, move |journal| journal.note_progress(number, &UploadedParts::default())).await?;
                match self.inner.head(key).await {
                    Ok(meta) if meta.len == len && sent.parts.len() == sha256.len() => Ok(()),
                    Ok(_) | Err(ObjectError::Absent) => Err(ObjectError::Unavailable {
                        why: "the server has lost the first part of an object; sending it again".into(),
                        retry_after: None,
                    }),
                    Err(error) => Err(error),
                }
            }
            finished => finished,
        }
    }

    async fn send_parts(
        &self,
        write: &WaitingWrite,
        key: &str,
        sent: &mut UploadedParts,
        sha256: &[String],
    ) -> ObjectResult<()> {
        let number = write.number;
        for (index, sha256) in sha256.iter().enumerate().skip(sent.parts.len()) {
            write.done.store(index as u64 * PART_LEN as u64, Ordering::Relaxed);
            let part = self.part(write, index, Some(sha256)).await?;
            sent.parts.push(self.inner.put_part(key, &sent.id, index, vec![part]).await?);
            let noted = sent.clone();
            on_disk(&self.journal, move |journal| journal.note_progress(number, &noted)).await?;
        }
        self.inner.complete_parts(key, &sent.id, &sent.parts).await
    }
}
