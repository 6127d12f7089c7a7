//! The registry itself: health, configuration, storage, tasks.

use super::{
    super::{
        error::ServiceError,
        gate::Granted,
        manage::{ConfigEndpoint, ManageEndpoint, StorageEndpoint, SystemEndpoint, TaskEndpoint},
    },
    markup,
    shell::{Shell, page},
    tasks::{self, ResultLine},
};
use crate::wire::ResponseBody;
use api::{
    Page,
    audit::AuditEntry,
    config::ConfigStatus,
    outbox::OutboxReport,
    system::SystemInfo,
    tasks::{QuotaUsage, StorageUsage, Task, UploadSummary},
};
use askama::Template;
use http::{Response, StatusCode};
use serde_json::Value;

/// Tasks, uploads and changes that are shown.
const SHOWN: &str = "20";

#[derive(Template)]
#[template(path = "system.html")]
struct SystemTemplate {
    shell: Shell,
    system: SystemInfo,
    config: Option<ConfigStatus>,
    storage: Option<StorageUsage>,
    outbox: Option<OutboxReport>,
    quotas: Vec<QuotaUsage>,
    uploads: Option<Vec<UploadSummary>>,
    tasks: Option<Vec<Task>>,
    audit: Option<Vec<AuditEntry>>,
    last_collection: Vec<ResultLine>,
}

impl SystemTemplate {
    fn status(&self, task: &Task) -> String {
        tasks::word(task)
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
    let has_outbox = granted.request.state.outbox.is_some();
    let outbox = match has_outbox {
        true => granted.ask_if_allowed(ManageEndpoint::Storage(StorageEndpoint::Outbox), &[]).await?,
        false => None,
    };
    let quotas: Option<Page<QuotaUsage>> =
        granted.ask_if_allowed(ManageEndpoint::Storage(StorageEndpoint::Quotas), &[]).await?;
    let uploads: Option<Page<UploadSummary>> =
        granted.ask_if_allowed(ManageEndpoint::Storage(StorageEndpoint::Uploads), &some).await?;
    let tasks: Option<Page<Task>> = granted.ask_if_allowed(ManageEndpoint::Task(TaskEndpoint::List), &some).await?;
    let last: Option<Value> = granted.ask_if_allowed(ManageEndpoint::Task(TaskEndpoint::LastCollection), &[]).await?;
    let audit: Option<Page<AuditEntry>> =
        granted.ask_if_allowed(ManageEndpoint::Config(ConfigEndpoint::Audit), &some).await?;
    let template = SystemTemplate {
        shell: Shell::of(granted, "system").await,
        system,
        config,
        storage,
        outbox,
        quotas: quotas.map(|page| page.items).unwrap_or_default(),
        uploads: uploads.map(|page| page.items),
        tasks: tasks.map(|page| page.items),
        audit: audit.map(|page| page.items),
        last_collection: last.as_ref().map(tasks::result_lines).unwrap_or_default(),
    };
    page(StatusCode::OK, &template)
}
