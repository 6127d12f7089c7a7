//! With write-behind, the server is away: what needs it waits or is refused, and everything else goes on.

use super::{BEHIND, LONG, Site, push};
use http::Method;
use std::time::{Duration, Instant};
use testing::{
    chaos::pull,
    content::{noise, sha256},
    sshd::Relay,
};

#[tokio::test(flavor = "multi_thread")]
async fn pushes_and_pulls_of_what_is_local_go_on_while_the_server_is_away() {
    let Some(mut site) = Site::new("a server that is away") else { return };
    // An earlier run left an image that only the server has.
    let daemon = site.daemon("one", &[]);
    let distant = push(&daemon, "app", "distant", 300_000, 1).await;
    drop(daemon);
    let daemon = site.daemon("one", BEHIND);
    site.known(&daemon).await;
    push(&daemon, "app", "early", 5000, 2).await;
    site.uploaded(&daemon).await;
    site.server.kill();
    // New images, also on top of layers that the server has.
    let begun = Instant::now();
    let new = push(&daemon, "app", "new", LONG, 3).await;
    let again = push(&daemon, "app", "again", 300_000, 1).await;
    let other = push(&daemon, "other/app", "v1", 3000, 4).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "a push waits for a server that is away: {:?}", begun.elapsed());
    assert_eq!(again, distant, "the same image");
    for (name, tag, digest) in [("app", "new", &new), ("other/app", "v1", &other)] {
        assert_eq!(&pull(&daemon, name, tag).await, digest);
    }
    daemon.get("/v2/app/manifests/early").await.is(200);
    assert_eq!(daemon.tags("app").await, ["again", "distant", "early", "new"]);
    daemon.delete("/v2/app/manifests/early").await.is(202);
    daemon.get("/v2/app/manifests/early").await.refused(404, "MANIFEST_UNKNOWN");
    // What does not exist is known, and what is elsewhere is not said to be missing.
    daemon.get(format!("/v2/app/blobs/{}", sha256(b"nothing"))).await.refused(404, "BLOB_UNKNOWN");
    let layer = sha256(&noise(300_000, 1));
    daemon.ask(Method::HEAD, format!("/v2/app/blobs/{layer}")).send().await.is(200);
    let begun = Instant::now();
    let away = daemon.get(format!("/v2/app/blobs/{layer}")).await;
    assert_eq!(away.status, 503, "{}", away.message());
    assert!(away.headers.contains_key("retry-after"), "{:?}", away.headers);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    // Pages and figures do not wait for it either.
    for path in ["/", "/system", "/api/v1/dashboard", "/metrics", "/health"] {
        daemon.get(path).await.is(200);
    }
    let report = daemon.get("/api/v1/storage/outbox").await.is(200).json();
    assert!(report["writes"].as_u64().unwrap() > 5 && report["knows_all"] == true, "{report}");
    site.server.resume();
    site.uploaded(&daemon).await;
    drop(daemon);
    let daemon = site.daemon("one", &[]);
    for (name, tag, digest) in
        [("app", "new", &new), ("app", "again", &again), ("app", "distant", &distant), ("other/app", "v1", &other)]
    {
        assert_eq!(&pull(&daemon, name, tag).await, digest, "{tag} arrived");
    }
    assert_eq!(daemon.tags("app").await, ["again", "distant", "new"], "a tag was deleted meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_the_server_says_so_and_the_journal_stays() {
    let Some(mut site) = Site::new("a start without the server") else { return };
    let daemon = site.daemon("one", BEHIND);
    site.known(&daemon).await;
    site.server.kill();
    let digest = push(&daemon, "app", "v1", 3 << 20, 1).await;
    daemon.kill();
    let refused = site.refusal("one", BEHIND);
    assert!(refused.contains("cannot use sftp://"), "{refused}");
    assert!(refused.contains("acknowledged") && refused.contains("start again"), "{refused}");
    site.server.resume();
    let daemon = site.daemon("one", BEHIND);
    assert_eq!(pull(&daemon, "app", "v1").await, digest);
    site.uploaded(&daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_distance_a_write_behind_push_does_not_wait_for_the_server() {
    let Some(site) = Site::new("distance") else { return };
    let relay = Relay::start(site.server.port(), Duration::from_millis(50));
    let port = site.by_way_of(&relay);
    let mut variables = BEHIND.to_vec();
    variables.push(("REGISTRY_SFTP_PORT", &port));
    let daemon = site.daemon("one", &variables);
    site.known(&daemon).await;
    let begun = Instant::now();
    let digest = push(&daemon, "app", "v1", 8 << 20, 1).await;
    let small = Instant::now();
    for number in 2..5 {
        push(&daemon, "app", &format!("small-{number}"), 1000, number).await;
    }
    let (large, three) = (small - begun, small.elapsed());
    println!("100 ms away: a push of 8 MiB took {large:?}, three of 1 kB took {three:?}");
    assert!(three < Duration::from_secs(5), "three small pushes took {three:?}");
    assert_eq!(pull(&daemon, "app", "v1").await, digest);
    let begun = Instant::now();
    site.uploaded_within(&daemon, Duration::from_secs(300)).await;
    println!("uploaded {:?} later", begun.elapsed());
    assert_eq!(pull(&daemon, "app", "v1").await, digest);
}
