//! What commands print: data on stdout, everything else on stderr.

pub(crate) mod columns;
mod table;

pub use columns::{Column, ColumnKind, bytes, count, short};

use crate::failure::Failure;
use clap::ValueEnum as _;
use minijinja::value::ValueKind;
use serde_json::Value;
use std::{
    io::{self, IsTerminal, Write},
    str::FromStr,
};

/// How data is printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// A table, as wide as the terminal.
    #[default]
    Table,
    /// A table with all columns.
    Wide,
    /// One JSON document: the API's objects, unchanged.
    Json,
    /// One JSON document in each line.
    JsonLines,
    /// YAML.
    Yaml,
    /// The bytes as the server sent them.
    Raw,
    /// A template, filled in for each object.
    Template(String),
    /// Of `artifact download` only: a zip archive.
    Zip,
    /// Of `artifact download` only: a compressed tar archive.
    TarGz,
}

/// The formats with a name.
#[derive(Clone, Copy, clap::ValueEnum)]
enum NamedFormat {
    Table,
    Wide,
    Json,
    Jsonl,
    Yaml,
    Raw,
    Zip,
    #[value(name = "tar.gz")]
    TarGz,
}

impl FromStr for OutputFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains("{{") || text.contains("{%") {
            return Ok(Self::Template(text.to_owned()));
        }
        Ok(match NamedFormat::from_str(text, true) {
            Ok(NamedFormat::Table) => Self::Table,
            Ok(NamedFormat::Wide) => Self::Wide,
            Ok(NamedFormat::Json) => Self::Json,
            Ok(NamedFormat::Jsonl) => Self::JsonLines,
            Ok(NamedFormat::Yaml) => Self::Yaml,
            Ok(NamedFormat::Raw) => Self::Raw,
            Ok(NamedFormat::Zip) => Self::Zip,
            Ok(NamedFormat::TarGz) => Self::TarGz,
            Err(_) => return Err("use table, wide, json, jsonl, yaml, raw, or a template such as '{{ name }}'".into()),
        })
    }
}

/// Prints for one command.
#[derive(Clone, Debug)]
pub struct CommandOutput {
    /// How.
    pub format: OutputFormat,
    /// Names and digests only, and no notes.
    pub is_quiet: bool,
    /// Whether progress may be shown on stderr.
    pub shows_progress: bool,
    /// Whether questions are answered with yes.
    pub says_yes: bool,
}

impl CommandOutput {
    /// Prints a list. `key` is the field that `--quiet` prints.
    pub fn list(&self, items: &[Value], columns: &[Column], key: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        if self.is_quiet {
            for item in items {
                writeln!(out, "{}", columns::text(item.pointer(key).unwrap_or(&Value::Null)))?;
            }
            return Ok(());
        }
        match &self.format {
            OutputFormat::Table | OutputFormat::Wide => {
                let is_wide = self.format == OutputFormat::Wide;
                table::write(&mut out, items, columns, is_wide, terminal_width())?;
            }
            OutputFormat::Json => writeln!(out, "{}", ascii_json(&format!("{:#}", Value::Array(items.to_vec()))))?,
            OutputFormat::Yaml => write!(out, "{}", for_terminal(yaml(&Value::Array(items.to_vec()))?))?,
            OutputFormat::JsonLines | OutputFormat::Raw => {
                for item in items {
                    writeln!(out, "{}", ascii_json(&item.to_string()))?;
                }
            }
            OutputFormat::Zip | OutputFormat::TarGz => return Err(archives_only()),
            OutputFormat::Template(template) => {
                let template = OutputTemplate::new(template)?;
                for item in items {
                    writeln!(out, "{}", for_terminal(template.fill(item)?))?;
                }
            }
        }
        Ok(out.flush()?)
    }

