//! Query strings.

use super::error::Error;
use crate::oci::{Digest, InvalidDigest, Tag};
use std::borrow::Cow;

/// `n` and `last` of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pagination {
    /// Entries asked for.
    pub n: Option<usize>,
    /// After this entry, which need not exist.
    pub last: Option<String>,
}

/// The parameters of a query, decoded, in order. Those nobody asks for are ignored.
pub(super) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    pub(super) fn parse(query: &'a str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).collect())
    }

    /// The values of a parameter. One without a value counts as absent: scripts leave it so when they have none.
    pub(super) fn all<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        self.0.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_ref())
    }

    /// Whether a parameter is there, with or without a value.
    pub(super) fn names(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    pub(super) fn first<'q>(&'q self, name: &'q str) -> Option<&'q str> {
        self.all(name).next()
    }

    /// The value of a parameter that means something else to everybody if it comes twice.
    pub(super) fn one<'q>(&'q self, name: &'static str) -> Result<Option<&'q str>, Error> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(Error::ParameterRepeated(name)),
        }
    }

    pub(super) fn digest(&self, name: &'static str) -> Result<Digest, Error> {
        let text = self.one(name)?.ok_or(Error::DigestInvalid(InvalidDigest::Grammar))?;
        Ok(text.parse::<Digest>()?)
    }

    pub(super) fn tags(&self) -> Result<Vec<Tag>, Error> {
        self.all("tag").map(|tag| Ok(tag.parse::<Tag>()?)).collect()
    }

    pub(super) fn pagination(&self) -> Result<Pagination, Error> {
        let number = |n: &str| match n.bytes().all(|b| b.is_ascii_digit()) {
            // Larger than can be counted is larger than the maximum, to which it is cut anyway.
            true => Ok(n.parse().unwrap_or(usize::MAX)),
            false => Err(Error::PageSizeInvalid),
        };
        let n = self.first("n").map(number).transpose()?;
        Ok(Pagination { n, last: self.first("last").map(str::to_owned) })
    }
}

/// Writes a value into a query.
pub(super) fn encode(value: &str) -> String {
    form_urlencoded::byte_serialize(value.as_bytes()).collect()
}
