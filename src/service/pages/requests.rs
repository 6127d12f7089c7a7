//! What clients have asked for lately, and what was transferred.

use super::{
    super::{
        error::ServiceError,
        gate::Granted,
        manage::{ActivityEndpoint, ManageEndpoint},
        query::encode,
    },
    markup,
    shell::{Shell, page},
};
use crate::wire::ResponseBody;
use api::{
    Page,
    activity::{AccessLogEntry, ActivityReport, TransferTotals},
};
use askama::Template;
use http::{Response, StatusCode};

/// Requests on a page.
const ON_A_PAGE: &str = "100";

#[derive(Template)]
#[template(path = "requests.html")]
struct RequestsTemplate {
    shell: Shell,
    activity: ActivityReport,
    items: Vec<AccessLogEntry>,
    /// What the shown requests mention.
    q: String,
    only_failed: bool,
    is_first: bool,
    next: Option<String>,
}

/// What passed in one direction, for its panel.
struct Passed<'a> {
    id: &'static str,
    title: &'static str,
    totals: &'a TransferTotals,
    per_second: Vec<u64>,
}

impl RequestsTemplate {
    fn directions(&self) -> [Passed<'_>; 2] {
        let samples = &self.activity.samples;
        [
            Passed {
                id: "pu",
                title: "Pushed",
                totals: &self.activity.uploads,
                per_second: samples.iter().map(|sample| sample.received_per_second).collect(),
            },
            Passed {
                id: "pl",
                title: "Pulled",
                totals: &self.activity.downloads,
                per_second: samples.iter().map(|sample| sample.sent_per_second).collect(),
            },
        ]
    }

    /// The class of a status.
    fn mark(&self, status: &u16) -> &'static str {
        match status {
            500.. => " stop",
            400.. => " warn",
            _ => "",
        }
    }

    /// The page of what a request is about.
    fn path(&self, entry: &AccessLogEntry) -> String {
        entry.repository.as_ref().map(|name| format!("/repositories/{name}")).unwrap_or_default()
    }
}

impl Passed<'_> {
    fn most(&self) -> u64 {
        self.per_second.iter().copied().max().unwrap_or_default()
    }
}

pub(super) async fn show(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let parameters = granted.parameters();
    let text = |name: &str| parameters.first(name).unwrap_or_default().to_owned();
    let (q, last, only_failed) = (text("q"), text("last"), text("failed") == "true");
    let asked = [("n", ON_A_PAGE), ("q", &q), ("failed", if only_failed { "true" } else { "false" }), ("last", &last)];
    let is_first = last.is_empty();
    let asked = if is_first { &asked[..3] } else { &asked };
    let found: Page<AccessLogEntry> = granted.ask(ManageEndpoint::Activity(ActivityEndpoint::Requests), asked).await?;
    let next = found.next.map(|next| {
        let failed = if only_failed { "&failed=true" } else { "" };
        format!("/system/requests?q={}{failed}&last={}", encode(&q), encode(&next))
    });
    let template = RequestsTemplate {
        shell: Shell::of(granted, "system").await,
        activity: granted.ask(ManageEndpoint::Activity(ActivityEndpoint::Totals), &[]).await?,
        items: found.items,
        q,
        only_failed,
        is_first,
        next,
    };
    page(StatusCode::OK, &template)
}
