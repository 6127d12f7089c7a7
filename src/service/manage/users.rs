//! Users: lines of the htpasswd file, with their groups and roles.

use super::{
    super::{
        answer::Answering,
        endpoint::{Effect, Family, Methods, Need, RequestLine},
        error::{ApiError, FieldProblem, ServiceError},
        gate::Granted,
        query::{Query, encode},
    },
    audit::settled,
    changes::{changed, changed_to, done, made_as},
    operation::{AnswerShape, Operation, PAGE, Shape},
    reply::{self, rfc3339},
};
use crate::{
    manage::{
        Edits, Precondition, entity_tag,
        user_access::{self, AccessChange},
        users,
    },
    registry::NamespaceName,
    who::{Permission, Resource, Verb},
    wire::ResponseBody,
};
use api::{
    Page,
    users::{AccessChanged, ChangeAccess, CreateUser, UpdateUser, UserAccess, UserGroups, UserInfo},
};
use http::{Response, StatusCode};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::list::<UserInfo>("/users", "list_users", "List users.").with_query(FILTER),
    Operation::of("POST", "/users", "create_user", "Create a user or a robot.", USER, 201)
        .takes::<CreateUser>()
        .previews()
        .refuses(&[400, 409]),
    Operation::of("PUT", "/users/groups", "set_groups_of_user", "Put a user into groups.", USER, 200)
        .takes::<UserGroups>()
        .previews()
        .refuses(&[400, 404, 409, 412]),
    Operation::get::<UserInfo>("/users/{user}", "show_user", "Show a user.").refuses(&[404]),
    Operation::of(
        "PATCH",
        "/users/{user}",
        "update_user",
        "Change a user's password, lock, groups or address.",
        USER,
        200,
    )
    .takes::<UpdateUser>()
    .previews()
    .refuses(&[400, 404, 409, 412]),
    Operation::of(
        "DELETE",
        "/users/{user}",
        "delete_user",
        "Delete a user, with keys, sessions and entries in rules.",
        AnswerShape::Nothing,
        204,
    )
    .previews()
    .refuses(&[404, 409, 412]),
    Operation::of("PUT", "/users/{user}/groups", "set_user_groups", "Put a user into groups.", USER, 200)
        .takes::<UserGroups>()
        .previews()
        .refuses(&[400, 404, 409, 412]),
    Operation::list::<UserAccess>(
        "/users/{user}/access",
        "list_user_access",
        "List what a user may do in repositories, and why.",
    )
    .refuses(&[404]),
    Operation::of("POST", "/users/{user}/access", "add_user_access", "Add actions to a user's own rule.", ACCESS, 200)
        .takes::<ChangeAccess>()
        .refuses(&[400, 404, 409]),
    Operation::of(
        "DELETE",
        "/users/{user}/access",
        "remove_user_access",
        "Remove actions from a user's own rule.",
        ACCESS,
        200,
    )
    .takes::<ChangeAccess>()
    .refuses(&[400, 404, 409]),
];

const FILTER: &[(&str, &str)] =
    &[PAGE[0], PAGE[1], ("q", "Only names that contain this."), ("group", "Only members of this group.")];
const USER: AnswerShape = AnswerShape::One(Shape::of::<UserInfo>());
const ACCESS: AnswerShape = AnswerShape::One(Shape::of::<AccessChanged>());

/// A request about users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserEndpoint {
    /// `GET /users`.
    List,
    /// `POST /users`.
    Create,
    /// `GET /users/{user}`.
    Show(String),
    /// `PATCH /users/{user}`.
    Update(String),
    /// `DELETE /users/{user}`.
    Delete(String),
    /// `PUT /users/{user}/groups`.
    SetGroups(String),
    /// `PUT /users/groups`, with the name in the body.
    SetGroupsByBody,
    /// `GET /users/{user}/access`.
    Access(String),
    /// `POST /users/{user}/access`.
    AddAccess(String),
    /// `DELETE /users/{user}/access`.
    RemoveAccess(String),
}

const ALL: Methods = Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("POST", Effect::Writes)]);
const ONE: Methods =
    Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("PATCH", Effect::Writes), ("DELETE", Effect::Writes)]);
const GROUPS: Methods = Methods(&[("PUT", Effect::Writes)]);
const RULE: Methods =
    Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("POST", Effect::Writes), ("DELETE", Effect::Writes)]);

