//! Users, groups and roles.

use super::{
    super::{
        error::ServiceError,
        gate::Granted,
        manage::{
            AuthEndpoint, GroupEndpoint, KeyEndpoint, ManageEndpoint, RoleEndpoint, SystemEndpoint, UserEndpoint,
        },
    },
    ask::Answered,
    form_state::{EditForms, FormState},
    markup,
    shell::{Shell, page, segment},
};
use crate::{who::Permission, wire::ResponseBody};
use api::{
    Page,
    auth::SessionInfo,
    groups::GroupInfo,
    keys::{ApiKeyCreated, ApiKeyInfo},
    roles::RoleInfo,
    system::PermissionVocabulary,
    users::{UserAccess, UserInfo},
};
use askama::Template;
use http::{HeaderValue, Response, StatusCode, header};

/// Users, groups or roles on a page.
const ON_A_PAGE: &str = "100";

/// What is offered to choose from.
const OFFERED: &str = "500";

#[derive(Template)]
#[template(path = "users.html")]
struct UsersTemplate {
    shell: Shell,
    q: String,
    group: String,
    users: Vec<UserInfo>,
    groups: Vec<GroupInfo>,
    form: FormState,
    next: Option<String>,
}

pub(super) async fn users(granted: &Granted, form: FormState) -> Result<Response<ResponseBody>, ServiceError> {
    let parameters = granted.parameters();
    let given = |name: &str| parameters.first(name).unwrap_or_default().to_owned();
    let (q, group, last) = (given("q"), given("group"), given("last"));
    let query = [("q", q.as_str()), ("group", &group), ("last", &last), ("n", ON_A_PAGE)];
    let found: Page<UserInfo> = granted.ask(ManageEndpoint::User(UserEndpoint::List), &query).await?;
    let next = found.next.map(|next| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("q", &q).append_pair("group", &group).append_pair("last", &next);
        format!("/users?{}", query.finish())
    });
    let groups = offered_groups(granted).await?;
    let shell = Shell::of(granted, "users").await;
    page(form.status(), &UsersTemplate { shell, q, group, users: found.items, groups, form, next })
}

/// The groups that the caller may see.
async fn offered_groups(granted: &Granted) -> Result<Vec<GroupInfo>, ServiceError> {
    let list = ManageEndpoint::Group(GroupEndpoint::List);
    let found: Option<Page<GroupInfo>> = granted.ask_if_allowed(list, &[("n", OFFERED)]).await?;
    Ok(found.map(|page| page.items).unwrap_or_default())
}

#[derive(Template)]
#[template(path = "user.html")]
struct UserTemplate {
    shell: Shell,
    user: UserInfo,
    etag: String,
    path: String,
    groups: Vec<GroupInfo>,
    access: Vec<UserAccess>,
    is_oneself: bool,
    /// Those of others are for callers with UPDATE:USER.
    keys: Option<Vec<ApiKeyInfo>>,
    sessions: Vec<SessionInfo>,
    created: Option<ApiKeyCreated>,
    account: FormState,
    new_key: FormState,
    deletion: FormState,
}

/// What became of a form of the page of a user.
pub(super) enum UserOutcome {
    Shown,
    KeyCreated(Box<ApiKeyCreated>),
    Refused(FormState),
    KeyRefused(FormState),
    DeletionRefused(FormState),
}

