//! Parses the values of variables for buckets; as in [`super::values`], each error is a sentence for the operator.

use super::values::{Value, url};
use client::Secret;

/// How S3 encrypts what it stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BucketEncryption {
    /// With keys of S3 (`AES256`).
    Aes256,
    /// With a key of AWS KMS (`aws:kms`): the account's own, or the one named.
    Kms(Option<String>),
}

/// A secret, as it is.
pub(super) fn secret(text: &str) -> Value<Secret> {
    match text.trim() == text && !text.contains(char::is_control) {
        true => Ok(Secret::new(text)),
        false => Err("has spaces around it or control characters in it; is it the content of another file?".into()),
    }
}

/// The name of a bucket, container, account or region.
pub(super) fn bucket(text: &str) -> Value<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match (1..=255).contains(&text.len()) && text.chars().all(plain) && text.starts_with(|c: char| c.is_alphanumeric())
    {
        true => Ok(text.to_owned()),
        false => Err(format!("{text:?} is not a name of letters, digits, '.', '_' and '-'; leave out scheme and path")),
    }
}

/// What the names of all objects begin with: words separated by slashes.
pub(super) fn prefix(text: &str) -> Value<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_good = |word: &str| !word.is_empty() && word != "." && word != ".." && word.chars().all(plain);
    let prefix = text.trim_end_matches('/');
    match prefix.len() <= 200 && prefix.split('/').all(is_good) {
        true => Ok(prefix.to_owned()),
        false => Err(format!("{text:?} is not a prefix such as registry or team/registry")),
    }
}

/// The URL of a service: scheme, host and port. It is shown nowhere before it was checked.
pub(super) fn endpoint(text: &str) -> Value<String> {
    let uri = url(text)?;
    match uri.path_and_query().is_none_or(|path| path == "/") {
        true => Ok(text.trim_end_matches('/').to_owned()),
        false => Err("must have neither a path nor a query; the bucket has a variable of its own".into()),
    }
}

/// The URL of a service, which may have a path.
pub(super) fn service_url(text: &str) -> Value<String> {
    match url(text)?.query() {
        None => Ok(text.trim_end_matches('/').to_owned()),
        Some(_) => Err("must have no query: access signatures in URLs are not supported".into()),
    }
}

/// How a bucket encrypts.
pub(super) fn encryption(text: &str) -> Value<BucketEncryption> {
    match text {
        "AES256" => Ok(BucketEncryption::Aes256),
        "aws:kms" => Ok(BucketEncryption::Kms(None)),
        _ => match text.strip_prefix("aws:kms:").filter(|key| !key.is_empty() && key.is_ascii()) {
            Some(key) => Ok(BucketEncryption::Kms(Some(key.to_owned()))),
            None => Err(format!("{text:?} is not AES256, aws:kms or aws:kms:KEY")),
        },
    }
}
