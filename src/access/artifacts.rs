//! Who may do what in a repository of artifacts: administrators, roles where their `artifacts` patterns match, then the
//! repository's own facts, then the default. Access rules are about images only.

use super::{Ceiling, KeyScope, RepositoryFacts, Rights, Visibility};
use crate::{
    artifacts::ArtifactRepositoryName,
    who::{Action, Permission, Resource, Subject, Verb},
};

/// A decision about artifacts, as far as possible without reading the facts of their repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArtifactDecision {
    Allowed,
    Refused,
    /// Only the owner may do it, or everybody if the repository is public.
    NeedsFacts(Permission),
}

impl ArtifactDecision {
    /// The final decision about a caller, given the facts.
    pub fn with(self, facts: &RepositoryFacts, subject: &Subject) -> bool {
        match self {
            Self::Allowed => true,
            Self::Refused => false,
            Self::NeedsFacts(permission) => {
                let is_owner = subject.name().is_some_and(|user| facts.owner.as_deref() == Some(user));
                is_owner || (facts.visibility == Visibility::Public && is_public(permission))
            }
        }
    }
}

/// What everybody may do in a public repository.
fn is_public(permission: Permission) -> bool {
    [Permission::VIEW_ARTIFACT, Permission::DOWNLOAD_ARTIFACT, Permission::VIEW_REPO].contains(&permission)
}

/// The action of a key's scope that covers a permission on artifacts.
fn action_of(permission: Permission) -> Option<Action> {
    match (permission.resource, permission.verb) {
        (Resource::Artifact, Verb::View | Verb::Download) | (Resource::Repo, Verb::View) => Some(Action::Pull),
        (Resource::Artifact, Verb::Upload | Verb::Update | Verb::Create) => Some(Action::Push),
        (Resource::Artifact, Verb::Delete) => Some(Action::Delete),
        _ => None,
    }
}

impl Ceiling {
    /// Whether the ceiling permits this in a repository of artifacts. The scopes of a token only list repositories of
    /// images.
    pub fn permits_in_artifacts(
        &self,
        subject: &Subject,
        repository: &ArtifactRepositoryName,
        permission: Permission,
    ) -> bool {
        let covers = |scope: &KeyScope| match scope {
            KeyScope::Artifact(pattern, actions) => {
                action_of(permission).is_some_and(|action| actions.contains(&action))
                    && pattern.matches(repository.to_match(), subject.name())
            }
            KeyScope::Permission(listed) => [permission, Permission::ADMIN].contains(listed),
            KeyScope::Repository(..) => false,
        };
        self.scopes().is_none() && self.key().is_none_or(|key| key.iter().any(covers))
    }
}

impl Rights {
    /// Whether more than the facts of a repository lets somebody do something with artifacts, somewhere.
    pub fn concern_artifacts(&self, subject: &Subject, ceiling: &Ceiling) -> bool {
        match self {
            Self::Open => true,
            Self::Users => subject.name().is_some(),
            Self::Tokens => false,
            Self::Rules { policy, .. } => {
                let mut roles = policy.roles_of(subject);
                policy.admin_by(subject).is_some()
                    || self.default_allows(subject, ceiling)
                    || roles.any(|held| !held.role.artifacts.as_slice().is_empty())
            }
        }
    }

