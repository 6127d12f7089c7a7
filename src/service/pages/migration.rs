//! Images that are copied from other registries: a form to start with, what is in progress, what was.

use super::{
    super::{
        error::ServiceError,
        gate::Granted,
        manage::{ManageEndpoint, MigrationEndpoint, TaskEndpoint},
        query::encode,
    },
    acts::NO_BODY,
    form::PageForm,
    form_state::FormState,
    markup,
    shell::{Shell, go_to, page},
    tasks,
};
use crate::wire::ResponseBody;
use api::{
    Page,
    migration::{
        BrowseAnswer, BrowseRequest, MigratedImage, MigrationProgress, MigrationRequest, OnImageError, ResumeRequest,
    },
    tasks::{Task, TaskStarted},
};
use askama::Template;
use http::{Method, Response, StatusCode};
use ulid::Ulid;

/// Migrations on the page.
const SHOWN: &str = "50";

/// Images on a page of one migration.
const IMAGES: &str = "100";

/// The fields of the form, as the API calls them.
const FIELDS: [&str; 7] =
    ["source_registry", "images", "username", "password", "credentials_ref", "target_prefix", "platforms"];

/// What is in another registry.
#[derive(Default)]
pub(super) struct BrowsedNames {
    names: Vec<String>,
    /// The repository whose tags these are.
    repository: Option<String>,
    /// There are more than these.
    has_more: bool,
    error: String,
}

#[derive(Template)]
#[template(path = "migrations.html")]
struct MigrationsTemplate {
    shell: Shell,
    form: FormState,
    browsed: Option<BrowsedNames>,
    items: Vec<Task>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "migration.html")]
struct MigrationTemplate {
    shell: Shell,
    task: Task,
    migration: MigrationProgress,
    status: String,
    form: FormState,
    images: Vec<MigratedImage>,
    filter: String,
    next: Option<String>,
}

impl MigrationsTemplate {
    fn status(&self, task: &Task) -> String {
        tasks::word(task).replace('_', " ")
    }

    /// The name of a repository or of one of its tags, as it is copied.
    fn picked(&self, name: &str) -> String {
        let browsed = self.browsed.as_ref().and_then(|browsed| browsed.repository.as_ref());
        browsed.map_or_else(|| name.to_owned(), |repository| format!("{repository}:{name}"))
    }
}

impl MigrationTemplate {
    fn is_open(&self) -> bool {
        matches!(self.status.as_str(), "pending" | "running")
    }

    fn done(&self, image: &MigratedImage) -> u64 {
        image.bytes_fetched.saturating_add(image.bytes_skipped)
    }

    /// How long the rest of an image takes at its present speed.
    fn left(&self, image: &MigratedImage) -> String {
        match image.bytes_remaining.checked_div(image.bytes_per_second) {
            Some(seconds) => format!("{} left", markup::wait(seconds)),
            None => String::new(),
        }
    }
}

pub(super) async fn list(
    granted: &Granted,
    form: FormState,
    browsed: Option<BrowsedNames>,
) -> Result<Response<ResponseBody>, ServiceError> {
    let last = granted.parameters().first("last").unwrap_or_default().to_owned();
    let found: Page<Task> =
        granted.ask(ManageEndpoint::Migration(MigrationEndpoint::List), &[("n", SHOWN), ("last", &last)]).await?;
    let next = found.next.map(|next| format!("/migration?last={}", encode(&next)));
    let shell = Shell::of(granted, "migration").await;
    page(form.status(), &MigrationsTemplate { shell, form, browsed, items: found.items, next })
}