pub(super) async fn user(
    granted: &Granted,
    name: String,
    outcome: UserOutcome,
) -> Result<Response<ResponseBody>, ServiceError> {
    let show = ManageEndpoint::User(UserEndpoint::Show(name.clone()));
    let Answered { content: user, etag } = granted.ask_tagged::<UserInfo>(show, &[]).await?;
    let access = ManageEndpoint::User(UserEndpoint::Access(name.clone()));
    let access: Option<Page<UserAccess>> = granted.ask_if_allowed(access, &[("n", OFFERED)]).await?;
    let is_oneself = granted.who().subject.name() == Some(&name);
    let (mut keys, mut sessions) = (None, None);
    if granted.has(Permission::UPDATE_USER) && !is_oneself {
        let list = ManageEndpoint::Key(KeyEndpoint::List);
        keys = granted.ask_if_allowed::<Page<ApiKeyInfo>>(list, &[("n", ON_A_PAGE), ("owner", &name)]).await?;
        let list = ManageEndpoint::Auth(AuthEndpoint::Sessions);
        sessions = granted.ask_if_allowed::<Page<SessionInfo>>(list, &[("n", ON_A_PAGE), ("user", &name)]).await?;
    }
    let (mut account, mut new_key, mut deletion) = <(FormState, FormState, FormState)>::default();
    let (mut created, mut status) = (None, StatusCode::OK);
    match outcome {
        UserOutcome::Shown => {}
        UserOutcome::KeyCreated(key) => (status, created) = (StatusCode::CREATED, Some(*key)),
        UserOutcome::Refused(form) => (status, account) = (form.status(), form),
        UserOutcome::KeyRefused(form) => (status, new_key) = (form.status(), form),
        UserOutcome::DeletionRefused(form) => (status, deletion) = (form.status(), form),
    }
    let mut response = page(
        status,
        &UserTemplate {
            shell: Shell::of(granted, "users").await,
            path: format!("/users/{}", segment(&name)),
            groups: offered_groups(granted).await?,
            access: access.map(|page| page.items).unwrap_or_default(),
            is_oneself,
            keys: keys.map(|page| page.items),
            sessions: sessions.map(|page| page.items).unwrap_or_default(),
            created,
            account,
            new_key,
            deletion,
            user,
            etag,
        },
    )?;
    // A secret must not be kept by the browser.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

#[derive(Template)]
#[template(path = "groups.html")]
struct GroupsTemplate {
    shell: Shell,
    groups: Vec<GroupInfo>,
    next: Option<String>,
    form: FormState,
}

pub(super) async fn groups(granted: &Granted, form: FormState) -> Result<Response<ResponseBody>, ServiceError> {
    let last = granted.parameters().first("last").unwrap_or_default().to_owned();
    let list = ManageEndpoint::Group(GroupEndpoint::List);
    let found: Page<GroupInfo> = granted.ask(list, &[("n", ON_A_PAGE), ("last", &last)]).await?;
    let next = found.next.map(|next| format!("/groups?last={}", super::super::query::encode(&next)));
    let shell = Shell::of(granted, "groups").await;
    page(form.status(), &GroupsTemplate { shell, groups: found.items, next, form })
}

#[derive(Template)]
#[template(path = "group.html")]
struct GroupTemplate {
    shell: Shell,
    group: GroupInfo,
    etag: String,
    path: String,
    forms: EditForms,
}

pub(super) async fn group(
    granted: &Granted,
    name: String,
    forms: EditForms,
) -> Result<Response<ResponseBody>, ServiceError> {
    let show = ManageEndpoint::Group(GroupEndpoint::Show(name.clone()));
    let Answered { content: group, etag } = granted.ask_tagged(show, &[]).await?;
    let path = format!("/groups/{}", segment(&name));
    let shell = Shell::of(granted, "groups").await;
    page(forms.status(), &GroupTemplate { shell, group, etag, path, forms })
}

#[derive(Template)]
#[template(path = "roles.html")]
struct RolesTemplate {
    shell: Shell,
    roles: Vec<RoleInfo>,
    form: FormState,
}

pub(super) async fn roles(granted: &Granted, form: FormState) -> Result<Response<ResponseBody>, ServiceError> {
    let list = ManageEndpoint::Role(RoleEndpoint::List);
    let found: Page<RoleInfo> = granted.ask(list, &[("n", OFFERED)]).await?;
    page(form.status(), &RolesTemplate { shell: Shell::of(granted, "roles").await, roles: found.items, form })
}

#[derive(Template)]
#[template(path = "role.html")]
struct RoleTemplate {
    shell: Shell,
    role: RoleInfo,
    etag: String,
    path: String,
    words: PermissionVocabulary,
    forms: EditForms,
}

impl RoleTemplate {
    fn has(&self, verb: &str, resource: &str) -> bool {
        let is_given = self.role.permissions.iter().any(|one| one.split_once(':') == Some((verb, resource)));
        self.forms.change.is_chosen("permission", &format!("{verb}:{resource}"), is_given)
    }
}

pub(super) async fn role(
    granted: &Granted,
    name: String,
    forms: EditForms,
) -> Result<Response<ResponseBody>, ServiceError> {
    let show = ManageEndpoint::Role(RoleEndpoint::Show(name.clone()));
    let Answered { content: role, etag } = granted.ask_tagged(show, &[]).await?;
    let words = granted.ask(ManageEndpoint::System(SystemEndpoint::Permissions), &[]).await?;
    let path = format!("/roles/{}", segment(&name));
    let shell = Shell::of(granted, "roles").await;
    page(forms.status(), &RoleTemplate { shell, role, etag, path, words, forms })
}
