//! Refuses early what there is no room for, so that a full disk leads to an error response and not to half a file.

use super::{Registry, RegistryError, Result};
use crate::{
    files::{Space, world},
    storage,
};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The room left, measured at most four times a second; bytes written since are subtracted.
#[derive(Default)]
pub(super) struct Gauge(Mutex<Option<(Duration, Option<Space>)>>);

/// The room of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Size of the file system.
    pub total_bytes: u64,
    /// Bytes available for writing.
    pub free_bytes: u64,
    /// How many of these bytes are reserved.
    pub reserve_bytes: u64,
    /// Inodes available.
    pub free_inodes: u64,
    /// How many of these inodes are reserved; zero if the file system does not count inodes.
    pub reserve_inodes: u64,
}

const FRESH: Duration = Duration::from_millis(250);

impl Registry {
    /// Checks whether `bytes` more may be written without using the reserve.
    ///
    /// # Errors
    /// [`storage::StorageError::Full`] if not.
    pub(super) async fn admit(&self, bytes: u64) -> Result<()> {
        let Some(room) = self.room().await? else { return Ok(()) };
        if room.free_bytes < room.reserve_bytes.saturating_add(bytes) || room.free_inodes < room.reserve_inodes {
            return Err(RegistryError::Storage(storage::StorageError::Full {
                what: format!("{bytes} more bytes above the reserve"),
            }));
        }
        Ok(())
    }

    /// The available room and the reserve; `None` if the storage does not report it.
    ///
    /// # Errors
    /// The storage does not respond.
    pub async fn room(&self) -> Result<Option<Room>> {
        let Some(space) = self.space().await? else { return Ok(None) };
        let counts_inodes = space.total_inodes > 0;
        let inodes = || self.settings.reserve_inodes.unwrap_or_else(|| (space.total_inodes / 100).min(10_000));
        Ok(Some(Room {
            total_bytes: space.total_bytes,
            free_bytes: space.free_bytes,
            reserve_bytes: self.settings.reserve_bytes.unwrap_or_else(|| (space.total_bytes / 100).min(1 << 30)),
            free_inodes: space.free_inodes,
            reserve_inodes: if counts_inodes { inodes() } else { 0 },
        }))
    }

    /// This much was written. Writes of other processes appear with the next measurement.
    pub(super) fn add_written(&self, bytes: u64) {
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
