//! Which runs of the program are at work on a store: each has a file of its own and keeps it locked
//! until it ends, however it ends.

use super::Inner;
use crate::{
    files::{Files, Kind, Sys, absent, world},
    storage::{Error, InstanceId, Result},
};
use bytes::Bytes;
use std::io;

/// Where the files are.
const INSTANCES: &str = "state/instances";

fn path(instance: InstanceId) -> String {
    format!("{INSTANCES}/{}", instance.0)
}

/// Makes and locks the file of a run. It has its name only when it is locked: whoever looks in between
/// would take the run for one that has ended.
pub(super) fn announce<S: Sys>(files: &Files<S>, instance: InstanceId) -> io::Result<Box<dyn Send + Sync>> {
    match files.make_dir(INSTANCES) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        Ok(()) | Err(_) => {}
    }
    let aside = files.temporary();
    files.make_growing(&aside, &Bytes::new())?;
    let lock = files.sys().try_lock(&aside)?.ok_or(io::ErrorKind::WouldBlock)?;
    files.rename_new(&aside, &path(instance))?;
    Ok(lock)
}

impl<S: Sys> Inner<S> {
    /// Whether a run has not ended yet. Nobody locks the file of another but for this moment.
    pub(super) fn lives(&self, instance: InstanceId) -> Result<bool> {
        let path = path(instance);
        let lock = absent(self.sys().try_lock(&path)).map_err(|e| Error::io("lock", &path, e))?;
        Ok(instance == self.instance || matches!(lock, Some(None)))
    }

    /// Tells others that this run is at work, if that was not possible before.
    pub(super) fn stay_announced(&self) -> Result<()> {
        let mut alive = world::lock(&self.alive);
        if alive.is_none() && !self.is_beside {
            let announced = announce(&self.files, self.instance);
            *alive = Some(announced.map_err(|e| Error::io("write", path(self.instance), e))?);
        }
        Ok(())
    }

    /// Removes the files of runs that have ended.
    pub(super) fn forget_instances(&self) -> Result<()> {
        let (names, _) = self.names(INSTANCES, None, 1000, |_, kind| kind == Kind::File)?;
        for (name, _) in names {
            let Ok(instance) = name.parse().map(InstanceId) else { continue };
            if !self.lives(instance)? {
                let path = path(instance);
                absent(self.sys().unlink(&path)).map_err(|e| Error::io("remove", &path, e))?;
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
    async fn a_run_lives_until_it_ends_however_it_ends() {
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
