//! The rules file, compared with a second evaluator that was written from the documentation, on plain JSON, without
//! regard to speed.

use super::{grammar, text};
use serde_json::Value;
use wharfinger::{
    access::{Ceiling, Policy, RepositoryFacts, Rights, Scope},
    who::{Action, Subject},
};

const NAMES: [&str; 8] = ["a", "a/b", "a/b/c", "team", "team/x", "home/alice", "home/bob/app", "open/app"];
const USERS: [&str; 5] = ["alice", "bob", "carol", "root", "@odd"];

/// `access-control.json`, or bytes from which one is generated.
pub fn rules(data: &[u8]) {
    let Some(text) = text(data) else { return generated(data) };
    match text.trim_start().starts_with('{') {
        true => compare(text),
        false => generated(data),
    }
}

/// Generates a policy from small vocabularies.
fn generated(data: &[u8]) {
    let mut bytes = data.iter().copied();
    let mut below = |end: usize| usize::from(bytes.next().unwrap_or(0)) % end;
    let patterns =
        ["**", "*", "a", "a/*", "a/**", "**/b", "**/b/**", "a/**/c", "home/${user}/**", "home/${user}", "te*", "*/x"];
    let users = ["alice", "bob", "*", "anonymous", "@one", "@two"];
    let sets = [&["pull"][..], &["pull", "push"], &["pull", "push", "delete"], &["delete"], &[]];
    let permissions = ["PULL:IMAGE", "PUSH:IMAGE", "DELETE:IMAGE", "ADMIN:SYSTEM", "VIEW:TAG"];
    let mut rules = Vec::new();
    for _ in 0..below(5) {
        let some: Vec<_> = (0..=below(2)).map(|_| users[below(users.len())]).collect();
        rules.push(serde_json::json!({
            "repository": patterns[below(patterns.len())], "users": some, "permissions": sets[below(sets.len())],
        }));
    }
    let mut role = || {
        let may: Vec<_> = (0..below(3)).map(|_| permissions[below(permissions.len())]).collect();
        let of: Vec<_> = (0..below(3)).map(|_| patterns[below(patterns.len())]).collect();
        serde_json::json!({ "permissions": may, "repositories": of })
    };
    let roles = serde_json::json!({ "r": role(), "s": role() });
    let mut group = || {
        let members: Vec<_> = (0..below(3)).map(|_| USERS[below(4)]).collect();
        let roles: Vec<_> = (0..below(3)).map(|_| ["r", "s"][below(2)]).collect();
        serde_json::json!({ "members": members, "roles": roles })
    };
    let groups = serde_json::json!({ "one": group(), "two": group() });
    let admins: Vec<_> = (0..below(2)).map(|_| USERS[below(4)]).collect();
    let default = ["allow", "deny"][below(2)];
    let policy = serde_json::json!({
        "defaultPolicy": default, "adminUsers": admins, "rules": rules, "groups": groups,
        "roles": roles,
    });
    let text = policy.to_string();
    assert!(Policy::parse(&text).is_ok(), "{text}");
    compare(&text);
}

/// Compares an accepted policy with the second evaluator.
fn compare(text: &str) {
    let policy = match Policy::parse(text) {
        Ok((policy, _)) => policy,
        Err(problems) => return assert!(!problems.is_empty() && problems.iter().all(|problem| problem.line > 0)),
    };
    let read: Value = serde_json::from_str(text).expect("accepted rules are JSON");
    for authenticated in [true, false] {
        let rights = Rights::Rules { policy: policy.clone(), authenticated };
        for user in USERS.iter().filter(|user| Subject::is_user_name(user)).map(|user| Some(*user)).chain([None]) {
            let subject = user.map_or(Subject::Anonymous, |user| Subject::User(user.into()));
            for name in NAMES {
                let repository = name.parse().unwrap();
                for (action, word) in [(Action::Pull, "pull"), (Action::Push, "push"), (Action::Delete, "delete")] {
                    let decided = rights
                        .decide(&subject, &Ceiling::None, &repository, action, &RepositoryFacts::default())
                        .allowed;
                    let expected = may(&read, authenticated, user, name, word);
                    assert_eq!(decided, expected, "{user:?} {word} {name} ({authenticated}) by {text}");
                    // A ceiling only removes permissions.
                    let above = Ceiling::Scopes(vec![Scope::Repository(repository.clone(), vec![])]);
                    assert!(!rights.decide(&subject, &above, &repository, action, &RepositoryFacts::default()).allowed);
                    let below = Ceiling::Scopes(vec![Scope::Repository(repository.clone(), vec![action])]);
                    assert_eq!(
                        rights.decide(&subject, &below, &repository, action, &RepositoryFacts::default()).allowed,
                        expected
                    );
                }
                // The walk of the catalog never skips a repository that may be pulled.
                if let Some((above, _)) =
                    name.rsplit_once('/').filter(|_| may(&read, authenticated, user, name, "pull"))
                {
                    assert!(
                        rights.reaches(&subject, &Ceiling::None, &above.parse().unwrap()),
                        "{user:?} {name} by {text}"
                    );
                }
            }
        }
    }
}

