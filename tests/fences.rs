//! The fences hold: each is alive, and nobody slipped through it.
//!
//! What to do when one of these fails: CONTRIBUTING.md, "Fences".

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// Packages in Cargo.lock, ours and those for tests included. Each is code that somebody has to
/// trust and wait for. To raise it: say in the commit what the new ones are for and what was
/// tried without them, and set this to the new count.
const MOST_PACKAGES: usize = 264;

/// The only files of `src/` that may mention the lint: two raise the fence, the others are gates.
const GATES: &[(&str, &str)] = &[
    ("src/lib.rs", "raises it"),
    ("src/main.rs", "raises it"),
    ("src/files/real.rs", "makes files appear, for files::atomic"),
    ("src/config/env.rs", "reads the environment"),
];

/// One violation of each entry of clippy.toml, by the entry's path.
const VIOLATIONS: &[(&str, &str)] = &[
    ("std::fs::write", r#"std::fs::write("a", "b")"#),
    ("std::fs::copy", r#"std::fs::copy("a", "b")"#),
    ("std::fs::rename", r#"std::fs::rename("a", "b")"#),
    ("std::fs::hard_link", r#"std::fs::hard_link("a", "b")"#),
    ("std::fs::create_dir", r#"std::fs::create_dir("a")"#),
    ("std::fs::create_dir_all", r#"std::fs::create_dir_all("a")"#),
    ("std::fs::DirBuilder::create", r#"std::fs::DirBuilder::new().create("a")"#),
    ("std::fs::File::create", r#"std::fs::File::create("a")"#),
    ("std::fs::File::create_new", r#"std::fs::File::create_new("a")"#),
    ("std::fs::File::options", "std::fs::File::options()"),
    ("std::fs::OpenOptions::new", "std::fs::OpenOptions::new()"),
    ("std::fs::OpenOptions::open", r#"given::<std::fs::OpenOptions>().open("a")"#),
    ("std::os::unix::fs::symlink", r#"std::os::unix::fs::symlink("a", "b")"#),
    ("rustix::fs::open", r#"rustix::fs::open("a", given(), given())"#),
    ("rustix::fs::openat", r#"rustix::fs::openat(CWD, "a", given(), given())"#),
    ("rustix::fs::openat2", r#"rustix::fs::openat2(CWD, "a", given(), given(), given())"#),
    ("rustix::fs::mkdir", r#"rustix::fs::mkdir("a", given())"#),
    ("rustix::fs::mkdirat", r#"rustix::fs::mkdirat(CWD, "a", given())"#),
    ("rustix::fs::mknodat", r#"rustix::fs::mknodat(CWD, "a", given(), given(), 0)"#),
    ("rustix::fs::mkfifoat", r#"rustix::fs::mkfifoat(CWD, "a", given())"#),
    ("rustix::fs::rename", r#"rustix::fs::rename("a", "b")"#),
    ("rustix::fs::renameat", r#"rustix::fs::renameat(CWD, "a", CWD, "b")"#),
    ("rustix::fs::renameat_with", r#"rustix::fs::renameat_with(CWD, "a", CWD, "b", given())"#),
    ("rustix::fs::link", r#"rustix::fs::link("a", "b")"#),
    ("rustix::fs::linkat", r#"rustix::fs::linkat(CWD, "a", CWD, "b", given())"#),
    ("rustix::fs::symlink", r#"rustix::fs::symlink("a", "b")"#),
    ("rustix::fs::symlinkat", r#"rustix::fs::symlinkat("a", CWD, "b")"#),
    ("tokio::fs::write", r#"tokio::fs::write("a", "b")"#),
    ("tokio::fs::copy", r#"tokio::fs::copy("a", "b")"#),
    ("tokio::fs::rename", r#"tokio::fs::rename("a", "b")"#),
    ("tokio::fs::hard_link", r#"tokio::fs::hard_link("a", "b")"#),
    ("tokio::fs::symlink", r#"tokio::fs::symlink("a", "b")"#),
    ("tokio::fs::create_dir", r#"tokio::fs::create_dir("a")"#),
    ("tokio::fs::create_dir_all", r#"tokio::fs::create_dir_all("a")"#),
    ("tokio::fs::DirBuilder::create", r#"given::<tokio::fs::DirBuilder>().create("a")"#),
    ("tokio::fs::File::create", r#"tokio::fs::File::create("a")"#),
    ("tokio::fs::File::create_new", r#"tokio::fs::File::create_new("a")"#),
    ("tokio::fs::File::options", "tokio::fs::File::options()"),
    ("tokio::fs::OpenOptions::new", "tokio::fs::OpenOptions::new()"),
    ("tokio::fs::OpenOptions::open", r#"given::<tokio::fs::OpenOptions>().open("a")"#),
    ("tempfile::NamedTempFile::persist", r#"given::<tempfile::NamedTempFile>().persist("a")"#),
    ("tempfile::NamedTempFile::persist_noclobber", r#"given::<tempfile::NamedTempFile>().persist_noclobber("a")"#),
    ("tempfile::NamedTempFile::keep", "given::<tempfile::NamedTempFile>().keep()"),
    ("tempfile::TempPath::persist", r#"given::<tempfile::TempPath>().persist("a")"#),
    ("tempfile::TempPath::persist_noclobber", r#"given::<tempfile::TempPath>().persist_noclobber("a")"#),
    ("tempfile::TempPath::keep", "given::<tempfile::TempPath>().keep()"),
    ("tempfile::TempDir::keep", "given::<tempfile::TempDir>().keep()"),
    ("std::env::var", r#"std::env::var("A")"#),
    ("std::env::var_os", r#"std::env::var_os("A")"#),
    ("std::env::vars", "std::env::vars()"),
    ("std::env::vars_os", "std::env::vars_os()"),
    ("std::process::exit", "std::process::exit(1)"),
    ("std::process::abort", "std::process::abort()"),
];

/// What the scratch crate is built of: the packages whose functions are forbidden, at the
/// versions of our Cargo.lock.
const SCRATCH: &str = r#"
[package]
name = "fences"
edition = "2024"

[dependencies]
rustix = { version = "1", features = ["fs"] }
tempfile = "3"
tokio = { version = "1", default-features = false, features = ["fs"] }

[lints.clippy]
all = { level = "allow", priority = -1 }
disallowed_methods = "warn"

[workspace]
"#;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Paths of the entries of clippy.toml.
fn entries() -> BTreeSet<String> {
    let conf: toml::Table = toml::from_str(&read("clippy.toml")).unwrap();
    let paths: Vec<String> = conf["disallowed-methods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            assert!(entry["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{entry:?}: say why");
            entry["path"].as_str().unwrap().to_owned()
        })
        .collect();
    let set: BTreeSet<String> = paths.iter().cloned().collect();
    assert_eq!(set.len(), paths.len(), "an entry stands there twice");
    set
}

#[test]
fn each_entry_of_clippy_toml_has_a_violation_to_prove_it() {
    let proven: BTreeSet<String> = VIOLATIONS.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(entries(), proven);
}

#[test]
fn each_entry_of_clippy_toml_is_alive() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let has_clippy = Command::new(&cargo).args(["clippy", "--version"]).output().is_ok_and(|out| out.status.success());
    if !has_clippy {
        assert!(std::env::var_os("CI").is_none(), "clippy is missing; in CI it must not be");
        eprintln!("skipped: clippy is not installed (rustup component add clippy)");
        return;
    }
    let (mut code, mut lines) =
        (String::from("use rustix::fs::CWD; fn given<T>() -> T { loop {} }\n"), BTreeMap::new());
    for (i, (path, violation)) in VIOLATIONS.iter().enumerate() {
        writeln!(code, "pub fn v{i}() {{ let _ = {violation}; }}").unwrap();
        lines.insert(i + 2, *path);
    }
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fences");
    std::fs::create_dir_all(dir.join("src")).unwrap();
    std::fs::write(dir.join("Cargo.toml"), SCRATCH).unwrap();
    std::fs::write(dir.join("Cargo.lock"), read("Cargo.lock")).unwrap();
    std::fs::write(dir.join("src/lib.rs"), code).unwrap();
    let out = Command::new(&cargo)
        .args(["clippy", "--offline", "--message-format=short"])
        .current_dir(&dir)
        .env("CLIPPY_CONF_DIR", root())
        .env("CARGO_TARGET_DIR", dir.join("target"))
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "the violations do not compile:\n{told}");
    let dead: Vec<&str> = lines
        .into_iter()
        .filter(|(line, path)| {
            let (place, name) = (format!("src/lib.rs:{line}:"), format!("disallowed method `{path}`"));
            !told.lines().any(|said| said.starts_with(&place) && said.contains(&name))
        })
        .map(|(_, path)| path)
        .collect();
    assert!(dead.is_empty(), "clippy does not see these; are the paths right? {dead:?}\n{told}");
}

#[test]
fn only_the_gates_are_open() {
    let mut found = BTreeSet::new();
    let mut dirs = vec![root().join("src")];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            let text = read(&name);
            for wide in ["clippy::all", "clippy::style", "warnings)"] {
                assert!(!text.contains(&format!("({wide}")), "{name}: `{wide}` would open every fence at once");
            }
            if text.contains("clippy::disallowed_methods") {
                found.insert(name);
            }
        }
    }
    let gates: BTreeSet<String> = GATES.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(found, gates);
    for file in ["src/lib.rs", "src/main.rs"] {
        assert!(read(file).contains("#![cfg_attr(not(test), deny(clippy::disallowed_methods))]"), "{file}");
    }
}

#[test]
fn the_number_of_packages_stays_below_its_ceiling() {
    let count = read("Cargo.lock").lines().filter(|line| *line == "[[package]]").count();
    assert!(count <= MOST_PACKAGES, "{count} packages, more than MOST_PACKAGES ({MOST_PACKAGES}): see there");
}
