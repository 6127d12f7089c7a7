//! The daemon over a directory of its own, and a client that fills it.

use crate::Result;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// Every user's.
pub const PASSWORD: &str = "quay-side crane 9";

/// What is configured.
#[derive(Default)]
pub struct Conf {
    /// The users; without any, the registry is open to all.
    pub users: Vec<&'static str>,
    /// `access-control.json`.
    pub rules: Value,
    /// `settings.toml`.
    pub settings: String,
}

/// A running daemon; killed when dropped.
pub struct Registry {
    program: PathBuf,
    dir: TempDir,
    child: Child,
    pub port: u16,
    http: Client,
    user: Option<&'static str>,
}

/// A blob that was pushed, as manifests name it.
pub fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() })
}

pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

impl Registry {
    pub async fn start(program: &Path, conf: &Conf) -> Result<Self> {
        let dir = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new())?;
        let at = dir.path();
        fs::write(at.join("settings.toml"), format!("# Settings of the registry\n{}", conf.settings))?;
        if !conf.users.is_empty() {
            fs::write(at.join("access-control.json"), format!("{:#}\n", conf.rules))?;
            for user in &conf.users {
                let mut add = Command::new(program)
                    .args(["htpasswd", "add", user, "--stdin", "--cost", "4", "--file"])
                    .arg(at.join("htpasswd"))
                    .stdin(Stdio::piped())
                    .stdout(Stdio::null())
                    .spawn()?;
                add.stdin.take().ok_or("no input")?.write_all(PASSWORD.as_bytes())?;
                if !add.wait()?.success() {
                    return Err(format!("the user {user} could not be added").into());
                }
            }
        }
        let (child, port) = spawn(program, at, !conf.users.is_empty())?;
        let (http, user) = (Client::new(), conf.users.first().copied());
        Ok(Self { program: program.to_owned(), dir, child, port, http, user })
    }

    /// Ends the daemon, lets its directory be changed, and starts it again.
    pub fn rearrange(&mut self, change: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        change(&self.dir.path().join("data"))?;
        (self.child, self.port) = spawn(&self.program, self.dir.path(), self.user.is_some())?;
        Ok(())
    }

    /// The content of a configuration file.
    pub fn file(&self, name: &str) -> Result<String> {
        Ok(fs::read_to_string(self.dir.path().join(name))?)
    }

    pub fn write_file(&self, name: &str, text: &str) -> Result<()> {
        Ok(fs::write(self.dir.path().join(name), text)?)
    }

    async fn send(&self, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Result<(StatusCode, String)> {
        let mut request = self.http.request(method.clone(), format!("http://127.0.0.1:{}{path}", self.port));
        if let Some(user) = self.user {
            request = request.basic_auth(user, Some(PASSWORD));
        }
        if !body.is_empty() {
            request = request.header("content-type", kind).body(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        match status.is_success() {
            true => Ok((status, text)),
            false => Err(format!("{method} {path}: {status} {text}").into()),
        }
    }

    /// Asks the management API as the first user.
    pub async fn api(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let (_, text) = self.send(method, &format!("/api/v1{path}"), "application/json", body).await?;
        Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
    }

    /// Pushes a blob; returns its descriptor.
    pub async fn blob(&self, repository: &str, media_type: &str, bytes: &[u8]) -> Result<Value> {
        let path = format!("/v2/{repository}/blobs/uploads/?digest={}", digest(bytes));
        self.send(Method::POST, &path, "application/octet-stream", bytes.to_vec()).await?;
        Ok(descriptor(media_type, bytes))
    }

    /// Uploads an artifact: the target has its repository, version, path and properties.
    pub async fn artifact(&self, target: &str, bytes: &[u8]) -> Result<Value> {
        let path = format!("/api/v1/artifacts/{target}");
        let (_, text) = self.send(Method::PUT, &path, "application/octet-stream", bytes.to_vec()).await?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Pushes a manifest under a tag; under its digest if the tag is empty. Returns its descriptor.
    pub async fn manifest(&self, repository: &str, tag: &str, manifest: &Value) -> Result<Value> {
        let bytes = manifest.to_string().into_bytes();
        let kind = manifest["mediaType"].as_str().ok_or("no media type")?;
        let named = descriptor(kind, &bytes);
        let tag = if tag.is_empty() { named["digest"].as_str().unwrap_or_default() } else { tag };
        self.send(Method::PUT, &format!("/v2/{repository}/manifests/{tag}"), kind, bytes).await?;
        Ok(named)
    }

    /// The tags of a repository.
    pub async fn tags(&self, repository: &str) -> Result<Vec<String>> {
        let (_, text) = self.send(Method::GET, &format!("/v2/{repository}/tags/list"), "", Vec::new()).await?;
        let list: Value = serde_json::from_str(&text)?;
        Ok(list["tags"].as_array().into_iter().flatten().filter_map(|tag| Some(tag.as_str()?.to_owned())).collect())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the daemon on a free port.
fn spawn(program: &Path, at: &Path, has_users: bool) -> Result<(Child, u16)> {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REGISTRY_")) {
        command.env_remove(name);
    }
    command
        .current_dir(at)
        .env("REGISTRY_HOST", "127.0.0.1")
        .env("REGISTRY_PORT", "0")
        .env("REGISTRY_STORAGE_PATH", "./data")
        .env("REGISTRY_SETTINGS", "./settings.toml")
        .stdout(Stdio::piped());
    if has_users {
        command
            .env("REGISTRY_AUTH_TYPE", "basic")
            .env("REGISTRY_AUTH_HTPASSWD", "./htpasswd")
            .env("REGISTRY_ACCESS_CONTROL_ENABLED", "true")
            .env("REGISTRY_ACCESS_CONTROL_CONFIG", "./access-control.json");
    }
    let mut child = command.spawn().map_err(|error| format!("cannot start {}: {error}", program.display()))?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
    let mut said = String::new();
    for line in lines.by_ref() {
        let line = line?;
        if let Some((_, rest)) = line.split_once("listening on 127.0.0.1:") {
            let port = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default().parse()?;
            // Its log must be read, or it waits.
            std::thread::spawn(move || {
                for line in lines.map_while(std::result::Result::ok) {
                    if line.contains(" panicked ") || std::env::var_os("BROWSER_LOG").is_some() {
                        eprintln!("{line}");
                    }
                }
            });
            return Ok((child, port));
        }
        said.push_str(&line);
        said.push('\n');
    }
    Err(format!("the daemon ended:\n{said}").into())
}
