//! The management API of a Wharfinger, as the commands use it.

use crate::failure::{ExitStatus, Failure};
use client::{ApiRequest, ApiResponse, Client, ErrorKind};
use http::{Method, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// What may stand in one segment of a path as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Below this path.
const ROOT: &str = "/api/v1";

/// Items asked for at a time.
const PAGE: &str = "1000";

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

    /// Sends a request of a path below `/api/v1`.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<ApiResponse, Failure> {
        let mut request = ApiRequest::new(method, format!("{ROOT}{path}")).header(header::ACCEPT, "application/json");
        if let Some(body) = body {
            request = request.json(body);
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

    /// Whether the server has this API at all. Other registries answer `/api` with whatever they like.
    pub async fn exists(&self) -> Result<bool, Failure> {
        match self.client.send_api(&ApiRequest::new(Method::GET, format!("{ROOT}/system"))).await {
            Ok(answer) => Ok(answer.value().is_ok_and(|system| system.get("version").is_some())),
            Err(error) if matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Tls | ErrorKind::Timeout) => {
                Err(error.into())
            }
            Err(_) => Ok(false),
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
