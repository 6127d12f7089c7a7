//! The reference and the example files match the tables of variables and settings, in both directions.
//!
//! After a change to a table, `cargo test --test docs -- --ignored` writes the generated parts.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]

mod blocks;
mod commands;
mod endpoints;
mod links;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use wharfinger::config::{Env, KEYS, LISTS, Live, VARS};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn variables() -> String {
    let mut out = String::new();
    let mut section = "";
    for var in VARS {
        if var.section != section {
            section = var.section;
            write!(
                out,
                "\n### {section}\n\n| Variable | Flag | Default | Meaning | Applies by |\n|---|---|---|---|---|\n"
            )
            .unwrap();
        }
        let default = var.default.map_or("not set".into(), |default| format!("`{default}`"));
        let (name, flag, takes) = (var.name, var.flag, cell(var.takes));
        let (help, applies) = (cell(var.help), var.applies.word());
        let flag = if var.is_secret() { "none".to_owned() } else { format!("`--{flag} {takes}`") };
        writeln!(out, "| `{name}` | {flag} | {default} | {help} | {applies} |").unwrap();
    }
    out + "\n"
}

fn settings() -> String {
    let mut out = String::new();
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            write!(
                out,
                "\n### `[{section}]`\n\n| Key | Default | Range | Meaning | Applies by |\n|---|---|---|---|---|\n"
            )
            .unwrap();
        }
        let locked = key.locked_by.map_or(String::new(), |name| format!(" Locked by `{name}`."));
        let (name, default, range) = (key.key, key.default, key.range());
        let (help, applies) = (cell(key.help), key.applies.word());
        writeln!(out, "| `{name}` | `{default}` | {range} | {help}{locked} | {applies} |").unwrap();
    }
    out + "\n"
}

fn lists() -> String {
    let mut out = String::new();
    for list in LISTS {
        let head = "| Key | Example | Range | Meaning | Applies by |\n|---|---|---|---|---|\n";
        write!(out, "\n### `[[{}]]`\n\n{}\n\n{head}", list.section, list.help).unwrap();
        for key in list.keys {
            let required = if key.required { " Required." } else { "" };
            let (name, example, range, help) = (key.key, cell(key.example), key.range(), cell(key.help));
            writeln!(out, "| `{name}` | `{example}` | {range} | {help}{required} | reload |").unwrap();
        }
    }
    out + "\n"
}

/// The heading of the part of the example without defaults.
const NO_DEFAULTS: &str = "# --- Tables that may be repeated. Without them, nothing is deleted automatically, every tag can be moved, and nothing is mirrored. ---\n";

fn settings_example() -> String {
    let mut out = String::from(
        "# Settings of the registry: set REGISTRY_SETTINGS to the path of such a file.\n\
         # Every key is listed with its default. docs/configuration.md has the ranges.\n",
    );
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            write!(out, "\n[{section}]\n").unwrap();
        }
        write!(out, "# {}\n#{} = {}\n", key.help, key.key, key.default).unwrap();
    }
    write!(out, "\n{NO_DEFAULTS}").unwrap();
    for list in LISTS {
        write!(out, "\n# {}\n#[[{}]]\n", list.help, list.section).unwrap();
        for key in list.keys {
            write!(out, "# {}\n#{} = {}\n", key.help, key.key, key.example).unwrap();
        }
    }
    out
}

fn env_example() -> String {
    let mut out = String::from(
        "# Copy this to .env, which is read from the current directory at startup. Environment variables and flags\n\
         # override it. Every variable is listed with its default, or with an example if it has none.\n",
    );
    let mut section = "";
    for var in VARS {
        if var.section != section {
            section = var.section;
            write!(out, "\n# --- {section} ---\n").unwrap();
        }
        write!(out, "# {}\n#{}={}\n", var.help, var.name, var.default.unwrap_or(var.example)).unwrap();
    }
    out
}

/// The generated files and parts: file, marker (`None` for the whole file), text.
fn generated() -> [(&'static str, Option<&'static str>, String); 5] {
    [
        ("docs/configuration.md", Some("variables"), variables()),
        ("docs/configuration.md", Some("settings"), settings()),
        ("docs/configuration.md", Some("lists"), lists()),
        ("settings.example.toml", None, settings_example()),
        (".env.example", None, env_example()),
    ]
}

/// Splits a file at its markers, into before, between and after.
fn around<'a>(text: &'a str, mark: &str) -> (&'a str, &'a str, &'a str) {
    let (begin, end) = (format!("<!-- begin {mark} -->\n"), format!("<!-- end {mark} -->"));
    let start = text.find(&begin).expect("begin mark") + begin.len();
    let stop = text.find(&end).expect("end mark");
    (&text[..start], &text[start..stop], &text[stop..])
}

