//! Migrations: images that are copied from other registries. Once started, one is a task like others.

use super::super::{
    answer::Answering,
    client::is_local,
    endpoint::{Effect, Family, Methods, Need, RequestLine},
    error::{ApiError, FieldProblem, ServiceError},
    gate::Granted,
    headers::value,
};
use super::{
    audit::settled,
    operation::{AnswerShape, Operation, Shape},
    reply,
};
use crate::{
    migration::{Authority, ImagePattern, MigrationRefused, MigrationState, NewMigration, SourceCredential, client_of},
    who::{Action, Permission, Subject},
    wire::ResponseBody,
};
use api::{
    migration::{BrowseAnswer, BrowseRequest, MigrationRequest, ResumeRequest},
    tasks::{Task, TaskStarted},
};
use client::{PageRequest, Platform, RegistryAddress};
use http::{Method, Response, StatusCode, header};
use oci::RepositoryName;
use std::{sync::Arc, time::Duration};
use ulid::Ulid;

/// Most patterns of one migration.
const MOST_PATTERNS: usize = 1000;

/// Most platforms of one migration.
const MOST_PLATFORMS: usize = 64;

/// Names on one page of another registry's list.
const BROWSED: u32 = 100;

/// How long a page of another registry's list may take.
const BROWSE_LIMIT: Duration = Duration::from_secs(30);

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::of(
        "POST",
        "/registry/migrate",
        "start_migration",
        "Copy images from another registry.",
        AnswerShape::One(Shape::of::<TaskStarted>()),
        202,
    )
    .takes::<MigrationRequest>()
    .refuses(&[409]),
    Operation::list::<Task>(
        "/registry/migrate",
        "list_migrations",
        "List your migrations, or all for an administrator, newest first.",
    ),
    Operation::of(
        "POST",
        "/registry/browse",
        "browse_registry",
        "List the repositories of another registry, or the tags of one of them.",
        AnswerShape::One(Shape::of::<BrowseAnswer>()),
        200,
    )
    .takes::<BrowseRequest>()
    .refuses(&[502]),
];

/// A request about other registries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MigrationEndpoint {
    /// `POST /registry/migrate`.
    Start,
    /// `GET /registry/migrate`.
    List,
    /// `POST /registry/browse`.
    Browse,
}

const MIGRATE: Methods = Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("POST", Effect::Writes)]);
const BROWSE: Methods = Methods(&[("POST", Effect::Reads)]);

impl MigrationEndpoint {
    pub(super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        let is_post = *line.method == Method::POST;
        match line.segments {
            ["registry", "migrate"] if line.is_read() => Ok(Self::List),
            ["registry", "migrate"] if is_post => Ok(Self::Start),
            ["registry", "browse"] if is_post => Ok(Self::Browse),
            ["registry", "migrate"] => Err(ServiceError::MethodNotAllowed(MIGRATE)),
            ["registry", "browse"] => Err(ServiceError::MethodNotAllowed(BROWSE)),
            _ => Err(ApiError::NotFound.into()),
        }
    }
}

impl Family for MigrationEndpoint {
    fn name(&self) -> &'static str {
        match self {
            Self::Start => "start_migration",
            Self::List => "list_migrations",
            Self::Browse => "browse_registry",
        }
    }

    fn needs(&self) -> Need<'_> {
        match self {
            Self::Start | Self::Browse => Need::MayUnlessOpen(Permission::MIGRATE_TASK),
            Self::List => Need::Tasks,
        }
    }

    fn methods(&self) -> Methods {
        match self {
            Self::Start | Self::List => MIGRATE,
            Self::Browse => BROWSE,
        }
    }

    fn serve(self, granted: Granted) -> Answering {
        Box::pin(async move {
            match self {
                Self::Start => start(granted).await,
                Self::List => list(&granted),
                Self::Browse => browse(granted).await,
            }
        })
    }
}

impl Granted {
    /// Without authentication, anybody who reaches the registry could make this machine connect elsewhere. Then only
    /// requests from this machine are served.
    ///
    /// # Errors
    /// [`ServiceError::Denied`].
    pub(super) fn may_reach_others(&self) -> Result<(), ServiceError> {
        if !self.request.live.identity.is_nobody() || self.is_from_here() {
            return Ok(());
        }
        let message = "access denied: without authentication, migrations are only for requests from this machine";
        Err(ServiceError::Denied { message: message.to_owned(), reason: "not from this machine".to_owned() })
    }

    /// Whether the request was sent from this machine, without a proxy.
    pub(super) fn is_from_here(&self) -> bool {
        is_local(self.request.conn.as_ref().map(|conn| conn.peer), &self.request.head.headers)
    }

