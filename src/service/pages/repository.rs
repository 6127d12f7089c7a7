//! One repository: its tags, what has no tag, who may use it, and its settings.

use super::{
    super::{
        error::ServiceError,
        gate::Granted,
        manage::{ManageEndpoint, RepositoryEndpoint},
        query::Query,
    },
    ask::Answered,
    commands::{ToolCommand, pull},
    manifest::ReferrerKind,
    markup,
    shell::{Shell, page},
};
use crate::{
    who::{Action, Permission},
    wire::ResponseBody,
};
use api::{
    Page,
    manifests::{AttachedManifest, RetentionPlanItem, TagItem, UntaggedManifest},
    repositories::{AccessItem, RepositoryItem},
};
use askama::Template;
use http::{Response, StatusCode};
use oci::RepositoryName;

/// Tags on a page.
const ON_A_PAGE: &str = "100";

/// What every page of a repository has above its content.
pub(super) struct RepositoryHead {
    pub(super) item: RepositoryItem,
    pub(super) tab: &'static str,
    /// What the caller may do here.
    pub(super) may_push: bool,
    pub(super) may_delete_tags: bool,
    pub(super) administers: bool,
    /// The entity tag of what can be changed.
    pub(super) etag: String,
}

impl RepositoryHead {
    /// # Errors
    /// There is no such repository, or the caller may not see it.
    pub(super) async fn of(granted: &Granted, name: &RepositoryName, tab: &'static str) -> Result<Self, ServiceError> {
        let show = ManageEndpoint::Repository(RepositoryEndpoint::Show(name.clone()));
        let Answered { content: item, etag } = granted.ask_tagged(show, &[]).await?;
        Ok(Self {
            item,
            tab,
            may_push: granted.may(Action::Push, name).await || granted.has_in(name, Permission::CREATE_TAG),
            may_delete_tags: granted.may(Action::Delete, name).await || granted.has_in(name, Permission::DELETE_TAG),
            administers: granted.administers(name, Permission::UPDATE_REPO).await,
            etag,
        })
    }

    fn parts(&self) -> (&str, &str) {
        self.item.name.rsplit_once('/').unwrap_or(("", &self.item.name))
    }

    /// The name without its namespace.
    pub(super) fn last(&self) -> &str {
        self.parts().1
    }

    /// The path of a manifest's page.
    pub(super) fn manifest(&self, reference: &str) -> String {
        self.path(&format!("manifests/{reference}"))
    }

    /// A path of this repository.
    pub(super) fn path(&self, rest: &str) -> String {
        match rest {
            "" => format!("/repositories/{}", self.item.name),
            rest => format!("/repositories/{}/-/{rest}", self.item.name),
        }
    }
}

#[derive(Template)]
#[template(path = "tags.html")]
struct TagsTemplate {
    shell: Shell,
    head: RepositoryHead,
    q: String,
    sort: String,
    tags: Vec<TagItem>,
    largest: u64,
    commands: Vec<ToolCommand>,
    shown_tag: String,
    push: String,
    next: Option<String>,
    is_first: bool,
}

impl TagsTemplate {
    fn address(&self, sort: &str) -> String {
        address(&self.head, &self.q, sort, None)
    }

    /// The operating system and the machines of a tag, if all its platforms are of one system and fit in a line.
    fn on_one_system<'t>(&self, tag: &'t TagItem) -> Option<(&'t str, Vec<&'t str>)> {
        const MOST: usize = 4;
        let (system, _) = tag.platforms.first()?.split_once('/')?;
        let machine = |platform: &'t String| platform.strip_prefix(system)?.strip_prefix('/');
        let machines: Vec<_> = tag.platforms.iter().map(machine).collect::<Option<_>>()?;
        (machines.len() <= MOST).then_some((system, machines))
    }

    fn pull(&self, tag: &TagItem) -> String {
        let commands = pull(&self.shell.host, &self.head.item.name, &tag.name, &tag.kind);
        commands.into_iter().next().map(|command| command.text).unwrap_or_default()
    }
}

