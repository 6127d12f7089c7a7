//! What a user is: their groups, roles and permissions.

use super::Rights;
use crate::who::{Permission, Subject};
use std::collections::BTreeSet;

/// The groups, roles and permissions of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserProfile {
    /// Whether they are an administrator.
    pub is_admin: bool,
    /// Their groups, in order.
    pub groups: Vec<String>,
    /// The roles they have through groups, in order.
    pub roles: Vec<String>,
    /// The permissions of these roles.
    pub permissions: BTreeSet<Permission>,
}

impl Rights {
    /// The groups, roles and permissions of a user; none without access rules.
    pub fn profile(&self, subject: &Subject) -> UserProfile {
        let (Self::Rules { policy, .. }, Some(user)) = (self, subject.name()) else { return UserProfile::default() };
        let roles: BTreeSet<_> = policy.roles_of(subject).map(|held| held.name).collect();
        UserProfile {
            is_admin: policy.admin_by(subject).is_some(),
            groups: policy.groups_of(user).map(str::to_owned).collect(),
            roles: roles.into_iter().map(str::to_owned).collect(),
            permissions: policy.roles_of(subject).flat_map(|held| held.role.permissions.iter().copied()).collect(),
        }
    }
}
