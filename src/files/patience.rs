//! Work on a file system that may never answer, such as NFS without its server. A call into it cannot be cancelled, so
//! it gets a thread of its own, and the caller continues without it.

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

/// Looks at paths with a timeout.
#[derive(Clone, Debug)]
pub struct Patience {
    /// The longest wait.
    pub limit: Duration,
    /// The paths that are being looked at. They are not looked at again meanwhile, so threads do not pile up.
    asked: Arc<Mutex<HashSet<PathBuf>>>,
}

impl Patience {
    /// Waits at most `limit` for each answer.
    pub fn new(limit: Duration) -> Self {
        Self { limit, asked: Arc::default() }
    }

    /// Runs `look` on a path.
    ///
    /// # Errors
    /// `TimedOut` if there is no answer within the limit, or an earlier call for the path has not answered yet; else
    /// those of `look`.
    pub fn ask<T: Send + 'static>(
        &self,
        path: &Path,
        look: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let silent = || io::Error::new(io::ErrorKind::TimedOut, "the file system does not answer");
        if !self.asked().insert(path.to_owned()) {
            return Err(silent());
        }
        let (sender, receiver) = mpsc::channel();
        let (patience, asked) = (self.clone(), path.to_owned());
        let work = move || {
            let answer = look();
            patience.asked().remove(&asked);
            // Nobody waits any more if the answer is late.
            let _ = sender.send(answer);
        };
        if let Err(error) = thread::Builder::new().name("config-file".to_owned()).spawn(work) {
            self.asked().remove(path);
            return Err(error);
        }
        receiver.recv_timeout(self.limit).unwrap_or_else(|_| Err(silent()))
    }

    fn asked(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `work` on a thread of its own. Unlike a runtime's threads, it does not delay the end of the program.
///
/// # Errors
/// If there are no more threads, or `work` panicked.
pub async fn detached<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let work = move || {
        let _ = sender.send(work());
    };
    thread::Builder::new().name("config".to_owned()).spawn(work)?;
    receiver.await.map_err(|_| io::Error::other("its thread panicked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_hangs_is_not_read_again_until_it_responds() {
        let (patience, path) = (Patience::new(Duration::from_millis(20)), Path::new("/srv/nfs/htpasswd"));
        let (wake, asleep) = mpsc::channel::<()>();
        let (done, ended) = mpsc::channel();
        let hang = move || {
            asleep.recv().unwrap();
            Ok(Dropped(done))
        };
        assert_eq!(patience.ask(path, hang).err().unwrap().kind(), io::ErrorKind::TimedOut);
        let again = patience.ask(path, || -> io::Result<()> { unreachable!("it is not asked") });
        assert_eq!(again.unwrap_err().to_string(), "the file system does not answer");
        assert_eq!(patience.ask(Path::new("/etc/rules.json"), || Ok(1)).unwrap(), 1, "others are");
        wake.send(()).unwrap();
        ended.recv().unwrap();
        assert_eq!(patience.ask(path, || Ok(2)).unwrap(), 2);
    }

    /// Reports when a late answer is dropped.
    struct Dropped(mpsc::Sender<()>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
        }
    }
}
