//! Tests of the fences: each lint works, and no code evades it.
//!
//! What to do when one of these fails: CONTRIBUTING.md, "Fences".

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// Packages in Cargo.lock, including our own and those for tests. Each is code that somebody has to trust and compile.
/// To raise it, set this to the new count, and say in the commit what the new ones are for and what was tried without
/// them.
const MOST_PACKAGES: usize = 499;

/// The root files of the product. Each enables the lint.
const ROOTS: &[&str] =
    &["crates/api/src/lib.rs", "crates/client/src/lib.rs", "crates/oci/src/lib.rs", "src/lib.rs", "src/main.rs"];

/// The only other files of the product that may mention the lint.
const GATES: &[(&str, &str)] = &[
    ("src/files/real.rs", "creates and renames files, for files::atomic"),
    ("src/files/system/linux.rs", "opens and renames files as only Linux can, for files::real"),
    ("src/files/regular.rs", "reads the operator's files"),
    ("crates/oci/src/json.rs", "reads JSON"),
    ("src/service/manage/body.rs", "reads JSON, and says where it is wrong"),
    ("src/cli/terminal.rs", "prints"),
    ("src/cli/log.rs", "checks whether stdout is a terminal, and its queue writes to it"),
    ("src/config/gather.rs", "reads the environment"),
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
    ("std::fs::File::open", r#"std::fs::File::open("a")"#),
    ("std::fs::read", r#"std::fs::read("a")"#),
    ("std::fs::read_to_string", r#"std::fs::read_to_string("a")"#),
    ("tokio::fs::read", r#"tokio::fs::read("a")"#),
    ("tokio::fs::read_to_string", r#"tokio::fs::read_to_string("a")"#),
    ("tokio::fs::File::open", r#"tokio::fs::File::open("a")"#),
    ("serde_json::from_slice", "serde_json::from_slice::<()>(&[])"),
    ("serde_json::from_str", r#"serde_json::from_str::<()>("")"#),
    ("serde_json::from_reader", "serde_json::from_reader::<_, ()>(std::io::empty())"),
    ("serde_json::from_value", "serde_json::from_value::<()>(given())"),
    ("serde_json::Deserializer::from_slice", "serde_json::Deserializer::from_slice(&[])"),
    ("serde_json::Deserializer::from_str", r#"serde_json::Deserializer::from_str("")"#),
    ("serde_json::Deserializer::from_reader", "serde_json::Deserializer::from_reader(std::io::empty())"),
    ("std::io::stdout", "std::io::stdout()"),
    ("std::io::stderr", "std::io::stderr()"),
    ("std::env::var", r#"std::env::var("A")"#),
    ("std::env::var_os", r#"std::env::var_os("A")"#),
    ("std::env::vars", "std::env::vars()"),
    ("std::env::vars_os", "std::env::vars_os()"),
    ("std::process::exit", "std::process::exit(1)"),
    ("std::process::abort", "std::process::abort()"),
];

/// The manifest of the scratch crate: the packages with forbidden functions, at the versions of our Cargo.lock.
const SCRATCH: &str = r#"
[package]
name = "fences"
edition = "2024"

[dependencies]
rustix = { version = "1", features = ["fs"] }
serde_json = "1"
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
    assert_eq!(set.len(), paths.len(), "an entry is repeated");
    set
}

#[test]
fn each_entry_of_clippy_toml_has_a_violation() {
    let proven: BTreeSet<String> = VIOLATIONS.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(entries(), proven);
}

#[test]
fn clippy_reports_each_violation() {
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
    let printed = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "the violations do not compile:\n{printed}");
    let dead: Vec<&str> = lines
        .into_iter()
        .filter(|(line, path)| {
            let (place, name) = (format!("src/lib.rs:{line}:"), format!("disallowed method `{path}`"));
            !printed.lines().any(|said| said.starts_with(&place) && said.contains(&name))
        })
        .map(|(_, path)| path)
        .collect();
    assert!(dead.is_empty(), "clippy does not see these; are the paths right? {dead:?}\n{printed}");
}

#[test]
fn only_the_gates_are_open() {
    let mut found = BTreeSet::new();
    let roots: BTreeSet<_> = ROOTS.iter().filter_map(|file| root().join(file).parent().map(Path::to_owned)).collect();
    let mut dirs = Vec::from_iter(roots);
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
                assert!(!text.contains(&format!("({wide}")), "{name}: `{wide}` would disable every fence at once");
            }
            if text.contains("clippy::disallowed_methods") {
                found.insert(name);
            }
        }
    }
    let gates = GATES.iter().map(|(file, _)| *file);
    let known: BTreeSet<String> = gates.chain(ROOTS.iter().copied()).map(str::to_owned).collect();
    assert_eq!(found, known);
    for file in ROOTS {
        assert!(read(file).contains("#![cfg_attr(not(test), deny(clippy::disallowed_methods))]"), "{file}");
    }
}

#[test]
fn the_number_of_packages_stays_below_its_ceiling() {
    let count = read("Cargo.lock").lines().filter(|line| *line == "[[package]]").count();
    assert!(count <= MOST_PACKAGES, "{count} packages, more than MOST_PACKAGES ({MOST_PACKAGES}): see its comment");
}
