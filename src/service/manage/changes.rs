//! Changes of the configuration files: who asks for them, and how they are answered.

use super::{
    super::{
        answer,
        error::{ApiError, FieldProblem, ServiceError},
        gate::Granted,
        headers::value,
        query::Query,
    },
    audit::settled,
    reply,
};
use crate::{
    config::{EditFault, Live},
    manage::{self, Author, Changed, EditRefusal, Edits, Manage, Precondition, passwords},
    who::Permission,
    wire::ResponseBody,
};
use http::{HeaderName, Response, StatusCode, header};
use serde::Serialize;
use std::sync::Arc;

/// The version of the configuration after a change: replicas with the same files have the same.
const GENERATION: HeaderName = HeaderName::from_static("wharfinger-generation");

/// The parameter of a request that only wants to know what would change.
const DRY_RUN: &str = "dry_run";

impl Granted {
    /// What changes the configuration files.
    ///
    /// # Errors
    /// [`ApiError::ManagementDisabled`] without authentication: a stranger would own the files.
    pub(in super::super) fn manage(&self) -> Result<&Manage, ServiceError> {
        let manage = self.request.state.manage.as_ref().filter(|_| !self.request.live.identity.is_nobody());
        manage.ok_or_else(|| ApiError::ManagementDisabled.into())
    }

    /// The caller, for the audit log and the comparison of rights.
    pub(in super::super) fn author(&self) -> Author {
        let who = self.who();
        Author {
            subject: who.subject.clone(),
            ceiling: who.ceiling.clone(),
            address: self.request.client,
            request: self.request_id().map(str::to_owned),
            is_operator: false,
        }
    }

    /// Makes a change of the configuration files, and records it.
    ///
    /// # Errors
    /// What it refuses.
    pub(in super::super) async fn change<T: Send + 'static>(
        &self,
        target: impl Into<String>,
        work: impl FnOnce(&Edits) -> Result<T, EditRefusal> + Send + 'static,
    ) -> Result<Changed<T>, ServiceError> {
        let change = self.manage()?.change(self.author(), self.request.endpoint.name(), target, work);
        Ok(change.await?)
    }

    /// Tries a change, off the reactor, and writes nothing.
    ///
    /// # Errors
    /// What it refuses.
    pub(in super::super) async fn rehearse<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Edits) -> Result<T, EditRefusal> + Send + 'static,
    ) -> Result<T, ServiceError> {
        Ok(self.manage()?.rehearse(self.author(), work).await?.0)
    }

    /// What a change would do to the files, if the request asks only for that.
    ///
    /// # Errors
    /// What the change refuses.
    pub(in super::super) async fn previewed<T: Send + 'static>(
        &self,
        work: &(impl FnOnce(&Edits) -> Result<T, EditRefusal> + Clone + Send + 'static),
    ) -> Result<Option<Response<ResponseBody>>, ServiceError> {
        if !self.is_dry_run()? {
            return Ok(None);
        }
        let (_, edits) = self.manage()?.rehearse(self.author(), work.clone()).await?;
        let preview = manage::preview(&edits, self.has(Permission::ADMIN));
        Ok(Some(settled(reply::json(StatusCode::OK, &preview)?)))
    }

    /// Makes a change and answers with what it changed, or previews it.
    ///
    /// # Errors
    /// What it refuses.
    pub(in super::super) async fn change_or_preview<T: Serialize + Send + 'static>(
        &self,
        target: impl Into<String>,
        work: impl FnOnce(&Edits) -> Result<T, EditRefusal> + Clone + Send + 'static,
    ) -> Result<Response<ResponseBody>, ServiceError> {
        match self.previewed(&work).await? {
            Some(preview) => Ok(preview),
            None => changed(&self.change(target, work).await?),
        }
    }

    /// Makes a deletion, or previews it.
    ///
    /// # Errors
    /// What it refuses.
    pub(in super::super) async fn delete_or_preview(
        &self,
        target: impl Into<String>,
        work: impl FnOnce(&Edits) -> Result<(), EditRefusal> + Clone + Send + 'static,
    ) -> Result<Response<ResponseBody>, ServiceError> {
        match self.previewed(&work).await? {
            Some(preview) => Ok(preview),
            None => Ok(done(&self.change(target, work).await?)),
        }
    }

    fn is_dry_run(&self) -> Result<bool, ServiceError> {
        let query = Query::parse(self.request.head.uri.query().unwrap_or_default());
        match (query.names(DRY_RUN), query.one(DRY_RUN)?) {
            (false, _) | (true, Some("false")) => Ok(false),
            (true, None | Some("true")) => Ok(true),
            (true, Some(_)) => Err(ApiError::invalid(FieldProblem::new(DRY_RUN, "must be true or false")).into()),
        }
    }

    /// Reads something of the files off the reactor.
    ///
    /// # Errors
    /// What `work` refuses.
    pub(in super::super) async fn read_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Manage, &Live) -> Result<T, EditRefusal> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let (manage, live) = (self.manage()?.clone(), self.request.live.clone());
        let read = tokio::task::spawn_blocking(move || work(&manage, &live)).await;
        Ok(read.map_err(|_| ServiceError::Panicked)??)
    }

    /// The hash of a new password, which is the field `at` of the request.
    ///
    /// # Errors
    /// [`ApiError::InvalidRequest`] with everything that is wrong with it.
    pub(in super::super) async fn hash_password(
        &self,
        user: &str,
        password: &str,
        at: &'static str,
    ) -> Result<String, ServiceError> {
        let (live, user, password) = (self.request.live.clone(), user.to_owned(), password.to_owned());
        let hash = move || passwords::hash(&live, &user, &password, at);
        Ok(tokio::task::spawn_blocking(hash).await.map_err(|_| ServiceError::Panicked)??)
    }

    /// The precondition of a write; `management.require_if_match` may ask for one.
    ///
    /// # Errors
    /// [`ApiError::PreconditionRequired`].
    pub(in super::super) fn write_precondition(&self) -> Result<Precondition, ServiceError> {
        let precondition = self.precondition();
        match (&precondition, self.request.live.require_if_match) {
            (Precondition::None, true) => Err(ApiError::PreconditionRequired.into()),
            _ => Ok(precondition),
        }
    }
}

