//! Checks a store with the real program, beside a registry that serves it.

mod cases;
mod copy;
mod live;
mod reports;
mod rot;

use crate::PROGRAM;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use testing::registry::Registry;

/// The result of a check.
pub struct Checked {
    pub code: i32,
    pub findings: Vec<Value>,
    pub summary: Value,
}

/// Checks a store.
pub fn fsck(root: &Path, args: &[&str]) -> Checked {
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REGISTRY_")) {
        command.env_remove(name);
    }
    let output = command
        .args(["fsck", "--json"])
        .args(args)
        .env("REGISTRY_STORAGE_PATH", root)
        .current_dir(root.parent().expect("a parent"))
        .output()
        .expect("fsck runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let mut findings: Vec<Value> = lines.collect();
    let end = findings.pop().unwrap_or_else(|| panic!("nothing: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(end["type"], "summary", "{end}");
    let findings = findings.into_iter().map(|line| line["finding"].clone()).collect();
    Checked { code: output.status.code().expect("an exit code"), findings, summary: end["summary"].clone() }
}

/// Where a blob is stored.
fn blob(registry: &Registry, digest: &str) -> PathBuf {
    let hex = hex(digest);
    registry.root().join(format!("blobs/sha256/{}/{hex}", &hex[..2]))
}

fn hex(digest: &str) -> &str {
    digest.strip_prefix("sha256:").expect("sha256")
}

#[track_caller]
fn finds(checked: &Checked, code: i32, wrong: &[(&str, &str)]) {
    assert_eq!(checked.kinds(), wrong, "{}", checked.lines());
    assert_eq!(checked.code, code);
}

impl Checked {
    /// The findings that count as damage.
    pub fn wrong(&self) -> Vec<&Value> {
        self.findings.iter().filter(|finding| finding["severity"] != "note").collect()
    }

    /// Kinds and paths of the damage.
    pub fn kinds(&self) -> Vec<(&str, &str)> {
        self.wrong()
            .into_iter()
            .map(|finding| (finding["kind"].as_str().expect("text"), finding["path"].as_str().expect("text")))
            .collect()
    }

    /// The findings, one per line.
    pub fn lines(&self) -> String {
        self.findings.iter().map(|finding| format!("{finding}\n")).collect()
    }

    #[track_caller]
    pub fn clean(self) -> Self {
        assert!(self.code == 0 && self.wrong().is_empty(), "{} {}", self.code, self.lines());
        self
    }
}
