//! The answers of aliases: those of the endpoints with a few more fields.

use super::{super::super::headers::value, metrics};
use crate::wire::ResponseBody;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use oci::json;
use serde_json::{Map, Value};

/// Since when the aliases are deprecated: since the first version (RFC 9745).
const DEPRECATION: HeaderValue = HeaderValue::from_static("@1796083200");

/// How the answer of an alias differs from that of the endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AliasForm {
    /// Other names of fields: the field, and how it is also called.
    pub(super) also: &'static [(&'static str, &'static str)],
    /// Has the metrics as DistroFace names them.
    pub(super) has_metrics: bool,
    /// Has `success` and `message`.
    pub(super) says_success: bool,
    /// The path that replaces the alias.
    pub(super) successor: Option<String>,
}

impl AliasForm {
    /// The answer of the alias.
    pub(super) fn applied(&self, response: Response<ResponseBody>) -> Response<ResponseBody> {
        let mut response = self.extended(response);
        let headers = response.headers_mut();
        headers.insert(HeaderName::from_static("deprecation"), DEPRECATION);
        if let Some(path) = &self.successor {
            headers.append(header::LINK, value(format!("<{path}>; rel=\"successor-version\"")));
        }
        response
    }

    fn extended(&self, response: Response<ResponseBody>) -> Response<ResponseBody> {
        let (mut parts, body) = response.into_parts();
        let fields = match body.in_memory() {
            _ if !parts.status.is_success() => None,
            Some(bytes) if bytes.is_empty() && self.says_success => Some(Map::new()),
            Some(bytes) => json::from_slice::<Map<String, Value>>(bytes).ok(),
            None => None,
        };
        let Some(mut fields) = fields else { return Response::from_parts(parts, body) };
        for (field, name) in self.also {
            if let Some(found) = fields.get(*field).cloned() {
                fields.insert((*name).to_owned(), found);
            }
        }
        if self.has_metrics {
            metrics::add_metrics(&mut fields);
        }
        if self.says_success {
            fields.insert("success".to_owned(), Value::Bool(true));
            fields.insert("message".to_owned(), Value::from("done"));
        }
        if parts.status == StatusCode::NO_CONTENT {
            parts.status = StatusCode::OK;
        }
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Response::from_parts(parts, ResponseBody::from(format!("{}\n", Value::Object(fields))))
    }
}
