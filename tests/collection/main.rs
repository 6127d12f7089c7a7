//! Measures collections over a large store and beside requests. Each measurement is its own command;
//! `docs/performance.md` has the results.
//!
//! ```sh
//! cargo test --release --test collection -- --ignored --nocapture over_a_large_store
//! cargo test --release --test collection -- --ignored --nocapture beside_requests
//! ```
//!
//! `MARK_REPOSITORIES` is the number of repositories (default 1000). With `MARK_DIRECTORY` the store is created there
//! and kept for the next run. A million blobs take 6 GiB and three million inodes. Root also measures with cold caches,
//! by dropping the caches of the whole machine.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]
#![allow(unreachable_pub, dead_code, reason = "a test program is not a library")]

mod load;
mod store;

use load::{Times, ask, bring};
use std::{
    io::Read,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use store::Shape;
use testing::{content, daemon::Daemon};

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_wharfinger");

/// A store to measure, and the settings for it.
struct Bench {
    dir: PathBuf,
    shape: Shape,
    /// Removes the store at the end, unless it is kept.
    _temporary: Option<tempfile::TempDir>,
}

impl Bench {
    fn prepare(shape: Shape) -> Self {
        let (dir, temporary) = match std::env::var_os("MARK_DIRECTORY") {
            Some(dir) => (PathBuf::from(dir), None),
            None => tempfile::tempdir().map(|dir| (dir.path().to_owned(), Some(dir))).unwrap(),
        };
        let bench = Self { dir, shape, _temporary: temporary };
        let root = bench.root();
        if !root.exists() {
            std::fs::create_dir_all(&root).unwrap();
            drop(Daemon::start(PROGRAM, &root, &[]));
            let begun = Instant::now();
            store::fill(&root, shape);
            println!("{} blobs written in {:.0} s", shape.blobs(), begun.elapsed().as_secs_f64());
        }
        bench
    }

    fn root(&self) -> PathBuf {
        self.dir.join(format!("data-{}", self.shape.blobs()))
    }

    /// A settings file with this rate for collections.
    fn settings(&self, files_per_second: u64) -> String {
        let path = self.dir.join(format!("settings-{files_per_second}.toml"));
        std::fs::write(&path, format!("[collection]\nfiles_per_second = {files_per_second}\n")).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn daemon(&self) -> Daemon {
        Daemon::start(PROGRAM, &self.root(), &[("REGISTRY_SETTINGS", &self.settings(DEFAULT_RATE))])
    }

    /// The n-th request: images in a scattered order, three of four requests for their manifests.
    fn head(&self, number: usize) -> Vec<u8> {
        let image = number.wrapping_mul(7_919);
        let (repository, manifest) = (image % self.shape.repositories, image / 13 % self.shape.manifests);
        let name = store::name(repository);
        match number % 4 {
            0 => {
                let layer = store::layer(repository, manifest, number % self.shape.layers);
                ask("HEAD", &format!("/v2/{name}/blobs/sha256:{}", store::hex(layer.as_bytes())))
            }
            _ => ask("HEAD", &format!("/v2/{name}/manifests/v{manifest}")),
        }
    }
}

/// The default rate of collections, in files per second.
const DEFAULT_RATE: u64 = 20_000;
/// The maximum rate.
const FULL_RATE: u64 = 10_000_000;

/// The report of one run of `wharfinger gc`, and what it took.
struct Collected {
    report: serde_json::Value,
    /// Peak memory, in MiB.
    peak: f64,
    wall: Duration,
}

impl std::fmt::Display for Collected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = |of: &str| self.report[of]["number"].as_u64().unwrap_or(0);
        write!(
            f,
            "{:.1} s, of which the mark took {:.1} s; peak resident {:.0} MiB; {} manifests, {} + {} blobs, {} condemned",
            self.wall.as_secs_f64(),
            self.report["mark_seconds"].as_f64().unwrap_or(0.0),
            self.peak,
            self.report["manifests"],
            number("referenced"),
            number("orphaned"),
            self.report["condemned"]["blobs"],
        )
    }
}

/// Runs `wharfinger gc`.
fn gc(bench: &Bench, files_per_second: u64, flags: &[&str]) -> Collected {
    let begun = Instant::now();
    let mut child = Command::new(PROGRAM)
        .arg("gc")
        .arg("--json")
        .args(flags)
        .env("REGISTRY_STORAGE_PATH", bench.root())
        .env("REGISTRY_SETTINGS", bench.settings(files_per_second))
        .current_dir(&bench.dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (status, mut peak) = (format!("/proc/{}/status", child.id()), 0.0);
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let high = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak = high.map_or(peak, |kib: f64| kib / 1024.0);
        std::thread::sleep(Duration::from_millis(20));
    }
    let ended = child.wait().unwrap();
    assert!(ended.success(), "gc: {ended}");
    let mut json = String::new();
    child.stdout.take().unwrap().read_to_string(&mut json).unwrap();
    Collected { report: serde_json::from_str(&json).expect(&json), peak, wall: begun.elapsed() }
}

/// Drops the caches of the machine, if this user may.
fn drop_caches() -> bool {
    let _ = Command::new("sync").status();
    std::fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}

