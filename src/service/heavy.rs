//! Costly work that any client can request.
//!
//! It would block a reactor, so it runs on the blocking pool, and each client may have a limited number of such
//! requests in progress. Beyond that many clients wait only for the pool's threads, never for one another.

use super::error::ServiceError;
use crate::{registry, who::network};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The number of costly requests in progress per client.
#[derive(Default)]
pub struct Heavy(Mutex<HashMap<Option<IpAddr>, usize>>);

/// A request in progress, counted until it is dropped.
struct Share {
    heavy: Arc<Heavy>,
    client: Option<IpAddr>,
}

impl Heavy {
    /// Runs `work` off the reactor if `client` has fewer than `most` requests in progress. Once started it completes,
    /// and counts until then, even if its caller has gone.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        client: Option<IpAddr>,
        most: usize,
        work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let share = self.share(client, most).ok_or(ServiceError::TooManyHeavy)?;
        let working = tokio::task::spawn_blocking(move || {
            let _share = share;
            work()
        });
        match working.await.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(done) => done,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            Err(Err(_)) => Err(registry::RegistryError::Stopping.into()),
        }
    }

    fn share(self: &Arc<Self>, client: Option<IpAddr>, most: usize) -> Option<Share> {
        // An IPv6 network is assigned to a single customer.
        let client = client.map(|client| network(client, 32, 64));
        let mut in_progress = self.in_progress();
        let count = in_progress.entry(client).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Share { heavy: self.clone(), client })
    }

    fn in_progress(&self) -> MutexGuard<'_, HashMap<Option<IpAddr>, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut in_progress = self.heavy.in_progress();
        if let Some(count) = in_progress.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                in_progress.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn client(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[tokio::test]
    async fn each_client_has_limited_concurrent_work_that_counts_until_it_ends() {
        let heavy = Arc::new(Heavy::default());
        let (go, wait) = channel::<()>();
        // The caller has gone, but the work still counts.
        let mut begun = Box::pin(heavy.run(client("2001:db8::1"), 2, move || Ok(wait.recv().is_ok())));
        assert!(futures_util::poll!(&mut begun).is_pending());
        drop(begun);
        let here = std::thread::current().id();
        let quick = |from, most| heavy.run(from, most, move || Ok(std::thread::current().id() != here));
        assert!(quick(client("2001:db8::1"), 2).await.unwrap(), "the second, on another thread");
        for same in ["2001:db8::1", "2001:db8:0:0:ffff::1"] {
            assert!(matches!(quick(client(same), 1).await, Err(ServiceError::TooManyHeavy)), "{same}");
        }
        for other in [client("2001:db8:0:1::1"), client("203.0.113.9"), client("203.0.113.10"), None] {
            assert!(quick(other, 1).await.is_ok(), "{other:?}");
        }
        go.send(()).unwrap();
        while !heavy.in_progress().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        assert!(quick(client("2001:db8::1"), 1).await.is_ok());
    }

    #[tokio::test]
    async fn a_panic_in_the_work_panics_the_request() {
        let heavy = Arc::new(Heavy::default());
        let work = heavy.run(None, 1, || -> Result<(), ServiceError> { panic!("planned") });
        let caught = futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(work)).await;
        assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"planned"));
        assert!(heavy.in_progress().is_empty());
    }
}
