//! How callers are told that they may not do something.

use super::{
    super::{
        challenge::LoginFault,
        endpoint::{Endpoint, Need},
        error::{ApiError, ServiceError},
        routed::{Caller, Routed},
    },
    decide, may_in_artifacts,
};
use crate::{
    access::Ceiling,
    who::{Action, Permission, Subject},
};

/// The answer of the management API to a caller who may not do this. A repository that they may not pull does not
/// exist for them.
pub(super) async fn refused_by_api(routed: Routed, who: &Caller, is_known: bool, reason: String) -> ServiceError {
    if !is_known {
        return routed.unauthorized(LoginFault::Absent, &reason);
    }
    if who.ceiling != Ceiling::None {
        return ApiError::ScopeTooNarrow.into();
    }
    let Routed { endpoint, live, registry, .. } = routed;
    if let Some(name) = endpoint.repository()
        && !decide(&live, &registry, who, name, Action::Pull).await.allowed
    {
        return ApiError::NotFound.into();
    }
    if let Need::Artifacts(name, _) = endpoint.needs()
        && !may_in_artifacts(&live, &registry, who, name, Permission::VIEW_REPO).await
    {
        return ApiError::NotFound.into();
    }
    ServiceError::Denied { message: denied(&endpoint, who), reason }
}

/// The message of a refusal: what was requested, but not why it was refused.
pub(super) fn denied(endpoint: &Endpoint, caller: &Caller) -> String {
    let who = in_words(caller);
    match endpoint.needs() {
        Need::Repository(name, Action::Pull) => format!("access denied: {who} may not pull from {name}"),
        Need::Repository(name, Action::Push) => format!("access denied: {who} may not push to {name}"),
        Need::Repository(name, Action::Delete) => format!("access denied: {who} may not delete from {name}"),
        Need::RepositoryOr(name, action, permission) => {
            format!("access denied: this needs {action} or {permission} in {name}, and {who} has neither")
        }
        Need::List => format!("access denied: {who} may not list the catalog"),
        Need::Operate => format!("access denied: this needs the permission VIEW:SYSTEM, which {who} does not have"),
        Need::Nothing | Need::Sight | Need::Entry => format!("access denied: {who} may not use this registry"),
        Need::Artifacts(name, permission) => {
            format!(
                "access denied: this needs the permission {permission} in the artifact repository {name}, or its owner"
            )
        }
        Need::LoggedIn => "access denied: this needs a login".to_owned(),
        Need::Tasks => {
            format!("access denied: this needs the permission VIEW:TASK or MIGRATE:TASK, and {who} has neither")
        }
        Need::May(permission) | Need::MayOrRegister(permission) | Need::MayUnlessOpen(permission) => {
            denied_permission(caller, permission)
        }
        Need::Owner(name, permission) | Need::ActionOfOwner(name, _, permission) => {
            format!(
                "access denied: this needs the permission {permission} or the owner of {name}, and {who} has neither"
            )
        }
    }
}

pub(super) fn denied_permission(caller: &Caller, permission: Permission) -> String {
    format!("access denied: this needs the permission {permission}, which {} does not have", in_words(caller))
}

fn in_words(caller: &Caller) -> String {
    match &caller.subject {
        Subject::User(name) => format!("user {name}"),
        Subject::Anonymous => "an anonymous user".to_owned(),
    }
}
