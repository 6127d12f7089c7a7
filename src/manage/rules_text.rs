//! Edits the text of `access-control.json`: what an edit does not concern keeps its order, spacing and line breaks.
//!
//! The strict parser has accepted the text before, so that it has no comments and no key twice.

use super::refusal::EditRefusal;
use api::{groups::GroupInfo, roles::RoleInfo, rules::RuleBody};
use jsonc_parser::{
    ParseOptions,
    cst::{CstArray, CstInputValue, CstNode, CstObject, CstObjectProp, CstRootNode},
};

/// The parsed text.
pub(super) struct RulesText {
    tree: CstRootNode,
    root: CstObject,
}

impl RulesText {
    /// Parses a text that the strict parser has accepted.
    pub(super) fn parse(text: &str) -> Result<Self, EditRefusal> {
        let options = ParseOptions {
            allow_comments: false,
            allow_loose_object_property_names: false,
            allow_trailing_commas: false,
            ..ParseOptions::default()
        };
        let tree = CstRootNode::parse(text, &options).map_err(|error| EditRefusal::invalid("", error.to_string()))?;
        let root = tree.object_value().ok_or_else(|| EditRefusal::invalid("", "is not an object"))?;
        Ok(Self { tree, root })
    }

    /// The text after the edits.
    pub(super) fn text(&self) -> String {
        self.tree.to_string()
    }

    /// Puts a group: one that exists changes only where it differs.
    pub(super) fn put_group(&self, group: &GroupInfo) {
        let object = self.entry("groups", &group.name);
        set_text(&object, "description", &group.description);
        set_list(&object, "members", &group.members);
        set_list(&object, "roles", &group.roles);
    }

    /// Adds a user to the members of a group, or removes them.
    pub(super) fn set_member(&self, group: &str, user: &str, is_member: bool) {
        let Some(object) = self.root.object_value("groups").and_then(|groups| groups.object_value(group)) else {
            return;
        };
        let members = object.array_value("members");
        let found = members.as_ref().and_then(|members| find(members, user));
        match (is_member, found) {
            (true, None) => drop(list(&object, "members").append(user.into())),
            (false, Some(member)) => remove(&list(&object, "members"), member),
            _ => {}
        }
    }

    /// Puts a role: one that exists changes only where it differs.
    pub(super) fn put_role(&self, role: &RoleInfo) {
        let object = self.entry("roles", &role.name);
        set_text(&object, "description", &role.description);
        set_list(&object, "permissions", &role.permissions);
        if !role.repositories.is_empty() || object.get("repositories").is_some() {
            set_list(&object, "repositories", &role.repositories);
        }
        if !role.artifacts.is_empty() || object.get("artifacts").is_some() {
            set_list(&object, "artifacts", &role.artifacts);
        }
    }

    /// Removes a group or a role.
    pub(super) fn remove_entry(&self, section: &str, name: &str) {
        if let Some(entry) = self.root.object_value(section).and_then(|section| section.get(name)) {
            entry.remove();
        }
    }

    /// Inserts a rule before the one at this place.
    pub(super) fn insert_rule(&self, at: usize, rule: &RuleBody) {
        let strings = |texts: &[String]| CstInputValue::Array(texts.iter().map(|text| text.as_str().into()).collect());
        let mut fields = vec![
            ("repository".to_owned(), rule.repository.as_str().into()),
            ("users".to_owned(), strings(&rule.users)),
            ("permissions".to_owned(), strings(&rule.permissions)),
        ];
        if let Some(user) = &rule.made_for {
            fields.push(("for".to_owned(), user.as_str().into()));
        }
        list(&self.root, "rules").insert(at, CstInputValue::Object(fields));
    }

