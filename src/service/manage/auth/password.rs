//! A user's own password.

use super::super::{
    super::{
        error::{ApiError, FieldProblem, ServiceError},
        gate::Granted,
        login::LoginCheck,
    },
    changes::done,
};
use super::login::slowed_down;
use crate::{
    identity::{Credentials, Users},
    manage::users,
    wire::ResponseBody,
};
use api::auth::PasswordChange;
use http::Response;

/// Sets another password. The user's tokens and sessions end with the old one, except the session of this request.
pub(super) async fn change(mut granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let (known, issuer) = granted.own_users()?;
    granted.check_account_change()?;
    let PasswordChange { current_password, new_password } = granted.read_json().await?;
    let user = granted.who().subject.name().unwrap_or_default().to_owned();
    let line = known.line(&user).unwrap_or_default().to_owned();
    check_current(&granted, &known, Credentials::new(&user, &*current_password)).await?;
    if current_password == new_password {
        return Err(ApiError::invalid(FieldProblem::new("/new_password", "must differ from the present one")).into());
    }
    let hash = granted.hash_password(&user, &new_password, "/new_password").await?;
    // What is on the line now may already be another one, which an administrator has set: then the session ends too.
    let fingerprint = Users::parse(&format!("{user}:{hash}\n")).ok().and_then(|new| issuer.fingerprint(&new, &user));
    let changed = granted.change(&user, move |edits| users::set_own_password(edits, &line, &hash)).await?;
    let accounts = &granted.request.state.accounts;
    let session = granted.who().session;
    if let Some((session, fingerprint)) = session.zip(fingerprint) {
        accounts.rebind_session(session, &fingerprint).await?;
    }
    accounts.end_sessions(&user, session).await?;
    accounts.record_password(&user).await?;
    Ok(done(&changed))
}

/// Checks the present password: whoever finds a screen unlocked must not be able to keep the account.
async fn check_current(granted: &Granted, users: &Users, credentials: Credentials) -> Result<(), ServiceError> {
    let request = &granted.request;
    let check = LoginCheck::of(&request.state, &request.live, request.client);
    let holder = check.by_password(users, &credentials).await?;
    if holder.is_some_and(|holder| holder.key.is_none()) {
        return Ok(());
    }
    if let Some(seconds) = slowed_down(request, &credentials.user) {
        return Err(ApiError::TooManyRequests(seconds).into());
    }
    let message = "access denied: the current password is wrong".to_owned();
    Err(ServiceError::Denied { reason: message.clone(), message })
}
