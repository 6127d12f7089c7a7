//! The example of a configuration in Git, as an operator uses it: commits are pushed to a repository,
//! `examples/gitops/pull` fetches them, and a running registry reloads its files.

#![allow(clippy::unwrap_used, reason = "a helper fails the test it is called by")]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Output},
    time::{Duration, Instant},
};

/// Enough for a registry that checks its files twice a second, on a busy machine.
const SOON: Duration = Duration::from_secs(15);

/// A Git server, a checkout of its repository, and a directory for the registry that follows it.
struct Place {
    dir: tempfile::TempDir,
    vars: Vec<(&'static str, PathBuf)>,
}

/// A running registry; killed when dropped.
struct Running {
    child: Child,
    address: String,
    log: PathBuf,
}

/// A line of htpasswd. The password is the name and `!`.
fn user(name: &str) -> String {
    format!("{name}:{}\n", bcrypt::hash(format!("{name}!"), 4).unwrap())
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gitops").join(name)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A command without the environment variables of Git and the registry.
fn command(program: impl AsRef<std::ffi::OsStr>, dir: &Path) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).env("HOME", dir).env("GIT_CONFIG_NOSYSTEM", "1").current_dir(dir);
    for who in ["GIT_AUTHOR", "GIT_COMMITTER"] {
        command.env(format!("{who}_NAME"), "Test").env(format!("{who}_EMAIL"), "test@example.com");
    }
    command
}

impl Place {
    /// A repository with a first commit: the example's files, and the users alice and bob. `None` without Git.
    fn new() -> Option<Self> {
        if Command::new("git").arg("--version").output().is_err() {
            eprintln!("skipped: git is not installed");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("data")).unwrap();
        let vars = vec![
            ("REGISTRY_HOST", "127.0.0.1".into()),
            ("REGISTRY_PORT", "0".into()),
            ("REGISTRY_STORAGE_PATH", at("data")),
            ("REGISTRY_AUTH_TYPE", "basic".into()),
            ("REGISTRY_AUTH_HTPASSWD", at("config/current/htpasswd")),
            ("REGISTRY_ACCESS_CONTROL_ENABLED", "true".into()),
            ("REGISTRY_ACCESS_CONTROL_CONFIG", at("config/current/access-control.json")),
            ("REGISTRY_SETTINGS", at("config/current/settings.toml")),
        ];
        let place = Self { dir, vars };
        place.git(&["init", "--quiet", "--bare", "-b", "main", "config.git"]);
        place.git(&["init", "--quiet", "-b", "main", "work"]);
        for name in ["access-control.json", "settings.toml"] {
            fs::copy(example("config").join(name), place.at("work").join(name)).unwrap();
        }
        place.commit("htpasswd", &(user("alice") + &user("bob")));
        Some(place)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn git(&self, args: &[&str]) -> String {
        let out = command("git", self.dir.path()).args(args).output().unwrap();
        assert!(out.status.success(), "git {args:?}: {}", text(&out.stderr));
        text(&out.stdout).trim().to_owned()
    }

    /// Writes a file, commits everything and pushes; returns the commit.
    fn commit(&self, name: &str, content: &str) -> String {
        fs::write(self.at("work").join(name), content).unwrap();
        self.git(&["-C", "work", "add", "."]);
        self.git(&["-C", "work", "commit", "--quiet", "-m", &format!("change {name}")]);
        self.git(&["-C", "work", "push", "--quiet", "../config.git", "main"]);
        self.git(&["-C", "work", "rev-parse", "HEAD"])
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at("work").join(name)).unwrap()
    }

    /// One round of the script, which checks the commit with the program under test.
    fn pull(&self) -> Output {
        command(example("pull"), self.dir.path())
            .env("WHARFINGER", env!("CARGO_BIN_EXE_wharfinger"))
            .env("KEEP", "3")
            .envs(self.vars.iter().map(|(name, value)| (*name, value)))
            .args(["--once", "config"])
            .arg(self.at("config.git"))
            .output()
            .unwrap()
    }

    /// One round, after which this commit must be active.
    fn pulled(&self, commit: &str) {
        let out = self.pull();
        assert!(out.status.success(), "{}", text(&out.stderr));
        assert_eq!(self.current(), format!("releases/{commit}"));
    }

