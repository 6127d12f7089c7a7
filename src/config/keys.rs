//! Defines a key of `settings.toml` and checks its value; the keys are in [`super::key_table`].

use super::live::Live;
use super::origins::Origins;
use super::values;
use super::variable::Applies;
use crate::files::Size;
use serde_json::Value;
use std::time::Duration;

/// The unit of a key's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A plain number.
    Count,
    /// Bytes, as a number or as text such as `"4 MiB"`.
    Bytes,
    /// Whole seconds.
    Seconds,
}

/// How a value is stored in the generation.
#[derive(Debug)]
pub(super) enum Setter {
    Number(fn(&mut Live, u64)),
    Seconds(fn(&mut Live) -> &mut Duration),
    /// A number, or `"auto"`.
    OrAuto(fn(&mut Live, Option<u64>)),
    /// One of some words, given as its index.
    Word(&'static [&'static str], fn(&mut Live, usize)),
    /// `true` or `false`.
    Switch(fn(&mut Live, bool)),
    /// A text of at most `max` characters.
    Line(fn(&mut Live, &str)),
    /// A list of origins of web pages.
    Origins(fn(&mut Live, Origins)),
    /// A list of texts; what they are, for people.
    Texts(&'static str, fn(&mut Live, &[&str]) -> values::Value<()>),
}

/// One key of `settings.toml`.
#[derive(Debug)]
pub struct SettingKey {
    /// Its table.
    pub section: &'static str,
    /// Its name in that table.
    pub key: &'static str,
    /// The default, as written in the file.
    pub default: &'static str,
    /// The unit of a number.
    pub unit: Unit,
    /// Smallest number accepted.
    pub min: u64,
    /// Largest number accepted.
    pub max: u64,
    /// What the setting does.
    pub help: &'static str,
    /// When a change takes effect.
    pub applies: Applies,
    /// The variable that overrides this key when it is set.
    pub locked_by: Option<&'static str>,
    pub(super) set: Setter,
}

/// Constructors for the rows of the table; setters such as [`SettingKey::help`] add the rest.
impl SettingKey {
    const fn row(section: &'static str, key: &'static str, default: &'static str, set: Setter) -> Self {
        let (unit, applies) = (Unit::Count, Applies::Reload);
        Self { section, key, default, unit, min: 0, max: 0, help: "", applies, locked_by: None, set }
    }

    /// A number from `min` to `max`.
    pub(super) const fn number(
        section: &'static str,
        key: &'static str,
        default: &'static str,
        unit: Unit,
        min: u64,
        max: u64,
        set: fn(&mut Live, u64),
    ) -> Self {
        Self { unit, min, max, ..Self::row(section, key, default, Setter::Number(set)) }
    }

    /// A duration in whole seconds.
    pub(super) const fn seconds(
        section: &'static str,
        key: &'static str,
        default: &'static str,
        min: u64,
        max: u64,
        field: fn(&mut Live) -> &mut Duration,
    ) -> Self {
        Self { unit: Unit::Seconds, min, max, ..Self::row(section, key, default, Setter::Seconds(field)) }
    }

    /// A number from `min` to `max`, or `"auto"`.
    pub(super) const fn or_auto(
        section: &'static str,
        key: &'static str,
        default: &'static str,
        unit: Unit,
        min: u64,
        max: u64,
        set: fn(&mut Live, Option<u64>),
    ) -> Self {
        Self { unit, min, max, ..Self::row(section, key, default, Setter::OrAuto(set)) }
    }

