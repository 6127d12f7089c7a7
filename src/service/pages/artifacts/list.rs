//! The list of artifact repositories, and the form for a new one.

use super::super::{
    super::{
        error::ServiceError,
        gate::Granted,
        manage::{ArtifactEndpoint, ManageEndpoint},
    },
    ask::content,
    form::PageForm,
    form_state::FormState,
    markup,
    shell::{Shell, go_to, page},
};
use crate::wire::ResponseBody;
use api::{
    Page,
    artifacts::{ArtifactRepositoryItem, NewArtifactRepositoryRequest},
};
use askama::Template;
use http::{Method, Response, StatusCode};

/// Repositories on a page.
const ON_A_PAGE: &str = "50";

/// What the caller has chosen, which every link of the page keeps.
struct ArtifactListChoice {
    q: String,
    show: String,
}

impl ArtifactListChoice {
    /// The list with another choice, from its beginning.
    fn with(&self, key: &str, value: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, chosen) in [("q", self.q.as_str()), ("show", &self.show), ("last", "")] {
            let chosen = if name == key { value } else { chosen };
            if !chosen.is_empty() {
                query.append_pair(name, chosen);
            }
        }
        match query.finish().as_str() {
            "" => "/artifacts".to_owned(),
            query => format!("/artifacts?{query}"),
        }
    }
}

#[derive(Template)]
#[template(path = "artifacts.html")]
struct ArtifactsTemplate {
    shell: Shell,
    choice: ArtifactListChoice,
    rows: Vec<ArtifactRepositoryItem>,
    largest: u64,
    next: Option<String>,
    is_first: bool,
    is_filtered: bool,
}

pub(super) async fn show(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let parameters = granted.parameters();
    let given = |name: &str| parameters.first(name).unwrap_or_default().to_owned();
    let (choice, last) = (ArtifactListChoice { q: given("q"), show: given("show") }, given("last"));
    let mut query = vec![("n", ON_A_PAGE), ("q", choice.q.as_str()), ("last", last.as_str())];
    match choice.show.as_str() {
        "mine" => query.push(("owner", "me")),
        "public" => query.push(("visibility", "public")),
        _ => {}
    }
    let list = ManageEndpoint::Artifact(ArtifactEndpoint::Repositories);
    let found: Page<ArtifactRepositoryItem> = granted.ask(list, &query).await?;
    let shell = Shell::of(granted, "artifacts").await;
    page(
        StatusCode::OK,
        &ArtifactsTemplate {
            largest: found.items.iter().map(|item| item.size).max().unwrap_or_default(),
            next: found.next.map(|next| choice.with("last", &next)),
            is_first: last.is_empty(),
            is_filtered: !(choice.q.is_empty() && choice.show.is_empty()),
            rows: found.items,
            shell,
            choice,
        },
    )
}

#[derive(Template)]
#[template(path = "artifact_new.html")]
struct NewArtifactsTemplate {
    shell: Shell,
    form: FormState,
}

pub(super) async fn show_new(granted: &Granted, form: FormState) -> Result<Response<ResponseBody>, ServiceError> {
    let shell = Shell::of(granted, "artifacts").await;
    page(form.status(), &NewArtifactsTemplate { shell, form })
}

pub(super) async fn create(granted: &Granted, fields: &PageForm) -> Result<Response<ResponseBody>, ServiceError> {
    let asked = NewArtifactRepositoryRequest {
        name: fields.text("name").trim().to_owned(),
        description: fields.owned("description"),
        private: fields.text("visibility") != "public",
        owner: None,
    };
    let create = ManageEndpoint::Artifact(ArtifactEndpoint::CreateRepository);
    match granted.act(create, Method::POST, &[], None, Some(&asked)).await {
        Ok(created) => {
            let ArtifactRepositoryItem { name, .. } = content(created).await?;
            Ok(go_to(&format!("/artifacts/{name}?done=repository-created")))
        }
        Err(error) => show_new(granted, FormState::refused(fields, error, &["name", "description"])?).await,
    }
}
