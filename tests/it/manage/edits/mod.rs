//! Changes of the operator's files by the API: what each does to the text, and what is refused without a trace.

mod access;
mod audit;
mod concurrent;
mod config;
mod escalation;
mod groups;
mod password;
mod preview;
mod registration;
mod roles;
mod rules;
mod settings;
mod users;

use crate::PROGRAM;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};
use testing::{
    managed::{Files, Managed},
    people::htpasswd,
    session::Reply,
};

/// `admin` is the administrator, `mia` manages users and groups, `alice` is a developer, `bob` is nobody in particular.
const RULES: &str = r#"{
  "defaultPolicy": "deny",
  "adminUsers": ["admin"],

  "groups": {
    "devs":     {"members": ["alice"], "roles": ["dev"], "description": "Who writes the code"},
    "managers": {"members": ["mia"],   "roles": ["manage"]}
  },
  "roles": {
    "dev":    {"permissions": ["VIEW:TASK"]},
    "manage": {"permissions": ["VIEW:USER", "CREATE:USER", "UPDATE:USER", "DELETE:USER",
                               "VIEW:GROUP", "CREATE:GROUP", "UPDATE:GROUP", "DELETE:GROUP"]}
  },

  "rules": [
    {"repository": "public/**", "users": ["*"],     "permissions": ["pull"]},
    {"repository": "team/*",    "users": ["@devs"], "permissions": ["pull", "push"]}
  ]
}
"#;

const SETTINGS: &str = "\
# Our settings.

[manifests]
max_bytes = \"1 MiB\"   # enough for us
# As docker wants it.
missing_references = \"accept\"

[[immutable]]
repositories = [\"team/**\"]  # releases
tags = \"v.*\"
";

/// A password that may be set.
const GOOD: &str = "tR4#kq9wLz";

fn start() -> Managed {
    with(|_| {})
}

fn with(change: impl FnOnce(&mut Files)) -> Managed {
    Managed::start(PROGRAM, |files| {
        let people = htpasswd(&["admin", "alice", "bob", "mia"]);
        files.htpasswd = format!("# Our people.\n{people}\n# Our robots.\nci:!\n");
        files.rules = RULES.to_owned();
        files.settings = SETTINGS.to_owned();
        change(files);
    })
}

/// The lines in which two versions of a file differ: removed with `-`, added with `+`.
fn changed(before: &str, after: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(before, after);
    let line = |sign: char, text: &str| format!("{sign}{}", text.trim_end());
    let lines = diff.iter_all_changes().filter_map(|change| match change.tag() {
        ChangeTag::Equal => None,
        ChangeTag::Delete => Some(line('-', change.value())),
        ChangeTag::Insert => Some(line('+', change.value())),
    });
    lines.collect()
}

/// The field and the suggestion of the first problem of a refused request.
#[track_caller]
fn problem(reply: &Reply) -> (String, Value) {
    reply.refused(400, "INVALID_REQUEST");
    let problem = &reply.json()["errors"][0]["detail"][0];
    (problem["at"].as_str().unwrap_or_default().to_owned(), problem["did_you_mean"].clone())
}

/// Asserts that a write was refused because its file is edited elsewhere, and that the refusal names the file.
#[track_caller]
fn is_external(reply: &Reply, registry: &Managed, file: &str) {
    reply.refused(409, "READ_ONLY_FILE");
    assert_eq!(reply.json()["errors"][0]["detail"]["file"], registry.conf(file).display().to_string());
}
