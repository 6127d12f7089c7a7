//! What was found by a search.

use super::{
    super::{
        error::ServiceError,
        gate::Granted,
        manage::{ManageEndpoint, SearchEndpoint},
    },
    markup,
    shell::{Shell, page},
};
use crate::wire::ResponseBody;
use api::{Page, repositories::SearchResult};
use askama::Template;
use http::{Response, StatusCode};

#[derive(Template)]
#[template(path = "search.html")]
struct SearchTemplate {
    shell: Shell,
    incomplete: bool,
    q: String,
    kind: String,
    results: Vec<SearchResult>,
    next: Option<String>,
}

impl SearchTemplate {
    fn path(&self, result: &SearchResult) -> String {
        let reference = result.tag.as_ref().or(result.digest.as_ref());
        match reference {
            Some(reference) => format!("/repositories/{}/-/manifests/{reference}", result.repository),
            None => format!("/repositories/{}", result.repository),
        }
    }

    /// The same search for one kind only, or for all.
    fn with(&self, kind: &str) -> String {
        address(&self.q, kind, None)
    }
}

fn address(q: &str, kind: &str, last: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("q", q);
    if !kind.is_empty() {
        query.append_pair("kind", kind);
    }
    if let Some(last) = last {
        query.append_pair("last", last);
    }
    format!("/search?{}", query.finish())
}

pub(super) async fn show(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let parameters = granted.parameters();
    let given = |name: &str| parameters.first(name).unwrap_or_default().trim().to_owned();
    let (q, kind, last) = (given("q"), given("kind"), given("last"));
    let found: Page<SearchResult> = match q.is_empty() {
        true => Page::new(Vec::new(), None),
        false => {
            let query = [("q", q.as_str()), ("kind", &kind), ("last", &last), ("n", "50")];
            granted.ask(ManageEndpoint::Search(SearchEndpoint::Search), &query).await?
        }
    };
    let shell = Shell::of(granted, "search").await;
    let next = found.next.map(|next| address(&q, &kind, Some(&next)));
    let incomplete = found.incomplete;
    page(StatusCode::OK, &SearchTemplate { shell, incomplete, q, kind, results: found.items, next })
}
