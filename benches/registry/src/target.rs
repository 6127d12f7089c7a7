//! What is measured: an address, the process behind it, and its files.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Result;
use crate::content::BenchBlob;
use crate::figures::{Figures, Metric, add_latencies};
use crate::http::Dial;
use crate::load::Done;
use crate::loader::{Image, Loader};
use crate::peers::server::{Launch, Server};
use crate::placer::Placer;
use crate::procs::{Peak, cpu, memory, tree};

/// The administrator of every peer with passwords.
pub const ADMIN: (&str, &str) = ("admin", "correct horse battery");
/// A user who may see only [`ONES`].
pub const ONE: (&str, &str) = ("one", "staple correct horse");
/// The repository that [`ONE`] may see.
pub const ONES: &str = "org500/app050";

/// A registry, or a file server with the same paths.
pub struct Target {
    /// Its name in reports.
    pub label: String,
    pub dial: Dial,
    /// The process id, if it was not started here.
    pub pid: Option<u32>,
    /// The server, if it was started here.
    pub server: Option<Mutex<Server>>,
    /// The directory it serves, for a file server, where content is placed without a push.
    pub files: Option<PathBuf>,
    /// Where its content is on this machine.
    pub storage: Option<PathBuf>,
    /// Commands for the upkeep of the storage while it is in use.
    pub upkeep: Vec<Launch>,
}

impl Target {
    fn server(&self) -> Result<MutexGuard<'_, Server>> {
        let server = self.server.as_ref().ok_or("only a server that was started here can be started again")?;
        Ok(server.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The processes of the server; none if unknown.
    pub fn pids(&self) -> Result<Vec<u32>> {
        match (&self.server, self.pid) {
            (Some(_), _) => tree(self.server()?.pid()),
            (None, Some(pid)) => tree(pid),
            (None, None) => Ok(Vec::new()),
        }
    }

    /// Restarts the server and runs `between` while it is down; returns the time to its first answer.
    pub fn restart(&self, between: impl FnOnce() -> Result<()>) -> Result<Duration> {
        self.server()?.restart(between)
    }

    /// Restarts it without any content, if it was started here. Other servers keep what was pushed.
    pub fn wipe(&self) -> Result<()> {
        let (Some(storage), Some(_)) = (&self.storage, &self.server) else { return Ok(()) };
        let empty = || {
            for entry in std::fs::read_dir(storage)? {
                let path = entry?.path();
                if path.is_dir() { std::fs::remove_dir_all(path)? } else { std::fs::remove_file(path)? }
            }
            Ok(())
        };
        self.restart(empty).map(|_| ())
    }

    /// The same address with other credentials.
    pub fn dial_as(&self, (name, password): (&str, &str)) -> Dial {
        Dial { credentials: Some((name.to_owned(), password.to_owned())), ..self.dial.clone() }
    }

    /// Puts a blob on the target, by push or as a file.
    pub fn place_blob(&self, placer: &Placer, repository: &str, blob: &BenchBlob) -> Result<()> {
        match &self.files {
            None => placer.push_blob(repository, blob),
            Some(_) => self.place_file(&format!("v2/{repository}/blobs/{}", blob.digest), &blob.bytes()),
        }
    }

    /// Puts an image on the target under a tag.
    pub fn place_image(&self, placer: &Placer, repository: &str, tag: &str, image: &Image) -> Result<()> {
        image.blobs().try_for_each(|blob| self.place_blob(placer, repository, blob))?;
        if self.files.is_none() {
            return placer.push_manifest(repository, tag, &image.manifest);
        }
        for reference in [tag, &image.digest] {
            self.place_file(&format!("v2/{repository}/manifests/{reference}"), &image.manifest)?;
        }
        Ok(())
    }

    fn place_file(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let path = self.files.as_ref().ok_or("nothing can be laid down here")?.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        Ok(std::fs::write(path, bytes)?)
    }

    /// How many syncs the server has counted so far, if it reports them.
    fn syncs(&self) -> Option<f64> {
        let text = String::from_utf8(Loader::new(&self.dial, 0).read("/metrics").ok()?).ok()?;
        let counts = text.lines().filter_map(|line| line.strip_prefix("wharfinger_store_syncs_total"));
        let values: Vec<f64> = counts.filter_map(|rest| rest.rsplit(' ').next()?.parse().ok()).collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// Measures what the server spends while `load` runs.
    pub fn measure(&self, load: impl FnOnce() -> Result<Done>) -> Result<Figures> {
        let (pids, syncs) = (self.pids()?, self.syncs());
        let (before, peak) = (cpu(&pids)?, Peak::of(pids.clone()));
        let done = load();
        let (spent, anon) = (cpu(&pids)? - before, peak.end()?);
        let done = done?;
        if done.operations == 0 {
            return Err(format!("nothing succeeded: {}", done.first_error.unwrap_or_default()).into());
        }
        if let Some(error) = &done.first_error {
            eprintln!("{}: {} errors, the first: {error}", self.label, done.errors);
        }
        let mut figures = Figures::from([
            (Metric::RequestsPerS, done.requests as f64 / done.seconds),
            (Metric::OperationsPerS, done.operations as f64 / done.seconds),
            (Metric::Errors, done.errors as f64),
        ]);
        if done.bytes > 0 {
            figures.insert(Metric::MbPerS, done.bytes as f64 / 1e6 / done.seconds);
        }
        if !pids.is_empty() {
            figures.insert(Metric::Anon, anon);
            figures.insert(Metric::Rss, memory(&pids, "VmRSS"));
            figures.insert(Metric::CpuPerRequest, spent * 1e6 / done.requests as f64);
            if done.bytes > 0 {
                figures.insert(Metric::CpuPerGb, spent * 1e9 / done.bytes as f64);
            }
        }
        if let (Some(before), Some(after)) = (syncs, self.syncs()) {
            figures.insert(Metric::Syncs, (after - before) / done.operations as f64);
        }
        Ok(figures)
    }

    /// The same for an open loop of this rate, with its latencies.
    pub fn measure_open(&self, rate: f64, load: impl FnOnce() -> (Done, Vec<u64>)) -> Result<Figures> {
        let mut latencies = Vec::new();
        let mut figures = self.measure(|| {
            let (done, seen) = load();
            latencies = seen;
            Ok(done)
        })?;
        figures.insert(Metric::OpenRate, rate);
        add_latencies(&mut figures, latencies);
        Ok(figures)
    }
}
