//! Modules look down only: nothing under `src/` names a floor above its own, or a neighbour on it.
//!
//! The floors are read from the table at the top of `src/lib.rs`. Code for tests is exempt.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, Meta, UseTree};

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

/// One module's code while it is searched.
struct Search<'a> {
    floors: &'a Floors,
    /// The module the code stands in, from the crate's root.
    module: Vec<String>,
    file: &'a str,
    found: Vec<String>,
    /// `mod name;` lines met: the module, and whether it is for tests only.
    files: Vec<(Vec<String>, bool)>,
}

impl Search<'_> {
    fn report(&mut self, line: usize, what: &str) {
        self.found.push(format!("{}:{line}: {what}", self.file));
    }

    /// The path from the crate's root; `None` where it starts at something local or foreign.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        let mut base = match first.as_str() {
            "crate" | "$crate" | CRATE => Vec::new(),
            "self" | "super" => self.module.clone(),
            _ => return None,
        };
        let mut rest = rest;
        if first == "super" {
            base.pop();
        }
        while let Some((next, after)) = rest.split_first().filter(|(next, _)| *next == "super" || *next == "self") {
            if next == "super" {
                base.pop();
            }
            rest = after;
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    fn check(&mut self, path: &[String], line: usize) {
        // The root only lists the floors.
        let Some(own) = self.module.first().cloned() else { return };
        let Some(absolute) = self.absolute(path) else { return };
        let shown = path.join("::");
        let Some(other) = absolute.first() else {
            return self.report(line, &format!("`{shown}` names the whole crate; name the floor that is meant"));
        };
        if *other == own {
            return;
        }
        let own_floor = if own == "main" { ABOVE_ALL } else { self.floors[&own] };
        match self.floors.get(other) {
            None => self.report(line, &format!("`{shown}` is on no floor of the table in src/lib.rs")),
            Some(floor) if *floor < own_floor => {}
            Some(_) if EXCEPTIONS.iter().any(|(from, to, _)| *from == own && to == other) => {}
            Some(floor) => {
                self.report(
                    line,
                    &format!("`{own}` (floor {own_floor}) names `{shown}` (floor {floor}): look down only"),
                );
            }
        }
    }

    fn use_tree(&mut self, tree: &UseTree, before: &[String], line: usize) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.use_tree(&path.tree, &with(&path.ident), line),
            UseTree::Name(name) => self.check(&with(&name.ident), line),
            UseTree::Rename(rename) => self.check(&with(&rename.ident), line),
            // All of a module's names: the module itself.
            UseTree::Glob(_) => self.check(before, line),
            UseTree::Group(group) => group.items.iter().for_each(|item| self.use_tree(item, before, line)),
        }
    }

    /// Paths in what a macro is given: `crate::a::b`, `super::super::a`, and texts such as
    /// `with = "crate::a"` if they are those of an attribute.
    fn tokens(&mut self, tokens: &TokenStream, texts: bool) {
        let mut path: Vec<String> = Vec::new();
        let (mut line, mut colons) = (0, 0);
        for token in tokens.clone() {
            match &token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.finish(&mut path, line);
                    }
                    line = ident.span().start().line;
                    path.push(ident.to_string());
                    colons = 0;
                    continue;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && colons < 2 => {
                    colons += 1;
                    continue;
                }
                // `crate::{a, b}`
                TokenTree::Group(group) if colons == 2 => {
                    for name in group.stream().into_iter().filter_map(|t| match t {
                        TokenTree::Ident(ident) => Some(ident.to_string()),
                        _ => None,
                    }) {
                        self.finish(&mut [path.as_slice(), &[name]].concat(), line);
                    }
                    path.clear();
                }
                TokenTree::Group(group) => {
                    self.finish(&mut path, line);
                    self.tokens(&group.stream(), texts);
                }
                TokenTree::Literal(literal) if texts => {
                    let text = literal.to_string();
                    let names = text.trim_matches('"').split("::").map(str::to_owned).collect::<Vec<_>>();
                    if names.len() > 1 {
                        self.check(&names, literal.span().start().line);
                    }
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            self.finish(&mut path, line);
            colons = 0;
        }
        self.finish(&mut path, line);
    }

    /// A path of tokens has ended. One word alone (`self`, `crate` in `pub(crate)`) says nothing.
    fn finish(&mut self, path: &mut Vec<String>, line: usize) {
        if path.len() > 1 {
            self.check(path, line);
        }
        path.clear();
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string();
            condition == "test" || condition.replace(' ', "").starts_with("all(test,")
        }
        meta => meta.path().is_ident("test"),
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

impl<'ast> Visit<'ast> for Search<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Mod(module) if module.content.is_none() => {
                let name = [self.module.as_slice(), &[module.ident.to_string()]].concat();
                self.files.push((name, is_for_tests(&module.attrs)));
                visit::visit_item(self, item);
            }
            _ if is_for_tests(attributes(item)) => {}
            Item::Mod(module) => {
                self.module.push(module.ident.to_string());
                visit::visit_item(self, item);
                self.module.pop();
            }
            Item::ExternCrate(it) if it.ident == "self" => {
                self.report(it.ident.span().start().line, "a second name for the crate hides what is named");
            }
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let line = item.use_token.span.start().line;
        self.use_tree(&item.tree, &[], line);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        // `self` and `crate` alone are a receiver, a visibility.
        if names.len() > 1 {
            let line = path.segments[0].ident.span().start().line;
            self.check(&names, line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        if mac.path.segments.last().is_some_and(|name| name.ident == "include") {
            let line = mac.bang_token.span.start().line;
            self.report(line, "included code is not seen by this search; make it a module");
        }
        self.tokens(&mac.tokens, false);
        visit::visit_macro(self, mac);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if attribute.path().is_ident("path") {
            let line = attribute.pound_token.span.start().line;
            self.report(line, "a module elsewhere than its name says is not found by this search");
        }
        if let Meta::List(list) = &attribute.meta {
            self.tokens(&list.tokens, true);
        }
    }
}

/// Searches one file's text as the code of a module.
fn search<'a>(floors: &'a Floors, module: &[String], file: &'a str, text: &str) -> Search<'a> {
    let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
    let mut search = Search { floors, module: module.to_vec(), file, found: Vec::new(), files: Vec::new() };
    search.visit_file(&parsed);
    search
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