fn address(head: &RepositoryHead, q: &str, sort: &str, last: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in [("q", q), ("sort", sort), ("last", last.unwrap_or_default())] {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    match query.finish().as_str() {
        "" => head.path(""),
        query => format!("{}?{query}", head.path("")),
    }
}

pub(super) async fn tags(granted: &Granted, name: &RepositoryName) -> Result<Response<ResponseBody>, ServiceError> {
    let head = RepositoryHead::of(granted, name, "tags").await?;
    let parameters = granted.parameters();
    let given = |name: &str| parameters.first(name).unwrap_or_default().to_owned();
    let (q, sort, last) = (given("q"), given("sort"), given("last"));
    let order = if sort.is_empty() { "version" } else { &sort };
    let query = [("q", q.as_str()), ("sort", order), ("last", &last), ("n", ON_A_PAGE)];
    let list = ManageEndpoint::Repository(RepositoryEndpoint::Tags(name.clone()));
    // A repository that was created and has no content yet has no list of tags.
    let found: Option<Page<TagItem>> = granted.ask_if_allowed(list, &query).await?;
    let found = found.unwrap_or(Page::new(Vec::new(), None));
    let shell = Shell::of(granted, "repositories").await;
    let shown = found.items.iter().find(|tag| tag.name == "latest").or(found.items.first());
    let commands = shown.map_or_else(Vec::new, |tag| pull(&shell.host, &head.item.name, &tag.name, &tag.kind));
    page(
        StatusCode::OK,
        &TagsTemplate {
            shown_tag: shown.map(|tag| tag.name.clone()).unwrap_or_default(),
            push: format!("docker push {}/{}:1.0", shell.host, head.item.name),
            largest: found.items.iter().map(|tag| tag.size).max().unwrap_or_default(),
            next: found.next.map(|next| address(&head, &q, &sort, Some(&next))),
            tags: found.items,
            is_first: last.is_empty(),
            shell,
            head,
            q,
            sort,
            commands,
        },
    )
}

#[derive(Template)]
#[template(path = "untagged.html")]
struct UntaggedTemplate {
    shell: Shell,
    head: RepositoryHead,
    manifests: Vec<UntaggedManifest>,
    largest: u64,
    next: Option<String>,
}

pub(super) async fn untagged(granted: &Granted, name: &RepositoryName) -> Result<Response<ResponseBody>, ServiceError> {
    let head = RepositoryHead::of(granted, name, "untagged").await?;
    let last = last(&granted.parameters());
    let endpoint = ManageEndpoint::Repository(RepositoryEndpoint::Untagged(name.clone()));
    let found: Page<UntaggedManifest> = granted.ask(endpoint, &[("n", ON_A_PAGE), ("last", &last)]).await?;
    page(
        StatusCode::OK,
        &UntaggedTemplate {
            shell: Shell::of(granted, "repositories").await,
            largest: found.items.iter().map(|manifest| manifest.size).max().unwrap_or_default(),
            next: found.next.map(|next| next_page(&head, "untagged", &next)),
            manifests: found.items,
            head,
        },
    )
}

#[derive(Template)]
#[template(path = "referrers.html")]
struct ReferrersTemplate {
    shell: Shell,
    head: RepositoryHead,
    items: Vec<AttachedManifest>,
    next: Option<String>,
}

impl ReferrersTemplate {
    fn kind(&self, item: &AttachedManifest) -> ReferrerKind {
        ReferrerKind::of(item.artifact_type.as_deref().unwrap_or(&item.media_type))
    }

    /// A command that downloads it.
    fn download(&self, item: &AttachedManifest) -> String {
        format!("oras pull {}/{}@{}", self.shell.host, self.head.item.name, item.digest)
    }
}

pub(super) async fn referrers(
    granted: &Granted,
    name: &RepositoryName,
) -> Result<Response<ResponseBody>, ServiceError> {
    let head = RepositoryHead::of(granted, name, "referrers").await?;
    let last = last(&granted.parameters());
    let query = [("n", ON_A_PAGE), ("last", &last)];
    let query = if last.is_empty() { &query[..1] } else { &query };
    let endpoint = ManageEndpoint::Repository(RepositoryEndpoint::Attached(name.clone()));
    let found: Page<AttachedManifest> = granted.ask(endpoint, query).await?;
    page(
        StatusCode::OK,
        &ReferrersTemplate {
            shell: Shell::of(granted, "repositories").await,
            next: found.next.map(|next| next_page(&head, "referrers", &next)),
            items: found.items,
            head,
        },
    )
}

#[derive(Template)]
#[template(path = "retention.html")]
struct RetentionTemplate {
    shell: Shell,
    head: RepositoryHead,
    items: Vec<RetentionPlanItem>,
    leaving: u64,
    next: Option<String>,
}

impl RetentionTemplate {
    /// Why something stays or goes, with the rule as people count.
    fn reason(&self, item: &RetentionPlanItem) -> String {
        let Some(rule) = item.rule else { return item.reason.clone() };
        let words = item.reason.strip_prefix(&format!("retention[{}]: ", rule.saturating_sub(1)));
        format!("rule {rule}: {}", words.unwrap_or(&item.reason))
    }
}

pub(super) async fn retention(
    granted: &Granted,
    name: &RepositoryName,
) -> Result<Response<ResponseBody>, ServiceError> {
    let head = RepositoryHead::of(granted, name, "retention").await?;
    let last = last(&granted.parameters());
    let endpoint = ManageEndpoint::Repository(RepositoryEndpoint::RetentionPlan(name.clone()));
    let found: Page<RetentionPlanItem> = granted.ask(endpoint, &[("n", ON_A_PAGE), ("last", &last)]).await?;
    page(
        StatusCode::OK,
        &RetentionTemplate {
            shell: Shell::of(granted, "repositories").await,
            leaving: found.items.iter().filter(|item| !item.keep).count() as u64,
            next: found.next.map(|next| next_page(&head, "retention", &next)),
            items: found.items,
            head,
        },
    )
}

#[derive(Template)]
#[template(path = "access.html")]
struct AccessTemplate {
    shell: Shell,
    head: RepositoryHead,
    items: Vec<AccessItem>,
    next: Option<String>,
}

impl AccessTemplate {
    /// What decided about the first action that is allowed, or about the first one.
    fn because(&self, item: &AccessItem) -> String {
        let reason = item.reasons.iter().find(|reason| reason.allowed).or(item.reasons.first());
        reason.map(|reason| format!("{}: {}", reason.step, reason.reason)).unwrap_or_default()
    }
}

pub(super) async fn access(granted: &Granted, name: &RepositoryName) -> Result<Response<ResponseBody>, ServiceError> {
    let head = RepositoryHead::of(granted, name, "access").await?;
    let last = last(&granted.parameters());
    let endpoint = ManageEndpoint::Repository(RepositoryEndpoint::Access(name.clone()));
    let found: Page<AccessItem> = granted.ask(endpoint, &[("n", ON_A_PAGE), ("last", &last)]).await?;
    page(
        StatusCode::OK,
        &AccessTemplate {
            shell: Shell::of(granted, "repositories").await,
            next: found.next.map(|next| next_page(&head, "access", &next)),
            items: found.items,
            head,
        },
    )
}

fn last(parameters: &Query<'_>) -> String {
    parameters.first("last").unwrap_or_default().to_owned()
}

fn next_page(head: &RepositoryHead, tab: &str, next: &str) -> String {
    format!("{}?last={}", head.path(tab), super::super::query::encode(next))
}
