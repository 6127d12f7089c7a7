//! Storage and system calls that fail on purpose, to show that no failure leaves anything half done. For tests.

use super::{
    Aged, Appended, Blob, Capabilities, Condemnation, Condemned, Content, DigestCheck, Dir, Durability, Examined,
    Exclusive, Expect, Fact, FactKey, Facts, Grave, InstanceId, Item, ItemKind, Lifecycle, ListingPage, OutlineStamp,
    Presence, Published, Put, PutOutcome, RepositoryOutline, Result, RunId, Storage, StorageError, StoreHealth,
    TakenIn, TakenOver, UploadProgress, UploadTurn, Verified, Why,
};
use crate::files::{FileKind, IntakeMode, Meta, Space, Sys};
use async_trait::async_trait;
use bytes::Bytes;
use oci::{Digest, Hasher, RepositoryName, UploadId};
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

/// How the n-th call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails without having an effect.
    Before,
    /// It fails although it had its effect.
    After,
    /// It never returns, and the caller's future is dropped.
    Dropped,
}

/// A store whose n-th call fails.
pub(crate) struct Faulty {
    inner: Arc<dyn Storage>,
    calls: AtomicUsize,
    at: usize,
    fault: Fault,
    /// Notified when the call that never returns was made.
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
        let failure = || Err(StorageError::io("do", "as planned", io::Error::other("planted")));
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
    async fn get(&self, key: &FactKey) -> Result<Option<Fact>> {
        self.step(self.inner.get(key)).await
    }
    async fn put(&self, puts: Vec<Put>, durability: Durability) -> Result<PutOutcome> {
        self.step(self.inner.put(puts, durability)).await
    }
    async fn delete(&self, key: &FactKey, expect: Expect) -> Result<bool> {
        self.step(self.inner.delete(key, expect)).await
    }
    async fn discard(&self, key: &FactKey) -> Result<()> {
        self.step(self.inner.discard(key)).await
    }
    async fn rename(&self, from: &FactKey, to: &FactKey) -> Result<bool> {
        self.step(self.inner.rename(from, to)).await
    }
    async fn children(&self, dir: &Dir, after: Option<&str>, most: usize) -> Result<ListingPage<String>> {
        self.step(self.inner.children(dir, after, most)).await
    }
    async fn outlines(
        &self,
        asked: Vec<(RepositoryName, Option<OutlineStamp>)>,
    ) -> Result<Vec<Option<RepositoryOutline>>> {
        self.step(self.inner.outlines(asked)).await
    }
}

#[async_trait]
impl Content for Faulty {
    async fn begin(&self, id: &UploadId, facts: Bytes) -> Result<()> {
        self.step(self.inner.begin(id, facts)).await
    }
    async fn note(&self, id: &UploadId, turn: &UploadTurn, was: &Bytes, facts: Bytes) -> Result<bool> {
        self.step(self.inner.note(id, turn, was, facts)).await
    }
    async fn append(
        &self,
        id: &UploadId,
        turn: &UploadTurn,
        at: u64,
        bytes: Vec<Bytes>,
        hash: Hasher,
    ) -> Result<(Appended, Hasher)> {
        self.step(self.inner.append(id, turn, at, bytes, hash)).await
    }
    async fn keep(&self, id: &UploadId, turn: &UploadTurn) -> Result<()> {
        self.step(self.inner.keep(id, turn)).await
    }
    async fn take_over(
        &self,
        id: &UploadId,
        turn: &UploadTurn,
        to: u64,
        was: &Bytes,
        facts: Bytes,
    ) -> Result<TakenOver> {
        self.step(self.inner.take_over(id, turn, to, was, facts)).await
    }
    async fn progress(&self, id: &UploadId) -> Result<Option<UploadProgress>> {
        self.step(self.inner.progress(id)).await
    }
    async fn read_upload(&self, id: &UploadId) -> Result<Option<Blob>> {
        self.step(self.inner.read_upload(id)).await
    }
    async fn seal(&self, id: &UploadId, turn: &UploadTurn) -> Result<Option<Blob>> {
        self.step(self.inner.seal(id, turn)).await
    }
    async fn publish(&self, id: &UploadId, turn: &UploadTurn, verified: &Verified) -> Result<Published> {
        self.step(self.inner.publish(id, turn, verified)).await
    }
    async fn put_blob(&self, verified: &Verified, bytes: Bytes) -> Result<Published> {
        self.step(self.inner.put_blob(verified, bytes)).await
    }
    async fn take_in(&self, from: Arc<std::fs::File>, mode: IntakeMode, hasher: Hasher) -> Result<(TakenIn, Hasher)> {
        self.step(self.inner.take_in(from, mode, hasher)).await
    }
    async fn publish_taken_in(&self, blobs: Vec<(TakenIn, Verified)>) -> Result<Vec<Published>> {
        self.step(self.inner.publish_taken_in(blobs)).await
    }
    async fn drop_taken_in(&self, taken: TakenIn) -> Result<()> {
        self.step(self.inner.drop_taken_in(taken)).await
    }
    async fn abandon(&self, id: &UploadId, turn: &UploadTurn, idle: Duration) -> Result<Condemnation> {
        self.step(self.inner.abandon(id, turn, idle)).await
    }
    async fn open(&self, digest: &Digest) -> Result<Option<Blob>> {
        self.step(self.inner.open(digest)).await
    }
    async fn read(&self, digest: &Digest, check: DigestCheck) -> Result<Option<Bytes>> {
        self.step(self.inner.read(digest, check)).await
    }
}

