//! Long work that a caller started: it continues after the request, can be followed and cancelled, and its result can
//! be read later.
//!
//! Tasks live in memory. Work that must continue after a restart keeps its own state in the store.

use futures_util::FutureExt as _;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use ulid::Ulid;

/// Ended tasks that are kept.
const MOST_ENDED: usize = 100;

/// All tasks of a daemon. Clones share the same tasks.
#[derive(Clone, Default)]
pub struct Tasks(Arc<TaskTable>);

#[derive(Default)]
struct TaskTable {
    tasks: Mutex<BTreeMap<Ulid, KnownTask>>,
    tracker: TaskTracker,
    end: CancellationToken,
}

struct KnownTask {
    state: watch::Sender<TaskState>,
    cancel: CancellationToken,
}

/// What is known of a task.
#[derive(Clone, Debug)]
pub struct TaskState {
    /// Its id; later tasks have greater ones.
    pub id: Ulid,
    /// What it does, such as `collection`.
    pub kind: &'static str,
    /// Who asked for it; `None` without authentication.
    pub owner: Option<String>,
    /// How far it is.
    pub phase: TaskPhase,
    /// The current step, and the number of items done in it.
    pub step: Option<(&'static str, u64)>,
    /// The part that is done, in percent.
    pub percent: u8,
    /// When it started.
    pub started: SystemTime,
    /// When it ended.
    pub ended: Option<SystemTime>,
    /// Its result, as JSON.
    pub result: Option<Value>,
}

/// How far a task is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskPhase {
    /// In progress.
    Running,
    /// It succeeded.
    Completed,
    /// It failed, for this reason.
    Failed(String),
    /// It was cancelled, or the daemon stopped.
    Cancelled,
}

/// Another task of this kind is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskRunning(pub Ulid);

/// A task whose work is in progress. If it is dropped before it was ended, the task was cancelled.
pub struct OpenTask {
    id: Ulid,
    state: watch::Sender<TaskState>,
    cancel: CancellationToken,
    tasks: Tasks,
}

/// What a task reports while it runs.
#[derive(Clone)]
pub struct TaskProgress(watch::Sender<TaskState>);

impl Tasks {
    /// Starts a task, unless one of its kind is running. Its work is dropped at an `.await` if it is cancelled.
    ///
    /// # Errors
    /// [`TaskRunning`].
    pub fn start<F>(
        &self,
        kind: &'static str,
        owner: Option<String>,
        work: impl FnOnce(TaskProgress) -> F,
    ) -> Result<TaskState, TaskRunning>
    where
        F: Future<Output = Result<Value, String>> + Send + 'static,
    {
        let task = self.begin(kind, owner)?;
        let first = task.state.borrow().clone();
        let work = AssertUnwindSafe(work(task.progress())).catch_unwind();
        self.0.tracker.spawn(async move {
            tokio::select! {
                ended = work => task.end(ended.unwrap_or_else(|_| Err("it panicked".to_owned()))),
                () = task.cancelled() => {}
            }
        });
        Ok(first)
    }

    /// Adds a task whose work is done by whoever adds it, unless one of its kind is running.
    ///
    /// # Errors
    /// [`TaskRunning`].
    pub fn begin(&self, kind: &'static str, owner: Option<String>) -> Result<OpenTask, TaskRunning> {
        let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let is_running = |task: &KnownTask| {
            let state = task.state.borrow();
            state.kind == kind && state.phase == TaskPhase::Running
        };
        if let Some((id, _)) = tasks.iter().find(|(_, task)| is_running(task)) {
            return Err(TaskRunning(*id));
        }
        forget_oldest(&mut tasks);
        let id = next_id(&tasks);
        let first = TaskState {
            id,
            kind,
            owner,
            phase: TaskPhase::Running,
            step: None,
            percent: 0,
            started: SystemTime::now(),
            ended: None,
            result: None,
        };
        let (state, cancel) = (watch::Sender::new(first), self.0.end.child_token());
        tasks.insert(id, KnownTask { state: state.clone(), cancel: cancel.clone() });
        Ok(OpenTask { id, state, cancel, tasks: self.clone() })
    }

    /// The tasks, newest first.
    pub fn all(&self) -> Vec<TaskState> {
        let tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.values().rev().map(|task| task.state.borrow().clone()).collect()
    }

    pub fn follow(&self, id: Ulid) -> Option<watch::Receiver<TaskState>> {
        let tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.get(&id).map(|task| task.state.subscribe())
    }

    /// Asks a task to end. Returns whether it is running.
    pub fn cancel(&self, id: Ulid) -> bool {
        let tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(task) = tasks.get(&id) else { return false };
        task.cancel.cancel();
        task.state.borrow().phase == TaskPhase::Running
    }

    /// Ends all tasks, and waits until they have ended.
    pub async fn end(&self) {
        self.0.end.cancel();
        self.0.tracker.close();
        self.0.tracker.wait().await;
    }
}

impl OpenTask {
    /// Reports how far it is.
    pub fn progress(&self) -> TaskProgress {
        TaskProgress(self.state.clone())
    }

    /// Waits until somebody cancels it, or the daemon stops.
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// Whether it ends because the daemon stops.
    pub fn is_stopping(&self) -> bool {
        self.tasks.0.end.is_cancelled()
    }

    /// Ends it with a result, or with the reason why there is none.
    pub fn end(self, ended: Result<Value, String>) {
        match ended {
            Ok(result) => self.over(TaskPhase::Completed, Some(result)),
            Err(why) => self.over(TaskPhase::Failed(why), None),
        }
    }

    /// Ends it as if it had never been: there was nothing to do.
    pub fn forget(self) {
        let mut tasks = self.tasks.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.remove(&self.id);
    }

