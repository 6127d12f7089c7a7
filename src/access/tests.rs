mod facts;
mod file;

use super::*;
use crate::who::{Action, Subject};
use oci::RepositoryName;
use serde_json::json;

fn user(name: &str) -> Subject {
    match name {
        "-" => Subject::Anonymous,
        name => Subject::User(name.into()),
    }
}

fn rules(text: &str, authenticated: bool) -> Rights {
    Rights::Rules { policy: Policy::parse(text).unwrap().0, authenticated }
}

fn decide(rights: &Rights, who: &str, action: &str, repository: &str) -> Verdict {
    rights.decide(
        &user(who),
        &Ceiling::None,
        &repository.parse().unwrap(),
        action.parse().unwrap(),
        &RepositoryFacts::default(),
    )
}

/// The actions that are allowed in a repository without recorded facts.
fn allowed_of(rights: &RightsOf<'_>, name: &RepositoryName, actions: &[Action]) -> Vec<Action> {
    let decided = rights.decide(name, actions).into_iter();
    let allowed = decided.filter(|(_, decision)| decision.clone().with(&RepositoryFacts::default()).allowed);
    allowed.map(|(action, _)| action).collect()
}

/// Asserts verdicts. A row is the user, action, repository, whether it is allowed, and the step that decided.
#[track_caller]
fn table(rights: &Rights, rows: &[(&str, &str, &str, bool, DecisionStep)]) {
    for (who, action, repository, allowed, step) in rows {
        let verdict = decide(rights, who, action, repository);
        assert_eq!((verdict.allowed, verdict.step), (*allowed, *step), "{who} {action} {repository}: {verdict:?}");
        for repositories in [1, 100] {
            let (user, name) = (user(who), repository.parse().unwrap());
            let found = allowed_of(&rights.of(&user, &Ceiling::None, repositories), &name, &[action.parse().unwrap()]);
            assert_eq!(found.len(), usize::from(*allowed), "{who} {action} {repository}, of {repositories}");
        }
    }
}

/// A caller's few rules are searched one by one, many rules together.
#[test]
fn decisions_for_many_repositories_equal_those_for_each() {
    for every in [1, 2, 100] {
        let rule = |i: usize| {
            let who = if i.is_multiple_of(every) { "alice" } else { "bob" };
            let permission = ["pull", "push", "delete"][i % 3];
            let pattern = ["a/**", "*/b", "${user}/**", "**/c", "b/*"][i % 5];
            json!({"repository": format!("{pattern}"), "users": [who], "permissions": [permission]})
        };
        let named =
            (0..300).map(|i| json!({"repository": format!("x{i}/*"), "users": ["alice"], "permissions": ["pull"]}));
        let rules: Vec<_> = named.take(if every == 2 { 100 } else { 0 }).chain((0..300).map(rule)).collect();
        let rights = self::rules(&json!({"defaultPolicy": "deny", "rules": rules}).to_string(), true);
        let all = [Action::Pull, Action::Push, Action::Delete];
        for who in ["alice", "bob", "carol", "-"] {
            let user = user(who);
            let many = rights.of(&user, &Ceiling::None, 100);
            for name in ["a/x", "b/b", "alice/z", "x/y/c", "b/q", "nowhere", "x7/y", "x299/y"] {
                let name: RepositoryName = name.parse().unwrap();
                let one = |action: &Action| {
                    rights.decide(&user, &Ceiling::None, &name, *action, &RepositoryFacts::default()).allowed
                };
                let one: Vec<_> = all.iter().copied().filter(one).collect();
                assert_eq!(allowed_of(&many, &name, &all), one, "{who} {name:?}, every {every}");
            }
        }
    }
}

const GUIDE: &str = r#"{
  "defaultPolicy": "deny",
  "adminUsers": ["admin"],
  "rules": [
    {"repository": "public/**", "users": ["*"], "permissions": ["pull"]},
    {"repository": "team-a/*", "users": ["alice", "bob"], "permissions": ["pull", "push"]},
    {"repository": "production/**", "users": ["deployer"], "permissions": ["pull", "push", "delete"]}
  ]
}"#;

#[test]
fn the_examples_of_the_guide_decide_as_documented() {
    table(
        &rules(GUIDE, true),
        &[
            ("admin", "delete", "anything/at/all", true, DecisionStep::Admin),
            ("carol", "pull", "public/a/b", true, DecisionStep::Rule),
            ("carol", "push", "public/a", false, DecisionStep::Rule),
            ("-", "pull", "public/a", false, DecisionStep::Default),
            ("alice", "push", "team-a/app", true, DecisionStep::Rule),
            ("alice", "delete", "team-a/app", false, DecisionStep::Rule),
            ("alice", "push", "team-a/deep/app", false, DecisionStep::Default),
            ("carol", "pull", "team-a/app", false, DecisionStep::Default),
            ("deployer", "delete", "production/x/y", true, DecisionStep::Rule),
            ("deployer", "pull", "production", false, DecisionStep::Default),
            ("Admin", "pull", "team-a/app", false, DecisionStep::Default),
        ],
    );
}

