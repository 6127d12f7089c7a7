//! Describes what is wrong with a JSON text, for people.

use super::{Level, Objects};
use crate::excerpt;
use serde::de::{DeserializeOwned, DeserializeSeed};
use serde_json::error::Category;
use serde_path_to_error::{Deserializer, Track};

/// Which field is wrong, and what is wrong with it. Reads the bytes once more, this time keeping track of the position.
pub(super) fn of<T: DeserializeOwned>(bytes: &[u8], level: Level<'_>, error: &serde_json::Error) -> String {
    if error.classify() != Category::Data {
        return format!("not valid JSON: {}", words(error));
    }
    let (mut track, mut typed) = (Track::new(), Track::new());
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let path = match level.deserialize(Deserializer::new(&mut json, &mut track)) {
        Err(_) => track.path(),
        Ok(()) => {
            let mut json = serde_json::Deserializer::from_slice(bytes);
            // It fails as before; only the position matters.
            let _ = T::deserialize(Objects(Deserializer::new(&mut json, &mut typed)));
            typed.path()
        }
    };
    match path.iter().next() {
        None => words(error),
        Some(_) => format!("{}: {}", excerpt(&path.to_string()), words(error)),
    }
}

/// The library's message in plain English.
fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = excerpt(text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text));
    match error.classify() {
        Category::Data => {}
        Category::Eof => return format!("it ends too early, at line {}, column {}", error.line(), error.column()),
        Category::Syntax | Category::Io => {
            return format!("{text} at line {}, column {}", error.line(), error.column());
        }
    }
    if let Some(field) = text.strip_prefix("missing field ") {
        return format!("{} is missing", field.replace('`', "'"));
    }
    let mismatch = text.strip_prefix("invalid type: ").or_else(|| text.strip_prefix("invalid value: "));
    match mismatch.and_then(|mismatch| mismatch.rsplit_once(", expected ")) {
        Some((found, expected)) => format!("expected {}, found {}", kind(expected), kind(found)),
        None => text.into_owned(),
    }
}

/// The JSON name of a kind of value, from the library's name.
fn kind(text: &str) -> String {
    match text {
        "i64" | "u64" => "a whole number".to_owned(),
        "map" | "a map" => "an object".to_owned(),
        "sequence" | "a sequence" => "a list".to_owned(),
        other => {
            let number = ["integer ", "floating point ", "boolean "].iter().find_map(|kind| other.strip_prefix(kind));
            number.unwrap_or(other).replace('`', "")
        }
    }
}