/// The answer to a change: the resource as it is now.
pub(in super::super) fn changed<T: Serialize>(changed: &Changed<T>) -> Result<Response<ResponseBody>, ServiceError> {
    changed_to(changed, &changed.value)
}

/// The same with more than what was changed; the entity tag is of that alone.
pub(in super::super) fn changed_to<T: Serialize>(
    changed: &Changed<T>,
    shown: &impl Serialize,
) -> Result<Response<ResponseBody>, ServiceError> {
    let mut response = reply::json(StatusCode::OK, shown)?;
    let tag = manage::entity_tag(&changed.value);
    response.headers_mut().insert(header::ETAG, value(format!("\"{tag}\"")));
    Ok(with_generation(response, &changed.generation))
}

/// The answer to a change that created something.
pub(in super::super) fn made<T: Serialize>(
    location: &str,
    changed: &Changed<T>,
) -> Result<Response<ResponseBody>, ServiceError> {
    made_as(location, changed, &changed.value)
}

/// The same with more than what was changed; the entity tag is of that alone.
pub(in super::super) fn made_as<T: Serialize>(
    location: &str,
    changed: &Changed<T>,
    shown: &impl Serialize,
) -> Result<Response<ResponseBody>, ServiceError> {
    let mut response = reply::created(location, shown)?;
    let tag = manage::entity_tag(&changed.value);
    response.headers_mut().insert(header::ETAG, value(format!("\"{tag}\"")));
    Ok(with_generation(response, &changed.generation))
}

/// The answer to a change that leaves nothing to show.
pub(in super::super) fn done<T>(changed: &Changed<T>) -> Response<ResponseBody> {
    with_generation(answer::empty(StatusCode::NO_CONTENT), &changed.generation)
}

/// Names the version of the configuration after a change, which is recorded already.
pub(in super::super) fn with_generation(
    mut response: Response<ResponseBody>,
    generation: &Arc<str>,
) -> Response<ResponseBody> {
    response.headers_mut().insert(GENERATION, value(&**generation));
    settled(response)
}

impl From<EditRefusal> for ServiceError {
    fn from(refusal: EditRefusal) -> Self {
        let api = match refusal {
            EditRefusal::NotFound => ApiError::NotFound,
            EditRefusal::Invalid(problems) => ApiError::InvalidRequest(problems),
            EditRefusal::NameTaken(what) => ApiError::NameTaken(what),
            EditRefusal::InUse { what, by } => ApiError::InUse { what, by },
            EditRefusal::Builtin(role) => ApiError::Builtin(format!("the role {role:?}")),
            EditRefusal::LastAdmin => ApiError::LastAdmin,
            EditRefusal::BeyondCaller(reason) => {
                let message = "access denied: this user may do more than you; this needs the permission ADMIN:SYSTEM";
                return Self::Denied { message: message.to_owned(), reason };
            }
            EditRefusal::Oneself => {
                let message = "access denied: you cannot do this to yourself".to_owned();
                return Self::Denied { reason: message.clone(), message };
            }
            EditRefusal::Shadowed(why) => ApiError::Ambiguous(why),
            EditRefusal::LockedByEnvironment { setting, variable } => {
                ApiError::LockedByEnvironment { setting, variable }
            }
            EditRefusal::PreconditionFailed(current) => ApiError::PreconditionFailed(current),
            EditRefusal::PreconditionRequired => ApiError::PreconditionRequired,
            EditRefusal::AccessControlDisabled => ApiError::AccessControlDisabled,
            EditRefusal::NoUsers => ApiError::ExternalUsers,
            EditRefusal::Fault(fault) => return fault.into(),
            EditRefusal::Unhashed(error) => ApiError::invalid(FieldProblem::new("/password", error.to_string())),
        };
        api.into()
    }
}

impl From<EditFault> for ServiceError {
    fn from(fault: EditFault) -> Self {
        let why = fault.to_string();
        let api = match fault {
            EditFault::Unset(file) => ApiError::ReadOnlyFile { path: file.to_string(), why },
            EditFault::ReadOnly { path, why } => ApiError::ReadOnlyFile { path: path.display().to_string(), why },
            EditFault::Rejected(problems) => ApiError::ConfigurationInvalid(problems),
            EditFault::Broken(problems) => ApiError::FileBroken(problems),
            EditFault::Busy(path) => ApiError::FileBusy(path.display().to_string()),
            EditFault::Failed { .. } => ApiError::FileFailed(why),
        };
        api.into()
    }
}