#[test]
fn the_first_rule_about_caller_and_repository_is_final() {
    let text = r#"{"defaultPolicy": "allow", "rules": [
        {"repository": "a/**", "users": ["bob"], "permissions": []},
        {"repository": "a/x", "users": ["bob", "alice"], "permissions": ["pull"]}]}"#;
    table(
        &rules(text, true),
        &[
            ("bob", "pull", "a/x", false, DecisionStep::Rule),
            ("alice", "pull", "a/x", true, DecisionStep::Rule),
            ("alice", "push", "a/x", false, DecisionStep::Rule),
            ("bob", "push", "b", true, DecisionStep::Default),
            ("-", "pull", "b", false, DecisionStep::Default),
        ],
    );
    table(&rules(text, false), &[("-", "pull", "b", true, DecisionStep::Default)]);
}

#[test]
fn groups_roles_anonymous_and_user_patterns_are_applied() {
    let text = r#"{"defaultPolicy": "deny",
      "groups": {
        "devs": {"description": "who develop", "members": ["alice", "bob"], "roles": ["reader"]},
        "ops": {"members": ["olga"], "roles": ["root"]}},
      "roles": {
        "reader": {"permissions": ["PULL:IMAGE", "VIEW:TAG"], "repositories": ["lib/**"]},
        "root": {"permissions": ["ADMIN:SYSTEM"]}},
      "rules": [
        {"repository": "open/**", "users": ["anonymous", "*"], "permissions": ["pull"]},
        {"repository": "home/${user}/**", "users": ["*"], "permissions": ["pull", "push", "delete"]},
        {"repository": "devs/**", "users": ["@devs"], "permissions": ["pull", "push"]}]}"#;
    table(
        &rules(text, true),
        &[
            ("-", "pull", "open/x", true, DecisionStep::Rule),
            ("-", "push", "open/x", false, DecisionStep::Rule),
            ("-", "pull", "lib/x", false, DecisionStep::Default),
            ("alice", "push", "devs/x", true, DecisionStep::Rule),
            ("carol", "push", "devs/x", false, DecisionStep::Default),
            ("alice", "pull", "lib/x", true, DecisionStep::Role),
            ("alice", "push", "lib/x", false, DecisionStep::Default),
            ("carol", "pull", "lib/x", false, DecisionStep::Default),
            ("carol", "delete", "home/carol/x", true, DecisionStep::Rule),
            ("carol", "pull", "home/alice/x", false, DecisionStep::Default),
            ("olga", "delete", "anything", true, DecisionStep::Admin),
        ],
    );
}

#[test]
fn a_ceiling_only_removes_permissions() {
    let rights = rules(GUIDE, true);
    let repository = "team-a/app".parse().unwrap();
    let scopes =
        Ceiling::Scopes(vec![Scope::Repository("team-a/app".parse().unwrap(), vec![Action::Pull, Action::Delete])]);
    let decide =
        |who: &str, action| rights.decide(&user(who), &scopes, &repository, action, &RepositoryFacts::default());
    assert!(decide("alice", Action::Pull).allowed);
    assert_eq!(decide("alice", Action::Push).step, DecisionStep::Ceiling);
    assert!(!decide("alice", Action::Delete).allowed, "the rules do not list it");
    assert!(!decide("carol", Action::Pull).allowed);
    let elsewhere = "team-b/app".parse().unwrap();
    assert_eq!(
        rights.decide(&user("admin"), &scopes, &elsewhere, Action::Pull, &RepositoryFacts::default()).step,
        DecisionStep::Ceiling
    );
}

