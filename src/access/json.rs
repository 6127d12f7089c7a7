//! JSON parsed piece by piece: every piece has a line number, and a mistake in one does not hide the next.

use oci::json;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{error::Category, value::RawValue};
use std::{fmt, marker::PhantomData};

/// Finds the line of a piece of the text.
pub(super) struct LineFinder<'t> {
    text: &'t str,
    /// The offset at which each line starts.
    starts: Vec<usize>,
}

impl<'t> LineFinder<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let after_breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(after_breaks).collect() }
    }

    /// The line a piece starts on, from 1. A piece is a slice of the text, so its address gives the offset.
    pub(super) fn line(&self, piece: &RawValue) -> usize {
        let offset = (piece.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        self.starts.partition_point(|start| *start <= offset)
    }
}

/// The whole text as one piece, if it is valid JSON.
///
/// # Errors
/// The line (from 1) of the first mistake, and its description.
pub(super) fn parse(text: &str) -> Result<&RawValue, (usize, String)> {
    json::from_slice(text.as_bytes()).map_err(|error| (error.line().max(1), syntax(&error)))
}

/// The entries of an object in order, repeated keys included; `None` if it is not an object.
pub(super) fn entries(piece: &RawValue) -> Option<Vec<(String, &RawValue)>> {
    json::from_slice(piece.get().as_bytes()).ok().map(|Entries(entries)| entries)
}

/// The items of a list; `None` if it is not a list.
pub(super) fn items(piece: &RawValue) -> Option<Vec<&RawValue>> {
    json::from_slice(piece.get().as_bytes()).ok()
}

/// The text of a string; `None` if it is not a string.
pub(super) fn string(piece: &RawValue) -> Option<String> {
    json::from_slice(piece.get().as_bytes()).ok()
}

/// The type of a piece, for messages.
pub(super) fn kind(piece: &RawValue) -> &'static str {
    match piece.get().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a string",
        Some(b't') => "true",
        Some(b'f') => "false",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// The message for a text that is not JSON.
fn syntax(error: &serde_json::Error) -> String {
    if error.classify() == Category::Eof {
        return "the file ends in the middle: a bracket or a quotation mark is not closed".to_owned();
    }
    let text = error.to_string();
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    let message = match message {
        "expected value" | "expected ident" => {
            "a value is expected here; strings stand in quotation marks, and no comma stands before a closing bracket"
        }
        "key must be a string" => {
            "a key is expected here; keys stand in quotation marks, and no comma stands before a closing bracket"
        }
        "trailing comma" => "no comma stands before a closing bracket",
        "trailing characters" => "there is more text after the end",
        "invalid number" => "this is not a number",
        "invalid escape" => "there is no such escape sequence; a backslash is written twice",
        "recursion limit exceeded" => "brackets are nested too deeply",
        _ if message.starts_with("control character") => "a string ends on the line on which it begins",
        other => other,
    };
    format!("is not valid JSON: {message}")
}

/// The entries of an object.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Pairs<'a> {
            type Value = Entries<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'a>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Entries(pairs))
            }
        }
        deserializer.deserialize_map(Pairs(PhantomData))
    }
}
