//! Downloads what a search finds in one repository: the file itself, or an archive.

use super::{
    super::super::{
        error::{ApiError, FieldProblem, ServiceError},
        gate::Granted,
        headers::{REVALIDATE, value},
    },
    archive::archive_body,
    file,
    search::{deadline, reader},
};
use crate::{
    artifacts::{
        ArchiveFormat, Artifact, ArtifactOrder, ArtifactRepositoryName, DownloadQuery,
        archive::{ArchiveEntry, ArchiveWriter, entry_names},
    },
    registry::artifacts::ArtifactRepository,
    wire::ResponseBody,
};
use http::{HeaderValue, Response, header};
use oci::order::by_version;

/// `GET /artifacts/{repo}/query`.
pub(super) async fn download(
    granted: Granted,
    name: &ArtifactRepositoryName,
) -> Result<Response<ResponseBody>, ServiceError> {
    let query = DownloadQuery::parse(granted.request.head.uri.query().unwrap_or_default())?;
    let repository = granted.registry().artifacts(name);
    let mut artifacts = found(&granted, &repository, &query).await?;
    match artifacts.as_slice() {
        [] => Err(ApiError::NotFound.into()),
        [_] if !query.archive => match artifacts.pop() {
            Some(artifact) => file::send(&granted, name, &artifact).await,
            None => Err(ApiError::NotFound.into()),
        },
        _ => Ok(archive(&granted, repository, artifacts, &query)),
    }
}

/// The artifacts that are wanted, in the order of an archive.
async fn found(
    granted: &Granted,
    repository: &ArtifactRepository,
    query: &DownloadQuery,
) -> Result<Vec<Artifact>, ServiceError> {
    let DownloadQuery { query, .. } = query;
    let Some(origin) = repository.facts().await?.origin else { return Err(ApiError::NotFound.into()) };
    if !query.filters.may_be_in(repository.name().as_str()) {
        return Ok(Vec::new());
    }
    let most = granted.request.live.registry.artifact_search.max_files;
    let wanted = query.limit.unwrap_or(usize::MAX);
    let (filters, order) = (query.filters.clone(), query.order(ArtifactOrder::default()));
    let (offset, first) = (query.offset, query.offset + wanted.min(most));
    let reader = reader(repository, &origin, deadline()).await?;
    let found = reader.work(move |index| index.search(&filters, order, first)).await?;
    let count = found.total.saturating_sub(offset).min(wanted);
    if count > most {
        let problem = format!("{count} files match, and an archive has at most {most}: add filters, or a smaller num");
        return Err(ApiError::invalid(FieldProblem::new("num", problem)).into());
    }
    let mut artifacts = Vec::with_capacity(count);
    for one in found.first.iter().skip(offset) {
        // It may have been deleted meanwhile.
        artifacts.extend(repository.stored(&one.version, &one.id).await?.map(|stored| stored.artifact));
    }
    artifacts.sort_by(|a, b| {
        by_version(a.version.as_str(), b.version.as_str()).then_with(|| (&a.path, a.id).cmp(&(&b.path, b.id)))
    });
    Ok(artifacts)
}

fn archive(
    granted: &Granted,
    repository: ArtifactRepository,
    artifacts: Vec<Artifact>,
    query: &DownloadQuery,
) -> Response<ResponseBody> {
    let names = entry_names(&artifacts, query.flat);
    let entries = names.into_iter().zip(&artifacts).map(|(name, artifact)| ArchiveEntry {
        name,
        size: artifact.size,
        modified: artifact.created,
    });
    let writer = ArchiveWriter::new(query.format, entries.collect());
    let file_name = format!("{}-artifacts.{}", repository.name(), query.format.as_str());
    let outbox = granted.request.conn.as_ref().map(|conn| conn.outbox.clone());
    let mut response = Response::new(archive_body(writer, repository, artifacts, outbox));
    let media_type = match query.format {
        ArchiveFormat::Zip => "application/zip",
        ArchiveFormat::TarGz => "application/gzip",
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CONTENT_DISPOSITION, value(format!("attachment; filename=\"{file_name}\"")));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    headers.insert(header::CACHE_CONTROL, REVALIDATE);
    response
}
