//! Search for artifacts by name, version, path and properties, in all repositories or in one.

use super::{
    super::{
        super::{
            error::{ApiError, ServiceError},
            gate::Granted,
            manage::{ArtifactSearchEndpoint, ManageEndpoint},
        },
        form::PageForm,
        form_state::FormState,
        markup,
        shell::{Shell, page},
    },
    head::ArtifactHead,
};
use crate::{artifacts::ArtifactRepositoryName, wire::ResponseBody};
use api::{
    FieldProblem, Page,
    artifact_search::{ArtifactPropertyItem, ArtifactSearchAnswer},
    artifacts::ArtifactInfo,
};
use askama::Template;
use http::Response;

/// Results on a page.
const ON_A_PAGE: &str = "50";

/// Values of each property that are offered.
const OFFERED: &str = "8";

/// Filters that are a text, as the API calls them.
const TEXTS: [&str; 5] = ["q", "name", "version", "path", "repo"];

/// What is looked for.
#[derive(Clone, Default)]
struct SearchedArtifacts {
    /// Where: the search page itself.
    at: String,
    q: String,
    name: String,
    version: String,
    path: String,
    repo: String,
    /// Properties as `key=value`.
    properties: Vec<String>,
    sort: String,
    offset: String,
}

impl SearchedArtifacts {
    fn of(granted: &Granted, at: String) -> Self {
        let parameters = granted.parameters();
        let given = |name: &str| parameters.first(name).unwrap_or_default().trim().to_owned();
        Self {
            at,
            q: given("q"),
            name: given("name"),
            version: given("version"),
            path: given("path"),
            repo: given("repo"),
            properties: parameters
                .all("p")
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
                .collect(),
            sort: given("sort"),
            offset: given("offset"),
        }
    }

    /// The filters that are texts.
    fn texts(&self) -> [(&'static str, &str); 5] {
        let values = [&self.q, &self.name, &self.version, &self.path, &self.repo];
        std::array::from_fn(|i| (TEXTS[i], values[i].as_str()))
    }

    /// This search on the page.
    fn address(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.texts().iter().filter(|(_, value)| !value.is_empty()));
        for property in &self.properties {
            query.append_pair("p", property);
        }
        query.extend_pairs(
            [("sort", &self.sort), ("offset", &self.offset)].iter().filter(|(_, value)| !value.is_empty()),
        );
        match query.finish().as_str() {
            "" => self.at.clone(),
            query => format!("{}?{query}", self.at),
        }
    }

    /// The same from its beginning, with another property.
    fn with(&self, key: &str, value: &str) -> String {
        let mut next = Self { offset: String::new(), ..self.clone() };
        let new = format!("{key}={value}");
        if !next.properties.contains(&new) {
            next.properties.push(new);
        }
        next.address()
    }

    fn without(&self, property: &str) -> String {
        let mut next = Self { offset: String::new(), ..self.clone() };
        next.properties.retain(|one| one != property);
        next.address()
    }

    fn sorted(&self, sort: &str) -> String {
        Self { offset: String::new(), sort: sort.to_owned(), ..self.clone() }.address()
    }

    fn at_offset(&self, offset: u64) -> String {
        let offset = if offset == 0 { String::new() } else { offset.to_string() };
        Self { offset, ..self.clone() }.address()
    }

    /// The filters as the API has them.
    ///
    /// # Errors
    /// [`ApiError::InvalidRequest`]: a property is not written as one.
    fn filters(&self) -> Result<Vec<(String, String)>, ServiceError> {
        let texts = self.texts().into_iter().filter(|(_, value)| !value.is_empty());
        let mut filters: Vec<_> = texts.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        for property in &self.properties {
            let (key, value) = property.split_once('=').ok_or_else(|| {
                let problem = format!("{:?} is not written as key=value", oci::excerpt(property));
                ApiError::invalid(FieldProblem::new("p", problem))
            })?;
            filters.push((format!("property.{}", key.trim()), value.trim().to_owned()));
        }
        Ok(filters)
    }

    /// What it sorts by and in which direction, as the API has it.
    fn order(&self) -> (&str, &str) {
        match self.sort.as_str() {
            "version" => ("version", "desc"),
            "name" => ("name", "asc"),
            "path" => ("path", "asc"),
            "size" => ("size", "desc"),
            "updated" => ("updated_at", "desc"),
            _ => ("created_at", "desc"),
        }
    }

    fn is_empty(&self) -> bool {
        self.properties.is_empty() && self.texts().iter().all(|(_, value)| value.is_empty())
    }
}

#[derive(Template)]
#[template(path = "artifact_search.html")]
struct ArtifactSearchTemplate {
    shell: Shell,
    /// The repository that is searched; all if absent.
    head: Option<ArtifactHead>,
    search: SearchedArtifacts,
    form: FormState,
    found: ArtifactSearchAnswer,
    offered: Vec<ArtifactPropertyItem>,
    /// The most files of an archive.
    most_files: u64,
    /// Filters, as the query of a download.
    filters: String,
}

