//! With write-behind, daemon and server are killed again and again while images are pushed. What was acknowledged must
//! be there afterwards, for this daemon and on the server.

use super::{BEHIND, Site, pull};
use std::time::Duration;
use testing::chaos::Pushers;

fn kills() -> u64 {
    std::env::var("WHARFINGER_TEST_SFTP_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(6)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_daemon_and_server_are_killed() {
    let Some(mut site) = Site::new("kills") else { return };
    let mut daemon = site.daemon("one", BEHIND);
    let pushers = Pushers::start(3, 0, vec![daemon.address()]);
    for kill in 0..kills() {
        tokio::time::sleep(Duration::from_millis(400 + kill * 37 % 700)).await;
        if kill % 2 == 0 {
            daemon.kill();
            daemon = site.daemon("one", BEHIND);
            pushers.aim(vec![daemon.address()]);
        } else {
            site.server.kill();
            tokio::time::sleep(Duration::from_millis(kill * 53 % 300)).await;
            site.server.resume();
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let acknowledged = pushers.end().await;
    for pushed in &acknowledged {
        assert_eq!(pull(&daemon, &pushed.name, &pushed.tag).await, pushed.digest, "{pushed:?}");
    }
    site.uploaded(&daemon).await;
    drop(daemon);
    // Without the journal: what is on the server alone.
    let daemon = site.daemon("one", &[]);
    for pushed in &acknowledged {
        assert_eq!(pull(&daemon, &pushed.name, &pushed.tag).await, pushed.digest, "{pushed:?} on the server");
    }
    // Whatever else is there is whole.
    for name in ["chaos/p0", "chaos/p1"] {
        for tag in daemon.tags(name).await {
            pull(&daemon, name, &tag).await;
        }
    }
    println!("{} pushes acknowledged and found again, {} kills", acknowledged.len(), kills());
    assert!(!acknowledged.is_empty());
}
