//! What clients have asked for and transferred since startup: in memory, for administrators.

use super::super::{
    answer::Answering,
    endpoint::{Family, Methods, Need, RequestLine},
    error::{ApiError, ServiceError},
    gate::Granted,
    telemetry::KeptRequest,
};
use super::{
    operation::Operation,
    reply::{first_of, rfc3339},
    repositories::invalid,
};
use crate::{who::Permission, wire::ResponseBody};
use api::{
    Page,
    activity::{AccessLogEntry, ActivityReport},
};
use http::Response;
use std::future::ready;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::get::<ActivityReport>("/metrics", "show_activity", "Show what clients have pushed and pulled.")
        .with_query(&[("include", "`requests` adds the latest requests.")]),
    Operation::list::<AccessLogEntry>("/access-log", "list_requests", "List the latest requests, newest first.")
        .with_query(&[
            ("n", "Maximum number of items."),
            ("last", "`next` of the page before."),
            (
                "q",
                "Only requests with this status or ID, or with this text in their user, address, action, method, \
                 repository, reference or program.",
            ),
            ("failed", "`true`: only requests that were answered with a status of 400 or more."),
        ]),
];

/// A request about what clients have done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActivityEndpoint {
    /// `GET /metrics`.
    Totals,
    /// `GET /access-log`.
    Requests,
}

impl ActivityEndpoint {
    pub(super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        let endpoint = match line.segments {
            ["metrics"] => Self::Totals,
            ["access-log"] => Self::Requests,
            _ => return Err(ApiError::NotFound.into()),
        };
        if line.is_read() { Ok(endpoint) } else { Err(ServiceError::MethodNotAllowed(Methods::READ)) }
    }
}

impl Family for ActivityEndpoint {
    fn name(&self) -> &'static str {
        match self {
            Self::Totals => "show_activity",
            Self::Requests => "list_requests",
        }
    }

    fn needs(&self) -> Need<'_> {
        match self {
            Self::Totals | Self::Requests => Need::May(Permission::ADMIN),
        }
    }

    fn methods(&self) -> Methods {
        match self {
            Self::Totals | Self::Requests => Methods::READ,
        }
    }

    fn serve(self, granted: Granted) -> Answering {
        Box::pin(ready(match self {
            Self::Totals => totals(&granted),
            Self::Requests => requests(&granted),
        }))
    }
}

fn totals(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let telemetry = &granted.request.state.telemetry;
    let mut report = telemetry.activity(rfc3339);
    match granted.parameters().first("include") {
        None => {}
        Some("requests") => {
            report.requests = Some(telemetry.recent_requests().iter().map(|kept| kept.entry(rfc3339)).collect());
        }
        Some(_) => return Err(invalid("include", "must be requests")),
    }
    granted.resource(&report)
}

fn requests(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let (page, asked) = (granted.page_query()?, granted.parameters());
    let only_failed = match asked.first("failed") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(invalid("failed", "must be true or false")),
    };
    // What is newer than the first page does not move the others.
    let before = match page.last.as_deref() {
        None => u64::MAX,
        Some(last) => last.parse().map_err(|_| invalid("last", "must be the `next` of a page"))?,
    };
    let text = asked.first("q").unwrap_or_default();
    let kept = granted.request.state.telemetry.recent_requests();
    let is_asked_for = |kept: &&KeptRequest| {
        kept.number() < before && (!only_failed || kept.has_failed()) && (text.is_empty() || kept.mentions(text))
    };
    let found = first_of(kept.iter().filter(is_asked_for), page.n, |kept| kept.number().to_string());
    let items = found.items.iter().map(|kept| kept.entry(rfc3339)).collect();
    granted.list(&Page::new(items, found.next))
}
