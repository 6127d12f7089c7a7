//! `access-control.json` into a [`Policy`]: every problem at once, each with its line and key.
//!
//! The file is read in two passes. The first finds the pieces (rules, groups, roles) and where
//! they stand, the second reads each for itself, so that one wrong rule does not hide the next.

use super::policy::{Group, Policy, Problem, Role, Rule, Who};
use crate::{
    oci::{Pattern, Patterns},
    who::{Action, Subject},
};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{
    collections::{BTreeSet, HashSet},
    fmt,
    marker::PhantomData,
};

/// The whole file, its pieces unread.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Whole<'a> {
    #[serde(borrow, default)]
    default_policy: Option<&'a RawValue>,
    #[serde(borrow, default)]
    admin_users: Option<&'a RawValue>,
    #[serde(borrow, default)]
    rules: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    groups: Named<'a>,
    #[serde(borrow, default)]
    roles: Named<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    repository: String,
    users: Vec<String>,
    permissions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupText {
    #[serde(default)]
    #[allow(dead_code, reason = "for people; read so that it is a string")]
    description: String,
    #[serde(default)]
    members: Vec<String>,
    #[serde(default)]
    roles: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleText {
    #[serde(default)]
    #[allow(dead_code, reason = "for people; read so that it is a string")]
    description: String,
    #[serde(default)]
    permissions: Vec<String>,
    #[serde(default)]
    repositories: Vec<String>,
}

/// An object whose keys are names, in order; a name that comes twice is an error.
#[derive(Default)]
struct Named<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Named<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Pairs<'a> {
            type Value = Named<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<'a>, A::Error> {
                let (mut pairs, mut known) = (Vec::new(), HashSet::new());
                while let Some(name) = map.next_key::<String>()? {
                    if !known.insert(name.clone()) {
                        return Err(de::Error::custom(format_args!("duplicate key {name:?}")));
                    }
                    pairs.push((name, map.next_value()?));
                }
                Ok(Named(pairs))
            }
        }
        deserializer.deserialize_map(Pairs(PhantomData))
    }
}

const ACTIONS: [&str; 12] =
    ["VIEW", "CREATE", "UPDATE", "DELETE", "PUSH", "PULL", "ADMIN", "LOGIN", "LOGOUT", "MIGRATE", "UPLOAD", "DOWNLOAD"];
const RESOURCES: [&str; 9] = ["TASK", "WEBUI", "IMAGE", "TAG", "USER", "GROUP", "SYSTEM", "ARTIFACT", "REPO"];

impl Policy {
    /// Reads the file's text.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        Self::parse_after(text, None)
    }

    /// The same, with the file's last policy: patterns that are the same are not compiled again.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse_after(text: &str, last: Option<&Self>) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        let mut reader = Reader::new(text);
        let mut policy = reader.read();
        if !reader.problems.is_empty() {
            return Err(reader.problems);
        }
        policy.patterns = match last.filter(|last| last.patterns.as_slice() == reader.patterns) {
            Some(last) => last.patterns.clone(),
            None => reader.patterns.into(),
        };
        Ok((policy, reader.warnings))
    }
}

