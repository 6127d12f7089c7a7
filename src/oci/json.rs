//! Strictness that JSON itself or its library leaves open: no key twice in one object, bounded
//! nesting, objects only where objects are meant.
//!
//! Two parsers that disagree about a key see two different manifests under one digest. Some repeat
//! keys, and some (Go's) read them without regard to case, so neither is accepted where it counts.

mod complaint;

use serde::de::{
    self, Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor,
    value::MapAccessDeserializer,
};
use std::{collections::HashSet, fmt, marker::PhantomData};

/// Reads a value from JSON as strict as [`check`] wants it.
///
/// # Errors
/// Words for people: which field, and what is wrong with it.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8], depth: usize, known: &[&str]) -> Result<T, String> {
    let value = check(bytes, depth, known).and_then(|()| serde_json::from_slice(bytes));
    value.map_err(|error| complaint::of::<T>(bytes, Level { left: depth, known }, &error))
}

/// Checks that `bytes` are one JSON value with no repeated key and at most `depth` levels. In the
/// outermost object, and in what stands under one of `known` below it, none of `known` may be
/// spelt in another case.
///
/// # Errors
/// With the parser's words: what and where.
fn check(bytes: &[u8], depth: usize, known: &[&str]) -> Result<(), serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    Level { left: depth, known }.deserialize(&mut json)?;
    json.end()
}

/// A `T` written as an object. Derived reading of a struct would also take a list of its fields in
/// order, in which everybody else sees no manifest.
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(Fields(PhantomData))
    }
}

/// How many more levels may be opened, and which keys mean something here.
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
            // Annotations and what nobody knows are free to use any key.
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
    fn nesting_is_bounded() {
        let nested = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
        assert!(check(&nested(32), 32, &[]).is_ok());
        assert!(check(&nested(33), 32, &[]).is_err());
        assert!(check(&vec![b'['; 4 << 20], 32, &[]).is_err());
    }

    #[test]
    fn what_follows_the_value_is_refused() {
        assert!(check(b"{} ", 8, &[]).is_ok());
        assert!(check(b"{}{}", 8, &[]).is_err());
        assert!(check(b"", 8, &[]).is_err());
    }

    #[test]
    fn keys_that_mean_something_have_one_spelling_where_they_do() {
        let known = ["layers", "digest", "annotations"];
        let refused = |text: &str| check(text.as_bytes(), 8, &known).is_err();
        assert!(refused(r#"{"Layers": []}"#) && refused(r#"{"layers": [{"DIGEST": ""}]}"#));
        assert!(refused(r#"{"layers": [], "lAyers": []}"#));
        for free in [r#"{"annotations": {"Digest": "", "LAYERS": ""}}"#, r#"{"org.example": {"Layers": 1}}"#] {
            assert!(!refused(free), "{free}");
        }
    }
}