    fn over(&self, phase: TaskPhase, result: Option<Value>) {
        self.state.send_if_modified(|state| {
            if state.phase != TaskPhase::Running {
                return false;
            }
            if phase == TaskPhase::Completed {
                state.percent = 100;
            }
            (state.phase, state.result, state.ended, state.step) = (phase, result, Some(SystemTime::now()), None);
            true
        });
    }
}

/// Its work was dropped.
impl Drop for OpenTask {
    fn drop(&mut self) {
        self.over(TaskPhase::Cancelled, None);
    }
}

impl TaskProgress {
    /// Sets the current step, the items done in it, and the part of the whole that is done.
    pub fn at(&self, step: &'static str, done: u64, percent: u8) {
        self.0.send_modify(|state| (state.step, state.percent) = (Some((step, done)), percent.min(99)));
    }
}

/// A new id, greater than all others even within one millisecond.
fn next_id(tasks: &BTreeMap<Ulid, KnownTask>) -> Ulid {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let new = Ulid::from_parts(since.as_millis() as u64, uuid::Uuid::new_v4().as_u128());
    match tasks.last_key_value() {
        Some((last, _)) if *last >= new => last.increment().unwrap_or(new),
        _ => new,
    }
}

/// Makes room for one more task.
fn forget_oldest(tasks: &mut BTreeMap<Ulid, KnownTask>) {
    let has_ended = |task: &KnownTask| task.state.borrow().phase != TaskPhase::Running;
    while tasks.values().filter(|task| has_ended(task)).count() >= MOST_ENDED {
        let oldest = tasks.iter().find(|(_, task)| has_ended(task)).map(|(id, _)| *id);
        oldest.and_then(|id| tasks.remove(&id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn end_of(tasks: &Tasks, id: Ulid) -> TaskState {
        let mut follow = tasks.follow(id).unwrap();
        follow.wait_for(|state| state.phase != TaskPhase::Running).await.unwrap().clone()
    }

    #[tokio::test]
    async fn a_task_is_followed_to_its_result() {
        let tasks = Tasks::default();
        let (go, wait) = tokio::sync::oneshot::channel();
        let task = tasks.start("collection", Some("alice".into()), |progress| async move {
            progress.at("counting", 7, 50);
            wait.await.map_err(|_| "nobody sent it".to_owned())
        });
        let task = task.unwrap();
        tokio::task::yield_now().await;
        let state = tasks.all().remove(0);
        assert_eq!((state.step, state.percent, state.owner.as_deref()), (Some(("counting", 7)), 50, Some("alice")));
        let second = tasks.start("collection", None, |_| async { Ok(Value::Null) });
        assert_eq!(second.unwrap_err(), TaskRunning(task.id));
        go.send(json!({ "purged": 1 })).unwrap();
        let ended = end_of(&tasks, task.id).await;
        assert_eq!(
            (ended.phase, ended.percent, ended.result),
            (TaskPhase::Completed, 100, Some(json!({ "purged": 1 })))
        );
        assert!(!tasks.cancel(task.id), "it has ended");
        let third = tasks.start("collection", None, |_| async { Ok(Value::Null) }).unwrap();
        assert!(third.id > task.id && tasks.all()[0].id == third.id);
    }

    #[tokio::test]
    async fn failures_panics_and_cancellations_are_told_apart() {
        let tasks = Tasks::default();
        let failed = tasks.start("a", None, |_| async { Err("no space".to_owned()) }).unwrap();
        assert_eq!(end_of(&tasks, failed.id).await.phase, TaskPhase::Failed("no space".into()));
        let panicked = tasks.start("a", None, |_| async { panic!("oh") }).unwrap();
        assert_eq!(end_of(&tasks, panicked.id).await.phase, TaskPhase::Failed("it panicked".into()));
        let cancelled = tasks.start("a", None, |_| std::future::pending()).unwrap();
        assert!(tasks.cancel(cancelled.id));
        assert_eq!(end_of(&tasks, cancelled.id).await.phase, TaskPhase::Cancelled);
        let stopped = tasks.start("a", None, |_| std::future::pending()).unwrap();
        tasks.end().await;
        assert_eq!(end_of(&tasks, stopped.id).await.phase, TaskPhase::Cancelled);
    }

    #[tokio::test]
    async fn what_the_daemon_does_by_itself_is_a_task_too() {
        let tasks = Tasks::default();
        let own = tasks.begin("scrub", None).unwrap();
        own.progress().at("reading blobs", 3, 7);
        let listed = tasks.all().remove(0);
        assert_eq!((listed.kind, listed.owner, listed.percent), ("scrub", None, 7));
        assert!(tasks.begin("scrub", None).is_err());
        own.end(Ok(json!({ "blobs": 3 })));
        assert_eq!(tasks.all()[0].result, Some(json!({ "blobs": 3 })));
        let dropped = tasks.begin("scrub", None).unwrap();
        drop(dropped);
        assert_eq!(tasks.all()[0].phase, TaskPhase::Cancelled);
        let cancelled = tasks.begin("scrub", None).unwrap();
        assert!(tasks.cancel(cancelled.id));
        cancelled.cancelled().await;
        cancelled.forget();
        assert_eq!(tasks.all().len(), 2, "what had nothing to do leaves no trace");
    }

    #[tokio::test]
    async fn a_hundred_ended_tasks_are_kept() {
        let tasks = Tasks::default();
        for _ in 0..MOST_ENDED + 5 {
            let task = tasks.start("a", None, |_| async { Ok(Value::Null) }).unwrap();
            end_of(&tasks, task.id).await;
        }
        assert_eq!(tasks.all().len(), MOST_ENDED);
    }
}
