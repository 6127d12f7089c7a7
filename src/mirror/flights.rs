//! Work that many callers want and one does.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// Work in progress, by what it is about.
pub(super) struct Flights<K, T>(Arc<Mutex<HashMap<K, watch::Receiver<Option<T>>>>>);

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// Ends a flight, even if its task panics.
struct Landing<K: Eq + Hash, T> {
    flights: Arc<Mutex<HashMap<K, watch::Receiver<Option<T>>>>>,
    key: K,
}

impl<K: Eq + Hash, T> Drop for Landing<K, T> {
    fn drop(&mut self) {
        lock(&self.flights).remove(&self.key);
    }
}

impl<K: Clone + Eq + Hash + Send + 'static, T: Clone + Send + Sync + 'static> Flights<K, T> {
    /// Waits for the work about `key`: that of another caller, or this one, which runs to its end even if all callers
    /// leave. `None` if it panicked.
    pub(super) async fn join<F>(&self, key: K, work: impl FnOnce() -> F) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut outcome = self.begin(key, work);
        loop {
            if let Some(outcome) = outcome.borrow_and_update().clone() {
                return Some(outcome);
            }
            outcome.changed().await.ok()?;
        }
    }

    fn begin<F>(&self, key: K, work: impl FnOnce() -> F) -> watch::Receiver<Option<T>>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut flights = lock(&self.0);
        if let Some(running) = flights.get(&key) {
            return running.clone();
        }
        let (sender, receiver) = watch::channel(None);
        flights.insert(key.clone(), receiver.clone());
        drop(flights);
        let landing = Landing { flights: self.0.clone(), key };
        let work = work();
        tokio::spawn(async move {
            let outcome = work.await;
            // Whoever comes from now on looks for themselves.
            drop(landing);
            sender.send_replace(Some(outcome));
        });
        receiver
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    #[tokio::test]
    async fn all_who_ask_at_the_same_time_get_the_outcome_of_one() {
        let (flights, runs) = (Flights::<u8, usize>::default(), Arc::new(AtomicUsize::new(0)));
        let work = || {
            let runs = runs.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                runs.fetch_add(1, Ordering::SeqCst)
            }
        };
        let outcomes = futures_util::future::join_all((0..100).map(|_| flights.join(1, work))).await;
        assert!(outcomes.iter().all(|outcome| *outcome == Some(0)));
        assert_eq!(flights.join(1, work).await, Some(1), "the next one is a new one");
    }

    #[tokio::test]
    async fn work_goes_on_without_the_caller_who_began_it() {
        let flights = Flights::<u8, u8>::default();
        let slow = || async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            7
        };
        let left = tokio::time::timeout(Duration::from_millis(5), flights.join(1, slow)).await;
        assert!(left.is_err());
        assert_eq!(flights.join(1, || async { 8 }).await, Some(7));
    }

    #[tokio::test]
    async fn a_panic_ends_the_flight() {
        let flights = Flights::<u8, u8>::default();
        assert_eq!(flights.join(1, || async { panic!("on purpose") }).await, None);
        assert_eq!(flights.join(1, || async { 8 }).await, Some(8));
    }
}
