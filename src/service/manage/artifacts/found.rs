//! The endpoints that find artifacts: search, download of what a search finds, what a repository holds, and the plan of
//! retention.

use super::super::super::{
    answer::Answering,
    endpoint::{Family, Methods, Need, RequestLine},
    error::{ApiError, FieldProblem, ServiceError},
    gate::Granted,
};
use super::{
    super::operation::{AnswerShape, Operation},
    browse, download, plan, search,
};
use crate::{
    artifacts::{ArtifactRepositoryName, InvalidQuery},
    who::Permission,
};
use api::artifact_search::{
    ArtifactEntryItem, ArtifactPlanItem, ArtifactPropertyItem, ArtifactRetentionRules, ArtifactSearchAnswer,
    ArtifactVersionItem,
};

/// The filters of a search, and what else its query has.
const SEARCH: &[(&str, &str)] = &[
    ("repo", "Name of the artifact repository; `*` and `%` match any text here and in the three below."),
    ("name", "Name of the file."),
    ("version", "Version, or `latest` for the newest one that the other filters match in each repository."),
    ("path", "Path within the version."),
    ("id", "ID of an artifact; several are found if it is repeated."),
    ("q", "A text that is part of the name, the path, the version or the value of a property."),
    (
        "property",
        "Properties: any other key, or `property.KEY`, with its exact value. A repeated key finds any of its values.",
    ),
    ("sort", "`name`, `version`, `path`, `size`, `created_at` or `updated_at`."),
    ("order", "`asc` or `desc`."),
    ("limit", "Maximum number of results; `num` is the same."),
    ("offset", "Results to leave out before the first."),
];

const DOWNLOAD: &[(&str, &str)] = &[
    ("version", "Filters as in a search: this one and `name`, `path`, `q` and properties."),
    ("num", "How many files at most, the newest first unless `sort` and `order` say otherwise; all if not set."),
    ("archive", "`1` packs a single file, too."),
    ("format", "`zip` or `tar.gz`."),
    ("flat", "`1` leaves out versions and directories."),
];

const PLAN: &[(&str, &str)] = &[
    ("n", "Maximum number of items."),
    ("last", "Start after this item: `next` of the page before."),
    ("rules", "Rules of the repository, as JSON, in place of those that it has: what would they do?"),
];

const VERSIONS: &[(&str, &str)] = &[
    ("n", "Maximum number of items."),
    ("last", "Start after this item: `next` of the page before."),
    ("q", "Only versions that contain this."),
];

const FILES: &[(&str, &str)] = &[
    ("n", "Maximum number of items."),
    ("last", "Start after this item: `next` of the page before."),
    ("version", "The version; required."),
    ("under", "The path of the directory; the version itself if not set."),
    ("path", "Only artifacts with exactly this path: its variants, newest first."),
];

const PROPERTIES: &[(&str, &str)] = &[
    ("version", "Filters as in a search: this one and `repo`, `name`, `path`, `id`, `q` and properties."),
    ("key", "Only this property."),
    ("like", "Only values that contain this text."),
    ("values", "Maximum number of values of each property, at most 100."),
];

pub(in super::super) const OPERATIONS: &[Operation] = &[
    Operation::get::<ArtifactSearchAnswer>("/artifacts/search", "search_artifacts", "Search for artifacts.")
        .with_query(SEARCH),
    Operation::of(
        "GET",
        "/artifacts/{repo}/query",
        "query_artifacts",
        "Download what a search finds: the file itself if it is one, or an archive.",
        AnswerShape::Other("application/octet-stream"),
        200,
    )
    .with_query(DOWNLOAD)
    .refuses(&[404]),
    Operation::list::<ArtifactPlanItem>(
        "/artifacts/repos/{repo}/retention/plan",
        "plan_artifact_retention",
        "Show which artifacts retention would delete now.",
    )
    .with_query(PLAN)
    .refuses(&[404]),
    Operation::get::<ArtifactRetentionRules>(
        "/artifacts/repos/{repo}/retention",
        "show_artifact_retention",
        "Show the rules of retention that apply to a repository.",
    ),
    Operation::list::<ArtifactVersionItem>(
        "/artifacts/repos/{repo}/versions",
        "list_artifact_version_totals",
        "List versions, newest first, with what each holds.",
    )
    .with_query(VERSIONS),
    Operation::list::<ArtifactEntryItem>(
        "/artifacts/repos/{repo}/files",
        "list_artifact_files",
        "List what is in a directory of a version: directories first, then artifacts.",
    )
    .with_query(FILES),
    Operation::list::<ArtifactPropertyItem>(
        "/artifacts/properties",
        "list_artifact_properties",
        "List properties with their most frequent values, to suggest filters.",
    )
    .with_query(PROPERTIES),
];

