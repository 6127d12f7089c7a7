//! Finds the modules that a module's code names: in paths, in `use`, and in the tokens of macros.

use super::{ABOVE_ALL, CRATE, EXCEPTIONS, Floors};
use proc_macro2::{TokenStream, TokenTree};
use std::collections::BTreeMap;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, Meta, UseTree};

/// One module's code while it is searched.
pub(super) struct Search<'a> {
    floors: &'a Floors,
    /// The module of the code, from the crate's root.
    module: Vec<String>,
    file: &'a str,
    pub(super) found: Vec<String>,
    /// The `mod name;` lines found: the module, and whether it is only for tests.
    pub(super) files: Vec<(Vec<String>, bool)>,
    /// Paths that lead to the same floor, from the crate's root, and their lines.
    pub(super) inside: Vec<(Vec<String>, usize)>,
    /// The names that a floor takes from its modules, and from which.
    pub(super) taken: BTreeMap<String, String>,
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
            self.inside.push((absolute, line));
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

    fn take(&mut self, tree: &UseTree, module: &str) {
        match tree {
            UseTree::Path(path) => self.take(&path.tree, module),
            UseTree::Name(name) => drop(self.taken.insert(name.ident.to_string(), module.to_owned())),
            UseTree::Rename(rename) => drop(self.taken.insert(rename.rename.to_string(), module.to_owned())),
            UseTree::Group(group) => group.items.iter().for_each(|item| self.take(item, module)),
            UseTree::Glob(_) => {}
        }
    }

    fn use_tree(&mut self, tree: &UseTree, before: &[String], line: usize) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.use_tree(&path.tree, &with(&path.ident), line),
            UseTree::Name(name) => self.check(&with(&name.ident), line),
            UseTree::Rename(rename) => self.check(&with(&rename.ident), line),
            // A glob names the module itself.
            UseTree::Glob(_) => self.check(before, line),
            UseTree::Group(group) => group.items.iter().for_each(|item| self.use_tree(item, before, line)),
        }
    }

    /// Paths in the tokens of a macro: `crate::a::b`, `super::super::a`; and in those of an attribute also strings, such
    /// as `with = "crate::a"`.
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

    /// Checks a path of tokens at its end. A single word (`self`, `crate` in `pub(crate)`) names no module.
    fn finish(&mut self, path: &mut Vec<String>, line: usize) {
        if path.len() > 1 {
            self.check(path, line);
        }
        path.clear();
    }
}

pub(super) fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string();
            condition == "test" || condition.replace(' ', "").starts_with("all(test,")
        }
        meta => meta.path().is_ident("test"),
    })
}

pub(super) fn attributes(item: &Item) -> &[Attribute] {
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
                self.report(it.ident.span().start().line, "a second name for the crate hides what code uses");
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
        if let ([_], UseTree::Path(path)) = (self.module.as_slice(), &item.tree) {
            self.take(&path.tree, &path.ident.to_string());
        }
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

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {
        // `pub(in crate::a)` uses nothing of `a`.
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
pub(super) fn search<'a>(floors: &'a Floors, module: &[String], file: &'a str, text: &str) -> Search<'a> {
    let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
    let (found, files, inside, taken) = Default::default();
    let mut search = Search { floors, module: module.to_vec(), file, found, files, inside, taken };
    search.visit_file(&parsed);
    search
}
