//! What a request that was granted may do and see.

use super::{
    super::{
        endpoint::{Effect, Endpoint},
        error::ServiceError,
        routed::{Caller, RequestId, Routed},
    },
    Authenticated, Granted, administers, artifact_decisions, authorize, may_in_artifacts, may_unless_open,
    refusal::denied_permission,
};
use crate::{
    access::{Ceiling, Decision, RepositoryFacts, Rights},
    artifacts::ArtifactRepositoryName,
    config::Live,
    registry::{Registry, Repository, Shows, Visible},
    who::{Action, Permission, Subject},
    wire::RequestBody,
};
use http::{Method, request::Parts};
use oci::RepositoryName;
use std::sync::Arc;

/// The repositories that a caller may see in the catalog or mount from.
pub(in super::super) struct Shown {
    live: Arc<Live>,
    subject: Subject,
    ceiling: Ceiling,
    /// Set when tokens alone decide (there are no rules): then everything is visible.
    everything: bool,
}

impl Visible for Shown {
    fn shows(&self, repository: &RepositoryName) -> Shows {
        if self.everything {
            return Shows::Yes;
        }
        match self.live.rights.decide_without_facts(&self.subject, &self.ceiling, repository, Action::Pull) {
            Decision::Decided(verdict) => verdict.allowed.into(),
            Decision::NeedsFacts(undecided) => Shows::ByFacts(undecided),
        }
    }

    fn reaches(&self, prefix: &RepositoryName) -> bool {
        self.everything || self.live.rights.reaches(&self.subject, &self.ceiling, prefix)
    }

    fn asks_facts(&self) -> bool {
        !self.everything && self.live.rights.asks_facts(&self.subject, &self.ceiling)
    }
}

impl Granted {
    pub(in super::super) fn who(&self) -> &Caller {
        &self.who
    }

    /// Whether the caller administers a repository: as its owner, by a permission of a role, or because there are no
    /// rules.
    pub(in super::super) async fn administers(&self, repository: &RepositoryName, permission: Permission) -> bool {
        administers(&self.request.live, &self.request.registry, &self.who, repository, permission).await
    }

    /// Whether a role gives the caller a permission in a repository.
    pub(in super::super) fn has_in(&self, repository: &RepositoryName, permission: Permission) -> bool {
        self.request.live.rights.may_in(&self.who.subject, &self.who.ceiling, repository, permission)
    }

    /// Whether the caller has a permission in everything below a prefix, which without rules all have who may do
    /// everything.
    pub(in super::super) fn may_below(&self, prefix: &RepositoryName, permission: Permission) -> bool {
        match *self.request.live.rights {
            Rights::Rules { .. } => {
                self.request.live.rights.may_below(&self.who.subject, &self.who.ceiling, prefix, permission)
            }
            Rights::Open | Rights::Users | Rights::Tokens => may_unless_open(&self.request.live, &self.who, permission),
        }
    }

    /// Whether the caller may copy images from other registries, and see how far that is.
    pub(in super::super) fn may_migrate(&self) -> bool {
        may_unless_open(&self.request.live, &self.who, Permission::MIGRATE_TASK)
    }

    /// Whether the caller has a permission in a repository of artifacts.
    pub(in super::super) async fn may_in_artifacts(
        &self,
        repository: &ArtifactRepositoryName,
        permission: Permission,
    ) -> bool {
        may_in_artifacts(&self.request.live, &self.request.registry, &self.who, repository, permission).await
    }

    /// The same where the facts of the repository are known.
    pub(in super::super) fn has_in_artifacts(
        &self,
        repository: &ArtifactRepositoryName,
        facts: &RepositoryFacts,
        permission: Permission,
    ) -> bool {
        let decisions = artifact_decisions(&self.request.live, &self.who, repository, permission);
        decisions.into_iter().any(|decision| decision.with(facts, &self.who.subject))
    }

    /// Whether the caller may see that a repository of artifacts exists.
    pub(in super::super) fn sees_artifacts(
        &self,
        repository: &ArtifactRepositoryName,
        facts: &RepositoryFacts,
    ) -> bool {
        self.has_in_artifacts(repository, facts, Permission::VIEW_REPO)
    }