#[test]
fn the_reference_and_the_examples_match_the_tables() {
    for (file, mark, expected) in generated() {
        let text = read(file);
        let actual = mark.map_or(text.as_str(), |mark| around(&text, mark).1);
        assert!(
            actual == expected,
            "{file} is out of date; `cargo test --test docs -- --ignored` writes it. Expected:\n{expected}"
        );
    }
}

#[test]
#[ignore = "writes the generated parts of the documentation"]
fn write_the_generated_parts() {
    for (file, mark, expected) in generated() {
        let text = mark.map_or(expected.clone(), |mark| {
            let old = read(file);
            let (before, _, after) = around(&old, mark);
            format!("{before}{expected}{after}")
        });
        std::fs::write(root().join(file), text).unwrap();
    }
}

#[test]
fn the_prose_of_the_reference_names_only_what_exists() {
    let text = read("docs/configuration.md");
    let prose = text.replace(around(&text, "variables").1, "");
    let others = around(&prose, "names of others").1;
    let prose = prose.replace(others, "");
    for word in prose.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
        if word.starts_with("REGISTRY_") && word.len() > "REGISTRY_".len() {
            assert!(VARS.iter().any(|var| var.name == word), "{word} is not a variable");
        }
    }
}

/// Removes the comment sign of assignments (`#name`), but not of prose (`# text`).
fn uncommented(text: &str) -> String {
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '[') => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn the_example_settings_are_the_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let text = read("settings.example.toml");
    let text = uncommented(text.split_once(NO_DEFAULTS).unwrap().0);
    assert_eq!(text.matches(" = ").count(), KEYS.len());
    let path = write(dir.path(), "settings.toml", &text);
    let (env, _) = Env::load([], None, [("REGISTRY_SETTINGS", path.into())]).unwrap();
    let (live, warnings) = Live::load(&env).unwrap();
    let settings = |live: &Live| {
        let Live { registry, operator, token_lives, limits, log_level, poll, .. } = live;
        format!("{registry:?} {operator:?} {token_lives:?} {limits:?} {log_level:?} {poll:?}")
    };
    assert_eq!(settings(&live), settings(&Live::default()));
    assert_eq!(warnings, []);
}

#[test]
fn the_example_has_one_of_each_table_that_may_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let text = read("settings.example.toml");
    let text = uncommented(text.split_once(NO_DEFAULTS).unwrap().1);
    let path = write(dir.path(), "settings.toml", &text);
    let (env, _) = Env::load([], None, [("REGISTRY_SETTINGS", path.into())]).unwrap();
    let (live, _) = Live::load(&env).unwrap();
    assert_eq!((live.registry.retention.len(), live.registry.immutable.len()), (1, 1));
    let output = format!("{:?}", live.registry);
    assert!(!format!("{:?}", live.registry.retention).contains("None"), "some key has no effect: {output}");
}

#[test]
fn the_example_environment_loads() {
    let dir = tempfile::tempdir().unwrap();
    // The rules file is read only if rules are enabled.
    let text = uncommented(&read(".env.example")).replace("_ENABLED=false", "_ENABLED=true");
    let path = write(dir.path(), "all.env", &text);
    let (env, _) = Env::load([], Some(&path), []).unwrap();
    let given = VARS.iter().filter(|var| env.is_given(var.name)).count();
    assert_eq!(given, VARS.len());
}

/// Every page for users, by its path.
fn pages() -> Vec<(String, String)> {
    let mut pages: Vec<String> =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"].map(Into::into).into();
    for dir in ["docs", "docs/coming-from"] {
        let names = std::fs::read_dir(root().join(dir)).unwrap().map(|entry| entry.unwrap().file_name());
        pages.extend(names.filter_map(|name| Some(format!("{dir}/{}", name.to_str()?))));
    }
    pages.retain(|page| page.ends_with(".md") && root().join(page).is_file());
    pages.into_iter().map(|page| (page.clone(), read(&page))).collect()
}

