//! The list of repositories: only those that the caller may see, with filters and in several orders.
//!
//! A page continues after a place in its order, not at a number, so nothing is missed or repeated because of what came
//! or went meanwhile.

use super::super::super::{error::ServiceError, gate::Granted};
use super::{
    super::dashboard::seen,
    invalid,
    item::{self, Included},
};
use crate::{
    registry::{NamespaceName, view::ManifestKind},
    storage::RepositoryOutline,
    wire::ResponseBody,
};
use api::{Page, repositories::RepositoryVisibility};
use http::Response;
use oci::RepositoryName;
use std::{
    cmp::Ordering,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// The order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RepositoryOrder {
    Name,
    Updated,
    Pushed,
    Size,
    Tags,
}

/// What a request asks for.
struct RepositoryQuery {
    containing: String,
    namespace: Option<NamespaceName>,
    visibility: Option<RepositoryVisibility>,
    owner: Option<String>,
    kind: Option<ManifestKind>,
    order: RepositoryOrder,
    descending: bool,
    included: Included,
    n: usize,
    last: Option<String>,
}

/// A repository in the list, and its place in the order.
struct PlaceInList {
    key: u64,
    name: RepositoryName,
    outline: Arc<RepositoryOutline>,
}

/// `GET /repositories`.
pub(super) async fn list(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let query = RepositoryQuery::of(granted)?;
    let is_plain = query.order == RepositoryOrder::Name && !query.descending;
    let (places, next) = match is_plain && query.containing.is_empty() && !query.asks_facts() {
        true => query.by_name(granted).await?,
        false => query.sorted(granted).await?,
    };
    let mut items = Vec::with_capacity(places.len());
    for PlaceInList { name, outline, .. } in places {
        let facts = granted.repository(&name).recorded_facts().await?;
        items.push(item::item(granted, &name, facts, &outline, query.included).await?);
    }
    granted.list(&Page { items, next, total: None })
}

impl RepositoryQuery {
    fn of(granted: &Granted) -> Result<Self, ServiceError> {
        let page = granted.page_query()?;
        let asked = granted.parameters();
        let text = |name: &str| asked.first(name).map(str::to_owned);
        let order = match asked.first("sort") {
            None | Some("name") => RepositoryOrder::Name,
            Some("updated") => RepositoryOrder::Updated,
            Some("pushed") => RepositoryOrder::Pushed,
            Some("size") => RepositoryOrder::Size,
            Some("tags") => RepositoryOrder::Tags,
            Some(_) => return Err(invalid("sort", "must be name, updated, pushed, size or tags")),
        };
        let included = text("include").unwrap_or_default();
        let includes = |what: &str| included.split(',').any(|one| one == what);
        let kind = |word: &str| ManifestKind::ALL.into_iter().find(|kind| kind.as_str() == word);
        Ok(Self {
            containing: text("q").unwrap_or_default().to_lowercase(),
            namespace: match asked.first("namespace") {
                Some(name) => Some(name.parse().map_err(|error| invalid("namespace", error))?),
                None => None,
            },
            visibility: match asked.first("visibility") {
                None => None,
                Some("public") => Some(RepositoryVisibility::Public),
                Some("private") => Some(RepositoryVisibility::Private),
                Some(_) => return Err(invalid("visibility", "must be public or private")),
            },
            owner: match asked.first("owner") {
                Some("me") => Some(granted.who().subject.name().unwrap_or_default().to_owned()),
                // A stranger does not learn whether there is such a user.
                owner => owner.map(|owner| granted.user_name(Some(owner)).unwrap_or_default().to_owned()),
            },
            kind: match asked.first("kind") {
                Some(word) => {
                    Some(kind(word).ok_or_else(|| invalid("kind", "must be image, index, chart or artifact"))?)
                }
                None => None,
            },
            descending: descending(asked.first("order"), order != RepositoryOrder::Name)?,
            order,
            included: Included { tags: includes("tags"), pulls: includes("pulls") },
            n: page.n,
            last: page.last,
        })
    }

    /// In the order of names, which the directories have: looks at no more names than it needs.
    async fn by_name(&self, granted: &Granted) -> Result<(Vec<PlaceInList>, Option<String>), ServiceError> {
        let (registry, visible) = (granted.registry(), granted.visible());
        let page =
            registry.existing_repositories(self.namespace.as_ref(), self.last.as_deref(), self.n, &visible).await?;
        let outlines = registry.outlines(&page.entries).await?;
        let next = page.entries.last().filter(|_| page.more).map(ToString::to_string);
        let place = |(name, outline)| PlaceInList { key: 0, name, outline };
        Ok((page.entries.into_iter().zip(outlines).map(place).collect(), next))
    }

