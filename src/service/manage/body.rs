//! Reads the JSON of a request.

use super::super::{
    error::{ApiError, FieldProblem, ServiceError},
    gate::Granted,
};
use crate::registry::RegistryError;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::header;
use http_body::Body as _;
use oci::json::Object;
use serde::de::DeserializeOwned;

/// The longest body accepted, in bytes: a configuration file fits.
const LONGEST_BODY: usize = 1 << 20;

impl Granted {
    /// The request's JSON. Unknown and repeated fields are refused, so that a misspelt field is never ignored.
    ///
    /// # Errors
    /// [`ApiError::ContentType`], [`ApiError::BodyTooLarge`], [`ApiError::InvalidRequest`].
    pub(in super::super) async fn read_json<T: DeserializeOwned>(&mut self) -> Result<T, ServiceError> {
        let bytes = self.read_body("application/json").await?;
        parse(&bytes)
    }

    /// Like [`read_json`](Self::read_json); an absent body is the default.
    ///
    /// # Errors
    /// As for [`read_json`](Self::read_json).
    pub(in super::super) async fn read_json_or_default<T>(&mut self) -> Result<T, ServiceError>
    where
        T: DeserializeOwned + Default,
    {
        if self.request.body.is_end_stream() { Ok(T::default()) } else { self.read_json().await }
    }

    /// The request's body, which must have this media type.
    ///
    /// # Errors
    /// [`ApiError::ContentType`], [`ApiError::BodyTooLarge`], or the body was cut.
    pub(in super::super) async fn read_body(&mut self, media_type: &'static str) -> Result<Bytes, ServiceError> {
        let given = self.request.head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = given.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        // A web page of another site can send some other types without asking first (Fetch, "CORS-safelisted").
        if !essence.eq_ignore_ascii_case(media_type) {
            return Err(ApiError::ContentType(media_type).into());
        }
        let mut incoming = self.incoming(LONGEST_BODY);
        let mut body = BytesMut::new();
        while let Some(bytes) = incoming.next().await {
            let bytes = bytes.map_err(RegistryError::Interrupted)?;
            if body.len() + bytes.len() > LONGEST_BODY {
                return Err(ApiError::BodyTooLarge(LONGEST_BODY).into());
            }
            body.extend_from_slice(&bytes);
        }
        Ok(body.freeze())
    }
}

#[expect(clippy::disallowed_methods, reason = "as oci::json reads it, and with the path of what is wrong")]
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ServiceError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize::<_, Object<T>>(&mut json).map_err(|error| {
        let at = pointer(error.path());
        FieldProblem::new(at, error.inner().to_string())
    });
    let Object(value) = parsed.map_err(ApiError::invalid)?;
    json.end().map_err(|error| ApiError::invalid(FieldProblem::new("", error.to_string())))?;
    Ok(value)
}

/// A path as a JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { variant } => format!("/{variant}"),
        Segment::Unknown => String::new(),
    };
    path.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        name: String,
        #[serde(default)]
        groups: Vec<String>,
    }

    fn refused(text: &str) -> (String, String) {
        match parse::<Sample>(text.as_bytes()).unwrap_err() {
            ServiceError::Api(ApiError::InvalidRequest(problems)) => {
                (problems[0].at.clone(), problems[0].problem.clone())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_problem_names_the_field() {
        let sample: Sample = parse(br#"{"name":"a","groups":["b"]}"#).unwrap();
        assert_eq!((sample.name, sample.groups), ("a".to_owned(), vec!["b".to_owned()]));
        for (text, at, problem) in [
            (r#"{"name":"a","groups":["b",7]}"#, "/groups/1", "invalid type: integer `7`, expected a string"),
            (r#"{"name":"a","nmae":"b"}"#, "/nmae", "unknown field `nmae`"),
            (r#"{"name":"a","name":"b"}"#, "", "duplicate field `name`"),
            (r#"{}"#, "", "missing field `name`"),
            (r#"["a"]"#, "", "invalid type"),
            (r#"{"name":"a"} x"#, "", "trailing characters"),
            ("", "", "EOF"),
        ] {
            let (found, said) = refused(text);
            assert_eq!(found, at, "{text}");
            assert!(said.starts_with(problem), "{text}: {said}");
        }
    }
}
