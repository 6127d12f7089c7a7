//! The list of repositories, and the form for a new one.

use super::{
    super::{
        error::ServiceError,
        gate::Granted,
        manage::{ManageEndpoint, NamespaceEndpoint, RepositoryEndpoint},
    },
    markup,
    shell::{Shell, page},
};
use crate::wire::ResponseBody;
use api::{
    Page,
    repositories::{NamespaceItem, RepositoryItem},
};
use askama::Template;
use http::{Response, StatusCode};

/// Repositories on a page.
const ON_A_PAGE: &str = "50";

/// Namespaces beside the list.
const NAMESPACES: &str = "200";

/// Tags that are shown with a repository.
const SHOWN_TAGS: usize = 3;

/// What the caller has chosen, which every link of the page keeps.
#[derive(Clone, Debug, Default)]
pub(super) struct ListChoice {
    pub(super) q: String,
    pub(super) namespace: String,
    pub(super) show: String,
    pub(super) sort: String,
}

impl ListChoice {
    /// The list with another choice, from its beginning.
    pub(super) fn with(&self, key: &str, value: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, chosen) in
            [("q", &self.q), ("namespace", &self.namespace), ("show", &self.show), ("sort", &self.sort)]
        {
            let chosen = if name == key { value } else { chosen };
            if !chosen.is_empty() {
                query.append_pair(name, chosen);
            }
        }
        if key == "last" {
            query.append_pair("last", value);
        }
        match query.finish().as_str() {
            "" => "/repositories".to_owned(),
            query => format!("/repositories?{query}"),
        }
    }
}

/// A repository in the list.
struct RepositoryRow {
    item: RepositoryItem,
    latest: Vec<String>,
    more: u64,
    pull: String,
}

#[derive(Template)]
#[template(path = "repositories.html")]
struct RepositoriesTemplate {
    shell: Shell,
    choice: ListChoice,
    rows: Vec<RepositoryRow>,
    largest: u64,
    total: u64,
    namespaces: Vec<NamespaceItem>,
    next: Option<String>,
    is_first: bool,
    is_filtered: bool,
    incomplete: bool,
}

pub(super) async fn show(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let parameters = granted.parameters();
    let given = |name: &str| parameters.first(name).unwrap_or_default().to_owned();
    let choice = ListChoice { q: given("q"), namespace: given("namespace"), show: given("show"), sort: given("sort") };
    let last = given("last");
    let mut query = vec![("n", ON_A_PAGE), ("include", "tags"), ("q", choice.q.trim_end_matches('*'))];
    query.extend([("namespace", choice.namespace.as_str()), ("last", last.as_str())]);
    query.push(("sort", if choice.sort.is_empty() { "updated" } else { &choice.sort }));
    match choice.show.as_str() {
        "mine" => query.push(("owner", "me")),
        "public" => query.push(("visibility", "public")),
        _ => {}
    }
    let list = ManageEndpoint::Repository(RepositoryEndpoint::List);
    let found: Page<RepositoryItem> = granted.ask(list, &query).await?;
    let all = ManageEndpoint::Namespace(NamespaceEndpoint::List);
    let namespaces: Page<NamespaceItem> = granted.ask(all, &[("n", NAMESPACES)]).await?;
    let shell = Shell::of(granted, "repositories").await;
    let rows: Vec<_> = found.items.into_iter().map(|item| row(&shell.host, item)).collect();
    page(
        StatusCode::OK,
        &RepositoriesTemplate {
            incomplete: found.incomplete || namespaces.incomplete,
            largest: rows.iter().map(|row| row.item.size).max().unwrap_or_default(),
            total: rows.iter().map(|row| row.item.size).sum(),
            is_first: last.is_empty(),
            is_filtered: !(choice.q.is_empty() && choice.namespace.is_empty() && choice.show.is_empty()),
            next: found.next.map(|next| choice.with("last", &next)),
            namespaces: namespaces.items,
            shell,
            choice,
            rows,
        },
    )
}

fn row(host: &str, item: RepositoryItem) -> RepositoryRow {
    // The newest is the last one.
    let latest: Vec<_> = item.tags.iter().flatten().rev().take(SHOWN_TAGS).cloned().collect();
    let pull = latest.first().map(|tag| format!("docker pull {host}/{}:{tag}", item.name)).unwrap_or_default();
    RepositoryRow { more: item.tag_count.saturating_sub(latest.len() as u64), latest, pull, item }
}

/// What was wrong with a form, and what it contained.
#[derive(Clone, Debug, Default)]
pub(super) struct NewRepositoryForm {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) is_public: bool,
    pub(super) error: String,
}

#[derive(Template)]
#[template(path = "new_repository.html")]
struct NewRepositoryTemplate {
    shell: Shell,
    form: NewRepositoryForm,
}

pub(super) async fn show_new(
    granted: &Granted,
    form: Option<NewRepositoryForm>,
    status: StatusCode,
) -> Result<Response<ResponseBody>, ServiceError> {
    let shell = Shell::of(granted, "repositories").await;
    let namespace = granted.parameters().first("namespace").map(|namespace| format!("{namespace}/"));
    let form = form.unwrap_or_else(|| NewRepositoryForm { name: namespace.unwrap_or_default(), ..Default::default() });
    page(status, &NewRepositoryTemplate { shell, form })
}
