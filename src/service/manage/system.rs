//! What the registry is: its version, how callers log in, and the vocabulary of permissions.

use super::super::{
    answer::Answering,
    endpoint::{Family, Methods, Need, RequestLine},
    error::{ApiError, ServiceError},
    gate::Granted,
};
use super::{
    openapi::DOCUMENT,
    operation::{AnswerShape, Operation},
};
use crate::{
    access::Rights,
    identity::Identity,
    who::{Resource, Verb},
    wire::ResponseBody,
};
use api::system::{PermissionVocabulary, SystemInfo, SystemLimits};
use http::Response;
use std::future::ready;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::get::<SystemInfo>("/system", "show_system", "Show the registry's version and how callers log in."),
    Operation::get::<PermissionVocabulary>("/permissions", "list_permissions", "List the words of permissions."),
    Operation::of("GET", "/openapi.json", "show_openapi", "Show this description.", AnswerShape::Free, 200),
];

/// A request about the registry itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SystemEndpoint {
    /// `GET /system`.
    Show,
    /// `GET /permissions`.
    Permissions,
    /// `GET /openapi.json`.
    OpenApi,
}

impl SystemEndpoint {
    pub(super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        let endpoint = match line.segments {
            ["system"] => Self::Show,
            ["permissions"] => Self::Permissions,
            ["openapi.json"] => Self::OpenApi,
            _ => return Err(ApiError::NotFound.into()),
        };
        if line.is_read() { Ok(endpoint) } else { Err(ServiceError::MethodNotAllowed(Methods::READ)) }
    }
}

impl Family for SystemEndpoint {
    fn name(&self) -> &'static str {
        match self {
            Self::Show => "show_system",
            Self::Permissions => "list_permissions",
            Self::OpenApi => "show_openapi",
        }
    }

    fn needs(&self) -> Need<'_> {
        match self {
            // Login pages need it before the login.
            Self::Show | Self::OpenApi => Need::Nothing,
            Self::Permissions => Need::LoggedIn,
        }
    }

    fn methods(&self) -> Methods {
        match self {
            Self::Show | Self::Permissions | Self::OpenApi => Methods::READ,
        }
    }

    fn serve(self, granted: Granted) -> Answering {
        match self {
            Self::Show => Box::pin(ready(show(&granted))),
            Self::Permissions => Box::pin(ready(permissions(&granted))),
            Self::OpenApi => Box::pin(ready(granted.resource(&*DOCUMENT))),
        }
    }
}

fn show(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let live = &granted.request.live;
    let login = match &live.identity {
        Identity::Nobody => "none",
        Identity::Password { .. } => "basic",
        Identity::OwnTokens(_) => "token",
        Identity::ExternalTokens { .. } => "external",
    };
    let settings = &live.registry;
    granted.resource(&SystemInfo {
        name: "wharfinger".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        login: login.to_owned(),
        access_control: matches!(*live.rights, Rights::Rules { .. }),
        registration: live.may_register(),
        read_only: live.operator.read_only,
        delete: live.operator.delete,
        message: live.operator.message.to_string(),
        limits: SystemLimits { page_default: settings.page_default as u64, page_max: settings.page_max as u64 },
    })
}

fn permissions(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    granted.resource(&PermissionVocabulary {
        verbs: Verb::ALL.iter().map(|verb| verb.as_str().to_owned()).collect(),
        resources: Resource::ALL.iter().map(|resource| resource.as_str().to_owned()).collect(),
    })
}
