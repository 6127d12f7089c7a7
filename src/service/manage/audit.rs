//! Records the writes of the management API: every request that may change something and succeeds has an entry in the
//! audit log, whatever its endpoint.

use super::{
    super::{answer::Answering, endpoint::Endpoint, error::ServiceError, gate::Granted, path},
    endpoint::ManageEndpoint,
};
use crate::{
    manage::{Author, Manage},
    who::Subject,
    wire::ResponseBody,
};
use http::{Method, Response, header};
use std::panic::resume_unwind;

/// What a response says of its entry in the audit log. If it says nothing, the caller has made the change that the
/// request asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum AuditNote {
    /// The change has been recorded, with the files that it edited, or nothing was changed.
    Settled,
    /// The change was made by this user, whom the endpoint has identified itself.
    By(Subject),
    /// The change was made to this, which only the body of the request named.
    To(String),
}

/// The entry of a request that has not been answered yet.
pub(in super::super) struct AuditDraft {
    manage: Manage,
    author: Author,
    action: &'static str,
    target: String,
}

impl AuditDraft {
    /// The entry of a request, if it is one to change something and there are files to record it in.
    pub(in super::super) fn of(granted: &Granted) -> Option<Self> {
        let request = &granted.request;
        let is_write = !matches!(request.head.method, Method::GET | Method::HEAD);
        let is_ours = matches!(request.endpoint, Endpoint::Manage(_));
        let manage = request.state.manage.clone().filter(|_| is_write && is_ours)?;
        let target = match (request.endpoint.repository(), request.endpoint.reference()) {
            (None, _) => match &request.endpoint {
                Endpoint::Manage(ManageEndpoint::Alias(alias)) => target_of(alias.path()),
                _ => target_of(request.head.uri.path()),
            },
            (Some(name), None) => name.to_string(),
            (Some(name), Some(oci::Reference::Tag(tag))) => format!("{name}:{tag}"),
            (Some(name), Some(oci::Reference::Digest(digest))) => format!("{name}@{digest}"),
        };
        Some(Self { manage, author: granted.author(), action: request.endpoint.name(), target })
    }

    /// Answers the request and records it. Both complete even if the client disconnects: what was changed is recorded.
    pub(in super::super) async fn record(self, work: Answering) -> Result<Response<ResponseBody>, ServiceError> {
        let recorded = tokio::spawn(async move {
            let answered = work.await;
            // A response cannot be shared between threads, so that no reference to it is held while this waits.
            if let Some(entry) = answered.as_ref().ok().and_then(|response| self.settle(response)) {
                entry.write().await;
            }
            answered
        });
        recorded.await.unwrap_or_else(|ended| match ended.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => Err(ServiceError::Panicked),
        })
    }

    /// The entry as the response has it; `None` if there is none to write.
    fn settle(mut self, response: &Response<ResponseBody>) -> Option<Self> {
        match response.extensions().get::<AuditNote>() {
            Some(AuditNote::Settled) => return None,
            Some(AuditNote::By(subject)) => {
                self.target = subject.to_string();
                self.author.subject = subject.clone();
            }
            Some(AuditNote::To(target)) => self.target.clone_from(target),
            None => {}
        }
        // What was created has no name in the path of the request.
        if let Some(made) = response.headers().get(header::LOCATION).and_then(|made| made.to_str().ok()) {
            self.target = target_of(made);
        }
        Some(self)
    }

    async fn write(self) {
        self.manage.record(&self.author, self.action, self.target, Vec::new()).await;
    }
}

/// What a path of the API is about: what follows the noun.
fn target_of(path: &str) -> String {
    path::segments(path, |segments| match segments {
        ["", _, _, "auth", "sessions", rest @ ..] | ["", _, _, _, rest @ ..] => rest.join("/"),
        _ => String::new(),
    })
}

/// Marks the answer to a request that has changed nothing, or whose change has been recorded.
pub(in super::super) fn settled<B>(mut response: Response<B>) -> Response<B> {
    response.extensions_mut().insert(AuditNote::Settled);
    response
}

/// Marks the answer to a request whose caller the endpoint has identified itself.
pub(in super::super) fn made_by<B>(mut response: Response<B>, subject: Subject) -> Response<B> {
    response.extensions_mut().insert(AuditNote::By(subject));
    response
}

/// Marks the answer to a request whose body named what was changed.
pub(in super::super) fn made_to<B>(mut response: Response<B>, target: &impl ToString) -> Response<B> {
    response.extensions_mut().insert(AuditNote::To(target.to_string()));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_is_what_follows_the_noun() {
        for (path, target) in [
            ("/api/v1/keys/0011", "0011"),
            ("/api/v1/repositories/team/app", "team/app"),
            ("/api/v1/auth/sessions/00ff", "00ff"),
            ("/api/v1/auth/logout", "logout"),
            ("/api/v1/tasks/01J/cancel", "01J/cancel"),
            ("/api/v1/users/%C3%A4", "ä"),
            ("/api/v1/gc", ""),
            ("/", ""),
        ] {
            assert_eq!(target_of(path), target, "{path}");
        }
    }
}
