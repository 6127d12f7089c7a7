use super::*;

const TEXT: &str = r#"{
  "defaultPolicy": "deny",
  "adminUsers": ["root", "ada"],

  "rules": [
    {"repository": "public/**", "users": ["*"],     "permissions": ["pull"]},

    {"repository": "team/*", "users": ["alice", "bob"], "permissions": ["pull", "push"]},
    {"repository": "bob/**", "users": ["bob"], "permissions": ["pull"]}
  ],
  "groups": {
    "devs": {"members": ["alice", "bob"], "roles": ["developer"]},
    "ops": {
      "description": "on call",
      "members": [
        "bob",
        "ada"
      ],
      "roles": ["administrator"]
    }
  }
}
"#;

/// The lines that an edit removes (`-`) and adds (`+`); all others stay as they are.
#[track_caller]
fn changes(text: &str, edit: impl FnOnce(&RulesText), lines: &[&str]) {
    let rules = RulesText::parse(text).unwrap();
    edit(&rules);
    let after = rules.text();
    assert!(crate::access::Policy::parse(&after).is_ok(), "{after}");
    let diff = super::super::diff::unified("f", text, &after);
    let found: Vec<_> = diff.lines().skip(2).filter(|line| line.starts_with(['-', '+'])).collect();
    assert_eq!(found, lines, "{after}");
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_list_on_one_line_changes_on_its_line_and_one_on_many_changes_one_line() {
    let (before, after) =
        (r#"["alice", "bob"], "roles": ["developer"]}"#, r#"["alice", "bob", "carl"], "roles": ["developer"]}"#);
    let line = |sign: &str, list: &str| format!(r#"{sign}    "devs": {{"members": {list},"#);
    changes(TEXT, |rules| rules.set_member("devs", "carl", true), &[&line("-", before), &line("+", after)]);
    changes(
        TEXT,
        |rules| rules.set_member("ops", "carl", true),
        &[r#"-        "ada""#, r#"+        "ada","#, r#"+        "carl""#],
    );
    changes(TEXT, |rules| rules.set_member("ops", "bob", false), &[r#"-        "bob","#]);
    changes(TEXT, |rules| rules.set_member("ops", "bob", true), &[]);
    changes(TEXT, |rules| rules.set_member("ops", "carl", false), &[]);
}

#[test]
fn a_group_changes_where_it_differs() {
    let mut ops = GroupInfo {
        name: "ops".into(),
        description: "on call".into(),
        members: strings(&["ada", "bob"]),
        roles: strings(&["administrator"]),
    };
    changes(TEXT, |rules| rules.put_group(&ops), &[]);
    ops.description = "always \"on\" call".into();
    changes(
        TEXT,
        |rules| rules.put_group(&ops),
        &[r#"-      "description": "on call","#, r#"+      "description": "always \"on\" call","#],
    );
    ops.description = String::new();
    changes(TEXT, |rules| rules.put_group(&ops), &[r#"-      "description": "on call","#]);
    let new = GroupInfo { name: "new".into(), members: strings(&["a"]), ..GroupInfo::default() };
    changes(
        TEXT,
        |rules| rules.put_group(&new),
        &["+    },", r#"+    "new": {"#, r#"+      "members": ["a"],"#, r#"+      "roles": []"#],
    );
    changes(
        TEXT,
        |rules| rules.remove_entry("groups", "devs"),
        &[r#"-    "devs": {"members": ["alice", "bob"], "roles": ["developer"]},"#],
    );
}

#[test]
fn a_role_gets_its_section_at_the_end() {
    let role = RoleInfo {
        name: "ci".into(),
        permissions: strings(&["PULL:IMAGE"]),
        repositories: strings(&["ci/**"]),
        ..RoleInfo::default()
    };
    changes(
        TEXT,
        |rules| rules.put_role(&role),
        &[
            "+  },",
            r#"+  "roles": {"#,
            r#"+    "ci": {"#,
            r#"+      "permissions": ["PULL:IMAGE"],"#,
            r#"+      "repositories": ["ci/**"]"#,
            "+    }",
        ],
    );
}

#[test]
fn rules_are_inserted_changed_and_removed_one_by_one() {
    let rule = RuleBody {
        repository: "a".into(),
        users: strings(&["alice"]),
        permissions: strings(&["pull"]),
        made_for: Some("alice".into()),
    };
    let lines = [
        "+    {",
        r#"+      "repository": "a","#,
        r#"+      "users": ["alice"],"#,
        r#"+      "permissions": ["pull"],"#,
        r#"+      "for": "alice""#,
        "+    },",
    ];
    changes(TEXT, |rules| rules.insert_rule(0, &rule), &lines);
    changes(TEXT, |rules| rules.insert_rule(1, &rule), &lines);
    let mut changed = RuleBody { repository: "team/*".into(), users: strings(&["bob", "carl"]), ..rule.clone() };
    changed.made_for = None;
    changes(
        TEXT,
        |rules| rules.set_rule(1, &changed),
        &[
            r#"-    {"repository": "team/*", "users": ["alice", "bob"], "permissions": ["pull", "push"]},"#,
            r#"+    {"repository": "team/*", "users": ["bob", "carl"], "permissions": ["pull"]},"#,
        ],
    );
    changes(
        TEXT,
        |rules| rules.remove_rule(1),
        &[r#"-    {"repository": "team/*", "users": ["alice", "bob"], "permissions": ["pull", "push"]},"#],
    );
    changes(
        r#"{"rules":[]}"#,
        |rules| rules.insert_rule(0, &rule),
        &[
            r#"-{"rules":[]}"#,
            r#"+{"rules":["#,
            "+    {",
            r#"+      "repository": "a","#,
            r#"+      "users": ["alice"],"#,
            r#"+      "permissions": ["pull"],"#,
            r#"+      "for": "alice""#,
            "+    }",
            "+  ]}",
        ],
    );
}

#[test]
fn a_user_who_is_removed_leaves_no_trace() {
    changes(
        TEXT,
        |rules| {
            rules.remove_from_rules("bob");
            rules.remove_admin("bob");
            ["devs", "ops"].iter().for_each(|group| rules.set_member(group, "bob", false));
        },
        &[
            r#"-    {"repository": "team/*", "users": ["alice", "bob"], "permissions": ["pull", "push"]},"#,
            r#"-    {"repository": "bob/**", "users": ["bob"], "permissions": ["pull"]}"#,
            r#"+    {"repository": "team/*", "users": ["alice"], "permissions": ["pull", "push"]}"#,
            r#"-    "devs": {"members": ["alice", "bob"], "roles": ["developer"]},"#,
            r#"+    "devs": {"members": ["alice"], "roles": ["developer"]},"#,
            r#"-        "bob","#,
        ],
    );
    changes(
        TEXT,
        |rules| rules.remove_admin("ada"),
        &[r#"-  "adminUsers": ["root", "ada"],"#, r#"+  "adminUsers": ["root"],"#],
    );
}
