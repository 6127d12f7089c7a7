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

/// How long to push.
const LENGTH: Duration = Duration::from_secs(20);

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
    let begun = Instant::now();
    let mut kills = 0;
    while begun.elapsed() < LENGTH {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        daemons.remove(kills % daemons.len()).kill();
        kills += 1;
        daemons.push(bucket.replica(&[]));
        pushers.aim(addresses(&daemons));
    }
    let acknowledged = pushers.end().await;
    is_over.store(true, Ordering::Relaxed);
    collecting.join().unwrap();
    assert!(acknowledged.len() > 10 && kills > 2, "{} pushes, {kills} kills", acknowledged.len());
    for pushed in &acknowledged {
        let replica = &daemons[pushed.tag.len() % daemons.len()];
        assert_eq!(pull(replica, &pushed.name, &pushed.tag).await, pushed.digest, "{pushed:?}");
    }
    println!("{} pushes acknowledged and found again, {kills} kills", acknowledged.len());
}
