//! The eighteen loads of zot's `zb`, with its names and its requests, so that the figures can be compared with those it
//! prints: a blob of 1, 10 or 100 MiB that begins with a random page and continues with zeros, the same one in every
//! push; an image of one layer; a new repository for each push; clients that wait for each answer.
//!
//! Its requests per second include setup and removal. They are printed here with that name, next to those of the load
//! alone.

use std::sync::Mutex;
use std::time::Instant;

use serde_json::{Value, json};

use crate::Result;
use crate::content::{BenchBlob, Maker, unique};
use crate::figures::percentile;
use crate::http::{Body, Dial, Sink};
use crate::load::{Done, Until, closed};
use crate::loader::{Image, Loader, Upload};
use crate::report::{rows, short};

const MIB: u64 = 1 << 20;

/// What a client does n/c times.
#[derive(Clone, Copy)]
enum ZbOperation {
    Catalog,
    /// In one PUT, or in a PATCH.
    Push {
        chunk: bool,
    },
    Pull,
    /// Three pulls for each push.
    Mixed,
    /// A pull of an image that another registry has.
    Sync,
}

struct Test {
    name: &'static str,
    kind: ZbOperation,
    /// How many of a hundred blobs have 1, 10, 100 and 1024 MiB.
    sizes: [u64; 4],
}

const fn test(name: &'static str, kind: ZbOperation, sizes: [u64; 4]) -> Test {
    Test { name, kind, sizes }
}

const ONE: [u64; 4] = [100, 0, 0, 0];
const TEN: [u64; 4] = [0, 100, 0, 0];
const HUNDRED: [u64; 4] = [0, 0, 100, 0];
const PUT: ZbOperation = ZbOperation::Push { chunk: false };
const CHUNK: ZbOperation = ZbOperation::Push { chunk: true };

const TESTS: [Test; 18] = [
    test("Get Catalog", ZbOperation::Catalog, [70, 20, 10, 0]),
    test("Push Monolith 1MB", PUT, ONE),
    test("Push Monolith 10MB", PUT, TEN),
    test("Push Monolith 100MB", PUT, HUNDRED),
    test("Push Chunk Streamed 1MB", CHUNK, ONE),
    test("Push Chunk Streamed 10MB", CHUNK, TEN),
    test("Push Chunk Streamed 100MB", CHUNK, HUNDRED),
    test("Pull 1MB", ZbOperation::Pull, ONE),
    test("Pull 10MB", ZbOperation::Pull, TEN),
    test("Pull 100MB", ZbOperation::Pull, HUNDRED),
    test("Pull Mixed 20% 1MB, 70% 10MB, 10% 100MB", ZbOperation::Pull, [20, 70, 10, 0]),
    test("Push Monolith Mixed 20% 1MB, 70% 10MB, 10% 100MB", PUT, [20, 70, 10, 0]),
    test("Push Chunk Mixed 33% 1MB, 33% 10MB, 33% 100MB", CHUNK, [33, 33, 33, 0]),
    test("Pull 75% and Push 25% Mixed 1MB", ZbOperation::Mixed, ONE),
    test("Pull 75% and Push 25% Mixed 10MB", ZbOperation::Mixed, TEN),
    test("Pull 75% and Push 25% Mixed 100MB", ZbOperation::Mixed, HUNDRED),
    test("On-demand Sync 100MB", ZbOperation::Sync, HUNDRED),
    test("On-demand Sync 1GB", ZbOperation::Sync, [0, 0, 0, 100]),
];

/// What to run against which registries.
pub struct Options {
    pub dial: Dial,
    /// Where the images of the sync tests are pushed; without it these tests are skipped.
    pub upstream: Option<Dial>,
    pub clients: usize,
    pub requests: u64,
    /// Only tests whose name contains this are run.
    pub only: Option<String>,
    pub keep: bool,
    pub quick: bool,
}

/// What was pushed where.
#[derive(Clone)]
struct Pushed {
    repository: String,
    size: usize,
}

struct ZbRun<'a> {
    options: &'a Options,
    /// An image of each size.
    images: Vec<Image>,
    pushed: Mutex<Vec<Pushed>>,
}

