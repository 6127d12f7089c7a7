use super::*;

#[test]
fn every_problem_is_reported_with_its_line_and_key() {
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
    let reported: Vec<_> = problems.iter().map(|p| format!("{}: {}: {}", p.line, p.key, p.message)).collect();
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
        assert!(reported.iter().any(|line| line.starts_with(expected)), "{expected} in {reported:#?}");
    }
    assert_eq!(reported.len(), 13, "{reported:#?}");
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
    let reported: Vec<_> = problems.iter().map(|p| format!("{}: {}: {}", p.line, p.key, p.message)).collect();
    assert_eq!(
        reported,
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
fn invalid_json_is_reported_in_plain_words() {
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
        let reported: Vec<_> = problems.iter().map(|p| format!("{}: {}", p.line, p.message)).collect();
        assert_eq!(reported, [expected], "{text}");
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
fn a_role_on_images_without_repositories_is_a_warning() {
    let text = r#"{"roles": {"r": {"permissions": ["PULL:IMAGE"]}}}"#;
    let (_, warnings) = Policy::parse(text).unwrap();
    assert_eq!((warnings.len(), warnings[0].key.as_str()), (1, "roles.r"));
}

#[test]
fn the_shipped_example_decides_as_it_says() {
    let (policy, warnings) = Policy::parse(include_str!("../../../access-control.example.json")).unwrap();
    assert!(warnings.is_empty());
    table(
        &Rights::Rules { policy, authenticated: true },
        &[
            ("alice", "push", "team-a/app", true, DecisionStep::Rule),
            ("carol", "pull", "team-a/app", false, DecisionStep::Default),
            ("bob", "pull", "library/alpine", true, DecisionStep::Role),
            ("carol", "delete", "home/carol/x", true, DecisionStep::Rule),
            ("admin", "delete", "production/x", true, DecisionStep::Admin),
        ],
    );
}

/// Compares growth, so that a slow machine does not matter: eight times the rules took sixty-four times as long when
/// each line was counted from the beginning of the file.
#[test]
fn reading_rules_takes_linear_time() {
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
fn equal_patterns_are_compiled_once() {
    let (first, _) = Policy::parse(GUIDE).unwrap();
    let other_users = GUIDE.replace("deployer", "carol");
    let (second, _) = Policy::parse_after(&other_users, Some(&first)).unwrap();
    assert!(std::ptr::eq(first.patterns.as_slice(), second.patterns.as_slice()));
    let (third, _) = Policy::parse_after(&other_users.replace("team-a", "team-b"), Some(&second)).unwrap();
    let rights = Rights::Rules { policy: third, authenticated: true };
    table(
        &rights,
        &[
            ("alice", "push", "team-b/app", true, DecisionStep::Rule),
            ("alice", "push", "team-a/app", false, DecisionStep::Default),
            ("carol", "delete", "production/x", true, DecisionStep::Rule),
        ],
    );
}
