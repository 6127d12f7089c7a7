//! What a repository holds, piece by piece: its versions, their directories, and the properties in use.

use super::{
    super::{
        super::{
            error::{ApiError, ServiceError},
            gate::Granted,
            query::Query,
        },
        reply::{self, first_of, rfc3339},
        repositories::invalid,
    },
    item,
    repositories::existing,
    search::{deadline, reader, visible},
};
use crate::{
    artifacts::{
        ArtifactFilters, ArtifactId, ArtifactPath, ArtifactQuery, ArtifactRepositoryName, ArtifactVersion,
        index::{ArtifactDirectory, ArtifactIndex, DirectoryTotals, PropertyCounts, VersionTotals},
    },
    registry::artifacts::IndexReader,
    wire::ResponseBody,
};
use api::{
    Page,
    artifact_search::{ArtifactEntryItem, ArtifactPropertyItem, ArtifactPropertyValue, ArtifactVersionItem},
};
use http::{Response, StatusCode};
use oci::order::by_version;
use std::{cmp::Ordering, collections::HashMap, sync::Arc};

/// Values of a property that are listed if the request does not say how many.
const VALUES: usize = 10;

/// The most values of a property, and the most properties.
const MOST_VALUES: usize = 100;

/// Parameters of a list of properties that are no filters.
const OF_PROPERTIES: [&str; 3] = ["key", "like", "values"];

/// The index of a repository, which has to exist.
async fn index(granted: &Granted, name: &ArtifactRepositoryName) -> Result<IndexReader, ServiceError> {
    let facts = existing(granted, name).await?;
    let origin = facts.origin.ok_or(ApiError::NotFound)?;
    reader(&granted.registry().artifacts(name), &origin, deadline()).await
}

/// `GET /artifacts/repos/{repo}/versions`: newest first, 1.10 before 1.9.
pub(super) async fn versions(
    granted: &Granted,
    name: &ArtifactRepositoryName,
) -> Result<Response<ResponseBody>, ServiceError> {
    let page = granted.page_query()?;
    let containing = granted.parameters().first("q").unwrap_or_default().to_owned();
    let all = index(granted, name).await?.work(|index| index.version_totals()).await?;
    let newest = all.first().map(|one| one.version.clone());
    let total = all.len() as u64;
    let rest = all.into_iter().filter(|one| {
        let is_after = |last: &str| by_version(one.version.as_str(), last) == Ordering::Less;
        one.version.as_str().contains(&containing) && page.last.as_deref().is_none_or(is_after)
    });
    let item = |one: VersionTotals| ArtifactVersionItem {
        latest: newest.as_ref() == Some(&one.version),
        version: one.version.to_string(),
        artifact_count: one.artifacts as u64,
        size: one.size,
        updated_at: rfc3339(one.updated.into()),
    };
    granted.list(&Page {
        total: containing.is_empty().then_some(total),
        ..first_of(rest.map(item), page.n, |item| item.version.clone())
    })
}

/// `GET /artifacts/repos/{repo}/files`.
pub(super) async fn files(
    granted: &Granted,
    name: &ArtifactRepositoryName,
) -> Result<Response<ResponseBody>, ServiceError> {
    let page = granted.page_query()?;
    let parameters = granted.parameters();
    let version: ArtifactVersion = parameters
        .one("version")?
        .ok_or_else(|| invalid("version", "is missing from the query"))?
        .parse()
        .map_err(|error| invalid("version", error))?;
    let path = |name: &'static str| {
        let parse = |text: &str| text.parse::<ArtifactPath>().map_err(|error| invalid(name, error));
        parameters.one(name)?.map(parse).transpose()
    };
    let (exactly, under) = (path("path")?, path("under")?);
    let reader = index(granted, name).await?;
    let of = version.clone();
    let found = match exactly {
        Some(path) => {
            let ids = reader.work(move |index| (index.variants(&of, &path), path)).await?;
            let (ids, path) = ids;
            let files = ids.into_iter().map(|id| (path.clone(), id)).collect();
            ArtifactDirectory { files, ..ArtifactDirectory::default() }
        }
        None => {
            let under = under.as_ref().map(|under| format!("{under}/")).unwrap_or_default();
            reader.work(move |index| index.directory(&of, &under)).await?
        }
    };
    let entries = entries(found, under.as_ref());
    let rest =
        entries.into_iter().filter(|entry| page.last.as_deref().is_none_or(|last| order(&entry.place) > order(last)));
    let page = first_of(rest, page.n, |entry| entry.place.clone());
    let repository = granted.registry().artifacts(name);
    let mut items = Vec::with_capacity(page.items.len());
    for PlacedEntry { mut item, id, .. } in page.items {
        if let Some(id) = id {
            // It may have been deleted meanwhile.
            let Some(stored) = repository.stored(&version, &id).await? else { continue };
            let artifact = item::artifact(granted, name, stored.artifact);
            (item.size, item.updated_at) = (artifact.size, artifact.updated_at.clone());
            item.artifact = Some(artifact);
        }
        items.push(item);
    }
    granted.list(&Page::new(items, page.next).of(page.total))
}

