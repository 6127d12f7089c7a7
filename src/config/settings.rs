//! Reads `settings.toml` into a generation; the keys themselves are in [`super::key_table`].
//!
//! The file is walked as a tree with positions rather than deserialised into structs: so all
//! problems are found in one go, each with its line, and the reference comes from the same table.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::env::Env;
use super::key_table::KEYS;
use super::keys::Key;
use super::live::Live;
use super::names;
use super::problems::{Problem, Problems, Warning};

/// Applies the text of a settings file to `live`; keys that the environment also sets are only checked.
pub(super) fn apply(
    path: &Path,
    text: &str,
    env: &Env,
    live: &mut Live,
    problems: &mut Problems,
    warnings: &mut Vec<Warning>,
) {
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let problem = Problem::of_file(path, error.message());
        problems.push(match error.span() {
            Some(span) => problem.at_line(line(text, &span)),
            None => problem,
        });
    }
    // What follows a syntax error is guesswork; its problems would mislead.
    if !errors.is_empty() {
        return;
    }
    let place = |span: Range<usize>, key: String, message: String| {
        Problem::of_file(path, message).at_line(line(text, &span)).at_key(key)
    };
    for (section, value) in in_order(root.get_ref()) {
        let name = section.get_ref().as_ref();
        let DeValue::Table(table) = value.get_ref() else {
            let message = unknown_section(name).unwrap_or_else(|| "must be a table, written [section]".into());
            problems.push(place(section.span(), name.into(), message));
            continue;
        };
        if let Some(message) = unknown_section(name) {
            problems.push(place(section.span(), name.into(), message));
            continue;
        }
        for (key, value) in in_order(table) {
            let full = format!("{name}.{}", key.get_ref());
            let Some(row) = KEYS.iter().find(|row| row.name() == full) else {
                problems.push(place(key.span(), full, unknown_key(name, key.get_ref())));
                continue;
            };
            let winner = row.locked_by.filter(|variable| env.is_given(variable));
            // A locked key must still be valid: it comes into force when the variable goes away.
            let mut unused = Live::default();
            let target = if winner.is_some() { &mut unused } else { &mut *live };
            match set(row, target, value.get_ref()) {
                Err(message) => problems.push(place(value.span(), full, message)),
                Ok(()) => {
                    warnings.extend(winner.map(|variable| {
                        Warning(place(key.span(), full, format!("locked: {variable} is set and wins")))
                    }))
                }
            }
        }
    }
}

fn set(row: &Key, live: &mut Live, value: &DeValue<'_>) -> Result<(), String> {
    match value {
        DeValue::String(text) => row.set_text(live, text),
        DeValue::Integer(integer) => match u64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => row.set_number(live, number),
            Err(_) => Err(format!("{integer} is not in the range {}", row.range())),
        },
        DeValue::Boolean(on) => row.set_switch(live, *on),
        other => Err(format!("must be {}, not of type {}", row.range(), other.type_str())),
    }
}

/// Entries as they stand in the file, so that problems come in the order of its lines.
fn in_order<'a, 'i>(table: &'a DeTable<'i>) -> Vec<(&'a Spanned<toml::de::DeString<'i>>, &'a Spanned<DeValue<'i>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// The line of a position, from 1.
fn line(text: &str, span: &Range<usize>) -> usize {
    let before = text.as_bytes().iter().take(span.start);
    before.filter(|byte| **byte == b'\n').count() + 1
}

fn unknown_section(name: &str) -> Option<String> {
    if KEYS.iter().any(|row| row.section == name) {
        return None;
    }
    if let Some(row) = KEYS.iter().find(|row| row.key == name) {
        return Some(format!("belongs under [{}]", row.section));
    }
    let close = KEYS.iter().min_by_key(|row| names::distance(row.section, name));
    let close = close.filter(|row| names::distance(row.section, name) <= 2);
    Some(match close {
        Some(row) => format!("is not a section; did you mean [{}]?", row.section),
        None => "is not a section".into(),
    })
}

fn unknown_key(section: &str, key: &str) -> String {
    let here = || KEYS.iter().filter(|row| row.section == section);
    if let Some(row) = here().find(|row| names::distance(row.key, key) <= 2) {
        return format!("is not a setting; did you mean {}?", row.key);
    }
    if let Some(row) = KEYS.iter().find(|row| row.key == key) {
        return format!("is not a setting here; it belongs under [{}]", row.section);
    }
    let known: Vec<_> = here().map(|row| row.key).collect();
    format!("is not a setting; [{section}] has {}", known.join(", "))
}
