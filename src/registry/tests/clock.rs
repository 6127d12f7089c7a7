//! Clocks that jump by a day, forwards or back: nothing panics, nothing needed is deleted, uploads survive.

use super::{is_complete, is_sound, manifest, name, once, session, sha256};
use crate::{
    files::sim::{Sim, SimPlan, block_on},
    registry::{Chunk, Collection, Condition, Registry, RegistryError, Settings},
    storage::fs::Fs,
    upkeep::{CollectionError, CollectionOptions},
};
use oci::{Algorithm, Reference};
use std::{sync::Arc, time::Duration};

const DAY: i64 = 86_400;
const MINUTES: Duration = Duration::from_secs(60);
const JUMPS: [i64; 2] = [DAY, -DAY];
const DAILY: CollectionOptions = CollectionOptions { dry_run: false, now: false, force: false };

/// A registry on a machine of its own, by these timers.
fn registry(sim: &Sim, change: impl Fn(&mut Collection)) -> Registry {
    let mut settings = Settings::default();
    // No call may wait here for a clock that stands still meanwhile.
    settings.collection.files_per_second = u64::MAX;
    change(&mut settings.collection);
    Registry::new(Arc::new(Fs::mount(sim.clone(), "a simulation").unwrap().0), Arc::new(settings))
}

fn jump(sim: &Sim, at: usize, seconds: i64) {
    sim.plan(SimPlan { jump: Some((at, seconds)), ..SimPlan::default() });
}

#[test]
fn setting_the_clock_does_not_expire_an_upload() {
    for seconds in JUMPS {
        let sim = Sim::new(1, None);
        let _entered = sim.enter();
        let registry = registry(&sim, |_| {});
        block_on(async {
            let (repository, layer) = (registry.repository(&name()), sha256(b"layer"));
            let upload = repository.begin_upload(Algorithm::Sha256).await.unwrap();
            repository.append_upload(&upload.id, Chunk::default(), once(b"lay")).await.unwrap();
            jump(&sim, 1, seconds);
            assert_eq!(registry.sweep().await.unwrap(), 0, "{seconds}");
            let report = registry.collect(DAILY, &()).await.unwrap().unwrap();
            assert_eq!((report.condemned.uploads, report.errors.len()), (0, 0), "{seconds}: {report:?}");
            repository.finish_upload(&upload.id, &layer, Chunk::default(), once(b"er")).await.unwrap();
            repository.blob(&layer).await.unwrap();
        });
    }
}

#[test]
fn an_abandoned_upload_expires_even_if_the_clock_is_set() {
    for seconds in [0, DAY] {
        let sim = Sim::new(1, None);
        let _entered = sim.enter();
        let registry = registry(&sim, |_| {});
        block_on(async {
            registry.repository(&name()).begin_upload(Algorithm::Sha256).await.unwrap();
            jump(&sim, 1, seconds);
            sim.pass(Duration::from_secs(3599));
            assert_eq!(registry.sweep().await.unwrap(), 0, "{seconds}");
            sim.pass(Duration::from_secs(2));
            assert_eq!(registry.sweep().await.unwrap(), 1, "{seconds}");
        });
    }
}

#[test]
fn a_session_continues_whenever_the_clock_jumps() {
    for seconds in JUMPS {
        for at in 1.. {
            let sim = Sim::new(1, None);
            let _entered = sim.enter();
            let registry = registry(&sim, |_| {});
            jump(&sim, at, seconds);
            block_on(async {
                session(&registry).await.unwrap_or_else(|e| panic!("{seconds} at call {at}: {e}"));
                is_complete(&registry).await;
            });
            if sim.calls() < at {
                assert!(at > 100, "a session makes calls: {at}");
                break;
            }
        }
    }
}

/// What a collection has left at any moment of the jump must exist, and the next ones delete the rest.
async fn nothing_needed_went(registry: &Registry, when: &str) {
    is_sound(registry).await;
    let stored =
        registry.repository(&name()).manifest(&"v1".parse().unwrap()).await.unwrap_or_else(|e| panic!("{when}: {e}"));
    assert_eq!(stored.digest, sha256(&manifest("second", Some(&sha256(&manifest("first", None))))), "{when}");
    for content in [b"{}".as_ref(), b"layer"] {
        registry.repository(&name()).blob(&sha256(content)).await.unwrap_or_else(|e| panic!("{when}: {e}"));
    }
}

#[test]
fn a_collection_is_safe_whenever_the_clock_jumps() {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    for seconds in JUMPS {
        for at in (1..).step_by(5) {
            let sim = Sim::new(1, None);
            let _entered = sim.enter();
            let registry = registry(&sim, |c| (c.lease, c.retention) = (hours(1), hours(20)));
            let has_ended = block_on(async {
                let when = format!("{seconds} at call {at}");
                session(&registry).await.unwrap();
                let fresh = b"fresh".as_ref();
                registry.repository(&name()).push_blob(&sha256(fresh), Chunk::default(), once(b"fresh")).await.unwrap();
                jump(&sim, at, seconds);
                match registry.collect(DAILY, &()).await {
                    Ok(report) => assert!(report.is_some_and(|report| report.errors.is_empty()), "{when}"),
                    Err(CollectionError::Unsafe(why)) => assert!(why.contains("clock"), "{when}: {why}"),
                    Err(other) => panic!("{when}: {other}"),
                }
                let ended = sim.calls() < at;
                nothing_needed_went(&registry, &when).await;
                // What was pushed and never referred to still exists, or can be restored.
                registry.repository(&name()).blob(&sha256(fresh)).await.unwrap_or_else(|e| panic!("{when}: {e}"));
                let bytes = bytes::Bytes::from(
                    String::from_utf8_lossy(&manifest("late", None))
                        .replace(sha256(b"{}").as_str(), sha256(fresh).as_str()),
                );
                let late: Reference = "late".parse().unwrap();
                let put = registry.repository(&name()).put_manifest(&late, &[], None, bytes, Condition::None).await;
                put.map(drop).unwrap_or_else(|e: RegistryError| panic!("{when}: {e}"));
                // Days later, with the clock as it is now.
                for _ in 0..3 {
                    sim.pass(hours(48));
                    registry.collect(DAILY, &()).await.unwrap().unwrap();
                    nothing_needed_went(&registry, &when).await;
                }
                ended
            });
            if has_ended {
                assert!(at > 200, "a collection makes calls: {at}");
                break;
            }
        }
    }
}

#[test]
fn condemned_blobs_stay_for_twice_the_settle_time() {
    let sim = Sim::new(1, None);
    let _entered = sim.enter();
    let registry =
        registry(&sim, |c| (c.lease, c.retention, c.settle) = (Duration::ZERO, Duration::ZERO, MINUTES * 10));
    block_on(async {
        let pushed = once(b"layer");
        registry.repository(&name()).push_blob(&sha256(b"layer"), Chunk::default(), pushed).await.unwrap();
        let collect = async || registry.collect(DAILY, &()).await.unwrap().unwrap();
        assert_eq!(collect().await.condemned.blobs, 1);
        sim.pass(MINUTES * 19);
        assert_eq!(collect().await.purged.all(), 0);
        sim.pass(MINUTES * 2);
        assert_eq!(collect().await.purged.blobs, 1);
    });
}
