//! How problems of the configuration are reported: all at once, each with its place.

use std::fmt;
use std::path::PathBuf;

/// One problem, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file; `None` for the environment and flags.
    pub file: Option<PathBuf>,
    /// The line in that file, from 1.
    pub line: Option<usize>,
    /// The variable, flag or settings key (`section.key`).
    pub key: Option<String>,
    /// What is wrong and what to do. It never contains a secret: values are shown only if they cannot be one.
    pub message: String,
}

impl Problem {
    /// A problem with a variable or a flag.
    pub fn of_key(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { file: None, line: None, key: Some(key.into()), message: message.into() }
    }

    /// A problem with a whole file.
    pub fn of_file(file: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self { file: Some(file.into()), line: None, key: None, message: message.into() }
    }

    /// Adds a line (from 1).
    pub fn at_line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }

    /// Adds a key of the file; an empty one stands for the whole file.
    pub fn at_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into()).filter(|key| !key.is_empty());
        self
    }

    /// The message as one line; a library's message may have several.
    pub fn one_line(&self) -> String {
        self.message.lines().map(str::trim).collect::<Vec<_>>().join(" ")
    }

    /// Whether both are the same problem, perhaps on another line.
    pub fn is_like(&self, other: &Self) -> bool {
        (&self.file, &self.key, &self.message) == (&other.file, &other.key, &other.message)
    }
}

/// `file:line: key: message`, without the unknown parts; always one line.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}", file.display())?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
            f.write_str(": ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.one_line())
    }
}

/// All problems in the order they were found; displayed one per line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Adds a problem.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Whether there are no problems.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `value` if there are no problems, else the problems.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Something the operator should know that does not prevent startup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(pub Problem);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line_and_names_its_place() {
        let everything = Problem::of_file("s.toml", "bad\n  value").at_line(3).at_key("uploads.max_open");
        assert_eq!(everything.to_string(), "s.toml:3: uploads.max_open: bad value");
        let whole = Problem::of_file("rules.json", "bad").at_line(2).at_key("");
        assert_eq!(whole.to_string(), "rules.json:2: bad");
        let both = Problems(vec![Problem::of_key("REGISTRY_PORT", "no"), everything]);
        assert_eq!(both.to_string(), "REGISTRY_PORT: no\ns.toml:3: uploads.max_open: bad value");
    }
}
