//! The roles that exist without being defined. A role of the same name in the file replaces them.
//!
//! They list no repositories: what they grant on images applies nowhere until the file says where.

use super::policy::Role;
use crate::who::{Permission, Resource, Verb};
use std::collections::{BTreeMap, BTreeSet};

use Resource::{Artifact, Group, Image, Repo, System, Tag, Task, User, WebUi};
use Verb::{Admin, Create, Delete, Download, Login, Migrate, Pull, Push, Update, Upload, View};

/// Permissions, by resource.
type PermissionSet = &'static [(Resource, &'static [Verb])];

const ANONYMOUS: PermissionSet =
    &[(WebUi, &[View, Login]), (Image, &[Pull]), (Tag, &[View]), (Artifact, &[View, Download]), (Repo, &[View])];
const READER: PermissionSet = &[(User, &[View]), (Group, &[View])];
const DEVELOPER: PermissionSet = &[
    (Task, &[Migrate]),
    (WebUi, &[Update]),
    (Image, &[Push, View]),
    (Tag, &[Create, Delete]),
    (Artifact, &[Upload, Update, Delete]),
    (Repo, &[Create, Delete]),
];
const ADMINISTRATOR: PermissionSet =
    &[(System, &[Admin]), (User, &[Create, Update, Delete]), (Group, &[Create, Update, Delete]), (Image, &[Delete])];

/// The built-in roles, by name. Each has the permissions of the ones before it.
pub fn roles() -> BTreeMap<String, Role> {
    let mut permissions = BTreeSet::new();
    let all = [
        ("anonymous", "Look around and pull", ANONYMOUS),
        ("reader", "Also see users and groups", READER),
        ("developer", "Also push, and create and delete repositories", DEVELOPER),
        ("administrator", "Everything", ADMINISTRATOR),
    ];
    let role = |(name, description, more): (&str, &str, PermissionSet)| {
        let each = |(resource, verbs): &(Resource, &'static [Verb])| {
            let resource = *resource;
            verbs.iter().map(move |verb| Permission { verb: *verb, resource })
        };
        permissions.extend(more.iter().flat_map(each));
        let description = description.to_owned();
        let role = Role { description, permissions: permissions.clone(), is_builtin: true, ..Role::default() };
        (name.to_owned(), role)
    };
    all.into_iter().map(role).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_what_the_ones_before_it_have() {
        let roles = roles();
        let permissions = |name: &str| &roles[name].permissions;
        let counts = ["anonymous", "reader", "developer", "administrator"].map(|name| permissions(name).len());
        assert_eq!(counts, [7, 9, 20, 28]);
        assert!(permissions("reader").is_subset(permissions("developer")));
        assert!(permissions("administrator").contains(&Permission::ADMIN));
        assert!(!permissions("developer").contains(&Permission { verb: Delete, resource: Image }));
    }
}