/// An entry of a directory.
struct PlacedEntry {
    /// Its place in the list: directories are first.
    place: String,
    item: ArtifactEntryItem,
    /// The artifact, unless it is a directory.
    id: Option<ArtifactId>,
}

/// What places are compared by: no component of a path is empty, so two slashes end one.
fn order(place: &str) -> (bool, &str, &str) {
    match place.strip_prefix("f/").and_then(|rest| rest.rsplit_once("//")) {
        Some((path, at)) => (true, path, at),
        None => (false, place.strip_prefix("d/").unwrap_or(place), ""),
    }
}

fn entries(found: ArtifactDirectory, under: Option<&ArtifactPath>) -> Vec<PlacedEntry> {
    let below = |name: &str| under.map_or_else(|| name.to_owned(), |under| format!("{under}/{name}"));
    let directory = |(name, totals): (Box<str>, DirectoryTotals)| PlacedEntry {
        place: format!("d/{name}"),
        item: ArtifactEntryItem {
            path: below(&name),
            name: name.into(),
            is_directory: true,
            artifact_count: totals.artifacts as u64,
            size: totals.size,
            updated_at: rfc3339(totals.updated.into()),
            artifact: None,
        },
        id: None,
    };
    // The variants of a path are in the order that was found.
    let file = |(at, (path, id)): (usize, (ArtifactPath, ArtifactId))| PlacedEntry {
        place: format!("f/{path}//{at:08}"),
        item: ArtifactEntryItem {
            name: path.base().to_owned(),
            path: path.to_string(),
            artifact_count: 1,
            ..ArtifactEntryItem::default()
        },
        id: Some(id),
    };
    let directories = found.directories.into_iter().map(directory);
    directories.chain(found.files.into_iter().enumerate().map(file)).collect()
}

/// The filters among the parameters of a list of properties.
fn filters(parameters: &Query<'_>) -> Result<Arc<ArtifactFilters>, ServiceError> {
    let mut filters = form_urlencoded::Serializer::new(String::new());
    filters.extend_pairs(parameters.pairs().filter(|(name, _)| !OF_PROPERTIES.contains(name)));
    Ok(Arc::new(ArtifactQuery::parse(&filters.finish())?.filters))
}

/// `GET /artifacts/properties`: what artifacts have that match the filters, for suggestions.
pub(super) async fn properties(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let query = granted.request.head.uri.query().unwrap_or_default();
    let parameters = Query::parse(query);
    let filters = filters(&parameters)?;
    let key = parameters.one("key")?.map(str::to_owned);
    let like = parameters.one("like")?.unwrap_or_default().to_owned();
    let number = |text: &str| text.parse::<usize>().map_err(|_| invalid("values", "must be a number"));
    let most = parameters.one("values")?.map(number).transpose()?.unwrap_or(VALUES).min(MOST_VALUES);
    let deadline = deadline();
    let mut all: HashMap<Box<str>, PropertyCounts> = HashMap::new();
    for (repository, origin) in visible(granted, &filters).await? {
        let (filters, key, like) = (filters.clone(), key.clone(), like.clone());
        let work = move |index: &ArtifactIndex| index.property_counts(&filters, key.as_deref(), &like, MOST_VALUES);
        for counts in reader(&repository, &origin, deadline).await?.work(work).await? {
            match all.get_mut(&counts.key) {
                Some(known) => known.add(counts),
                None => drop(all.insert(counts.key.clone(), counts)),
            }
        }
    }
    let mut all: Vec<_> = all.into_values().collect();
    all.sort_by(|a, b| b.artifacts.cmp(&a.artifacts).then_with(|| a.key.cmp(&b.key)));
    all.truncate(MOST_VALUES);
    let item = |mut counts: PropertyCounts| {
        counts.keep_frequent(most);
        let value = |(value, count): (Box<str>, usize)| ArtifactPropertyValue {
            value: value.into(),
            artifact_count: count as u64,
        };
        ArtifactPropertyItem {
            key: counts.key.into(),
            artifact_count: counts.artifacts as u64,
            value_count: counts.distinct as u64,
            values: counts.values.into_iter().map(value).collect(),
        }
    };
    let items: Vec<_> = all.into_iter().map(item).collect();
    reply::json(StatusCode::OK, &Page::new(items, None))
}
