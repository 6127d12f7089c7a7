//! Parses `access-control.json` into a [`Policy`] and reports all problems at once, each with its line and key.
//!
//! Rules, groups, roles and their entries are parsed separately ([`super::json`]), so that one mistake does not hide
//! the next.

use super::{
    builtin, json,
    policy::{Group, Policy, Role, Rule, RuleUser, RulesProblem},
    unreachable,
};
use crate::who::{Action, Permission, Subject};
use oci::Pattern;
use serde_json::value::RawValue;
use std::collections::{BTreeSet, HashSet};

impl Policy {
    /// Parses the file's text; returns also its warnings.
    ///
    /// # Errors
    /// All problems of the file.
    pub fn parse(text: &str) -> Result<(Self, Vec<RulesProblem>), Vec<RulesProblem>> {
        Self::parse_after(text, None)
    }

    /// Like [`parse`](Self::parse), but reuses the compiled patterns of the previous policy if they are unchanged.
    ///
    /// # Errors
    /// All problems of the file.
    pub fn parse_after(text: &str, last: Option<&Self>) -> Result<(Self, Vec<RulesProblem>), Vec<RulesProblem>> {
        let lines = json::LineFinder::of(text);
        let mut reader = RulesReader { lines, patterns: Vec::new(), problems: Vec::new(), warnings: Vec::new() };
        let mut policy = match json::parse(text) {
            Ok(whole) => reader.policy(whole),
            Err((line, message)) => return Err(vec![RulesProblem { line, key: String::new(), message }]),
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

struct RulesReader<'t> {
    lines: json::LineFinder<'t>,
    /// Patterns of the rules parsed so far.
    patterns: Vec<Pattern>,
    problems: Vec<RulesProblem>,
    warnings: Vec<RulesProblem>,
}

impl RulesReader<'_> {
    fn policy(&mut self, whole: &RawValue) -> Policy {
        let mut policy = Policy::default();
        let known = ["defaultPolicy", "adminUsers", "rules", "groups", "roles"];
        let Some([default, admins, rules, groups, roles]) = self.fields(whole, "", known) else { return policy };
        if let Some(default) = default {
            match json::string(default).as_deref() {
                Some("allow") => policy.default_allow = true,
                Some("deny") => {}
                _ => self.report(default, "defaultPolicy", "must be \"allow\" or \"deny\""),
            }
        }
        policy.roles = builtin::roles();
        policy.admins = self.names(admins, "adminUsers", &mut policy);
        for (name, piece) in self.named(roles, "roles") {
            let role = self.role(piece, &path("roles", &name));
            policy.roles.insert(name, role);
        }
        for (name, piece) in self.named(groups, "groups") {
            let group = self.group(piece, &path("groups", &name), &mut policy);
            for member in &group.members {
                policy.memberships.entry(member.clone()).or_default().push(name.clone());
            }
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
        let known = ["repository", "users", "permissions", "for"];
        let fields = self.fields(piece, key, known)?;
        for (name, _) in known.iter().zip(fields).take(3).filter(|(_, value)| value.is_none()) {
            self.report(piece, &format!("{key}.{name}"), "is missing");
        }
        let [repository, users, permissions, made_for] = fields;
        let key = |name: &str| format!("{key}.{name}");
        let made_for = made_for.and_then(|user| {
            let name = self.text(user, &key("for"))?;
            self.name(user, name, &key("for"), policy)
        });
        let repository = repository.and_then(|repository| self.pattern(repository, &key("repository")));
        let users = self.list(users, &key("users"), "user names");
        let users = users.into_iter().filter_map(|user| self.rule_user(user, &key("users"), policy)).collect();
        let permissions = self.list(permissions, &key("permissions"), "permissions");
        let permissions = permissions.into_iter().filter_map(|permission| {
            let text = self.text(permission, &key("permissions"))?;
            let wrong = |why: &str| self.report(permission, &key("permissions"), format!("{text:?}: {why}"));
            text.parse::<Action>().map_err(wrong).ok()
        });
        let permissions = permissions.collect();
        Some((Rule { number, line: self.lines.line(piece), users, permissions, made_for }, repository?))
    }

    fn rule_user(&mut self, piece: &RawValue, key: &str, policy: &mut Policy) -> Option<RuleUser> {
        let user = self.text(piece, key)?;
        match user.strip_prefix('@') {
            _ if user == "*" => Some(RuleUser::Users),
            _ if user == "anonymous" => Some(RuleUser::Anonymous),
            Some(group) if policy.groups.contains_key(group) => Some(RuleUser::Group(group.to_owned())),
            Some(group) => {
                self.report(piece, key, format!("there is no group {group:?}"));
                None
            }
            None => self.name(piece, user, key, policy).map(RuleUser::User),
        }
    }

    fn group(&mut self, piece: &RawValue, key: &str, policy: &mut Policy) -> Group {
        let Some([description, members, roles]) = self.fields(piece, key, ["description", "members", "roles"]) else {
            return Group::default();
        };
        let description = description.and_then(|description| self.text(description, &format!("{key}.description")));
        let members = self.names(members, &format!("{key}.members"), policy);
        let key = format!("{key}.roles");
        let roles = self.list(roles, &key, "roles").into_iter().filter_map(|piece| {
            let role = self.text(piece, &key)?;
            if !policy.roles.contains_key(&role) {
                self.report(piece, &key, format!("there is no role {role:?}"));
            }
            Some(role)
        });
        Group { description: description.unwrap_or_default(), roles: roles.collect(), members }
    }

    fn role(&mut self, piece: &RawValue, key: &str) -> Role {
        let mut role = Role::default();
        let known = ["description", "permissions", "repositories", "artifacts"];
        let Some([description, permissions, repositories, artifacts]) = self.fields(piece, key, known) else {
            return role;
        };
        let description = description.and_then(|description| self.text(description, &format!("{key}.description")));
        role.description = description.unwrap_or_default();
        let of_permissions = format!("{key}.permissions");
        for permission in self.list(permissions, &of_permissions, "permissions") {
            let Some(text) = self.text(permission, &of_permissions) else { continue };
            match text.parse() {
                Ok(permission) => {
                    role.permissions.insert(permission);
                }
                Err(_) => self.report(permission, &of_permissions, format!("there is no permission {text:?}")),
            }
        }
        let of_repositories = format!("{key}.repositories");
        let listed = self.list(repositories, &of_repositories, "repository patterns");
        let is_empty = listed.is_empty();
        role.repositories = listed.into_iter().filter_map(|piece| self.pattern(piece, &of_repositories)).collect();
        let of_artifacts = format!("{key}.artifacts");
        let listed = self.list(artifacts, &of_artifacts, "patterns of artifact repositories");
        role.artifacts = listed.into_iter().filter_map(|piece| self.pattern(piece, &of_artifacts)).collect();
        if is_empty && Action::ALL.into_iter().any(|action| role.grants(Permission::on_images(action))) {
            let message = "grants permissions on images but lists no repositories, so it has no effect".to_owned();
            self.warnings.push(RulesProblem { line: self.lines.line(piece), key: key.to_owned(), message });
        }
        role
    }

    fn pattern(&mut self, piece: &RawValue, key: &str) -> Option<Pattern> {
        let text = self.text(piece, key)?;
        text.parse().map_err(|why| self.report(piece, key, format!("{text:?}: {why}"))).ok()
    }

    /// A list of user names.
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
            self.report(piece, key, format!("{name:?} cannot be a user's name"));
            return None;
        }
        policy.mentioned.entry(name.clone()).or_insert_with(|| self.lines.line(piece));
        Some(name)
    }

    /// The values of an object's keys. Unknown and repeated keys are reported.
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
                None => self.report(value, &full, format!("unknown key; known keys: {}", known.join(", "))),
                Some(Some(_)) => self.report(value, &full, "this key is given twice"),
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
                self.report(value, &path(key, name), "this key is given twice");
            }
        }
        entries
    }

    /// The items of a list of `what`; none if it is absent.
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
                self.report(piece, key, "holds an escape sequence that is no text")
            }
            None => self.wrong_kind(piece, key, "a string"),
            Some(_) => {}
        }
        text
    }

    fn wrong_kind(&mut self, piece: &RawValue, key: &str, wanted: &str) {
        self.report(piece, key, format!("must be {wanted}, not {}", json::kind(piece)));
    }

    fn report(&mut self, piece: &RawValue, key: &str, message: impl Into<String>) {
        let line = self.lines.line(piece);
        self.problems.push(RulesProblem { line, key: key.to_owned(), message: message.into() });
    }
}

/// A key below another one.
fn path(above: &str, key: &str) -> String {
    let key = key.escape_debug();
    if above.is_empty() { key.to_string() } else { format!("{above}.{key}") }
}
