//! Sessions: the logins of web pages and command line clients.
//!
//! A session has two secrets. The refresh token is exchanged for a new one at each use, so a copy of it is noticed: as
//! soon as both the thief and the owner have used it, one of them presents the previous token, and the
//! session ends for both. The cookie of a browser, which no script can read, stays the same.

use super::{
    Accounts, AccountsError, Result,
    record::{Edit, now},
};
use crate::{
    identity::{CookieText, RefreshText},
    storage::{AccountKey, DirOf, Durability, Expect},
    who::{ApiKeyId, SessionId},
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One login of one user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The user.
    pub user: String,
    /// The fingerprint of the user's line in htpasswd at the login: a change of the line ends the session.
    pub pwv: String,
    /// The API key that opened it in place of a password: the session has its limits and ends with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<ApiKeyId>,
    /// The hash of the present refresh token.
    refresh: String,
    /// The hash of the refresh token before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
    /// When the present refresh token replaced the previous one.
    rotated: Timestamp,
    /// The hash of the cookie's value.
    cookie: String,
    /// When the user logged in.
    pub created: Timestamp,
    /// When the session was used last, to some minutes.
    pub refreshed: Timestamp,
    /// When it ends, unless it is used before.
    pub expires: Timestamp,
    /// What the client calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The client's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// Where a login came from, and how.
#[derive(Clone, Debug, Default)]
pub struct Device {
    /// The API key that was sent in place of a password.
    pub key: Option<ApiKeyId>,
    /// What the client calls itself.
    pub agent: Option<String>,
    /// The client's address.
    pub address: Option<String>,
}

/// How long sessions live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLives {
    /// After the last use.
    pub idle: Duration,
    /// After the login, however often they are used.
    pub longest: Duration,
}

/// A new session, with its secrets.
#[derive(Debug)]
pub struct OpenedSession {
    /// Its id.
    pub id: SessionId,
    /// The session.
    pub session: Session,
    /// The first refresh token.
    pub refresh: RefreshText,
    /// The value of its cookie.
    pub cookie: CookieText,
}

/// The result of presenting a refresh token.
#[derive(Debug)]
pub enum Refreshed {
    /// It was exchanged for a new one.
    Rotated(Session, RefreshText),
    /// Another client of the same user, such as a second tab, has just exchanged it. The session goes on with the
    /// token that the other one has.
    JustReplaced(Session),
    /// It was replaced before, so somebody has a copy of it. The session was ended.
    Stolen(Session),
    /// There is no such session, or no longer.
    Gone,
}

/// Maximum number of sessions of a user. A login beyond it ends the session that was used least recently.
pub const MOST_SESSIONS_PER_USER: usize = 100;

/// For how long a refresh token that was just replaced still gives an access token.
const GRACE: SignedDuration = SignedDuration::from_secs(10);

/// How often the use of a session by its cookie is recorded.
const RECORDED_EVERY: SignedDuration = SignedDuration::from_mins(10);

/// Maximum length of what a client calls itself, in bytes.
const MOST_AGENT_BYTES: usize = 200;

impl Session {
    fn is_over(&self, now: Timestamp) -> bool {
        now >= self.expires
    }

    /// The session as it is after a use.
    fn used(&self, now: Timestamp, lives: SessionLives) -> Self {
        Self { refreshed: now, expires: ends(self.created, now, lives), ..self.clone() }
    }
}

/// When a session ends that is used now.
fn ends(created: Timestamp, now: Timestamp, lives: SessionLives) -> Timestamp {
    let after = |time: Timestamp, life: Duration| time.checked_add(life).unwrap_or(Timestamp::MAX);
    after(now, lives.idle).min(after(created, lives.longest))
}

