//! Several artifacts that are deleted at once, after one question.

use super::{
    super::{
        super::{
            error::{ApiError, ServiceError},
            gate::Granted,
            manage::{ArtifactEndpoint, ManageEndpoint},
        },
        acts::NO_BODY,
        form::PageForm,
        markup,
        shell::{Shell, go_to, page},
    },
    head::ArtifactHead,
};
use crate::{
    artifacts::{ArtifactId, ArtifactRepositoryName},
    wire::ResponseBody,
};
use api::{FieldProblem, artifacts::ArtifactInfo};
use askama::Template;
use http::{Method, Response, StatusCode};

/// Artifacts that one form deletes: those of a page that shows the most of them.
const MOST: usize = 200;

#[derive(Template)]
#[template(path = "artifact_removal.html")]
struct RemovalTemplate {
    shell: Shell,
    head: ArtifactHead,
    /// What is there of it.
    artifacts: Vec<ArtifactInfo>,
    bytes: u64,
    /// Those that do not exist any more.
    missing: usize,
    /// Those that were deleted before one could not be.
    deleted: usize,
    /// Why not.
    error: String,
}

/// Asks whether to delete the artifacts that the address names.
pub(super) async fn show(
    granted: &Granted,
    name: &ArtifactRepositoryName,
) -> Result<Response<ResponseBody>, ServiceError> {
    let ids = ids(granted.parameters().all("id").map(str::to_owned).collect())?;
    ask(granted, name, ids, 0, None).await
}

async fn ask(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    ids: Vec<ArtifactId>,
    deleted: usize,
    error: Option<ServiceError>,
) -> Result<Response<ResponseBody>, ServiceError> {
    let head = ArtifactHead::of(granted, name, "versions").await?;
    let (mut artifacts, mut missing) = (Vec::new(), 0);
    for id in ids {
        let one = ManageEndpoint::Artifact(ArtifactEndpoint::Show(name.clone(), id));
        match granted.ask::<ArtifactInfo>(one, &[]).await {
            Ok(artifact) => artifacts.push(artifact),
            Err(error) if error.row().status == StatusCode::NOT_FOUND => missing += 1,
            Err(error) => return Err(error),
        }
    }
    let status = error.as_ref().map_or(StatusCode::OK, |error| error.row().status);
    let shell = Shell::of(granted, "artifacts").await;
    let bytes = artifacts.iter().map(|artifact| artifact.size).sum();
    let error = error.map(|error| error.message()).unwrap_or_default();
    page(status, &RemovalTemplate { shell, head, artifacts, bytes, missing, deleted, error })
}

/// Deletes the artifacts that a form names. What is gone already is no reason to stop; what may not be deleted is.
pub(super) async fn perform(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let ids = ids(fields.all("id"))?;
    let mut deleted = 0;
    for (at, id) in ids.iter().enumerate() {
        let delete = ManageEndpoint::Artifact(ArtifactEndpoint::DeleteOne(name.clone(), *id));
        match granted.act(delete, Method::DELETE, &[], None, NO_BODY).await {
            Ok(_) => deleted += 1,
            Err(error) if error.row().status == StatusCode::NOT_FOUND => {}
            Err(error) => return ask(granted, name, ids[at..].to_vec(), deleted, Some(error)).await,
        }
    }
    Ok(go_to(&format!("/artifacts/{name}?done=artifacts-deleted&n_done={deleted}")))
}

fn ids(texts: Vec<String>) -> Result<Vec<ArtifactId>, ServiceError> {
    let wrong = |problem: String| ServiceError::from(ApiError::invalid(FieldProblem::new("id", problem)));
    match texts.len() {
        0 => Err(wrong("select at least one file".to_owned())),
        n if n > MOST => Err(wrong(format!("has {n} files; at most {MOST} are deleted at once"))),
        _ => texts.iter().map(|text| super::parsed(text)).collect(),
    }
}
