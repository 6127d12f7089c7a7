//! The program from outside: exit codes, and what is printed where.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

fn run(dir: &Path, args: &[&str], vars: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wharfinger"))
        .args(args)
        .current_dir(dir)
        .env_clear()
        .envs(vars.iter().copied())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn check_tells_what_was_decided_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let vars = [("REGISTRY_PASSWORD", "hunter2"), ("REGISTRY_LOG_FORMAT", "json")];
    let out = run(dir.path(), &["check", "--port", "5000"], &vars);
    let told = text(&out.stdout);
    assert_eq!(out.status.code(), Some(0));
    assert!(told.contains("address: 0.0.0.0:5000 (flag)\n"), "{told}");
    assert!(told.contains("warning: ignored, not variables of this program: REGISTRY_PASSWORD\n"), "{told}");
    assert!(told.ends_with("no problems\n"), "{told}");
    assert!(!told.contains("hunter2"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn problems_end_check_with_1_and_serve_with_78() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(".env"), "REGISTRY_PORT=many\n").unwrap();
    let vars = [("REGISTRY_STORAGE_PATH", "/nowhere"), ("REGISTRY_PROT", "1")];
    let out = run(dir.path(), &["check"], &vars);
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(
        text(&out.stderr),
        "wharfinger: 3 problems in the configuration:\n\
         REGISTRY_PROT: is not a variable; did you mean REGISTRY_PORT?\n\
         .env:1: REGISTRY_PORT: \"many\" is not a port from 0 to 65535 (0 = any free port)\n\
         REGISTRY_STORAGE_PATH: storage directory /nowhere does not exist: create it, or mount the volume that belongs there\n"
    );
    for args in [&["serve"][..], &[]] {
        let out = run(dir.path(), args, &vars);
        assert_eq!(out.status.code(), Some(78));
        assert!(text(&out.stderr).starts_with("wharfinger: 2 problems"));
    }
}

#[test]
fn help_and_version_succeed_and_an_unknown_flag_is_2() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(run(dir.path(), &["--help"], &[]).status.code(), Some(0));
    assert_eq!(run(dir.path(), &["--version"], &[]).status.code(), Some(0));
    assert_eq!(run(dir.path(), &["--bogus"], &[]).status.code(), Some(2));
}