impl ZbRun<'_> {
    fn size(&self, test: &Test, client: &mut Loader) -> usize {
        let mut at = client.random.below(test.sizes.iter().sum());
        test.sizes
            .iter()
            .position(|share| {
                let here = at < *share;
                at = at.saturating_sub(*share);
                here
            })
            .unwrap_or(0)
    }

    fn note(&self, size: usize) -> Result<Pushed> {
        let pushed = Pushed { repository: format!("zb/{:016x}", unique()), size };
        self.pushed.lock().map_err(|_| "a client failed")?.push(pushed.clone());
        Ok(pushed)
    }

    fn push(&self, test: &Test, client: &mut Loader) -> Result<Pushed> {
        let pushed = self.note(self.size(test, client))?;
        client.push_image(&pushed.repository, "tag", &self.images[pushed.size], false)?;
        Ok(pushed)
    }

    /// As `zb` does it: the config follows an empty PATCH and goes to the first location of the session.
    fn push_chunk(&self, test: &Test, client: &mut Loader) -> Result<()> {
        let Pushed { repository, size } = self.note(self.size(test, client))?;
        let image = &self.images[size];
        client.push_blob(&repository, &image.layers[0], Upload::Patches(1))?;
        let first = client.begin(&repository)?;
        client.patch(&first, None, Body::Bytes(&[]))?;
        let last = client.patch(&first, None, Body::Part(&image.config, 0, image.config.size))?;
        client.finish(&last, &image.config.digest, Body::Bytes(&[]))?;
        client.push_manifest(&repository, "tag", &image.manifest)
    }

    /// HEAD and GET of the manifest, the config and the layer.
    fn pull(&self, client: &mut Loader, pushed: &Pushed) -> Result<()> {
        let (repository, image) = (&pushed.repository, &self.images[pushed.size]);
        let manifest = format!("/v2/{repository}/manifests/tag");
        client.head(&manifest)?;
        client.get(&manifest, Sink::Discard)?;
        for blob in image.blobs() {
            client.head(&format!("/v2/{repository}/blobs/{}", blob.digest))?;
            client.pull_blob(repository, &blob.digest, blob.size)?;
        }
        Ok(())
    }

    /// Removes what was pushed; what the registry refuses to delete stays.
    fn remove(&self) -> Result<()> {
        let mut client = Loader::new(&self.options.dial, 0);
        for Pushed { repository, size } in std::mem::take(&mut *self.pushed.lock().map_err(|_| "a client failed")?) {
            let image = &self.images[size];
            let blobs = image.blobs().map(|blob| format!("blobs/{}", blob.digest));
            for path in std::iter::once(format!("manifests/{}", image.digest)).chain(blobs) {
                client.conn.send("DELETE", &format!("/v2/{repository}/{path}"), &[], Body::None, Sink::Discard)?;
            }
        }
        Ok(())
    }

    fn run(&self, test: &Test) -> Result<Value> {
        let options = self.options;
        let (dial, clients) = (&options.dial, options.clients);
        let each = options.requests / clients as u64;
        let begin = Instant::now();
        // Each client pulls what it has pushed; for mixed sizes, one image of each.
        let own: Mutex<Vec<Vec<Pushed>>> = Mutex::new(vec![Vec::new(); clients]);
        let set_up = |client: &mut Loader| {
            let sizes: Vec<usize> = (0..4).filter(|size| test.sizes[*size] > 0).collect();
            for size in sizes {
                let pushed = self.note(size)?;
                client.push_image(&pushed.repository, "tag", &self.images[size], false)?;
                own.lock().map_err(|_| "a client failed")?[client.index].push(pushed);
            }
            Ok(())
        };
        let before = match test.kind {
            ZbOperation::Catalog => {
                closed(dial, clients, Until::Times(each), &|client| self.push(test, client).map(|_| ()))
            }
            ZbOperation::Push { .. } => Done::default(),
            ZbOperation::Pull | ZbOperation::Mixed => closed(dial, clients, Until::Times(1), &set_up),
            ZbOperation::Sync => closed(options.upstream.as_ref().unwrap_or(dial), clients, Until::Times(1), &set_up),
        };
        if let Some(error) = before.first_error {
            return Err(format!("{}: {error}", test.name).into());
        }
        let own = own.into_inner().map_err(|_| "a client failed")?;
        let latencies = Mutex::new(Vec::new());
        let operation = |client: &mut Loader| {
            let start = Instant::now();
            match test.kind {
                ZbOperation::Catalog => client.get("/v2/_catalog", Sink::Discard).map(|_| ())?,
                ZbOperation::Push { chunk: true } => self.push_chunk(test, client)?,
                ZbOperation::Push { chunk: false } => self.push(test, client).map(|_| ())?,
                ZbOperation::Mixed if client.random.below(4) == 0 => self.push(test, client).map(|_| ())?,
                ZbOperation::Pull | ZbOperation::Mixed | ZbOperation::Sync => {
                    let size = self.size(test, client);
                    let pushed =
                        own[client.index].iter().find(|pushed| pushed.size == size).ok_or("nothing to pull")?;
                    self.pull(client, pushed)?;
                }
            }
            latencies.lock().map_err(|_| "a client failed")?.push(start.elapsed().as_nanos() as u64);
            Ok(())
        };
        let done = closed(dial, clients, Until::Times(each), &operation);
        if !options.keep {
            self.remove()?;
        }
        let whole = begin.elapsed().as_secs_f64();
        let mut latencies = latencies.into_inner().unwrap_or_default();
        latencies.sort_unstable();
        let ms = |part| percentile(&latencies, part) as f64 / 1e6;
        if let Some(error) = &done.first_error {
            eprintln!("{}: {} errors, the first: {error}", test.name, done.errors);
        }
        Ok(json!({"name": test.name, "operations": done.operations, "errors": done.errors,
            "per second": done.operations as f64 / done.seconds,
            "per second with set-up and removal": done.operations as f64 / whole,
            "MB/s": done.bytes as f64 / 1e6 / done.seconds,
            "min ms": ms(0.0), "p50 ms": ms(0.5), "p75 ms": ms(0.75), "p90 ms": ms(0.9), "p99 ms": ms(0.99),
            "max ms": ms(1.0)}))
    }
}

