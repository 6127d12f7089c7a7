//! Changing one line of an htpasswd file's text and no other byte.

use super::htpasswd::{Problem, Users};
use crate::who::Subject;
use std::ops::Range;

/// What stands in a file from which the last line went: an empty one is taken for a write that
/// was cut off, and the daemon would go on with the users it had.
const NOBODY: &str = "# One user a line, name:hash. There is none.\n";

/// A file's text with the places of its users.
#[derive(Clone, Debug)]
pub struct Htpasswd<'t> {
    text: &'t str,
    /// Names in the order of the file, with their lines, line ends included.
    lines: Vec<(&'t str, Range<usize>)>,
}

/// Why a text stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unedited {
    /// Nobody can be called so.
    #[error(
        "{0:?} cannot be a user's name: it is empty, reserved (\"*\", \"anonymous\", \"@…\"), a comment (\"#…\"), \
         or holds a colon, a control character or a blank at an end"
    )]
    Name(String),
    /// The name is somebody's.
    #[error("there is a user {0:?} already")]
    Taken(String),
    /// The name is nobody's.
    #[error("there is no user {0:?}")]
    Unknown(String),
}

impl<'t> Htpasswd<'t> {
    /// Finds the users of a text.
    ///
    /// # Errors
    /// Every line that cannot be used, as [`Users::parse`] tells them: what cannot be understood
    /// is not to be edited.
    pub fn parse(text: &'t str) -> Result<Self, Vec<Problem>> {
        Users::parse(text)?;
        let (mut lines, mut end) = (Vec::new(), 0);
        for line in text.split_inclusive('\n') {
            let start = end;
            end += line.len();
            if let Some((name, _)) = line.split_once(':').filter(|_| !line.starts_with('#')) {
                lines.push((name, start..end));
            }
        }
        Ok(Self { text, lines })
    }

    /// The users' names, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &'t str> {
        self.lines.iter().map(|(name, _)| *name)
    }

    /// Whether a new user may have this name.
    ///
    /// # Errors
    /// [`Unedited::Name`], [`Unedited::Taken`].
    pub fn check_new(&self, name: &str) -> Result<(), Unedited> {
        if !Subject::is_user_name(name) || name.contains(':') || name.starts_with('#') {
            return Err(Unedited::Name(name.to_owned()));
        }
        match self.line(name) {
            Ok(_) => Err(Unedited::Taken(name.to_owned())),
            Err(_) => Ok(()),
        }
    }

    /// Whether there is a user of this name.
    ///
    /// # Errors
    /// [`Unedited::Unknown`].
    pub fn check_known(&self, name: &str) -> Result<(), Unedited> {
        self.line(name).map(drop)
    }

    /// The text with one more user, on its last line.
    ///
    /// # Errors
    /// As [`Htpasswd::check_new`].
    pub fn add(&self, name: &str, hash: &str) -> Result<String, Unedited> {
        self.check_new(name)?;
        let end = if self.text.is_empty() || self.text.ends_with('\n') { "" } else { "\n" };
        Ok(format!("{}{end}{name}:{hash}\n", self.text))
    }

    /// The text with another hash for this user.
    ///
    /// # Errors
    /// [`Unedited::Unknown`].
    pub fn set(&self, name: &str, hash: &str) -> Result<String, Unedited> {
        let Range { start, end } = self.line(name)?;
        let (before, line, after) = (&self.text[..start], &self.text[start..end], &self.text[end..]);
        let line_end = if line.ends_with('\n') { "\n" } else { "" };
        Ok(format!("{before}{name}:{hash}{line_end}{after}"))
    }

    /// The text without this user. It is never empty, because that is not a file without users.
    ///
    /// # Errors
    /// [`Unedited::Unknown`].
    pub fn delete(&self, name: &str) -> Result<String, Unedited> {
        let Range { start, end } = self.line(name)?;
        let left = [&self.text[..start], &self.text[end..]].concat();
        Ok(if left.trim_ascii().is_empty() { format!("{NOBODY}{left}") } else { left })
    }

    fn line(&self, name: &str) -> Result<Range<usize>, Unedited> {
        let found = self.lines.iter().find(|(known, _)| *known == name);
        found.map(|(_, line)| line.clone()).ok_or_else(|| Unedited::Unknown(name.to_owned()))
    }
}

#[cfg(test)]
mod tests;