impl ArtifactSearchTemplate {
    fn may_select(&self) -> bool {
        self.head.as_ref().is_some_and(|head| head.may_download)
    }

    fn may_delete(&self) -> bool {
        self.head.as_ref().is_some_and(|head| head.may_delete)
    }

    /// Where several files are deleted.
    fn removal(&self) -> String {
        self.head.as_ref().map(|head| head.path("delete-files")).unwrap_or_default()
    }

    /// All that was found, as an archive.
    fn archive(&self, format: &str) -> String {
        let repository = self.head.as_ref().map(|head| head.item.name.as_str()).unwrap_or_default();
        let (filters, and) = (&self.filters, if self.filters.is_empty() { "" } else { "&" });
        format!("/api/v1/artifacts/{repository}/query?{filters}{and}archive=1&format={format}")
    }

    /// Its bytes, by its ID: others may have the same path.
    fn download(&self, artifact: &ArtifactInfo) -> String {
        format!("/api/v1/artifacts/{}/query?id={}", artifact.repo, artifact.id)
    }

    fn previous(&self) -> Option<String> {
        let offset = self.found.offset;
        (offset > 0).then(|| self.search.at_offset(offset.saturating_sub(self.found.limit)))
    }

    fn next(&self) -> Option<String> {
        let end = self.found.offset + self.found.results.len() as u64;
        (end < self.found.total && !self.found.results.is_empty()).then(|| self.search.at_offset(end))
    }

    /// The list of properties, for the script that suggests them.
    fn suggestions(&self) -> String {
        match &self.head {
            Some(head) => format!("/api/v1/artifacts/properties?repo={}", head.item.name),
            None => "/api/v1/artifacts/properties?".to_owned(),
        }
    }
}

pub(super) async fn show(
    granted: &Granted,
    repository: Option<&ArtifactRepositoryName>,
) -> Result<Response<ResponseBody>, ServiceError> {
    let head = match repository {
        Some(name) => Some(ArtifactHead::of(granted, name, "search").await?),
        None => None,
    };
    let at = head.as_ref().map_or_else(|| "/artifacts/-/search".to_owned(), |head| head.path("search"));
    let mut search = SearchedArtifacts::of(granted, at);
    if repository.is_some() {
        search.repo = String::new();
    }
    let typed = PageForm::of_query(&granted.parameters());
    let (found, offered, filters, form) = match find(granted, repository, &search).await {
        Ok((found, offered, filters)) => (found, offered, filters, FormState::default()),
        Err(error) => {
            let form = FormState::refused(&typed, error, &["name", "version", "path", "repo", "p"])?;
            (ArtifactSearchAnswer::default(), Vec::new(), String::new(), form)
        }
    };
    let shell = Shell::of(granted, "artifacts").await;
    let most_files = granted.request.live.registry.artifact_search.max_files as u64;
    let template = ArtifactSearchTemplate { shell, head, search, form, found, offered, most_files, filters };
    page(template.form.status(), &template)
}

type Found = (ArtifactSearchAnswer, Vec<ArtifactPropertyItem>, String);

async fn find(
    granted: &Granted,
    repository: Option<&ArtifactRepositoryName>,
    search: &SearchedArtifacts,
) -> Result<Found, ServiceError> {
    let own = search.filters()?;
    let mut query: Vec<(&str, &str)> = own.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let as_text = form_urlencoded::Serializer::new(String::new()).extend_pairs(&query).finish();
    query.extend(repository.map(|name| ("repo", name.as_str())));
    let mut of_properties = query.clone();
    of_properties.push(("values", OFFERED));
    let (sort, order) = search.order();
    query.extend([("sort", sort), ("order", order), ("limit", ON_A_PAGE), ("offset", &search.offset)]);
    let found = ManageEndpoint::ArtifactSearch(ArtifactSearchEndpoint::Search);
    let found = granted.ask(found, &query).await?;
    let offered = ManageEndpoint::ArtifactSearch(ArtifactSearchEndpoint::Properties);
    let offered: Page<ArtifactPropertyItem> = granted.ask(offered, &of_properties).await?;
    Ok((found, offered.items, as_text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_keep_the_search() {
        let search = SearchedArtifacts {
            at: "/artifacts/b/-/search".to_owned(),
            version: "1.*".to_owned(),
            properties: vec!["os=linux".to_owned(), "note=a&b".to_owned()],
            offset: "50".to_owned(),
            ..SearchedArtifacts::default()
        };
        assert_eq!(search.without("os=linux"), "/artifacts/b/-/search?version=1.*&p=note%3Da%26b");
        assert_eq!(search.sorted("size"), "/artifacts/b/-/search?version=1.*&p=os%3Dlinux&p=note%3Da%26b&sort=size");
        assert_eq!(search.with("os", "linux"), search.at_offset(0), "a filter is there once");
        let filters: Vec<_> = search.filters().unwrap();
        assert_eq!(filters[2], ("property.note".to_owned(), "a&b".to_owned()));
        let wrong = SearchedArtifacts { properties: vec!["linux".to_owned()], ..search };
        assert!(wrong.filters().is_err());
    }
}