/// Runs one collection after another until it is stopped; returns their number.
fn again_and_again(
    bench: &Arc<Bench>,
    files_per_second: u64,
    flags: &'static [&'static str],
) -> (Arc<AtomicBool>, std::thread::JoinHandle<u32>) {
    let stop = Arc::new(AtomicBool::new(false));
    let (bench, output) = (bench.clone(), stop.clone());
    let runs = std::thread::spawn(move || {
        let mut runs = 0;
        while !output.load(Ordering::SeqCst) {
            gc(&bench, files_per_second, flags);
            runs += 1;
        }
        runs
    });
    (stop, runs)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes and gigabytes: a measurement"]
async fn over_a_large_store() {
    let repositories = std::env::var("MARK_REPOSITORIES").map_or(1000, |n| n.parse().unwrap());
    let shape = Shape { repositories, manifests: 100, layers: 10, orphans: repositories * 10 };
    let bench = Arc::new(Bench::prepare(shape));
    for rate in [DEFAULT_RATE, FULL_RATE] {
        if drop_caches() {
            println!("cold, {rate} files/s:  {}", gc(&bench, rate, &["--dry-run"]));
        }
        println!("warm, {rate} files/s:  {}", gc(&bench, rate, &["--dry-run"]));
    }
    let daemon = bench.daemon();
    let heads = |lasting| {
        let bench = bench.clone();
        load::send(daemon.address(), 500, lasting, move |number| bench.head(number))
    };
    let lasting = Duration::from_secs(20);
    println!("HEADs alone, first: {}", heads(lasting).await);
    println!("HEADs alone:        {}", heads(lasting).await);
    for rate in [DEFAULT_RATE, FULL_RATE] {
        let (stop, runs) = again_and_again(&bench, rate, &["--dry-run"]);
        let times = heads(lasting).await;
        stop.store(true, Ordering::SeqCst);
        println!("HEADs beside gc at {rate} files/s: {times}; {} run(s)", runs.join().unwrap());
    }
    println!("gc beside the daemon, warm, {DEFAULT_RATE} files/s: {}", gc(&bench, DEFAULT_RATE, &[]));
}

/// The latency of pushes and pulls of small images beside collections. One in ten requests pushes a blob or a manifest.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: a measurement"]
async fn beside_requests() {
    let shape = Shape { repositories: 100, manifests: 20, layers: 5, orphans: 500 };
    let bench = Arc::new(Bench::prepare(shape));
    let daemon = bench.daemon();
    let lasting = Duration::from_secs(30);
    let pushed = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mixed = || {
        let (bench, pushed) = (bench.clone(), pushed.clone());
        let pulls = load::send(daemon.address(), 450, lasting, move |number| match number % 3 {
            0 => bench.pull(number),
            _ => bench.head(number),
        });
        let pushes = load::send(daemon.address(), 50, lasting, move |_| {
            // Each manifest is new as well.
            let number = pushed.fetch_add(1, Ordering::SeqCst);
            if number % 2 == 0 { push_blob(number / 2) } else { push_manifest(number / 2) }
        });
        async move { tokio::join!(pulls, pushes) }
    };
    // The manifests refer only to blobs that exist already.
    print("warming up", mixed().await);
    print("alone", mixed().await);
    for (what, rate, flags) in [
        ("beside gc in a loop", DEFAULT_RATE, &[][..]),
        ("beside gc --now in a loop", DEFAULT_RATE, &["--now", "--force"][..]),
        ("beside gc --now in a loop, unlimited", FULL_RATE, &["--now", "--force"][..]),
    ] {
        let (stop, runs) = again_and_again(&bench, rate, flags);
        let times = mixed().await;
        stop.store(true, Ordering::SeqCst);
        print(&format!("{what} ({} runs)", runs.join().unwrap()), times);
    }
    print("alone again", mixed().await);
}

fn print(what: &str, (pulls, pushes): (Times, Times)) {
    println!("{what}\n  pulls  {pulls}\n  pushes {pushes}");
}

impl Bench {
    /// A request for a layer.
    fn pull(&self, number: usize) -> Vec<u8> {
        let image = number.wrapping_mul(7_919);
        let (repository, manifest) = (image % self.shape.repositories, image / 13 % self.shape.manifests);
        let layer = store::layer(repository, manifest, number % self.shape.layers);
        ask("GET", &format!("/v2/{}/blobs/sha256:{}", store::name(repository), store::hex(layer.as_bytes())))
    }
}

/// A push of a unique blob.
fn push_blob(number: usize) -> Vec<u8> {
    let content = format!("pushed {number}");
    let target = format!("/v2/{}/blobs/uploads/?digest=sha256:{}", store::name(0), store::hex(content.as_bytes()));
    bring("POST", &target, "application/octet-stream", content.as_bytes())
}

/// A push of a unique manifest of existing layers.
fn push_manifest(number: usize) -> Vec<u8> {
    let descriptor = |media_type: &str, content: String| {
        let digest = format!("sha256:{}", store::hex(content.as_bytes()));
        serde_json::json!({"mediaType": media_type, "digest": digest, "size": content.len()})
    };
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": content::OCI_MANIFEST,
        "config": descriptor(content::CONFIG, store::layer(1, 0, 0)),
        "layers": [descriptor(content::LAYER, store::layer(1, 0, 1))],
        "annotations": {"number": number.to_string()},
    });
    let target = format!("/v2/{}/manifests/pushed{}", store::name(1), number % 100);
    bring("PUT", &target, content::OCI_MANIFEST, manifest.to_string().as_bytes())
}
