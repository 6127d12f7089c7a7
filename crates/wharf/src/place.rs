//! What people write for a server, a repository or an image.

use crate::failure::Failure;
use oci::{Digest, Reference, RepositoryName, Tag};
use std::fmt;

/// The name of an image as it was written: `[host/]repository[:tag][@digest]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageName {
    /// The registry; the current server if none is written.
    pub host: Option<String>,
    /// The repository, not checked yet: on Docker Hub, `library/` is left out.
    pub repository: String,
    /// The tag.
    pub tag: Option<Tag>,
    /// The digest.
    pub digest: Option<Digest>,
}

impl ImageName {
    /// Reads an image.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let invalid = |why: String| Failure::usage(format!("{text:?} is not an image: {why}"));
        let (rest, digest) = match text.rsplit_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().map_err(|error| invalid(format!("{error}")))?)),
            None => (text, None),
        };
        let (rest, tag) = match rest.rsplit_once(':') {
            // A colon before a slash belongs to a port.
            Some((rest, tag)) if !tag.contains('/') => {
                (rest, Some(tag.parse().map_err(|error| invalid(format!("{error}")))?))
            }
            _ => (rest, None),
        };
        let (host, repository) = split_host(rest);
        // Docker Hub's names are completed later, and must be valid before, too.
        repository.parse::<RepositoryName>().map_err(|error| invalid(error.to_string()))?;
        Ok(Self { host: host.map(str::to_owned), repository: repository.to_owned(), tag, digest })
    }

    /// What it points to: the digest if one is written, else the tag, else `latest`.
    pub fn reference(&self) -> Result<Reference, Failure> {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => Ok(Reference::Digest(digest.clone())),
            (None, Some(tag)) => Ok(Reference::Tag(tag.clone())),
            (None, None) => {
                let latest = "latest".parse().map_err(|_| Failure::failed("latest is not a tag"))?;
                Ok(Reference::Tag(latest))
            }
        }
    }

    /// The repository alone.
    ///
    /// # Errors
    /// If a tag or digest is written, which makes no sense where a repository is asked for.
    pub fn only_repository(self) -> Result<Self, Failure> {
        match (&self.tag, &self.digest) {
            (None, None) => Ok(self),
            _ => Err(Failure::usage(format!("{self} is an image; name its repository, {}", self.repository))),
        }
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            write!(f, "{host}/")?;
        }
        f.write_str(&self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{}", tag.as_str())?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// A first component is a host if it could not be a repository's, as docker has it.
fn split_host(text: &str) -> (Option<&str>, &str) {
    // A scheme chooses plain HTTP for one registry.
    let scheme = text.find("://").map_or(0, |at| at + "://".len());
    match text[scheme..].split_once('/') {
        Some((host, rest)) if scheme > 0 || host.contains(['.', ':']) || host == "localhost" => {
            (Some(&text[..scheme + host.len()]), rest)
        }
        _ => (None, text),
    }
}

/// Where images are copied from and to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImagePlace {
    /// A repository of a registry.
    Registry(ImageName),
    /// A directory in the OCI image layout, with the name of an image in it.
    Layout(std::path::PathBuf, Option<String>),
}

/// How directories are written on the command line.
pub const LAYOUT: &str = "oci:";

impl ImagePlace {
    /// Reads `oci:DIR[:NAME]` or an image.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let Some(rest) = text.strip_prefix(LAYOUT) else { return ImageName::parse(text).map(Self::Registry) };
        match rest.rsplit_once(':') {
            Some((directory, name)) if !directory.is_empty() && !name.contains('/') => {
                Ok(Self::Layout(directory.into(), Some(name.to_owned())))
            }
            _ if rest.is_empty() => Err(Failure::usage("oci: needs a directory: oci:DIR or oci:DIR:NAME")),
            _ => Ok(Self::Layout(rest.into(), None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_read_as_docker_reads_them() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, host, repository, tag) in [
            ("team/app", None, "team/app", None),
            ("app:v1", None, "app", Some("v1")),
            ("localhost/app:v1", Some("localhost"), "app", Some("v1")),
            ("localhost:5000/app", Some("localhost:5000"), "app", None),
            ("reg.example.com/team/app:1.0", Some("reg.example.com"), "team/app", Some("1.0")),
            ("docker.io/alpine", Some("docker.io"), "alpine", None),
            ("http://reg:5000/a/b:c", Some("http://reg:5000"), "a/b", Some("c")),
        ] {
            for (text, has_digest) in [(text.to_owned(), false), (format!("{text}@{digest}"), true)] {
                let image = ImageName::parse(&text).unwrap();
                assert_eq!(image.host.as_deref(), host, "{text}");
                assert_eq!(
                    (image.repository.as_str(), image.tag.as_ref().map(Tag::as_str)),
                    (repository, tag),
                    "{text}"
                );
                assert_eq!(image.digest.is_some(), has_digest);
                assert_eq!(image.to_string(), text);
            }
        }
        for bad in ["", "Team/App", "app:", "app@sha256:1", "a//b", "reg.example.com/", "-a"] {
            assert_eq!(ImageName::parse(bad).unwrap_err().status, crate::failure::ExitStatus::Usage, "{bad}");
        }
    }

    #[test]
    fn a_directory_has_a_prefix() {
        assert_eq!(ImagePlace::parse("oci:out").unwrap(), ImagePlace::Layout("out".into(), None));
        assert_eq!(ImagePlace::parse("oci:/a/b:v1").unwrap(), ImagePlace::Layout("/a/b".into(), Some("v1".into())));
        assert!(ImagePlace::parse("oci:").is_err());
    }
}
