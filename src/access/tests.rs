use super::*;
use crate::who::Subject;

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
    rights.decide(&user(who), &Ceiling::None, &repository.parse().unwrap(), action.parse().unwrap(), Facts)
}

/// Asserts verdicts: who, what, where, allowed, decided by.
#[track_caller]
fn table(rights: &Rights, rows: &[(&str, &str, &str, bool, Step)]) {
    for (who, action, repository, allowed, step) in rows {
        let verdict = decide(rights, who, action, repository);
        assert_eq!((verdict.allowed, verdict.step), (*allowed, *step), "{who} {action} {repository}: {verdict:?}");
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
fn the_guides_examples_mean_what_it_says() {
    table(
        &rules(GUIDE, true),
        &[
            ("admin", "delete", "anything/at/all", true, Step::Admin),
            ("carol", "pull", "public/a/b", true, Step::Rule),
            ("carol", "push", "public/a", false, Step::Rule),
            ("-", "pull", "public/a", false, Step::Default),
            ("alice", "push", "team-a/app", true, Step::Rule),
            ("alice", "delete", "team-a/app", false, Step::Rule),
            ("alice", "push", "team-a/deep/app", false, Step::Default),
            ("carol", "pull", "team-a/app", false, Step::Default),
            ("deployer", "delete", "production/x/y", true, Step::Rule),
            ("deployer", "pull", "production", false, Step::Default),
            ("Admin", "pull", "team-a/app", false, Step::Default),
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
            ("bob", "pull", "a/x", false, Step::Rule),
            ("alice", "pull", "a/x", true, Step::Rule),
            ("alice", "push", "a/x", false, Step::Rule),
            ("bob", "push", "b", true, Step::Default),
            ("-", "pull", "b", false, Step::Default),
        ],
    );
    table(&rules(text, false), &[("-", "pull", "b", true, Step::Default)]);
}

#[test]
fn groups_roles_anonymous_and_the_callers_own_corner() {
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
            ("-", "pull", "open/x", true, Step::Rule),
            ("-", "push", "open/x", false, Step::Rule),
            ("-", "pull", "lib/x", false, Step::Default),
            ("alice", "push", "devs/x", true, Step::Rule),
            ("carol", "push", "devs/x", false, Step::Default),
            ("alice", "pull", "lib/x", true, Step::Role),
            ("alice", "push", "lib/x", false, Step::Default),
            ("carol", "pull", "lib/x", false, Step::Default),
            ("carol", "delete", "home/carol/x", true, Step::Rule),
            ("carol", "pull", "home/alice/x", false, Step::Default),
            ("olga", "delete", "anything", true, Step::Admin),
        ],
    );
}

#[test]
fn a_ceiling_takes_away_and_never_gives() {
    let rights = rules(GUIDE, true);
    let repository = "team-a/app".parse().unwrap();
    let scopes =
        Ceiling::Scopes(vec![Scope::Repository("team-a/app".parse().unwrap(), vec![Action::Pull, Action::Delete])]);
    let decide = |who: &str, action| rights.decide(&user(who), &scopes, &repository, action, Facts);
    assert!(decide("alice", Action::Pull).allowed);
    assert_eq!(decide("alice", Action::Push).step, Step::Ceiling);
    assert!(!decide("alice", Action::Delete).allowed, "the rules do not list it");
    assert!(!decide("carol", Action::Pull).allowed);
    let elsewhere = "team-b/app".parse().unwrap();
    assert_eq!(rights.decide(&user("admin"), &scopes, &elsewhere, Action::Pull, Facts).step, Step::Ceiling);
}

#[test]
fn without_rules_authentication_decides() {
    table(&Rights::Open, &[("-", "delete", "a", true, Step::Default)]);
    table(&Rights::Users, &[("-", "pull", "a", false, Step::Default), ("x", "delete", "a", true, Step::Default)]);
    let nothing = Ceiling::Scopes(Vec::new());
    let verdict = Rights::Tokens.decide(&user("x"), &nothing, &"a".parse().unwrap(), Action::Pull, Facts);
    assert_eq!((verdict.allowed, verdict.step), (false, Step::Ceiling));
}

