//! The list of repositories: only those that the caller may see, with filters and in several orders.
//!
//! A page continues after a place in its order, not at a number, so nothing is missed or repeated because of what came
//! or went meanwhile.

use super::super::super::{error::ServiceError, gate::Granted};
use super::{
    super::seen::{SeenRepository, seen},
    invalid,
    item::{self, Included},
};
use crate::{
    registry::{NamespaceName, Visible as _, view::ManifestKind},
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

/// A repository in the list.
struct PlaceInList {
    name: RepositoryName,
    outline: Arc<RepositoryOutline>,
}

/// A page of the list.
struct FoundPlaces {
    places: Vec<PlaceInList>,
    /// Where the next page begins, if there may be one.
    next: Option<String>,
    /// Whether repositories may be missing, because not all of them have been looked at yet.
    incomplete: bool,
}

/// Repositories of which one request reads what kinds of manifests they have; they are known from then on.
const MOST_READ: usize = 500;

/// Repositories that are sorted at once.
const SORTED_AT_ONCE: usize = 1000;

/// `GET /repositories`.
pub(super) async fn list(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let query = RepositoryQuery::of(granted)?;
    let FoundPlaces { places, next, incomplete } = match query.follows_directories(granted) {
        true => query.by_name(granted).await?,
        false => query.sorted(granted).await?,
    };
    let names: Vec<_> = places.iter().map(|place| place.name.clone()).collect();
    let facts = granted.registry().recorded_facts(&names).await?;
    let (visible, mut items) = (granted.visible(), Vec::with_capacity(places.len()));
    for (PlaceInList { name, outline }, facts) in places.iter().zip(facts) {
        // Another process may have made it private since.
        if !visible.shows(name).by(&facts.access) {
            continue;
        }
        items.push(item::item(granted, name, facts, outline, query.included).await?);
    }
    granted.list(&Page::new(items, next).incomplete(incomplete))
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

    /// Whether the list is that of the directories: then it is as they are now, and no more names are looked at than
    /// a page has.
    fn follows_directories(&self, granted: &Granted) -> bool {
        let is_filtered = self.visibility.is_some() || self.owner.is_some() || self.kind.is_some();
        let is_in_order = self.order == RepositoryOrder::Name && !self.descending;
        is_in_order && !is_filtered && self.containing.is_empty() && !granted.visible().asks_facts()
    }

    async fn by_name(&self, granted: &Granted) -> Result<FoundPlaces, ServiceError> {
        let (registry, visible) = (granted.registry(), granted.visible());
        let page =
            registry.existing_repositories(self.namespace.as_ref(), self.last.as_deref(), self.n, &visible).await?;
        let outlines = registry.outlines(&page.entries).await?;
        let next = page.entries.last().filter(|_| page.more).map(ToString::to_string);
        let place = |(name, outline)| PlaceInList { name, outline };
        Ok(FoundPlaces { places: page.entries.into_iter().zip(outlines).map(place).collect(), next, incomplete: false })
    }

    /// In another order, or filtered: of everything that the caller may see, as it was a short time ago.
    async fn sorted(&self, granted: &Granted) -> Result<FoundPlaces, ServiceError> {
        let after = self.last.as_deref().map(|last| self.place(last)).transpose()?;
        let seen = seen(granted).await?;
        let incomplete = seen.is_incomplete;
        let compare = |a: (u64, &str), b: (u64, &str)| {
            let order = a.cmp(&b);
            if self.descending { order.reverse() } else { order }
        };
        let is_after = |key: u64, name: &RepositoryName| {
            after.as_ref().is_none_or(|(k, n)| compare((key, name.as_str()), (*k, n)) == Ordering::Greater)
        };
        let keyed = seen.repositories.iter().map(|one| (self.key(&one.outline), one));
        let mut found: Vec<_> = keyed.filter(|(key, one)| self.means(one) && is_after(*key, &one.name)).collect();
        let in_order = |a: &(u64, &Arc<SeenRepository>), b: &(u64, &Arc<SeenRepository>)| {
            compare((a.0, a.1.name.as_str()), (b.0, b.1.name.as_str()))
        };
        // The last one that was looked at: a page that ends early continues after it.
        let (mut places, mut read, mut last) = (Vec::new(), 0, None);
        let next = |last: Option<(u64, &RepositoryName)>| last.map(|(key, name)| self.cursor(key, name));
        while !found.is_empty() {
            let at_once = found.len().min(SORTED_AT_ONCE.max(self.n + 1));
            if at_once < found.len() {
                found.select_nth_unstable_by(at_once, in_order);
            }
            let rest = found.split_off(at_once);
            found.sort_unstable_by(in_order);
            for (key, one) in found {
                if let Some(kind) = self.kind {
                    read += usize::from(one.known_kinds().is_none());
                    if read > MOST_READ {
                        return Ok(FoundPlaces { places, next: next(last), incomplete });
                    }
                    if !one.kinds(&granted.repository(&one.name)).await?.contains(kind) {
                        if places.len() < self.n {
                            last = Some((key, &one.name));
                        }
                        continue;
                    }
                }
                if places.len() == self.n {
                    return Ok(FoundPlaces { places, next: next(last), incomplete });
                }
                last = Some((key, &one.name));
                places.push(PlaceInList { name: one.name.clone(), outline: one.outline.clone() });
            }
            found = rest;
        }
        Ok(FoundPlaces { places, next: None, incomplete })
    }

    /// Whether a repository is asked for, as far as that is known without reading it.
    fn means(&self, one: &SeenRepository) -> bool {
        let is_of = |namespace: &NamespaceName| one.namespace() == Some(namespace.as_str());
        one.name.as_str().contains(&self.containing)
            && self.namespace.as_ref().is_none_or(is_of)
            && self.visibility.is_none_or(|wanted| item::visibility(one.facts.visibility) == wanted)
            && self.owner.as_deref().is_none_or(|owner| one.facts.owner.as_deref() == Some(owner))
            && self.kind.is_none_or(|kind| one.known_kinds().is_none_or(|kinds| kinds.contains(kind)))
    }

    /// A place, from the text that named the last item of a page.
    fn place(&self, last: &str) -> Result<(u64, String), ServiceError> {
        if self.order == RepositoryOrder::Name {
            return Ok((0, last.to_owned()));
        }
        let parsed = last.split_once('~').and_then(|(key, name)| Some((key.parse().ok()?, name.to_owned())));
        parsed.ok_or_else(|| invalid("last", "must be next of the page before"))
    }

    /// The text that names a place.
    fn cursor(&self, key: u64, name: &RepositoryName) -> String {
        match self.order {
            RepositoryOrder::Name => name.to_string(),
            _ => format!("{key}~{name}"),
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
