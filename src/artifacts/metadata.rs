//! Metadata of artifacts.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What its uploader says about an artifact beside its properties: any JSON object. It can be changed, and searches do
/// not look into it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ArtifactMetadata(Map<String, Value>);

/// Why an object is not accepted as metadata.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMetadata {
    /// Too long.
    #[error("metadata must not be longer than {} bytes as JSON", ArtifactMetadata::MAX)]
    TooLong,
    /// Too deep.
    #[error("metadata must not be nested deeper than {} levels", ArtifactMetadata::DEPTH)]
    TooDeep,
}

impl ArtifactMetadata {
    /// The longest metadata in bytes, as JSON without spaces.
    pub const MAX: usize = 16 << 10;

    /// The most levels of objects and lists.
    pub const DEPTH: usize = 16;

    /// Checks an object.
    ///
    /// # Errors
    /// [`InvalidMetadata`].
    pub fn of(object: Map<String, Value>) -> Result<Self, InvalidMetadata> {
        if object.values().any(|value| is_deeper(value, Self::DEPTH - 1)) {
            return Err(InvalidMetadata::TooDeep);
        }
        match serde_json::to_vec(&object) {
            Ok(json) if json.len() <= Self::MAX => Ok(Self(object)),
            _ => Err(InvalidMetadata::TooLong),
        }
    }

    /// The object.
    pub fn as_object(&self) -> &Map<String, Value> {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether a value has more than this many levels. The JSON parser has limited the depth before.
fn is_deeper(value: &Value, levels: usize) -> bool {
    let deeper = |inner: &Value| levels == 0 || is_deeper(inner, levels - 1);
    match value {
        Value::Array(_) | Value::Object(_) if levels == 0 => true,
        Value::Array(list) => list.iter().any(deeper),
        Value::Object(object) => object.values().any(deeper),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(value: Value) -> Result<ArtifactMetadata, InvalidMetadata> {
        ArtifactMetadata::of(value.as_object().unwrap().clone())
    }

    #[test]
    fn metadata_ends_at_16_levels() {
        let nested = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }));
        assert!(of(nested(16)).is_ok());
        assert_eq!(of(nested(17)), Err(InvalidMetadata::TooDeep));
        let lists = |levels: usize| (1..levels).fold(json!([]), |inner, _| json!([inner]));
        assert!(of(json!({ "a": lists(15) })).is_ok());
        assert_eq!(of(json!({ "a": lists(16) })), Err(InvalidMetadata::TooDeep));
    }

    #[test]
    fn metadata_ends_at_16_kib() {
        let empty = json!({ "a": "" }).to_string().len();
        let long = |len| of(json!({ "a": "x".repeat(len - empty) }));
        assert!(long(16 << 10).is_ok());
        assert_eq!(long((16 << 10) + 1), Err(InvalidMetadata::TooLong));
    }
}
