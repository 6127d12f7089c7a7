//! Storage and system calls that fail on purpose, to show that nothing above them leaves half a
//! thing behind. For tests.

use super::{
    Aged, Appended, Blob, Capabilities, Check, Child, Condemned, Content, Dir, Durability, Error, Examined, Exclusive,
    Expect, Fact, Facts, Grave, Health, InstanceId, Item, ItemKind, Key, Lifecycle, Outcome, Page, Presence, Progress,
    Published, Put, Result, RunId, Storage, TakenOver, Turn, Verdict, Verified, Why,
};
use crate::{
    files::{Kind, Meta, Space, Sys},
    oci::{Digest, Hasher, UploadId},
};
use async_trait::async_trait;
use bytes::Bytes;
use rustix::io::Errno;
use std::{
    future::Future,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};
use tokio::sync::Notify;

/// How the n-th call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails without an effect.
    Before,
    /// It fails although it had its effect.
    After,
    /// It is begun and never answers; whoever waits for it is dropped.
    Dropped,
}

/// A store whose n-th call goes wrong.
pub(crate) struct Faulty {
    inner: Arc<dyn Storage>,
    calls: AtomicUsize,
    at: usize,
    fault: Fault,
    /// Told when the call that never answers was made.
    pub(crate) reached: Notify,
}

impl Faulty {
    pub(crate) fn new(inner: Arc<dyn Storage>, at: usize, fault: Fault) -> Arc<Self> {
        Arc::new(Self { inner, calls: AtomicUsize::new(0), at, fault, reached: Notify::new() })
    }

    /// Whether the n-th call was made.
    pub(crate) fn was_reached(&self) -> bool {
        self.calls() > self.at
    }

    /// Calls so far.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    async fn step<T: Send>(&self, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let failure = || Err(Error::io("do", "as planned", io::Error::other("planted")));
        if self.calls.fetch_add(1, Ordering::SeqCst) != self.at {
            return call.await;
        }
        match self.fault {
            Fault::Before => failure(),
            Fault::After => call.await.and_then(|_| failure()),
            Fault::Dropped => {
                let mut call = std::pin::pin!(call);
                let _ = futures_util::poll!(call.as_mut());
                self.reached.notify_one();
                std::future::pending().await
            }
        }
    }
}

#[async_trait]
impl Facts for Faulty {
    async fn get(&self, key: &Key) -> Result<Option<Fact>> {
        self.step(self.inner.get(key)).await
    }
    async fn put(&self, puts: Vec<Put>, durability: Durability) -> Result<Outcome> {
        self.step(self.inner.put(puts, durability)).await
    }
    async fn delete(&self, key: &Key, expect: Expect) -> Result<bool> {
        self.step(self.inner.delete(key, expect)).await
    }
    async fn discard(&self, key: &Key) -> Result<()> {
        self.step(self.inner.discard(key)).await
    }
    async fn rename(&self, from: &Key, to: &Key) -> Result<bool> {
        self.step(self.inner.rename(from, to)).await
    }
    async fn children(&self, dir: &Dir, after: Option<&str>, most: usize) -> Result<Page<Child>> {
        self.step(self.inner.children(dir, after, most)).await
    }
}

