//! The real program in a process of its own, which tests can kill, limit and signal.

use crate::session::Client;
use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    net::SocketAddr,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// Prepares a command that runs the program over a directory with these variables and no other `REGISTRY_` ones.
pub fn over<'a>(command: &'a mut Command, root: &Path, vars: &[(&str, &str)]) -> &'a mut Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REGISTRY_")) {
        command.env_remove(name);
    }
    command
        .env("REGISTRY_HOST", "127.0.0.1")
        .env("REGISTRY_PORT", "0")
        .env("REGISTRY_STORAGE_PATH", root)
        .envs(vars.iter().copied())
        .current_dir(root.parent().expect("a parent"))
}

/// A running daemon; killed when dropped.
pub struct Daemon {
    child: Child,
    client: Client,
    log: Arc<Mutex<String>>,
}

impl Daemon {
    /// Starts the program over a directory with these variables, on a free port. Only the caller knows the path of the
    /// program: `env!("CARGO_BIN_EXE_wharfinger")` is set for the tests of its own package only.
    pub fn start(program: impl AsRef<OsStr>, root: &Path, vars: &[(&str, &str)]) -> Self {
        Self::from_command(Command::new(program), root, vars)
    }

    /// The same with a prepared command that ends up running the program.
    pub fn from_command(mut command: Command, root: &Path, vars: &[(&str, &str)]) -> Self {
        over(&mut command, root, vars).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output"));
        let log = Arc::new(Mutex::new(String::new()));
        let mut address = None;
        while address.is_none() {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).expect("a line") > 0, "it ended: {}", log.lock().expect("log"));
            address = line.split_once("listening on ").and_then(|(_, rest)| {
                let address = rest.split(|c: char| !matches!(c, '0'..='9' | '.' | ':')).next()?;
                address.parse::<SocketAddr>().ok()
            });
            log.lock().expect("log").push_str(&line);
        }
        let sink = log.clone();
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut log = sink.lock().expect("log");
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self { child, client: Client::new(address.expect("an address")), log }
    }

    /// What has been read of its log so far. The log is written and read beside the requests: whether it has a line
    /// that a request has caused, [`logged`](Self::logged) tells.
    pub fn log(&self) -> String {
        self.log.lock().expect("log").clone()
    }

    /// Waits until its log contains a text, and returns the log.
    pub fn logged(&self, text: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let log = self.log();
            if log.contains(text) {
                return log;
            }
            assert!(Instant::now() < deadline, "{text:?} is not in the log: {log}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its log, which can be read later and after it has ended.
    pub fn log_to_be(&self) -> Arc<Mutex<String>> {
        self.log.clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power cut would, except that the system keeps running.
    pub fn kill(mut self) {
        self.child.kill().expect("a kill");
        let ended = self.child.wait().expect("its end");
        assert_eq!(ended.signal(), Some(9), "it had ended by itself: {ended}");
    }

    /// Sends a signal, named as for `kill`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Repeats a check until it succeeds; fails the test after `most`.
    pub async fn until(&self, most: Duration, what: &str, is_so: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + most;
        while !is_so().await {
            assert!(Instant::now() < deadline, "{what}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for it to end; fails the test after `most`.
    pub fn wait(&mut self, most: Duration) -> ExitStatus {
        let deadline = Instant::now() + most;
        loop {
            if let Some(status) = self.child.try_wait().expect("its state") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl std::ops::Deref for Daemon {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}