    /// Changes a rule where it differs.
    pub(super) fn set_rule(&self, at: usize, rule: &RuleBody) {
        let Some(object) = self.rules().get(at).and_then(CstNode::as_object) else { return };
        set_text(&object, "repository", &rule.repository);
        set_list(&object, "users", &rule.users);
        set_list(&object, "permissions", &rule.permissions);
        set_text(&object, "for", rule.made_for.as_deref().unwrap_or_default());
    }

    /// Removes a rule.
    pub(super) fn remove_rule(&self, at: usize) {
        if let Some(rule) = self.rules().get(at) {
            rule.clone().remove();
        }
    }

    /// Removes an entry from `users` of all rules. A rule that was about nobody else is removed.
    pub(super) fn remove_from_rules(&self, user: &str) {
        for rule in self.rules() {
            let users = rule.as_object().and_then(|rule| rule.array_value("users"));
            let Some((users, entry)) = users.and_then(|users| find(&users, user).map(|entry| (users, entry))) else {
                continue;
            };
            match users.elements().len() {
                1 => rule.remove(),
                _ => remove(&users, entry),
            }
        }
    }

    /// Forgets for whom a rule was made, if for this user.
    pub(super) fn remove_made_for(&self, user: &str) {
        for made_for in self.rules().iter().filter_map(|rule| rule.as_object()?.get("for")) {
            if made_for.value().is_some_and(|value| is_text(&value, user)) {
                made_for.remove();
            }
        }
    }

    /// Removes a user from `adminUsers`.
    pub(super) fn remove_admin(&self, user: &str) {
        if let Some(admins) = self.root.array_value("adminUsers")
            && let Some(entry) = find(&admins, user)
        {
            remove(&admins, entry);
        }
    }

    fn rules(&self) -> Vec<CstNode> {
        self.root.array_value("rules").map(|rules| rules.elements()).unwrap_or_default()
    }

    /// The object with this name in a section; both are made if they do not exist.
    fn entry(&self, section: &str, name: &str) -> CstObject {
        let section = self.root.object_value_or_set(section);
        match section.object_value(name) {
            Some(object) => object,
            None => section.append(name, CstInputValue::Object(Vec::new())).object_value_or_set(),
        }
    }
}

/// The list at a key, made if it does not exist.
fn list(object: &CstObject, key: &str) -> CstArray {
    object.array_value_or_set(key)
}

/// The element of a list of strings that is this text.
fn find(list: &CstArray, text: &str) -> Option<CstNode> {
    list.elements().into_iter().find(|element| is_text(element, text))
}

fn is_text(element: &CstNode, text: &str) -> bool {
    element.as_string_lit().and_then(|literal| literal.decoded_value().ok()).is_some_and(|found| found == text)
}

/// Removes an element. The one after it takes its place: no space is left behind the bracket.
fn remove(list: &CstArray, element: CstNode) {
    let space = || list.children().into_iter().nth(1).and_then(|child| child.as_whitespace());
    let had_space = space().is_some();
    element.remove();
    if let Some(space) = space().filter(|_| !had_space) {
        space.remove();
    }
}

/// Makes a list hold these texts. Those that it holds already stay where they are; others are appended.
fn set_list(object: &CstObject, key: &str, wanted: &[String]) {
    let list = list(object, key);
    for element in list.elements() {
        if !wanted.iter().any(|text| is_text(&element, text)) {
            remove(&list, element);
        }
    }
    for text in wanted {
        if find(&list, text).is_none() {
            list.append(text.as_str().into());
        }
    }
}

/// Sets a text; an empty one is removed.
fn set_text(object: &CstObject, key: &str, text: &str) {
    let is_same = |property: &CstObjectProp| property.value().is_some_and(|value| is_text(&value, text));
    match (object.get(key), text) {
        (None, "") => {}
        (None, text) => drop(object.append(key, text.into())),
        (Some(property), "") => property.remove(),
        (Some(property), _) if is_same(&property) => {}
        (Some(property), text) => property.set_value(text.into()),
    }
}

#[cfg(test)]
mod tests;
