//! What a repository holds: its versions, and the directories of a version.

use super::{
    super::{
        super::{
            error::{ApiError, ServiceError},
            gate::Granted,
            manage::{ArtifactSearchEndpoint, ManageEndpoint},
        },
        commands::ToolCommand,
        markup,
        shell::{Shell, page},
    },
    commands,
    head::ArtifactHead,
};
use crate::{
    artifacts::{ArtifactPath, ArtifactRepositoryName, ArtifactVersion},
    wire::ResponseBody,
};
use api::{
    Page,
    artifact_search::{ArtifactEntryItem, ArtifactVersionItem},
};
use askama::Template;
use http::{Response, StatusCode};

/// Rows on a page.
const ON_A_PAGE: &str = "100";

#[derive(Template)]
#[template(path = "artifact_versions.html")]
struct VersionsTemplate {
    shell: Shell,
    head: ArtifactHead,
    q: String,
    versions: Vec<ArtifactVersionItem>,
    largest: u64,
    commands: Vec<ToolCommand>,
    next: Option<String>,
    is_first: bool,
}

fn with(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs.iter().filter(|(_, value)| !value.is_empty()));
    match query.finish().as_str() {
        "" => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

pub(super) async fn versions(
    granted: &Granted,
    name: &ArtifactRepositoryName,
) -> Result<Response<ResponseBody>, ServiceError> {
    let head = ArtifactHead::of(granted, name, "versions").await?;
    let parameters = granted.parameters();
    let given = |name: &str| parameters.first(name).unwrap_or_default().to_owned();
    let (q, last) = (given("q"), given("last"));
    let list = ManageEndpoint::ArtifactSearch(ArtifactSearchEndpoint::Versions(name.clone()));
    let found: Page<ArtifactVersionItem> = match head.may_view {
        true => granted.ask(list, &[("n", ON_A_PAGE), ("q", &q), ("last", &last)]).await?,
        false => Page::new(Vec::new(), None),
    };
    let shell = Shell::of(granted, "artifacts").await;
    page(
        StatusCode::OK,
        &VersionsTemplate {
            largest: found.items.iter().map(|item| item.size).max().unwrap_or_default(),
            commands: commands::upload(granted, &shell, &head.item.name),
            next: found.next.map(|next| with(&head.path(""), &[("q", &q), ("last", &next)])),
            versions: found.items,
            is_first: last.is_empty(),
            shell,
            head,
            q,
        },
    )
}

#[derive(Template)]
#[template(path = "artifact_directory.html")]
struct DirectoryTemplate {
    shell: Shell,
    head: ArtifactHead,
    version: String,
    /// The directory, without slashes around it.
    under: String,
    /// The directories that it is in, each with its name and path.
    parents: Vec<(String, String)>,
    entries: Vec<ArtifactEntryItem>,
    largest: u64,
    next: Option<String>,
    is_first: bool,
}

impl DirectoryTemplate {
    /// The page of an artifact: that of its path, unless others have the same.
    fn file(&self, entry: &ArtifactEntryItem) -> String {
        match &entry.artifact {
            Some(artifact) if self.entries.iter().filter(|other| other.path == entry.path).count() > 1 => {
                super::page_of(artifact)
            }
            _ => self.head.file(&self.version, &entry.path),
        }
    }

    /// The page that uploads into this directory.
    fn upload(&self) -> String {
        with(&self.head.path("upload"), &[("version", &self.version), ("under", &self.under)])
    }

    /// Everything in this directory as an archive.
    fn archive(&self, format: &str) -> String {
        let path = if self.under.is_empty() { String::new() } else { format!("{}/*", self.under) };
        let pairs = [("version", self.version.as_str()), ("path", &path), ("archive", "1"), ("format", format)];
        with(&format!("/api/v1/artifacts/{}/query", self.head.item.name), &pairs)
    }
}

pub(super) async fn directory(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    version: &ArtifactVersion,
    under: Option<&ArtifactPath>,
) -> Result<Response<ResponseBody>, ServiceError> {
    let head = ArtifactHead::of(granted, name, "versions").await?;
    let last = granted.parameters().first("last").unwrap_or_default().to_owned();
    let under = under.map(ToString::to_string).unwrap_or_default();
    let list = ManageEndpoint::ArtifactSearch(ArtifactSearchEndpoint::Files(name.clone()));
    let query = [("version", version.as_str()), ("under", &under), ("n", ON_A_PAGE), ("last", &last)];
    let found: Page<ArtifactEntryItem> = granted.ask(list, &query).await?;
    if found.items.is_empty() && last.is_empty() {
        return Err(ApiError::NotFound.into());
    }
    let path = head.directory(version.as_str(), &under);
    let ends = under.match_indices('/').map(|(at, _)| at).chain((!under.is_empty()).then_some(under.len()));
    let parent = |end: usize| {
        let path = &under[..end];
        (path.rsplit('/').next().unwrap_or_default().to_owned(), path.to_owned())
    };
    page(
        StatusCode::OK,
        &DirectoryTemplate {
            shell: Shell::of(granted, "artifacts").await,
            largest: found.items.iter().map(|item| item.size).max().unwrap_or_default(),
            next: found.next.map(|next| with(&path, &[("last", &next)])),
            entries: found.items,
            is_first: last.is_empty(),
            version: version.to_string(),
            parents: ends.map(parent).collect(),
            under: under.clone(),
            head,
        },
    )
}
