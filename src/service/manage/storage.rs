//! Free space, and the upload sessions that have not ended.

use super::super::{
    answer::{self, Answering},
    endpoint::{Effect, Family, Methods, Need, RequestLine},
    error::{ApiError, ServiceError},
    gate::Granted,
};
use super::{
    operation::{AnswerShape, Operation},
    reply::{self, rfc3339},
};
use crate::{
    registry::{UsageTotals, settings::Quota},
    storage::{
        ReportedUsage,
        outbox::{OutboxItem, OutboxStatus},
    },
    upkeep::fsck::CheckedStore,
    who::Permission,
    wire::ResponseBody,
};
use api::{
    Page,
    outbox::{OutboxReport, OutboxSummary, OutboxWrite},
    tasks::{QuotaUsage, StorageUsage, UploadSummary},
};
use http::{Method, Response, StatusCode};
use oci::UploadId;
use std::time::{Duration, SystemTime};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::get::<StorageUsage>("/storage", "show_storage", "Show how much room is left."),
    Operation::get::<OutboxReport>("/storage/outbox", "show_outbox", "Show what is written to the SFTP server later."),
    Operation::list::<QuotaUsage>("/quotas", "list_quotas", "List the quotas, and what is used of them."),
    Operation::list::<UploadSummary>("/uploads", "list_uploads", "List the uploads that have not ended."),
    Operation::of(
        "DELETE",
        "/uploads/{upload}",
        "cancel_any_upload",
        "End an upload and delete its bytes.",
        AnswerShape::Nothing,
        204,
    ),
];

/// A request about the storage as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageEndpoint {
    /// `GET /storage`.
    Usage,
    /// `GET /storage/outbox`.
    Outbox,
    /// `GET /quotas`.
    Quotas,
    /// `GET /uploads`.
    Uploads,
    /// `DELETE /uploads/{id}`.
    CancelUpload(UploadId),
}

const CANCEL: Methods = Methods(&[("DELETE", Effect::Writes)]);

impl StorageEndpoint {
    pub(super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        match line.segments {
            ["storage"] if line.is_read() => Ok(Self::Usage),
            ["storage", "outbox"] if line.is_read() => Ok(Self::Outbox),
            ["quotas"] if line.is_read() => Ok(Self::Quotas),
            ["uploads"] if line.is_read() => Ok(Self::Uploads),
            ["storage"] | ["storage", "outbox"] | ["quotas"] | ["uploads"] => {
                Err(ServiceError::MethodNotAllowed(Methods::READ))
            }
            ["uploads", id] if *line.method == Method::DELETE => {
                id.parse().map(Self::CancelUpload).map_err(|_| ApiError::NotFound.into())
            }
            ["uploads", _] => Err(ServiceError::MethodNotAllowed(CANCEL)),
            _ => Err(ApiError::NotFound.into()),
        }
    }
}

impl Family for StorageEndpoint {
    fn name(&self) -> &'static str {
        match self {
            Self::Usage => "show_storage",
            Self::Outbox => "show_outbox",
            Self::Quotas => "list_quotas",
            Self::Uploads => "list_uploads",
            Self::CancelUpload(_) => "cancel_any_upload",
        }
    }

    fn needs(&self) -> Need<'_> {
        match self {
            Self::Usage | Self::Outbox | Self::Quotas => Need::Operate,
            Self::Uploads | Self::CancelUpload(_) => Need::May(Permission::ADMIN),
        }
    }

    fn methods(&self) -> Methods {
        match self {
            Self::Usage | Self::Outbox | Self::Quotas | Self::Uploads => Methods::READ,
            Self::CancelUpload(_) => CANCEL,
        }
    }

    fn serve(self, granted: Granted) -> Answering {
        Box::pin(async move {
            match self {
                Self::Usage => usage(&granted).await,
                Self::Outbox => outbox(&granted),
                Self::Quotas => quotas(&granted).await,
                Self::Uploads => uploads(&granted).await,
                Self::CancelUpload(id) => cancel(&granted, id).await,
            }
        })
    }
}

async fn usage(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    granted.resource(&storage_usage(granted).await?.ok_or(ApiError::NotFound)?)
}

fn outbox(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let outbox = granted.request.state.outbox.as_ref().ok_or(ApiError::NotFound)?;
    granted.resource(&reported(outbox.status()))
}

