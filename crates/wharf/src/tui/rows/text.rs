//! Values as text: compared, searched, shown.

use crate::{
    output::{Column, ColumnKind},
    tui::harmless::harmless,
};
use serde_json::Value;
use std::cmp::Ordering;

/// A value as text that can be compared and searched, not shown.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// Numbers by size, text by its numbers and letters, nothing last.
pub(super) fn compare(a: &Value, b: &Value, kind: ColumnKind) -> Ordering {
    match (a, b) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Greater,
        (_, Value::Null) => Ordering::Less,
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
        (Value::Bool(a), Value::Bool(b)) => b.cmp(a),
        (Value::String(a), Value::String(b)) if kind == ColumnKind::Text => natural(a, b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (a, b) => plain(a).cmp(&plain(b)),
    }
}

/// Compares texts so that `v9` comes before `v10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let (Some(l), Some(r)) = (left.chars().next(), right.chars().next()) else {
            return left.len().cmp(&right.len()).then_with(|| a.cmp(b));
        };
        if l.is_ascii_digit() && r.is_ascii_digit() {
            let number = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            let (l_end, r_end) = (number(left), number(right));
            let (l_number, r_number) = (left[..l_end].trim_start_matches('0'), right[..r_end].trim_start_matches('0'));
            match l_number.len().cmp(&r_number.len()).then_with(|| l_number.cmp(r_number)) {
                Ordering::Equal => (left, right) = (&left[l_end..], &right[r_end..]),
                unequal => return unequal,
            }
        } else {
            match l.to_lowercase().cmp(r.to_lowercase()) {
                Ordering::Equal => (left, right) = (&left[l.len_utf8()..], &right[r.len_utf8()..]),
                unequal => return unequal,
            }
        }
    }
}

/// The lines of a text as items.
pub fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::json!({ "line": line })).collect()
}

/// What a column shows of an item, harmless.
pub fn cell(column: &Column, item: &Value, now: jiff::Timestamp) -> String {
    match item.pointer(column.field) {
        Some(Value::Object(fields)) => {
            let pair = |(key, value): (&String, &Value)| format!("{key}={}", plain(value));
            harmless(&fields.iter().map(pair).collect::<Vec<_>>().join(" "))
        }
        Some(Value::Array(items)) => harmless(&items.iter().map(plain).collect::<Vec<_>>().join(", ")),
        Some(Value::Bool(is)) if column.kind == ColumnKind::Text => if *is { "yes" } else { "no" }.to_owned(),
        _ => harmless(&column.shown_at(item, now)),
    }
}

/// JSON with a line for each value, in the order in which it was written.
pub fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth.min(40)));
    };
    let mut rest = json.chars().filter(|c| !c.is_control()).peekable();
    while let Some(c) = rest.next() {
        if is_text {
            out.push(c);
            is_text = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
            continue;
        }
        match c {
            '{' | '[' => {
                out.push(c);
                while rest.next_if(|c| c.is_whitespace()).is_some() {}
                if let Some(end) = rest.next_if(|next| matches!((c, next), ('{', '}') | ('[', ']'))) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            '"' => {
                out.push(c);
                is_text = true;
            }
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}