pub(super) async fn show(granted: &Granted, id: Ulid, form: FormState) -> Result<Response<ResponseBody>, ServiceError> {
    let task: Task = granted.ask(ManageEndpoint::Task(TaskEndpoint::Show(id)), &[]).await?;
    let Some(migration) = task.migration.clone() else { return Ok(go_to(&format!("/system/tasks/{id}"))) };
    let (last, filter) = {
        let parameters = granted.parameters();
        let of = |name: &str| parameters.first(name).unwrap_or_default().to_owned();
        (of("last"), of("status"))
    };
    let mut query = vec![("n", IMAGES), ("last", last.as_str())];
    if !filter.is_empty() {
        query.push(("status", filter.as_str()));
    }
    let found: Page<MigratedImage> = granted.ask(ManageEndpoint::Task(TaskEndpoint::Images(id)), &query).await?;
    let next = found.next.map(|next| format!("/migration/{id}?status={}&last={}", encode(&filter), encode(&next)));
    let (shell, status) = (Shell::of(granted, "migration").await, tasks::word(&task));
    let template = MigrationTemplate { shell, task, migration, status, form, images: found.items, filter, next };
    page(template.form.status(), &template)
}

/// Starts a migration, or shows what the other registry has.
pub(super) async fn start(granted: &Granted, fields: &PageForm) -> Result<Response<ResponseBody>, ServiceError> {
    if fields.checked("browse") || fields.checked("tags_of") {
        return browse(granted, fields).await;
    }
    let mut images = fields.words("images");
    images.extend(fields.all("pick"));
    let asked = MigrationRequest {
        source_registry: fields.text("source_registry").trim().to_owned(),
        images,
        username: fields.owned("username"),
        password: fields.owned("password"),
        credentials_ref: fields.owned("credentials_ref"),
        target_prefix: fields.owned("target_prefix"),
        platforms: fields.words("platforms"),
        referrers: Some(fields.checked("referrers")),
        overwrite: Some(fields.checked("overwrite")),
        on_error: if fields.checked("stop") { OnImageError::Stop } else { OnImageError::Continue },
        dry_run: fields.checked("dry_run"),
    };
    let start = ManageEndpoint::Migration(MigrationEndpoint::Start);
    match granted.act_for::<TaskStarted>(start, Method::POST, &asked).await {
        Ok(started) => Ok(go_to(&format!("/migration/{}?done=started", started.task_id))),
        Err(error) => list(granted, FormState::refused(fields, error, &FIELDS)?, None).await,
    }
}

async fn browse(granted: &Granted, fields: &PageForm) -> Result<Response<ResponseBody>, ServiceError> {
    let asked = BrowseRequest {
        registry: fields.text("source_registry").trim().to_owned(),
        repository: fields.owned("tags_of"),
        username: fields.owned("username"),
        password: fields.owned("password"),
        credentials_ref: fields.owned("credentials_ref"),
        last: None,
    };
    let browse = ManageEndpoint::Migration(MigrationEndpoint::Browse);
    match granted.act_for::<BrowseAnswer>(browse, Method::POST, &asked).await {
        Ok(found) => {
            let names = found.repositories.or(found.tags).unwrap_or_default();
            let browsed = BrowsedNames {
                names,
                repository: asked.repository,
                has_more: found.next.is_some(),
                error: String::new(),
            };
            list(granted, FormState::kept(fields), Some(browsed)).await
        }
        Err(error) if error.row().status == StatusCode::BAD_GATEWAY => {
            let browsed = BrowsedNames { error: error.message(), ..BrowsedNames::default() };
            list(granted, FormState::kept(fields), Some(browsed)).await
        }
        Err(error) => list(granted, FormState::refused(fields, error, &FIELDS)?, None).await,
    }
}

pub(super) async fn cancel(granted: &Granted, id: Ulid) -> Result<Response<ResponseBody>, ServiceError> {
    granted.act(ManageEndpoint::Task(TaskEndpoint::Cancel(id)), Method::POST, &[], None, NO_BODY).await?;
    Ok(go_to(&format!("/migration/{id}?done=cancelled")))
}

pub(super) async fn resume(
    granted: &Granted,
    id: Ulid,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let asked = ResumeRequest {
        username: fields.owned("username"),
        password: fields.owned("password"),
        credentials_ref: fields.owned("credentials_ref"),
    };
    let resume = ManageEndpoint::Task(TaskEndpoint::Resume(id));
    match granted.act(resume, Method::POST, &[], None, Some(&asked)).await {
        Ok(_) => Ok(go_to(&format!("/migration/{id}?done=resumed"))),
        Err(error) => show(granted, id, FormState::refused(fields, error, &FIELDS)?).await,
    }
}