/// What waits, at a glance; `None` with a store that is not written behind.
pub(super) fn outbox_summary(granted: &Granted) -> Option<OutboxSummary> {
    let status = granted.request.state.outbox.as_ref()?.status();
    let is_failing = status.items.iter().any(|item| item.tries > 0);
    let OutboxStatus { writes, bytes, most_bytes, oldest, .. } = status;
    let oldest_seconds = oldest.map(|oldest| oldest.as_secs());
    Some(OutboxSummary { writes, bytes, max_bytes: most_bytes, oldest_seconds, is_failing })
}

/// What waits, as the API says it.
fn reported(status: OutboxStatus) -> OutboxReport {
    let seconds = |time: Duration| time.as_secs();
    let write = |item: OutboxItem| OutboxWrite {
        number: item.number,
        key: item.key,
        action: if item.removes { "delete" } else { "put" }.to_owned(),
        state: match (item.is_under_way, item.tries) {
            (true, _) => "uploading",
            (false, 0) => "waiting",
            (false, _) => "failed",
        }
        .to_owned(),
        bytes: item.bytes,
        done: item.done,
        tries: item.tries,
        error: item.error,
        next_try_seconds: item.next_try.map(seconds),
    };
    OutboxReport {
        writes: status.writes,
        bytes: status.bytes,
        done: status.done,
        max_bytes: status.most_bytes,
        oldest_seconds: status.oldest.map(seconds),
        uploads: status.uploads,
        uploaded_bytes: status.uploaded_bytes,
        failures: status.failures,
        objects: status.objects,
        knows_all: status.knows_all,
        items: status.items.into_iter().map(write).collect(),
    }
}

/// The room that is left, if the storage knows it.
pub(super) async fn storage_usage(granted: &Granted) -> Result<Option<StorageUsage>, ServiceError> {
    let room = granted.registry().room().await?;
    let reserve = room.map_or(0, |room| room.reserve_bytes);
    // A provider knows the quota; the file system that it is kept by may be much larger.
    let (used, free, total, source, at) = match (granted.request.state.usage.get(), room) {
        (Some(ReportedUsage { used, total, at }), _) => (used, total.saturating_sub(used), total, "hetzner", at),
        (None, Some(room)) => {
            let source = match granted.request.state.checked {
                Some(CheckedStore::Files(_)) => "statvfs",
                Some(CheckedStore::Objects(_)) | None => "sftp",
            };
            let used = room.total_bytes.saturating_sub(room.free_bytes);
            (used, room.free_bytes, room.total_bytes, source, SystemTime::now())
        }
        (None, None) => return Ok(None),
    };
    let percent = used.saturating_mul(100).checked_div(total).unwrap_or_default().min(100) as u8;
    let (source, as_of) = (source.to_owned(), rfc3339(at));
    Ok(Some(StorageUsage { used, free, total, percent, source, reserve, as_of }))
}

async fn quotas(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let usage = |(quota, held): (Quota, UsageTotals)| QuotaUsage {
        repositories: quota.repositories.as_slice().iter().map(ToString::to_string).collect(),
        max_bytes: quota.bytes,
        max_tags: quota.tags,
        max_repositories: quota.number,
        used_bytes: held.bytes,
        used_tags: held.tags,
        used_repositories: held.repositories,
    };
    let items: Vec<_> = granted.registry().quotas().await?.into_iter().map(usage).collect();
    let total = Some(items.len() as u64);
    granted.list(&Page::new(items, None).of(total))
}

async fn uploads(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let page = granted.page_query()?;
    let after = page.last.as_deref().and_then(|last| last.parse::<UploadId>().ok());
    let found = granted.registry().uploads(after.as_ref(), page.n.saturating_add(1)).await?;
    let upload = |(id, size, written): (UploadId, u64, _)| UploadSummary {
        id: id.to_string(),
        size,
        last_write_at: rfc3339(written),
    };
    granted.list(&reply::first_of(found.into_iter().map(upload), page.n, |upload| upload.id.clone()))
}

async fn cancel(granted: &Granted, id: UploadId) -> Result<Response<ResponseBody>, ServiceError> {
    match granted.registry().abandon_upload(&id).await? {
        true => Ok(answer::empty(StatusCode::NO_CONTENT)),
        false => Err(ApiError::NotFound.into()),
    }
}
