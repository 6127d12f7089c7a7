//! The management API of a Wharfinger, as the commands use it.

use crate::failure::{ExitStatus, Failure};
use client::{ApiRequest, ApiResponse, Client, ErrorKind};
use http::{Method, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// What may stand in one segment of a path as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Below this path.
const ROOT: &str = "/api/v1";

/// Items asked for at a time.
const PAGE: &str = "1000";

/// How often a change begins again that others were faster with.
const ATTEMPTS: u32 = 5;

/// Speaks the management API as one caller.
#[derive(Clone, Debug)]
pub struct Management {
    /// The connection.
    pub client: Client,
}

impl Management {
    /// The API at a server.
    pub fn of(client: Client) -> Self {
        Self { client }
    }

    /// Sends a request of a path below `/api/v1`. If the server changes nothing without `If-Match`, whatever is there is
    /// changed: what is sent does not depend on anything that was read before.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<ApiResponse, Failure> {
        match self.send_as_is(method.clone(), path, body).await {
            Err(failure) if failure.http == Some(StatusCode::PRECONDITION_REQUIRED) => {
                self.send_if(method, path, body, Some("*")).await
            }
            sent => sent,
        }
    }

    /// The same, exactly as it is.
    pub async fn send_as_is(&self, method: Method, path: &str, body: Option<&Value>) -> Result<ApiResponse, Failure> {
        self.send_if(method, path, body, None).await
    }

    /// The same for what has this entity tag. If somebody else has changed it, the failure has the status 412.
    pub async fn send_if(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        etag: Option<&str>,
    ) -> Result<ApiResponse, Failure> {
        let mut request = ApiRequest::new(method, format!("{ROOT}{path}")).header(header::ACCEPT, "application/json");
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(etag) = etag {
            request = request.header(header::IF_MATCH, etag);
        }
        self.request(&request).await
    }

    /// Sends a request.
    pub async fn request(&self, request: &ApiRequest) -> Result<ApiResponse, Failure> {
        self.client.send_api(&request.clone().eager()).await.map_err(|error| self.explained(error))
    }

    /// Reads an object.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.value(Method::GET, path, None).await
    }

    /// Reads an object and its entity tag.
    pub async fn get_tagged(&self, path: &str) -> Result<(Value, Option<String>), Failure> {
        let answer = self.send_as_is(Method::GET, path, None).await?;
        let etag = answer.header(&header::ETAG).map(str::to_owned);
        Ok((answer.value().map_err(Failure::failed)?, etag))
    }

    /// Reads an object, and sends to `target` what is made of it. It begins again if somebody else was faster, so that
    /// no change gets lost.
    pub async fn modify(
        &self,
        path: &str,
        method: Method,
        target: &str,
        body: impl Fn(&Value) -> Value,
    ) -> Result<Value, Failure> {
        let mut attempt = 1;
        loop {
            let (object, etag) = self.get_tagged(path).await?;
            match self.send_if(method.clone(), target, Some(&body(&object)), etag.as_deref()).await {
                Err(failure) if failure.http == Some(StatusCode::PRECONDITION_FAILED) && attempt < ATTEMPTS => {
                    attempt += 1;
                }
                sent => return sent?.value().map_err(Failure::failed),
            }
        }
    }

    /// Sends an object and reads the answer; `null` if there is none.
    pub async fn value(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        self.send(method, path, body).await?.value().map_err(Failure::failed)
    }

    /// Reads a list, page by page, up to `most` items.
    pub async fn list(&self, path: &str, query: &[(&str, &str)], most: Option<usize>) -> Result<Vec<Value>, Failure> {
        let mut items = Vec::new();
        let mut last: Option<String> = None;
        loop {
            let of_page = [("n", PAGE)].into_iter().chain(last.as_deref().map(|last| ("last", last)));
            let query = self::query(query.iter().copied().chain(of_page));
            let mut page = self.get(&format!("{path}{query}")).await?;
            if let Some(Value::Array(found)) = page.get_mut("items").map(Value::take) {
                items.extend(found);
            }
            let next = page.get("next").and_then(Value::as_str).map(str::to_owned);
            match next.filter(|next| last.as_ref() != Some(next)) {
                Some(next) if most.is_none_or(|most| items.len() < most) => last = Some(next),
                _ => break,
            }
        }
        items.truncate(most.unwrap_or(usize::MAX));
        Ok(items)
    }

    /// Whether the server has this API for those who sign in. With a token service elsewhere, what it issues is for the
    /// distribution API.
    pub async fn is_for_users(&self) -> Result<bool, Failure> {
        Ok(self.system().await?.is_some_and(|system| system["login"] != "external"))
    }

    /// Whether the server has this API at all. Other registries answer `/api` with whatever they like.
    pub async fn exists(&self) -> Result<bool, Failure> {
        Ok(self.system().await?.is_some())
    }

    /// What the server is; `None` if it is another registry.
    async fn system(&self) -> Result<Option<Value>, Failure> {
        match self.client.send_api(&ApiRequest::new(Method::GET, format!("{ROOT}/system"))).await {
            Ok(answer) => Ok(answer.value().ok().filter(|system| system.get("version").is_some())),
            Err(error) if matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Tls | ErrorKind::Timeout) => {
                Err(error.into())
            }
            Err(_) => Ok(None),
        }
    }

    /// An error with what the answer's details say.
    fn explained(&self, error: client::Error) -> Failure {
        let codes: Vec<&str> = error.registry_errors().iter().map(|entry| entry.code.as_str()).collect();
        let locked = codes.iter().any(|code| matches!(*code, "LOCKED" | "READ_ONLY_FILE"));
        // A Wharfinger says in its own words that something is not there; others do not know these paths at all.
        let is_elsewhere = error.kind() == ErrorKind::NotFound && error.registry_errors().is_empty();
        let mut failure = Failure::from(error);
        if is_elsewhere {
            failure = failure.hint("this server has no management API; the command works with a Wharfinger only");
        }
        if locked {
            failure.status = ExitStatus::Conflict;
        }
        failure
    }
}

/// One segment of a path, encoded.
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// A query, encoded; with its question mark unless it is empty.
pub fn query<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p str)>) -> String {
    let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    if encoded.is_empty() { encoded } else { format!("?{encoded}") }
}
