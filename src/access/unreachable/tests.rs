use super::*;
use crate::who::Subject;

/// The numbers (from 0) of the rules that are reported, and what covers them.
fn unreachable_rules(rules: &[(&str, &[&str])]) -> Vec<String> {
    let rules = rules.iter().map(
        |(repository, users)| serde_json::json!({ "repository": repository, "users": users, "permissions": ["pull"] }),
    );
    let groups = serde_json::json!({ "devs": { "members": ["alice", "bob"] } });
    let text = serde_json::json!({ "groups": groups, "rules": rules.collect::<Vec<_>>() }).to_string();
    let (_, warnings) = Policy::parse(&text).unwrap();
    warnings.into_iter().map(|warning| format!("{}: {}", warning.key, warning.message)).collect()
}

#[test]
fn a_rule_behind_a_broader_one_is_reported() {
    let warnings = unreachable_rules(&[("team/**", &["*"]), ("team/app", &["alice"])]);
    let expected = "rules[1]: can never match: rule 1 (line 1: \"team/**\") comes first and covers the same users and repositories";
    assert_eq!(warnings, [expected]);
    let warnings = unreachable_rules(&[("**", &["alice"]), ("**", &["bob"]), ("a", &["alice", "bob"])]);
    assert!(
        warnings.len() == 1 && warnings[0].contains("rule 1 ") && warnings[0].contains(" and rule 2 "),
        "{warnings:?}"
    );
    assert_eq!(unreachable_rules(&[("a", &[])]), ["rules[0]: lists no users, so it never matches"]);
    for (first, second) in [
        ("**", "**"),
        ("**", "a/**/b"),
        ("*", "${user}"),
        ("**", "${user}/**"),
        ("team-*/**", "team-a-*/app"),
        ("**/app", "org/app"),
        ("**/app", "app"),
        ("org/**", "org/**/app"),
        ("org/**/app", "org/app"),
        ("*a*", "bab"),
        ("${user}/*", "${user}/x"),
    ] {
        assert_eq!(unreachable_rules(&[(first, &["*"]), (second, &["*"])]).len(), 1, "{first} covers {second}");
    }
    for (first, second) in [(&["*"], &["@devs"]), (&["@devs"], &["bob"]), (&["anonymous"], &["anonymous"])] {
        assert_eq!(unreachable_rules(&[("**", first), ("a", second)]).len(), 1, "{first:?} covers {second:?}");
    }
}

#[test]
fn a_rule_that_may_still_match_is_not_reported() {
    for (first, second) in [
        ("org/*", "org/**"),
        ("org/**", "org"),
        ("a", "b"),
        ("*", "a/b"),
        ("*/**", "**"),
        ("**/app", "**/apps"),
        ("team-a-*", "team-*"),
        ("${user}/**", "alice/**"),
        ("a*", "${user}"),
        ("a/**/b", "a/**"),
        ("*-*", "*"),
    ] {
        assert_eq!(unreachable_rules(&[(first, &["*"]), (second, &["*"])]), [""; 0], "{first}, {second}");
    }
    for (first, second) in [
        (&["alice"][..], &["*"][..]),
        (&["*"], &["anonymous"]),
        (&["*"], &["alice", "anonymous"]),
        (&["@devs"], &["carol"]),
        (&["alice", "bob"], &["@devs"]),
    ] {
        assert_eq!(unreachable_rules(&[("**", first), ("a", second)]), [""; 0], "{first:?}, {second:?}");
    }
}

fn subject(name: &str) -> Subject {
    if name.is_empty() { Subject::Anonymous } else { Subject::User(name.into()) }
}

proptest::proptest! {
    /// Evaluating the rules one by one never reaches a rule that was reported.
    #[test]
    fn a_reported_rule_is_never_the_first_to_match(
        rules in proptest::collection::vec(("(\\*\\*|[ab*]{1,2})(/(\\*\\*|[ab*]{1,2})){0,2}", 0..4usize), 2..8),
        names in proptest::collection::vec("[ab]{1,2}(/[ab]{1,2}){0,3}", 20),
    ) {
        const USERS: [&[&str]; 4] = [&["*"], &["alice"], &["@devs"], &["anonymous", "bob"]];
        let rules: Vec<_> = rules.iter().map(|(pattern, users)| (pattern.as_str(), USERS[*users])).collect();
        proptest::prop_assume!(rules.iter().all(|(pattern, _)| pattern.parse::<Pattern>().is_ok()));
        let warnings = unreachable_rules(&rules);
        let list = rules.iter().map(|(repository, users)| {
            serde_json::json!({ "repository": repository, "users": users, "permissions": ["pull"] })
        });
        let groups = serde_json::json!({ "devs": { "members": ["alice", "bob"] } });
        let text = serde_json::json!({ "groups": groups, "rules": list.collect::<Vec<_>>() }).to_string();
        let (policy, _) = Policy::parse(&text).unwrap();
        for name in &names {
            for who in ["alice", "bob", "carol", ""] {
                let Some((rule, _)) = policy.rule(&subject(who), &name.parse().unwrap()) else { continue };
                let reported = format!("rules[{}]: ", rule.number - 1);
                proptest::prop_assert!(!warnings.iter().any(|line| line.starts_with(&reported)), "{who} {name}: {warnings:?}");
            }
        }
    }
}

#[test]
fn ten_thousand_rules_are_read_in_time() {
    let rules = (0..10_000).map(|n| {
        let repository = match n % 3 {
            0 => format!("org/team-{n}/**"),
            1 => format!("org/*-{n}-*/app"),
            _ => format!("org/**/app-{n}"),
        };
        serde_json::json!({ "repository": repository, "users": ["*"], "permissions": ["pull"] })
    });
    let text = serde_json::json!({ "rules": rules.collect::<Vec<_>>() }).to_string();
    let begun = std::time::Instant::now();
    Policy::parse(&text).unwrap();
    // Generous: tests run without optimization and beside others.
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
}
