//! Heads of requests: length, number of lines, and where a body ends.

use testing::{
    registry::Registry,
    session::*,
    wire::{Wire, ms},
};

#[tokio::test]
async fn heads_of_16_kib_are_accepted_and_heads_beyond_the_limit_refused() {
    let registry = Registry::with(|setup| setup.limits.header_bytes = 20 << 10).await;
    let head = |len: usize| {
        let around = "GET /v2/ HTTP/1.1\r\nhost: x\r\nauthorization: \r\n\r\n".len();
        format!("GET /v2/ HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\n\r\n", "a".repeat(len - around))
    };
    let mut wire = Wire::open(registry.address()).await;
    for (len, status) in [(17 << 10, 200), (20 << 10, 200), ((20 << 10) + 1, 431), (17 << 10, 200)] {
        wire.send(head(len)).await;
        assert_eq!(wire.answer().await.status, status, "{len}");
    }
    // A head far beyond the limit is not even buffered.
    wire.send(head(120 << 10)).await;
    assert_eq!(wire.answer().await.status, 431);
    let mut wire = Wire::open(registry.address()).await;
    let _ = tokio::io::AsyncWriteExt::write_all(&mut wire.io, head(3 << 20).as_bytes()).await;
    assert_eq!(wire.answer().await.status, 431);
    assert!(wire.rest().await.is_empty());
}

#[tokio::test]
async fn the_largest_possible_limit_is_enforced() {
    let registry = Registry::with(|setup| setup.limits.header_bytes = 1 << 20).await;
    let mut wire = Wire::open(registry.address()).await;
    wire.send(format!("GET /v2/ HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "a".repeat(900 << 10))).await;
    assert_eq!(wire.answer().await.status, 200);
}

#[tokio::test]
async fn a_head_may_have_at_most_100_lines() {
    let registry = Registry::start().await;
    let head = |lines: usize| format!("GET /v2/ HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(lines - 1));
    let mut wire = Wire::open(registry.address()).await;
    wire.send(head(100)).await;
    assert_eq!(wire.answer().await.status, 200);
    wire.send(head(101)).await;
    assert_eq!(wire.answer().await.status, 431);
    assert!(wire.rest().await.is_empty());
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let registry = Registry::start().await;
    let mut digests = Vec::new();
    for (seed, len) in [600_000, 600_000, 3 << 20, 600_000].into_iter().enumerate() {
        digests.push(registry.push_blob("app", noise(len, seed as u64)).await);
    }
    let mut wire = Wire::open(registry.address()).await;
    let mut requests = String::new();
    for digest in &digests {
        // Files in a pipeline, with small responses between them.
        let get = format!("GET /v2/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n");
        requests += &[&get, &get, "GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n"].concat();
    }
    wire.send(requests).await;
    for digest in &digests {
        assert_eq!(sha256(&wire.answer().await.body), *digest);
        assert_eq!(sha256(&wire.answer().await.body), *digest);
        assert_eq!(wire.answer().await.body, b"{}\n");
    }
}

const LENGTH: &str = "Content-Length: 5\r\n";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// A request with two lengths whose body contains another request.
fn ambiguous(first: &str, second: &str) -> String {
    format!(
        "POST /v2/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\n{first}{second}\r\n0\r\n\r\n\
         GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    )
}

/// The statuses of the responses before the connection ended.
fn statuses(answers: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answers).into_owned();
    text.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse().unwrap()).collect()
}

#[tokio::test]
async fn a_request_with_two_lengths_is_refused_and_ends_the_connection() {
    let registry = Registry::start().await;
    let terse = ("transfer-encoding:chunked\r\nX: y\r\n", "content-length:4\r\n");
    for (first, second) in [(LENGTH, CHUNKED), (CHUNKED, LENGTH), terse] {
        // Also after empty lines, which are skipped.
        for before in ["", "\r\n", "\r\n\r\n"] {
            let mut wire = Wire::open(registry.address()).await;
            wire.send(format!("{before}{}", ambiguous(first, second))).await;
            let answer = wire.answer().await;
            assert_eq!(answer.status, 400, "{before:?}{first}{second}");
            assert!(answer.closes() && wire.rest().await.is_empty(), "{before:?}{first}{second}");
        }
        // On a connection that was used before.
        let mut wire = Wire::open(registry.address()).await;
        assert_eq!(wire.get("/v2/").await.status, 200);
        wire.send(ambiguous(first, second)).await;
        assert_eq!(statuses(&wire.rest().await), [400], "{first}{second}");
    }
    for bad in [
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Content-Length : 4\r\n",
        "Content-Length: +4\r\n",
    ] {
        let mut wire = Wire::open(registry.address()).await;
        wire.send(ambiguous(bad, "")).await;
        assert_eq!(statuses(&wire.rest().await), [400], "{bad}");
    }
}

#[tokio::test]
async fn pipelining_does_not_hide_a_second_length() {
    let registry = Registry::start().await;
    let before = "GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n";
    for (first, second) in [(LENGTH, CHUNKED), (CHUNKED, LENGTH)] {
        // A head that arrives early is not parsed yet: the request is refused, whatever it contains.
        let mut wire = Wire::open(registry.address()).await;
        wire.send(format!("{before}{}", ambiguous(first, second))).await;
        let got = statuses(&wire.rest().await);
        assert!(matches!(*got, [200, 400]), "{first}{second}: {got:?}");
        // Half of the head arrives with the request before it, half after that request's response.
        let mut wire = Wire::open(registry.address()).await;
        wire.send(format!("{before}POST /v2/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\n{first}")).await;
        assert_eq!(wire.answer().await.status, 200);
        tokio::time::sleep(ms(20)).await;
        wire.send(format!("{second}\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        let got = statuses(&wire.rest().await);
        assert!(matches!(*got, [400]), "{first}{second}: {got:?}");
        // The same if the body is read to its end.
        let mut wire = Wire::open(registry.address()).await;
        wire.send(format!("{before}PUT /v2/app/manifests/v1 HTTP/1.1\r\nHost: x\r\n{first}")).await;
        assert_eq!(wire.answer().await.status, 200);
        tokio::time::sleep(ms(20)).await;
        wire.send(format!("{second}\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        assert_eq!(statuses(&wire.rest().await), [400], "{first}{second}");
    }
    // Both lengths in the half that was not parsed, and a line that only resembles one of them.
    let mut wire = Wire::open(registry.address()).await;
    let both = format!("{CHUNKED}{LENGTH}X: ");
    wire.send(format!("{before}PUT /v2/app/manifests/v1 HTTP/1.1\r\nHost: x\r\n{both}")).await;
    assert_eq!(wire.answer().await.status, 200);
    tokio::time::sleep(ms(20)).await;
    wire.send("transfer-encoding: y\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(statuses(&wire.rest().await), [400], "nothing after it is served");
}

#[tokio::test]
async fn anything_but_http_is_refused_and_closed() {
    let registry = Registry::start().await;
    for bytes in [
        "\x16\x03\x01\x02\x00\x01\x00\x01\u{7f}\r\n\r\n",
        "GET\r\n\r\n",
        "POST /v2/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        "POST /v2/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        "POST /v2/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nHost: x\r\n folded: line\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nHost : x\r\n\r\n",
    ] {
        let mut wire = Wire::open(registry.address()).await;
        wire.send(bytes).await;
        let answer = String::from_utf8_lossy(&wire.rest().await).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{bytes:?}: {answer}");
    }
    assert_eq!(registry.get("/v2/").await.status, 200);
}
