//! What is known of a variable: the columns of the tables.

/// What a variable takes that holds a secret.
pub(super) const SECRET: &str = "SECRET";

/// When a change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// When the file is reloaded.
    Reload,
    /// After a restart.
    Restart,
}

impl Applies {
    /// One word for the reference.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Restart => "restart",
        }
    }
}

/// An environment variable and its flag.
#[derive(Clone, Copy, Debug)]
pub struct Var {
    /// The heading it is listed under.
    pub section: &'static str,
    /// The variable's name.
    pub name: &'static str,
    /// The long flag, without the dashes; empty for a secret, which the list of processes would show.
    pub flag: &'static str,
    /// The kind of value, for `--help`.
    pub takes: &'static str,
    /// The default; `None` is "not set".
    pub default: Option<&'static str>,
    /// A value for the example file, which the tests also parse.
    pub example: &'static str,
    /// What it means, with units.
    pub help: &'static str,
    /// When a change takes effect.
    pub applies: Applies,
}

impl Var {
    /// Whether the value may be a secret by mistake: people paste keys into paths, and passwords into URLs.
    pub(super) fn may_hold_a_secret(&self) -> bool {
        matches!(self.takes, "PATH" | "PATH|auto" | "URL" | "TEXT" | SECRET)
    }

    /// Whether the value is a secret, which nobody sees again.
    pub fn is_secret(&self) -> bool {
        self.takes == SECRET
    }
}
