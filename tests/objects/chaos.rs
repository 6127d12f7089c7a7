//! Replicas are killed while images are pushed through them, and garbage is collected all the time. What a replica has
//! acknowledged must be there afterwards, on every replica.

use super::bucket::Bucket;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use testing::{
    chaos::{Pushers, pull},
    daemon::Daemon,
};

/// How often a replica is killed: `WHARFINGER_TEST_S3_KILLS`.
fn kills_wanted() -> usize {
    std::env::var("WHARFINGER_TEST_S3_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(10)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SeaweedFS: .ci/run objects"]
async fn nothing_acknowledged_is_lost_when_replicas_are_killed() {
    let bucket = Arc::new(Bucket::new());
    let mut daemons: Vec<Daemon> = (0..3).map(|_| bucket.replica(&[])).collect();
    let addresses = |daemons: &[Daemon]| daemons.iter().map(|daemon| daemon.address()).collect();
    let pushers = Pushers::start(4, 7, addresses(&daemons));
    let is_over = Arc::new(AtomicBool::new(false));
    let collecting = {
        let (bucket, is_over) = (bucket.clone(), is_over.clone());
        std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                bucket.command(&["gc", "--now", "--force"]);
            }
        })
    };
    let (begun, mut kills) = (Instant::now(), 0);
    while kills < kills_wanted() {
        // At any moment of what a replica does.
        tokio::time::sleep(Duration::from_millis(300 + 173 * (kills as u64 % 8))).await;
        daemons.remove(kills % daemons.len()).kill();
        kills += 1;
        daemons.push(bucket.replica(&[]));
        pushers.aim(addresses(&daemons));
    }
    let acknowledged = pushers.end().await;
    is_over.store(true, Ordering::Relaxed);
    collecting.join().unwrap();
    assert!(acknowledged.len() > kills, "{} pushes, {kills} kills", acknowledged.len());
    for pushed in &acknowledged {
        let replica = &daemons[pushed.tag.len() % daemons.len()];
        assert_eq!(pull(replica, &pushed.name, &pushed.tag).await, pushed.digest, "{pushed:?}");
    }
    let checked = bucket.command(&["fsck"]);
    assert!(checked.status.code().is_some_and(|code| code < 2), "{checked:?}");
    let seconds = begun.elapsed().as_secs();
    println!("{} pushes acknowledged and found again, {kills} kills in {seconds} s", acknowledged.len());
}
