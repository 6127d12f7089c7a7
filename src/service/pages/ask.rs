//! Requests to the management API that a page makes for its caller, inside the daemon.

use super::super::{
    endpoint::{Effect, Family},
    error::ServiceError,
    gate::Granted,
    headers::{text, value},
    manage::{AuditDraft, ChangedContent, ManageEndpoint},
    query::encode,
};
use crate::wire::{RequestBody, ResponseBody};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use serde::{Serialize, de::DeserializeOwned};

/// Headers that say something about the page's own request and not about its caller.
const OF_THE_PAGE: [HeaderName; 9] = [
    header::ACCEPT,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::RANGE,
    header::TRANSFER_ENCODING,
];

/// What the API answered, and the entity tag for a later change.
pub(super) struct Answered<T> {
    pub(super) content: T,
    pub(super) etag: String,
}

impl Granted {
    /// What the API answers to a `GET` with these parameters.
    ///
    /// # Errors
    /// The API's refusal.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        endpoint: ManageEndpoint,
        query: &[(&str, &str)],
    ) -> Result<T, ServiceError> {
        Ok(self.ask_tagged(endpoint, query).await?.content)
    }

    /// The same, with the entity tag of what was answered.
    ///
    /// # Errors
    /// The API's refusal.
    pub(super) async fn ask_tagged<T: DeserializeOwned>(
        &self,
        endpoint: ManageEndpoint,
        query: &[(&str, &str)],
    ) -> Result<Answered<T>, ServiceError> {
        let asked = self
            .again(endpoint.clone().into(), Method::GET, &target("/api/v1", query), &[], RequestBody::default())
            .await?;
        let response = endpoint.serve(asked).await?;
        let etag = text(response.headers(), &header::ETAG).unwrap_or_default().to_owned();
        Ok(Answered { content: content(response).await?, etag })
    }

    /// What the API answers, unless the caller may not know it or there is nothing.
    ///
    /// # Errors
    /// Every other failure.
    pub(super) async fn ask_if_allowed<T: DeserializeOwned>(
        &self,
        endpoint: ManageEndpoint,
        query: &[(&str, &str)],
    ) -> Result<Option<T>, ServiceError> {
        match self.ask(endpoint, query).await {
            Ok(content) => Ok(Some(content)),
            Err(error) if is_refusal(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Changes something by the API.
    ///
    /// # Errors
    /// The API's refusal.
    pub(super) async fn act(
        &self,
        endpoint: ManageEndpoint,
        method: Method,
        query: &[(&str, &str)],
        if_match: Option<&str>,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Response<ResponseBody>, ServiceError> {
        let mut headers = Vec::new();
        if let Some(tag) = if_match.filter(|tag| !tag.is_empty()) {
            headers.push((header::IF_MATCH, value(tag)));
        }
        let body = match body {
            None => RequestBody::default(),
            Some(body) => {
                headers.push((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
                let json = serde_json::to_vec(body).map_err(|_| ServiceError::Panicked)?;
                RequestBody::new(Full::new(Bytes::from(json)).map_err(|never| match never {}))
            }
        };
        self.send(endpoint, method, query, &headers, body).await
    }

    /// The same with a body of any kind.
    ///
    /// # Errors
    /// The API's refusal.
    pub(super) async fn send(
        &self,
        endpoint: ManageEndpoint,
        method: Method,
        query: &[(&str, &str)],
        headers: &[(HeaderName, HeaderValue)],
        body: RequestBody,
    ) -> Result<Response<ResponseBody>, ServiceError> {
        let asking = super::super::endpoint::Endpoint::from(endpoint.clone());
        let (effect, changed) = (asking.effect(&method), ChangedContent::by(&asking));
        // The audit log has what the form is about.
        let target = format!("/api/v1{}", target(self.request.head.uri.path(), query));
        let asked = self.again(endpoint.clone().into(), method, &target, headers, body).await?;
        let draft = AuditDraft::of(&asked);
        let work = endpoint.serve(asked);
        let response = match draft {
            Some(draft) => draft.record(work).await?,
            None => work.await?,
        };
        if effect != Some(Effect::Reads) {
            self.request.state.seen.changed(changed);
        }
        Ok(response)
    }

    /// The same, for an answer that the page needs.
    ///
    /// # Errors
    /// The API's refusal.
    pub(super) async fn act_for<T: DeserializeOwned>(
        &self,
        endpoint: ManageEndpoint,
        method: Method,
        body: &(impl Serialize + Sync),
    ) -> Result<T, ServiceError> {
        content(self.act(endpoint, method, &[], None, Some(body)).await?).await
    }

    /// A request of the same caller, made while this one is answered. It passes the gate of authorization like any
    /// other.
    async fn again(
        &self,
        endpoint: super::super::endpoint::Endpoint,
        method: Method,
        target: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: RequestBody,
    ) -> Result<Self, ServiceError> {
        let mut head = self.request.head.clone();
        head.method = method;
        head.uri = target.parse::<Uri>().unwrap_or_default();
        for name in OF_THE_PAGE {
            head.headers.remove(name);
        }
        head.headers.extend(headers.iter().cloned());
        self.for_the_same_caller(endpoint, head, body).await
    }
}

/// Whether an answer means that the caller may not know something, or that it is not there or not in use.
pub(super) fn is_refusal(error: &ServiceError) -> bool {
    let status = error.row().status;
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::CONFLICT)
}

/// A target with these parameters. The endpoint is known already, so the path does not matter.
fn target(path: &str, query: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    format!("{path}?{}", pairs.join("&"))
}

/// The JSON of an answer.
pub(super) async fn content<T: DeserializeOwned>(response: Response<ResponseBody>) -> Result<T, ServiceError> {
    let bytes = response.into_body().collect().await.map_err(|_| ServiceError::Panicked)?.to_bytes();
    // The daemon wrote it a moment ago.
    oci::json::from_slice(&bytes).map_err(|_| ServiceError::Panicked)
}
