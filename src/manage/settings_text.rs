//! Edits the text of `settings.toml`: what an edit does not concern keeps its order, spacing and comments.

use super::refusal::EditRefusal;
use serde_json::Value as Json;
use toml::de::DeTable;
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, Value};

/// The parsed text.
#[derive(Clone, Debug)]
pub(super) struct SettingsText {
    text: String,
}

impl SettingsText {
    /// Parses a text.
    ///
    /// # Errors
    /// The line of the first mistake, and its description.
    pub(super) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let place = |error: toml_edit::TomlError| {
            let before = error.span().map_or(0, |span| span.start.min(text.len()));
            (text[..before].matches('\n').count() + 1, error.message().to_owned())
        };
        text.parse::<DocumentMut>().map_err(place)?;
        Ok(Self { text: text.to_owned() })
    }

    /// The text after the edits.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// The value of a key, or the list of a repeatable table; `None` if it is not set.
    pub(super) fn get(&self, section: &str, key: Option<&str>) -> Option<Json> {
        let document = self.document().ok()?;
        let section = document.get(section)?;
        match key {
            Some(key) => section.as_table_like()?.get(key).and_then(item_json),
            None => item_json(section),
        }
    }

    /// Sets a key. The comments around it stay.
    ///
    /// # Errors
    /// The section is not a table.
    pub(super) fn set(&mut self, section: &str, key: &str, value: &Json) -> Result<(), EditRefusal> {
        let mut document = self.document()?;
        if !document.contains_key(section) {
            let table = new_table(&mut document, false);
            document.insert(section, Item::Table(table));
        }
        let table = document.entry(section).or_insert_with(|| Item::Table(Table::new()));
        let table: &mut dyn TableLike =
            table.as_table_like_mut().ok_or_else(|| EditRefusal::invalid("", format!("[{section}] is not a table")))?;
        set(table, key, value);
        self.text = document.to_string();
        Ok(())
    }

    /// Removes a key with its line. Comments above it stay, as they may be about more than this key.
    pub(super) fn remove(&mut self, section: &str, key: &str) -> Result<(), EditRefusal> {
        let (root, _) = DeTable::parse_recoverable(&self.text);
        let table = root.get_ref().iter().find(|(name, _)| name.get_ref() == section).map(|(_, table)| table.get_ref());
        let entry = table.and_then(|table| table.as_table()?.iter().find(|(name, _)| name.get_ref() == key));
        let Some((name, value)) = entry else { return Ok(()) };
        let (start, end) = (name.span().start, value.span().end);
        let line = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let rest = self.text[end..].find('\n').map_or(self.text.len(), |at| end + at + 1);
        let after = self.text[end..rest].trim();
        let before = self.text[line..start].trim();
        // Whole lines: `key = value`, or `section.key = value`, and at most a comment.
        let is_whole = (before.is_empty() || before.ends_with('.')) && (after.is_empty() || after.starts_with('#'));
        if is_whole {
            self.text.replace_range(line..rest, "");
            return Ok(());
        }
        let mut document = self.document()?;
        if let Some(table) = document.get_mut(section).and_then(Item::as_table_like_mut) {
            table.remove(key);
        }
        self.text = document.to_string();
        Ok(())
    }

    /// Replaces the tables of a repeatable table. Those that stay the same keep their text.
    ///
    /// # Errors
    /// An item is not an object.
    pub(super) fn set_list(&mut self, section: &str, items: &[Json]) -> Result<(), EditRefusal> {
        let mut document = self.document()?;
        let mut new = ArrayOfTables::new();
        let old = document.remove(section).and_then(|item| item.into_array_of_tables().ok());
        let mut old = old.into_iter().flatten();
        for (i, item) in items.iter().enumerate() {
            let keys = item.as_object();
            let keys = keys.ok_or_else(|| EditRefusal::invalid(format!("/{section}/{i}"), "must be an object"))?;
            let mut table = old.next().unwrap_or_else(|| new_table(&mut document, i > 0));
            table.retain(|key, _| keys.contains_key(key));
            keys.iter().for_each(|(key, value)| set(&mut table, key, value));
            new.push(table);
        }
        if !new.is_empty() {
            document.insert(section, Item::ArrayOfTables(new));
        }
        self.text = document.to_string();
        Ok(())
    }

    fn document(&self) -> Result<DocumentMut, EditRefusal> {
        self.text.parse::<DocumentMut>().map_err(|error| EditRefusal::invalid("", error.message()))
    }
}

/// Sets a key of a table, if it has another value. The comments around it stay.
fn set(table: &mut dyn TableLike, key: &str, json: &Json) {
    let old = table.get_mut(key);
    if old.as_ref().and_then(|old| item_json(old)).as_ref() == Some(json) {
        return;
    }
    let mut value = toml_value(json);
    match old {
        Some(item) => {
            if let Some(old) = item.as_value() {
                value.decor_mut().clone_from(old.decor());
            }
            *item = Item::Value(value);
        }
        None => drop(table.insert(key, Item::Value(value))),
    }
}

/// A table for the end of a document, below the comments that are there, after a blank line.
fn new_table(document: &mut DocumentMut, follows_another: bool) -> Table {
    let mut above = document.trailing().as_str().unwrap_or_default().to_owned();
    document.set_trailing("");
    if !above.is_empty() && !above.ends_with('\n') {
        above.push('\n');
    }
    let is_first = above.is_empty() && document.is_empty() && !follows_another;
    if !is_first && !above.ends_with("\n\n") {
        above.push('\n');
    }
    let mut table = Table::new();
    table.decor_mut().set_prefix(above);
    table
}

fn toml_value(json: &Json) -> Value {
    match json {
        Json::Bool(on) => Value::from(*on),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Value::from(integer),
            None => Value::from(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::Array(items.iter().map(toml_value).collect::<Array>()),
        Json::Object(keys) => {
            let mut table = InlineTable::new();
            keys.iter().for_each(|(key, value)| drop(table.insert(key, toml_value(value))));
            Value::InlineTable(table)
        }
        // TOML has no null; the settings refuse the text.
        Json::Null => Value::from(""),
    }
}

fn item_json(item: &Item) -> Option<Json> {
    match item {
        Item::None => None,
        Item::Value(value) => Some(value_json(value)),
        Item::Table(table) => Some(table_json(table)),
        Item::ArrayOfTables(tables) => Some(tables.iter().map(|table| table_json(table)).collect()),
    }
}

fn table_json(table: &dyn TableLike) -> Json {
    let entries = table.iter().filter_map(|(key, item)| Some((key.to_owned(), item_json(item)?)));
    Json::Object(entries.collect())
}

fn value_json(value: &Value) -> Json {
    match value {
        Value::String(text) => text.value().as_str().into(),
        Value::Integer(number) => (*number.value()).into(),
        Value::Float(number) => (*number.value()).into(),
        Value::Boolean(on) => (*on.value()).into(),
        Value::Datetime(time) => time.value().to_string().into(),
        Value::Array(items) => items.iter().map(value_json).collect(),
        Value::InlineTable(table) => table_json(table),
    }
}

#[cfg(test)]
mod tests;