    /// Decides about a permission in a repository of artifacts, without its facts if they cannot matter.
    pub fn decide_in_artifacts(
        &self,
        subject: &Subject,
        ceiling: &Ceiling,
        repository: &ArtifactRepositoryName,
        permission: Permission,
    ) -> ArtifactDecision {
        if !ceiling.permits_in_artifacts(subject, repository, permission) {
            return ArtifactDecision::Refused;
        }
        let by_facts = ArtifactDecision::NeedsFacts(permission);
        let policy = match self {
            Self::Open => return ArtifactDecision::Allowed,
            Self::Users if subject.name().is_some() => return ArtifactDecision::Allowed,
            Self::Users | Self::Tokens => return by_facts,
            Self::Rules { policy, .. } => policy,
        };
        let by_role = || {
            policy.roles_of(subject).any(|held| {
                held.role.grants(permission) && held.role.artifacts.matches(repository.to_match(), subject.name())
            })
        };
        // Whoever administers a repository is named: the default never makes somebody its administrator.
        let by_default = || permission.resource == Resource::Artifact && self.default_allows(subject, ceiling);
        match policy.admin_by(subject).is_some() || by_role() || by_default() {
            true => ArtifactDecision::Allowed,
            false => by_facts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{KeyScopes, Policy};

    fn rules() -> Rights {
        let text = r#"{
            "defaultPolicy": "deny",
            "adminUsers": ["root"],
            "groups": {"ci": {"members": ["bot"], "roles": ["uploader"]}},
            "roles": {"uploader": {"permissions": ["UPLOAD:ARTIFACT", "VIEW:ARTIFACT", "CREATE:REPO"], "artifacts": ["ci-*"]}}
        }"#;
        Rights::Rules { policy: Policy::parse(text).unwrap().0, authenticated: true }
    }

    fn user(name: &str) -> Subject {
        Subject::User(name.into())
    }

    fn name(text: &str) -> ArtifactRepositoryName {
        text.parse().unwrap()
    }

    #[test]
    fn a_role_counts_only_where_its_artifacts_patterns_match() {
        let (rights, none) = (rules(), RepositoryFacts::default());
        let may = |who: &str, repository: &str, permission| {
            let who = user(who);
            rights.decide_in_artifacts(&who, &Ceiling::None, &name(repository), permission).with(&none, &who)
        };
        assert!(may("bot", "ci-nightly", Permission::UPLOAD_ARTIFACT));
        assert!(may("bot", "ci-nightly", Permission::CREATE_REPO));
        assert!(!may("bot", "releases", Permission::UPLOAD_ARTIFACT));
        assert!(!may("bot", "ci-nightly", Permission::DELETE_ARTIFACT));
        assert!(!may("eve", "ci-nightly", Permission::VIEW_ARTIFACT));
        assert!(may("root", "releases", Permission::DELETE_ARTIFACT) && may("root", "x", Permission::DELETE_REPO));
    }

    #[test]
    fn the_facts_decide_where_nothing_else_does() {
        let rights = rules();
        let facts = |visibility| RepositoryFacts { visibility, owner: Some("eve".into()) };
        let may = |who: &Subject, permission, visibility| {
            let decision = rights.decide_in_artifacts(who, &Ceiling::None, &name("x"), permission);
            decision.with(&facts(visibility), who)
        };
        for permission in [Permission::UPLOAD_ARTIFACT, Permission::DELETE_REPO] {
            assert!(may(&user("eve"), permission, Visibility::Private));
            assert!(!may(&user("bot"), permission, Visibility::Public));
            assert!(!may(&Subject::Anonymous, permission, Visibility::Public));
        }
        assert!(may(&Subject::Anonymous, Permission::DOWNLOAD_ARTIFACT, Visibility::Public));
        assert!(!may(&Subject::Anonymous, Permission::DOWNLOAD_ARTIFACT, Visibility::Private));
    }

    #[test]
    fn a_key_covers_artifacts_only_by_its_own_scopes() {
        let alice = user("alice");
        let may = |scopes: &[&str], repository: &str, permission| {
            let key = Ceiling::Key(KeyScopes::parse(scopes).unwrap());
            Rights::Users.decide_in_artifacts(&alice, &key, &name(repository), permission) == ArtifactDecision::Allowed
        };
        assert!(may(&["artifact:ci-*:push"], "ci-a", Permission::UPLOAD_ARTIFACT));
        assert!(!may(&["artifact:ci-*:push"], "ci-a", Permission::DOWNLOAD_ARTIFACT));
        assert!(!may(&["artifact:ci-*:push"], "other", Permission::UPLOAD_ARTIFACT));
        assert!(!may(&["artifact:**:*"], "ci-a", Permission::DELETE_REPO));
        assert!(!may(&["repository:**:*"], "ci-a", Permission::DOWNLOAD_ARTIFACT));
        assert!(may(&["DOWNLOAD:ARTIFACT"], "ci-a", Permission::DOWNLOAD_ARTIFACT));
        assert!(may(&["ADMIN:SYSTEM"], "ci-a", Permission::DELETE_REPO));
    }

    #[test]
    fn without_rules_users_may_do_everything_and_strangers_nothing() {
        let decide = |rights: Rights, who: &Subject| {
            rights.decide_in_artifacts(who, &Ceiling::None, &name("x"), Permission::UPLOAD_ARTIFACT)
        };
        assert_eq!(decide(Rights::Open, &Subject::Anonymous), ArtifactDecision::Allowed);
        assert_eq!(decide(Rights::Users, &user("a")), ArtifactDecision::Allowed);
        assert!(matches!(decide(Rights::Users, &Subject::Anonymous), ArtifactDecision::NeedsFacts(_)));
        assert!(matches!(decide(Rights::Tokens, &user("a")), ArtifactDecision::NeedsFacts(_)));
    }
}
