//! Kills and suspends the daemon and collections at random, and restarts the daemon.

use crate::{
    PROGRAM,
    collector::{Running, program},
    dice::Dice,
    world::World,
};
use http::{Method, StatusCode};
use rustix::process::Signal;
use std::{
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use testing::{daemon::Daemon, session::Client};
use tokio::sync::watch;

/// The logs of the current daemon and of the previous one.
#[derive(Clone, Default)]
pub struct Logs(Arc<Mutex<Vec<Arc<Mutex<String>>>>>);

/// Kills and restarts the daemon.
pub struct Killer {
    pub world: Arc<World>,
    pub dice: Dice,
    pub root: PathBuf,
    pub settings: PathBuf,
    pub collection: Arc<Running>,
    pub door: watch::Sender<Option<Client>>,
    pub logs: Logs,
    pub daemon: Option<Daemon>,
}

impl Logs {
    fn add(&self, log: Arc<Mutex<String>>) {
        let mut logs = self.0.lock().unwrap();
        logs.push(log);
        let surplus = logs.len().saturating_sub(2);
        logs.drain(..surplus);
    }

    /// The last lines of each log.
    pub fn tails(&self) -> String {
        let tail = |log: &Arc<Mutex<String>>| {
            let log = log.lock().unwrap();
            let lines: Vec<_> = log.lines().collect();
            lines[lines.len().saturating_sub(60)..].join("\n")
        };
        self.0.lock().unwrap().iter().map(tail).collect::<Vec<_>>().join("\n--- the next daemon ---\n")
    }
}

impl Killer {
    /// Runs until the daemon was killed this many times, or the time is over.
    pub async fn run(mut self, kills: u64, time: Duration) -> Self {
        let deadline = Instant::now() + time;
        while self.world.tally.count("kills of the daemon") < kills && Instant::now() < deadline {
            // Short pauses, so that most kills happen during requests.
            tokio::time::sleep(self.dice.millis(0..2000)).await;
            match self.dice.below(100) {
                0..65 => self.kill().await,
                65..80 => self.stop().await,
                80..84 => {
                    self.collection.signal(Signal::KILL);
                }
                _ => self.stop_collection(),
            }
        }
        self
    }

    /// Kills the daemon and starts it again. Sometimes the new one is killed during its start.
    pub async fn kill(&mut self) {
        self.door.send_replace(None);
        if let Some(daemon) = self.daemon.take() {
            tokio::task::spawn_blocking(|| daemon.kill()).await.expect("a kill");
            self.world.tally.one("kills of the daemon");
        }
        while self.dice.chance(10) {
            self.kill_at_start().await;
        }
        if self.dice.chance(25) {
            self.world.change_crowd(&mut self.dice);
        }
        self.start().await;
    }

    async fn kill_at_start(&mut self) {
        let mut command = program(&self.root, &self.settings, &[]);
        let mut starting = command.stdout(Stdio::null()).spawn().expect("the program starts");
        tokio::time::sleep(self.dice.millis(0..60)).await;
        starting.kill().expect("a kill");
        starting.wait().expect("its end");
        self.world.tally.one("kills of the daemon");
        self.world.tally.one("kills of the daemon while it starts");
    }

    /// Starts the daemon, and gives it to the clients once it is ready.
    pub async fn start(&mut self) {
        let (root, settings) = (self.root.clone(), self.settings.to_str().expect("text").to_owned());
        let began = Instant::now();
        let daemon = move || Daemon::start(PROGRAM, &root, &[("REGISTRY_SETTINGS", &settings)]);
        let daemon = tokio::task::spawn_blocking(daemon).await.expect("a start");
        self.logs.add(daemon.log_to_be());
        while daemon.ask(Method::GET, "/health/ready").try_send().await.map(|reply| reply.status).ok()
            != Some(StatusCode::OK)
        {
            assert!(began.elapsed() < Duration::from_secs(30), "the daemon does not become ready: {}", daemon.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.world.tally.took(SLOWEST_START, began.elapsed());
        self.door.send_replace(Some(daemon.clone()));
        self.daemon = Some(daemon);
    }

    async fn stop(&mut self) {
        let Some(daemon) = &self.daemon else { return };
        daemon.signal("STOP");
        tokio::time::sleep(self.dice.millis(50..800)).await;
        daemon.signal("CONT");
        self.world.tally.one("stops of the daemon");
    }

    /// Suspends the collection for a while. The daemon may be killed in the meantime.
    fn stop_collection(&mut self) {
        if self.collection.signal(Signal::STOP) {
            let (collection, time) = (self.collection.clone(), self.dice.millis(50..3000));
            self.world.tally.one("stops of a collection");
            tokio::spawn(async move {
                tokio::time::sleep(time).await;
                collection.signal(Signal::CONT);
            });
        }
    }
}

/// Name of the figure for the slowest start, from the start of the program until it is ready.
pub const SLOWEST_START: &str = "ms, the slowest start of the daemon";
