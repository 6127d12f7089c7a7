//! `docs/wharf.md`: its commands work, and its list of commands is complete.

use crate::rig::{Person, password, registry};
use clap::CommandFactory;
use std::{fs, path::PathBuf, process::Command};

const BEGIN: &str = "<!-- commands: written by cargo test -p wharf -- --ignored -->\n";
const END: &str = "<!-- end of commands -->";

fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/wharf.md")
}

/// One row for each command.
fn commands() -> String {
    let mut rows = String::from("\n| command | |\n|---|---|\n");
    let mut program = wharf::args::Wharf::command();
    program.build();
    let mut todo: Vec<(String, clap::Command)> = vec![("wharf".into(), program)];
    while let Some((name, command)) = todo.pop() {
        let below: Vec<_> = command.get_subcommands().filter(|below| below.get_name() != "help").cloned().collect();
        if below.is_empty() {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            rows.push_str(&format!("| `{name}` | {} |\n", about.replace('|', "\\|")));
        }
        todo.extend(below.into_iter().rev().map(|below| (format!("{name} {}", below.get_name()), below)));
    }
    rows.push('\n');
    rows
}

const KEYS_BEGIN: &str = "<!-- keys: written by cargo test -p wharf -- --ignored -->\n";
const KEYS_END: &str = "<!-- end of keys -->";

/// The keys and the commands of the terminal UI.
fn keys() -> String {
    let mut rows = String::from("\n| keys | |\n|---|---|\n");
    for key in wharf::tui::keys::KEYS {
        rows.push_str(&format!("| `{}` | {} |\n", key.keys, key.does));
    }
    rows.push_str("\n| after `:` | |\n|---|---|\n");
    for command in wharf::tui::line::COMMANDS {
        let line = format!("{} {}", command.names[0], command.takes.shown()).replace('|', "\\|");
        rows.push_str(&format!("| `{}` | {} |\n", line.trim_end(), command.does));
    }
    rows.push('\n');
    rows
}

#[test]
fn the_keys_of_the_terminal_ui_are_complete() {
    let page = fs::read_to_string(page()).unwrap();
    let (_, rest) = page.split_once(KEYS_BEGIN).expect("the beginning of the keys");
    let (list, _) = rest.split_once(KEYS_END).expect("the end of the keys");
    assert_eq!(list, keys(), "run: cargo test -p wharf -- --ignored write_the_list");
}

#[test]
fn the_list_of_commands_is_complete() {
    let page = fs::read_to_string(page()).unwrap();
    let (_, rest) = page.split_once(BEGIN).expect("the beginning of the list");
    let (list, _) = rest.split_once(END).expect("the end of the list");
    assert_eq!(list, commands(), "run: cargo test -p wharf -- --ignored write_the_list");
}

#[test]
#[ignore = "writes docs/wharf.md"]
fn write_the_list() {
    for (begin, end, list) in [(BEGIN, END, commands()), (KEYS_BEGIN, KEYS_END, keys())] {
        let text = fs::read_to_string(page()).unwrap();
        let (before, rest) = text.split_once(begin).unwrap();
        let (_, after) = rest.split_once(end).unwrap();
        fs::write(page(), format!("{before}{begin}{list}{end}{after}")).unwrap();
    }
}

#[test]
fn the_first_steps_work_as_they_are() {
    let registry = registry(|_| {});
    let admin = Person::new(&registry);
    admin.has_image("image", 60);
    admin.has("password", format!("{}\n", password("admin")));
    let text = fs::read_to_string(page()).unwrap();
    let blocks: Vec<&str> =
        text.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(b, _)| b).collect();
    assert_eq!(blocks.len(), 4);
    let script = format!("set -euo pipefail\n{}", blocks.concat());
    let program = PathBuf::from(env!("CARGO_BIN_EXE_wharf"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    // As `Person::command` sets it up, for the shell.
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).env("HOME", admin.path("")).env("PATH", path).env("SERVER", admin.server());
    for variable in ["XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "WHARF_SERVER"] {
        shell.env_remove(variable);
    }
    let done = shell.current_dir(admin.path("")).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{out}\n{err}");
    assert!(out.contains("carl may not push") && out.contains("Allowed") && !out.contains(&password("admin")), "{out}");
}
