//! Query strings.

use super::error::ServiceError;
use oci::{Digest, InvalidDigest, Tag};
use std::borrow::Cow;

/// The `n` and `last` parameters of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pagination {
    /// Maximum number of entries requested.
    pub n: Option<usize>,
    /// Start after this entry, which need not exist.
    pub last: Option<String>,
}

/// The decoded parameters of a query, in order. Unknown ones are ignored.
pub(super) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    pub(super) fn parse(query: &'a str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).collect())
    }

    /// The values of a parameter. An empty value counts as absent: scripts send one for an unset variable.
    pub(super) fn all<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        self.0.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_ref())
    }

    /// All parameters, those without a value too.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value.as_ref()))
    }

    /// Whether a parameter is present, even without a value.
    pub(super) fn names(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    pub(super) fn first<'q>(&'q self, name: &'q str) -> Option<&'q str> {
        self.all(name).next()
    }

    /// The value of a parameter that must not be repeated: readers would disagree about which value counts.
    pub(super) fn one<'q>(&'q self, name: &'static str) -> Result<Option<&'q str>, ServiceError> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(ServiceError::ParameterRepeated(name)),
        }
    }

    pub(super) fn digest(&self, name: &'static str) -> Result<Digest, ServiceError> {
        let text = self.one(name)?.ok_or(ServiceError::DigestInvalid(InvalidDigest::Grammar))?;
        Ok(text.parse::<Digest>()?)
    }

    pub(super) fn tags(&self) -> Result<Vec<Tag>, ServiceError> {
        self.all("tag").map(|tag| Ok(tag.parse::<Tag>()?)).collect()
    }

    pub(super) fn pagination(&self) -> Result<Pagination, ServiceError> {
        let number = |n: &str| match n.bytes().all(|b| b.is_ascii_digit()) {
            // A number too large to parse is above the maximum, to which it is limited anyway.
            true => Ok(n.parse().unwrap_or(usize::MAX)),
            false => Err(ServiceError::PageSizeInvalid),
        };
        let n = self.first("n").map(number).transpose()?;
        Ok(Pagination { n, last: self.first("last").map(str::to_owned) })
    }
}

/// Escapes a value for use in a query.
pub(super) fn encode(value: &str) -> String {
    form_urlencoded::byte_serialize(value.as_bytes()).collect()
}