    /// In another order, or filtered: looks at everything that the caller may see, as it was a short time ago.
    async fn sorted(&self, granted: &Granted) -> Result<(Vec<PlaceInList>, Option<String>), ServiceError> {
        let after = self.last.as_deref().map(|last| self.place(last)).transpose()?;
        let seen = seen(granted).await?;
        let compare = |a: (u64, &str), b: (u64, &str)| {
            let order = a.cmp(&b);
            if self.descending { order.reverse() } else { order }
        };
        let is_after = |key: u64, name: &RepositoryName| {
            after.as_ref().is_none_or(|(k, n)| compare((key, name.as_str()), (*k, n)) == Ordering::Greater)
        };
        let is_meant = |name: &RepositoryName| {
            let namespace = self.namespace.as_ref().map(NamespaceName::as_str);
            name.as_str().contains(&self.containing)
                && namespace.is_none_or(|of| name.as_str().split_once('/').is_some_and(|(first, _)| first == of))
        };
        let keyed = seen.repositories.iter().map(|(name, outline)| (self.key(outline), name, outline));
        let mut found: Vec<_> = keyed.filter(|(key, name, _)| is_meant(name) && is_after(*key, name)).collect();
        let in_order = |a: &(u64, &RepositoryName, _), b: &(u64, &RepositoryName, _)| {
            compare((a.0, a.1.as_str()), (b.0, b.1.as_str()))
        };
        if !self.asks_facts() && found.len() > self.n + 1 {
            found.select_nth_unstable_by(self.n, in_order);
            found.truncate(self.n + 1);
        }
        found.sort_unstable_by(in_order);
        let mut places = Vec::new();
        for (key, name, outline) in found {
            if places.len() > self.n {
                break;
            }
            if self.asks_for(granted, name, outline).await? {
                places.push(PlaceInList { key, name: name.clone(), outline: outline.clone() });
            }
        }
        let more = places.len() > self.n;
        places.truncate(self.n);
        let next = places.last().filter(|_| more).map(|place| match self.order {
            RepositoryOrder::Name => place.name.to_string(),
            _ => format!("{}~{}", place.key, place.name),
        });
        Ok((places, next))
    }

    /// Whether more than names and counts decides what is asked for.
    fn asks_facts(&self) -> bool {
        self.visibility.is_some() || self.owner.is_some() || self.kind.is_some()
    }

    /// A place, from the text that named the last item of a page.
    fn place(&self, last: &str) -> Result<(u64, String), ServiceError> {
        if self.order == RepositoryOrder::Name {
            return Ok((0, last.to_owned()));
        }
        let parsed = last.split_once('~').and_then(|(key, name)| Some((key.parse().ok()?, name.to_owned())));
        parsed.ok_or_else(|| invalid("last", "must be next of the page before"))
    }

    async fn asks_for(
        &self,
        granted: &Granted,
        name: &RepositoryName,
        outline: &RepositoryOutline,
    ) -> Result<bool, ServiceError> {
        let repository = granted.repository(name);
        if self.visibility.is_some() || self.owner.is_some() {
            let facts = repository.facts().await;
            let is_meant = self.visibility.is_none_or(|wanted| item::visibility(facts.visibility) == wanted)
                && self.owner.as_ref().is_none_or(|owner| facts.owner.as_ref() == Some(owner));
            if !is_meant {
                return Ok(false);
            }
        }
        match self.kind {
            Some(kind) => Ok(repository.kinds(outline.stamp).await?.contains(&kind)),
            None => Ok(true),
        }
    }

    fn key(&self, outline: &RepositoryOutline) -> u64 {
        match self.order {
            RepositoryOrder::Name => 0,
            RepositoryOrder::Updated => nanos(outline.changed),
            RepositoryOrder::Pushed => nanos(outline.pushed),
            RepositoryOrder::Size => outline.bytes,
            RepositoryOrder::Tags => outline.tags,
        }
    }
}

/// Whether a list runs backwards; by default the newest and largest come first, and names in their order.
pub(super) fn descending(order: Option<&str>, default: bool) -> Result<bool, ServiceError> {
    match order {
        None => Ok(default),
        Some("asc") => Ok(false),
        Some("desc") => Ok(true),
        Some(_) => Err(invalid("order", "must be asc or desc")),
    }
}

fn nanos(time: Option<SystemTime>) -> u64 {
    let since = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok()).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