struct Reader<'t> {
    text: &'t str,
    /// Where each line but the first begins.
    lines: Vec<usize>,
    /// Those of the rules read so far.
    patterns: Vec<Pattern>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        let lines = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1).collect();
        Self { text, lines, patterns: Vec::new(), problems: Vec::new(), warnings: Vec::new() }
    }

    fn read(&mut self) -> Policy {
        let mut policy = Policy::default();
        let whole: Whole<'t> = match serde_json::from_str(self.text) {
            Ok(whole) => whole,
            Err(error) => {
                self.problems.push(Problem { line: error.line(), key: String::new(), message: plain(&error) });
                return policy;
            }
        };
        policy.default_allow = match whole.default_policy {
            None => false,
            Some(raw) => match self.piece::<String>(raw, "defaultPolicy").as_deref() {
                Some("allow") => true,
                Some("deny") | None => false,
                Some(_) => {
                    self.wrong(raw, "defaultPolicy", "must be \"allow\" or \"deny\"");
                    false
                }
            },
        };
        if let Some(raw) = whole.admin_users {
            let names = self.piece::<Vec<String>>(raw, "adminUsers").unwrap_or_default();
            policy.admins = self.names(names, raw, "adminUsers");
        }
        for (name, raw) in whole.roles.0 {
            let key = format!("roles.{name}");
            if let Some(role) = self.piece::<RoleText>(raw, &key) {
                let role = self.role(role, raw, &key);
                policy.roles.insert(name, role);
            }
        }
        for (name, raw) in whole.groups.0 {
            let key = format!("groups.{name}");
            if let Some(group) = self.piece::<GroupText>(raw, &key) {
                for role in group.roles.iter().filter(|role| !policy.roles.contains_key(*role)) {
                    self.wrong(raw, &format!("{key}.roles"), format!("there is no role {role:?}"));
                }
                let members = self.names(group.members, raw, &format!("{key}.members"));
                policy.groups.insert(name, Group { line: self.line(raw), members, roles: group.roles });
            }
        }
        for (i, raw) in whole.rules.into_iter().enumerate() {
            let key = format!("rules[{i}]");
            if let Some(rule) = self.piece::<RuleText>(raw, &key)
                && let Some((rule, pattern)) = self.rule(i + 1, rule, raw, &key, &policy)
            {
                policy.rules.push(rule);
                self.patterns.push(pattern);
            }
        }
        policy
    }

    fn rule(
        &mut self,
        number: usize,
        rule: RuleText,
        raw: &RawValue,
        key: &str,
        policy: &Policy,
    ) -> Option<(Rule, Pattern)> {
        let pattern = self.pattern(&rule.repository, raw, &format!("{key}.repository"));
        let users = rule.users.into_iter().filter_map(|user| self.who(user, raw, &format!("{key}.users"), policy));
        let users = users.collect();
        let permissions = rule.permissions.iter().filter_map(|permission| match permission.parse::<Action>() {
            Ok(action) => Some(action),
            Err(why) => {
                self.wrong(raw, &format!("{key}.permissions"), format!("{permission:?}: {why}"));
                None
            }
        });
        let permissions = permissions.collect();
        Some((Rule { number, line: self.line(raw), users, permissions }, pattern?))
    }

    fn who(&mut self, user: String, raw: &RawValue, key: &str, policy: &Policy) -> Option<Who> {
        match user.strip_prefix('@') {
            _ if user == "*" => Some(Who::Users),
            _ if user == "anonymous" => Some(Who::Anonymous),
            Some(group) if policy.groups.contains_key(group) => Some(Who::Group(group.to_owned())),
            Some(group) => {
                self.wrong(raw, key, format!("there is no group {group:?}"));
                None
            }
            None if Subject::is_user_name(&user) => Some(Who::User(user)),
            None => {
                self.wrong(raw, key, format!("{user:?} cannot be a user's name"));
                None
            }
        }
    }

    fn role(&mut self, role: RoleText, raw: &RawValue, key: &str) -> Role {
        let mut read = Role { line: self.line(raw), ..Role::default() };
        for permission in &role.permissions {
            let known = permission.split_once(':').filter(|(a, r)| ACTIONS.contains(a) && RESOURCES.contains(r));
            match known {
                None => {
                    self.wrong(raw, &format!("{key}.permissions"), format!("there is no permission {permission:?}"))
                }
                Some(("ADMIN", "SYSTEM")) => read.admin = true,
                Some(("PULL", "IMAGE")) => read.actions.push(Action::Pull),
                Some(("PUSH", "IMAGE")) => read.actions.push(Action::Push),
                Some(("DELETE", "IMAGE")) => read.actions.push(Action::Delete),
                // For the management API.
                Some(_) => {}
            }
        }
        let patterns = role.repositories.iter();
        let patterns: Patterns =
            patterns.filter_map(|text| self.pattern(text, raw, &format!("{key}.repositories"))).collect();
        read.repositories = patterns;
        if !read.actions.is_empty() && role.repositories.is_empty() {
            let message = "has permissions on images and lists no repositories, so it grants none of them".to_owned();
            self.warnings.push(Problem { line: read.line, key: key.to_owned(), message });
        }
        read
    }

    fn pattern(&mut self, text: &str, raw: &RawValue, key: &str) -> Option<Pattern> {
        text.parse().map_err(|why| self.wrong(raw, key, format!("{text:?}: {why}"))).ok()
    }

    fn names(&mut self, names: Vec<String>, raw: &RawValue, key: &str) -> BTreeSet<String> {
        let mut read = BTreeSet::new();
        for name in names {
            match Subject::is_user_name(&name) {
                true => drop(read.insert(name)),
                false => self.wrong(raw, key, format!("{name:?} cannot be a user's name")),
            }
        }
        read
    }

    /// Reads one piece; a problem of its own does not touch the others.
    fn piece<T: DeserializeOwned>(&mut self, raw: &RawValue, key: &str) -> Option<T> {
        match serde_json::from_str(raw.get()) {
            Ok(read) => Some(read),
            Err(error) => {
                let line = self.line(raw) + error.line().saturating_sub(1);
                self.problems.push(Problem { line, key: key.to_owned(), message: plain(&error) });
                None
            }
        }
    }

    fn wrong(&mut self, raw: &RawValue, key: &str, message: impl Into<String>) {
        self.problems.push(Problem { line: self.line(raw), key: key.to_owned(), message: message.into() });
    }

    /// The line a piece begins on. It is a slice of the text, so its address tells.
    fn line(&self, raw: &RawValue) -> usize {
        let offset = (raw.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        self.lines.partition_point(|&begin| begin <= offset) + 1
    }
}

/// The parser's words without its own idea of the place.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(message, _)| message.to_owned())
}