/// A request that finds artifacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArtifactSearchEndpoint {
    /// `GET /artifacts/search`.
    Search,
    /// `GET /artifacts/{repo}/query`.
    Download(ArtifactRepositoryName),
    /// `GET /artifacts/repos/{repo}/retention/plan`.
    Plan(ArtifactRepositoryName),
    /// `GET /artifacts/repos/{repo}/retention`.
    Retention(ArtifactRepositoryName),
    /// `GET /artifacts/repos/{repo}/versions`.
    Versions(ArtifactRepositoryName),
    /// `GET /artifacts/repos/{repo}/files`.
    Files(ArtifactRepositoryName),
    /// `GET /artifacts/properties`.
    Properties,
}

impl ArtifactSearchEndpoint {
    /// Whether a path is one of these.
    pub(in super::super) fn is_at(segments: &[&str]) -> bool {
        matches!(
            segments,
            ["artifacts", "search" | "properties"]
                | ["artifacts", _, "query"]
                | ["artifacts", "repos", _, "retention" | "versions" | "files"]
                | ["artifacts", "repos", _, "retention", "plan"]
        )
    }

    pub(in super::super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        if !line.is_read() {
            return Err(ServiceError::MethodNotAllowed(Methods::READ));
        }
        let name = |text: &str| text.parse().map_err(|_| ServiceError::from(ApiError::NotFound));
        match line.segments {
            ["artifacts", "search"] => Ok(Self::Search),
            ["artifacts", "properties"] => Ok(Self::Properties),
            ["artifacts", repository, "query"] => Ok(Self::Download(name(repository)?)),
            ["artifacts", "repos", repository, "retention", "plan"] => Ok(Self::Plan(name(repository)?)),
            ["artifacts", "repos", repository, "retention"] => Ok(Self::Retention(name(repository)?)),
            ["artifacts", "repos", repository, "versions"] => Ok(Self::Versions(name(repository)?)),
            ["artifacts", "repos", repository, "files"] => Ok(Self::Files(name(repository)?)),
            _ => Err(ApiError::NotFound.into()),
        }
    }
}

impl From<InvalidQuery> for ServiceError {
    fn from(invalid: InvalidQuery) -> Self {
        ApiError::invalid(FieldProblem::new(invalid.key, invalid.problem)).into()
    }
}

impl Family for ArtifactSearchEndpoint {
    fn name(&self) -> &'static str {
        match self {
            Self::Search => "search_artifacts",
            Self::Download(_) => "query_artifacts",
            Self::Plan(_) => "plan_artifact_retention",
            Self::Retention(_) => "show_artifact_retention",
            Self::Versions(_) => "list_artifact_version_totals",
            Self::Files(_) => "list_artifact_files",
            Self::Properties => "list_artifact_properties",
        }
    }

    fn needs(&self) -> Need<'_> {
        match self {
            Self::Search | Self::Properties => Need::Sight,
            Self::Download(repository) => Need::Artifacts(repository, Permission::DOWNLOAD_ARTIFACT),
            Self::Plan(repository)
            | Self::Retention(repository)
            | Self::Versions(repository)
            | Self::Files(repository) => Need::Artifacts(repository, Permission::VIEW_ARTIFACT),
        }
    }

    fn methods(&self) -> Methods {
        Methods::READ
    }

    fn serve(self, granted: Granted) -> Answering {
        Box::pin(async move {
            match self {
                Self::Search => search::search(&granted).await,
                Self::Download(repository) => download::download(granted, &repository).await,
                Self::Plan(repository) => plan::plan(&granted, &repository).await,
                Self::Retention(repository) => plan::rules(&granted, &repository).await,
                Self::Versions(repository) => browse::versions(&granted, &repository).await,
                Self::Files(repository) => browse::files(&granted, &repository).await,
                Self::Properties => browse::properties(&granted).await,
            }
        })
    }
}