#[test]
fn every_problem_is_told_with_its_line_and_key() {
    let text = r#"{
  "defaultPolicy": "maybe",
  "adminUsers": ["*"],
  "groups": {"g": {"members": ["@x"], "roles": ["none"]}},
  "roles": {"r": {"permissions": ["FLY:IMAGE"], "repositories": ["a?"]}},
  "rules": [
    {"repository": "a**", "users": ["x"], "permissions": ["pull"]},
    {"repository": "a", "users": ["@nobody", ""], "permissions": ["admin"]},
    {"repository": "a",
     "user": ["x"], "permissions": []},
    {"repository": "a", "permissions": []}
  ]
}"#;
    let problems = Policy::parse(text).unwrap_err();
    let told: Vec<_> = problems.iter().map(|p| format!("{}: {}: {}", p.line, p.key, p.message)).collect();
    for expected in [
        "2: defaultPolicy: must be",
        "3: adminUsers: \"*\" cannot be",
        "4: groups.g.roles: there is no role \"none\"",
        "4: groups.g.members: \"@x\" cannot be",
        "5: roles.r.permissions: there is no permission \"FLY:IMAGE\"",
        "5: roles.r.repositories: \"a?\"",
        "7: rules[0].repository: \"a**\"",
        "8: rules[1].users: there is no group \"nobody\"",
        "8: rules[1].users: \"\" cannot be",
        "8: rules[1].permissions: \"admin\"",
        "9: rules[2].users: is missing",
        "10: rules[2].user: unknown key; known keys: repository, users, permissions",
        "11: rules[3].users: is missing",
    ] {
        assert!(told.iter().any(|line| line.starts_with(expected)), "{expected} in {told:#?}");
    }
    assert_eq!(told.len(), 13, "{told:#?}");
}

#[test]
fn a_problem_names_the_line_of_the_entry_it_is_in() {
    let text = r#"{
  "rules": [
    {
      "repository": "a",
      "users": [
        "alice",
        "@nobody",
        7
      ],
      "permissions": [
        "pull",
        "fly"
      ]
    }
  ],
  "adminUsers": [
    "admin",
    ""
  ],
  "comment": "an unknown key does not hide what follows",
  "groups": {
    "g": {
      "members": "bob"
    }
  },
  "roles": [
  ]
}"#;
    let problems = Policy::parse(text).unwrap_err();
    let told: Vec<_> = problems.iter().map(|p| format!("{}: {}: {}", p.line, p.key, p.message)).collect();
    assert_eq!(
        told,
        [
            "20: comment: unknown key; known keys: defaultPolicy, adminUsers, rules, groups, roles",
            "18: adminUsers: \"\" cannot be a user's name",
            "26: roles: must be an object, not a list",
            "23: groups.g.members: must be a list of user names, not a string",
            "7: rules[0].users: there is no group \"nobody\"",
            "8: rules[0].users: must be a string, not a number",
            "12: rules[0].permissions: \"fly\": a permission is pull, push or delete",
        ]
    );
}

#[test]
fn what_is_not_json_is_said_in_plain_words() {
    for (text, expected) in [
        ("{\n\"rules\": [\n", "3: the file ends in the middle: a bracket or a quotation mark is not closed"),
        (
            "{\n\"rules\": [],\n}",
            "3: is not valid JSON: a key is expected here; keys stand in quotation marks, and no comma stands before a closing bracket",
        ),
        ("{\n\"rules\": [1\n2]}", "3: is not valid JSON: expected `,` or `]`"),
        (
            "{\n rules: []}",
            "2: is not valid JSON: a key is expected here; keys stand in quotation marks, and no comma stands before a closing bracket",
        ),
        (
            "{\"rules\":\n # none\n}",
            "2: is not valid JSON: a value is expected here; strings stand in quotation marks, and no comma stands before a closing bracket",
        ),
        ("{\"defaultPolicy\": \"all\now\"}", "1: is not valid JSON: a string ends on the line on which it begins"),
        ("{}\n{}", "2: is not valid JSON: there is more text after the end"),
        ("[\"allow\", [\"alice\"]]", "1: must be an object, not a list"),
        ("{\"rules\": [[\"**\", [\"*\"], [\"pull\"]]]}", "1: must be an object, not a list"),
        ("{\"defaultPolicy\": null}", "1: must be \"allow\" or \"deny\""),
        ("{\"adminUsers\": [\"\\ud800\"]}", "1: holds an escape sequence that is no text"),
    ] {
        let problems = Policy::parse(text).unwrap_err();
        let told: Vec<_> = problems.iter().map(|p| format!("{}: {}", p.line, p.message)).collect();
        assert_eq!(told, [expected], "{text}");
    }
}