impl UserEndpoint {
    pub(super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        let is_read = line.is_read();
        let owned = |user: &str| user.to_owned();
        match (line.segments, line.method.as_str()) {
            (["users"], _) if is_read => Ok(Self::List),
            (["users"], "POST") => Ok(Self::Create),
            (["users", "groups"], "PUT") => Ok(Self::SetGroupsByBody),
            (["users", user], _) if is_read => Ok(Self::Show(owned(user))),
            (["users", user], "PATCH") => Ok(Self::Update(owned(user))),
            (["users", user], "DELETE") => Ok(Self::Delete(owned(user))),
            (["users", user, "groups"], "PUT") => Ok(Self::SetGroups(owned(user))),
            (["users", user, "access"], _) if is_read => Ok(Self::Access(owned(user))),
            (["users", user, "access"], "POST") => Ok(Self::AddAccess(owned(user))),
            (["users", user, "access"], "DELETE") => Ok(Self::RemoveAccess(owned(user))),
            (["users"], _) => Err(ServiceError::MethodNotAllowed(ALL)),
            (["users", "groups"] | ["users", _, "groups"], _) => Err(ServiceError::MethodNotAllowed(GROUPS)),
            (["users", _], _) => Err(ServiceError::MethodNotAllowed(ONE)),
            (["users", _, "access"], _) => Err(ServiceError::MethodNotAllowed(RULE)),
            _ => Err(ApiError::NotFound.into()),
        }
    }
}

impl Family for UserEndpoint {
    fn name(&self) -> &'static str {
        match self {
            Self::List => "list_users",
            Self::Create => "create_user",
            Self::Show(_) => "show_user",
            Self::Update(_) => "update_user",
            Self::Delete(_) => "delete_user",
            Self::SetGroups(_) => "set_user_groups",
            Self::SetGroupsByBody => "set_groups_of_user",
            Self::Access(_) => "list_user_access",
            Self::AddAccess(_) => "add_user_access",
            Self::RemoveAccess(_) => "remove_user_access",
        }
    }

    fn needs(&self) -> Need<'_> {
        let may = |verb| Need::May(Permission { verb, resource: Resource::User });
        match self {
            Self::List | Self::Show(_) | Self::Access(_) => may(Verb::View),
            Self::Create => Need::MayOrRegister(Permission::CREATE_USER),
            Self::Update(_) | Self::SetGroups(_) | Self::SetGroupsByBody => may(Verb::Update),
            Self::Delete(_) => may(Verb::Delete),
            Self::AddAccess(_) | Self::RemoveAccess(_) => Need::May(Permission::ADMIN),
        }
    }

    fn methods(&self) -> Methods {
        match self {
            Self::List | Self::Create => ALL,
            Self::Show(_) | Self::Update(_) | Self::Delete(_) => ONE,
            Self::SetGroups(_) | Self::SetGroupsByBody => GROUPS,
            Self::Access(_) | Self::AddAccess(_) | Self::RemoveAccess(_) => RULE,
        }
    }

    fn serve(self, granted: Granted) -> Answering {
        Box::pin(async move {
            match self {
                Self::List => list(&granted).await,
                Self::Create => create(granted).await,
                Self::Show(user) => show(&granted, &user).await,
                Self::Update(user) => update(granted, user).await,
                Self::Delete(user) => delete(granted, user).await,
                Self::SetGroups(user) => set_groups(granted, Some(user)).await,
                Self::SetGroupsByBody => set_groups(granted, None).await,
                Self::Access(user) => access(&granted, &user),
                Self::AddAccess(user) => change_access(granted, user, AccessChange::Add).await,
                Self::RemoveAccess(user) => change_access(granted, user, AccessChange::Remove).await,
            }
        })
    }
}

async fn list(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let (page, live) = (granted.page_query()?, &granted.request.live);
    let query = Query::parse(granted.request.head.uri.query().unwrap_or_default());
    let found = users::list(live, page.last.as_deref(), query.one("q")?, query.one("group")?)?;
    let found = reply::first_of(found, page.n, |user| user.username.clone());
    let mut items = Vec::with_capacity(found.items.len());
    for user in found.items {
        items.push(with_record(granted, user).await?);
    }
    granted.list(&Page::new(items, found.next).of(found.total))
}