    /// Prints one object. `key` is the field that `--quiet` prints.
    pub fn one(&self, item: &Value, columns: &[Column], key: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        if self.is_quiet {
            return Ok(writeln!(out, "{}", columns::text(item.pointer(key).unwrap_or(&Value::Null)))?);
        }
        match &self.format {
            OutputFormat::Table | OutputFormat::Wide => {
                let shown = columns.iter().filter(|column| column.is_in_table(true)).filter_map(|column| {
                    let text = column.shown(item);
                    (!text.is_empty()).then_some((column.title, text))
                });
                let shown: Vec<_> = shown.collect();
                let width = shown.iter().map(|(title, _)| title.len()).max().unwrap_or_default();
                for (title, text) in shown {
                    writeln!(out, "{title:width$}  {text}")?;
                }
            }
            OutputFormat::Json => writeln!(out, "{}", ascii_json(&format!("{item:#}")))?,
            OutputFormat::Yaml => write!(out, "{}", for_terminal(yaml(item)?))?,
            OutputFormat::JsonLines | OutputFormat::Raw => writeln!(out, "{}", ascii_json(&item.to_string()))?,
            OutputFormat::Zip | OutputFormat::TarGz => return Err(archives_only()),
            OutputFormat::Template(template) => {
                writeln!(out, "{}", for_terminal(OutputTemplate::new(template)?.fill(item)?))?
            }
        }
        Ok(out.flush()?)
    }

    /// Prints a single value: as text, unless another format is asked for.
    pub fn scalar(&self, value: &Value) -> Result<(), Failure> {
        match self.format {
            OutputFormat::Table | OutputFormat::Wide => self.line(&columns::text(value)),
            _ => self.document(value),
        }
    }

    /// Prints an object that has no columns: as JSON, unless another format is asked for.
    pub fn document(&self, value: &Value) -> Result<(), Failure> {
        match self.format {
            OutputFormat::Table | OutputFormat::Wide | OutputFormat::Raw => {
                self.bytes(format!("{}\n", ascii_json(&format!("{value:#}"))).as_bytes())
            }
            _ => Self { is_quiet: false, ..self.clone() }.one(value, &[], ""),
        }
    }

    /// Prints a line of text as data, with everything escaped that does not print as itself.
    pub fn line(&self, text: &str) -> Result<(), Failure> {
        Ok(writeln!(io::stdout().lock(), "{}", client::escaped(text))?)
    }

    /// Prints content that the caller asked for: as it is, unless a person would look at it.
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        if io::stdout().is_terminal() {
            let text = str::from_utf8(bytes)
                .map_err(|_| Failure::usage("this is no text; write it to a file or into a pipe"))?;
            let mut out = io::stdout().lock();
            out.write_all(for_terminal(text.to_owned()).as_bytes())?;
            return Ok(out.flush()?);
        }
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        Ok(out.flush()?)
    }

    /// Says on stderr what was done, unless the caller wants quiet.
    pub fn note(&self, text: &str) {
        if !self.is_quiet {
            warn(text);
        }
    }

    /// Asks whether to go on.
    ///
    /// # Errors
    /// If the answer is no, or nobody can be asked.
    pub fn confirm(&self, question: &str) -> Result<(), Failure> {
        if self.says_yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Err(Failure::usage(format!("{question} Give --yes to say so without a terminal.")));
        }
        eprint!("{} [y/N] ", client::escaped(question));
        let mut answer = String::new();
        io::stdin()
            .read_line(&mut answer)
            .map_err(|error| Failure::failed(format!("cannot read the answer: {error}")))?;
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::failed("nothing was changed")),
        }
    }

    /// Asks for a name to be typed, for what cannot be undone.
    ///
    /// # Errors
    /// If it is typed wrong, or nobody can be asked.
    pub fn confirm_name(&self, question: &str, name: &str) -> Result<(), Failure> {
        if self.says_yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Err(Failure::usage(format!("{question} Give --confirm {name}, or --yes.")));
        }
        eprint!("{} Type its name: ", client::escaped(question));
        let mut answer = String::new();
        io::stdin()
            .read_line(&mut answer)
            .map_err(|error| Failure::failed(format!("cannot read the answer: {error}")))?;
        if answer.trim() == name { Ok(()) } else { Err(Failure::failed("that is not its name; nothing was changed")) }
    }
}

/// Says something on stderr.
pub fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "{}", client::escaped(text));
}