    /// One of some words.
    pub(super) const fn word(
        section: &'static str,
        key: &'static str,
        default: &'static str,
        words: &'static [&'static str],
        set: fn(&mut Live, usize),
    ) -> Self {
        Self::row(section, key, default, Setter::Word(words, set))
    }

    /// `true` or `false`.
    pub(super) const fn switch(
        section: &'static str,
        key: &'static str,
        default: &'static str,
        set: fn(&mut Live, bool),
    ) -> Self {
        Self::row(section, key, default, Setter::Switch(set))
    }

    /// A line of at most `max` characters.
    pub(super) const fn line(
        section: &'static str,
        key: &'static str,
        default: &'static str,
        max: u64,
        set: fn(&mut Live, &str),
    ) -> Self {
        Self { max, ..Self::row(section, key, default, Setter::Line(set)) }
    }

    /// A list of origins of web pages; none unless set.
    pub(super) const fn origins(section: &'static str, key: &'static str, set: fn(&mut Live, Origins)) -> Self {
        Self::row(section, key, "[]", Setter::Origins(set))
    }

    /// A list of at most `max` texts; `what` says for people what they are.
    pub(super) const fn texts(
        section: &'static str,
        key: &'static str,
        default: &'static str,
        max: u64,
        what: &'static str,
        set: fn(&mut Live, &[&str]) -> values::Value<()>,
    ) -> Self {
        Self { max, ..Self::row(section, key, default, Setter::Texts(what, set)) }
    }

    /// What the setting does.
    pub(super) const fn help(self, help: &'static str) -> Self {
        Self { help, ..self }
    }

    /// A change takes effect after a restart.
    pub(super) const fn at_restart(self) -> Self {
        Self { applies: Applies::Restart, ..self }
    }

    /// This variable overrides the key.
    pub(super) const fn locked_by(self, variable: &'static str) -> Self {
        Self { locked_by: Some(variable), ..self }
    }
}

impl SettingKey {
    /// `section.key`, as problems name it.
    pub fn name(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }

    /// The accepted values, for people.
    pub fn range(&self) -> String {
        let numbers = match self.unit {
            Unit::Count => format!("{} to {}", self.min, self.max),
            Unit::Seconds => format!("{} s to {} s", self.min, self.max),
            Unit::Bytes => format!("{} to {}", bytes(self.min), bytes(self.max)),
        };
        match &self.set {
            Setter::Number(_) | Setter::Seconds(_) => numbers,
            Setter::OrAuto(_) => format!("{numbers}, or \"auto\""),
            Setter::Switch(_) => "true or false".to_owned(),
            Setter::Origins(_) => {
                format!("at most {} origins such as \"https://ui.example.com\", or only \"*\"", Origins::MOST)
            }
            Setter::Texts(what, _) => format!("at most {} {what}", self.max),
            Setter::Line(_) => format!("a line of at most {} characters", self.max),
            Setter::Word(words, _) => words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "),
        }
    }

    /// The accepted values, for a problem: "must be …".
    pub(super) fn wanted(&self) -> String {
        let kind = match (&self.set, self.unit) {
            (Setter::Number(_) | Setter::OrAuto(_), Unit::Bytes) => "a size from ",
            (Setter::Number(_) | Setter::OrAuto(_) | Setter::Seconds(_), _) => "a number from ",
            (Setter::Word(..), _) => "one of ",
            (Setter::Origins(_) | Setter::Texts(..), _) => "an array of ",
            (Setter::Switch(_) | Setter::Line(_), _) => "",
        };
        format!("{kind}{}", self.range())
    }

    /// Applies a text to the generation.
    pub(super) fn set_text(&self, live: &mut Live, text: &str) -> values::Value<()> {
        match &self.set {
            Setter::Word(words, set) => {
                let words: Vec<_> = words.iter().enumerate().map(|(index, word)| (*word, index)).collect();
                values::one_of(text, &words).map(|index| set(live, index))
            }
            Setter::OrAuto(set) if text == "auto" => {
                set(live, None);
                Ok(())
            }
            Setter::Line(set) => line(text, self.max).map(|()| set(live, text)),
            Setter::Switch(_) => Err("must be true or false, without quotation marks".to_owned()),
            Setter::Origins(_) | Setter::Texts(..) => Err(format!("must be an array: [{text:?}]")),
            _ if self.unit == Unit::Bytes => values::size(text).and_then(|number| self.set_number(live, number)),
            _ => Err(format!("must be a number without quotation marks: {}", self.range())),
        }
    }

