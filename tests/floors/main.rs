//! Modules look down only: nothing under `src/` names a floor above its own, or a neighbour on it.
//!
//! The floors are read from the table at the top of `src/lib.rs`. Code for tests is exempt.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]

mod search;

use search::search;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Pairs (from, to) that may be named against the rule, and why. ARCHITECTURE.md repeats each.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// The crate's name, by which `main.rs` reaches it.
const CRATE: &str = "wharfinger";

/// Above all floors: the program's own root file.
const ABOVE_ALL: u32 = u32::MAX;

type Floors = BTreeMap<String, u32>;

/// The rows `| 0 words | [`oci`], `files` | … |` of the table in a crate's documentation.
fn floors(lib: &str) -> Floors {
    let mut floors = Floors::new();
    for line in lib.lines().filter_map(|line| line.strip_prefix("//! |")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let Some(floor) = cells[0].split(' ').next().and_then(|number| number.parse().ok()) else { continue };
        for name in cells[1].split('`').skip(1).step_by(2) {
            assert!(floors.insert(name.to_owned(), floor).is_none(), "{name} stands on two floors");
        }
    }
    floors
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every `.rs` file below a directory, relative to it.
fn files_below(dir: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.insert(path.strip_prefix(dir).unwrap().to_owned());
            }
        }
    }
    found
}

/// The file of a module: `a/b.rs` or `a/b/mod.rs`.
fn file_of(module: &[String]) -> PathBuf {
    let dir = PathBuf::from_iter(module);
    let file = dir.with_extension("rs");
    if root().join(&file).is_file() { file } else { dir.join("mod.rs") }
}

#[test]
fn modules_look_down_only() {
    let lib = read(&root().join("lib.rs"));
    let floors = floors(&lib);
    let mut found = Vec::new();
    let mut unseen = files_below(&root());
    // (module, its file): the library from its root, and the program.
    let mut next = vec![(Vec::new(), PathBuf::from("lib.rs")), (vec!["main".to_owned()], PathBuf::from("main.rs"))];
    let mut top = BTreeSet::new();
    while let Some((module, file)) = next.pop() {
        unseen.remove(&file);
        let shown = format!("src/{}", file.display());
        let search = search(&floors, &module, &shown, &read(&root().join(&file)));
        found.extend(search.found);
        for (child, for_tests) in search.files {
            if let [name] = child.as_slice() {
                top.insert(name.clone());
            }
            if for_tests {
                // With everything below it.
                let dir = PathBuf::from_iter(&child);
                unseen.retain(|file| !file.starts_with(&dir) && *file != dir.with_extension("rs"));
            } else {
                let file = file_of(&child);
                next.push((child, file));
            }
        }
    }
    let named: BTreeSet<String> = floors.keys().cloned().collect();
    for name in top.symmetric_difference(&named) {
        found.push(format!("src/lib.rs: `{name}` is a module or a row of the table of floors, not both"));
    }
    for file in unseen {
        found.push(format!("src/{}: belongs to no module, so nothing compiles it", file.display()));
    }
    let mut told = String::new();
    found.iter().for_each(|line| writeln!(told, "{line}").unwrap());
    assert!(found.is_empty(), "\n{told}");
}

#[test]
fn every_exception_is_between_floors_that_exist() {
    let floors = floors(&read(&root().join("lib.rs")));
    for (from, to, why) in EXCEPTIONS {
        assert!(floors.contains_key(*from) && floors.contains_key(*to), "{from} to {to}");
        assert!(why.len() > 20, "{from} to {to}: say why");
    }
}

const TABLE: &str = "\
//! | floor | modules | what |
//! |---|---|---|
//! | 0 words | [`oci`], `files` | words |
//! | 1 bytes | `storage` | bytes |
//! | 2 meaning | [`registry`] | meaning |
";

/// What the search says about this code in `storage::fs::content`.
fn planted(code: &str) -> Vec<String> {
    let module = ["storage", "fs", "content"].map(str::to_owned);
    search(&floors(TABLE), &module, "f", code).found
}

#[test]
fn a_planted_violation_is_found_in_every_disguise() {
    for code in [
        "use crate::registry::Registry;",
        "use crate::{oci, registry};",
        "use crate::{oci::Digest, registry::{self, Error}};",
        "use super::super::super::registry;",
        "use super::super::super::{oci, registry as r};",
        "use self::super::super::super::registry;",
        "use wharfinger::registry;",
        "use crate as everything;",
        "use crate::*;",
        "use crate::elsewhere;",
        "extern crate self as other;",
        "fn f() { crate::registry::g() }",
        "fn f() -> crate::registry::T { loop {} }",
        "fn f(x: &dyn crate::registry::Tr) {}",
        "impl From<crate::registry::Error> for E {}",
        "fn f() { match x { super::super::super::registry::A => {} } }",
        "mod inner { use super::super::super::super::registry; }",
        "fn f() { println!(\"{}\", crate::registry::g()) }",
        "fn f() { let _ = matches!(x, Some(super::super::super::registry::A)); }",
        "macro_rules! m { () => { $crate::registry::g() } }",
        "macro_rules! m { () => { use crate::{oci, registry}; } }",
        "#[serde(with = \"crate::registry::format\")] struct S;",
        "struct S { #[serde(default = \"crate::registry::d\")] f: u8 }",
        "#[cfg(not(test))] use crate::registry;",
        "fn f() { include!(\"other.rs\") }",
        "#[path = \"../../registry/mod.rs\"] mod hidden;",
    ] {
        assert!(!planted(code).is_empty(), "{code}");
    }
}

#[test]
fn what_looks_down_or_stays_at_home_is_not_reported() {
    for code in [
        "use crate::oci::Digest; use crate::files::{Files, Sys};",
        "use crate::storage::{Error, fs::{self, Inner}}; use super::*; use super::super::Page;",
        "pub(crate) fn f(&self) { self::g(); self.h(); Self::i() }",
        "pub(in crate::storage) fn f() { tracing::info!(%x, registry = 1, \"crate::registry\") }",
        "use registry::Elsewhere; use hyper::service::Service;",
        "#[cfg(test)] mod tests { use crate::registry::Registry; }",
        "#[cfg(test)] use crate::registry::Registry;",
        "#[cfg(test)] fn f() { crate::registry::g() }",
        "#[test] fn f() { crate::registry::g() }",
        "impl S { #[cfg(test)] fn f() { crate::registry::g() } }",
        "/// See [`crate::registry::Registry`].\nfn f() {}",
    ] {
        assert_eq!(planted(code), Vec::<String>::new(), "{code}");
    }
}

#[test]
fn a_neighbour_on_the_same_floor_is_a_violation() {
    let floors = floors(TABLE);
    let module = ["files".to_owned()];
    let found = search(&floors, &module, "f", "use crate::oci::Digest;").found;
    assert_eq!(found, ["f:1: `files` (floor 0) names `crate::oci::Digest` (floor 0): look down only"]);
    assert_eq!(search(&floors, &["main".to_owned()], "f", "use wharfinger::registry;").found, [""; 0]);
}
