//! Refusing early what there is no room for, so that a full disk is met by an answer and not by
//! half a file.

use super::{Error, Registry, Result};
use crate::{
    files::{Space, world},
    storage,
};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The room left, measured at most four times a second; what was written since is taken off.
#[derive(Default)]
pub(super) struct Gauge(Mutex<Option<(Duration, Option<Space>)>>);

/// The room of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes that may still be written.
    pub free_bytes: u64,
    /// Of these, bytes that are kept free.
    pub reserve_bytes: u64,
    /// Inodes that may still be used.
    pub free_inodes: u64,
    /// Of these, inodes that are kept free; zero where the file system does not count inodes.
    pub reserve_inodes: u64,
}

const FRESH: Duration = Duration::from_millis(250);

impl Registry {
    /// Whether `bytes` more may be written without touching the reserve.
    ///
    /// # Errors
    /// [`storage::Error::Full`] when not.
    pub(super) async fn admit(&self, bytes: u64) -> Result<()> {
        let Some(room) = self.room().await? else { return Ok(()) };
        if room.free_bytes < room.reserve_bytes.saturating_add(bytes) || room.free_inodes < room.reserve_inodes {
            return Err(Error::Storage(storage::Error::Full { what: format!("{bytes} more bytes above the reserve") }));
        }
        Ok(())
    }

    /// How much room there is, and how much of it is kept free; `None` where the storage does not say.
    ///
    /// # Errors
    /// The storage does not answer.
    pub async fn room(&self) -> Result<Option<Room>> {
        let Some(space) = self.space().await? else { return Ok(None) };
        let counts_inodes = space.total_inodes > 0;
        let inodes = || self.settings.reserve_inodes.unwrap_or_else(|| (space.total_inodes / 100).min(10_000));
        Ok(Some(Room {
            free_bytes: space.free_bytes,
            reserve_bytes: self.settings.reserve_bytes.unwrap_or_else(|| (space.total_bytes / 100).min(1 << 30)),
            free_inodes: space.free_inodes,
            reserve_inodes: if counts_inodes { inodes() } else { 0 },
        }))
    }

    /// So much was written. Other processes are seen with the next measure.
    pub(super) fn spent(&self, bytes: u64) {
        if let Some((_, Some(space))) = &mut *self.core.space.0.lock().unwrap_or_else(PoisonError::into_inner) {
            space.free_bytes = space.free_bytes.saturating_sub(bytes);
        }
    }

    async fn space(&self) -> Result<Option<Space>> {
        let gauge = &self.core.space.0;
        if let Some((at, space)) = *gauge.lock().unwrap_or_else(PoisonError::into_inner)
            && world::uptime().saturating_sub(at) < FRESH
        {
            return Ok(space);
        }
        let space = self.core.store.probe().await?.space;
        *gauge.lock().unwrap_or_else(PoisonError::into_inner) = Some((world::uptime(), space));
        Ok(space)
    }
}