async fn show(granted: &Granted, name: &str) -> Result<Response<ResponseBody>, ServiceError> {
    let user = users::user(&granted.request.live, name)?.ok_or(ApiError::NotFound)?;
    // What is recorded of logins changes often, and is no part of what an editor must have seen.
    let tag = entity_tag(&user);
    granted.tagged_resource(&tag, &with_record(granted, user).await?)
}

/// The user with what the daemon has recorded of them.
async fn with_record(granted: &Granted, user: UserInfo) -> Result<UserInfo, ServiceError> {
    let record = granted.request.state.accounts.user(&user.username).await?;
    Ok(UserInfo {
        email: record.email,
        created_at: record.created.map(|time| rfc3339(time.into())),
        last_login_at: record.last_login.map(|time| rfc3339(time.into())),
        ..user
    })
}

async fn create(mut granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let registers = !granted.has(Permission::CREATE_USER);
    if registers {
        admit_registration(&granted)?;
    }
    let asked: CreateUser = granted.read_json().await?;
    match asked {
        CreateUser { robot: true, .. } if registers => return Err(invalid("/robot", "only people register")),
        CreateUser { ref groups, .. } if registers && !groups.is_empty() => {
            return Err(invalid("/groups", "an administrator decides about groups"));
        }
        _ => {}
    }
    let is_buried = granted.request.state.accounts.tombstone(&asked.username).await?.is_some();
    match (is_buried, asked.reuse_name) {
        // Whoever decides this knows whose the name was, and may leave what is still called so to its new owner.
        (true, true) if granted.has(Permission::ADMIN) => {}
        (_, true) if !granted.has(Permission::ADMIN) => return Err(granted.lacks(Permission::ADMIN)),
        (true, _) => {
            let how = "an administrator gives the name again with \"reuse_name\"";
            return Err(taken(format!("the record of a deleted user {:?} ({how})", asked.username)));
        }
        (false, _) => check_is_free(&granted, &asked.username).await?,
    }
    let hash = match (&asked.password, asked.robot) {
        (Some(password), false) => Some(granted.hash_password(&asked.username, password, "/password").await?),
        (None, true) => None,
        (Some(_), true) => return Err(invalid("/password", "a robot has no password")),
        (None, false) => return Err(invalid("/password", "is missing; only a robot has none")),
    };
    let (name, email) = (asked.username.clone(), checked_email(asked.email.clone())?);
    let create = move |edits: &Edits| users::create(edits, &asked, hash.as_deref());
    if let Some(preview) = granted.previewed(&create).await? {
        return Ok(preview);
    }
    let user = granted.change(&name, create).await?;
    let accounts = &granted.request.state.accounts;
    if is_buried {
        accounts.lift_tombstone(&name).await?;
    }
    accounts.record_created(&name, email).await?;
    let shown = with_record(&granted, user.value.clone()).await?;
    made_as(&format!("/api/v1/users/{}", encode(&name)), &user, &shown)
}

/// Counts a stranger's request for an account: each of them hashes a password, and tells which names are taken.
fn admit_registration(granted: &Granted) -> Result<(), ServiceError> {
    let request = &granted.request;
    let address = request.client.map(|address| address.to_string()).unwrap_or_default();
    let admitted = request.state.logins.registrations.admit_hourly(request.live.registration.per_hour, &address);
    admitted.map_err(|seconds| ApiError::TooManyRequests(seconds).into())
}

/// Checks that nothing is recorded under a name, which would fall to whoever gets it.
async fn check_is_free(granted: &Granted, name: &str) -> Result<(), ServiceError> {
    if let Ok(namespace) = name.parse::<NamespaceName>()
        && granted.registry().namespace_exists(&namespace).await?
    {
        return Err(taken(format!("a namespace {name:?}")));
    }
    match granted.registry().owns_any(name).await? {
        false => Ok(()),
        true => Err(taken(format!("a repository that belongs to a user {name:?}"))),
    }
}

fn taken(what: String) -> ServiceError {
    ApiError::NameTaken(what).into()
}

async fn update(mut granted: Granted, name: String) -> Result<Response<ResponseBody>, ServiceError> {
    let precondition = granted.write_precondition()?;
    let asked: UpdateUser = granted.read_json().await?;
    change_user(&granted, name, asked, precondition).await
}

