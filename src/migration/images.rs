//! What a migration is asked to copy: an image by tag or digest, all tags of a repository, or patterns of both.

use client::RegistryAddress;
use oci::{Digest, InvalidName, Pattern, Reference, RepositoryName, Tag, glob_matches};

/// What to copy: `team/app:1.0`, `team/app@sha256:…`, `team/app`, `team/*:v*`, `**`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagePattern {
    pub(super) repositories: RepositoriesAsked,
    pub(super) tags: TagsAsked,
}

/// The repositories of an [`ImagePattern`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RepositoriesAsked {
    One(RepositoryName),
    Matching(Pattern),
}

/// Which manifests of these repositories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TagsAsked {
    One(Reference),
    /// Those that match a glob. Tags that are named after a digest belong to other images and never match.
    Matching(String),
}

/// Why a text does not say what to copy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidImagePattern {
    #[error("{0}: {1}")]
    Name(String, InvalidName),
    #[error("{0}: {1}")]
    Pattern(String, String),
    #[error("{0} is neither a tag nor a pattern of tags such as v1.*")]
    Tag(String),
    #[error("{0} is not a digest")]
    Digest(String),
    /// A digest names one image.
    #[error("a digest needs the name of one repository before it, not a pattern")]
    DigestOfMany,
}

impl ImagePattern {
    /// Reads a text, with names as people write them for this registry.
    ///
    /// # Errors
    /// [`InvalidImagePattern`].
    pub fn parse(text: &str, registry: &RegistryAddress) -> Result<Self, InvalidImagePattern> {
        if let Some((name, digest)) = text.split_once('@') {
            let digest: Digest = digest.parse().map_err(|_| InvalidImagePattern::Digest(excerpt(digest)))?;
            // A tag before the digest only explains it.
            let name = name.rsplit_once(':').map_or(name, |(name, _)| name);
            return match repositories(name, registry)? {
                RepositoriesAsked::Matching(_) => Err(InvalidImagePattern::DigestOfMany),
                one => Ok(Self { repositories: one, tags: TagsAsked::One(Reference::Digest(digest)) }),
            };
        }
        let (name, tag) = text.rsplit_once(':').map_or((text, "*"), |(name, tag)| (name, tag));
        let tags = match tag.parse::<Tag>() {
            Ok(tag) => TagsAsked::One(Reference::Tag(tag)),
            Err(_) if is_tag_glob(tag) => TagsAsked::Matching(tag.to_owned()),
            Err(_) => return Err(InvalidImagePattern::Tag(excerpt(tag))),
        };
        Ok(Self { repositories: repositories(name, registry)?, tags })
    }

    /// The repository, if only one is meant.
    pub fn repository(&self) -> Option<&RepositoryName> {
        match &self.repositories {
            RepositoriesAsked::One(name) => Some(name),
            RepositoriesAsked::Matching(_) => None,
        }
    }
}

impl TagsAsked {
    /// Whether a tag of a list is meant.
    pub(super) fn matches(&self, tag: &Tag) -> bool {
        match self {
            Self::One(Reference::Tag(asked)) => asked == tag,
            Self::One(Reference::Digest(_)) => false,
            Self::Matching(glob) => tag.companion().is_none() && glob_matches(glob, tag.as_str()),
        }
    }
}

fn repositories(name: &str, registry: &RegistryAddress) -> Result<RepositoriesAsked, InvalidImagePattern> {
    if !name.contains('*') {
        let name = registry.repository(name).map_err(|why| InvalidImagePattern::Name(excerpt(name), why))?;
        return Ok(RepositoriesAsked::One(name));
    }
    let wrong = |why: String| InvalidImagePattern::Pattern(excerpt(name), why);
    let pattern: Pattern = name.parse().map_err(|why: oci::InvalidPattern| wrong(why.to_string()))?;
    match name.contains('$') {
        true => Err(wrong("${user} is only available in access rules".to_owned())),
        false => Ok(RepositoriesAsked::Matching(pattern)),
    }
}

/// Whether a text is a pattern of tags: with each `*` left out, or as a letter, it could be one.
fn is_tag_glob(text: &str) -> bool {
    text.contains('*') && text.replace('*', "x").parse::<Tag>().is_ok()
}

/// A text of a caller, short enough for a message.
fn excerpt(text: &str) -> String {
    format!("{:?}", oci::excerpt(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ImagePattern, InvalidImagePattern> {
        ImagePattern::parse(text, &"registry.example.com".parse().unwrap())
    }

    fn tag(text: &str) -> Tag {
        text.parse().unwrap()
    }

    #[test]
    fn images_are_named_by_tag_digest_or_pattern() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let one = parse("team/app:1.0").unwrap();
        assert_eq!(one.repository().unwrap().as_str(), "team/app");
        assert_eq!(one.tags, TagsAsked::One(Reference::Tag(tag("1.0"))));
        for text in [format!("team/app@{digest}"), format!("team/app:1.0@{digest}")] {
            assert_eq!(parse(&text).unwrap().tags, TagsAsked::One(Reference::Digest(digest.parse().unwrap())));
        }
        let all = parse("team/app").unwrap();
        assert!(all.tags.matches(&tag("latest")) && !all.tags.matches(&tag(&digest.replace(':', "-"))));
        let some = parse("team/*:v1.*").unwrap();
        assert!(some.repository().is_none() && some.tags.matches(&tag("v1.2")) && !some.tags.matches(&tag("v2")));
        assert!(matches!(parse("**").unwrap().repositories, RepositoriesAsked::Matching(_)));
        let hub: RegistryAddress = "docker.io".parse().unwrap();
        let alpine = ImagePattern::parse("alpine:3", &hub).unwrap();
        assert_eq!(alpine.repository().unwrap().as_str(), "library/alpine");
    }

    #[test]
    fn what_names_no_image_is_refused_with_its_reason() {
        for bad in [
            "",
            ":",
            "Team/app",
            "team/app:",
            "team/app:-x",
            "team/app:a b",
            "team//app",
            "team/${user}*",
            "a**",
            "app@sha256:12",
            "team/*@sha256:12",
            "https://registry.example.com/app",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let digest = format!("team/*@sha256:{}", "ab".repeat(32));
        assert_eq!(parse(&digest), Err(InvalidImagePattern::DigestOfMany));
    }
}
