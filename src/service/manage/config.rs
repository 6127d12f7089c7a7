//! The configuration as a whole: its state, the files' texts, and what was changed by the API.

use super::{
    super::{
        answer::{self, Answering},
        endpoint::{Effect, Family, Methods, Need, RequestLine},
        error::{ApiError, FieldProblem, ServiceError},
        gate::Granted,
        headers::{REVALIDATE, entity_tags, value},
    },
    audit::settled,
    changes::done,
    operation::{AnswerShape, Operation, Shape},
    reply::{self, rfc3339},
};
use crate::{
    config::{EditableFile, Live, Problem},
    manage::{Affected, EditRefusal, Edits, FileEdit, Manage, text_tag},
    storage::LinePlace,
    who::Permission,
    wire::ResponseBody,
};
use api::{
    Page,
    audit::AuditEntry,
    config::{CheckConfig, ConfigChecked, ConfigFile, ConfigProblem, ConfigStatus},
};
use http::{HeaderValue, Response, StatusCode, header};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::get::<ConfigStatus>("/config", "show_config", "Show the state of the configuration."),
    Operation::of("POST", "/config/reload", "reload_config", "Read the configuration files now.", STATUS, 200),
    Operation::of(
        "POST",
        "/config/check",
        "check_config",
        "Check a text for a configuration file.",
        AnswerShape::One(Shape::of::<ConfigChecked>()),
        200,
    )
    .takes::<CheckConfig>()
    .refuses(&[400, 409]),
    Operation::of(
        "GET",
        "/config/files/{file}",
        "show_config_file",
        "Show the text of a file: `access-control` or `settings`.",
        AnswerShape::Other("text/plain"),
        200,
    )
    .refuses(&[404, 409]),
    Operation::of(
        "PUT",
        "/config/files/{file}",
        "put_config_file",
        "Replace the text of a file: `access-control` (application/json) or `settings` (application/toml).",
        AnswerShape::Nothing,
        204,
    )
    .previews()
    .refuses(&[400, 404, 409, 412, 415, 428]),
    Operation::list::<AuditEntry>("/audit", "list_audit", "List the changes made by the API, newest first."),
];

const STATUS: AnswerShape = AnswerShape::One(Shape::of::<ConfigStatus>());

/// A request about the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigEndpoint {
    /// `GET /config`.
    Show,
    /// `POST /config/reload`.
    Reload,
    /// `POST /config/check`.
    Check,
    /// `GET /config/files/{file}`.
    ShowFile(EditableFile),
    /// `PUT /config/files/{file}`.
    PutFile(EditableFile),
    /// `GET /audit`.
    Audit,
}

const POST: Methods = Methods(&[("POST", Effect::Reads)]);
// The settings have the read-only mode, so a file can be replaced in it.
const FILE: Methods = Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("PUT", Effect::Reads)]);

impl ConfigEndpoint {
    pub(super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        let is_read = line.is_read();
        match (line.segments, line.method.as_str()) {
            (["config"], _) if is_read => Ok(Self::Show),
            (["audit"], _) if is_read => Ok(Self::Audit),
            (["config", "reload"], "POST") => Ok(Self::Reload),
            (["config", "check"], "POST") => Ok(Self::Check),
            (["config", "files", name], _) => match (text_file(name), line.method.as_str()) {
                (None, _) => Err(ApiError::NotFound.into()),
                (Some(file), _) if is_read => Ok(Self::ShowFile(file)),
                (Some(file), "PUT") => Ok(Self::PutFile(file)),
                _ => Err(ServiceError::MethodNotAllowed(FILE)),
            },
            (["config"] | ["audit"], _) => Err(ServiceError::MethodNotAllowed(Methods::READ)),
            (["config", "reload" | "check"], _) => Err(ServiceError::MethodNotAllowed(POST)),
            _ => Err(ApiError::NotFound.into()),
        }
    }
}

/// The files whose whole text can be read and written. That of htpasswd cannot: hashes are nobody's business.
fn text_file(name: &str) -> Option<EditableFile> {
    [EditableFile::AccessControl, EditableFile::Settings].into_iter().find(|file| file.to_string() == name)
}

impl Family for ConfigEndpoint {
    fn name(&self) -> &'static str {
        match self {
            Self::Show => "show_config",
            Self::Reload => "reload_config",
            Self::Check => "check_config",
            Self::ShowFile(_) => "show_config_file",
            Self::PutFile(_) => "put_config_file",
            Self::Audit => "list_audit",
        }
    }

    fn needs(&self) -> Need<'_> {
        match self {
            Self::Show | Self::Reload | Self::Check | Self::ShowFile(_) | Self::PutFile(_) | Self::Audit => {
                Need::May(Permission::ADMIN)
            }
        }
    }

    fn methods(&self) -> Methods {
        match self {
            Self::Show | Self::Audit => Methods::READ,
            Self::Reload | Self::Check => POST,
            Self::ShowFile(_) | Self::PutFile(_) => FILE,
        }
    }

    fn serve(self, granted: Granted) -> Answering {
        Box::pin(async move {
            match self {
                Self::Show => show(&granted).await,
                Self::Reload => reload(&granted).await,
                Self::Check => check(granted).await,
                Self::ShowFile(file) => show_file(&granted, file).await,
                Self::PutFile(file) => put_file(granted, file).await,
                Self::Audit => audit(&granted).await,
            }
        })
    }
}

