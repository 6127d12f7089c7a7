//! Builds the store and its configuration: a repository is pushed, and its files are copied under all the names.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Scale;
use crate::Result;
use crate::http::{Body, Dial, HttpConnection, Sink};

/// The administrator; other users are `user-0` and so on.
pub const ADMIN: &str = "admin";
const PASSWORD: &str = "a long password";

/// Repositories of a namespace.
pub const PER_NAMESPACE: usize = 100;

/// The repository with many tags.
pub const LARGE: &str = "large/app";

/// Of this many repositories, one is public and has an owner.
const PER_PUBLIC: usize = 10;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Name and password; nobody's is empty.
pub fn credentials(user: &str) -> Option<(String, String)> {
    (!user.is_empty()).then(|| (user.to_owned(), PASSWORD.to_owned()))
}

/// The name of a repository.
pub fn name(i: usize) -> String {
    format!("ns-{}/app-{i}", i / PER_NAMESPACE)
}

/// Writes the files of users, rules and settings; returns the variables that name them.
pub fn configure(asked: &Scale, home: &Path) -> Result<Vec<(String, String)>> {
    let hash = bcrypt::hash(PASSWORD, 4)?;
    let users = (0..asked.users).map(|i| format!("user-{i}"));
    let lines: String = [ADMIN.to_owned()].into_iter().chain(users).map(|user| format!("{user}:{hash}\n")).collect();
    fs::write(home.join("htpasswd"), lines)?;
    let members = |group: usize| (group..asked.users).step_by(asked.groups).map(|i| format!("user-{i}"));
    let groups: serde_json::Map<String, Value> = (0..asked.groups)
        .map(|group| {
            let members: Vec<_> = members(group).collect();
            (format!("group-{group}"), json!({ "members": members, "roles": [] }))
        })
        .collect();
    let rule = |group: usize| json!({ "repository": format!("ns-{group}/**"), "users": [format!("@group-{group}")], "permissions": ["pull"] });
    let rules: Vec<_> = (0..asked.groups).map(rule).collect();
    let rules = json!({ "defaultPolicy": "deny", "adminUsers": [ADMIN], "rules": rules, "groups": groups });
    fs::write(home.join("access-control.json"), rules.to_string())?;
    fs::write(home.join("settings.toml"), "[pagination]\n")?;
    let at = |file: &str| home.join(file).display().to_string();
    let variables = [
        ("REGISTRY_HOST", "127.0.0.1".to_owned()),
        ("REGISTRY_STORAGE_PATH", at("data")),
        ("REGISTRY_AUTH_TYPE", "basic".to_owned()),
        ("REGISTRY_AUTH_HTPASSWD", at("htpasswd")),
        ("REGISTRY_ACCESS_CONTROL_ENABLED", "true".to_owned()),
        ("REGISTRY_ACCESS_CONTROL_CONFIG", at("access-control.json")),
        ("REGISTRY_SETTINGS", at("settings.toml")),
        ("REGISTRY_LOG_LEVEL", "error".to_owned()),
    ];
    Ok(variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Pushes the repositories that are copied: a private one, and a public one with an owner. Returns their names.
pub fn push_templates(dial: &Dial, asked: &Scale) -> Result<[String; 2]> {
    let names = ["template/private", "template/public"].map(str::to_owned);
    let mut connection = HttpConnection::new(dial);
    let facts = json!({ "name": names[1], "visibility": "public", "owner": "user-0", "description": "A copy" });
    let json = [("Content-Type", "application/json")];
    send(&mut connection, "POST", "/api/v1/repositories", &json, facts.to_string().as_bytes())?;
    for name in &names {
        let (config, layer) = (b"{}".as_slice(), b"a layer".as_slice());
        for blob in [config, layer] {
            send(&mut connection, "POST", &format!("/v2/{name}/blobs/uploads/?digest={}", digest(blob)), &[], blob)?;
        }
        let described = |media_type: &str, blob: &[u8]| json!({ "mediaType": media_type, "digest": digest(blob), "size": blob.len() });
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": described("application/vnd.oci.image.config.v1+json", config),
            "layers": [described("application/vnd.oci.image.layer.v1.tar", layer)],
        })
        .to_string();
        for tag in 0..asked.tags.div_ceil(asked.repositories) {
            let path = format!("/v2/{name}/manifests/1.{tag}");
            send(&mut connection, "PUT", &path, &[("Content-Type", MANIFEST)], manifest.as_bytes())?;
        }
    }
    Ok(names)
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn send(
    connection: &mut HttpConnection,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<()> {
    let mut answer = Vec::new();
    let (head, _) = connection.send(method, path, headers, Body::Bytes(body), Sink::Keep(&mut answer))?;
    match head.status {
        200..=299 => Ok(()),
        status => Err(format!("{method} {path}: {status} {}", String::from_utf8_lossy(&answer)).into()),
    }
}

/// The files of one repository: directories, and files with their content.
struct Template {
    directories: Vec<PathBuf>,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Template {
    fn read(root: &Path) -> Result<Self> {
        let mut template = Self { directories: Vec::new(), files: Vec::new() };
        let mut open = vec![root.to_owned()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(&directory)? {
                let path = entry?.path();
                // What a push in progress leaves is no part of a repository at rest.
                if path.ends_with("_intents") {
                    continue;
                }
                let relative = path.strip_prefix(root)?.to_owned();
                match path.is_dir() {
                    true => {
                        template.directories.push(relative);
                        open.push(path);
                    }
                    false => template.files.push((relative, fs::read(&path)?)),
                }
            }
        }
        Ok(template)
    }

    /// The same with so many tags of one manifest instead of one.
    fn with_tags(mut self, count: usize) -> Self {
        let (tags, rest): (Vec<_>, Vec<_>) = self
            .files
            .into_iter()
            .partition(|(file, _)| file.starts_with("_manifests/tags") || file.starts_with("_manifests/tagged"));
        let first = tags.into_iter().filter(|(file, _)| file.ends_with("1.0"));
        self.files = rest;
        for (file, bytes) in first {
            self.files.extend((0..count).map(|tag| (file.with_file_name(format!("1.{tag}")), bytes.clone())));
        }
        self
    }

    fn write(&self, root: &Path) -> Result<()> {
        fs::create_dir_all(root)?;
        for directory in &self.directories {
            fs::create_dir(root.join(directory))?;
        }
        for (file, bytes) in &self.files {
            fs::write(root.join(file), bytes)?;
        }
        Ok(())
    }
}

/// Copies the templates under all names.
pub fn copy(templates: &[String; 2], asked: &Scale, home: &Path) -> Result<()> {
    let root = home.join("data/repositories");
    let [private, public] = [Template::read(&root.join(&templates[0]))?, Template::read(&root.join(&templates[1]))?];
    Template::read(&root.join(&templates[0]))?.with_tags(asked.large).write(&root.join(LARGE))?;
    let hints = root.join("_facts");
    fs::create_dir_all(&hints)?;
    for i in 0..asked.repositories {
        let name = name(i);
        match i % PER_PUBLIC {
            0 => {
                fs::write(hints.join(name.replace('/', "+")), "")?;
                public.write(&root.join(&name))?;
                fs::write(root.join(&name).join("_facts/owner"), format!("user-{}\n", i % asked.users))?;
            }
            _ => private.write(&root.join(&name))?,
        }
    }
    Ok(())
}