    /// Whether there is something about artifacts that concerns the caller. Where their rights do not say so, the first
    /// repositories are looked at; with more than these, it is assumed.
    pub(in super::super) async fn sees_any_artifacts(&self) -> bool {
        const LOOKED_AT: usize = 100;
        if self.request.live.rights.concern_artifacts(&self.who.subject, &self.who.ceiling) {
            return true;
        }
        let registry = &self.request.registry;
        // A page is shown without this entry rather than not at all.
        let names = registry.artifact_repository_names().await.unwrap_or_default();
        for name in names.iter().take(LOOKED_AT) {
            if may_in_artifacts(&self.request.live, registry, &self.who, name, Permission::VIEW_REPO).await {
                return true;
            }
        }
        names.len() > LOOKED_AT
    }

    /// The refusal for a caller who lacks this permission.
    pub(in super::super) fn lacks(&self, permission: Permission) -> ServiceError {
        let message = denied_permission(&self.who, permission);
        ServiceError::Denied { reason: message.clone(), message }
    }

    /// The request's ID, for the audit log.
    pub(in super::super) fn request_id(&self) -> Option<&str> {
        self.request.head.extensions.get::<RequestId>().and_then(|RequestId(id)| id.to_str().ok())
    }

    /// Whether the caller has a permission of a role.
    pub(in super::super) fn has(&self, permission: Permission) -> bool {
        self.request.live.rights.may(&self.who.subject, &self.who.ceiling, permission).allowed
    }

    /// The registry, with the settings of this request's generation.
    pub(in super::super) fn registry(&self) -> &Registry {
        &self.request.registry
    }

    /// A repository of its endpoint, as the caller meets it.
    pub(in super::super) fn repository(&self, name: &RepositoryName) -> Repository {
        self.request.registry.repository(name)
    }

    /// The repositories the caller may mount from: a token has to list them.
    pub(in super::super) fn sources(&self) -> Shown {
        self.shown(self.who.ceiling.clone(), false)
    }

    /// Whether the caller may perform an action in a repository.
    pub(in super::super) fn may<'a>(
        &'a self,
        action: Action,
        repository: &'a RepositoryName,
    ) -> impl Future<Output = bool> + Send + use<'a> {
        let (registry, who) = (&self.request.registry, &self.who);
        let decision = self.request.live.rights.decide_without_facts(&who.subject, &who.ceiling, repository, action);
        async move {
            match decision {
                Decision::Decided(verdict) => verdict.allowed,
                Decision::NeedsFacts(undecided) => {
                    registry.repository(repository).decide_by_facts(undecided).await.allowed
                }
            }
        }
    }

    /// The repositories the caller may see in the catalog: those their own rights and their API key allow, if a token
    /// permits listing.
    pub(in super::super) fn visible(&self) -> Shown {
        self.shown(
            Ceiling::of(self.who.ceiling.key().cloned(), None),
            matches!(*self.request.live.rights, Rights::Tokens),
        )
    }

    fn shown(&self, ceiling: Ceiling, everything: bool) -> Shown {
        Shown { live: self.request.live.clone(), subject: self.who.subject.clone(), ceiling, everything }
    }

    /// Another request of the same caller, which this one makes while it is answered. It has to be granted like any
    /// other, in the same generation of the configuration.
    pub(in super::super) async fn for_the_same_caller(
        &self,
        endpoint: Endpoint,
        head: Box<Parts>,
        body: RequestBody,
    ) -> Result<Self, ServiceError> {
        let Routed { state, conn, client, live, registry, .. } = &self.request;
        let (state, conn, client) = (state.clone(), conn.clone(), *client);
        let (live, registry) = (live.clone(), registry.clone());
        let routed = Routed { state, endpoint, head, body, conn, client, live, registry };
        authorize(Authenticated { routed, who: self.who.clone() }).await
    }

    /// Whether the request may add, change or delete content.
    pub(in super::super) fn changes_content(&self) -> bool {
        self.request.endpoint.effect(&self.request.head.method) != Some(Effect::Reads)
    }

    /// Whether this is a `HEAD` request.
    pub(in super::super) fn is_head(&self) -> bool {
        self.request.head.method == Method::HEAD
    }
}
