//! The other registry, and for whom a migration acts in this one.

use super::{limits::STALL, record::CredentialKind};
use crate::{
    access::{Ceiling, Decision},
    accounts::Accounts,
    config::{Live, MigrationSettings},
    outbound::{AddressGuard, CredentialDirectory, CredentialError, CredentialName},
    registry::{Registry, Shows, Visible},
    who::{Action, ApiKeyId, Subject},
};
use arc_swap::ArcSwap;
use client::{Client, Credential, RegistryAddress, Retries, Secret, Timeouts};
use oci::RepositoryName;
use std::{sync::Arc, time::Duration};

/// The user for whom a migration acts, and the limits of the credential that they started it with. What they may do is
/// decided by the configuration of the moment.
#[derive(Clone)]
pub struct Authority {
    live: Arc<ArcSwap<Live>>,
    registry: Registry,
    subject: Subject,
    ceiling: Ceiling,
    /// The API key that it was started with, which it does not outlive.
    key: Option<(ApiKeyId, Arc<Accounts>)>,
}

impl Authority {
    pub fn new(live: Arc<ArcSwap<Live>>, registry: Registry, subject: Subject, ceiling: Ceiling) -> Self {
        Self { live, registry, subject, ceiling, key: None }
    }

    /// The same by an API key.
    #[must_use]
    pub fn by_key(self, key: Option<ApiKeyId>, accounts: &Arc<Accounts>) -> Self {
        Self { key: key.map(|id| (id, accounts.clone())), ..self }
    }

    pub(super) fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    pub(super) fn owner(&self) -> Option<&str> {
        self.subject.name()
    }

    pub(super) fn is_limited(&self) -> bool {
        self.ceiling != Ceiling::None
    }

    /// The registry by the settings of the moment.
    pub(super) fn registry(&self) -> Registry {
        self.registry.under(self.live.load().registry.clone()).asked_by(self.subject.clone())
    }

    /// Why nothing may be copied at the moment, if that is so.
    pub(super) async fn obstacle(&self) -> Option<&'static str> {
        let live = self.live.load();
        if live.operator.read_only {
            return Some("this registry is read-only now");
        }
        let is_gone = |name: &str| live.identity.users().is_some_and(|users| !users.contains(name));
        let is_gone = self.subject.name().is_some_and(is_gone);
        if is_gone {
            return Some("the user who started it does not exist any more");
        }
        let (Some((id, accounts)), Some(name), Some(users)) = (&self.key, self.subject.name(), live.identity.users())
        else {
            return None;
        };
        // What cannot be read now is no reason to end.
        let is_gone = matches!(accounts.api_key_of_token(*id, name, users).await, Ok(None));
        is_gone.then_some("the API key with which it was started was deleted or has expired")
    }

    /// Whether the user may do this now.
    pub async fn may(&self, action: Action, repository: &RepositoryName) -> bool {
        let decision = self.live.load().rights.decide_without_facts(&self.subject, &self.ceiling, repository, action);
        match decision {
            Decision::Decided(verdict) => verdict.allowed,
            Decision::NeedsFacts(undecided) => {
                self.registry.repository(repository).decide_by_facts(undecided).await.allowed
            }
        }
    }
}

/// The repositories that the user may pull.
impl Visible for Authority {
    fn shows(&self, repository: &RepositoryName) -> Shows {
        let live = self.live.load();
        match live.rights.decide_without_facts(&self.subject, &self.ceiling, repository, Action::Pull) {
            Decision::Decided(verdict) => verdict.allowed.into(),
            Decision::NeedsFacts(undecided) => Shows::ByFacts(undecided),
        }
    }

    fn reaches(&self, prefix: &RepositoryName) -> bool {
        self.live.load().rights.reaches(&self.subject, &self.ceiling, prefix)
    }
}

/// How a migration logs in to the other registry.
#[derive(Clone, Debug)]
pub enum SourceCredential {
    /// Not at all.
    None,
    /// With what the caller sent. It is only in memory.
    Secret(Credential),
    /// With the operator's credentials of this name.
    Named(CredentialName),
}

impl SourceCredential {
    /// What a request says.
    ///
    /// # Errors
    /// A sentence for people, and the field that it is about.
    pub fn of(
        username: Option<String>,
        password: Option<String>,
        named: Option<&str>,
    ) -> Result<Self, (&'static str, String)> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        match (given(username), given(password), named.filter(|name| !name.is_empty())) {
            (None, None, None) => Ok(Self::None),
            (Some(user), Some(password), None) => {
                Ok(Self::Secret(Credential::Password { user, password: Secret::new(password) }))
            }
            (None, None, Some(name)) => match name.parse() {
                Ok(name) => Ok(Self::Named(name)),
                Err(why) => Err(("/credentials_ref", crate::outbound::InvalidCredentialName::to_string(&why))),
            },
            (Some(_), None, None) => Err(("/password", "a user needs a password".to_owned())),
            (None, Some(_), None) => Err(("/username", "a password needs a user".to_owned())),
            (_, _, Some(_)) => Err(("/credentials_ref", "say either this or a user and a password".to_owned())),
        }
    }

    pub(super) fn kind(&self) -> CredentialKind {
        match self {
            Self::None => CredentialKind::None,
            Self::Secret(_) => CredentialKind::Secret,
            Self::Named(name) => CredentialKind::Named(name.to_string()),
        }
    }

    /// The credential to send to this registry.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub async fn read(&self, dir: &CredentialDirectory, to: &RegistryAddress) -> Result<Credential, CredentialError> {
        match self {
            Self::None => Ok(Credential::Anonymous),
            Self::Secret(credential) => Ok(credential.clone()),
            Self::Named(name) => dir.read_soon(name, to).await,
        }
    }
}

/// A client of the other registry, which connects only to allowed addresses.
pub fn client_of(address: RegistryAddress, credential: Credential, settings: &MigrationSettings) -> Client {
    let seconds = Duration::from_secs;
    Client::builder(address)
        .credentials(credential)
        .resolver(AddressGuard::new(settings.allow_private.clone(), "migration.allow_private"))
        .timeouts(Timeouts { connect: seconds(10), stall: STALL, answer: STALL })
        .retries(Retries {
            attempts: 4,
            pause: Duration::from_millis(500),
            most_pause: seconds(20),
            most_retry_after: settings.retry_after,
        })
        .build()
}