/// Prints a request and its answer.
pub fn log_request(report: &client::ExchangeReport, level: crate::args::RequestLogLevel) {
    let milliseconds = report.elapsed.as_millis();
    let mut text = match &report.answer {
        Ok((status, _)) => format!("{} {} {} in {milliseconds} ms\n", report.method, report.url, status.as_u16()),
        Err(problem) => format!("{} {} failed after {milliseconds} ms: {problem}\n", report.method, report.url),
    };
    if level == crate::args::RequestLogLevel::Trace {
        let answered = report.answer.iter().flat_map(|(_, headers)| headers).map(|header| ('<', header));
        for (direction, (name, value)) in report.sent.iter().map(|header| ('>', header)).chain(answered) {
            text.push_str(&format!("  {direction} {name}: {value}\n"));
        }
    }
    let _ = io::stderr().write_all(text.as_bytes());
}

/// The width of the terminal that stdout is; `None` in a pipe, where nothing is cut.
fn terminal_width() -> Option<usize> {
    let terminal = console::Term::stdout();
    terminal.is_term().then(|| usize::from(terminal.size().1))
}

/// JSON that means the same, with escapes for what would not print as itself.
fn ascii_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        // Lines and spaces are between values; inside of texts they are escaped already.
        if !matches!(c, '\n' | ' ') && client::is_unprintable(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Text of others as a terminal may have it: lines and tabs stay, all other control characters are escaped. In a pipe,
/// it stays as it is.
fn for_terminal(text: String) -> String {
    match io::stdout().is_terminal() {
        true => harmless_lines(&text),
        false => text,
    }
}

fn harmless_lines(text: &str) -> String {
    let is_kept = |c: char| matches!(c, '\n' | '\t');
    text.split_inclusive(is_kept)
        .map(|piece| match piece.strip_suffix(is_kept) {
            Some(line) => format!("{}{}", client::escaped(line), &piece[line.len()..]),
            None => client::escaped(piece),
        })
        .collect()
}

fn archives_only() -> Failure {
    Failure::usage("--format zip and tar.gz are for wharf artifact download")
}

fn yaml(value: &Value) -> Result<String, Failure> {
    serde_yaml_ng::to_string(value).map_err(|error| Failure::failed(error.to_string()))
}

/// A template of the caller.
struct OutputTemplate<'t> {
    environment: minijinja::Environment<'t>,
    source: &'t str,
}

impl<'t> OutputTemplate<'t> {
    fn new(source: &'t str) -> Result<Self, Failure> {
        let mut environment = minijinja::Environment::new();
        environment.set_undefined_behavior(minijinja::UndefinedBehavior::Chainable);
        // As in JSON, and nothing for what is not there.
        environment.set_formatter(|out, state, value| match value.kind() {
            ValueKind::Bool => Ok(write!(out, "{}", serde_json::Value::Bool(value.is_true()))?),
            ValueKind::Undefined | ValueKind::None => Ok(()),
            _ => minijinja::escape_formatter(out, state, value),
        });
        let template = Self { environment, source };
        template.environment.template_from_str(source).map_err(|error| invalid(&error))?;
        Ok(template)
    }

    fn fill(&self, item: &Value) -> Result<String, Failure> {
        let filled = self.environment.render_str(self.source, item).map_err(|error| invalid(&error))?;
        Ok(filled)
    }
}

fn invalid(error: &minijinja::Error) -> Failure {
    Failure::usage(format!("--format: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_says_the_same_and_deceives_no_terminal() {
        let value = json!({ "a": "x\u{9b}2J\u{202e}\u{e0041}\u{7f}é\n" });
        let shown = ascii_json(&format!("{value:#}"));
        assert_eq!(shown, "{\n  \"a\": \"x\\u009b2J\\u202e\\udb40\\udc41\\u007fé\\n\"\n}");
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value);
    }

    #[test]
    fn lines_of_text_stay_lines() {
        assert_eq!(harmless_lines("a\tb\n\u{1b}[2Jc\r\n"), "a\tb\n\\u{1b}[2Jc\\u{d}\n");
        assert_eq!(harmless_lines(""), "");
    }
}
