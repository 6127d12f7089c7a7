//! The endpoints for operators.

use super::super::{
    answer::Answering,
    endpoint::{Family, Methods, Need, RequestLine},
    error::ServiceError,
    gate::Granted,
};
use std::future::ready;

/// A request for the daemon's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpsEndpoint {
    /// `GET /health`.
    Health,
    /// `GET /health/ready`.
    Ready,
    /// `GET /metrics`.
    Metrics,
}

impl OpsEndpoint {
    /// Parses a path that begins with `health` or `metrics`.
    pub(in super::super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        let endpoint = match line.segments {
            ["health"] => Self::Health,
            ["health", "ready"] => Self::Ready,
            ["metrics"] => Self::Metrics,
            _ => return Err(ServiceError::PathUnknown),
        };
        if line.is_read() { Ok(endpoint) } else { Err(ServiceError::MethodNotAllowed(Methods::READ)) }
    }
}

impl Family for OpsEndpoint {
    fn name(&self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Ready => "ready",
            Self::Metrics => "metrics",
        }
    }

    fn needs(&self) -> Need<'_> {
        match self {
            Self::Health => Need::Nothing,
            Self::Ready => Need::Sight,
            Self::Metrics => Need::Operate,
        }
    }

    fn methods(&self) -> Methods {
        match self {
            Self::Health | Self::Ready | Self::Metrics => Methods::READ,
        }
    }

    fn serve(self, granted: Granted) -> Answering {
        match self {
            Self::Health => Box::pin(ready(Ok(super::health()))),
            Self::Ready => Box::pin(super::ready(granted)),
            Self::Metrics => Box::pin(super::metrics(granted)),
        }
    }
}