#[test]
fn permissions_outside_repositories_come_from_roles() {
    let text = r#"{"adminUsers": ["admin"], "defaultPolicy": "allow",
      "groups": {"ops": {"members": ["olga"], "roles": ["watcher"]}, "root": {"members": ["rita"], "roles": ["all"]}},
      "roles": {"watcher": {"permissions": ["VIEW:SYSTEM", "CREATE:USER"]}, "all": {"permissions": ["ADMIN:SYSTEM"]}},
      "rules": [{"repository": "**", "users": ["*"], "permissions": ["pull", "push", "delete"]}]}"#;
    let rights = rules(text, true);
    let may = |rights: &Rights, who: &str, ceiling: Ceiling, permission: &str| {
        let verdict = rights.may(&user(who), &ceiling, permission.parse().unwrap());
        (verdict.allowed, verdict.step)
    };
    for (who, permission, expected) in [
        ("admin", "DELETE:USER", (true, DecisionStep::Admin)),
        ("rita", "DELETE:USER", (true, DecisionStep::Admin)),
        ("olga", "CREATE:USER", (true, DecisionStep::Role)),
        ("olga", "DELETE:USER", (false, DecisionStep::Role)),
        ("carol", "VIEW:SYSTEM", (false, DecisionStep::Role)),
        ("-", "VIEW:SYSTEM", (false, DecisionStep::Role)),
    ] {
        assert_eq!(may(&rights, who, Ceiling::None, permission), expected, "{who} {permission}");
    }
    let catalog = Ceiling::Scopes(vec![Scope::Catalog]);
    assert_eq!(may(&rights, "admin", catalog, "VIEW:SYSTEM"), (false, DecisionStep::Ceiling));
    for rights in [Rights::Open, Rights::Users, Rights::Tokens] {
        assert_eq!(may(&rights, "admin", Ceiling::None, "VIEW:SYSTEM"), (false, DecisionStep::Default));
    }
}

#[test]
fn without_rules_authentication_decides() {
    table(&Rights::Open, &[("-", "delete", "a", true, DecisionStep::Default)]);
    table(
        &Rights::Users,
        &[("-", "pull", "a", false, DecisionStep::Default), ("x", "delete", "a", true, DecisionStep::Default)],
    );
    let nothing = Ceiling::Scopes(Vec::new());
    let verdict =
        Rights::Tokens.decide(&user("x"), &nothing, &"a".parse().unwrap(), Action::Pull, &RepositoryFacts::default());
    assert_eq!((verdict.allowed, verdict.step), (false, DecisionStep::Ceiling));
}

#[test]
fn an_explanation_ends_with_the_step_that_decided() {
    let rights = rules(GUIDE, true);
    let reported = rights.explain(
        &user("alice"),
        &Ceiling::None,
        &"team-a/app".parse().unwrap(),
        Action::Push,
        &RepositoryFacts::default(),
    );
    let (step, spoken, reason) = reported.last().unwrap();
    assert_eq!((*step, *spoken), (DecisionStep::Rule, Some(true)));
    assert_eq!(
        reason.to_string(),
        "rule 2 (line 6: \"team-a/*\" for \"alice\") is the first that matches; it lists push"
    );
    assert!(reported[..reported.len() - 1].iter().all(|(_, spoken, _)| spoken.is_none()));
}

#[test]
fn subtrees_nobody_may_pull_from_are_pruned() {
    let rights = rules(GUIDE, true);
    let reaches = |who: &str, prefix: &str| rights.reaches(&user(who), &Ceiling::None, &prefix.parse().unwrap());
    assert!(reaches("alice", "team-a") && reaches("alice", "public") && !reaches("alice", "production"));
    assert!(reaches("admin", "production") && !reaches("-", "public"));
}

#[test]
fn of_many_rules_the_first_about_caller_and_repository_decides() {
    let mut rules: Vec<_> = (0..2000)
        .map(|i| format!(r#"{{"repository": "team-{i}/*", "users": ["alice"], "permissions": ["pull"]}}"#))
        .collect();
    rules[300] = r#"{"repository": "team-9/**", "users": ["bob"], "permissions": ["push"]}"#.to_owned();
    rules[900] = r#"{"repository": "home/${user}/**", "users": ["*"], "permissions": ["push"]}"#.to_owned();
    rules[1900] = r#"{"repository": "**", "users": ["bob"], "permissions": ["pull"]}"#.to_owned();
    let rights = self::rules(&format!("{{\"rules\": [{}]}}", rules.join(",")), true);
    table(
        &rights,
        &[
            ("alice", "pull", "team-9/app", true, DecisionStep::Rule),
            ("bob", "pull", "team-9/app", false, DecisionStep::Rule),
            ("bob", "push", "team-9/app", true, DecisionStep::Rule),
            ("bob", "push", "home/bob/app", true, DecisionStep::Rule),
            ("bob", "pull", "home/alice/app", true, DecisionStep::Rule),
            ("alice", "pull", "home/bob/app", false, DecisionStep::Default),
            ("alice", "pull", "team-1999/app", true, DecisionStep::Rule),
            ("alice", "pull", "team-1900/app", false, DecisionStep::Default),
        ],
    );
    let reaches = |who: &str, prefix: &str| rights.reaches(&user(who), &Ceiling::None, &prefix.parse().unwrap());
    assert!(reaches("alice", "team-1999") && !reaches("alice", "team-1999/app") && !reaches("alice", "team-2000"));
    assert!(reaches("bob", "team-2000/x/y") && !reaches("carol", "team-9"));
}