async fn change_user(
    granted: &Granted,
    name: String,
    asked: UpdateUser,
    precondition: Precondition,
) -> Result<Response<ResponseBody>, ServiceError> {
    let hash = match &asked.password {
        Some(password) => Some(granted.hash_password(&name, password, "/password").await?),
        None => None,
    };
    let email = asked.email.clone().map(|email| checked_email(Some(email))).transpose()?;
    let has_password = hash.is_some();
    let has_changed_login = has_password || asked.locked == Some(true);
    let target = name.clone();
    let change = move |edits: &Edits| users::update(edits, &target, &asked, hash.as_deref(), &precondition);
    if let Some(preview) = granted.previewed(&change).await? {
        return Ok(preview);
    }
    let user = granted.change(&name, change).await?;
    let accounts = &granted.request.state.accounts;
    if has_changed_login {
        // Their line of htpasswd has changed, which ends tokens already; the sessions need not be found void one by one.
        accounts.end_sessions(&name, None).await?;
    }
    if has_password {
        accounts.record_password(&name).await?;
    }
    if let Some(email) = email {
        accounts.record_user(&name, |record| record.email.clone_from(&email)).await?;
    }
    changed_to(&user, &with_record(granted, user.value.clone()).await?)
}

async fn delete(granted: Granted, name: String) -> Result<Response<ResponseBody>, ServiceError> {
    let precondition = granted.write_precondition()?;
    let target = name.clone();
    let delete = move |edits: &Edits| users::delete(edits, &target, &precondition);
    if let Some(preview) = granted.previewed(&delete).await? {
        return Ok(preview);
    }
    granted.rehearse(delete.clone()).await?;
    // First, and the same call finishes it after a crash: whoever gets a name must not get its keys.
    granted.request.state.accounts.bury(&name, &granted.who().subject.to_string()).await?;
    if let Ok(owner) = name.parse() {
        granted.registry().disown(&owner).await?;
    }
    let deleted = granted.change(&name, delete).await?;
    Ok(done(&deleted))
}

async fn set_groups(mut granted: Granted, name: Option<String>) -> Result<Response<ResponseBody>, ServiceError> {
    let precondition = granted.write_precondition()?;
    let asked: UserGroups = granted.read_json().await?;
    let name = match (name, asked.username) {
        (Some(name), None) | (None, Some(name)) => name,
        (Some(name), Some(other)) if name == other => name,
        (Some(_), Some(_)) => return Err(invalid("/username", "is not the user of the path")),
        (None, None) => return Err(invalid("/username", "is missing")),
    };
    let asked = UpdateUser { groups: Some(asked.groups), ..UpdateUser::default() };
    change_user(&granted, name, asked, precondition).await
}

fn access(granted: &Granted, name: &str) -> Result<Response<ResponseBody>, ServiceError> {
    let live = &granted.request.live;
    if live.identity.users().is_some() && users::user(live, name)?.is_none() {
        return Err(ApiError::NotFound.into());
    }
    let items = user_access::list(live, name)?;
    let total = Some(items.len() as u64);
    granted.list(&Page::new(items, None).of(total))
}

async fn change_access(
    mut granted: Granted,
    name: String,
    how: AccessChange,
) -> Result<Response<ResponseBody>, ServiceError> {
    let asked: ChangeAccess = granted.read_json().await?;
    let target = name.clone();
    match asked.dry_run {
        true => {
            let shown = granted.rehearse(move |edits| user_access::change(edits, &target, &asked, how)).await?;
            reply::json(StatusCode::OK, &shown).map(settled)
        }
        false => changed(&granted.change(&name, move |edits| user_access::change(edits, &target, &asked, how)).await?),
    }
}

/// An address for people to reach a user; an empty one is none. It is not used to log in.
fn checked_email(email: Option<String>) -> Result<Option<String>, ServiceError> {
    /// The longest address (RFC 5321 §4.5.3.1.3).
    const LONGEST: usize = 254;
    let is_fine =
        |email: &String| email.len() <= LONGEST && email.contains('@') && !email.chars().any(char::is_control);
    match email.filter(|email| !email.is_empty()) {
        Some(email) if !is_fine(&email) => Err(invalid("/email", "is not an address")),
        email => Ok(email),
    }
}

fn invalid(at: &str, problem: &str) -> ServiceError {
    ApiError::invalid(FieldProblem::new(at, problem)).into()
}
