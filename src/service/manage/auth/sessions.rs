//! The sessions of a user.

use super::super::super::{
    answer,
    error::{ApiError, ServiceError},
    gate::Granted,
    query::Query,
};
use super::super::reply::{first_of, rfc3339};
use crate::{
    who::{Permission, SessionId},
    wire::ResponseBody,
};
use api::auth::SessionInfo;
use http::{Response, StatusCode};

pub(super) async fn list(granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let user = granted.account_user("user")?;
    let (page, current) = (granted.page_query()?, granted.who().session);
    let sessions = granted.request.state.accounts.sessions_of(&user).await?;
    let last = page.last.as_deref().and_then(|last| last.parse::<SessionId>().ok());
    let rest = sessions.into_iter().filter(|(id, _)| last.is_none_or(|last| *id > last));
    let items = rest.map(|(id, session)| SessionInfo {
        sid: id.to_string(),
        current: current == Some(id),
        created_at: rfc3339(session.created.into()),
        refreshed_at: rfc3339(session.refreshed.into()),
        expires_at: rfc3339(session.expires.into()),
        agent: session.agent,
        address: session.address,
    });
    granted.list(&first_of(items, page.n, |item| item.sid.clone()))
}

pub(super) async fn end(granted: Granted, id: SessionId) -> Result<Response<ResponseBody>, ServiceError> {
    granted.own_users()?;
    granted.check_account_change()?;
    let accounts = &granted.request.state.accounts;
    let is_own = |user: &str| granted.who().subject.name() == Some(user);
    let session = accounts.session(id, |_| true).await?;
    match session.filter(|session| is_own(&session.user) || granted.has(Permission::UPDATE_USER)) {
        Some(_) => accounts.end_session(id).await?,
        None => return Err(ApiError::NotFound.into()),
    };
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

impl Granted {
    /// The user whose account this is about: another one that a parameter names, or the caller.
    ///
    /// # Errors
    /// [`ServiceError::Denied`] without the permission UPDATE:USER for another one; the credentials do not cover
    /// accounts.
    pub(in super::super) fn account_user(&self, parameter: &'static str) -> Result<String, ServiceError> {
        self.own_users()?;
        let query = Query::parse(self.request.head.uri.query().unwrap_or_default());
        let own = self.who().subject.name().unwrap_or_default();
        match query.one(parameter)? {
            Some(user) if user != own => self.check_account_of_others().map(|()| user.to_owned()),
            _ => Ok(own.to_owned()),
        }
    }

    /// Checks that the caller may see and change the accounts of others.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ApiError::ScopeTooNarrow`].
    pub(in super::super) fn check_account_of_others(&self) -> Result<(), ServiceError> {
        self.check_account_change()?;
        match self.has(Permission::UPDATE_USER) {
            true => Ok(()),
            false => Err(ServiceError::Denied {
                message: format!("access denied: this needs the permission {}", Permission::UPDATE_USER),
                reason: format!("{} does not have {}", self.who().subject, Permission::UPDATE_USER),
            }),
        }
    }

    /// Checks that the caller's credentials cover changes of accounts, their own too. An API key does only if one of
    /// its scopes says so.
    ///
    /// # Errors
    /// [`ApiError::ScopeTooNarrow`].
    pub(in super::super) fn check_account_change(&self) -> Result<(), ServiceError> {
        match self.who().ceiling.permits(Permission::UPDATE_USER) {
            true => Ok(()),
            false => Err(ApiError::ScopeTooNarrow.into()),
        }
    }
}