    /// Applies a number to the generation.
    pub(super) fn set_number(&self, live: &mut Live, number: u64) -> values::Value<()> {
        let takes_numbers = matches!(self.set, Setter::Number(_) | Setter::OrAuto(_) | Setter::Seconds(_));
        if takes_numbers && !(self.min..=self.max).contains(&number) {
            return Err(format!("{number} is not in the range {}", self.range()));
        }
        match &self.set {
            Setter::Number(set) => set(live, number),
            Setter::Seconds(field) => *field(live) = Duration::from_secs(number),
            Setter::OrAuto(set) => set(live, Some(number)),
            Setter::Word(..) | Setter::Switch(_) | Setter::Line(_) | Setter::Origins(_) | Setter::Texts(..) => {
                return Err(format!("must be {}", self.wanted()));
            }
        }
        Ok(())
    }

    /// Whether its value is an array.
    pub(super) fn takes_list(&self) -> bool {
        matches!(self.set, Setter::Origins(_) | Setter::Texts(..))
    }

    /// Applies a list of texts to the generation.
    pub(super) fn set_list(&self, live: &mut Live, texts: &[&str]) -> values::Value<()> {
        match &self.set {
            Setter::Origins(set) => Origins::parse(texts).map(|origins| set(live, origins)),
            Setter::Texts(..) if texts.len() as u64 > self.max => {
                Err(format!("has {} items; at most {} are allowed", texts.len(), self.max))
            }
            Setter::Texts(_, set) => set(live, texts),
            _ => Err(format!("must be {}, not an array", self.wanted())),
        }
    }

    /// Applies a switch to the generation.
    pub(super) fn set_switch(&self, live: &mut Live, on: bool) -> values::Value<()> {
        match &self.set {
            Setter::Switch(set) => {
                set(live, on);
                Ok(())
            }
            _ => Err(format!("must be {}, not a boolean", self.wanted())),
        }
    }
}

impl SettingKey {
    /// Checks a value that is given as JSON, and returns it as the file has it. A string stands for a number, a boolean
    /// or a list where the key takes one.
    ///
    /// # Errors
    /// A sentence for people.
    pub fn accept(&self, value: &Value) -> values::Value<Value> {
        let value = match (&self.set, value) {
            (Setter::Switch(_), Value::String(text)) => text.parse().map(Value::Bool).unwrap_or_else(|_| value.clone()),
            (Setter::Number(_) | Setter::OrAuto(_), Value::String(text)) => {
                text.parse::<u64>().map(Value::from).unwrap_or_else(|_| value.clone())
            }
            (Setter::Origins(_) | Setter::Texts(..), Value::String(text)) => {
                text.split(',').map(str::trim).filter(|origin| !origin.is_empty()).collect()
            }
            _ => value.clone(),
        };
        let mut unused = Live::default();
        match &value {
            Value::String(text) => self.set_text(&mut unused, text)?,
            Value::Bool(on) => self.set_switch(&mut unused, *on)?,
            Value::Number(number) => match number.as_u64() {
                Some(number) => self.set_number(&mut unused, number)?,
                None => return Err(format!("must be {}, not {number}", self.wanted())),
            },
            Value::Array(items) => {
                let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
                self.set_list(&mut unused, &texts.ok_or_else(|| format!("must be {}", self.wanted()))?)?;
            }
            Value::Null | Value::Object(_) => return Err(format!("must be {}", self.wanted())),
        }
        Ok(value)
    }
}

/// A line that is valid inside a quoted header value.
fn line(text: &str, most: u64) -> values::Value<()> {
    if text.len() as u64 > most {
        return Err(format!("has {} characters; at most {most} are allowed", text.len()));
    }
    match text.bytes().all(|b| (b' '..=b'~').contains(&b) && !matches!(b, b'"' | b'\\')) {
        true => Ok(()),
        false => Err(
            "may contain only ASCII letters, digits, spaces and punctuation, without quotation marks and backslashes"
                .to_owned(),
        ),
    }
}

/// A number of bytes in the largest unit that divides it.
fn bytes(number: u64) -> String {
    Size(number).to_string()
}
