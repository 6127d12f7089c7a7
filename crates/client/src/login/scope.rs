//! Scopes: what a token is asked for.

use oci::RepositoryName;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// A set of scopes, `type:name:action,action` each, in one canonical order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Scopes(BTreeMap<(String, String), BTreeSet<String>>);

impl Scopes {
    pub(crate) fn none() -> Self {
        Self::default()
    }

    pub(crate) fn repository(name: &RepositoryName, actions: &[&str]) -> Self {
        Self::default().with("repository", name.as_str(), actions)
    }

    pub(crate) fn catalog() -> Self {
        Self::default().with("registry", "catalog", &["*"])
    }

    /// These and another.
    pub(crate) fn with(mut self, kind: &str, name: &str, actions: &[&str]) -> Self {
        let entry = self.0.entry((kind.to_owned(), name.to_owned())).or_default();
        entry.extend(actions.iter().map(|action| (*action).to_owned()));
        self
    }

    /// The scopes of a challenge. What is no scope is left out.
    pub(crate) fn parse(text: &str) -> Self {
        // A name may hold a port, so it ends at the last colon.
        text.split_whitespace().fold(Self::default(), |scopes, scope| match scope.split_once(':') {
            Some((kind, rest)) => match rest.rsplit_once(':') {
                Some((name, actions)) => {
                    let actions: Vec<&str> = actions.split(',').filter(|action| !action.is_empty()).collect();
                    scopes.with(kind, name, &actions)
                }
                None => scopes,
            },
            None => scopes,
        })
    }

    pub(crate) fn union(mut self, other: &Self) -> Self {
        for (resource, actions) in &other.0 {
            self.0.entry(resource.clone()).or_default().extend(actions.iter().cloned());
        }
        self
    }

    /// Each scope as it is written.
    pub(crate) fn iter(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|((kind, name), actions)| {
            let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
            format!("{kind}:{name}:{}", actions.join(","))
        })
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_of_one_repository_are_merged() {
        let read = Scopes::parse("repository:a/b:push,pull  repository(plugin):h:5000/c:pull registry:catalog:* x y:z");
        assert_eq!(read.to_string(), "registry:catalog:* repository:a/b:pull,push repository(plugin):h:5000/c:pull");
        let name: RepositoryName = "a/b".parse().unwrap();
        let both =
            Scopes::repository(&name, &["delete"]).union(&Scopes::parse("repository:a/b:pull repository:c:pull"));
        assert_eq!(both.to_string(), "repository:a/b:delete,pull repository:c:pull");
        assert_eq!(Scopes::parse("repository:a/b:pull,push"), Scopes::repository(&name, &["push", "pull"]));
    }
}
