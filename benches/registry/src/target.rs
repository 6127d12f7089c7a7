//! What is measured: an address, the process behind it, and what may be done with them.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;

use crate::Result;
use crate::client::{Client, Image, Upload};
use crate::content::Blob;
use crate::figures::{Figures, Metric, add_latencies};
use crate::http::Dial;
use crate::load::Done;
use crate::peers::server::{Launch, Server};
use crate::procs::{Peak, cpu, memory, tree};

/// The administrator of every peer that wants a password, and who may see one repository only.
pub const ADMIN: (&str, &str) = ("admin", "correct horse battery");
/// See [`ADMIN`].
pub const ONE: (&str, &str) = ("one", "staple correct horse");
/// The repository that [`ONE`] may see.
pub const ONES: &str = "org500/app050";

/// The value of `Authorization` for a name and a password.
pub fn basic((name, password): (&str, &str)) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}")))
}

/// A registry, or a file server with the same paths.
pub struct Target {
    /// As it is called in reports.
    pub label: String,
    pub dial: Dial,
    /// The process, if it was not started here.
    pub pid: Option<u32>,
    /// The process, if it was.
    pub server: Option<Mutex<Server>>,
    /// For what is not pushed but laid down: the directory it serves.
    pub files: Option<PathBuf>,
    /// Where its content lies on this machine.
    pub storage: Option<PathBuf>,
    /// A program that tidies the storage while it is used, and how it is started.
    pub upkeep: Vec<Launch>,
}

impl Target {
    fn server(&self) -> Result<MutexGuard<'_, Server>> {
        let server = self.server.as_ref().ok_or("only a server that was started here can be started again")?;
        Ok(server.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The processes of the server, none if they are not known.
    pub fn pids(&self) -> Result<Vec<u32>> {
        match (&self.server, self.pid) {
            (Some(_), _) => tree(self.server()?.pid()),
            (None, Some(pid)) => tree(pid),
            (None, None) => Ok(Vec::new()),
        }
    }

    /// Starts the server again, with `between` while it is down; returns the time to its first answer.
    pub fn restart(&self, between: impl FnOnce() -> Result<()>) -> Result<Duration> {
        self.server()?.restart(between)
    }

    /// Starts it again without any content, if it was started here. What others run keeps what was pushed.
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

    /// The same as somebody else.
    pub fn dial_as(&self, who: (&str, &str)) -> Dial {
        Dial { authorization: Some(basic(who)), ..self.dial.clone() }
    }

    /// Brings a blob to the target, by whatever way it has.
    pub fn place_blob(&self, client: &mut Client, repository: &str, blob: &Blob) -> Result<()> {
        match &self.files {
            None => client.push_blob(repository, blob, Upload::Put),
            Some(_) => self.place_file(&format!("v2/{repository}/blobs/{}", blob.digest), &blob.bytes()),
        }
    }

    /// Brings an image to the target under a tag.
    pub fn place_image(&self, client: &mut Client, repository: &str, tag: &str, image: &Image) -> Result<()> {
        image.blobs().try_for_each(|blob| self.place_blob(client, repository, blob))?;
        if self.files.is_none() {
            return client.push_manifest(repository, tag, &image.manifest);
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

    /// How many syncs the server counts so far, if it tells.
    fn syncs(&self) -> Option<f64> {
        let text = String::from_utf8(Client::new(&self.dial, 0).read("/metrics").ok()?).ok()?;
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

    /// The same for an open loop of this rate, with what its latencies say.
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
