use super::*;
use proptest::prelude::*;

fn user(name: &str) -> Subject {
    Subject::User(name.into())
}

fn rights(text: &str) -> Rights {
    Rights::Rules { policy: Policy::parse(text).unwrap().0, authenticated: true }
}

/// Some groups with roles, and these rules.
fn with_rules(default: &str, rules: &str) -> Rights {
    rights(&format!(
        r#"{{"defaultPolicy": "{default}", "adminUsers": ["root"], "rules": [{rules}],
        "groups": {{
            "managers": {{"members": ["mia"], "roles": ["manage"]}},
            "devs": {{"members": ["dora"], "roles": ["dev"]}},
            "deep": {{"members": ["dean"], "roles": ["deep"]}},
            "heads": {{"members": ["head"], "roles": ["manage", "dev"]}},
            "ops": {{"members": ["ada"], "roles": ["administrator"]}}}},
        "roles": {{
            "manage": {{"permissions": ["UPDATE:USER", "VIEW:USER"]}},
            "dev": {{"permissions": ["PULL:IMAGE", "PUSH:IMAGE"], "repositories": ["team/**", "${{user}}/**"]}},
            "deep": {{"permissions": ["PULL:IMAGE"], "repositories": ["team/deep/*"]}}}}}}"#
    ))
}

fn is_within(rights: &Rights, caller: &str, target: &str) -> bool {
    Comparer::new(rights, &user(caller), &Ceiling::None).check(rights, &user(target), RightsCompared::All).is_ok()
}

#[test]
fn roles_are_compared_by_permission_and_pattern() {
    let rights = with_rules("deny", "");
    for (caller, target, within) in [
        ("root", "ada", true),
        ("ada", "root", true),
        ("mia", "root", false),
        ("mia", "ada", false),
        ("mia", "mia", true),
        ("mia", "nobody", true),
        ("mia", "dora", false),
        ("dora", "mia", false),
        ("dora", "dean", true),
        ("head", "dean", true),
        ("head", "mia", true),
    ] {
        assert_eq!(is_within(&rights, caller, target), within, "{caller} {target}");
    }
    let head = user("head");
    let refused = Comparer::new(&rights, &head, &Ceiling::None).check(&rights, &user("dora"), RightsCompared::All);
    assert_eq!(refused.unwrap_err(), "dora may pull dora/**", "each has a namespace of their own");
}