    /// For whom a migration of this owner acts, with the limits of the caller's credentials.
    fn authority(&self, owner: Subject) -> Authority {
        let state = &self.request.state;
        let caller = self.who();
        Authority::new(state.live.clone(), state.registry.clone(), owner, caller.ceiling.clone())
            .by_key(caller.key, &state.accounts)
    }
}

async fn start(mut granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    granted.may_reach_others()?;
    let request: MigrationRequest = granted.read_json().await?;
    let mut problems = Vec::new();
    let asked = check(&request, &mut problems);
    let credential = credential_of(&request.username, &request.password, &request.credentials_ref, &mut problems);
    let (Some(targets), Some(credential), true) = (asked, credential, problems.is_empty()) else {
        return Err(ApiError::InvalidRequest(problems).into());
    };
    let authority = granted.authority(granted.who().subject.clone());
    for target in targets.iter().filter(|_| !request.dry_run) {
        if !authority.may(Action::Push, target).await {
            let message = format!("access denied: you may not push to {target}");
            return Err(ServiceError::Denied { reason: message.clone(), message });
        }
    }
    let source = request.source_registry.clone();
    let new = NewMigration { request, credential, authority };
    let state = granted.request.state.migrations.start(new).await.map_err(refused)?;
    record(&granted, "start_migration", format!("{} from {source}", state.id)).await;
    let mut response = reply::json(StatusCode::ACCEPTED, &TaskStarted { task_id: state.id.to_string() })?;
    response.headers_mut().insert(header::LOCATION, value(format!("/api/v1/tasks/{}", state.id)));
    Ok(settled(response))
}

/// Continues a migration.
pub(super) async fn resume(mut granted: Granted, id: Ulid) -> Result<Response<ResponseBody>, ServiceError> {
    granted.may_reach_others()?;
    let given: ResumeRequest = granted.read_json_or_default().await?;
    let mut problems = Vec::new();
    let credential = credential_of(&given.username, &given.password, &given.credentials_ref, &mut problems);
    let credential = credential.ok_or(ApiError::InvalidRequest(problems))?;
    let found = granted.request.state.migrations.get(id);
    let state = found.filter(|state| is_visible(&granted, state)).ok_or(ApiError::NotFound)?;
    let owner = state.owner.as_deref().map_or(Subject::Anonymous, |name| Subject::User(name.into()));
    let authority = granted.authority(owner);
    granted.request.state.migrations.resume(&state, authority, credential).await.map_err(refused)?;
    record(&granted, "resume_task", id.to_string()).await;
    Ok(settled(reply::json(StatusCode::ACCEPTED, &state.task())?))
}

/// Whether the caller may see a migration: their own, and for administrators all.
pub(super) fn is_visible(granted: &Granted, state: &MigrationState) -> bool {
    super::tasks::is_visible_to(granted, state.owner.as_deref())
}

async fn record(granted: &Granted, action: &'static str, target: String) {
    if let Some(manage) = &granted.request.state.manage {
        manage.record(&granted.author(), action, target, Vec::new()).await;
    }
}

fn list(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let page = granted.page_query()?;
    let last = page.last.as_deref().and_then(|last| last.parse::<Ulid>().ok());
    let visible = granted.request.state.migrations.all().into_iter().filter(|state| is_visible(granted, state));
    let rest = visible.filter(|state| last.is_none_or(|last| state.id < last)).map(|state| state.task());
    granted.list(&reply::first_of(rest, page.n, |task: &Task| task.id.clone()))
}

async fn browse(mut granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    granted.may_reach_others()?;
    let request: BrowseRequest = granted.read_json().await?;
    let mut problems = Vec::new();
    let address = address_of("/registry", &request.registry, &mut problems);
    let name = request.repository.as_deref().filter(|name| !name.is_empty());
    let repository = match (&address, name) {
        (Some(address), Some(name)) => {
            let parsed = address.repository(name);
            parsed.map_err(|why| problems.push(FieldProblem::new("/repository", why.to_string()))).ok()
        }
        _ => None,
    };
    let credential = credential_of(&request.username, &request.password, &request.credentials_ref, &mut problems);
    let (Some(address), Some(credential), true) = (address, credential, problems.is_empty()) else {
        return Err(ApiError::InvalidRequest(problems).into());
    };
    let live = granted.request.live.clone();
    let read = credential.read(&live.credentials, &address).await;
    let credential = read.map_err(|error| refused(MigrationRefused::Credentials(error)))?;
    let client = client_of(address, credential, &live.migration);
    let page = PageRequest { size: Some(BROWSED), after: request.last.clone() };
    let names = async {
        match &repository {
            Some(repository) => names_of(client.tags(repository, &page).next_page().await),
            None => names_of(client.catalog(&page).next_page().await),
        }
    };
    let names = match tokio::time::timeout(BROWSE_LIMIT, names).await {
        Ok(names) => names.map_err(|error| ApiError::OtherRegistry(error.to_string()))?,
        Err(_) => {
            let message = format!("{} does not answer in {} seconds", client.registry(), BROWSE_LIMIT.as_secs());
            return Err(ApiError::OtherRegistry(message).into());
        }
    };
    // A registry may give fewer than it was asked for, so only an empty page is certainly the last.
    let next = names.last().cloned();
    let (repositories, tags) = match repository {
        Some(_) => (None, Some(names)),
        None => (Some(names), None),
    };
    reply::json(StatusCode::OK, &BrowseAnswer { repositories, tags, next })
}

