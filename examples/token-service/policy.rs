//! Who there is, and who may do what. Put your own users and rules here.

use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

/// The costliest hash accepted: at 14 one password takes a core for more than a second.
const MOST_COST: u32 = 14;

/// The users of an htpasswd file.
pub(crate) struct PolicyUsers {
    hashes: HashMap<String, String>,
    /// What a stranger's password is held against, so that the time does not tell who exists.
    dummy: String,
}

/// The policy file. What no rule grants is denied.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenPolicy {
    rules: Vec<PolicyRule>,
    /// Who may list all repositories.
    catalog: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyRule {
    /// `team` means `team` and all below `team/`, not `teams`; the empty prefix means everything.
    prefix: String,
    /// Names of users, `*` for whoever is logged in, `anonymous` for whoever is not.
    who: Vec<String>,
    actions: Vec<String>,
}

/// The actions granted, by type and name.
pub(crate) type GrantedActions<'a> = BTreeMap<(&'a str, &'a str), BTreeSet<&'a str>>;

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

impl PolicyUsers {
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let (mut hashes, mut most) = (HashMap::new(), 4);
        for (i, line) in read(path)?.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        {
            // Never quotes the line: it may hold a password.
            let wrong = |what: &str| format!("{}:{}: {what}", path.display(), i + 1);
            let (name, hash) = line.split_once(':').ok_or_else(|| wrong("is not of the form name:hash"))?;
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
            if name.is_empty() || name == "anonymous" || !name.chars().all(plain) || hashes.contains_key(name) {
                return Err(wrong("cannot be a user's name, or is there twice"));
            }
            let parts = hash.parse().map_err(|_| wrong("has no bcrypt hash: use htpasswd -B"))?;
            let cost = bcrypt::HashParts::get_cost(&parts);
            if !(4..=MOST_COST).contains(&cost) {
                return Err(wrong("has a bcrypt cost that is not from 4 to 14"));
            }
            most = most.max(cost);
            hashes.insert(name.to_owned(), hash.to_owned());
        }
        // A hash that no password is known for; checking against it takes as long as against any.
        Ok(Self { hashes, dummy: format!("$2b${most:02}${}", ".".repeat(53)) })
    }

    /// The hash to hold a password against, and whether there is such a user at all.
    pub(crate) fn hash(&self, name: &str) -> (String, bool) {
        self.hashes.get(name).map_or_else(|| (self.dummy.clone(), false), |hash| (hash.clone(), true))
    }
}

impl TokenPolicy {
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let wrong = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
        let policy: Self = serde_json::from_str(&read(path)?).map_err(|error| wrong(&error))?;
        for rule in &policy.rules {
            if !rule.prefix.is_empty() && !is_name(&rule.prefix) {
                return Err(wrong(&format!("no repository's name begins with {:?}/", rule.prefix)));
            }
            if let Some(action) =
                rule.actions.iter().find(|action| !["pull", "push", "delete"].contains(&action.as_str()))
            {
                return Err(wrong(&format!("{action:?} is not pull, push or delete")));
            }
        }
        Ok(policy)
    }

    /// Of what is asked for, what this user may do; `None` is nobody. What is denied, and what is no
    /// scope (`type:name:action,action`), is left out: the registry tells the client what it lacks.
    pub(crate) fn grant<'a>(&'a self, user: Option<&str>, scopes: impl Iterator<Item = &'a str>) -> GrantedActions<'a> {
        let mut granted = GrantedActions::new();
        for scope in scopes {
            // The name may hold a colon of its own (`host:5000/app`): the first and the last divide.
            let Some((kind, rest)) = scope.split_once(':') else { continue };
            let Some((name, actions)) = rest.rsplit_once(':') else { continue };
            // `repository(plugin)`: classes of repositories are history.
            let kind = kind.split_once('(').map_or(kind, |(kind, _)| kind);
            let mut allowed = self.allowed(user, kind, name);
            allowed.retain(|action| actions.split(',').any(|asked| asked == "*" || asked == *action));
            if !allowed.is_empty() {
                granted.entry((kind, name)).or_default().append(&mut allowed);
            }
        }
        granted
    }

    /// All that this user may do there. Rules add up.
    fn allowed(&self, user: Option<&str>, kind: &str, name: &str) -> BTreeSet<&str> {
        let means = |who: &[String]| match user {
            Some(user) => who.iter().any(|one| one == "*" || one == user),
            None => who.iter().any(|one| one == "anonymous"),
        };
        let begins = |prefix: &str| {
            prefix.is_empty() || name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        match kind {
            "registry" if name == "catalog" && means(&self.catalog) => ["*"].into(),
            "repository" if is_name(name) => {
                let rules = self.rules.iter().filter(|rule| begins(&rule.prefix) && means(&rule.who));
                rules.flat_map(|rule| &rule.actions).map(String::as_str).collect()
            }
            _ => BTreeSet::new(),
        }
    }
}

/// Whether it is made as repository names are; so `public/../private` is not below `public`.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.split('/').all(|part| {
        part.starts_with(plain) && part.ends_with(plain) && part.chars().all(|c| plain(c) || "._-:".contains(c))
    })
}
