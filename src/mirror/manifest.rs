//! Manifests and tags of mirrored repositories.

use super::{MirrorError, MirrorFetch, MirrorResult, Mirrors, evict::is_set_by_mirror, own};
use crate::{
    config::MirrorRule,
    files::world,
    registry::{Condition, Repository},
};
use oci::{Digest, Reference, Tag};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// What is here.
enum Local {
    /// Nothing.
    None,
    /// It need not be asked for.
    Good,
    /// A tag that the mirror set to this, and that may have moved.
    Old(Digest),
}

impl Mirrors {
    /// Brings a manifest here unless it is here, and a tag up to date. What is here already may then still be what the
    /// upstream had before, if it does not answer and the rule allows that.
    ///
    /// # Errors
    /// [`MirrorError`].
    pub async fn manifest(
        &self,
        rule: &Arc<MirrorRule>,
        repository: &Repository,
        reference: &Reference,
    ) -> Result<(), MirrorError> {
        let brought = self.bring_up_to_date(rule, repository, reference, rule.tag_ttl).await;
        self.0.counters.of(rule).request(match &brought {
            Ok(result) => *result,
            Err(MirrorError::Absent) => MirrorResult::Absent,
            Err(_) => MirrorResult::Error,
        });
        brought.map(drop)
    }

    /// The same, without regard to when the upstream was last asked about a tag.
    pub(super) async fn refresh(
        &self,
        rule: &Arc<MirrorRule>,
        repository: &Repository,
        reference: &Reference,
    ) -> Result<(), MirrorError> {
        self.bring_up_to_date(rule, repository, reference, Duration::ZERO).await.map(drop)
    }

    pub(super) async fn bring_up_to_date(
        &self,
        rule: &Arc<MirrorRule>,
        repository: &Repository,
        reference: &Reference,
        ttl: Duration,
    ) -> Result<MirrorResult, MirrorError> {
        let is_here = match self.local(repository, reference, ttl).await? {
            Local::Good => return Ok(MirrorResult::Hit),
            Local::None => false,
            Local::Old(_) => true,
        };
        let key = (repository.name().clone(), reference.to_string());
        let (mirrors, repository, of_rule) = (self.clone(), own(repository), rule.clone());
        let (reference, absent) = (reference.clone(), key.clone());
        let fetch = move || async move {
            // Between the look above and this one, another may have brought it, or found that there is no such one.
            let known = match mirrors.local(&repository, &reference, ttl).await? {
                Local::Good => return Ok(()),
                Local::None => None,
                Local::Old(digest) => Some(digest),
            };
            if mirrors.is_absent(&absent) {
                return Err(MirrorError::Absent);
            }
            let fetched = mirrors.fetch(&of_rule, &repository, &reference, known).await;
            mirrors.learn(absent, &fetched);
            fetched
        };
        let serves_stale = rule.serves_stale && is_here;
        let fetched = self.0.manifests.join(key, fetch).await;
        match fetched.unwrap_or_else(|| Err(MirrorError::Store("a task panicked".to_owned()))) {
            Err(MirrorError::Absent) => Err(MirrorError::Absent),
            Err(error) if serves_stale => {
                tracing::debug!(upstream = rule.upstream(), %error, "a mirror serves a tag that may have moved");
                Ok(MirrorResult::Stale)
            }
            fetched => fetched.map(|()| MirrorResult::Fetched),
        }
    }

    async fn local(&self, repository: &Repository, reference: &Reference, ttl: Duration) -> Result<Local, MirrorError> {
        let tag = match reference {
            Reference::Digest(digest) => {
                let is_here = repository.revision(digest).await?.is_some();
                return Ok(if is_here { Local::Good } else { Local::None });
            }
            Reference::Tag(tag) => tag,
        };
        let Some((digest, since)) = repository.tagged_since(tag).await? else { return Ok(Local::None) };
        if !is_set_by_mirror(repository, tag, &digest).await? {
            return Ok(Local::Good);
        }
        let checked = self.0.checked.get(&(repository.name().clone(), tag.clone(), digest.clone()));
        let age = match checked {
            Some(at) => world::uptime().saturating_sub(at),
            // After a start: when it was fetched.
            None => SystemTime::now().duration_since(since).unwrap_or(Duration::ZERO),
        };
        Ok(if age < ttl { Local::Good } else { Local::Old(digest) })
    }

    /// Asks the upstream, and stores what it has. `known` is what the tag pointed to.
    async fn fetch(
        &self,
        rule: &MirrorRule,
        repository: &Repository,
        reference: &Reference,
        known: Option<Digest>,
    ) -> Result<(), MirrorError> {
        let name = rule.upstream_name(repository.name()).ok_or(MirrorError::Absent)?;
        self.0.upstreams.may_ask(rule)?;
        let failed = |error| self.failed(rule, &error);
        // Registries limit how many manifests one may pull, but not how often one may ask.
        if let Some(known) = &known {
            match rule.client.head_manifest(&name, reference).await.map_err(failed)? {
                None => return Err(MirrorError::Absent),
                Some(head) if head.digest.as_ref() == Some(known) => {
                    self.checked(repository, reference, known);
                    return Ok(());
                }
                Some(_) => {}
            }
        }
        let pulled = rule.client.pull_manifest(&name, reference).await.map_err(failed)?;
        let counters = self.0.counters.of(rule);
        counters.fetch(MirrorFetch::Manifest);
        counters.bytes(pulled.bytes.len() as u64);
        let tags: Vec<Tag> = match reference {
            Reference::Tag(tag) => vec![tag.clone()],
            Reference::Digest(_) => Vec::new(),
        };
        let digest = Reference::Digest(pulled.digest.clone());
        repository.put_manifest(&digest, &tags, Some(&pulled.media_type), pulled.bytes, Condition::None).await?;
        self.checked(repository, reference, &pulled.digest);
        Ok(())
    }

    fn checked(&self, repository: &Repository, reference: &Reference, digest: &Digest) {
        if let Reference::Tag(tag) = reference {
            self.0.checked.insert((repository.name().clone(), tag.clone(), digest.clone()), world::uptime());
        }
    }
}