#[async_trait]
impl Content for Faulty {
    async fn begin(&self, id: &UploadId, facts: Bytes) -> Result<()> {
        self.step(self.inner.begin(id, facts)).await
    }
    async fn note(&self, id: &UploadId, turn: &Turn, was: &Bytes, facts: Bytes) -> Result<bool> {
        self.step(self.inner.note(id, turn, was, facts)).await
    }
    async fn append(
        &self,
        id: &UploadId,
        turn: &Turn,
        at: u64,
        bytes: Vec<Bytes>,
        hash: Hasher,
    ) -> Result<(Appended, Hasher)> {
        self.step(self.inner.append(id, turn, at, bytes, hash)).await
    }
    async fn take_over(&self, id: &UploadId, turn: &Turn, to: u64, was: &Bytes, facts: Bytes) -> Result<TakenOver> {
        self.step(self.inner.take_over(id, turn, to, was, facts)).await
    }
    async fn progress(&self, id: &UploadId) -> Result<Option<Progress>> {
        self.step(self.inner.progress(id)).await
    }
    async fn read_upload(&self, id: &UploadId) -> Result<Option<Blob>> {
        self.step(self.inner.read_upload(id)).await
    }
    async fn seal(&self, id: &UploadId, turn: &Turn) -> Result<Option<Blob>> {
        self.step(self.inner.seal(id, turn)).await
    }
    async fn publish(&self, id: &UploadId, turn: &Turn, verified: &Verified) -> Result<Published> {
        self.step(self.inner.publish(id, turn, verified)).await
    }
    async fn put_blob(&self, verified: &Verified, bytes: Bytes) -> Result<Published> {
        self.step(self.inner.put_blob(verified, bytes)).await
    }
    async fn abandon(&self, id: &UploadId, turn: &Turn, idle: Duration) -> Result<Verdict> {
        self.step(self.inner.abandon(id, turn, idle)).await
    }
    async fn open(&self, digest: &Digest) -> Result<Option<Blob>> {
        self.step(self.inner.open(digest)).await
    }
    async fn read(&self, digest: &Digest, check: Check) -> Result<Option<Bytes>> {
        self.step(self.inner.read(digest, check)).await
    }
}

#[async_trait]
impl Lifecycle for Faulty {
    async fn probe(&self) -> Result<Capabilities> {
        self.step(self.inner.probe()).await
    }
    fn health(&self) -> Health {
        self.inner.health()
    }
    async fn try_write(&self) -> Result<()> {
        self.step(self.inner.try_write()).await
    }
    async fn now(&self) -> Result<SystemTime> {
        self.step(self.inner.now()).await
    }
    async fn items(&self, kind: &ItemKind, after: Option<&Item>, most: usize) -> Result<Page<Aged>> {
        self.step(self.inner.items(kind, after, most)).await
    }
    async fn renew(&self, item: &Item, if_older: Duration) -> Result<bool> {
        self.step(self.inner.renew(item, if_older)).await
    }
    async fn ensure(&self, items: &[Item]) -> Result<Vec<Presence>> {
        self.step(self.inner.ensure(items)).await
    }
    async fn condemn(&self, item: &Item, run: RunId, why: Why, idle: Duration) -> Result<Verdict> {
        self.step(self.inner.condemn(item, run, why, idle)).await
    }
    async fn condemned(&self, after: Option<&Condemned>, most: usize) -> Result<Page<Grave>> {
        self.step(self.inner.condemned(after, most)).await
    }
    async fn restore(&self, entry: &Condemned) -> Result<bool> {
        self.step(self.inner.restore(entry)).await
    }
    async fn buried(&self, entry: &Condemned) -> Result<Option<Fact>> {
        self.step(self.inner.buried(entry)).await
    }
    async fn purge(&self, entry: &Condemned) -> Result<u64> {
        self.step(self.inner.purge(entry)).await
    }
    async fn examine(&self, digest: &Digest, run: RunId) -> Result<Examined> {
        self.step(self.inner.examine(digest, run)).await
    }
    fn instance(&self) -> InstanceId {
        self.inner.instance()
    }
    async fn lives(&self, instance: InstanceId) -> Result<bool> {
        self.step(self.inner.lives(instance)).await
    }
    async fn begin_collection(&self) -> Result<Option<Exclusive>> {
        self.step(self.inner.begin_collection()).await
    }
    async fn settle(&self) -> Result<()> {
        self.step(self.inner.settle()).await
    }
    async fn tidy(&self, before: SystemTime) -> Result<u64> {
        self.step(self.inner.tidy(before)).await
    }
}

/// System calls of which the n-th fails.
pub(crate) struct FaultySys<S> {
    inner: S,
    plan: Arc<Plan>,
}

/// Which call fails, and how many there were.
pub(crate) struct Plan {
    calls: AtomicUsize,
    at: AtomicUsize,
    failure: Failure,
    trouble: Trouble,
    /// The first call that failed.
    failed: Mutex<Option<&'static str>>,
}

/// What is said of a call that fails.
#[derive(Clone, Copy)]
enum Failure {
    Kind(io::ErrorKind),
    /// As the system says it: the disk's health is judged by these.
    System(Errno),
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Kind(kind) => kind.into(),
            Failure::System(errno) => errno.into(),
        }
    }
}

