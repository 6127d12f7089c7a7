//! Collections with retention rules: faults at every call, and cancellation at every await.

use super::*;
use crate::{
    storage::faulty::{Fault, Faulty},
    upkeep::{CollectionStep, Follow},
};
use async_trait::async_trait;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

const PASS: CollectionOptions = CollectionOptions { dry_run: false, now: false, force: false };

async fn system_calls(step: usize) {
    let (original, left) = prepared().await;
    let work = async |registry: &Registry| registry.collect(PASS, &()).await;
    let calls = at_every_call(original.path(), step, work, async |outcome| {
        let Outcome { dir, returned, failed_sync, when } = outcome;
        if failed_sync {
            let output = returned.as_ref().map_or(true, |report| report.as_ref().is_some_and(|r| !r.errors.is_empty()));
            assert!(output, "{when}: {returned:?}");
        }
        assert_eq!(collected(dir, when).await, left, "{when}");
    });
    assert!(calls.await > 300, "a collection makes calls");
}

#[tokio::test]
async fn a_system_call_that_fails_during_a_collection_loses_nothing_and_the_next_collection_completes() {
    system_calls(16).await;
}

#[tokio::test]
#[ignore = "takes minutes: the same as its neighbour, at every call"]
async fn any_system_call_that_fails_during_a_collection_loses_nothing() {
    system_calls(1).await;
}

/// Ends a collection of a copy of `original` when `reached` says so; whether that came.
async fn ended(registry: Registry, options: CollectionOptions, follow: &dyn Follow, reached: &Notify) -> bool {
    tokio::select! {
        report = registry.collect(options, follow) => {
            report.unwrap().unwrap();
            false
        }
        () = reached.notified() => true,
    }
}

async fn storage_calls(step: usize) {
    let (original, left) = prepared().await;
    let mut at = 0;
    loop {
        let dir = directory();
        copy(original.path(), dir.path());
        let faulty = Faulty::new(open(dir.path()), at, Fault::Dropped);
        let ended = ended(over(faulty.clone()), PASS, &(), &faulty.reached).await;
        drop(faulty);
        let when = format!("dropped at call {at}");
        nothing_is_lost(&over(open(dir.path())), &when).await;
        assert_eq!(collected(dir.path(), &when).await, left, "{when}");
        if !ended {
            break;
        }
        at += step;
        assert!(at < MOST);
    }
    assert!(at > 100, "a collection makes calls: {at}");
}

#[tokio::test]
async fn a_collection_that_is_dropped_at_a_call_of_the_store_loses_nothing() {
    storage_calls(8).await;
}

#[tokio::test]
#[ignore = "takes minutes: the same as its neighbour, at every call"]
async fn a_collection_that_is_dropped_at_any_call_of_the_store_loses_nothing() {
    storage_calls(1).await;
}

/// Never lets a collection go on from where it tells somebody the n-th time how far it is.
struct Stop {
    at: usize,
    output: AtomicUsize,
    reached: Notify,
}

#[async_trait]
impl Follow for Stop {
    async fn at(&self, _: CollectionStep, _: u64) {
        if self.output.fetch_add(1, Ordering::SeqCst) == self.at {
            self.reached.notify_one();
            std::future::pending().await
        }
    }
}

#[tokio::test]
async fn a_collection_that_is_dropped_between_two_steps_loses_nothing() {
    let (original, left) = prepared().await;
    for at in 0.. {
        let dir = directory();
        copy(original.path(), dir.path());
        let stop = Stop { at, output: AtomicUsize::new(0), reached: Notify::new() };
        let ended = ended(over(open(dir.path())), NOW, &stop, &stop.reached).await;
        let when = format!("dropped at its {at}th report");
        assert_eq!(collected(dir.path(), &when).await, left, "{when}");
        if !ended {
            assert!(at > 6, "it tells of every step: {at}");
            break;
        }
    }
}
