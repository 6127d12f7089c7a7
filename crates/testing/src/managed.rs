//! A daemon with its configuration files, which tests manage by its API and look at on disk.

use crate::{
    daemon::Daemon,
    people::{basic, htpasswd},
    session::{Ask, Client, Reply},
};
use http::Method;
use serde_json::Value;
use std::{
    fs,
    ops::Deref,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;

/// The configuration that a test starts with.
pub struct Files {
    /// `htpasswd`; by default the users `admin`, `alice` and `bob`.
    pub htpasswd: String,
    /// `access-control.json`; by default `admin` is the only administrator, and nobody else may do anything.
    pub rules: String,
    /// `settings.toml`.
    pub settings: String,
    /// More variables; an empty one is not set.
    pub vars: Vec<(&'static str, String)>,
}

/// The running program over a directory with configuration files.
pub struct Managed {
    daemon: Daemon,
    dir: TempDir,
    vars: Vec<(&'static str, String)>,
}

/// What one caller sends to the API. The caller's other requests are those of its client.
pub struct ApiSession {
    /// Sends the caller's credentials.
    pub client: Client,
}

impl Default for Files {
    fn default() -> Self {
        let rules = "{\n  \"defaultPolicy\": \"deny\",\n  \"adminUsers\": [\"admin\"],\n  \"rules\": []\n}\n";
        Self {
            htpasswd: htpasswd(&["admin", "alice", "bob"]),
            rules: rules.to_owned(),
            settings: "# Our settings.\n".to_owned(),
            vars: Vec::new(),
        }
    }
}

impl Managed {
    /// Starts the program with the default files after `change`.
    pub fn start(program: &str, change: impl FnOnce(&mut Files)) -> Self {
        let mut files = Files::default();
        change(&mut files);
        let dir = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a temporary directory");
        let conf = dir.path().join("conf");
        fs::create_dir(&conf).expect("a directory");
        fs::write(conf.join("htpasswd"), &files.htpasswd).expect("a file");
        fs::write(conf.join("access-control.json"), &files.rules).expect("a file");
        fs::write(conf.join("settings.toml"), &files.settings).expect("a file");
        let of = |name: &str| conf.join(name).display().to_string();
        let mut vars = vec![
            ("REGISTRY_AUTH_TYPE", "basic".to_owned()),
            ("REGISTRY_AUTH_HTPASSWD", of("htpasswd")),
            ("REGISTRY_ACCESS_CONTROL_ENABLED", "true".to_owned()),
            ("REGISTRY_ACCESS_CONTROL_CONFIG", of("access-control.json")),
            ("REGISTRY_SETTINGS", of("settings.toml")),
        ];
        for (name, value) in files.vars {
            vars.retain(|(known, _)| *known != name);
            vars.push((name, value));
        }
        vars.retain(|(_, value)| !value.is_empty());
        let daemon = launch(program, &dir, &vars);
        Self { daemon, dir, vars }
    }

    /// Kills it, and starts the program over the same files.
    pub fn killed_and_restarted(self, program: &str) -> Self {
        let Self { daemon, dir, vars } = self;
        daemon.kill();
        let daemon = launch(program, &dir, &vars);
        Self { daemon, dir, vars }
    }

    /// Stops it in an orderly way, and starts the program over the same files.
    pub fn restarted(self, program: &str) -> Self {
        let Self { mut daemon, dir, vars } = self;
        daemon.signal("TERM");
        assert!(daemon.wait(Duration::from_secs(30)).success(), "{}", daemon.log());
        let daemon = launch(program, &dir, &vars);
        Self { daemon, dir, vars }
    }

    /// The path of a configuration file.
    pub fn conf(&self, name: &str) -> PathBuf {
        self.dir.path().join("conf").join(name)
    }

    /// The content of a configuration file.
    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.conf(name)).expect("a file")
    }

    /// The storage directory.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The directory that holds everything.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Requests of a user with their password.
    pub fn user(&self, name: &str) -> ApiSession {
        self.caller(Some(basic(name)))
    }

    /// Requests of the administrator.
    pub fn admin(&self) -> ApiSession {
        self.user("admin")
    }

    /// Requests without credentials.
    pub fn nobody(&self) -> ApiSession {
        self.caller(None)
    }

    /// Requests with this `Authorization`.
    pub fn caller(&self, authorization: Option<String>) -> ApiSession {
        let client: &Client = &self.daemon;
        ApiSession { client: authorization.map_or_else(|| client.clone(), |value| client.authorized(value)) }
    }
}

fn launch(program: &str, dir: &TempDir, vars: &[(&'static str, String)]) -> Daemon {
    let vars: Vec<_> = vars.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Daemon::start(program, &dir.path().join("data"), &vars)
}

impl Deref for Managed {
    type Target = Daemon;

    fn deref(&self) -> &Daemon {
        &self.daemon
    }
}

impl ApiSession {
    /// Starts a request to a path below `/api/v1`.
    pub fn ask(&self, method: Method, path: &str) -> Ask<'_> {
        self.client.ask(method, format!("/api/v1{path}"))
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask(Method::GET, path).send().await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.ask(Method::DELETE, path).send().await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::POST, path, body).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::PUT, path, body).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::PATCH, path, body).await
    }

    /// A write that requires this entity tag.
    pub async fn write_if(&self, method: Method, path: &str, etag: &str, body: &Value) -> Reply {
        self.json(method, path, body).header("if-match", etag).send().await
    }

    /// Starts a request with a JSON body.
    pub fn json(&self, method: Method, path: &str, body: &Value) -> Ask<'_> {
        self.ask(method, path).header("content-type", "application/json").body(body.to_string())
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Reply {
        self.json(method, path, body).send().await
    }
}
