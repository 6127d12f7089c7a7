//! The scheduler, with a paused clock that advances only when every task waits.

use super::*;
use std::{
    future::pending,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime},
};
use tokio::time::sleep;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// What a test job does in a run.
#[derive(Clone, Copy)]
enum Does {
    Nothing,
    Fail,
    Panic,
    Take(Duration),
}

/// What a test and its job share.
struct Script {
    schedule: Mutex<Option<Schedule>>,
    does: Mutex<Does>,
    due: Mutex<bool>,
    under_way: AtomicU32,
    most_under_way: AtomicU32,
    /// When each run started, relative to the start of the test.
    began: Mutex<Vec<Duration>>,
    retries: AtomicU32,
    start: Instant,
}

impl Script {
    fn new(schedule: Option<Schedule>, does: Does) -> Arc<Self> {
        Arc::new(Self {
            schedule: Mutex::new(schedule),
            does: Mutex::new(does),
            due: Mutex::new(true),
            under_way: AtomicU32::new(0),
            most_under_way: AtomicU32::new(0),
            began: Mutex::default(),
            retries: AtomicU32::new(0),
            start: Instant::now(),
        })
    }

    fn runs(&self) -> usize {
        self.began.lock().unwrap().len()
    }

    /// The time from the start of each run to the start of the next.
    fn gaps(&self) -> Vec<Duration> {
        self.began.lock().unwrap().windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

struct Scripted(Arc<Script>);

#[async_trait]
impl Job for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn schedule(&self) -> Option<Schedule> {
        *self.0.schedule.lock().unwrap()
    }

    async fn is_due(&self) -> bool {
        *self.0.due.lock().unwrap()
    }

    async fn run(&self, run: &Run) -> Result<(), String> {
        let script = &self.0;
        script.began.lock().unwrap().push(script.start.elapsed());
        script.retries.fetch_add(u32::from(run.is_retry()), Ordering::Relaxed);
        let under_way = script.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        script.most_under_way.fetch_max(under_way, Ordering::Relaxed);
        let does = *script.does.lock().unwrap();
        if let Does::Take(time) = does {
            run.at("half of it", 7);
            sleep(time).await;
        }
        script.under_way.fetch_sub(1, Ordering::Relaxed);
        match does {
            Does::Nothing | Does::Take(_) => Ok(()),
            Does::Fail => Err("the disk is full".to_owned()),
            Does::Panic => panic!("a planted panic"),
        }
    }
}

fn started(script: &Arc<Script>) -> Jobs {
    let jobs = Jobs::default();
    jobs.start(Scripted(script.clone()), pending());
    jobs
}

fn status(jobs: &Jobs) -> JobStatus {
    jobs.statuses().remove(0)
}

#[tokio::test(start_paused = true)]
async fn a_job_runs_as_often_as_its_interval_says_and_a_little_earlier_by_chance() {
    let script = Script::new(Some(Schedule::every(HOUR)), Does::Nothing);
    let jobs = started(&script);
    sleep(HOUR / 2 - MINUTE).await;
    assert_eq!((script.runs(), status(&jobs).outcome), (0, None), "a daemon that has just started does other things");
    sleep(HOUR / 2 + MINUTE * 2).await;
    assert_eq!((script.runs(), status(&jobs).outcome), (1, Some(JobOutcome::Done)));
    sleep(HOUR * 200).await;
    let gaps = script.gaps();
    assert!(gaps.iter().all(|gap| *gap <= HOUR + Duration::from_millis(1) && *gap >= HOUR * 9 / 10), "{gaps:?}");
    assert!(
        gaps.iter().any(|gap| *gap != gaps[0]),
        "the intervals vary, so that many daemons do not run at the same time"
    );
    assert_eq!(status(&jobs).runs, script.runs() as u64);
}

#[tokio::test(start_paused = true)]
async fn the_first_run_begins_at_once_where_the_schedule_says_so() {
    let script = Script::new(Some(Schedule { at_start: true, ..Schedule::every(HOUR) }), Does::Nothing);
    let jobs = started(&script);
    sleep(Duration::from_millis(5)).await;
    assert_eq!(script.runs(), 1);
    sleep(HOUR / 2).await;
    assert_eq!((script.runs(), status(&jobs).running), (1, false));
}

#[tokio::test(start_paused = true)]
async fn a_check_that_finds_nothing_due_is_not_a_run() {
    let script = Script::new(Some(Schedule::every(MINUTE)), Does::Nothing);
    *script.due.lock().unwrap() = false;
    let jobs = started(&script);
    sleep(HOUR).await;
    let quiet = status(&jobs);
    assert_eq!((script.runs(), quiet.runs, quiet.began), (0, 0, None));
    *script.due.lock().unwrap() = true;
    sleep(MINUTE * 2).await;
    assert!(script.runs() > 0, "the next look finds it");
}

#[tokio::test(start_paused = true)]
async fn runs_never_overlap_even_if_they_take_longer_than_the_interval() {
    let script = Script::new(Some(Schedule::every(MINUTE)), Does::Take(MINUTE * 5));
    let jobs = started(&script);
    sleep(MINUTE * 3).await;
    let under_way = status(&jobs);
    assert_eq!((under_way.running, under_way.progress), (true, Some(("half of it", 7))));
    assert_eq!((under_way.ended, under_way.outcome, under_way.runs), (None, None, 0));
    sleep(HOUR).await;
    assert_eq!(script.most_under_way.load(Ordering::Relaxed), 1);
    let gaps = script.gaps();
    assert!(gaps.iter().all(|gap| *gap < MINUTE * 5 + Duration::from_secs(1)), "at once: {gaps:?}");
    assert_eq!(status(&jobs).took.as_secs(), 300);
}

#[tokio::test(start_paused = true)]
async fn failures_lengthen_the_wait_and_a_success_resets_it() {
    let backoff = Schedule { after_failure: MINUTE * 10, longest: HOUR, ..Schedule::every(MINUTE) };
    let script = Script::new(Some(backoff), Does::Fail);
    let jobs = started(&script);
    sleep(HOUR * 4).await;
    let minutes: Vec<_> = script.gaps().iter().map(|gap| gap.as_secs() / 60).collect();
    assert_eq!(minutes[..5], [10, 20, 40, 60, 60]);
    let failing = status(&jobs);
    assert_eq!(failing.outcome, Some(JobOutcome::Failed("the disk is full".to_owned())));
    assert_eq!((failing.failures, failing.runs), (script.runs() as u64, script.runs() as u64));
    assert_eq!(script.retries.load(Ordering::Relaxed) as usize, script.runs() - 1);
    *script.does.lock().unwrap() = Does::Nothing;
    sleep(HOUR * 2).await;
    assert!(*script.gaps().last().unwrap() <= MINUTE + Duration::from_millis(1));
    assert_eq!((status(&jobs).outcome, status(&jobs).failures), (Some(JobOutcome::Done), failing.failures));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_panics_has_failed_and_the_job_continues() {
    let script = Script::new(Some(Schedule::every(MINUTE)), Does::Panic);
    let jobs = started(&script);
    sleep(MINUTE + MINUTE / 2).await;
    assert_eq!(status(&jobs).outcome, Some(JobOutcome::Failed("it panicked".to_owned())));
    *script.does.lock().unwrap() = Does::Nothing;
    sleep(MINUTE * 2).await;
    assert_eq!(status(&jobs).outcome, Some(JobOutcome::Done));
}

#[tokio::test(start_paused = true)]
async fn a_stop_cancels_the_current_run_and_starts_no_other() {
    let script = Script::new(Some(Schedule::every(MINUTE)), Does::Take(HOUR));
    let jobs = started(&script);
    sleep(MINUTE * 2).await;
    assert!(status(&jobs).running);
    jobs.end().await;
    let stopped = status(&jobs);
    assert_eq!((stopped.running, stopped.outcome, stopped.failures), (false, Some(JobOutcome::Stopped), 0));
    assert_eq!(script.start.elapsed(), MINUTE * 2, "the stop did not wait for it");
    sleep(HOUR * 3).await;
    assert_eq!(script.runs(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_can_end_before_the_others() {
    let (early, late) = (Script::new(Some(Schedule::every(MINUTE)), Does::Nothing), Script::new(None, Does::Nothing));
    *late.schedule.lock().unwrap() = Some(Schedule::every(MINUTE));
    let jobs = Jobs::default();
    jobs.start(Scripted(early.clone()), sleep(HOUR));
    jobs.start(Scripted(late.clone()), pending());
    sleep(HOUR).await;
    let before = early.runs();
    sleep(HOUR).await;
    assert_eq!(early.runs(), before);
    assert!(late.runs() > before + 50);
    assert_eq!(jobs.statuses()[0].outcome, Some(JobOutcome::Done), "nothing was under way");
}

#[tokio::test(start_paused = true)]
async fn changed_settings_apply_to_a_waiting_job_at_once() {
    let script = Script::new(None, Does::Nothing);
    let jobs = started(&script);
    sleep(HOUR * 10).await;
    assert_eq!(script.runs(), 0, "it is switched off");
    let set = |schedule| {
        *script.schedule.lock().unwrap() = schedule;
        jobs.reconsider();
    };
    set(Some(Schedule::every(HOUR * 24)));
    sleep(HOUR).await;
    assert_eq!(script.runs(), 0, "ten hours of a day have passed, or eleven");
    set(Some(Schedule::every(HOUR)));
    sleep(MINUTE).await;
    assert_eq!(script.runs(), 1, "an hour has long passed");
    set(None);
    sleep(HOUR * 10).await;
    assert_eq!(script.runs(), 1);
    set(Some(Schedule::every(HOUR)));
    sleep(MINUTE).await;
    assert_eq!(script.runs(), 2);
}

#[test]
fn an_old_run_is_due_even_if_the_clock_was_set_back() {
    let now = SystemTime::now();
    assert!(!has_passed(now, HOUR, now));
    assert!(!has_passed(now - HOUR + Duration::from_secs(1), HOUR, now));
    assert!(has_passed(now - HOUR, HOUR, now));
    assert!(has_passed(now + HOUR, HOUR, now), "it was done in the future");
}
