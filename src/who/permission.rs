//! Permissions of roles: a verb and a resource.

use super::Action;
use std::{fmt, str::FromStr};

/// What a permission allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// See it, and learn that it exists.
    View,
    /// Make a new one.
    Create,
    /// Change it.
    Update,
    Delete,
    /// Upload images.
    Push,
    /// Download images.
    Pull,
    /// Everything.
    Admin,
    /// Log in.
    Login,
    /// Log out.
    Logout,
    /// Copy from other registries.
    Migrate,
    /// Upload artifacts.
    Upload,
    /// Download artifacts.
    Download,
}

/// What a permission applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// Background jobs.
    Task,
    /// The web pages.
    WebUi,
    /// Images.
    Image,
    /// Tags of images.
    Tag,
    User,
    Group,
    /// The registry as a whole.
    System,
    Artifact,
    /// Repositories.
    Repo,
}

/// A permission that a role may have, written `VERB:RESOURCE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission {
    /// What it allows.
    pub verb: Verb,
    /// On which resource.
    pub resource: Resource,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::View,
        Self::Create,
        Self::Update,
        Self::Delete,
        Self::Push,
        Self::Pull,
        Self::Admin,
        Self::Login,
        Self::Logout,
        Self::Migrate,
        Self::Upload,
        Self::Download,
    ];

    /// The name in configuration files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "VIEW",
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Push => "PUSH",
            Self::Pull => "PULL",
            Self::Admin => "ADMIN",
            Self::Login => "LOGIN",
            Self::Logout => "LOGOUT",
            Self::Migrate => "MIGRATE",
            Self::Upload => "UPLOAD",
            Self::Download => "DOWNLOAD",
        }
    }
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Task,
        Self::WebUi,
        Self::Image,
        Self::Tag,
        Self::User,
        Self::Group,
        Self::System,
        Self::Artifact,
        Self::Repo,
    ];

    /// The name in configuration files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Task => "TASK",
            Self::WebUi => "WEBUI",
            Self::Image => "IMAGE",
            Self::Tag => "TAG",
            Self::User => "USER",
            Self::Group => "GROUP",
            Self::System => "SYSTEM",
            Self::Artifact => "ARTIFACT",
            Self::Repo => "REPO",
        }
    }
}

impl Permission {
    /// Everything, everywhere: an administrator.
    pub const ADMIN: Self = Self { verb: Verb::Admin, resource: Resource::System };

    /// Permission to log in by password to the web pages and the API.
    pub const LOGIN_WEBUI: Self = Self { verb: Verb::Login, resource: Resource::WebUi };

    /// Permission to change users. Credentials need it to change the caller's own account.
    pub const CREATE_USER: Self = Self { verb: Verb::Create, resource: Resource::User };

    /// Change accounts.
    pub const UPDATE_USER: Self = Self { verb: Verb::Update, resource: Resource::User };

    /// Permission to see the inside of the daemon: metrics, and details of readiness.
    pub const VIEW_SYSTEM: Self = Self { verb: Verb::View, resource: Resource::System };

    /// To see tasks.
    pub const VIEW_TASK: Self = Self { verb: Verb::View, resource: Resource::Task };

    /// To copy images from other registries.
    pub const MIGRATE_TASK: Self = Self { verb: Verb::Migrate, resource: Resource::Task };

    /// Permission to create repositories and namespaces.
    pub const CREATE_REPO: Self = Self { verb: Verb::Create, resource: Resource::Repo };

    /// Permission to change what is recorded about repositories.
    pub const UPDATE_REPO: Self = Self { verb: Verb::Update, resource: Resource::Repo };

    /// Permission to delete whole repositories and namespaces.
    pub const DELETE_REPO: Self = Self { verb: Verb::Delete, resource: Resource::Repo };

    /// Permission to see that a repository of artifacts exists.
    pub const VIEW_REPO: Self = Self { verb: Verb::View, resource: Resource::Repo };

    /// Permission to list artifacts.
    pub const VIEW_ARTIFACT: Self = Self { verb: Verb::View, resource: Resource::Artifact };

    /// Permission to search and download artifacts.
    pub const DOWNLOAD_ARTIFACT: Self = Self { verb: Verb::Download, resource: Resource::Artifact };

    /// Permission to upload artifacts.
    pub const UPLOAD_ARTIFACT: Self = Self { verb: Verb::Upload, resource: Resource::Artifact };

    /// Permission to change what is said about artifacts.
    pub const UPDATE_ARTIFACT: Self = Self { verb: Verb::Update, resource: Resource::Artifact };

    /// Permission to delete and restore artifacts.
    pub const DELETE_ARTIFACT: Self = Self { verb: Verb::Delete, resource: Resource::Artifact };

    /// Permission to see that a repository exists.
    pub const VIEW_IMAGE: Self = Self { verb: Verb::View, resource: Resource::Image };

    /// Permission to see tags.
    pub const VIEW_TAG: Self = Self { verb: Verb::View, resource: Resource::Tag };

    /// Permission to set tags to manifests that are there.
    pub const CREATE_TAG: Self = Self { verb: Verb::Create, resource: Resource::Tag };

    /// Permission to delete tags.
    pub const DELETE_TAG: Self = Self { verb: Verb::Delete, resource: Resource::Tag };

    /// The permission that lets a role perform an action on images.
    pub fn on_images(action: Action) -> Self {
        let verb = match action {
            Action::Pull => Verb::Pull,
            Action::Push => Verb::Push,
            Action::Delete => Verb::Delete,
        };
        Self { verb, resource: Resource::Image }
    }
}

impl FromStr for Permission {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (verb, resource) = text.split_once(':')?;
            let verb = Verb::ALL.into_iter().find(|known| known.as_str() == verb)?;
            let resource = Resource::ALL.into_iter().find(|known| known.as_str() == resource)?;
            Some(Self { verb, resource })
        };
        read().ok_or("a permission of a role is written ACTION:RESOURCE, such as PULL:IMAGE")
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.verb.as_str(), self.resource.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_parses_back_to_itself() {
        for verb in Verb::ALL {
            for resource in Resource::ALL {
                let permission = Permission { verb, resource };
                assert_eq!(permission.to_string().parse(), Ok(permission));
            }
        }
        for text in ["", "PULL", "PULL:", ":IMAGE", "pull:image", "PULL:IMAGE ", "PULL:IMAGES", "PULL:IMAGE:x"] {
            assert!(text.parse::<Permission>().is_err(), "{text:?}");
        }
    }
}