fn list<'v>(value: &'v Value, key: &str) -> Vec<&'v str> {
    value[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The six steps, in order.
fn may(policy: &Value, authenticated: bool, user: Option<&str>, name: &str, action: &str) -> bool {
    let groups_of = |user: &str| -> Vec<&Value> {
        let groups = policy["groups"].as_object().into_iter().flatten();
        groups.map(|(_, group)| group).filter(|group| list(group, "members").contains(&user)).collect()
    };
    let roles_of = |user: &str| -> Vec<&Value> {
        groups_of(user).into_iter().flat_map(|group| list(group, "roles")).map(|role| &policy["roles"][role]).collect()
    };
    if let Some(user) = user {
        let by_role = roles_of(user).iter().any(|role| list(role, "permissions").contains(&"ADMIN:SYSTEM"));
        if list(policy, "adminUsers").contains(&user) || by_role {
            return true;
        }
    }
    for rule in policy["rules"].as_array().into_iter().flatten() {
        let concerns = list(rule, "users").into_iter().any(|who| match (who, user) {
            ("anonymous", None) | ("*", Some(_)) => true,
            (who, Some(user)) => match who.strip_prefix('@') {
                Some(group) => list(&policy["groups"][group], "members").contains(&user),
                None => who == user,
            },
            _ => false,
        });
        if concerns && matches(rule["repository"].as_str().unwrap(), name, user) {
            return list(rule, "permissions").contains(&action);
        }
    }
    let permission = format!("{}:IMAGE", action.to_uppercase());
    let grants = |role: &&Value| {
        list(role, "permissions").contains(&permission.as_str())
            && list(role, "repositories").into_iter().any(|pattern| matches(pattern, name, user))
    };
    if user.is_some_and(|user| roles_of(user).iter().any(grants)) {
        return true;
    }
    policy["defaultPolicy"] == "allow" && (user.is_some() || !authenticated)
}

fn matches(pattern: &str, name: &str, user: Option<&str>) -> bool {
    let (parts, names): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), name.split('/').collect());
    segments(&parts, &names, user)
}

fn segments(parts: &[&str], names: &[&str], user: Option<&str>) -> bool {
    match parts {
        [] => names.is_empty(),
        ["**"] => !names.is_empty(),
        ["**", rest @ ..] => (0..=names.len()).any(|n| segments(rest, &names[n..], user)),
        [part, rest @ ..] => match names {
            [] => false,
            [name, names @ ..] => {
                let fits = match *part {
                    "${user}" => {
                        user.is_some_and(|user| user == *name && grammar::is_name(user) && !user.contains('/'))
                    }
                    part => one(part.as_bytes(), name.as_bytes()),
                };
                fits && segments(rest, names, user)
            }
        },
    }
}

fn one(glob: &[u8], text: &[u8]) -> bool {
    match (glob, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|n| one(rest, &text[n..])),
        ([g, rest @ ..], [t, texts @ ..]) => g == t && one(rest, texts),
        _ => false,
    }
}

/// A scope as a client asks for it.
pub fn scope(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let Some(scope) = Scope::parse(text) else { return };
    let shown = scope.to_string();
    assert_eq!(Scope::parse(&shown).as_ref(), Some(&scope), "{shown}");
    match &scope {
        Scope::Catalog => assert_eq!(shown, "registry:catalog:*"),
        Scope::Repository(name, actions) => {
            assert!(grammar::is_name(name.as_str()));
            assert!(text.starts_with("repository") && text.contains(&format!(":{name}:")), "{text}");
            assert!(actions.windows(2).all(|pair| pair[0] < pair[1]), "each once");
            let asked = text.rsplit(':').next().unwrap_or_default();
            assert!(
                actions.iter().all(|action| { asked.split(',').any(|word| word == "*" || word == action.to_string()) })
            );
        }
    }
}
