//! Who the caller is.

use super::super::super::{error::ServiceError, gate::Granted};
use super::super::reply::rfc3339;
use crate::{
    access::{Ceiling, UserProfile},
    who::Subject,
    wire::ResponseBody,
};
use api::auth::{AuthInfo, Me, UserSummary};
use http::Response;

pub(super) fn show(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let (who, live) = (granted.who(), &granted.request.live);
    let profile = live.rights.profile(&who.subject);
    let UserSummary { username, role, is_admin, .. } = summary(&who.subject, &profile);
    granted.resource(&Me {
        username,
        role,
        is_admin,
        groups: profile.groups,
        roles: profile.roles,
        permissions: profile.permissions.iter().map(ToString::to_string).collect(),
        auth: AuthInfo {
            method: who.proof.as_str().to_owned(),
            expires_at: who.expires.map(rfc3339),
            ceiling: written(&who.ceiling),
        },
    })
}

/// A user, in short.
pub(super) fn summary(subject: &Subject, profile: &UserProfile) -> UserSummary {
    let (name, is_admin) = (subject.to_string(), profile.is_admin);
    let role = if is_admin { "admin" } else { "user" };
    UserSummary { id: name.clone(), username: name, role: role.to_owned(), is_admin }
}

/// What credentials are limited to; `None` for no limit.
fn written(ceiling: &Ceiling) -> Option<Vec<String>> {
    let key = ceiling.key().map(|key| key.iter().map(ToString::to_string).collect());
    let token = || ceiling.scopes().map(|scopes| scopes.iter().map(ToString::to_string).collect());
    key.or_else(token)
}
