//! What runs in the background: requests to the server. Keys never wait for them.

use super::{harmless::harmless, view::LoadProblem};
use crate::{
    commands::{
        admin::{keys_of, outbox_report},
        artifact,
    },
    failure::{ExitStatus, Failure},
    management::{Management, query, segment},
};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, task::AbortHandle};

/// Items in one page of a list.
const PAGE: usize = 1000;

/// Requests of the latest that the activity shows.
const LATEST: usize = 200;

/// What is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadRequest {
    /// A list, page by page.
    List { path: String, query: Vec<(String, String)>, most: Option<usize> },
    /// An object, and where its rows are.
    Object { path: String, rows: Option<&'static str> },
    /// The server, the caller, the totals.
    Home,
    /// Transfers and the latest requests.
    Activity,
    /// Files of a repository of artifacts.
    Versions(String),
    /// Artifacts by what they have.
    Search(Vec<(String, String)>),
    /// The keys of a section of the settings.
    Section(String),
    /// A migration with its images.
    Migration(String),
    /// What is still to be written to the SFTP server.
    Outbox,
    /// What a form is about to change.
    Thing(String),
}

/// What of a view was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoadPart {
    /// Its rows.
    Rows,
    /// What belongs to the selected one.
    Detail,
    /// What a form shows.
    Form,
}

/// One request of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeStep {
    pub method: Method,
    pub path: String,
    pub body: Option<Value>,
    /// The entity tag of what was shown, if the change depends on it.
    pub if_match: Option<String>,
}

impl ChangeStep {
    /// A request that does not depend on what was shown.
    pub fn new(method: Method, path: impl Into<String>, body: Option<Value>) -> Self {
        Self { method, path: path.into(), body, if_match: None }
    }
}

/// What is to be changed. Once begun, it is not cancelled.
#[derive(Clone, PartialEq, Eq)]
pub enum ChangeRequest {
    /// Requests in this order; the first that fails ends it.
    Send(Vec<ChangeStep>),
    /// A user, who may become an administrator by a group.
    CreateUser { name: String, password: String, is_admin: bool },
}

/// Never shows a password.
impl std::fmt::Debug for ChangeRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Send(requests) => {
                let lines = requests.iter().map(|step| format!("{} {}", step.method, step.path));
                f.debug_list().entries(lines).finish()
            }
            Self::CreateUser { name, is_admin, .. } => {
                f.debug_struct("CreateUser").field("name", name).field("is_admin", is_admin).finish_non_exhaustive()
            }
        }
    }
}

/// What comes back.
#[derive(Debug, PartialEq)]
pub enum WorkAnswer {
    /// Items of a list; the last page ends the load.
    Page { view: u64, part: LoadPart, items: Vec<Value>, is_last: bool },
    /// An object.
    Object { view: u64, part: LoadPart, object: Value, rows: Option<Vec<Value>>, etag: Option<String> },
    /// A load that failed.
    Failed { view: u64, part: LoadPart, problem: LoadProblem },
    /// A change was made.
    Changed { view: u64, number: u64, object: Value },
    /// A change failed.
    NotChanged { view: u64, number: u64, problem: LoadProblem },
    /// An upload got further.
    Transfer { number: u64, done: u64 },
}

/// Sends answers while a request runs.
pub type Answers = mpsc::UnboundedSender<WorkAnswer>;

/// The tasks that run for views.
pub struct Workers {
    loads: HashMap<(u64, LoadPart), AbortHandle>,
    answers: Answers,
}

impl Workers {
    /// Nothing runs yet.
    pub fn new(answers: Answers) -> Self {
        Self { loads: HashMap::new(), answers }
    }

