//! The endpoint of the built-in token service.

use super::super::{
    answer::Answering,
    endpoint::{Effect, Family, Methods, Need, RequestLine},
    error::ServiceError,
    gate::Granted,
};
use http::Method;

/// A request to the built-in token service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenEndpoint {
    /// `GET` and `POST /auth/token` (the Docker registry's token specification).
    Issue,
}

/// Issuing a token changes nothing in storage.
const ISSUE: Methods = Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("POST", Effect::Reads)]);

impl TokenEndpoint {
    /// Parses a path that begins with `auth`.
    pub(in super::super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        match line.segments {
            ["auth", "token"] if line.is_read() || *line.method == Method::POST => Ok(Self::Issue),
            ["auth", "token"] => Err(ServiceError::MethodNotAllowed(ISSUE)),
            _ => Err(ServiceError::PathUnknown),
        }
    }
}

impl Family for TokenEndpoint {
    fn name(&self) -> &'static str {
        match self {
            Self::Issue => "token",
        }
    }

    fn needs(&self) -> Need<'_> {
        match self {
            // The token service authenticates its callers itself.
            Self::Issue => Need::Nothing,
        }
    }

    fn methods(&self) -> Methods {
        match self {
            Self::Issue => ISSUE,
        }
    }

    fn serve(self, granted: Granted) -> Answering {
        match self {
            Self::Issue => Box::pin(super::issue(granted)),
        }
    }
}