#[test]
fn unknown_and_repeated_keys_are_refused() {
    for (text, why) in [
        (r#"{"rule": []}"#, "unknown key"),
        (r#"{"rules": [], "rules": []}"#, "given twice"),
        (r#"{"groups": {"a": {}, "a": {}}}"#, "given twice"),
        (r#"{"rules": [{"repository": "a", "repository": "b", "users": [], "permissions": []}]}"#, "given twice"),
        ("", "ends in the middle"),
        ("{} {}", "more text after the end"),
    ] {
        let problems = Policy::parse(text).unwrap_err();
        assert!(problems[0].message.contains(why), "{text}: {problems:?}");
    }
}

#[test]
fn a_role_on_images_without_repositories_is_odd() {
    let text = r#"{"roles": {"r": {"permissions": ["PULL:IMAGE"]}}}"#;
    let (_, warnings) = Policy::parse(text).unwrap();
    assert_eq!((warnings.len(), warnings[0].key.as_str()), (1, "roles.r"));
}

#[test]
fn an_explanation_ends_with_the_step_that_decided() {
    let rights = rules(GUIDE, true);
    let told = rights.explain(&user("alice"), &Ceiling::None, &"team-a/app".parse().unwrap(), Action::Push, Facts);
    let (step, spoken, reason) = told.last().unwrap();
    assert_eq!((*step, *spoken), (Step::Rule, Some(true)));
    assert_eq!(
        reason.to_string(),
        "rule 2 (line 6: \"team-a/*\" for \"alice\") is the first that matches; it lists push"
    );
    assert!(told[..told.len() - 1].iter().all(|(_, spoken, _)| spoken.is_none()));
}

#[test]
fn subtrees_nobody_may_pull_from_are_pruned() {
    let rights = rules(GUIDE, true);
    let reaches = |who: &str, prefix: &str| rights.reaches(&user(who), &Ceiling::None, &prefix.parse().unwrap());
    assert!(reaches("alice", "team-a") && reaches("alice", "public") && !reaches("alice", "production"));
    assert!(reaches("admin", "production") && !reaches("-", "public"));
}

#[test]
fn the_example_that_is_shipped_means_what_it_says() {
    let (policy, warnings) = Policy::parse(include_str!("../../access-control.example.json")).unwrap();
    assert!(warnings.is_empty());
    table(
        &Rights::Rules { policy, authenticated: true },
        &[
            ("alice", "push", "team-a/app", true, Step::Rule),
            ("carol", "pull", "team-a/app", false, Step::Default),
            ("bob", "pull", "library/alpine", true, Step::Role),
            ("carol", "delete", "home/carol/x", true, Step::Rule),
            ("admin", "delete", "production/x", true, Step::Admin),
        ],
    );
}

/// By the shape of the growth, so that a slow machine does not matter: eight times the rules took
/// sixty-four times as long when each line was counted from the beginning of the file.
#[test]
fn reading_rules_takes_as_long_as_there_are_rules() {
    let file = |rules: usize| {
        let rule = |i| format!(r#"{{"repository": "team-{i}/app", "users": ["user-{i}"], "permissions": ["pull"]}}"#);
        let rules: Vec<_> = (0..rules).map(rule).collect();
        format!("{{\"rules\": [\n{}\n]}}", rules.join(",\n"))
    };
    let time = |text: &str| {
        let begun = std::time::Instant::now();
        assert_eq!(Policy::parse(text).unwrap().0.rules.last().map(|rule| rule.line), Some(text.lines().count() - 1));
        begun.elapsed()
    };
    let best = |text: &str| (0..3).map(|_| time(text)).min().unwrap();
    let (few, many) = (file(2000), file(16_000));
    let (few, many) = (best(&few), best(&many));
    assert!(many < few * 24, "2,000 rules: {few:?}, 16,000: {many:?}");
}

#[test]
fn patterns_that_are_the_same_are_not_compiled_again() {
    let (first, _) = Policy::parse(GUIDE).unwrap();
    let other_users = GUIDE.replace("deployer", "carol");
    let (second, _) = Policy::parse_after(&other_users, Some(&first)).unwrap();
    assert!(std::ptr::eq(first.patterns.as_slice(), second.patterns.as_slice()));
    let (third, _) = Policy::parse_after(&other_users.replace("team-a", "team-b"), Some(&second)).unwrap();
    let rights = Rights::Rules { policy: third, authenticated: true };
    table(
        &rights,
        &[
            ("alice", "push", "team-b/app", true, Step::Rule),
            ("alice", "push", "team-a/app", false, Step::Default),
            ("carol", "delete", "production/x", true, Step::Rule),
        ],
    );
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
            ("alice", "pull", "team-9/app", true, Step::Rule),
            ("bob", "pull", "team-9/app", false, Step::Rule),
            ("bob", "push", "team-9/app", true, Step::Rule),
            ("bob", "push", "home/bob/app", true, Step::Rule),
            ("bob", "pull", "home/alice/app", true, Step::Rule),
            ("alice", "pull", "home/bob/app", false, Step::Default),
            ("alice", "pull", "team-1999/app", true, Step::Rule),
            ("alice", "pull", "team-1900/app", false, Step::Default),
        ],
    );
    let reaches = |who: &str, prefix: &str| rights.reaches(&user(who), &Ceiling::None, &prefix.parse().unwrap());
    assert!(reaches("alice", "team-1999") && !reaches("alice", "team-1999/app") && !reaches("alice", "team-2000"));
    assert!(reaches("bob", "team-2000/x/y") && !reaches("carol", "team-9"));
}
