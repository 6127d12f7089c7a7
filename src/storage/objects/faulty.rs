//! Objects that fail on purpose, take their time, and are counted. For tests.

use super::{
    ObjectAbilities, ObjectBody, ObjectError, ObjectLevel, ObjectMeta, ObjectPage, ObjectResult, ObjectTag, Objects,
    PutWhen,
};
use crate::{files::sim::Chance, storage::faulty::Fault};
use async_trait::async_trait;
use bytes::Bytes;
use oci::Span;
use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};
use tokio::sync::Notify;

/// Which calls fail.
#[derive(Debug)]
pub(crate) enum ObjectFaults {
    /// None.
    Never,
    /// The call with this number.
    At(usize, Fault),
    /// None, but the call with this number waits until it is told to go on.
    WaitsAt(usize),
    /// One in so many, before or after it had its effect.
    OneIn(u64),
}

/// A store of objects whose calls fail as planned.
pub(crate) struct FaultyObjects {
    inner: Arc<dyn Objects>,
    faults: ObjectFaults,
    /// Decides which calls fail and how long each takes; without it, none takes any time.
    chance: Option<Mutex<Chance>>,
    /// The names of the calls so far, with their keys.
    calls: Mutex<Vec<String>>,
    /// Calls never return any more.
    dead: AtomicBool,
    /// No call is answered.
    away: AtomicBool,
    /// Notified when the call that never returns, or waits, was made.
    pub(crate) reached: Notify,
    /// Lets the call that waits go on.
    pub(crate) resume: Notify,
}

impl FaultyObjects {
    pub(crate) fn new(inner: Arc<dyn Objects>, faults: ObjectFaults) -> Arc<Self> {
        let reached = Notify::new();
        Arc::new(Self {
            inner,
            faults,
            chance: None,
            calls: Mutex::default(),
            dead: AtomicBool::new(false),
            away: AtomicBool::new(false),
            reached,
            resume: Notify::new(),
        })
    }

    /// Calls end in an order that the seed decides.
    pub(crate) fn by_chance(inner: Arc<dyn Objects>, faults: ObjectFaults, seed: u64) -> Arc<Self> {
        let reached = Notify::new();
        let chance = Some(Mutex::new(Chance::new(seed)));
        Arc::new(Self {
            inner,
            faults,
            chance,
            calls: Mutex::default(),
            dead: AtomicBool::new(false),
            away: AtomicBool::new(false),
            reached,
            resume: Notify::new(),
        })
    }

    /// Forgets the calls so far, and returns them.
    pub(crate) fn taken(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    pub(crate) fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    /// The process that makes the calls has ended: none of them has an effect any more, or is answered.
    pub(crate) fn kill(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    /// The server is away, or there again.
    pub(crate) fn be_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    async fn is_alive(&self) {
        if self.dead.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }

    fn fault(&self, number: usize) -> Option<Fault> {
        match &self.faults {
            ObjectFaults::At(at, fault) if *at == number => Some(*fault),
            ObjectFaults::OneIn(n) => {
                let chance = self.chance.as_ref()?;
                let mut chance = chance.lock().unwrap();
                let kind = if chance.once_in(2) { Fault::Before } else { Fault::After };
                chance.once_in(*n as usize).then_some(kind)
            }
            ObjectFaults::Never | ObjectFaults::At(..) | ObjectFaults::WaitsAt(_) => None,
        }
    }

    async fn pause(&self) {
        let Some(chance) = &self.chance else { return };
        let mut turns = chance.lock().unwrap().below(4);
        // Sometimes it takes so long that others get much done.
        if chance.lock().unwrap().once_in(40) {
            turns = 200;
        }
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }

    async fn step<T: Send>(
        &self,
        name: &str,
        key: &str,
        call: impl Future<Output = ObjectResult<T>> + Send,
    ) -> ObjectResult<T> {
        let number = {
            let mut calls = self.calls.lock().unwrap();
            calls.push(format!("{name} {key}"));
            calls.len() - 1
        };
        let failure = || Err(ObjectError::Unavailable { why: "planted".into(), retry_after: None });
        if matches!(self.faults, ObjectFaults::WaitsAt(at) if at == number) {
            self.reached.notify_one();
            self.resume.notified().await;
        }
        if self.away.load(Ordering::SeqCst) {
            return failure();
        }
        self.pause().await;
        self.is_alive().await;
        let done = match self.fault(number) {
            None => call.await,
            Some(Fault::Before) => failure(),
            Some(Fault::After) => call.await.and_then(|_| failure()),
            Some(Fault::Dropped) => {
                let mut call = std::pin::pin!(call);
                let _ = futures_util::poll!(call.as_mut());
                self.reached.notify_one();
                std::future::pending().await
            }
        };
        self.pause().await;
        self.is_alive().await;
        done
    }
}

#[async_trait]
impl Objects for FaultyObjects {
    fn abilities(&self) -> ObjectAbilities {
        self.inner.abilities()
    }
    async fn get(&self, key: &str, span: Option<Span>) -> ObjectResult<ObjectBody> {
        self.step("get", key, self.inner.get(key, span)).await
    }
    async fn head(&self, key: &str) -> ObjectResult<ObjectMeta> {
        self.step("head", key, self.inner.head(key)).await
    }
    async fn put(&self, key: &str, pieces: Vec<Bytes>, when: PutWhen) -> ObjectResult<Option<ObjectTag>> {
        self.step("put", key, self.inner.put(key, pieces, when)).await
    }
    async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> ObjectResult<ObjectPage> {
        self.step("list", prefix, self.inner.list(prefix, after, most)).await
    }
    async fn level(&self, dir: &str, after: Option<&str>, most: usize) -> ObjectResult<ObjectLevel> {
        self.step("level", dir, self.inner.level(dir, after, most)).await
    }
    async fn delete(&self, keys: Vec<String>) -> ObjectResult<()> {
        let first = keys.first().cloned().unwrap_or_default();
        self.step("delete", &first, self.inner.delete(keys)).await
    }
    async fn delete_match(&self, key: &str, tag: &ObjectTag) -> ObjectResult<()> {
        self.step("delete_match", key, self.inner.delete_match(key, tag)).await
    }
    async fn copy(&self, from: &str, to: &str) -> ObjectResult<()> {
        self.step("copy", from, self.inner.copy(from, to)).await
    }
    async fn begin_parts(&self, key: &str) -> ObjectResult<String> {
        self.step("begin_parts", key, self.inner.begin_parts(key)).await
    }
    async fn put_part(&self, key: &str, id: &str, number: usize, pieces: Vec<Bytes>) -> ObjectResult<String> {
        self.step("put_part", key, self.inner.put_part(key, id, number, pieces)).await
    }
    async fn complete_parts(&self, key: &str, id: &str, parts: &[String]) -> ObjectResult<()> {
        self.step("complete_parts", key, self.inner.complete_parts(key, id, parts)).await
    }
    async fn abort_parts(&self, key: &str, id: &str) -> ObjectResult<()> {
        self.step("abort_parts", key, self.inner.abort_parts(key, id)).await
    }
    async fn now(&self) -> ObjectResult<SystemTime> {
        self.step("now", "", self.inner.now()).await
    }
}
