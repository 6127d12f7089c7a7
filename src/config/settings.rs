//! Reads `settings.toml` into a generation; the keys are in [`super::key_table`] and [`super::list_table`].
//!
//! The file is traversed as a tree with positions rather than deserialized into structs, so that all problems are found
//! at once, each with its line, and the reference is generated from the same table.

use std::ops::Range;
use std::path::Path;

use strsim::osa_distance;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::env::Env;
use super::key_table::KEYS;
use super::keys::SettingKey;
use super::list_table::{Draft, LISTS, ListKey, ListTable};
use super::live::Live;
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
    // Problems found after a syntax error would mislead.
    if !errors.is_empty() {
        return;
    }
    let place = |span: Range<usize>, key: String, message: String| {
        Problem::of_file(path, message).at_line(line(text, &span)).at_key(key)
    };
    for (section, value) in in_order(root.get_ref()) {
        let name = section.get_ref().as_ref();
        if let Some(list) = LISTS.iter().find(|list| list.section == name) {
            read_list(list, value, live, &mut |span, key, message| problems.push(place(span, key, message)));
            continue;
        }
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
            // An overridden key must still be valid: it applies once the variable is unset.
            let mut unused = Live::default();
            let target = if winner.is_some() { &mut unused } else { &mut *live };
            match set(row, target, value.get_ref()) {
                Err(message) => problems.push(place(value.span(), full, message)),
                Ok(()) => warnings.extend(winner.map(|variable| {
                    Warning(place(key.span(), full, format!("locked: {variable} is set and takes precedence")))
                })),
            }
        }
    }
}

/// Reads the tables of a list. A table with a problem is not added.
fn read_list(
    list: &ListTable,
    value: &Spanned<DeValue<'_>>,
    live: &mut Live,
    wrong: &mut dyn FnMut(Range<usize>, String, String),
) {
    let section = list.section;
    let DeValue::Array(tables) = value.get_ref() else {
        wrong(value.span(), section.into(), format!("must be a list of tables, each written [[{section}]]"));
        return;
    };
    for (i, item) in tables.iter().enumerate() {
        let full = |key: &str| format!("{section}[{i}].{key}");
        let DeValue::Table(table) = item.get_ref() else {
            wrong(item.span(), format!("{section}[{i}]"), format!("must be a table, written [[{section}]]"));
            continue;
        };
        let (mut draft, mut good) = (Draft::default(), true);
        for (key, value) in in_order(table) {
            let name = key.get_ref().as_ref();
            let read = match list.keys.iter().find(|row| row.key == name) {
                None => Err((key.span(), unknown_item_key(list, name))),
                Some(row) => set_item(row, &mut draft, value).map_err(|message| (value.span(), message)),
            };
            if let Err((span, message)) = read {
                wrong(span, full(name), message);
                good = false;
            }
        }
        for row in list.keys.iter().filter(|row| row.required && !table.contains_key(row.key)) {
            wrong(item.span(), full(row.key), format!("is missing: it must be {}", row.wanted()));
            good = false;
        }
        if good {
            (list.add)(live, draft);
        }
    }
}

fn set_item(row: &ListKey, draft: &mut Draft, value: &Spanned<DeValue<'_>>) -> Result<(), String> {
    let wrong_type = |other: &DeValue<'_>| format!("must be {}, not {}", row.wanted(), a_type(other));
    match value.get_ref() {
        DeValue::String(text) => row.set_text(draft, text),
        DeValue::Integer(integer) => match u64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => row.set_number(draft, number),
            Err(_) => Err(format!("{integer} is not in the range {}", row.range())),
        },
        DeValue::Boolean(on) => row.set_switch(draft, *on),
        DeValue::Array(items) => {
            let texts = items.iter().map(|item| match item.get_ref() {
                DeValue::String(text) => Ok(text.as_ref()),
                other => Err(wrong_type(other)),
            });
            row.set_array(draft, &texts.collect::<Result<Vec<_>, _>>()?)
        }
        other => Err(wrong_type(other)),
    }
}

fn set(row: &SettingKey, live: &mut Live, value: &DeValue<'_>) -> Result<(), String> {
    match value {
        DeValue::String(text) => row.set_text(live, text),
        DeValue::Integer(integer) => match u64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => row.set_number(live, number),
            Err(_) => Err(format!("{integer} is not in the range {}", row.range())),
        },
        DeValue::Boolean(on) => row.set_switch(live, *on),
        DeValue::Array(items) if row.takes_list() => {
            let texts = items.iter().map(|item| match item.get_ref() {
                DeValue::String(text) => Ok(text.as_ref()),
                other => Err(format!("must hold only strings, not {}", a_type(other))),
            });
            row.set_list(live, &texts.collect::<Result<Vec<_>, _>>()?)
        }
        other => Err(format!("must be {}, not {}", row.wanted(), a_type(other))),
    }
}

/// The type of a value, for people.
fn a_type(value: &DeValue<'_>) -> String {
    let word = value.type_str();
    let article = if word.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {word}")
}

/// Entries in file order, so that problems are reported in the order of their lines.
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
    let sections = KEYS.iter().map(|row| (row.section, format!("[{}]", row.section)));
    let sections = sections.chain(LISTS.iter().map(|list| (list.section, format!("[[{}]]", list.section))));
    let close = sections.map(|(section, written)| (osa_distance(section, name), written));
    Some(match close.min_by_key(|(far, _)| *far) {
        Some((far, written)) if far <= 2 => format!("is not a section; did you mean {written}?"),
        _ => "is not a section".into(),
    })
}

fn unknown_item_key(list: &ListTable, key: &str) -> String {
    let close = list.keys.iter().map(|row| (osa_distance(row.key, key), row.key)).min();
    if let Some((_, close)) = close.filter(|(far, _)| *far <= 2) {
        return format!("is not a setting; did you mean {close}?");
    }
    let known: Vec<_> = list.keys.iter().map(|row| row.key).collect();
    format!("is not a setting; [[{}]] has {}", list.section, known.join(", "))
}

fn unknown_key(section: &str, key: &str) -> String {
    let here = || KEYS.iter().filter(|row| row.section == section);
    if let Some(row) = here().find(|row| osa_distance(row.key, key) <= 2) {
        return format!("is not a setting; did you mean {}?", row.key);
    }
    if let Some(row) = KEYS.iter().find(|row| row.key == key) {
        return format!("is not a setting here; it belongs under [{}]", row.section);
    }
    let known: Vec<_> = here().map(|row| row.key).collect();
    format!("is not a setting; [{section}] has {}", known.join(", "))
}