    /// The target of the link.
    fn current(&self) -> String {
        fs::read_link(self.at("config/current")).unwrap().to_str().unwrap().to_owned()
    }

    fn start(&self) -> Running {
        let log = self.at("log");
        let child = command(env!("CARGO_BIN_EXE_wharfinger"), self.dir.path())
            .envs(self.vars.iter().map(|(name, value)| (*name, value)))
            .stdout(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut running = Running { child, address: String::new(), log };
        running.address = running.soon("it listens", |it| {
            let log = fs::read_to_string(&it.log).unwrap();
            let (_, rest) = log.split_once("listening on ")?;
            rest.split_once('\n').map(|(address, _)| address.to_owned())
        });
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Repeats a request until it returns something, for a limited time.
    fn soon<T>(&self, what: &str, mut ask: impl FnMut(&Self) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(answer) = ask(self) {
                return answer;
            }
            assert!(begun.elapsed() < SOON, "not within {SOON:?}: {what}\n{}", fs::read_to_string(&self.log).unwrap());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Status and body of a request by this user.
    fn ask(&self, method: &str, path: &str, name: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let login = STANDARD.encode(format!("{name}:{name}!"));
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {login}\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// The status of the first request of a push.
    fn push(&self, name: &str) -> u16 {
        self.ask("POST", "/v2/team-a/app/blobs/uploads/", name).0
    }

    /// The configuration in the detail of readiness, as alice sees it, who is an administrator.
    fn config(&self) -> Value {
        serde_json::from_str::<Value>(&self.ask("GET", "/health/ready", "alice").1).unwrap()["config"].take()
    }

    fn pushes_soon(&self, name: &str, status: u16) {
        self.soon(&format!("{name} gets {status}"), |it| (it.push(name) == status).then_some(()));
    }
}

#[test]
fn a_commit_takes_effect_as_a_whole_and_a_broken_one_never_does() {
    let Some(place) = Place::new() else { return };
    place.pulled(&place.git(&["-C", "work", "rev-parse", "HEAD"]));
    let registry = place.start();
    assert_eq!((registry.push("alice"), registry.push("bob"), registry.push("eve")), (202, 403, 401));

    // Three files in one commit are one generation.
    let rules = place.read("access-control.json");
    let with_bob = rules.replace(r#"["alice"]}"#, r#"["alice", "bob"]}"#);
    assert_ne!(rules, with_bob);
    fs::write(place.at("work/access-control.json"), &with_bob).unwrap();
    let message = r#"message = "maintenance on Sunday""#;
    fs::write(place.at("work/settings.toml"), place.read("settings.toml").replace(r#"message = """#, message)).unwrap();
    let good = place.commit("htpasswd", &["alice", "bob", "carol"].map(user).concat());
    place.pulled(&good);
    registry.pushes_soon("bob", 202);
    assert_eq!(registry.push("carol"), 403);
    assert_eq!(
        (registry.config()["generation"].clone(), registry.config()["current"].clone()),
        (1.into(), true.into())
    );

    // One file is broken, so the valid change of the other does not take effect either.
    fs::write(place.at("work/htpasswd"), ["alice", "carol"].map(user).concat()).unwrap();
    let broken = place.commit("access-control.json", "{\"rules\": [\n");
    let out = place.pull();
    let printed = text(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{printed}");
    assert!(printed.starts_with("pull: rejected, previous commit still active: "), "{printed}");
    assert!(printed.contains(&format!("releases/{broken}/access-control.json:2: ")), "{printed}");
    assert_eq!(place.current(), format!("releases/{good}"));
    assert!(!printed.contains("$2"), "no hash is printed: {printed}");
    let again = place.pull();
    assert_eq!(
        (again.status.code(), text(&again.stderr)),
        (Some(1), String::new()),
        "reported once, and still rejected"
    );
    let broken = place.commit("settings.toml", "[uploads\n");
    assert!(text(&place.pull().stderr).contains(&format!("releases/{broken}/settings.toml:1: ")));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(registry.config()["generation"], 1);
    assert_eq!(registry.push("bob"), 202);

    // The fix, which removes bob.
    place.git(&["-C", "work", "checkout", "--quiet", &good, "--", "settings.toml"]);
    let fixed = place.commit("access-control.json", &rules);
    place.pulled(&fixed);
    registry.pushes_soon("bob", 401);
    assert_eq!(registry.config()["generation"], 2);
    let kept: Vec<_> = fs::read_dir(place.at("config/releases")).unwrap().collect();
    assert_eq!(kept.len(), 3, "{kept:?}");
    let log = fs::read_to_string(&registry.log).unwrap();
    assert_eq!(log.matches("listening on ").count(), 1, "it has never been restarted");
}

#[test]
fn a_commit_that_passes_the_check_but_not_the_registry_is_reported_and_fixed_by_the_next_round() {
    let Some(place) = Place::new() else { return };
    let good = place.git(&["-C", "work", "rev-parse", "HEAD"]);
    place.pulled(&good);
    let registry = place.start();
    let metric = || {
        let text = registry.ask("GET", "/metrics", "alice").1;
        text.lines().find_map(|line| line.strip_prefix("wharfinger_config_last_reload_success ")).unwrap().to_owned()
    };
    assert_eq!(metric(), "1");

    let by_hand = place.at("config/releases/by-hand");
    fs::create_dir(&by_hand).unwrap();
    fs::write(by_hand.join("htpasswd"), place.read("htpasswd")).unwrap();
    fs::write(by_hand.join("settings.toml"), place.read("settings.toml")).unwrap();
    fs::write(by_hand.join("access-control.json"), "{\n").unwrap();
    symlink("releases/by-hand", place.at("config/next")).unwrap();
    fs::rename(place.at("config/next"), place.at("config/current")).unwrap();
    let config = registry.soon("it sees the broken file", |it| Some(it.config()).filter(|c| c["current"] == false));
    assert!(config["problems"][0].as_str().unwrap().contains("config/current/access-control.json:"), "{config}");
    assert_eq!(metric(), "0");
    assert!(
        fs::read_to_string(&registry.log)
            .unwrap()
            .contains("configuration reload rejected; previous version still active")
    );
    assert_eq!((registry.push("alice"), registry.push("bob")), (202, 403));

    place.pulled(&good);
    registry.soon("it sees the fix", |it| Some(it.config()).filter(|c| c["current"] == true));
    assert_eq!(metric(), "1");
}

#[test]
fn users_may_be_kept_outside_git_and_are_checked_with_each_commit() {
    let Some(mut place) = Place::new() else { return };
    place.git(&["-C", "work", "rm", "--quiet", "--cached", "htpasswd"]);
    let commit = place.commit(".gitignore", "/htpasswd\n");
    let absent = text(&place.pull().stderr);
    assert!(
        absent.contains(&format!("releases/{commit}/htpasswd: REGISTRY_AUTH_HTPASSWD: cannot be read")),
        "{absent}"
    );

    let secret = place.at("htpasswd");
    fs::write(&secret, "alice:no hash\n").unwrap();
    for (name, value) in &mut place.vars {
        if *name == "REGISTRY_AUTH_HTPASSWD" {
            value.clone_from(&secret);
        }
    }
    assert!(text(&place.pull().stderr).contains(&format!("{}:1: user \"alice\": ", secret.display())));
    fs::write(&secret, user("alice")).unwrap();
    place.pulled(&commit);
}

#[test]
fn a_round_without_the_repository_or_the_environment_changes_nothing() {
    let Some(mut place) = Place::new() else { return };
    let vars = std::mem::take(&mut place.vars);
    let out = place.pull();
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("is this the registry's environment?"), "{}", text(&out.stderr));
    assert!(!place.at("config/current").exists());

    place.vars = vars;
    let good = place.git(&["-C", "work", "rev-parse", "HEAD"]);
    place.pulled(&good);
    fs::rename(place.at("config.git"), place.at("gone.git")).unwrap();
    let out = place.pull();
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).ends_with("pull: cannot fetch main\n"), "{}", text(&out.stderr));
    assert_eq!(place.current(), format!("releases/{good}"));
}
