//! Counts the allocations of the hot paths, in the whole process: a check for regressions that does not depend on time.
//! One more copy of the transferred bytes, or a few more allocations per request, exceeds a bound.
//!
//! The client is a thread that reuses its buffers, so it allocates next to nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]
#![allow(unreachable_pub, dead_code, reason = "a test program is not a library")]

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::{
    alloc::System,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};
use testing::{
    registry::{Registry, Setup},
    session::{noise, sha256},
};
use tokio::sync::Mutex;

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Tests run one at a time, because everything in this process is counted.
static ALONE: Mutex<()> = Mutex::const_new(());

const MIB: usize = 1 << 20;

/// A keep-alive connection.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    fn open(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).unwrap(), buffer: vec![0; 256 << 10] }
    }

    /// Sends a request and reads its whole response; returns the status and the length of the body.
    fn ask(&mut self, method: &str, request: &[u8], content: &[u8]) -> (u16, usize) {
        self.stream.write_all(request).unwrap();
        self.stream.write_all(content).unwrap();
        let mut filled = 0;
        let end = loop {
            let read = self.stream.read(&mut self.buffer[filled..]).unwrap();
            assert!(read > 0, "the connection was closed");
            filled += read;
            if let Some(end) = self.buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = std::str::from_utf8(&self.buffer[..end]).unwrap();
        let status = head[9..12].parse().unwrap();
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let length: usize = if method == "HEAD" { 0 } else { length.unwrap_or(0) };
        let mut received = filled - end;
        while received < length {
            let read = self.stream.read(&mut self.buffer).unwrap();
            assert!(read > 0, "the connection was closed");
            received += read;
        }
        (status, received)
    }
}

/// What some work allocated in this process.
#[derive(Debug)]
struct Cost {
    allocations: usize,
    bytes: usize,
}

async fn cost(work: impl FnOnce() + Send + 'static) -> Cost {
    let region = Region::new(GLOBAL);
    tokio::task::spawn_blocking(work).await.unwrap();
    let change = region.change();
    // Growing an allocation counts as one more.
    Cost { allocations: change.allocations + change.reallocations, bytes: change.bytes_allocated }
}

async fn registry() -> Registry {
    // On a disk, because content in memory takes another path.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    Registry::over(Arc::new(dir), Setup::default()).await
}

fn request(method: &str, target: &str, length: usize) -> Vec<u8> {
    format!("{method} {target} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn a_push_allocates_its_bytes_once() {
    let _alone = ALONE.lock().await;
    let registry = registry().await;
    let address = registry.address();
    let push = |seed| {
        let content = noise(64 * MIB, seed);
        let target = format!("/v2/app/blobs/uploads/?digest={}", sha256(&content));
        let request = request("POST", &target, content.len());
        move || assert_eq!(Connection::open(address).ask("POST", &request, &content).0, 201)
    };
    cost(push(1)).await;
    let cost = cost(push(2)).await;
    println!("a push of 64 MiB: {cost:?}");
    assert!(cost.bytes < 64 * MIB * 105 / 100, "{cost:?}");
    assert!(cost.allocations < 5500, "{cost:?}");
}

/// The chunk is so small that it arrives in one piece: then one allocation per piece is one per request.
#[tokio::test]
async fn a_chunk_of_an_upload_has_a_bounded_number_of_allocations() {
    const TIMES: usize = 1000;
    const PART: usize = 2048;
    let _alone = ALONE.lock().await;
    let registry = registry().await;
    let session = registry.begin("app").await;
    let address = registry.address();
    let send = |from: usize, times: usize| {
        let session = session.clone();
        move || {
            let mut connection = Connection::open(address);
            let mut bytes = Vec::with_capacity(2 * PART);
            for part in from..from + times {
                bytes.clear();
                let (start, end) = (part * PART, (part + 1) * PART - 1);
                write!(bytes, "PATCH {session} HTTP/1.1\r\nhost: x\r\ncontent-length: {PART}\r\n").unwrap();
                write!(bytes, "content-range: {start}-{end}\r\n\r\n").unwrap();
                bytes.resize(bytes.len() + PART, b'x');
                assert_eq!(connection.ask("PATCH", &bytes, b"").0, 202);
            }
        }
    };
    cost(send(0, 10)).await;
    let cost = cost(send(10, TIMES)).await;
    println!("a PATCH of {PART} bytes: {} allocations, {} bytes", cost.allocations / TIMES, cost.bytes / TIMES);
    assert!(cost.allocations / TIMES <= 204, "{cost:?}");
}

#[tokio::test]
async fn a_pull_allocates_next_to_nothing() {
    let _alone = ALONE.lock().await;
    let registry = registry().await;
    let digest = registry.push_blob("app", noise(64 * MIB, 1)).await;
    let address = registry.address();
    let pull = || {
        let request = request("GET", &format!("/v2/app/blobs/{digest}"), 0);
        move || assert_eq!(Connection::open(address).ask("GET", &request, b""), (200, 64 * MIB))
    };
    cost(pull()).await;
    let cost = cost(pull()).await;
    println!("a pull of 64 MiB: {cost:?}");
    // A window that is not in memory at that moment is read in pieces instead of being sent by the kernel.
    assert!(cost.bytes < 16 * MIB && cost.allocations < 500, "{cost:?}");
}

#[tokio::test]
async fn small_requests_allocate_little() {
    const TIMES: usize = 1000;
    let _alone = ALONE.lock().await;
    let registry = registry().await;
    let (_, manifest) = registry.push_image("app", "v1", "x").await;
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    let address = registry.address();
    for (what, method, target, most) in [
        ("a manifest by tag", "GET", "/v2/app/manifests/v1".to_owned(), (42, 18_000)),
        ("a HEAD of a layer", "HEAD", format!("/v2/app/blobs/{layer}"), (43, 18_000)),
    ] {
        let request = request(method, &target, 0);
        let ask = |times| {
            let request = request.clone();
            move || {
                let mut connection = Connection::open(address);
                (0..times).for_each(|_| assert_eq!(connection.ask(method, &request, b"").0, 200));
            }
        };
        // The list of the latest requests has its memory then.
        cost(ask(1000)).await;
        let cost = cost(ask(TIMES)).await;
        let (allocations, bytes) = (cost.allocations / TIMES, cost.bytes / TIMES);
        println!("{what}: {allocations} allocations, {bytes} bytes");
        assert!(allocations <= most.0 && bytes <= most.1, "{what}: {allocations} allocations, {bytes} bytes");
    }
}
