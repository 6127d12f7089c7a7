//! The registry itself: health, configuration, storage, tasks.

use super::{
    super::{
        error::ServiceError,
        gate::Granted,
        manage::{ConfigEndpoint, ManageEndpoint, StorageEndpoint, SystemEndpoint, TaskEndpoint},
    },
    markup,
    shell::{Shell, page},
};
use crate::wire::ResponseBody;
use api::{
    Page,
    audit::AuditEntry,
    config::ConfigStatus,
    system::SystemInfo,
    tasks::{QuotaUsage, StorageUsage, Task, UploadSummary},
};
use askama::Template;
use http::{Response, StatusCode};

/// Tasks, uploads and changes that are shown.
const SHOWN: &str = "20";

#[derive(Template)]
#[template(path = "system.html")]
struct SystemTemplate {
    shell: Shell,
    system: SystemInfo,
    config: Option<ConfigStatus>,
    storage: Option<StorageUsage>,
    quotas: Vec<QuotaUsage>,
    uploads: Option<Vec<UploadSummary>>,
    tasks: Option<Vec<Task>>,
    audit: Option<Vec<AuditEntry>>,
}

impl SystemTemplate {
    fn status(&self, task: &Task) -> String {
        serde_json::to_value(task.status).ok().and_then(|word| Some(word.as_str()?.to_owned())).unwrap_or_default()
    }

    fn stats(&self, task: &Task) -> String {
        let stats = task.stats.as_ref().and_then(|stats| stats.as_object());
        let text = |(name, value): (&String, &serde_json::Value)| {
            Some(format!("{} {}", name.replace('_', " "), value.as_u64().filter(|n| *n > 0)?))
        };
        stats.into_iter().flatten().filter_map(text).collect::<Vec<_>>().join(", ")
    }
}

pub(super) async fn show(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let some = [("n", SHOWN)];
    let system = granted.ask(ManageEndpoint::System(SystemEndpoint::Show), &[]).await?;
    let config = granted.ask_if_allowed(ManageEndpoint::Config(ConfigEndpoint::Show), &[]).await?;
    let storage = granted.ask_if_allowed(ManageEndpoint::Storage(StorageEndpoint::Usage), &[]).await?;
    let quotas: Option<Page<QuotaUsage>> =
        granted.ask_if_allowed(ManageEndpoint::Storage(StorageEndpoint::Quotas), &[]).await?;
    let uploads: Option<Page<UploadSummary>> =
        granted.ask_if_allowed(ManageEndpoint::Storage(StorageEndpoint::Uploads), &some).await?;
    let tasks: Option<Page<Task>> = granted.ask_if_allowed(ManageEndpoint::Task(TaskEndpoint::List), &some).await?;
    let audit: Option<Page<AuditEntry>> =
        granted.ask_if_allowed(ManageEndpoint::Config(ConfigEndpoint::Audit), &some).await?;
    let template = SystemTemplate {
        shell: Shell::of(granted, "system"),
        system,
        config,
        storage,
        quotas: quotas.map(|page| page.items).unwrap_or_default(),
        uploads: uploads.map(|page| page.items),
        tasks: tasks.map(|page| page.items),
        audit: audit.map(|page| page.items),
    };
    page(StatusCode::OK, &template)
}
