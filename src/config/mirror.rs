//! Which repositories mirror another registry, and how: the rules of `[[mirror]]`.

use crate::outbound::{AddressGuard, CredentialDirectory, CredentialName, CredentialsOf};
use client::{Client, RegistryAddress, Retries, Timeouts};
use ipnet::IpNet;
use oci::{Expression, Patterns, RepositoryName};
use std::{sync::Arc, time::Duration};

/// One rule. The first that matches a repository applies to it.
#[derive(Clone, Debug)]
pub struct MirrorRule {
    pub repositories: Patterns,
    /// The first part of the names of these repositories, which the upstream's names do not have.
    pub prefix: Option<RepositoryName>,
    /// How long a tag is served before the upstream is asked about it again.
    pub tag_ttl: Duration,
    /// What is here is served while the upstream does not answer.
    pub serves_stale: bool,
    /// What the mirror stored is removed when it was not pulled for this long.
    pub unused: Option<Duration>,
    /// How many bytes these repositories hold at most before what was not pulled for the longest time is removed.
    pub max_bytes: Option<u64>,
    /// Which tags are fetched before anybody pulls them.
    pub sync: Option<SyncSchedule>,
    /// Speaks to the upstream. Its connections are made only to addresses that were checked.
    pub client: Client,
}

/// Which tags are fetched before anybody pulls them, and how often.
#[derive(Clone, Debug)]
pub struct SyncSchedule {
    pub tags: Expression,
    pub every: Duration,
}

impl MirrorRule {
    /// A rule for this upstream, which may also be at addresses in these networks, and which is asked with these
    /// credentials or without a login.
    pub(super) fn new(
        upstream: RegistryAddress,
        allowed: Arc<[IpNet]>,
        login: Option<(CredentialDirectory, CredentialName)>,
    ) -> Self {
        // A client waits for the answer. What is worth another attempt is left to it, except a transfer that breaks.
        let retries = Retries {
            attempts: 3,
            pause: Duration::from_millis(200),
            most_pause: Duration::from_secs(2),
            most_retry_after: Duration::from_secs(2),
        };
        let timeouts = Timeouts { connect: Duration::from_secs(5), ..Timeouts::default() };
        let guard = AddressGuard::new(allowed, "mirror.allow_private");
        let mut client = Client::builder(upstream.clone()).resolver(guard).retries(retries).timeouts(timeouts);
        if let Some((directory, name)) = login {
            client = client.credentials(CredentialsOf { directory, name, registry: upstream });
        }
        Self {
            repositories: Patterns::default(),
            prefix: None,
            tag_ttl: Duration::from_mins(10),
            serves_stale: true,
            unused: None,
            max_bytes: None,
            sync: None,
            client: client.build(),
        }
    }

    /// The upstream, as people know it.
    pub fn upstream(&self) -> &str {
        self.client.registry().name()
    }

    /// The upstream's name for a repository. None if it has no such one.
    pub fn upstream_name(&self, local: &RepositoryName) -> Option<RepositoryName> {
        let name = match &self.prefix {
            None => local.as_str(),
            Some(prefix) => local.as_str().strip_prefix(prefix.as_str())?.strip_prefix('/')?,
        };
        self.client.registry().repository(name).ok()
    }

    /// The name here of a repository that a client calls by its upstream's name. Clients of a mirror of several
    /// registries say by `?ns=` whose it is.
    pub fn local_name(&self, upstream: &RepositoryName) -> Option<RepositoryName> {
        match &self.prefix {
            None => Some(upstream.clone()),
            Some(prefix) => format!("{prefix}/{upstream}").parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(upstream: &str, prefix: Option<&str>) -> MirrorRule {
        let mut rule = MirrorRule::new(upstream.parse().unwrap(), Arc::default(), None);
        rule.prefix = prefix.map(|prefix| prefix.parse().unwrap());
        rule
    }

    fn name(text: &str) -> RepositoryName {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_those_of_the_upstream_behind_the_prefix() {
        let hub = rule("docker.io", Some("docker.io"));
        assert_eq!(hub.upstream(), "docker.io");
        assert_eq!(hub.upstream_name(&name("docker.io/library/alpine")), Some(name("library/alpine")));
        assert_eq!(hub.upstream_name(&name("docker.io/alpine")), Some(name("library/alpine")));
        assert_eq!(hub.upstream_name(&name("docker.iox/alpine")), None);
        assert_eq!(hub.upstream_name(&name("docker.io")), None);
        assert_eq!(hub.local_name(&name("library/alpine")), Some(name("docker.io/library/alpine")));
        let all = rule("http://10.0.0.5:5000", None);
        assert_eq!(all.upstream_name(&name("team/app")), Some(name("team/app")));
        assert_eq!(all.local_name(&name("team/app")), Some(name("team/app")));
    }
}
