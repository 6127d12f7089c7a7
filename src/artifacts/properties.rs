//! Properties of artifacts.

use super::{as_text, text::is_plain};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::{borrow::Borrow, collections::BTreeMap, collections::btree_map, fmt, str::FromStr, sync::Arc};

/// What distinguishes artifacts of one version and path, such as platform and build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Properties(BTreeMap<PropertyKey, PropertyValue>);

/// The key of a property.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PropertyKey(Arc<str>);

/// The value of a property: text, perhaps none.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PropertyValue(Arc<str>);

/// Why these are not properties.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProperties {
    /// Too many.
    #[error("an artifact must not have more than {} properties", Properties::MAX)]
    TooMany,
    /// Not a key.
    #[error(
        "the key of a property must be 1 to {} letters, digits, '.', '_', '-' or '/' and begin with a letter or digit",
        PropertyKey::MAX
    )]
    Key,
    /// Not a value.
    #[error(
        "the value of a property must be at most {} bytes of text without control characters, in Unicode's composed \
         form (NFC)",
        PropertyValue::MAX
    )]
    Value,
    /// Given twice.
    #[error("the property {0} is given twice")]
    Repeated(PropertyKey),
}

impl Properties {
    /// The most properties of one artifact.
    pub const MAX: usize = 64;

    /// The value of a property.
    pub fn get(&self, key: &str) -> Option<&PropertyValue> {
        self.0.get(key)
    }

    /// All of them, by key.
    pub fn iter(&self) -> btree_map::Iter<'_, PropertyKey, PropertyValue> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a property.
    ///
    /// # Errors
    /// [`InvalidProperties`], if it is not one, is given twice or is one too many.
    pub fn add(&mut self, key: &str, value: &str) -> Result<(), InvalidProperties> {
        let (key, value) = (key.parse()?, value.parse()?);
        if self.0.contains_key(&key) {
            return Err(InvalidProperties::Repeated(key));
        }
        if self.0.len() == Self::MAX {
            return Err(InvalidProperties::TooMany);
        }
        self.0.insert(key, value);
        Ok(())
    }
}

impl PropertyKey {
    /// The longest key in bytes.
    pub const MAX: usize = 128;

    /// The key as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Sorted and hashed as its text.
impl Borrow<str> for PropertyKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PropertyValue {
    /// The longest value in bytes.
    pub const MAX: usize = 1024;

    /// The value as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PropertyKey {
    type Err = InvalidProperties;

    fn from_str(text: &str) -> Result<Self, InvalidProperties> {
        let is_inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/');
        let begins_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        match text.len() <= Self::MAX && begins_well && text.bytes().all(is_inner) {
            true => Ok(Self(text.into())),
            false => Err(InvalidProperties::Key),
        }
    }
}

impl FromStr for PropertyValue {
    type Err = InvalidProperties;

    fn from_str(text: &str) -> Result<Self, InvalidProperties> {
        match text.len() <= Self::MAX && is_plain(text) {
            true => Ok(Self(text.into())),
            false => Err(InvalidProperties::Value),
        }
    }
}

impl fmt::Display for PropertyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for PropertyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

as_text!(PropertyKey);
as_text!(PropertyValue);

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ReadsProperties)
    }
}

/// Adds one after the other, so that what is too many is refused before it is in memory.
struct ReadsProperties;

impl<'de> de::Visitor<'de> for ReadsProperties {
    type Value = Properties;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Properties, A::Error> {
        let mut properties = Properties::default();
        while let Some((key, value)) = map.next_entry::<String, String>()? {
            properties.add(&key, &value).map_err(de::Error::custom)?;
        }
        Ok(properties)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Properties, String> {
        oci::json::from_slice(json.as_bytes()).map_err(|e| e.to_string())
    }

    #[test]
    fn properties_are_texts_by_key() {
        let properties = read(r#"{"build":"7","arch":"amd64","org.example/a":""}"#).unwrap();
        assert_eq!(properties.iter().map(|(k, _)| k.as_str()).collect::<Vec<_>>(), ["arch", "build", "org.example/a"]);
        assert_eq!(properties.get("build").map(PropertyValue::as_str), Some("7"));
        assert!(!properties.is_empty());
        for bad in [r#"{"a":1}"#, r#"{"a":null}"#, r#"["a"]"#, r#"{"a":{"b":"c"}}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read(r#"{"a":"1","a":"1"}"#).unwrap_err().contains("given twice"));
    }

    #[test]
    fn keys_and_values_have_limits() {
        let key = |text: &str| text.parse::<PropertyKey>().is_ok();
        assert!(key(&"k".repeat(128)) && !key(&"k".repeat(129)));
        for bad in ["", ".a", "-a", "a b", "a=b", "ä", "a\0"] {
            assert!(!key(bad), "{bad:?}");
        }
        let value = |text: &str| text.parse::<PropertyValue>().is_ok();
        assert!(value("") && value(&"v".repeat(1024)) && !value(&"v".repeat(1025)));
        assert!(value("<script>&é") && !value("a\nb") && !value("e\u{301}"));
    }

    #[test]
    fn an_artifact_has_at_most_64_properties() {
        let mut properties = Properties::default();
        for i in 0..64 {
            properties.add(&format!("k{i}"), "v").unwrap();
        }
        assert_eq!(properties.len(), 64);
        assert_eq!(properties.add("one-more", "v"), Err(InvalidProperties::TooMany));
        let many: Vec<String> = (0..10_000).map(|i| format!("\"k{i}\":\"\"")).collect();
        assert!(read(&format!("{{{}}}", many.join(","))).unwrap_err().contains("more than 64"));
    }
}
