//! Clocks that jump by a day, forwards or back: nothing panics, nothing needed goes, uploads live on.

use super::{is_complete, is_sound, manifest, name, once, session, sha256};
use crate::{
    files::sim::{Plan, Sim, block_on},
    oci::{Algorithm, Reference},
    registry::{Chunk, Collection, CollectionError, CollectionOptions, Condition, Error, Registry, Settings},
    storage::fs::Fs,
    who::Subject,
};
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
    sim.plan(Plan { jump: Some((at, seconds)), ..Plan::default() });
}

#[test]
fn an_upload_is_not_ended_by_a_clock_that_is_set_and_goes_on_with_its_bytes() {
    for seconds in JUMPS {
        let sim = Sim::new(1, None);
        let _entered = sim.enter();
        let registry = registry(&sim, |_| {});
        block_on(async {
            let (name, nobody, layer) = (name(), Subject::Anonymous, sha256(b"layer"));
            let upload = registry.begin_upload(&name, &nobody, Algorithm::Sha256).await.unwrap();
            registry.append_upload(&name, &nobody, &upload.id, Chunk::default(), once(b"lay")).await.unwrap();
            jump(&sim, 1, seconds);
            assert_eq!(registry.sweep().await.unwrap(), 0, "{seconds}");
            let report = registry.collect(DAILY, &()).await.unwrap().unwrap();
            assert_eq!((report.condemned.uploads, report.errors.len()), (0, 0), "{seconds}: {report:?}");
            let finish = registry.finish_upload(&name, &nobody, &upload.id, &layer, Chunk::default(), once(b"er"));
            finish.await.unwrap();
            registry.blob(&name, &layer).await.unwrap();
        });
    }
}

#[test]
fn an_upload_that_nobody_goes_on_with_is_ended_some_day_all_the_same() {
    for seconds in [0, DAY] {
        let sim = Sim::new(1, None);
        let _entered = sim.enter();
        let registry = registry(&sim, |_| {});
        block_on(async {
            let nobody = Subject::Anonymous;
            registry.begin_upload(&name(), &nobody, Algorithm::Sha256).await.unwrap();
            jump(&sim, 1, seconds);
            sim.pass(Duration::from_secs(3599));
            assert_eq!(registry.sweep().await.unwrap(), 0, "{seconds}");
            sim.pass(Duration::from_secs(2));
            assert_eq!(registry.sweep().await.unwrap(), 1, "{seconds}");
        });
    }
}

#[test]
fn a_session_goes_on_whenever_the_clock_jumps() {
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

/// What a collection at any moment of the jump left must be there, and all else go by the next ones.
async fn nothing_needed_went(registry: &Registry, when: &str) {
    is_sound(registry).await;
    let stored = registry.manifest(&name(), &"v1".parse().unwrap()).await.unwrap_or_else(|e| panic!("{when}: {e}"));
    assert_eq!(stored.digest, sha256(&manifest("second", Some(&sha256(&manifest("first", None))))), "{when}");
    for content in [b"{}".as_ref(), b"layer"] {
        registry.blob(&name(), &sha256(content)).await.unwrap_or_else(|e| panic!("{when}: {e}"));
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
                let (nobody, when) = (Subject::Anonymous, format!("{seconds} at call {at}"));
                session(&registry).await.unwrap();
                let fresh = b"fresh".as_ref();
                registry.push_blob(&name(), &nobody, &sha256(fresh), Chunk::default(), once(b"fresh")).await.unwrap();
                jump(&sim, at, seconds);
                match registry.collect(DAILY, &()).await {
                    Ok(report) => assert!(report.is_some_and(|report| report.errors.is_empty()), "{when}"),
                    Err(CollectionError::Unsafe(why)) => assert!(why.contains("clock"), "{when}: {why}"),
                    Err(other) => panic!("{when}: {other}"),
                }
                let ended = sim.calls() < at;
                nothing_needed_went(&registry, &when).await;
                // What was pushed and never referred to is still there, or can come back.
                registry.blob(&name(), &sha256(fresh)).await.unwrap_or_else(|e| panic!("{when}: {e}"));
                let bytes = bytes::Bytes::from(
                    String::from_utf8_lossy(&manifest("late", None))
                        .replace(sha256(b"{}").as_str(), sha256(fresh).as_str()),
                );
                let late: Reference = "late".parse().unwrap();
                let put = registry.put_manifest(&name(), &late, &[], None, bytes, Condition::None).await;
                put.map(drop).unwrap_or_else(|e: Error| panic!("{when}: {e}"));
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
fn what_was_condemned_stays_for_twice_the_time_that_readers_may_take_to_see_what_needs_it() {
    let sim = Sim::new(1, None);
    let _entered = sim.enter();
    let registry =
        registry(&sim, |c| (c.lease, c.retention, c.settle) = (Duration::ZERO, Duration::ZERO, MINUTES * 10));
    block_on(async {
        let pushed = once(b"layer");
        registry.push_blob(&name(), &Subject::Anonymous, &sha256(b"layer"), Chunk::default(), pushed).await.unwrap();
        let collect = async || registry.collect(DAILY, &()).await.unwrap().unwrap();
        assert_eq!(collect().await.condemned.blobs, 1);
        sim.pass(MINUTES * 19);
        assert_eq!(collect().await.purged.all(), 0);
        sim.pass(MINUTES * 2);
        assert_eq!(collect().await.purged.blobs, 1);
    });
}
