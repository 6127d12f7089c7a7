//! Scopes, as clients request them and tokens grant them (the token specification of the Docker registry).

use crate::who::Action;
use oci::RepositoryName;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    Repository(RepositoryName, Vec<Action>),
    /// Listing repositories.
    Catalog,
}

impl Scope {
    /// Parses a scope as a client requests it: `type[(class)]:name:action[,action]`. The name may contain colons.
    /// `None` if this registry has no such resource.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        Self::of(kind, name, actions.split(','))
    }

    /// A scope from its parts, as a token lists it. Classes belong to old plugins and are ignored.
    pub fn of<'a>(kind: &str, name: &str, actions: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let kind = kind.split_once('(').map_or(kind, |(kind, _class)| kind);
        let mut actions = actions.into_iter();
        match (kind, name) {
            ("repository", name) => {
                let name = name.parse().ok()?;
                let mut known = Vec::new();
                for action in actions {
                    match action {
                        "*" => known.extend(Action::ALL),
                        action => known.extend(action.parse::<Action>()),
                    }
                }
                known.sort_unstable();
                known.dedup();
                Some(Self::Repository(name, known))
            }
            ("registry", "catalog") => actions.any(|action| action == "*").then_some(Self::Catalog),
            _ => None,
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Repository(name, actions) => {
                let actions: Vec<_> = actions.iter().map(ToString::to_string).collect();
                write!(f, "repository:{name}:{}", actions.join(","))
            }
            Self::Catalog => f.write_str("registry:catalog:*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_parsed_as_clients_write_them() {
        let shown = |text| Scope::parse(text).map(|scope| scope.to_string());
        let same = ["repository:a/b:pull", "repository:a/b:pull,push", "registry:catalog:*", "repository:a/b:delete"];
        for text in same {
            assert_eq!(shown(text).as_deref(), Some(text));
        }
        for (text, means) in [
            ("repository:a:push,pull,pull", "repository:a:pull,push"),
            ("repository:a:*", "repository:a:pull,push,delete"),
            ("repository(plugin):a:pull", "repository:a:pull"),
            ("repository:a:pull,admin", "repository:a:pull"),
            ("repository:a:", "repository:a:"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(means), "{text}");
        }
        for text in ["", "a", "repository", "repository:a", "repository:A:pull", "repository:host:5000/a:pull"] {
            assert_eq!(shown(text), None, "{text}");
        }
        for text in ["registry:catalog:pull", "registry:other:*", "other:a:pull", "repository:../a:pull", "::"] {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}
