//! Two writers on one session: one wins, and the content is what one of them sent.

use super::{held, until_held};
use bytes::Bytes;
use http::Method;
use testing::{registry::Registry, session::*, wire::Wire};

fn pieces(content: &Bytes, len: usize) -> Vec<Bytes> {
    (0..content.len()).step_by(len).map(|at| content.slice(at..content.len().min(at + len))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_one_of_two_chunks_at_one_offset_is_accepted() {
    let registry = Registry::start().await;
    for round in 0..20 {
        let len = 1 << (10 + round % 10);
        let both = [noise(len, 1), noise(len, 2)];
        let location = registry.begin("app").await;
        let send = |i: usize| {
            let ask = registry.ask(Method::PATCH, &location).header("content-range", format!("0-{}", len - 1));
            ask.stream(pieces(&both[i], 10_000)).send()
        };
        let (first, second) = tokio::join!(send(0), send(1));
        let winner = match (first.status.as_u16(), second.status.as_u16()) {
            (202, 416) => 0,
            (416, 202) => 1,
            other => panic!("{other:?}"),
        };
        assert!(held(&registry, &location) == both[winner], "round {round}");
        registry.put(format!("{location}?digest={}", sha256(&both[winner])), "").await.is(201);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_into_one_session_never_mix() {
    let registry = Registry::start().await;
    for round in 0..10 {
        let len = 900_000;
        let both = [Bytes::from(vec![b'a'; len]), Bytes::from(vec![b'b'; len])];
        let location = registry.begin("app").await;
        let send = |i: usize| registry.ask(Method::PATCH, &location).stream(pieces(&both[i], 7_777)).send();
        let (first, second) = tokio::join!(send(0), send(1));
        let taken = [&first, &second].into_iter().filter(|reply| reply.status == 202).count();
        assert!(taken >= 1, "{first:?} {second:?}");
        let held = held(&registry, &location);
        // Without an offset, the later one continues where the other stopped; then the other has lost. So there is at
        // most one seam, and after it one complete stream.
        let seam = held.iter().position(|byte| *byte != held[0]).unwrap_or(held.len());
        assert!(held[seam..].iter().all(|byte| *byte != held[0]), "round {round}: they mix");
        assert!(held.len() - seam == len || seam == len, "round {round}: {seam} of {}", held.len());
        let answer = registry.get(&location).await;
        assert_eq!(answer.header("range"), format!("0-{}", held.len() - 1));
        registry.put(format!("{location}?digest={}", sha256(&held)), "").await.is(201);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_with_a_range_is_written_there_or_refused() {
    let registry = Registry::start().await;
    let theirs = Bytes::from(vec![b'a'; 1 << 20]);
    let ours = Bytes::from(vec![b'b'; 1_000]);
    for round in 0..30 {
        let location = registry.begin("app").await;
        let stream = registry.ask(Method::PATCH, &location).stream(pieces(&theirs, 5_000)).send();
        let butt_in = async {
            loop {
                // At each offset at which the session is seen, until one is accepted.
                let at = until_held(&registry, &location, 1).await;
                if registry.patch_at(&location, at, ours.clone()).await.status == 202 {
                    return at;
                }
            }
        };
        let (_, at) = tokio::join!(stream, butt_in);
        let held = held(&registry, &location);
        assert!(held[at..at + ours.len()] == ours, "round {round}: not at {at}");
        assert!(held[..at].iter().all(|byte| *byte == b'a'), "round {round}");
        registry.delete(&location).await.is(204);
    }
}

#[tokio::test]
async fn a_hanging_connection_does_not_block_its_session() {
    let registry = Registry::start().await;
    // As much as is held in memory, and more than is written at once.
    for len in [1_000, 2_000_000] {
        let content = noise(len, 3);
        let location = registry.begin("app").await;
        let half = &content[..len / 2];
        let mut dead = Wire::begin(registry.address(), "PATCH", &location, len, half).await;
        let least = if half.len() > 300_000 { 1_000 } else { 0 };
        let at = until_held(&registry, &location, least).await;
        let at = if least == 0 { 0 } else { at };
        // The hanging request may still be accepted; the one that continues at the current offset wins.
        let mut reply = registry.patch_at(&location, at, content.slice(at..)).await;
        while reply.status == 416 {
            let (_, last) = reply.header("range").split_once('-').expect("where it stands");
            let at = last.parse::<usize>().unwrap() + 1;
            reply = registry.patch_at(&location, at, content.slice(at..)).await;
        }
        assert_eq!(reply.status, 202);
        dead.send_in_vain(&content[len / 2..]).await;
        assert!(matches!(dead.status().await, Some(416 | 404) | None), "the first lost");
        registry.put(format!("{location}?digest={}", sha256(&content)), "").await.is(201);
        assert_eq!(registry.read(format!("/v2/app/blobs/{}", sha256(&content))).await.body, content);
    }
}

#[tokio::test]
async fn a_hanging_connection_is_forgotten_by_a_restart() {
    let registry = Registry::start().await;
    let content = noise(2_000_000, 6);
    let location = registry.begin("app").await;
    let mut dead = Wire::begin(registry.address(), "PATCH", &location, content.len(), &content[..1_500_000]).await;
    until_held(&registry, &location, 1_000_000).await;
    let registry = registry.restart(Default::default()).await;
    let at = until_held(&registry, &location, 1_000_000).await;
    assert!(held(&registry, &location) == content[..at]);
    dead.send_in_vain(&content[1_500_000..]).await;
    assert_eq!(dead.status().await, None);
    registry.patch_at(&location, at, content.slice(at..)).await.is(202);
    registry.put(format!("{location}?digest={}", sha256(&content)), "").await.is(201);
}

#[tokio::test]
async fn a_hanging_connection_cannot_write_into_a_finished_session() {
    let registry = Registry::start().await;
    let content = noise(5_000, 4);
    let (location, digest) = (registry.begin("app").await, sha256(&content));
    let target = format!("{location}?digest={digest}");
    let mut dead = Wire::begin(registry.address(), "PUT", &target, content.len(), &content[..2_000]).await;
    registry.put(&target, content.clone()).await.is(201);
    dead.send_in_vain(&content[2_000..]).await;
    // It brought the same bytes or was too late: both are possible, and the blob is complete.
    assert!(matches!(dead.status().await, Some(201 | 404 | 416)));
    assert_eq!(registry.read(format!("/v2/app/blobs/{digest}")).await.body, content);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_pushed_by_many_clients_at_once_is_stored_once() {
    let registry = Registry::start().await;
    let content = noise(400_000, 5);
    let target = format!("/v2/app/blobs/uploads/?digest={}", sha256(&content));
    let pushes = (0..8).map(|_| registry.post(&target, content.clone()));
    for reply in futures_util::future::join_all(pushes).await {
        assert_eq!(reply.status, 201);
    }
    assert_eq!(registry.read(format!("/v2/app/blobs/{}", sha256(&content))).await.body, content);
    assert_eq!(std::fs::read_dir(registry.root().join("uploads")).unwrap().count(), 0);
}