/// The beginning of a text, at most so many bytes.
fn beginning(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

impl Accounts {
    /// Begins a session of a user, whose line in htpasswd has this fingerprint.
    ///
    /// # Errors
    /// Those of the storage; [`AccountsError::NoRandomness`].
    pub async fn open_session(
        &self,
        user: &str,
        fingerprint: &str,
        device: Device,
        lives: SessionLives,
    ) -> Result<OpenedSession> {
        let others = self.sessions_of(user).await?;
        let over = (others.len() + 1).saturating_sub(MOST_SESSIONS_PER_USER);
        let mut oldest: Vec<_> = others.iter().map(|(id, session)| (session.refreshed, *id)).collect();
        oldest.sort_unstable();
        for (_, id) in &oldest[..over] {
            self.end_session(*id).await?;
        }
        let refresh = RefreshText::random().map_err(|_| AccountsError::NoRandomness)?;
        let id = refresh.id();
        let cookie = CookieText::about(id).map_err(|_| AccountsError::NoRandomness)?;
        let now = now();
        let session = Session {
            user: user.to_owned(),
            pwv: fingerprint.to_owned(),
            key: device.key,
            refresh: refresh.hash(),
            previous: None,
            rotated: now,
            cookie: cookie.hash(),
            created: now,
            refreshed: now,
            expires: ends(now, now, lives),
            agent: device.agent.map(|agent| beginning(&agent, MOST_AGENT_BYTES).to_owned()),
            address: device.address,
        };
        self.put_record(&AccountKey::Session(id), &session, Expect::Absent, Durability::Durable).await?;
        Ok(OpenedSession { id, session, refresh, cookie })
    }

    /// A session that has not ended, unless its user's line in htpasswd has changed (`is_current`).
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn session(&self, id: SessionId, is_current: impl Fn(&Session) -> bool) -> Result<Option<Session>> {
        let found = self.record::<Session>(&AccountKey::Session(id)).await?;
        let found = found.map(|(session, _)| session);
        match found.filter(|session| !session.is_over(now()) && is_current(session)) {
            Some(session) if self.is_void(&session.user, session.created.into()).await? => Ok(None),
            session => Ok(session),
        }
    }

    /// The session of a cookie; prolongs it.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn session_of_cookie(
        &self,
        cookie: &CookieText,
        is_current: impl Fn(&Session) -> bool,
        lives: SessionLives,
    ) -> Result<Option<Session>> {
        let found = self.session(cookie.id(), is_current).await?;
        let Some(session) = found.filter(|session| cookie.is_stored_as(&session.cookie)) else { return Ok(None) };
        let now = now();
        if now.duration_since(session.refreshed) >= RECORDED_EVERY {
            let key = AccountKey::Session(cookie.id());
            // Only if it is still there: a use must not revive a session that has just been ended.
            let prolonged = self.edit("the session", &key, Durability::Process, |found: Option<Session>| match found {
                Some(found) => Edit::To(found.used(now, lives)),
                None => Edit::Nothing,
            });
            return prolonged.await;
        }
        Ok(Some(session))
    }

    /// The session of its present or previous refresh token.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn session_of_refresh(
        &self,
        presented: &RefreshText,
        is_current: impl Fn(&Session) -> bool,
    ) -> Result<Option<Session>> {
        let is_held = |session: &Session| {
            [Some(&session.refresh), session.previous.as_ref()]
                .into_iter()
                .flatten()
                .any(|hash| presented.is_stored_as(hash))
        };
        Ok(self.session(presented.id(), is_current).await?.filter(is_held))
    }

    /// Exchanges a refresh token for a new one.
    ///
    /// # Errors
    /// Those of the storage; [`AccountsError::NoRandomness`], [`AccountsError::Contended`].
    pub async fn refresh_session(
        &self,
        presented: &RefreshText,
        is_current: impl Fn(&Session) -> bool,
        lives: SessionLives,
    ) -> Result<Refreshed> {
        const ATTEMPTS: usize = 16;
        let (id, key) = (presented.id(), AccountKey::Session(presented.id()));
        for _ in 0..ATTEMPTS {
            if self.session(id, &is_current).await?.is_none() {
                return Ok(Refreshed::Gone);
            }
            let Some((session, version)) = self.record::<Session>(&key).await? else { return Ok(Refreshed::Gone) };
            let now = now();
            if presented.is_stored_as(&session.refresh) {
                let next = RefreshText::about(id).map_err(|_| AccountsError::NoRandomness)?;
                let rotated = Session {
                    previous: Some(session.refresh.clone()),
                    refresh: next.hash(),
                    rotated: now,
                    ..session.used(now, lives)
                };
                // If another request exchanged it first, this one has the previous token now.
                if self.put_record(&key, &rotated, Expect::Is(version), Durability::Durable).await? {
                    return Ok(Refreshed::Rotated(rotated, next));
                }
            } else if session.previous.as_ref().is_some_and(|previous| presented.is_stored_as(previous)) {
                if now.duration_since(session.rotated) <= GRACE {
                    return Ok(Refreshed::JustReplaced(session));
                }
                self.end_session(id).await?;
                return Ok(Refreshed::Stolen(session));
            } else {
                // Made up, or older than the previous one. It does not end the session: its id is no secret.
                return Ok(Refreshed::Gone);
            }
        }
        Err(AccountsError::Contended("the session"))
    }

    /// Ties a session to another fingerprint: its user has just changed the password with it.
    ///
    /// # Errors
    /// Those of the storage; [`AccountsError::Contended`].
    pub async fn rebind_session(&self, id: SessionId, fingerprint: &str) -> Result<()> {
        let key = AccountKey::Session(id);
        let rebound = self.edit("the session", &key, Durability::Durable, |found: Option<Session>| match found {
            Some(session) => Edit::To(Session { pwv: fingerprint.to_owned(), ..session }),
            None => Edit::Nothing,
        });
        rebound.await.map(drop)
    }

    /// Ends a session; returns whether there was one.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn end_session(&self, id: SessionId) -> Result<bool> {
        self.remove(&AccountKey::Session(id), Expect::Any).await
    }

    /// Ends all sessions of a user, except one.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn end_sessions(&self, user: &str, except: Option<SessionId>) -> Result<()> {
        for (id, _) in self.owned(&self.sessions, DirOf::sessions(), AccountKey::Session, Some(user)).await? {
            if Some(id) != except {
                self.end_session(id).await?;
            }
        }
        Ok(())
    }

    /// The sessions of a user that have not expired, in the order of their ids.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn sessions_of(&self, user: &str) -> Result<Vec<(SessionId, Session)>> {
        let (now, mut sessions) = (now(), Vec::new());
        for (id, _) in self.owned(&self.sessions, DirOf::sessions(), AccountKey::Session, Some(user)).await? {
            let found = self.record::<Session>(&AccountKey::Session(id)).await?;
            sessions.extend(found.filter(|(session, _)| !session.is_over(now)).map(|(session, _)| (id, session)));
        }
        Ok(sessions)
    }
}