#[async_trait]
impl Lifecycle for Faulty {
    async fn probe(&self) -> Result<Capabilities> {
        self.step(self.inner.probe()).await
    }
    fn health(&self) -> StoreHealth {
        self.inner.health()
    }
    async fn try_write(&self) -> Result<()> {
        self.step(self.inner.try_write()).await
    }
    async fn now(&self) -> Result<SystemTime> {
        self.step(self.inner.now()).await
    }
    async fn items(&self, kind: &ItemKind, after: Option<&Item>, most: usize) -> Result<ListingPage<Aged>> {
        self.step(self.inner.items(kind, after, most)).await
    }
    async fn renew(&self, item: &Item, if_older: Duration) -> Result<bool> {
        self.step(self.inner.renew(item, if_older)).await
    }
    async fn ensure(&self, items: &[Item]) -> Result<Vec<Presence>> {
        self.step(self.inner.ensure(items)).await
    }
    async fn condemn(&self, item: &Item, run: RunId, why: Why, idle: Duration) -> Result<Condemnation> {
        self.step(self.inner.condemn(item, run, why, idle)).await
    }
    async fn condemned(&self, after: Option<&Condemned>, most: usize) -> Result<ListingPage<Grave>> {
        self.step(self.inner.condemned(after, most)).await
    }
    async fn restore(&self, entry: &Condemned) -> Result<bool> {
        self.step(self.inner.restore(entry)).await
    }
    async fn condemned_value(&self, entry: &Condemned) -> Result<Option<Fact>> {
        self.step(self.inner.condemned_value(entry)).await
    }
    async fn purge(&self, entry: &Condemned) -> Result<u64> {
        self.step(self.inner.purge(entry)).await
    }
    async fn examine(&self, digest: &Digest, run: RunId) -> Result<Examined> {
        self.step(self.inner.examine(digest, run)).await
    }
    fn boot(&self) -> String {
        self.inner.boot()
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

/// System calls, one of which fails.
pub(crate) struct FaultySys<S> {
    inner: S,
    plan: Arc<FaultPlan>,
}

/// Which call fails, and how many were made.
pub(crate) struct FaultPlan {
    calls: AtomicUsize,
    at: AtomicUsize,
    failure: InjectedError,
    trouble: Trouble,
    /// The first call that failed.
    failed: Mutex<Option<&'static str>>,
}

/// The error of a call that fails.
#[derive(Clone, Copy)]
enum InjectedError {
    Kind(io::ErrorKind),
    /// An error of the system: these decide about the disk's health.
    System(Errno),
}

impl From<InjectedError> for io::Error {
    fn from(failure: InjectedError) -> Self {
        match failure {
            InjectedError::Kind(kind) => kind.into(),
            InjectedError::System(errno) => errno.into(),
        }
    }
}

/// How system calls fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// One call fails without an effect.
    Once,
    /// One call fails although it had its effect.
    Late,
    /// One call and all later ones fail.
    Lasting,
}

impl FaultPlan {
    pub(crate) fn new(at: usize, kind: io::ErrorKind) -> Arc<Self> {
        Self::planned(at, InjectedError::Kind(kind), Trouble::Once)
    }

    pub(crate) fn of(at: usize, errno: Errno, trouble: Trouble) -> Arc<Self> {
        Self::planned(at, InjectedError::System(errno), trouble)
    }

    fn planned(at: usize, failure: InjectedError, trouble: Trouble) -> Arc<Self> {
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

    /// From now on no call fails.
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
    pub(crate) fn new(inner: S, plan: Arc<FaultPlan>) -> Self {
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
        read_uncached(file: &S::File, buffer: &mut [u8], offset: u64) -> usize;
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
        set_modified(path: &str, at: SystemTime) -> ();
        try_lock(path: &str) -> Option<Box<dyn Send + Sync>>;
        space() -> Space;
    }

    /// Directories that are empty or missing are not counted: there are hundreds of them, all alike.
    fn read_dir(&self, path: &str, each: &mut dyn FnMut(&str, FileKind) -> bool) -> io::Result<()> {
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
