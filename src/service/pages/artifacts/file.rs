//! One artifact: what is known of it, how to download it, and the forms that change it.

use super::{
    super::{
        super::{
            error::{ApiError, ServiceError},
            gate::Granted,
            manage::{ArtifactEndpoint, ArtifactSearchEndpoint, ManageEndpoint},
        },
        ask::Answered,
        commands::ToolCommand,
        form_state::FormState,
        markup,
        shell::{Shell, page},
    },
    ArtifactPlace, commands,
    head::ArtifactHead,
};
use crate::wire::ResponseBody;
use api::{Page, artifact_search::ArtifactEntryItem, artifacts::ArtifactInfo};
use askama::Template;
use http::{Response, StatusCode};

/// Variants that are shown.
const VARIANTS: &str = "100";

/// The forms of the page.
#[derive(Default)]
pub(super) struct FileForms {
    pub(super) properties: FormState,
    pub(super) metadata: FormState,
    pub(super) rename: FormState,
    pub(super) deletion: FormState,
}

impl FileForms {
    fn status(&self) -> StatusCode {
        let forms = [&self.properties, &self.metadata, &self.rename, &self.deletion];
        forms.into_iter().find(|form| form.is_refused()).map_or(StatusCode::OK, FormState::status)
    }
}

#[derive(Template)]
#[template(path = "artifact.html")]
struct ArtifactTemplate {
    shell: Shell,
    head: ArtifactHead,
    artifact: ArtifactInfo,
    /// Of what is shown: a change of something else is refused.
    etag: String,
    /// Artifacts with the same version and path; this one, too.
    variants: Vec<ArtifactInfo>,
    /// The directories that it is in, each with its name and path.
    parents: Vec<(String, String)>,
    commands: Vec<ToolCommand>,
    /// Its properties, one on a line.
    properties: String,
    metadata: String,
    trash_hours: u64,
    forms: FileForms,
}

impl ArtifactTemplate {
    /// Its bytes, by their ID: others may have the same path.
    fn download(&self) -> String {
        format!("/api/v1/artifacts/{}/query?id={}", self.artifact.repo, self.artifact.id)
    }

    /// Where a form about it is sent to.
    fn form(&self, what: &str) -> String {
        let (version, path) = (super::segment(&self.artifact.version), super::segments(&self.artifact.path));
        self.head.path(&format!("{what}/{version}/{path}"))
    }
}

pub(super) async fn show(
    granted: &Granted,
    place: &ArtifactPlace,
    forms: FileForms,
) -> Result<Response<ResponseBody>, ServiceError> {
    let ArtifactPlace { repository, version, path } = place;
    let head = ArtifactHead::of(granted, repository, "versions").await?;
    let list = ManageEndpoint::ArtifactSearch(ArtifactSearchEndpoint::Files(repository.clone()));
    let query = [("version", version.as_str()), ("path", path.as_str()), ("n", VARIANTS)];
    let found: Page<ArtifactEntryItem> = granted.ask(list, &query).await?;
    let variants: Vec<_> = found.items.into_iter().filter_map(|entry| entry.artifact).collect();
    let parameters = granted.parameters();
    let id = match parameters.first("id") {
        Some(id) => id.to_owned(),
        None => variants.first().map(|newest| newest.id.clone()).ok_or(ApiError::NotFound)?,
    };
    let show = ArtifactEndpoint::Show(repository.clone(), super::parsed(&id)?);
    let Answered { content: artifact, etag } =
        granted.ask_tagged::<ArtifactInfo>(ManageEndpoint::Artifact(show), &[]).await?;
    // The ID of something that is elsewhere now.
    if (artifact.version.as_str(), artifact.path.as_str()) != (version.as_str(), path.as_str()) {
        return Err(ApiError::NotFound.into());
    }
    let shell = Shell::of(granted, "artifacts").await;
    let text = path.as_str();
    let parent = |(end, _): (usize, &str)| {
        let path = &text[..end];
        (path.rsplit('/').next().unwrap_or_default().to_owned(), path.to_owned())
    };
    let lines = artifact.properties.iter().map(|(key, value)| format!("{key}={value}\n"));
    page(
        forms.status(),
        &ArtifactTemplate {
            commands: commands::download(granted, &shell, &artifact, variants.len()),
            parents: text.match_indices('/').map(parent).collect(),
            properties: lines.collect(),
            metadata: match artifact.metadata.is_empty() {
                true => String::new(),
                false => serde_json::to_string_pretty(&artifact.metadata).unwrap_or_default(),
            },
            trash_hours: granted.request.live.registry.artifacts.trash.as_secs() / 3600,
            shell,
            head,
            artifact,
            etag,
            variants,
            forms,
        },
    )
}