    /// Reads something for a view after a short wait. What is being read for the same part ends.
    pub fn load(&mut self, management: &Management, view: u64, part: LoadPart, wait: Duration, request: LoadRequest) {
        let (management, answers) = (management.clone(), self.answers.clone());
        let task = tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            if let Err(failure) = load(&management, view, part, request, &answers).await {
                let _ = answers.send(WorkAnswer::Failed { view, part, problem: LoadProblem::of(&failure) });
            }
        });
        if let Some(before) = self.loads.insert((view, part), task.abort_handle()) {
            before.abort();
        }
        self.loads.retain(|_, task| !task.is_finished());
    }

    /// Ends what is being read for a view.
    pub fn cancel(&mut self, view: u64) {
        self.loads.retain(|(of, _), task| {
            let stays = *of != view;
            if !stays {
                task.abort();
            }
            stays
        });
    }

    /// Ends everything that is being read.
    pub fn cancel_all(&mut self) {
        self.loads.drain().for_each(|(_, task)| task.abort());
    }

    /// Changes something.
    pub fn change(&self, management: &Management, view: u64, number: u64, request: ChangeRequest) {
        let (management, answers) = (management.clone(), self.answers.clone());
        tokio::spawn(async move {
            let answer = match change(&management, request).await {
                Ok(object) => WorkAnswer::Changed { view, number, object },
                Err(failure) => WorkAnswer::NotChanged { view, number, problem: LoadProblem::of(&failure) },
            };
            let _ = answers.send(answer);
        });
    }

    /// Runs something that ends with a value, such as a login.
    pub fn run(&self, view: u64, number: u64, work: impl Future<Output = Result<Value, Failure>> + Send + 'static) {
        let answers = self.answers.clone();
        tokio::spawn(async move {
            let answer = match work.await {
                Ok(object) => WorkAnswer::Changed { view, number, object },
                Err(failure) => WorkAnswer::NotChanged { view, number, problem: LoadProblem::of(&failure) },
            };
            let _ = answers.send(answer);
        });
    }

    /// Where answers go.
    pub fn answers(&self) -> Answers {
        self.answers.clone()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.cancel_all();
    }
}

impl LoadProblem {
    /// What a person is told about a failure.
    pub fn of(failure: &Failure) -> Self {
        let needs_login = failure.status == ExitStatus::NotLoggedIn;
        let hint = failure.hint.as_deref().filter(|_| !needs_login);
        let is_stale = failure.http == Some(StatusCode::PRECONDITION_FAILED);
        Self { message: harmless(&failure.message), hint: hint.map(harmless), needs_login, is_stale }
    }
}

/// The path of a repository.
pub fn repository_path(name: &str) -> String {
    let components: Vec<_> = name.split('/').map(segment).collect();
    format!("/repositories/{}", components.join("/"))
}

/// The path of an artifact.
pub fn artifact_path(repository: &str, version: &str, path: &str) -> String {
    let path: Vec<_> = path.split('/').map(segment).collect();
    format!("/artifacts/{}/{}/{}", segment(repository), segment(version), path.join("/"))
}