/// The names of the loads.
pub fn names() -> impl Iterator<Item = &'static str> {
    TESTS.iter().map(|test| test.name)
}

/// Runs them and returns a table and the same as JSON.
pub fn run(options: &Options) -> Result<(String, Value)> {
    if options.clients == 0 || options.requests < options.clients as u64 {
        return Err("at least one request for each client is needed".into());
    }
    let config = BenchBlob::of(
        br#"{"architecture":"amd64","author":"bench","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#.to_vec(),
    );
    let image = |size: u64| -> Result<Image> {
        let size = if options.quick { size / 128 } else { size };
        Ok(Image::with_config(config.clone(), vec![Maker::of_zb(size)?.make()]))
    };
    let images = [1, 10, 100, 1024].map(|size| image(size * MIB)).into_iter().collect::<Result<_>>()?;
    let run = ZbRun { options, images, pushed: Mutex::new(Vec::new()) };
    let columns =
        ["per second", "per second with set-up and removal", "p50 ms", "p90 ms", "p99 ms", "max ms", "errors"];
    let mut table = vec![std::iter::once("closed loop").chain(columns).map(str::to_owned).collect::<Vec<_>>()];
    let mut results = Vec::new();
    for test in &TESTS {
        let left_out = options.only.as_ref().is_some_and(|only| !test.name.contains(only.as_str()));
        if left_out || (matches!(test.kind, ZbOperation::Sync) && options.upstream.is_none()) {
            continue;
        }
        eprintln!("{}", test.name);
        let result = run.run(test)?;
        let cells = columns.iter().map(|column| result[*column].as_f64().map_or("–".to_owned(), short));
        table.push(std::iter::once(test.name.to_owned()).chain(cells).collect());
        results.push(result);
    }
    let errors: u64 = results.iter().filter_map(|test| test["errors"].as_u64()).sum();
    Ok((
        rows(&table),
        json!({"errors": errors, "clients": options.clients, "requests": options.requests, "tests": results}),
    ))
}
