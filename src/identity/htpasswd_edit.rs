//! Edits one line of an htpasswd file's text and changes no other byte.

use super::htpasswd::{InvalidLine, LOCK, UserKind, Users};
use crate::who::Subject;
use std::ops::Range;

/// The content after the last user is deleted. An empty file looks like an interrupted write, and the daemon would keep
/// the previous users.
const NOBODY: &str = "# One user a line, name:hash. There is none.\n";

/// An htpasswd file's text and the positions of its users.
#[derive(Clone, Debug)]
pub struct HtpasswdText<'t> {
    text: &'t str,
    /// Names in file order, with their lines including line ends.
    lines: Vec<(&'t str, Range<usize>)>,
    users: Users,
}

/// Why a text was not edited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unedited {
    /// Not a valid user name.
    #[error(
        "{0:?} cannot be a user's name: it is empty, reserved (\"*\", \"anonymous\", \"@…\"), a comment (\"#…\"), \
         or holds a colon, a control character or a blank at an end"
    )]
    Name(String),
    /// A user with this name exists.
    #[error("there is a user {0:?} already")]
    Taken(String),
    /// No user with this name exists.
    #[error("there is no user {0:?}")]
    Unknown(String),
    /// The user has no password.
    #[error("{0:?} is a robot: it has no password, and uses API keys instead")]
    Robot(String),
}

impl<'t> HtpasswdText<'t> {
    /// Finds the users of a text.
    ///
    /// # Errors
    /// All invalid lines, as in [`Users::parse`]: a file that cannot be parsed must not be edited.
    pub fn parse(text: &'t str) -> Result<Self, Vec<InvalidLine>> {
        let users = Users::parse(text)?;
        let (mut lines, mut end) = (Vec::new(), 0);
        for line in text.split_inclusive('\n') {
            let start = end;
            end += line.len();
            if let Some((name, _)) = line.split_once(':').filter(|_| !line.starts_with('#')) {
                lines.push((name, start..end));
            }
        }
        Ok(Self { text, lines, users })
    }

    /// The whole text.
    pub fn text(&self) -> &'t str {
        self.text
    }

    /// The users of the text.
    pub fn users(&self) -> &Users {
        &self.users
    }

    /// The users' names, in file order.
    pub fn names(&self) -> impl Iterator<Item = &'t str> {
        self.lines.iter().map(|(name, _)| *name)
    }

    /// Checks that a new user may have this name.
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

    /// Checks that the user exists.
    ///
    /// # Errors
    /// [`Unedited::Unknown`].
    pub fn check_known(&self, name: &str) -> Result<(), Unedited> {
        self.line(name).map(drop)
    }

    /// The text with a new user on its last line.
    ///
    /// # Errors
    /// As [`HtpasswdText::check_new`].
    pub fn add(&self, name: &str, hash: &str) -> Result<String, Unedited> {
        self.check_new(name)?;
        let end = if self.text.is_empty() || self.text.ends_with('\n') { "" } else { "\n" };
        Ok(format!("{}{end}{name}:{hash}\n", self.text))
    }

    /// The text with a new robot on its last line.
    ///
    /// # Errors
    /// As [`HtpasswdText::check_new`].
    pub fn add_robot(&self, name: &str) -> Result<String, Unedited> {
        self.add(name, LOCK)
    }

    /// The text with another hash for this user. A locked user stays locked.
    ///
    /// # Errors
    /// [`Unedited::Unknown`], [`Unedited::Robot`].
    pub fn set(&self, name: &str, hash: &str) -> Result<String, Unedited> {
        let lock = if self.person(name)?.starts_with(LOCK) { LOCK } else { "" };
        self.replace(name, &format!("{lock}{hash}"))
    }

    /// The text with this user locked: they cannot log in, and keep their password.
    ///
    /// # Errors
    /// [`Unedited::Unknown`], [`Unedited::Robot`].
    pub fn lock(&self, name: &str) -> Result<String, Unedited> {
        let hash = self.person(name)?;
        self.replace(name, &format!("{LOCK}{}", hash.trim_start_matches(LOCK)))
    }

    /// The text with this user unlocked.
    ///
    /// # Errors
    /// [`Unedited::Unknown`], [`Unedited::Robot`].
    pub fn unlock(&self, name: &str) -> Result<String, Unedited> {
        let hash = self.person(name)?;
        self.replace(name, hash.trim_start_matches(LOCK))
    }

    /// What follows the colon on the line of a user who has a password.
    fn person(&self, name: &str) -> Result<&str, Unedited> {
        match (self.users.line(name), self.users.kind(name)) {
            (Some(_), Some(UserKind::Robot)) => Err(Unedited::Robot(name.to_owned())),
            (Some(line), _) => Ok(line),
            (None, _) => Err(Unedited::Unknown(name.to_owned())),
        }
    }

    /// The text with this after the colon of a user's line.
    fn replace(&self, name: &str, hash: &str) -> Result<String, Unedited> {
        let Range { start, end } = self.line(name)?;
        let (before, line, after) = (&self.text[..start], &self.text[start..end], &self.text[end..]);
        let line_end = if line.ends_with('\n') { "\n" } else { "" };
        Ok(format!("{before}{name}:{hash}{line_end}{after}"))
    }

    /// The text without this user. It is never empty, because an empty file is rejected.
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