/// How system calls fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// One call, without an effect.
    Once,
    /// One call, although it had its effect: the answer was lost.
    Late,
    /// That call and all that follow.
    Lasting,
}

impl Plan {
    pub(crate) fn new(at: usize, kind: io::ErrorKind) -> Arc<Self> {
        Self::planned(at, Failure::Kind(kind), Trouble::Once)
    }

    pub(crate) fn of(at: usize, errno: Errno, trouble: Trouble) -> Arc<Self> {
        Self::planned(at, Failure::System(errno), trouble)
    }

    fn planned(at: usize, failure: Failure, trouble: Trouble) -> Arc<Self> {
        Arc::new(Self {
            calls: AtomicUsize::new(0),
            at: AtomicUsize::new(at),
            failure,
            trouble,
            failed: Mutex::default(),
        })
    }

    pub(crate) fn was_reached(&self) -> bool {
        self.calls.load(Ordering::SeqCst) > self.at.load(Ordering::SeqCst)
    }

    /// No more failures.
    pub(crate) fn heal(&self) {
        self.at.store(usize::MAX, Ordering::SeqCst);
    }

    /// The name of the first call that failed.
    pub(crate) fn failed(&self) -> Option<&'static str> {
        *self.failed.lock().unwrap()
    }

    fn step<T>(&self, name: &'static str, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let (now, at) = (self.calls.fetch_add(1, Ordering::SeqCst), self.at.load(Ordering::SeqCst));
        if now == at {
            *self.failed.lock().unwrap() = Some(name);
        }
        match self.trouble {
            Trouble::Once if now == at => Err(self.failure.into()),
            Trouble::Late if now == at => call().and_then(|_| Err(self.failure.into())),
            Trouble::Lasting if now >= at => Err(self.failure.into()),
            _ => call(),
        }
    }
}

impl<S> FaultySys<S> {
    pub(crate) fn new(inner: S, plan: Arc<Plan>) -> Self {
        Self { inner, plan }
    }
}

macro_rules! pass_on {
    ($($name:ident($($arg:ident: $type:ty),*) -> $out:ty;)*) => {
        $(fn $name(&self, $($arg: $type),*) -> io::Result<$out> {
            self.plan.step(stringify!($name), || self.inner.$name($($arg),*))
        })*
    };
}

impl<S: Sys> Sys for FaultySys<S> {
    type File = S::File;

    pass_on! {
        open(path: &str) -> S::File;
        open_rw(path: &str) -> S::File;
        create(path: &str, secret: bool) -> S::File;
        write_at(file: &S::File, parts: &[Bytes], offset: u64) -> ();
        read_at(file: &S::File, buffer: &mut [u8], offset: u64) -> usize;
        read_aside(file: &S::File, buffer: &mut [u8], offset: u64) -> usize;
        truncate(file: &S::File, len: u64) -> ();
        sync_data(file: &S::File) -> ();
        file_meta(file: &S::File) -> Meta;
        meta(path: &str) -> Meta;
        rename(from: &str, to: &str) -> ();
        rename_new(from: &str, to: &str) -> ();
        link(from: &str, to: &str) -> ();
        unlink(path: &str) -> ();
        mkdir(path: &str) -> ();
        rmdir(path: &str) -> ();
        sync_dir(path: &str) -> ();
        sync_all() -> ();
        touch(path: &str) -> ();
        try_lock(path: &str) -> Option<Box<dyn Send + Sync>>;
        space() -> Space;
    }

    /// Directories with nothing in them, or not there, are not counted: there are hundreds, and one
    /// is like the other.
    fn read_dir(&self, path: &str, each: &mut dyn FnMut(&str, Kind) -> bool) -> io::Result<()> {
        let mut names = Vec::new();
        let mut read = || {
            self.inner.read_dir(path, &mut |name, kind| {
                names.push((name.to_owned(), kind));
                true
            })
        };
        match read() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(e),
            Ok(()) if names.is_empty() => return Ok(()),
            read => self.plan.step("read_dir", || read)?,
        }
        let _ = names.iter().all(|(name, kind)| each(name, *kind));
        Ok(())
    }

    fn share(&self, file: S::File) -> Result<Arc<std::fs::File>, S::File> {
        self.inner.share(file)
    }
}
