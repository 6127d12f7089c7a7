//! The endpoints that find artifacts: search, download of what a search finds, and the plan of retention.

use super::super::super::{
    answer::Answering,
    endpoint::{Family, Methods, Need, RequestLine},
    error::{ApiError, FieldProblem, ServiceError},
    gate::Granted,
};
use super::{
    super::operation::{AnswerShape, Operation},
    download, plan, search,
};
use crate::{
    artifacts::{ArtifactRepositoryName, InvalidQuery},
    who::Permission,
};
use api::artifact_search::{ArtifactPlanItem, ArtifactSearchAnswer};

/// The filters of a search, and what else its query has.
const SEARCH: &[(&str, &str)] = &[
    ("repo", "Name of the artifact repository; `*` and `%` match any text here and in the three below."),
    ("name", "Name of the file."),
    ("version", "Version, or `latest` for the newest one that the other filters match in each repository."),
    ("path", "Path within the version."),
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
    .refuses(&[404]),
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
}

impl ArtifactSearchEndpoint {
    /// Whether a path is one of these.
    pub(in super::super) fn is_at(segments: &[&str]) -> bool {
        matches!(
            segments,
            ["artifacts", "search"] | ["artifacts", _, "query"] | ["artifacts", "repos", _, "retention", "plan"]
        )
    }

    pub(in super::super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        if !line.is_read() {
            return Err(ServiceError::MethodNotAllowed(Methods::READ));
        }
        let name = |text: &str| text.parse().map_err(|_| ServiceError::from(ApiError::NotFound));
        match line.segments {
            ["artifacts", "search"] => Ok(Self::Search),
            ["artifacts", repository, "query"] => Ok(Self::Download(name(repository)?)),
            ["artifacts", "repos", repository, "retention", "plan"] => Ok(Self::Plan(name(repository)?)),
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
        }
    }

    fn needs(&self) -> Need<'_> {
        match self {
            Self::Search => Need::Sight,
            Self::Download(repository) => Need::Artifacts(repository, Permission::DOWNLOAD_ARTIFACT),
            Self::Plan(repository) => Need::Artifacts(repository, Permission::VIEW_ARTIFACT),
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
            }
        })
    }
}
