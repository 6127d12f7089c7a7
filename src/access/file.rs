//! `access-control.json` into a [`Policy`]: every problem at once, each with its line and key.
//!
//! Rules, groups, roles and their entries are read each for itself ([`super::json`]), so that one mistake does not hide
//! the next, and each is reported on its own line.

use super::{
    json,
    policy::{Group, Policy, Problem, Role, Rule, Who},
    unreachable,
};
use crate::{
    oci::Pattern,
    who::{Action, Subject},
};
use serde_json::value::RawValue;
use std::collections::{BTreeSet, HashSet};

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
        let lines = json::Lines::of(text);
        let mut reader = Reader { lines, patterns: Vec::new(), problems: Vec::new(), warnings: Vec::new() };
        let mut policy = match json::whole(text) {
            Ok(whole) => reader.policy(whole),
            Err((line, message)) => return Err(vec![Problem { line, key: String::new(), message }]),
        };
        if !reader.problems.is_empty() {
            return Err(reader.problems);
        }
        reader.warnings.extend(unreachable::warnings(&policy, &reader.patterns));
        policy.patterns = match last.filter(|last| last.patterns.as_slice() == reader.patterns) {
            Some(last) => last.patterns.clone(),
            None => reader.patterns.into(),
        };
        Ok((policy, reader.warnings))
    }
}

