//! Users, groups, roles and API keys.

pub mod group;
pub mod key;
pub mod role;
pub mod user;

use crate::{failure::Failure, output::OutputFormat, session::CommandSession};
use serde_json::Value;

/// Says what was done; programs that asked for an object get it.
pub fn finish(session: &CommandSession, object: Option<Value>, note: &str) -> Result<(), Failure> {
    match object.filter(|_| !matches!(session.output.format, OutputFormat::Table | OutputFormat::Wide)) {
        Some(object) => session.output.one(&object, &[], "/name"),
        None => {
            session.output.note(note);
            Ok(())
        }
    }
}

/// A list of names of an object, with some added and some removed.
fn changed(object: &Value, field: &str, add: &[String], remove: &[String]) -> Vec<String> {
    let before = object.pointer(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut names: Vec<String> = before.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    names.extend(add.iter().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>());
    names.retain(|name| !remove.contains(name));
    names
}
