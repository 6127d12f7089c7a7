//! The name of a type is unique: a stranger finds it with one search.

use super::{
    files_below, read,
    search::{attributes, is_for_tests},
};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use syn::{Ident, Item, visit, visit::Visit};

/// Names that several types have, and why.
const SHARED: &[(&str, &str)] = &[
    ("Kernel", "one type of files::system for Linux and one for other systems; only one is compiled"),
    ("Objects", "one is private to the reader of JSON, the other is what a store of objects can do"),
    ("Result", "a module's alias of std's, with the module's own error"),
];

/// Crates that only tests use.
const FOR_TESTS: &[&str] = &["fuzz-cases", "testing"];

/// The types of one file, without those for tests.
#[derive(Default)]
struct Types {
    /// Name and line.
    found: Vec<(String, usize)>,
    /// `mod name;` lines of modules for tests.
    modules_for_tests: Vec<String>,
}

impl<'ast> Visit<'ast> for Types {
    fn visit_item(&mut self, item: &'ast Item) {
        let mut add = |name: &Ident| self.found.push((name.to_string(), name.span().start().line));
        match item {
            Item::Mod(module) if module.content.is_none() && is_for_tests(&module.attrs) => {
                self.modules_for_tests.push(module.ident.to_string());
            }
            _ if is_for_tests(attributes(item)) => return,
            Item::Struct(item) => add(&item.ident),
            Item::Enum(item) => add(&item.ident),
            Item::Trait(item) => add(&item.ident),
            Item::Type(item) => add(&item.ident),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }
}

fn types_of(text: &str, shown: &Path) -> Types {
    let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{}: {error}", shown.display()));
    let mut types = Types::default();
    types.visit_file(&parsed);
    types
}

/// Where each name is defined below `dirs`.
fn definitions(dirs: &[PathBuf]) -> BTreeMap<String, Vec<String>> {
    let mut files = BTreeMap::new();
    let mut for_tests = Vec::new();
    for path in dirs.iter().flat_map(|dir| files_below(dir).into_iter().map(move |file| dir.join(file))) {
        let types = types_of(&read(&path), &path);
        let dir = match path.file_name().and_then(|name| name.to_str()) {
            Some("mod.rs" | "lib.rs" | "main.rs") => path.parent().unwrap().to_owned(),
            _ => path.with_extension(""),
        };
        for_tests.extend(types.modules_for_tests.iter().map(|module| dir.join(module)));
        files.insert(path, types.found);
    }
    let mut definitions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, types) in files {
        if for_tests.iter().any(|module| path.with_extension("").starts_with(module)) {
            continue;
        }
        let shown = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap();
        for (name, line) in types {
            definitions.entry(name).or_default().push(format!("{}:{line}", shown.display()));
        }
    }
    definitions
}

#[test]
fn each_type_has_a_name_of_its_own() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut dirs: Vec<_> = ["src", "benches", "examples", "models/src"].map(|dir| workspace.join(dir)).into();
    for entry in std::fs::read_dir(workspace.join("crates")).unwrap() {
        let entry = entry.unwrap();
        if !FOR_TESTS.iter().any(|name| entry.file_name() == *name) {
            dirs.push(entry.path().join("src"));
        }
    }
    let mut shared = String::new();
    for (name, places) in definitions(&dirs) {
        if places.len() > 1 && !SHARED.iter().any(|(known, _)| *known == name) {
            writeln!(shared, "`{name}`: {}", places.join(", ")).unwrap();
        }
    }
    assert!(
        shared.is_empty(),
        "A name must lead to one type. Rename all but one of these to say what they are (`Page` of storage is \
         `ListingPage`):\n{shared}"
    );
}

#[test]
fn types_for_tests_may_share_names() {
    let text = "struct A; mod b { enum B {} } fn f() { trait C {} }
        #[cfg(test)] mod tests { struct D; }
        #[cfg(test)] mod more;
        impl A { #[cfg(test)] fn g() { struct E; } }
        impl Iterator for A { type Item = u8; }";
    let types = types_of(text, Path::new("text"));
    let names: Vec<&str> = types.found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["A", "B", "C"]);
    assert_eq!(types.modules_for_tests, ["more"]);
}