async fn load(
    management: &Management,
    view: u64,
    part: LoadPart,
    request: LoadRequest,
    answers: &Answers,
) -> Result<(), Failure> {
    // If nobody listens any more, the program ends.
    let say = |answer| drop(answers.send(answer));
    match request {
        LoadRequest::List { path, query, most } => {
            let (mut count, mut last) = (0, None::<String>);
            loop {
                let size = most.map_or(PAGE, |most| (most - count).min(PAGE)).to_string();
                let mut pairs: Vec<_> = query.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
                pairs.push(("n", &size));
                pairs.extend(last.as_deref().map(|last| ("last", last)));
                let mut page = management.get(&format!("{path}{}", self::query(pairs))).await?;
                let items = match page.get_mut("items").map(Value::take) {
                    Some(Value::Array(items)) => items,
                    _ => return Err(Failure::failed("the server's answer is no list")),
                };
                count += items.len();
                let next = page.get("next").and_then(Value::as_str).map(str::to_owned);
                let goes_on = next.is_some() && next != last && most.is_none_or(|most| count < most);
                say(WorkAnswer::Page { view, part, items, is_last: !goes_on });
                if !goes_on {
                    return Ok(());
                }
                last = next;
            }
        }
        LoadRequest::Object { path, rows } => {
            let object = management.get(&path).await?;
            let rows = rows.map(|rows| object.pointer(rows).and_then(Value::as_array).cloned().unwrap_or_default());
            say(WorkAnswer::Object { view, part, object, rows, etag: None });
        }
        LoadRequest::Home => {
            let started = Instant::now();
            let system = management.get("/system").await?;
            let latency = started.elapsed();
            // Both say less, or nothing, to callers who are not logged in.
            let (me, dashboard) = tokio::join!(management.get("/auth/me"), management.get("/dashboard"));
            #[expect(clippy::cast_possible_truncation, reason = "a request does not take so long")]
            let object = json!({
                "system": system, "me": me.unwrap_or_default(), "dashboard": dashboard.unwrap_or_default(),
                "latency_ms": latency.as_millis() as u64,
            });
            say(WorkAnswer::Object { view, part, object, rows: None, etag: None });
        }
        LoadRequest::Activity => {
            let latest = [];
            let (report, requests) =
                tokio::join!(management.get("/metrics"), management.list("/access-log", &latest, Some(LATEST)));
            say(WorkAnswer::Object { view, part, object: report?, rows: Some(requests?), etag: None });
        }
        LoadRequest::Versions(repository) => {
            let versions = management.get(&format!("/artifacts/{}/versions", segment(&repository))).await?;
            let all = versions.as_object().into_iter().flat_map(|versions| versions.values());
            let items = all.filter_map(Value::as_array).flatten().cloned().collect();
            say(WorkAnswer::Page { view, part, items, is_last: true });
        }
        LoadRequest::Search(terms) => {
            let items = artifact::search(management, &terms, None).await?;
            say(WorkAnswer::Page { view, part, items, is_last: true });
        }
        LoadRequest::Section(section) => {
            let (object, etag) = management.get_tagged(&format!("/settings/{}", segment(&section))).await?;
            let rows = Some(keys_of(&object));
            say(WorkAnswer::Object { view, part, object, rows, etag });
        }
        LoadRequest::Migration(id) => {
            let path = format!("/tasks/{}", segment(&id));
            let images = format!("{path}/images");
            let (object, images) = tokio::join!(management.get(&path), management.list(&images, &[], Some(PAGE)));
            say(WorkAnswer::Object { view, part, object: object?, rows: Some(images?), etag: None });
        }
        LoadRequest::Outbox => {
            let object = outbox_report(management).await?;
            let rows = object["items"].as_array().cloned();
            say(WorkAnswer::Object { view, part, object, rows, etag: None });
        }
        LoadRequest::Thing(path) => {
            let (object, etag) = management.get_tagged(&path).await?;
            say(WorkAnswer::Object { view, part, object, rows: None, etag });
        }
    }
    Ok(())
}

async fn change(management: &Management, request: ChangeRequest) -> Result<Value, Failure> {
    match request {
        ChangeRequest::Send(requests) => {
            let mut last = Value::Null;
            for ChangeStep { method, path, body, if_match } in requests {
                let sent = match if_match {
                    Some(etag) => management.send_if(method, &path, body.as_ref(), Some(&etag)).await?,
                    None => management.send(method, &path, body.as_ref()).await?,
                };
                last = sent.value().map_err(Failure::failed)?;
            }
            Ok(last)
        }
        ChangeRequest::CreateUser { name, password, is_admin } => {
            let groups = if is_admin { vec![administrators(management).await?] } else { Vec::new() };
            let body = json!({ "username": name, "password": password, "groups": groups });
            management.value(Method::POST, "/users", Some(&body)).await
        }
    }
}

/// The group whose members are administrators, which is made if there is none.
async fn administrators(management: &Management) -> Result<String, Failure> {
    const ROLE: &str = "administrator";
    let groups = management.list("/groups", &[], None).await?;
    let gives = |group: &&Value| group["roles"].as_array().is_some_and(|roles| roles.iter().any(|role| role == ROLE));
    if let Some(name) = groups.iter().find(gives).and_then(|group| group["name"].as_str()) {
        return Ok(name.to_owned());
    }
    let name = "admins";
    let body = json!({ "name": name, "description": "Administrators", "roles": [ROLE] });
    management.value(Method::POST, "/groups", Some(&body)).await?;
    Ok(name.to_owned())
}
