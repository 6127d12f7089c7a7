//! What commands print, in each format. To accept changes: INSTA_UPDATE=always cargo test -p wharf goldens.

use crate::rig::{Person, registry};
use insta::assert_snapshot;
use testing::managed::Managed;

/// A registry with something of everything.
fn furnished() -> (Managed, Person) {
    let registry = registry(|_| {});
    let admin = Person::logged_in(&registry, "admin");
    admin.has_image("image", 80);
    for image in ["team/app:v1", "team/app:v2", "team/a-repository-with-a-rather-long-name:latest"] {
        admin.types(&["push", "image", image]).succeeds();
    }
    let typed = |line: &str| admin.types(&line.split(' ').collect::<Vec<_>>()).succeeds();
    typed("group create devs --description Developers --roles developer,reader");
    typed("user create carl -p correct-horse-battery -g devs");
    typed("artifact create builds -d Builds");
    admin.has("app.tar", "content");
    typed("artifact upload builds app.tar --version 1.0 -P os=linux,build=77");
    (registry, admin)
}

/// Output without what differs from run to run: ages, times, ids. Columns are two spaces apart.
fn steady(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let cells: Vec<String> =
            line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(steady_cell).collect();
        let indent = line.len() - line.trim_start().len();
        lines.push(format!("{}{}", " ".repeat(indent), cells.join("  ")));
    }
    lines.join("\n")
}

fn steady_cell(cell: &str) -> String {
    let is_age = cell == "just now" || cell.ends_with(" ago");
    if is_age { "AGO".to_owned() } else { cell.split_inclusive(['"', ' ']).map(steady_word).collect() }
}

fn steady_word(word: &str) -> String {
    let bare = word.trim_end_matches(['"', ' ']);
    let is_time = bare.len() >= 20 && bare.ends_with('Z') && bare.as_bytes()[4] == b'-' && bare.contains('T');
    let is_id = bare.len() == 26 && bare.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    match () {
        () if is_time => word.replace(bare, "TIME"),
        () if is_id => word.replace(bare, "ID"),
        () => word.to_owned(),
    }
}

#[test]
fn tables() {
    let (_registry, admin) = furnished();
    let mut out = String::new();
    for line in [
        "image list",
        "image list --format wide",
        "image tags team/app",
        "image inspect team/app:v1",
        "image layers team/app:v1",
        "image history team/app:v1",
        "image digest team/app:v1",
        "repo list -q",
        "repo show team/app",
        "tag list team/app -q",
        "user list",
        "group list",
        "group show devs",
        "role show reader",
        "key list",
        "settings get operator",
        "namespace list",
        "artifact list",
        "can push team/app --user carl",
    ] {
        let typed = admin.types(&line.split(' ').collect::<Vec<_>>());
        out.push_str(&format!("$ wharf {line}\n{}\n", steady(&typed.out).replace(admin.server(), "SERVER")));
        if typed.status != 0 {
            out.push_str(&format!("exit {}\n", typed.status));
        }
        out.push('\n');
    }
    assert_snapshot!(out);
}

#[test]
fn formats() {
    let (_registry, admin) = furnished();
    let mut out = String::new();
    for format in ["table", "wide", "json", "jsonl", "yaml", "raw", "{{ name }}: {{ roles }}"] {
        let typed = admin.types(&["group", "list", "--format", format]).succeeds();
        out.push_str(&format!("$ wharf group list --format '{format}'\n{typed}\n"));
    }
    for format in ["table", "json", "yaml", "{{ visibility }} {{ tag_count }}"] {
        let typed = steady(&admin.types(&["repo", "show", "team/app", "--format", format]).succeeds());
        out.push_str(&format!("$ wharf repo show team/app --format '{format}'\n{typed}\n\n"));
    }
    assert_snapshot!(out);
}

#[test]
fn errors() {
    let (_registry, admin) = furnished();
    let mut out = String::new();
    for line in [
        "imgae list",
        "image inspect team/app:nothing",
        "repo show nobody/here",
        "user delete carl",
        "repo create team/app",
        "context use prodd",
        "user list --format jsn",
        "artifact download builds --version 9",
        "task show 01J",
    ] {
        let typed = admin.types(&line.split(' ').collect::<Vec<_>>());
        let err = typed.err.replace(admin.server(), "SERVER");
        out.push_str(&format!("$ wharf {line}\n{err}exit {}\n\n", typed.status));
    }
    assert_snapshot!(out);
}
