//! What nobody may do through the API: gain rights by changing others, or leave the registry without an administrator.

use super::{edits::Author, refusal::EditRefusal};
use crate::{
    access::{Comparer, Policy, Rights, RightsCompared},
    config::Live,
    identity::UserKind,
    who::Subject,
};
use std::collections::BTreeSet;

/// The users whom an edit affects. What they may do, before and after, must be within what the author may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affected {
    users: BTreeSet<String>,
    /// The group whose members may do other things.
    group: Option<String>,
    compared: RightsCompared,
}

impl Affected {
    /// No user in particular.
    pub fn nobody() -> Self {
        Self::users([])
    }

    /// These users.
    pub fn users(users: impl IntoIterator<Item = String>) -> Self {
        Self { users: users.into_iter().collect(), group: None, compared: RightsCompared::All }
    }

    /// The members of all groups that have a role.
    pub(super) fn members(policy: &Policy, role: &str) -> Self {
        let groups = policy.groups.values().filter(|group| group.roles.iter().any(|name| name == role));
        Self::users(groups.flat_map(|group| group.members.iter().cloned()))
    }

    /// These members of a group, and whoever else joins it.
    pub(super) fn group(name: &str, members: impl IntoIterator<Item = String>) -> Self {
        Self { group: Some(name.to_owned()), ..Self::users(members) }
    }

    /// A user who is being created.
    pub fn new_user(name: &str) -> Self {
        Self { compared: RightsCompared::Own, ..Self::users([name.to_owned()]) }
    }
}

/// Checks an edit against the configuration before and after it.
///
/// # Errors
/// [`EditRefusal::LastAdmin`], [`EditRefusal::BeyondCaller`].
pub(super) fn check(author: &Author, old: &Live, new: &Live, affected: &Affected) -> Result<(), EditRefusal> {
    let comparer = Comparer::new(&old.rights, &author.subject, &author.ceiling);
    for name in affected.users.iter().filter(|_| !author.is_operator) {
        let user = Subject::User(name.as_str().into());
        for rights in [&old.rights, &new.rights] {
            comparer.check(rights, &user, affected.compared).map_err(EditRefusal::BeyondCaller)?;
        }
    }
    if let (Some(group), Rights::Rules { policy, authenticated }) = (&affected.group, &*new.rights)
        && !author.is_operator
        && !comparer.is_admin()
    {
        let (policy, member) = policy.with_new_member(group);
        let rights = Rights::Rules { policy, authenticated: *authenticated };
        let gains = |why| EditRefusal::BeyondCaller(format!("who joins {group:?}: {why}"));
        comparer.check(&rights, &member, RightsCompared::Own).map_err(gains)?;
    }
    match has_admin(old) && !has_admin(new) {
        true => Err(EditRefusal::LastAdmin),
        false => Ok(()),
    }
}

/// Whether somebody can administer the registry. The users of an external token service are not known: there it is
/// enough that one is named.
fn has_admin(live: &Live) -> bool {
    let Rights::Rules { policy, .. } = &*live.rights else { return true };
    let users = live.identity.users();
    policy.admin_names().any(|name| users.is_none_or(|users| users.kind(name) == Some(UserKind::Person)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::Ceiling,
        identity::{Identity, Users},
    };
    use std::sync::Arc;

    const HASH: &str = "$2y$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe";

    fn live(rules: &str, users: &str) -> Live {
        let policy = Policy::parse(rules).unwrap().0;
        let users = Users::parse(&users.replace('$', HASH).replace(' ', "\n")).unwrap();
        Live {
            rights: Arc::new(Rights::Rules { policy, authenticated: true }),
            identity: Identity::Password { realm: String::new(), users: Arc::new(users), sessions: None },
            ..Live::default()
        }
    }

    #[test]
    fn an_administrator_who_can_log_in_stays() {
        let author = Author {
            subject: Subject::User("root".into()),
            ceiling: Ceiling::None,
            address: None,
            request: None,
            is_operator: false,
        };
        let rules =
            r#"{"adminUsers": ["root", "gone"], "groups": {"ops": {"members": ["ada"], "roles": ["administrator"]}}}"#;
        let both = live(rules, "root:$ ada:$ bob:$");
        for (rules, users, allowed) in [
            (rules, "ada:$ bob:$", true),
            (rules, "root:$ ada:!$", true),
            (rules, "root:!$ ada:!$ bob:$", false),
            (rules, "root:!$ ada:! bob:$", false),
            (rules, "bob:$", false),
            (r#"{"adminUsers": ["bob"]}"#, "root:$ ada:$ bob:$", true),
            (r#"{"adminUsers": ["gone"]}"#, "root:$ ada:$ bob:$", false),
            (r#"{"groups": {"ops": {"members": ["ada"], "roles": ["developer"]}}}"#, "root:$ ada:$", false),
        ] {
            let checked = check(&author, &both, &live(rules, users), &Affected::nobody());
            assert_eq!(checked.is_ok(), allowed, "{rules} {users}");
            assert!(allowed || matches!(checked, Err(EditRefusal::LastAdmin)));
        }
        // Where there was none before, an edit cannot be blamed.
        let none = live("{}", "bob:$");
        assert!(check(&author, &none, &none, &Affected::nobody()).is_ok());
    }
}
