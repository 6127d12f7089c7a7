//! Settings: the keys of `settings.toml`, section by section.

use super::{
    edits::{Edits, FileEdit},
    guard::Affected,
    precondition::Precondition,
    refusal::EditRefusal,
    settings_text::SettingsText,
    suggest::suggest,
};
use crate::config::{ConfigEditor, EditFault, EditableFile, Env, KEYS, LISTS, SettingKey};
use api::{
    FieldProblem,
    settings::{SettingHelp, SettingValues, SettingsSection},
};
use serde_json::Value;
use std::{collections::BTreeMap, path::Path};

/// The names of all sections, in the order of the reference.
pub fn sections() -> Vec<&'static str> {
    let mut names: Vec<_> = KEYS.iter().map(|row| row.section).collect();
    names.dedup();
    names.extend(LISTS.iter().map(|list| list.section));
    names
}

/// A section as it is in the file now; `None` if there is none with this name. Blocks.
///
/// # Errors
/// The file cannot be read.
pub fn section(editor: &ConfigEditor, name: &str) -> Result<Option<SettingsSection>, EditRefusal> {
    let text = match editor.read(EditableFile::Settings) {
        Err(EditFault::Unset(_)) => String::new(),
        read => read?,
    };
    let text = match editor.path(EditableFile::Settings) {
        Ok(path) => parse(&path, &text)?,
        Err(_) => parse(Path::new(""), &text)?,
    };
    Ok(describe(&text, &editor.env(), name))
}

fn parse(path: &Path, text: &str) -> Result<SettingsText, EditRefusal> {
    SettingsText::parse(text).map_err(|(line, message)| EditRefusal::broken(path, [(line, String::new(), message)]))
}

fn describe(text: &SettingsText, env: &Env, name: &str) -> Option<SettingsSection> {
    if let Some(list) = LISTS.iter().find(|list| list.section == name) {
        let items = text.get(name, None).unwrap_or_else(|| Value::Array(Vec::new()));
        let help = list.keys.iter().map(|key| {
            let help = SettingHelp { text: key.help.to_owned(), range: key.range(), applies: "reload".to_owned() };
            (key.key.to_owned(), help)
        });
        return Some(SettingsSection {
            section: name.to_owned(),
            values: [(name.to_owned(), items)].into(),
            defaults: [(name.to_owned(), Value::Array(Vec::new()))].into(),
            locked: BTreeMap::new(),
            help: help.collect(),
        });
    }
    let rows: Vec<_> = rows(name).collect();
    if rows.is_empty() {
        return None;
    }
    let default = |row: &SettingKey| (row.key.to_owned(), default(row));
    let value = |row: &SettingKey| {
        let locked = locked(row, env).and_then(|variable| env.text(variable));
        let locked = locked.map(|text| row.accept(&text.into()).unwrap_or_else(|_| text.into()));
        let value = locked.or_else(|| text.get(name, Some(row.key)));
        (row.key.to_owned(), value.unwrap_or_else(|| self::default(row)))
    };
    let help = |row: &SettingKey| {
        let help =
            SettingHelp { text: row.help.to_owned(), range: row.range(), applies: row.applies.word().to_owned() };
        (row.key.to_owned(), help)
    };
    let locked = |row: &SettingKey| Some((row.key.to_owned(), locked(row, env)?.to_owned()));
    Some(SettingsSection {
        section: name.to_owned(),
        values: rows.iter().map(|row| value(row)).collect(),
        defaults: rows.iter().map(|row| default(row)).collect(),
        locked: rows.iter().filter_map(|row| locked(row)).collect(),
        help: rows.iter().map(|row| help(row)).collect(),
    })
}

fn rows(section: &str) -> impl Iterator<Item = &'static SettingKey> {
    KEYS.iter().filter(move |row| row.section == section)
}

/// The default as JSON; the table has it as the file would.
fn default(row: &SettingKey) -> Value {
    let text = SettingsText::parse(&format!("[d]\nd = {}\n", row.default)).ok();
    text.and_then(|text| text.get("d", Some("d"))).unwrap_or_default()
}

/// The variable that overrides a key here.
fn locked(row: &SettingKey, env: &Env) -> Option<&'static str> {
    row.locked_by.filter(|variable| env.is_given(variable))
}

/// Replaces a whole section: keys that are not named have their defaults again. Returns those.
///
/// # Errors
/// [`EditRefusal::NotFound`], [`EditRefusal::Invalid`], [`EditRefusal::LockedByEnvironment`].
pub fn put(
    edits: &Edits,
    section: &str,
    values: &SettingValues,
    precondition: &Precondition,
) -> Result<Vec<String>, EditRefusal> {
    let mut reset = Vec::new();
    change(edits, section, precondition, |text, env| {
        if let Some(items) = list_items(section, values)? {
            return text.set_list(section, items);
        }
        let values = accept(section, values, false)?;
        reset.clear();
        for row in rows(section) {
            match values.get(row.key) {
                Some(value) => set(env, text, row, value.as_ref())?,
                None if text.get(section, Some(row.key)).is_some() => {
                    text.remove(section, row.key)?;
                    reset.push(row.key.to_owned());
                }
                None => {}
            }
        }
        Ok(())
    })?;
    Ok(reset)
}

