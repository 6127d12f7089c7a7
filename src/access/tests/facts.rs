use super::*;

/// What repository facts allow when no rule matches.
#[test]
fn a_public_repository_is_pulled_by_all_and_an_owner_does_everything() {
    let facts = RepositoryFacts { visibility: Visibility::Public, owner: Some("alice".into()) };
    let name = "somewhere/app".parse().unwrap();
    for rights in [rules(GUIDE, true), rules(GUIDE, false), Rights::Users, Rights::Tokens] {
        for (who, action, allowed) in [
            ("-", Action::Pull, true),
            ("carol", Action::Pull, true),
            ("-", Action::Push, false),
            ("-", Action::Delete, false),
            ("alice", Action::Push, true),
            ("alice", Action::Delete, true),
        ] {
            let verdict = rights.decide(&user(who), &Ceiling::None, &name, action, &facts);
            assert_eq!(
                (verdict.allowed, verdict.step == DecisionStep::Facts),
                (allowed, allowed),
                "{who} {action}: {verdict:?}"
            );
        }
    }
    let carol = rules(GUIDE, true).decide(&user("carol"), &Ceiling::None, &name, Action::Push, &facts);
    assert_eq!((carol.allowed, carol.step), (false, DecisionStep::Default));
    let private = RepositoryFacts { visibility: Visibility::Private, ..facts };
    assert!(!rules(GUIDE, true).decide(&user("-"), &Ceiling::None, &name, Action::Pull, &private).allowed);
}

#[test]
fn facts_change_nothing_that_a_rule_or_a_ceiling_decides_and_are_not_asked_for() {
    let facts = RepositoryFacts { visibility: Visibility::Public, owner: Some("carol".into()) };
    let rights = rules(GUIDE, true);
    let production: RepositoryName = "production/x".parse().unwrap();
    let listed: RepositoryName = "public/x".parse().unwrap();
    assert!(
        !rights.decide(&user("carol"), &Ceiling::None, &listed, Action::Push, &facts).allowed,
        "its rule says pull"
    );
    let nothing = Ceiling::Scopes(Vec::new());
    assert!(!rights.decide(&user("carol"), &nothing, &production, Action::Pull, &facts).allowed);
    let asks = |rights: &Rights, who: &str, ceiling: &Ceiling, name: &RepositoryName, action| {
        matches!(rights.decide_without_facts(&user(who), ceiling, name, action), Decision::NeedsFacts(_))
    };
    for (who, ceiling, name, action, expected) in [
        ("carol", &Ceiling::None, &listed, Action::Push, false),
        ("carol", &nothing, &production, Action::Pull, false),
        ("admin", &Ceiling::None, &production, Action::Pull, false),
        ("deployer", &Ceiling::None, &production, Action::Delete, false),
        ("-", &Ceiling::None, &production, Action::Push, false),
        ("-", &Ceiling::None, &production, Action::Pull, true),
        ("carol", &Ceiling::None, &production, Action::Delete, true),
    ] {
        assert_eq!(asks(&rights, who, ceiling, name, action), expected, "{who} {action} {name:?}");
    }
    assert!(!asks(&Rights::Open, "-", &Ceiling::None, &production, Action::Pull));
    assert!(!asks(&Rights::Users, "carol", &Ceiling::None, &production, Action::Push), "every user may");
}

/// Deciding in two steps gives the same verdict as deciding in one.
#[test]
fn what_is_decided_without_facts_is_the_same_with_them() {
    let every = [("-", Visibility::Private), ("alice", Visibility::Public), ("carol", Visibility::Private)];
    let allow = GUIDE.replace("\"deny\"", "\"allow\"");
    let all = [Action::Pull, Action::Push, Action::Delete];
    for rights in
        [rules(GUIDE, true), rules(&allow, true), rules(&allow, false), Rights::Open, Rights::Users, Rights::Tokens]
    {
        for (owner, visibility) in every {
            let facts = RepositoryFacts { visibility, owner: (owner != "-").then(|| owner.to_owned()) };
            for who in ["-", "alice", "carol", "admin", "deployer"] {
                for name in ["team-a/x", "production/x", "public/x", "elsewhere"] {
                    let (user, name) = (user(who), name.parse().unwrap());
                    let many = rights.of(&user, &Ceiling::None, 100).decide(&name, &all);
                    for (action, decision) in many {
                        let whole = rights.decide(&user, &Ceiling::None, &name, action, &facts);
                        let first = rights.decide_without_facts(&user, &Ceiling::None, &name, action);
                        assert_eq!(decision, first);
                        assert_eq!(first.with(&facts).allowed, whole.allowed, "{who} {action} {name:?} {facts:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn recorded_facts_are_one_word_and_a_line_feed() {
    assert_eq!(Visibility::parse(b"public\n"), Some(Visibility::Public));
    assert_eq!(Visibility::parse(b"private\n"), Some(Visibility::Private));
    for wrong in [&b""[..], b"public", b"Public\n", b"public\r\n", b"public\n\n", b"yes\n"] {
        assert_eq!(Visibility::parse(wrong), None);
    }
    assert_eq!(RepositoryFacts::parse_owner(b"alice\n"), Some("alice".to_owned()));
    for wrong in [&b""[..], b"\n", b"alice", b"anonymous\n", b"*\n", b"@team\n", b" alice\n", b"a\nb\n", b"\xff\n"] {
        assert_eq!(RepositoryFacts::parse_owner(wrong), None, "{wrong:?}");
    }
}
