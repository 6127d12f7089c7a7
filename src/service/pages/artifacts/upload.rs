//! Uploads from a browser: the script of the page sends files in chunks, and continues after an interruption.

use super::{
    super::{
        super::{error::ServiceError, gate::Granted},
        commands::ToolCommand,
        markup,
        shell::{Shell, page},
    },
    commands,
    head::ArtifactHead,
};
use crate::{artifacts::ArtifactRepositoryName, who::Permission, wire::ResponseBody};
use askama::Template;
use http::{Response, StatusCode};

#[derive(Template)]
#[template(path = "artifact_upload.html")]
struct ArtifactUploadTemplate {
    shell: Shell,
    head: ArtifactHead,
    version: String,
    under: String,
    most: u64,
    commands: Vec<ToolCommand>,
}

pub(super) async fn show(
    granted: &Granted,
    name: &ArtifactRepositoryName,
) -> Result<Response<ResponseBody>, ServiceError> {
    let head = ArtifactHead::of(granted, name, "upload").await?;
    if !head.may_upload {
        return Err(granted.lacks(Permission::UPLOAD_ARTIFACT));
    }
    let parameters = granted.parameters();
    let given = |name: &str| parameters.first(name).unwrap_or_default().to_owned();
    let shell = Shell::of(granted, "artifacts").await;
    page(
        StatusCode::OK,
        &ArtifactUploadTemplate {
            commands: commands::upload(granted, &shell, &head.item.name),
            version: given("version"),
            under: given("under"),
            most: granted.request.live.registry.artifacts.file_bytes,
            shell,
            head,
        },
    )
}