async fn show(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let status = granted.read_files(|manage, live| Ok(status(manage, live))).await?;
    granted.resource(&status)
}

async fn reload(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    granted
        .read_files(|manage, _| {
            manage.editor().reload();
            Ok(())
        })
        .await?;
    let state = granted.request.state.clone();
    let status = granted.read_files(move |manage, _| Ok(status(manage, &state.live.load()))).await?;
    reply::json(StatusCode::OK, &status)
}

fn status(manage: &Manage, live: &Live) -> ConfigStatus {
    let file = |file: EditableFile| ConfigFile {
        name: file.to_string(),
        path: manage.editor().path(file).ok().map(|path| path.display().to_string()),
        variable: file.variable().to_owned(),
    };
    ConfigStatus {
        generation: live.version.to_string(),
        number: live.number,
        loaded_at: rfc3339(live.reloaded),
        problems: live.stale.iter().flat_map(|stale| &stale.problems.0).map(problem).collect(),
        files: [EditableFile::Htpasswd, EditableFile::AccessControl, EditableFile::Settings].map(file).to_vec(),
    }
}

fn problem(problem: &Problem) -> ConfigProblem {
    ConfigProblem {
        file: problem.file.as_ref().map(|file| file.display().to_string()),
        line: problem.line.map(|line| line as u64),
        key: problem.key.clone(),
        problem: problem.one_line(),
    }
}

async fn check(mut granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let CheckConfig { file, text } = granted.read_json().await?;
    let unknown = || ApiError::invalid(FieldProblem::new("/file", "must be access-control or settings"));
    let file = text_file(&file).ok_or_else(unknown)?;
    let problems = granted.read_files(move |manage, _| Ok(manage.editor().check(file, &text)?)).await?;
    reply::json(StatusCode::OK, &ConfigChecked { problems: problems.0.iter().map(problem).collect() }).map(settled)
}

async fn show_file(granted: &Granted, file: EditableFile) -> Result<Response<ResponseBody>, ServiceError> {
    let text = granted.read_files(move |manage, _| Ok(manage.editor().read(file)?)).await?;
    let tag = text_tag(text.as_bytes());
    let is_known = entity_tags(&granted.request.head.headers, &header::IF_NONE_MATCH).any(|known| known == tag);
    let mut response = match is_known {
        true => answer::empty(StatusCode::NOT_MODIFIED),
        false => Response::new(ResponseBody::from(text.into_bytes())),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, REVALIDATE);
    headers.insert(header::ETAG, value(format!("\"{tag}\"")));
    Ok(response)
}

async fn put_file(mut granted: Granted, file: EditableFile) -> Result<Response<ResponseBody>, ServiceError> {
    let precondition = granted.precondition().required()?;
    let media_type = match file {
        EditableFile::Settings => "application/toml",
        EditableFile::AccessControl | EditableFile::Htpasswd => "application/json",
    };
    let body = granted.read_body(media_type).await?;
    let not_text = |_| ApiError::invalid(FieldProblem::new("", "the body is not UTF-8 text"));
    let text = String::from_utf8(body.to_vec()).map_err(not_text)?;
    let tag = text_tag(text.as_bytes());
    let put = move |edits: &Edits| {
        edits.edit(file, |current, _| {
            precondition.check(Some(&text_tag(current.as_bytes())))?;
            Ok::<_, EditRefusal>(FileEdit { text: text.clone(), affects: Affected::nobody() })
        })
    };
    if let Some(preview) = granted.previewed(&put).await? {
        return Ok(preview);
    }
    let mut response = done(&granted.change(file.to_string(), put).await?);
    response.headers_mut().insert(header::ETAG, value(format!("\"{tag}\"")));
    Ok(response)
}

async fn audit(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let page = granted.page_query()?;
    let before = page.last.as_deref().and_then(|last| last.parse::<LinePlace>().ok());
    let found = granted.manage()?.recorded(before, page.n.saturating_add(1)).await?;
    let next = (found.len() > page.n).then(|| found.get(page.n - 1).map(|(place, _)| place.to_string())).flatten();
    let items = found.into_iter().take(page.n).map(|(_, entry)| entry).collect();
    granted.list(&Page::new(items, next))
}
