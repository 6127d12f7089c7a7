//! JSON, stricter than the standard and its library: no duplicate key in an object, limited nesting, and objects only
//! where objects are meant.
//!
//! Two parsers that treat a key differently see two different manifests under one digest. Some accept duplicate keys,
//! and some (Go's) ignore their case, so neither is accepted where it matters.

#![expect(clippy::disallowed_methods, reason = "everyone else reads JSON by `from_slice`")]

mod complaint;
mod objects;

use objects::Objects;
use serde::de::{self, Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::{collections::HashSet, fmt};

/// Reads JSON. Every struct in it, at any depth, must be written as an object.
///
/// # Errors
/// The parser's error: what and where.
pub fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(bytes).map(|Object(value)| value)
}

/// A `T` in which every struct, at any depth, is written as an object.
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(Objects(deserializer)).map(Self)
    }
}

/// Reads a value from JSON that passes [`check`].
///
/// # Errors
/// A text for people: which field, and what is wrong with it.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8], depth: usize, known: &[&str]) -> Result<T, String> {
    let value = check(bytes, depth, known).and_then(|()| from_slice(bytes));
    value.map_err(|error| complaint::of::<T>(bytes, Level { left: depth, known }, &error))
}

/// Checks that `bytes` are one JSON value without duplicate keys and with at most `depth` levels. In the outermost
/// object, and in values of `known` keys below it, no key may be one of `known` in another case.
///
/// # Errors
/// The parser's error: what and where.
fn check(bytes: &[u8], depth: usize, known: &[&str]) -> Result<(), serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    Level { left: depth, known }.deserialize(&mut json)?;
    json.end()
}

/// How many more levels are allowed, and which keys have a meaning here.
#[derive(Clone, Copy)]
struct Level<'k> {
    left: usize,
    known: &'k [&'k str],
}

impl Level<'_> {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        let left = self.left.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))?;
        Ok(Self { left, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if seen.contains(key.as_ref()) {
                return Err(de::Error::custom(format_args!("duplicate key {:?}", key.as_ref())));
            }
            let meant = self.known.iter().find(|known| known.eq_ignore_ascii_case(&key));
            if meant.is_some_and(|meant| *meant != key) {
                return Err(de::Error::custom(format_args!("key {:?} in another case", key.as_ref())));
            }
            // Annotations and unknown objects may use any key.
            let is_free = meant.is_none() || key == "annotations";
            seen.insert(key);
            map.next_value_seed(if is_free { Self { known: &[], ..inner } } else { inner })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while seq.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_keys_are_refused_at_any_depth() {
        assert!(check(br#"{"a":1,"b":{"a":[1.5,null,true,-1,"x"]}}"#, 8, &[]).is_ok());
        for bad in [r#"{"a":1,"a":2}"#, r#"[{"b":{"a":1,"a":1}}]"#, r#"{"a":1,"\u0061":2}"#] {
            assert!(check(bad.as_bytes(), 8, &[]).unwrap_err().to_string().contains("duplicate key"), "{bad}");
        }
    }

    #[test]
    fn a_list_is_never_taken_for_an_object() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Inner {
            n: u64,
        }
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Outer {
            one: Inner,
            #[serde(default)]
            may: Option<Inner>,
            #[serde(default)]
            many: Vec<Inner>,
            #[serde(default)]
            named: std::collections::BTreeMap<String, Inner>,
            #[serde(default)]
            pair: (u64, f64),
        }
        let read = |text: &str| from_slice::<Outer>(text.as_bytes());
        let full = r#"{"one":{"n":1},"may":{"n":2},"many":[{"n":3}],"named":{"a":{"n":4}},"pair":[5,6],"else":[[]]}"#;
        let named = [("a".to_owned(), Inner { n: 4 })].into();
        let expected =
            Outer { one: Inner { n: 1 }, may: Some(Inner { n: 2 }), many: vec![Inner { n: 3 }], named, pair: (5, 6.0) };
        assert_eq!(read(full).unwrap(), expected);
        let lists = [
            r#"[{"n":1}]"#,
            r#"{"one":[1]}"#,
            r#"{"one":{"n":1},"may":[2]}"#,
            r#"{"one":{"n":1},"many":[[3]]}"#,
            r#"{"one":{"n":1},"named":{"a":[4]}}"#,
        ];
        for list in lists {
            let error = read(list).unwrap_err().to_string();
            assert!(error.starts_with("invalid type: sequence, expected an object"), "{list}: {error}");
        }
        assert_eq!(from_slice::<Vec<Inner>>(br#"[{"n":1}]"#).unwrap(), [Inner { n: 1 }], "a list that is meant");
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
        assert!(check(&nested(32), 32, &[]).is_ok());
        assert!(check(&nested(33), 32, &[]).is_err());
        assert!(check(&vec![b'['; 4 << 20], 32, &[]).is_err());
    }

    #[test]
    fn text_after_the_value_is_refused() {
        assert!(check(b"{} ", 8, &[]).is_ok());
        assert!(check(b"{}{}", 8, &[]).is_err());
        assert!(check(b"", 8, &[]).is_err());
    }

    #[test]
    fn known_keys_have_one_spelling_in_their_place() {
        let known = ["layers", "digest", "annotations"];
        let refused = |text: &str| check(text.as_bytes(), 8, &known).is_err();
        assert!(refused(r#"{"Layers": []}"#) && refused(r#"{"layers": [{"DIGEST": ""}]}"#));
        assert!(refused(r#"{"layers": [], "lAyers": []}"#));
        for free in [r#"{"annotations": {"Digest": "", "LAYERS": ""}}"#, r#"{"org.example": {"Layers": 1}}"#] {
            assert!(!refused(free), "{free}");
        }
    }
}