#[test]
fn rules_are_compared_in_their_order() {
    let mia = |rules: &str, default: &str| is_within(&with_rules(default, rules), "mia", "bob");
    let rule = |pattern: &str, users: &str, permissions: &str| {
        format!(r#"{{"repository": "{pattern}", "users": [{users}], "permissions": [{permissions}]}}"#)
    };
    let all = r#""pull", "push", "delete""#;
    for (within, default, rules) in [
        // The same rule is about both.
        (true, "deny", vec![rule("a/**", r#""*""#, all)]),
        (true, "deny", vec![rule("a/**", r#""bob", "mia""#, all)]),
        (false, "deny", vec![rule("a/**", r#""bob""#, all)]),
        // A namespace of one's own is not that of another.
        (false, "deny", vec![rule("${user}/**", r#""*""#, all)]),
        (true, "deny", vec![rule("**", r#""mia""#, all), rule("${user}/**", r#""*""#, all)]),
        // The caller's rule covers the target's, or only a part of it.
        (true, "deny", vec![rule("a/**", r#""mia""#, all), rule("a/b/*", r#""bob""#, r#""pull""#)]),
        (false, "deny", vec![rule("a/b/*", r#""mia""#, all), rule("a/**", r#""bob""#, r#""pull""#)]),
        (false, "deny", vec![rule("a/**", r#""mia""#, r#""pull""#), rule("a/b/*", r#""bob""#, r#""push""#)]),
        (true, "deny", vec![rule("b/**", r#""mia""#, ""), rule("a/*", r#""bob", "mia""#, all)]),
        // What takes something from the caller alone makes the target's rights larger.
        (false, "deny", vec![rule("a/secret", r#""mia""#, ""), rule("a/**", r#""*""#, all)]),
        (true, "deny", vec![rule("a/secret", r#""*""#, ""), rule("a/**", r#""*""#, all)]),
        (true, "deny", vec![rule("a/secret", r#""bob""#, ""), rule("a/**", r#""*""#, all)]),
        // The default is for both.
        (true, "allow", vec![]),
        (true, "allow", vec![rule("production/**", r#""*""#, r#""pull""#)]),
        (false, "allow", vec![rule("production/**", r#""mia""#, r#""pull""#)]),
        (true, "allow", vec![rule("production/**", r#""bob""#, r#""pull""#)]),
    ] {
        assert_eq!(mia(&rules.join(","), default), within, "{default} {rules:?}");
    }
}

#[test]
fn what_every_user_may_do_is_no_gain_for_who_makes_one() {
    let rules = r#"{"repository": "${user}/**", "users": ["*"], "permissions": ["pull", "push"]},
                   {"repository": "shop/**", "users": ["@devs", "bob"], "permissions": ["push"]}"#;
    let rights = with_rules("deny", rules);
    let mia = user("mia");
    let own =
        |target: &str| Comparer::new(&rights, &mia, &Ceiling::None).check(&rights, &user(target), RightsCompared::Own);
    assert!(own("new").is_ok());
    assert_eq!(own("bob").unwrap_err(), "bob may push shop/**");
    assert_eq!(own("dora").unwrap_err(), "dora has PUSH:IMAGE");
}

#[test]
fn credentials_with_a_ceiling_manage_nobody_who_may_do_anything() {
    let rights = with_rules("deny", r#"{"repository": "a", "users": ["bob"], "permissions": ["pull"]}"#);
    let (root, ceiling) = (user("root"), Ceiling::Scopes(Vec::new()));
    let comparer = Comparer::new(&rights, &root, &ceiling);
    assert!(comparer.check(&rights, &user("bob"), RightsCompared::All).is_err());
    assert!(comparer.check(&rights, &root, RightsCompared::All).is_err());
    assert!(comparer.check(&rights, &user("nobody"), RightsCompared::All).is_ok());
}

#[test]
fn somebody_who_gains_rights_by_a_change_is_compared_with_what_the_caller_has_now() {
    let before = with_rules("deny", "");
    let text = r#"{"groups": {"managers": {"members": ["mia"], "roles": ["manage"]},
        "devs": {"members": ["mia"], "roles": ["developer"]}}, "roles": {"manage": {"permissions": ["UPDATE:USER"]}}}"#;
    let after = rights(text);
    let mia = user("mia");
    let comparer = Comparer::new(&before, &mia, &Ceiling::None);
    assert_eq!(comparer.check(&before, &mia, RightsCompared::All), Ok(()));
    assert!(comparer.check(&after, &mia, RightsCompared::All).is_err());
}

fn pattern() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "a*", "*b", "*", "**"]), 1..4).prop_map(|parts| {
        let mut parts: Vec<_> = parts;
        parts.dedup_by(|a, b| *a == "**" && *b == "**");
        parts.join("/")
    })
}

proptest! {
    /// Names that tell the patterns apart.
    #[test]
    fn patterns_that_cover_or_exclude_each_other_do_so_for_every_name(one in pattern(), other in pattern()) {
        let (p, q): (Pattern, Pattern) = (one.parse().unwrap(), other.parse().unwrap());
        let (covers, disjoint) = (covers(&one, &other), are_disjoint(&one, &other));
        let components = ["a", "b", "ab", "c"];
        let mut names: Vec<String> = components.map(str::to_owned).to_vec();
        for _ in 0..3 {
            names.extend(names.clone().iter().flat_map(|name| components.map(|more| format!("{name}/{more}"))));
            names.sort();
            names.dedup();
        }
        for name in names.iter().filter(|name| name.split('/').count() <= 4) {
            let name: RepositoryName = name.parse().unwrap();
            let (first, second) = (p.matches(&name, None), q.matches(&name, None));
            prop_assert!(!covers || !second || first, "{one} {other} {name:?}");
            prop_assert!(!(disjoint && first && second), "{one} {other} {name:?}");
        }
    }
}
