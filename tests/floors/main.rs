//! The layers of the code: a module in `src/` uses only modules of lower layers. In some layers, modules do not use one
//! another in a circle. And unique names of types.
//!
//! The layers ("floors") are read from the table at the top of `src/lib.rs`. Code for tests is exempt.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]

mod names;
mod search;

use search::{Search, search};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Exceptions: pairs (from, to) that may break the rule, and why. ARCHITECTURE.md repeats each.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// Layers whose modules do not use one another in a circle.
const WITHOUT_CIRCLES: &[&str] = &["config", "files"];

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
            assert!(floors.insert(name.to_owned(), floor).is_none(), "{name} is on two floors");
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

/// Searches all code but that for tests: the library from its root, and the program. Returns the files that belong to
/// no module.
fn walk(floors: &Floors, mut each: impl FnMut(&[String], &str, &Search<'_>)) -> BTreeSet<PathBuf> {
    let mut unseen = files_below(&root());
    // (module, its file)
    let mut next = vec![(Vec::new(), PathBuf::from("lib.rs")), (vec!["main".to_owned()], PathBuf::from("main.rs"))];
    while let Some((module, file)) = next.pop() {
        unseen.remove(&file);
        let shown = format!("src/{}", file.display());
        let search = search(floors, &module, &shown, &read(&root().join(&file)));
        each(&module, &shown, &search);
        for (child, for_tests) in search.files {
            if for_tests {
                // And everything below it.
                let dir = PathBuf::from_iter(&child);
                unseen.retain(|file| !file.starts_with(&dir) && *file != dir.with_extension("rs"));
            } else {
                let file = file_of(&child);
                next.push((child, file));
            }
        }
    }
    unseen
}

#[test]
fn modules_import_only_from_lower_layers() {
    let floors = floors(&read(&root().join("lib.rs")));
    let (mut found, mut top) = (Vec::new(), BTreeSet::new());
    let unseen = walk(&floors, |_, _, search| {
        found.extend_from_slice(&search.found);
        top.extend(search.files.iter().filter(|(module, _)| module.len() == 1).map(|(module, _)| module[0].clone()));
    });
    let named: BTreeSet<String> = floors.keys().cloned().collect();
    for name in top.symmetric_difference(&named) {
        found.push(format!("src/lib.rs: `{name}` is a module or a row of the table of floors, not both"));
    }
    for file in unseen {
        found.push(format!("src/{}: belongs to no module, so nothing compiles it", file.display()));
    }
    let mut output = String::new();
    found.iter().for_each(|line| writeln!(output, "{line}").unwrap());
    assert!(found.is_empty(), "\n{output}");
}

/// What one module of a layer uses of another: both modules, and the place.
type Uses = Vec<(String, String, String)>;

/// Removes what no circle contains.
fn circles(mut uses: Uses) -> Uses {
    loop {
        let using: BTreeSet<String> = uses.iter().map(|(from, ..)| from.clone()).collect();
        let before = uses.len();
        uses.retain(|(_, to, _)| using.contains(to));
        if uses.len() == before {
            return uses;
        }
    }
}

#[test]
fn modules_of_some_layers_use_one_another_in_one_direction() {
    let floors = floors(&read(&root().join("lib.rs")));
    for floor in WITHOUT_CIRCLES {
        // Its modules and what it takes from them; each stands for the module.
        let (mut named, mut modules) = (Vec::new(), BTreeMap::new());
        walk(&floors, |module, file, search| match module {
            [top] if top == floor => {
                modules = search.taken.clone();
                modules.extend(search.files.iter().map(|(child, _)| (child[1].clone(), child[1].clone())));
            }
            [top, own, ..] if top == floor => {
                let named_here = search.inside.iter().map(|(path, line)| (path.clone(), format!("{file}:{line}")));
                named.extend(named_here.map(|(path, place)| (own.clone(), path, place)));
            }
            _ => {}
        });
        let mut uses = Uses::new();
        for (own, path, place) in named {
            match path.get(1).and_then(|name| modules.get(name)) {
                Some(module) if *module == own => {}
                Some(module) => uses.push((own, module.clone(), place)),
                // What the layer's root contains itself may use all of its modules.
                None => uses.extend([(own.clone(), path[0].clone(), place), (path[0].clone(), own, String::new())]),
            }
        }
        let found = circles(uses);
        assert!(found.is_empty(), "in a circle of `{floor}`, or leading to one: {found:#?}");
    }
}

#[test]
fn a_circle_is_found_and_a_chain_is_not() {
    let uses = |pairs: &[(&str, &str)]| -> Uses {
        pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned(), String::new())).collect()
    };
    assert_eq!(circles(uses(&[("a", "b"), ("b", "c"), ("a", "c")])), []);
    let found = circles(uses(&[("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")]));
    assert_eq!(found, uses(&[("a", "b"), ("b", "c"), ("c", "b")]));
}

#[test]
fn every_exception_names_modules_that_exist() {
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

/// What the search reports about this code in `storage::fs::content`.
fn planted(code: &str) -> Vec<String> {
    let module = ["storage", "fs", "content"].map(str::to_owned);
    search(&floors(TABLE), &module, "f", code).found
}

#[test]
fn a_planted_violation_is_found_in_every_form() {
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
fn allowed_imports_are_not_reported() {
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
fn importing_a_module_of_the_same_layer_is_a_violation() {
    let floors = floors(TABLE);
    let module = ["files".to_owned()];
    let found = search(&floors, &module, "f", "use crate::oci::Digest;").found;
    assert_eq!(found, ["f:1: `files` (floor 0) names `crate::oci::Digest` (floor 0): look down only"]);
    assert_eq!(search(&floors, &["main".to_owned()], "f", "use wharfinger::registry;").found, [""; 0]);
}