struct Reader<'t> {
    lines: json::Lines<'t>,
    /// Those of the rules read so far.
    patterns: Vec<Pattern>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Reader<'_> {
    fn policy(&mut self, whole: &RawValue) -> Policy {
        let mut policy = Policy::default();
        let known = ["defaultPolicy", "adminUsers", "rules", "groups", "roles"];
        let Some([default, admins, rules, groups, roles]) = self.fields(whole, "", known) else { return policy };
        if let Some(default) = default {
            match json::string(default).as_deref() {
                Some("allow") => policy.default_allow = true,
                Some("deny") => {}
                _ => self.wrong(default, "defaultPolicy", "must be \"allow\" or \"deny\""),
            }
        }
        policy.admins = self.names(admins, "adminUsers", &mut policy);
        for (name, piece) in self.named(roles, "roles") {
            let role = self.role(piece, &path("roles", &name));
            policy.roles.insert(name, role);
        }
        for (name, piece) in self.named(groups, "groups") {
            let group = self.group(piece, &path("groups", &name), &mut policy);
            policy.groups.insert(name, group);
        }
        for (i, piece) in self.list(rules, "rules", "rules").into_iter().enumerate() {
            if let Some((rule, pattern)) = self.rule(i + 1, piece, &format!("rules[{i}]"), &mut policy) {
                policy.rules.push(rule);
                self.patterns.push(pattern);
            }
        }
        policy
    }

    fn rule(&mut self, number: usize, piece: &RawValue, key: &str, policy: &mut Policy) -> Option<(Rule, Pattern)> {
        let known = ["repository", "users", "permissions"];
        let fields = self.fields(piece, key, known)?;
        for (name, _) in known.iter().zip(fields).filter(|(_, value)| value.is_none()) {
            self.wrong(piece, &format!("{key}.{name}"), "is missing");
        }
        let [repository, users, permissions] = fields;
        let key = |name: &str| format!("{key}.{name}");
        let repository = repository.and_then(|repository| self.pattern(repository, &key("repository")));
        let users = self.list(users, &key("users"), "user names");
        let users = users.into_iter().filter_map(|user| self.who(user, &key("users"), policy)).collect();
        let permissions = self.list(permissions, &key("permissions"), "permissions");
        let permissions = permissions.into_iter().filter_map(|permission| {
            let text = self.text(permission, &key("permissions"))?;
            let wrong = |why: &str| self.wrong(permission, &key("permissions"), format!("{text:?}: {why}"));
            text.parse::<Action>().map_err(wrong).ok()
        });
        let permissions = permissions.collect();
        Some((Rule { number, line: self.lines.line(piece), users, permissions }, repository?))
    }

    fn who(&mut self, piece: &RawValue, key: &str, policy: &mut Policy) -> Option<Who> {
        let user = self.text(piece, key)?;
        match user.strip_prefix('@') {
            _ if user == "*" => Some(Who::Users),
            _ if user == "anonymous" => Some(Who::Anonymous),
            Some(group) if policy.groups.contains_key(group) => Some(Who::Group(group.to_owned())),
            Some(group) => {
                self.wrong(piece, key, format!("there is no group {group:?}"));
                None
            }
            None => self.name(piece, user, key, policy).map(Who::User),
        }
    }

    fn group(&mut self, piece: &RawValue, key: &str, policy: &mut Policy) -> Group {
        let Some([description, members, roles]) = self.fields(piece, key, ["description", "members", "roles"]) else {
            return Group::default();
        };
        description.and_then(|description| self.text(description, &format!("{key}.description")));
        let members = self.names(members, &format!("{key}.members"), policy);
        let key = format!("{key}.roles");
        let roles = self.list(roles, &key, "roles").into_iter().filter_map(|piece| {
            let role = self.text(piece, &key)?;
            if !policy.roles.contains_key(&role) {
                self.wrong(piece, &key, format!("there is no role {role:?}"));
            }
            Some(role)
        });
        Group { roles: roles.collect(), members }
    }

    fn role(&mut self, piece: &RawValue, key: &str) -> Role {
        let mut role = Role::default();
        let known = ["description", "permissions", "repositories"];
        let Some([description, permissions, repositories]) = self.fields(piece, key, known) else { return role };
        description.and_then(|description| self.text(description, &format!("{key}.description")));
        let of_permissions = format!("{key}.permissions");
        for permission in self.list(permissions, &of_permissions, "permissions") {
            let Some(text) = self.text(permission, &of_permissions) else { continue };
            match text.split_once(':').filter(|(a, r)| ACTIONS.contains(a) && RESOURCES.contains(r)) {
                None => self.wrong(permission, &of_permissions, format!("there is no permission {text:?}")),
                Some(("ADMIN", "SYSTEM")) => role.admin = true,
                Some(("PULL", "IMAGE")) => role.actions.push(Action::Pull),
                Some(("PUSH", "IMAGE")) => role.actions.push(Action::Push),
                Some(("DELETE", "IMAGE")) => role.actions.push(Action::Delete),
                // For the management API.
                Some(_) => {}
            }
        }
        let of_repositories = format!("{key}.repositories");
        let listed = self.list(repositories, &of_repositories, "repository patterns");
        let is_empty = listed.is_empty();
        role.repositories = listed.into_iter().filter_map(|piece| self.pattern(piece, &of_repositories)).collect();
        if !role.actions.is_empty() && is_empty {
            let message = "grants permissions on images but lists no repositories, so it has no effect".to_owned();
            self.warnings.push(Problem { line: self.lines.line(piece), key: key.to_owned(), message });
        }
        role
    }

    fn pattern(&mut self, piece: &RawValue, key: &str) -> Option<Pattern> {
        let text = self.text(piece, key)?;
        text.parse().map_err(|why| self.wrong(piece, key, format!("{text:?}: {why}"))).ok()
    }

    /// A list of users' names.
    fn names(&mut self, piece: Option<&RawValue>, key: &str, policy: &mut Policy) -> BTreeSet<String> {
        let pieces = self.list(piece, key, "user names");
        let named = pieces.into_iter().filter_map(|piece| {
            let name = self.text(piece, key)?;
            self.name(piece, name, key, policy)
        });
        named.collect()
    }

    fn name(&mut self, piece: &RawValue, name: String, key: &str, policy: &mut Policy) -> Option<String> {
        if !Subject::is_user_name(&name) {
            self.wrong(piece, key, format!("{name:?} cannot be a user's name"));
            return None;
        }
        policy.mentioned.entry(name.clone()).or_insert_with(|| self.lines.line(piece));
        Some(name)
    }

    /// The values of an object's keys. Other keys, and keys that stand there twice, are reported.
    fn fields<'p, const N: usize>(
        &mut self,
        piece: &'p RawValue,
        key: &str,
        known: [&str; N],
    ) -> Option<[Option<&'p RawValue>; N]> {
        let Some(entries) = json::entries(piece) else {
            self.wrong_kind(piece, key, "an object");
            return None;
        };
        let mut fields = [None; N];
        for (name, value) in entries {
            let full = path(key, &name);
            match known.iter().position(|known| *known == name).map(|at| &mut fields[at]) {
                None => self.wrong(value, &full, format!("unknown key; known keys: {}", known.join(", "))),
                Some(Some(_)) => self.wrong(value, &full, "this key is given twice"),
                Some(field) => *field = Some(value),
            }
        }
        Some(fields)
    }

    /// The entries of an object whose keys are names.
    fn named<'p>(&mut self, piece: Option<&'p RawValue>, key: &str) -> Vec<(String, &'p RawValue)> {
        let Some(piece) = piece else { return Vec::new() };
        let Some(entries) = json::entries(piece) else {
            self.wrong_kind(piece, key, "an object");
            return Vec::new();
        };
        let mut seen = HashSet::new();
        for (name, value) in &entries {
            if !seen.insert(name) {
                self.wrong(value, &path(key, name), "this key is given twice");
            }
        }
        entries
    }

    /// The pieces of a list of `what`; none if it is left out.
    fn list<'p>(&mut self, piece: Option<&'p RawValue>, key: &str, what: &str) -> Vec<&'p RawValue> {
        let Some(piece) = piece else { return Vec::new() };
        json::items(piece).unwrap_or_else(|| {
            self.wrong_kind(piece, key, &format!("a list of {what}"));
            Vec::new()
        })
    }

    fn text(&mut self, piece: &RawValue, key: &str) -> Option<String> {
        let text = json::string(piece);
        match &text {
            None if json::kind(piece) == "a string" => {
                self.wrong(piece, key, "holds an escape sequence that is no text")
            }
            None => self.wrong_kind(piece, key, "a string"),
            Some(_) => {}
        }
        text
    }

    fn wrong_kind(&mut self, piece: &RawValue, key: &str, wanted: &str) {
        self.wrong(piece, key, format!("must be {wanted}, not {}", json::kind(piece)));
    }

    fn wrong(&mut self, piece: &RawValue, key: &str, message: impl Into<String>) {
        let line = self.lines.line(piece);
        self.problems.push(Problem { line, key: key.to_owned(), message: message.into() });
    }
}

/// A key below another one, as one line.
fn path(above: &str, key: &str) -> String {
    let key = key.escape_debug();
    if above.is_empty() { key.to_string() } else { format!("{above}.{key}") }
}
