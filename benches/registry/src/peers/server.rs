//! A server that this program started: it ends when this program does, however that ends.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

use crate::Result;
use crate::http::{Body, Dial, HttpConnection, Sink};

/// How to start a program.
#[derive(Clone)]
pub struct Launch {
    pub program: PathBuf,
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    /// Its working directory; both outputs go to `log` there.
    pub directory: PathBuf,
}

/// The first argument of a process that is about to become a server.
pub const HOLD: &str = "hold";
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(8);

/// Becomes the program named by these arguments, which gets SIGTERM when its parent dies.
pub fn hold(arguments: &[String]) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::TERM))?;
    let (program, rest) = arguments.split_first().ok_or("nothing to start")?;
    Err(Command::new(program).args(rest).exec().into())
}

/// A command that runs `launch` through [`hold`].
pub fn command(launch: &Launch) -> Result<Command> {
    let log = File::options().create(true).append(true).open(launch.directory.join("log"))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(HOLD).arg(&launch.program).args(&launch.arguments).current_dir(&launch.directory);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("REGISTRY_") {
            command.env_remove(name);
        }
    }
    command.envs(launch.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(std::process::Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(command)
}

/// A running server.
pub struct Server {
    launch: Launch,
    dial: Dial,
    child: Child,
}

impl Server {
    /// Starts the server and waits for its first answer.
    pub fn start(launch: Launch, dial: &Dial) -> Result<Self> {
        let child = command(&launch)?.spawn()?;
        let mut server = Self { launch, dial: dial.clone(), child };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// The process id; child processes are part of the server.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops and restarts the server; returns the time from the start to its first answer.
    pub fn restart(&mut self, between: impl FnOnce() -> Result<()>) -> Result<Duration> {
        self.stop();
        between()?;
        let start = Instant::now();
        self.child = command(&self.launch)?.spawn()?;
        self.wait_until_ready()?;
        Ok(start.elapsed())
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let start = Instant::now();
        loop {
            let answer = HttpConnection::new(&self.dial).send("GET", "/v2/", &[], Body::None, Sink::Discard);
            if answer.is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("{} ended: {status}\n{}", self.launch.program.display(), self.log_end()).into());
            }
            if start.elapsed() > START {
                return Err(format!("{} did not answer\n{}", self.launch.program.display(), self.log_end()).into());
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    fn log_end(&self) -> String {
        tail(&self.launch.directory.join("log"))
    }

    fn stop(&mut self) {
        // It may have ended by itself; the wait shows it.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let start = Instant::now();
        while start.elapsed() < STOP {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The last lines of a file.
fn tail(path: &Path) -> String {
    let text = std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