/// Changes some keys of a section; null stands for the default.
///
/// # Errors
/// As for [`put`].
pub fn patch(
    edits: &Edits,
    section: &str,
    values: &SettingValues,
    precondition: &Precondition,
) -> Result<(), EditRefusal> {
    change(edits, section, precondition, |text, env| {
        if let Some(items) = list_items(section, values)? {
            return text.set_list(section, items);
        }
        let values = accept(section, values, true)?;
        rows(section)
            .filter_map(|row| Some((row, values.get(row.key)?)))
            .try_for_each(|(row, value)| set(env, text, row, value.as_ref()))
    })
}

/// Gives all keys of a section their defaults.
///
/// # Errors
/// [`EditRefusal::NotFound`].
pub fn reset(edits: &Edits, section: &str, precondition: &Precondition) -> Result<(), EditRefusal> {
    change(edits, section, precondition, |text, _| match LISTS.iter().any(|list| list.section == section) {
        true => text.set_list(section, &[]),
        false => rows(section).try_for_each(|row| text.remove(section, row.key)),
    })
}

fn change(
    edits: &Edits,
    section: &str,
    precondition: &Precondition,
    mut change: impl FnMut(&mut SettingsText, &Env) -> Result<(), EditRefusal>,
) -> Result<(), EditRefusal> {
    if !sections().contains(&section) {
        return Err(EditRefusal::NotFound);
    }
    let path = edits.path(EditableFile::Settings)?;
    // The editor is locked during the edit.
    let env = edits.env();
    edits.edit(EditableFile::Settings, |text, _| {
        let mut text = parse(&path, text)?;
        precondition.check_resource(describe(&text, &env, section).as_ref())?;
        change(&mut text, &env)?;
        Ok(FileEdit { text: text.into_text(), affects: Affected::nobody() })
    })
}

/// Sets a key, or removes it. A key that the environment overrides can only keep its value.
fn set(env: &Env, text: &mut SettingsText, row: &SettingKey, value: Option<&Value>) -> Result<(), EditRefusal> {
    if let Some(variable) = locked(row, env) {
        let in_force = env.text(variable).and_then(|text| row.accept(&text.into()).ok());
        if value.is_some() && in_force.as_ref() == value {
            return Ok(());
        }
        return Err(EditRefusal::LockedByEnvironment { setting: row.name(), variable: variable.to_owned() });
    }
    match value {
        Some(value) => text.set(row.section, row.key, value),
        None => text.remove(row.section, row.key),
    }
}

/// The tables of a repeatable table, if this is one.
fn list_items<'v>(section: &str, values: &'v SettingValues) -> Result<Option<&'v [Value]>, EditRefusal> {
    if !LISTS.iter().any(|list| list.section == section) {
        return Ok(None);
    }
    match (values.0.len(), values.0.get(section)) {
        (1, Some(Value::Array(items))) => Ok(Some(items)),
        _ => Err(EditRefusal::invalid(
            format!("/{section}"),
            format!("must be a list of tables, and the only key: {{\"{section}\": […]}}"),
        )),
    }
}

/// The values by key, each as the file has it; `None` stands for the default. Keys may be written in camel case.
fn accept(
    section: &str,
    values: &SettingValues,
    null_resets: bool,
) -> Result<BTreeMap<&'static str, Option<Value>>, EditRefusal> {
    let (mut accepted, mut problems) = (BTreeMap::new(), Vec::new());
    for (name, value) in &values.0 {
        let key = snake_case(name);
        let Some(row) = rows(section).find(|row| row.key == key) else {
            problems.push(FieldProblem {
                at: format!("/{name}"),
                problem: format!("[{section}] has no setting {name:?}"),
                did_you_mean: suggest(&key, rows(section).map(|row| row.key)),
            });
            continue;
        };
        let value = match value {
            Value::Null if null_resets => Ok(None),
            value => row.accept(value).map(Some),
        };
        match value {
            Ok(value) => {
                if accepted.insert(row.key, value).is_some() {
                    problems.push(FieldProblem::new(format!("/{name}"), "this setting is given twice"));
                }
            }
            Err(why) => problems.push(FieldProblem::new(format!("/{name}"), why)),
        }
    }
    if problems.is_empty() { Ok(accepted) } else { Err(EditRefusal::Invalid(problems)) }
}

fn snake_case(key: &str) -> String {
    key.chars().fold(String::new(), |mut snake, c| {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
        snake
    })
}
