//! Uploads from a browser: the script of the page sends files in chunks, and continues after an interruption. Without
//! scripts, a form sends them.

use super::{
    super::{
        super::{
            error::{ApiError, FieldProblem, ServiceError},
            gate::Granted,
            headers::{text, value},
            manage::{ArtifactEndpoint, ManageEndpoint},
        },
        commands::ToolCommand,
        form::PageForm,
        form_state::FormState,
        markup,
        shell::{Shell, go_to, page},
    },
    commands, directory_page,
    head::ArtifactHead,
};
use crate::{
    artifacts::{ArtifactPath, ArtifactRepositoryName, ArtifactVersion},
    registry::{Interruption, RegistryError},
    who::Permission,
    wire::{BoxError, RequestBody, ResponseBody},
};
use askama::Template;
use futures_util::TryStreamExt as _;
use http::{HeaderName, HeaderValue, Method, Response, header};
use http_body::Frame;
use http_body_util::{BodyDataStream, StreamBody};
use multer::{Constraints, Field, Multipart, SizeLimit};

/// The media type of forms with files.
const FORM: &str = "multipart/form-data";

/// The field with files; all others come before it.
const FILE: &str = "file";

/// The fields that the page can say something about.
const FIELDS: &[&str] = &["version", "under", "properties", FILE];

/// The longest of the other fields, in bytes.
const LONGEST_FIELD: u64 = 64 << 10;

#[derive(Template)]
#[template(path = "artifact_upload.html")]
struct ArtifactUploadTemplate {
    shell: Shell,
    head: ArtifactHead,
    version: String,
    under: String,
    most: u64,
    commands: Vec<ToolCommand>,
    form: FormState,
}

pub(super) async fn show(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    form: FormState,
) -> Result<Response<ResponseBody>, ServiceError> {
    let head = ArtifactHead::of(granted, name, "upload").await?;
    if !head.may_upload {
        return Err(granted.lacks(Permission::UPLOAD_ARTIFACT));
    }
    let parameters = granted.parameters();
    let given = |name: &str| parameters.first(name).unwrap_or_default().to_owned();
    let shell = Shell::of(granted, "artifacts").await;
    page(
        form.status(),
        &ArtifactUploadTemplate {
            commands: commands::upload(granted, &shell, &head.item.name),
            version: form.text("version", given("version")),
            under: form.text("under", given("under")),
            most: granted.request.live.registry.artifacts.file_bytes,
            shell,
            head,
            form,
        },
    )
}

/// Receives a form with files. Each becomes an artifact once all of it is there; if one is refused, those before it
/// stay.
pub(in super::super) async fn receive_files(
    mut granted: Granted,
    name: &ArtifactRepositoryName,
) -> Result<Response<ResponseBody>, ServiceError> {
    let stated = text(&granted.request.head.headers, &header::CONTENT_TYPE).unwrap_or_default();
    let boundary = multer::parse_boundary(stated).map_err(|_| ApiError::ContentType(FORM))?;
    let limits = SizeLimit::new().per_field(LONGEST_FIELD).for_field(FILE, u64::MAX);
    let body = BodyDataStream::new(std::mem::take(&mut granted.request.body));
    let mut sent = Multipart::with_constraints(body, boundary, Constraints::new().size_limit(limits));
    let (mut fields, mut stored) = (Vec::new(), 0_usize);
    let refused = loop {
        let field = match sent.next_field().await {
            Ok(Some(field)) => field,
            Ok(None) if stored > 0 => break None,
            Ok(None) => break Some(problem(FILE, "choose a file")),
            Err(error) => return Err(unread(error)),
        };
        match (field.name().unwrap_or_default().to_owned(), field.file_name()) {
            // A browser sends an empty one if no file was chosen.
            (at, None | Some("")) if at == FILE => {}
            (at, Some(_)) if at == FILE => match store(&granted, name, &fields, field).await {
                Ok(()) => stored += 1,
                Err(error) => break Some(error),
            },
            (at, _) => fields.push((at, field.text().await.map_err(unread)?)),
        }
    };
    let form = PageForm::of_fields(fields);
    match refused {
        None => {
            let place = directory_page(name.as_str(), form.text("version").trim(), under(&form));
            Ok(go_to(&format!("{place}?done=artifacts-uploaded&n_done={stored}")))
        }
        Some(error) => show(&granted, name, FormState::refused(&form, error, FIELDS)?).await,
    }
}

/// Makes an artifact of a file.
async fn store(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    fields: &[(String, String)],
    file: Field<'static>,
) -> Result<(), ServiceError> {
    let form = PageForm::of_fields(fields.to_vec());
    let version: ArtifactVersion =
        form.text("version").trim().parse().map_err(|error| problem("version", format!("{error}")))?;
    let path = match under(&form) {
        "" => file.file_name().unwrap_or_default().to_owned(),
        under => format!("{under}/{}", file.file_name().unwrap_or_default()),
    };
    let path: ArtifactPath = path.parse().map_err(|error| problem("under", format!("{path:?}: {error}")))?;
    let mut query = Vec::new();
    for line in form.text("properties").lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (key, value) =
            line.split_once('=').ok_or_else(|| problem("properties", format!("{line:?} is not key=value")))?;
        query.push((format!("property.{}", key.trim()), value.trim()));
    }
    if form.checked("overwrite") {
        query.push(("overwrite".to_owned(), "true"));
    }
    let query: Vec<_> = query.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let kind = file.content_type().map_or("application/octet-stream", |kind| kind.essence_str());
    let headers: [(HeaderName, HeaderValue); 1] = [(header::CONTENT_TYPE, value(kind))];
    let bytes = file.map_ok(Frame::data).map_err(|error| Box::new(error) as BoxError);
    let put = ManageEndpoint::Artifact(ArtifactEndpoint::Put(name.clone(), version, path));
    granted.send(put, Method::PUT, &query, &headers, RequestBody::new(StreamBody::new(bytes))).await.map(|_| ())
}

/// The directory that a form names.
fn under(form: &PageForm) -> &str {
    form.text("under").trim().trim_matches('/')
}

fn problem(at: &str, problem: impl Into<String>) -> ServiceError {
    ApiError::invalid(FieldProblem::new(at, problem)).into()
}

/// A form that ends within a field, or is none.
fn unread(error: multer::Error) -> ServiceError {
    match error {
        multer::Error::FieldSizeExceeded { .. } => ApiError::BodyTooLarge(LONGEST_FIELD as usize).into(),
        multer::Error::StreamReadFailed(_) | multer::Error::IncompleteStream => {
            RegistryError::Interrupted(Interruption::Cut).into()
        }
        _ => problem("", "the form cannot be read"),
    }
}
