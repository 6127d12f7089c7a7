//! Why a change was not made.

use crate::{
    config::{EditFault, EditableFile, Problem, Problems},
    identity::{Unedited, Unhashed},
};
use api::FieldProblem;
use std::path::Path;

/// Why a change was not made. Unless it says otherwise, nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum EditRefusal {
    /// There is no such user, group, role or rule.
    #[error("not found")]
    NotFound,
    /// Fields of the request are invalid.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldProblem>),
    /// Another thing has this name, or something refers to it already.
    #[error("{0} exists already")]
    NameTaken(String),
    /// It cannot be deleted while these refer to it.
    #[error("{what} is in use by {}", .by.join(", "))]
    InUse {
        /// What was to be deleted.
        what: String,
        /// What refers to it.
        by: Vec<String>,
    },
    /// A built-in role cannot be deleted.
    #[error("the role {0} is built in")]
    Builtin(String),
    /// Nobody could manage the registry any more.
    #[error("this would leave no administrator who can log in")]
    LastAdmin,
    /// The caller would change somebody who may do more than they may.
    #[error("this needs ADMIN:SYSTEM: {0}")]
    BeyondCaller(String),
    /// The caller would lock out, delete or demote themselves.
    #[error("you cannot do this to yourself")]
    Oneself,
    /// Another rule decides before the one that was to be made.
    #[error("{0}")]
    Shadowed(String),
    /// An environment variable overrides this setting.
    #[error("{setting} is set by {variable}")]
    LockedByEnvironment {
        /// The setting.
        setting: String,
        /// The variable.
        variable: String,
    },
    /// The resource is not in the required state; its current entity tag, if it exists.
    #[error("the precondition failed")]
    PreconditionFailed(Option<String>),
    /// The write must name the state that it changes.
    #[error("a precondition is required")]
    PreconditionRequired,
    /// Roles and rules have no effect.
    #[error("access control is off")]
    AccessControlDisabled,
    /// There is no file of users here.
    #[error("users are not managed here")]
    NoUsers,
    /// The edit of a file failed.
    #[error(transparent)]
    Fault(#[from] EditFault),
    /// A password could not be hashed.
    #[error(transparent)]
    Unhashed(#[from] Unhashed),
}

impl EditRefusal {
    /// A request with one invalid field.
    pub(super) fn invalid(at: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldProblem::new(at, problem)])
    }

    /// The file on disk is invalid now.
    pub(super) fn broken(path: &Path, problems: impl IntoIterator<Item = (usize, String, String)>) -> Self {
        let place =
            |(line, key, message): (usize, String, String)| Problem::of_file(path, message).at_line(line).at_key(key);
        Self::Fault(EditFault::Broken(Problems(problems.into_iter().map(place).collect())))
    }
}

impl From<Unedited> for EditRefusal {
    fn from(unedited: Unedited) -> Self {
        match unedited {
            Unedited::Name(_) => Self::invalid("/username", unedited.to_string()),
            Unedited::Taken(name) => Self::NameTaken(format!("user {name:?}")),
            Unedited::Unknown(_) => Self::NotFound,
            Unedited::Robot(_) => Self::invalid("", unedited.to_string()),
        }
    }
}

/// Why the users of this registry cannot be edited, if the configuration has no file of users.
impl EditRefusal {
    pub(super) fn unless_unset(self, file: EditableFile) -> Self {
        match self {
            Self::Fault(EditFault::Unset(unset)) if unset == file => match file {
                EditableFile::Htpasswd => Self::NoUsers,
                EditableFile::AccessControl => Self::AccessControlDisabled,
                EditableFile::Settings => self,
            },
            other => other,
        }
    }
}
