//! The files that may be edited.

use std::fmt;

/// A file that the management API may edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EditableFile {
    Settings,
    /// The users.
    Htpasswd,
    /// Groups, roles and rules.
    AccessControl,
}

impl EditableFile {
    /// The variable that names it.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Htpasswd => "REGISTRY_AUTH_HTPASSWD",
            Self::AccessControl => "REGISTRY_ACCESS_CONTROL_CONFIG",
            Self::Settings => "REGISTRY_SETTINGS",
        }
    }
}

/// As URLs and messages name it.
impl fmt::Display for EditableFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Htpasswd => "htpasswd",
            Self::AccessControl => "access-control",
            Self::Settings => "settings",
        })
    }
}