/// A page without the first cell of each row of its tables, where the pages of other registries have their names.
fn ours_only(page: &str, text: &str) -> String {
    let ours = |line: &str| match line.strip_prefix("| ").and_then(|row| row.split_once(" | ")) {
        Some((_, rest)) if page.starts_with("docs/coming-from/") => rest.to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(ours).collect::<Vec<_>>().join("\n")
}

/// The code spans of a page, without its blocks of code.
fn spans(text: &str) -> Vec<String> {
    let prose = text.split("```").step_by(2).collect::<String>();
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn no_page_names_a_variable_or_setting_that_does_not_exist() {
    let listed = LISTS.iter().flat_map(|list| list.keys.iter().map(|key| (list.section, key.key)));
    let names: Vec<(&str, &str)> = KEYS.iter().map(|key| (key.section, key.key)).chain(listed).collect();
    // configuration.md lists variables of other programs on purpose.
    for (page, text) in pages().iter().filter(|(page, _)| page != "docs/configuration.md") {
        let text = ours_only(page, text);
        let is_of_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        for name in text.split(|c| !is_of_name(c)).filter(|word| word.starts_with("REGISTRY_")) {
            // podman's own, which our client reads.
            let is_podmans = page == "docs/wharf.md" && name == "REGISTRY_AUTH_FILE";
            assert!(is_podmans || VARS.iter().any(|var| var.name == name), "{page}: {name}");
        }
        for code in spans(&text) {
            let Some((section, key)) =
                code.split_once('.').filter(|(section, _)| names.iter().any(|(known, _)| known == section))
            else {
                continue;
            };
            assert!(names.contains(&(section, key)), "{page}: {code}");
        }
    }
}

/// The names of all tests, and of other functions in the same files.
fn functions() -> std::collections::BTreeSet<String> {
    let mut names = std::collections::BTreeSet::new();
    let mut dirs = ["src", "crates", "tests"].map(|dir| root().join(dir)).to_vec();
    while let Some(dir) = dirs.pop() {
        for path in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            match path.extension() {
                _ if path.is_dir() => dirs.push(path),
                Some(extension) if extension == "rs" => {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let named = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
                    names.extend(named.map(str::to_owned));
                }
                _ => {}
            }
        }
    }
    names
}

#[test]
fn the_security_page_has_every_limit_with_its_default_and_a_test_that_exists() {
    let (page, functions) = (read("docs/security.md"), functions());
    let (_, text) = page.split_once("## Promises").unwrap();
    let rows = || text.lines().filter(|line| line.starts_with("| ")).map(|line| line.split(" | ").collect::<Vec<_>>());
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    for row in rows().filter(|row| !row.last().unwrap().starts_with("Tested by")) {
        let tests = quoted(row.last().unwrap());
        assert!(!tests.is_empty(), "{row:?} names no test");
        for test in tests {
            assert!(functions.contains(&test), "{row:?}: the test {test} does not exist");
        }
    }
    let limits = |help: &str| ["Most ", "Largest ", "Longest ", "Deepest "].iter().any(|word| help.starts_with(word));
    let of_upkeep = ["collection", "scrub"];
    for key in KEYS.iter().filter(|key| limits(key.help) && !of_upkeep.contains(&key.section)) {
        let named = rows().find(|row| row.len() == 4 && quoted(row[1]) == [key.name()]);
        let row = named.unwrap_or_else(|| panic!("docs/security.md lacks the limit {}", key.name()));
        assert_eq!(quoted(row[2]), [key.default], "{}", key.name());
    }
    for row in rows().filter(|row| row.len() == 4 && row[1].contains('.')) {
        let name = quoted(row[1]).remove(0);
        let key =
            KEYS.iter().find(|key| key.name() == name).unwrap_or_else(|| panic!("the setting {name} does not exist"));
        assert_eq!(quoted(row[2]), [key.default], "{name}");
    }
}

/// The keys that an object of the rules may have, from the error about an unknown one.
fn keys_known(text: &str) -> Vec<String> {
    let problems = wharfinger::access::Policy::parse(text).unwrap_err();
    let message = &problems[0].message;
    let (_, known) = message.split_once("known keys: ").unwrap_or_else(|| panic!("{message}"));
    known.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_reference_lists_every_key_of_the_rules() {
    let text = read("docs/configuration.md");
    let rows = around(&text, "rules").1.lines().filter_map(|line| line.strip_prefix("| `"));
    let output: std::collections::BTreeSet<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    let objects = [
        ("", r#"{"unknown": 1}"#),
        ("rules[].", r#"{"rules": [{"unknown": 1}]}"#),
        ("groups.*.", r#"{"groups": {"g": {"unknown": 1}}}"#),
        ("roles.*.", r#"{"roles": {"r": {"unknown": 1}}}"#),
    ];
    let known =
        objects.iter().flat_map(|(place, text)| keys_known(text).into_iter().map(move |key| format!("{place}{key}")));
    let known: Vec<String> = known.collect();
    assert_eq!(output, known.iter().map(String::as_str).collect());
}