fn names_of<T: ToString>(page: Result<Option<Vec<T>>, client::Error>) -> Result<Vec<String>, client::Error> {
    Ok(page?.unwrap_or_default().iter().map(ToString::to_string).collect())
}

/// Checks what a migration is asked for. Returns the repositories that it names, as they are called here.
fn check(request: &MigrationRequest, problems: &mut Vec<FieldProblem>) -> Option<Vec<RepositoryName>> {
    let address = address_of("/source_registry", &request.source_registry, problems)?;
    let prefix = request.target_prefix.as_deref().filter(|prefix| !prefix.is_empty());
    let prefix: Option<RepositoryName> = match prefix.map(str::parse).transpose() {
        Ok(prefix) => prefix,
        Err(why) => {
            let why: oci::InvalidName = why;
            problems.push(FieldProblem::new("/target_prefix", why.to_string()));
            None
        }
    };
    let mut limit = |at: &str, n: usize, most: usize| {
        if n > most {
            problems.push(FieldProblem::new(at, format!("has {n} items; at most {most} are allowed")));
        }
    };
    limit("/images", request.images.len(), MOST_PATTERNS);
    limit("/platforms", request.platforms.len(), MOST_PLATFORMS);
    if request.images.is_empty() {
        problems.push(FieldProblem::new("/images", "must say what to copy; \"**\" is everything"));
    }
    for (i, platform) in request.platforms.iter().enumerate().take(MOST_PLATFORMS) {
        if let Err(why) = platform.parse::<Platform>() {
            problems.push(FieldProblem::new(format!("/platforms/{i}"), why.to_string()));
        }
    }
    let mut targets = Vec::new();
    for (i, text) in request.images.iter().enumerate().take(MOST_PATTERNS) {
        let at = || format!("/images/{i}");
        match ImagePattern::parse(text, &address) {
            Err(why) => problems.push(FieldProblem::new(at(), why.to_string())),
            Ok(pattern) => {
                let Some(name) = pattern.repository() else { continue };
                let target = match &prefix {
                    Some(prefix) => format!("{prefix}/{name}").parse(),
                    None => Ok(name.clone()),
                };
                match target {
                    Ok(target) => targets.push(target),
                    Err(why) => {
                        let why: oci::InvalidName = why;
                        problems.push(FieldProblem::new(at(), format!("with the prefix: {why}")));
                    }
                }
            }
        }
    }
    Some(targets)
}

fn address_of(at: &str, text: &str, problems: &mut Vec<FieldProblem>) -> Option<RegistryAddress> {
    let parsed = text.trim().parse::<RegistryAddress>();
    parsed.map_err(|why| problems.push(FieldProblem::new(at, why.to_string()))).ok()
}

fn credential_of(
    username: &Option<String>,
    password: &Option<String>,
    named: &Option<String>,
    problems: &mut Vec<FieldProblem>,
) -> Option<SourceCredential> {
    let read = SourceCredential::of(username.clone(), password.clone(), named.as_deref());
    read.map_err(|(at, why)| problems.push(FieldProblem::new(at, why))).ok()
}

fn refused(error: MigrationRefused) -> ServiceError {
    match error {
        MigrationRefused::Credentials(error) => {
            ApiError::invalid(FieldProblem::new("/credentials_ref", error.to_string())).into()
        }
        MigrationRefused::Storage(error) => error.into(),
        MigrationRefused::TooMany | MigrationRefused::NotResumable(_) | MigrationRefused::NeedsCredentials => {
            ApiError::Ambiguous(error.to_string()).into()
        }
    }
}

/// The migration with this id, if the caller may see it.
pub(super) fn find(granted: &Granted, id: Ulid) -> Option<Arc<MigrationState>> {
    granted.request.state.migrations.get(id).filter(|state| is_visible(granted, state))
}
