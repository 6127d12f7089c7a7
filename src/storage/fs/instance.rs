//! Which processes are at work on a store: each has a file of its own, and keeps it locked until it ends, however it
//! ends.

use super::FsInner;
use crate::{
    files::{AtomicFiles, FileKind, Sys, absent, world},
    storage::{InstanceId, Result, StorageError},
};
use bytes::Bytes;
use std::io;

/// The directory of these files.
const INSTANCES: &str = "state/instances";

fn path(instance: InstanceId) -> String {
    format!("{INSTANCES}/{}", instance.0)
}

/// Creates and locks the file of a process. The file gets its name only when it is locked: otherwise somebody could
/// take the process for one that has ended.
pub(super) fn announce<S: Sys>(files: &AtomicFiles<S>, instance: InstanceId) -> io::Result<Box<dyn Send + Sync>> {
    match files.make_dir(INSTANCES) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        Ok(()) | Err(_) => {}
    }
    let temporary = files.temporary();
    files.make_growing(&temporary, &Bytes::new())?;
    let lock = files.sys().try_lock(&temporary)?.ok_or(io::ErrorKind::WouldBlock)?;
    files.rename_new(&temporary, &path(instance))?;
    Ok(lock)
}

impl<S: Sys> FsInner<S> {
    /// Whether a process has not ended yet. Others lock its file only for this check.
    pub(super) fn lives(&self, instance: InstanceId) -> Result<bool> {
        let path = path(instance);
        let lock = absent(self.sys().try_lock(&path)).map_err(|e| StorageError::io("lock", &path, e))?;
        Ok(instance == self.instance || matches!(lock, Some(None)))
    }

    /// Announces this process, if that was not possible before.
    pub(super) fn stay_announced(&self) -> Result<()> {
        let mut alive = world::lock(&self.alive);
        if alive.is_none() && !self.is_beside {
            let announced = announce(&self.files, self.instance);
            *alive = Some(announced.map_err(|e| StorageError::io("write", path(self.instance), e))?);
        }
        Ok(())
    }

    /// Removes the files of processes that have ended.
    pub(super) fn forget_instances(&self) -> Result<()> {
        let (names, _) = self.names(INSTANCES, None, 1000, |_, kind| kind == FileKind::File)?;
        for (name, _) in names {
            let Ok(instance) = name.parse().map(InstanceId) else { continue };
            if !self.lives(instance)? {
                let path = path(instance);
                absent(self.sys().unlink(&path)).map_err(|e| StorageError::io("remove", &path, e))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::storage::{
        InstanceId, Lifecycle,
        fs::{Fs, Init},
    };
    use std::time::SystemTime;

    #[tokio::test]
    async fn a_run_counts_as_alive_until_it_ends_in_any_way() {
        let dir = tempfile::tempdir().unwrap();
        let files = || std::fs::read_dir(dir.path().join("state/instances")).unwrap().count();
        let (daemon, _) = Fs::open(dir.path(), Init::EmptyDirectory).unwrap();
        let beside = Fs::open_beside(dir.path()).unwrap();
        let first = daemon.instance();
        assert!(beside.lives(first).await.unwrap() && daemon.lives(first).await.unwrap());
        assert!(!daemon.lives(InstanceId::fresh()).await.unwrap());
        drop(daemon);
        assert!(!beside.lives(first).await.unwrap());
        let (daemon, _) = Fs::open(dir.path(), Init::EmptyDirectory).unwrap();
        assert_ne!(daemon.instance(), first);
        assert_eq!(files(), 2);
        daemon.tidy(SystemTime::now()).await.unwrap();
        assert_eq!(files(), 1, "its own stays");
        assert!(beside.lives(daemon.instance()).await.unwrap());
    }
}
