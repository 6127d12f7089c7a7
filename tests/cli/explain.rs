//! `wharfinger explain`: decisions, recorded facts, groups and users.

use super::*;

#[test]
fn explain_prints_the_deciding_rule_and_returns_an_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("htpasswd"), format!("alice:{HASH}\n")).unwrap();
    let rules = "{\"rules\": [\n {\"repository\": \"team/**\", \"users\": [\"alice\"], \"permissions\": [\"pull\"]}]}";
    std::fs::write(dir.path().join("rules.json"), rules).unwrap();
    let out = run(dir.path(), &["explain", "alice", "pull", "team/app"], &PEOPLE);
    assert_eq!(out.status.code(), Some(0));
    assert_eq!(
        text(&out.stdout),
        "alice pull team/app: allowed (rules.json)\n  \
           admin    -        not an administrator\n  \
           rules    allowed  rule 1 (line 2: \"team/**\" for \"alice\") is the first that matches; it lists pull\n"
    );
    let out = run(dir.path(), &["explain", "alice", "push", "team/app", "--json"], &PEOPLE);
    assert_eq!(out.status.code(), Some(1));
    let reported: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((reported["allowed"].as_bool(), reported["decidedBy"].as_str()), (Some(false), Some("rules")));
    assert!(!text(&out.stdout).contains("$2y$"));
    for args in [
        ["explain", "alice", "fly", "team/app"],
        ["explain", "alice", "pull", "Team"],
        ["explain", "alice", "FLY:SYSTEM", "a"],
    ] {
        assert_eq!(run(dir.path(), &args, &PEOPLE).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn explain_reads_recorded_facts_where_no_rule_decides() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("htpasswd"), format!("alice:{HASH}\n")).unwrap();
    std::fs::write(dir.path().join("rules.json"), r#"{"rules": []}"#).unwrap();
    let explain = |args: &[&str]| run(dir.path(), &[&["explain"], args].concat(), &PEOPLE);
    let out = explain(&["alice", "push", "team/app"]);
    assert_eq!(out.status.code(), Some(1), "there is no store, so nothing is recorded");
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    wharfinger::storage::fs::Fs::open(&data, wharfinger::storage::fs::Init::EmptyDirectory).unwrap();
    let facts = data.join("repositories/team/app/_facts");
    std::fs::create_dir_all(&facts).unwrap();
    std::fs::write(facts.join("owner"), "alice\n").unwrap();
    let out = explain(&["alice", "push", "team/app"]);
    assert_eq!(out.status.code(), Some(0));
    assert!(
        text(&out.stdout).ends_with("\n  facts    allowed  this user owns the repository\n"),
        "{}",
        text(&out.stdout)
    );
    assert_eq!(explain(&["anonymous", "pull", "team/app"]).status.code(), Some(1));
    std::fs::write(facts.join("visibility"), "public\n").unwrap();
    let reported = explain(&["anonymous", "pull", "team/app", "--json"]);
    let reported: serde_json::Value = serde_json::from_slice(&reported.stdout).unwrap();
    assert_eq!((&reported["decidedBy"], &reported["reason"]), (&"facts".into(), &"the repository is public".into()));
}

#[test]
fn explain_names_the_group_that_matched_and_a_user_who_does_not_exist() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("htpasswd"), format!("alice:{HASH}\n")).unwrap();
    let rules = r#"{
        "groups": {"devs": {"members": ["alice", "bob"], "roles": ["reader"]}},
        "roles": {"reader": {"permissions": ["PULL:IMAGE", "VIEW:SYSTEM"], "repositories": ["lib/**"]}},
        "rules": [{"repository": "team/**", "users": ["@devs"], "permissions": ["push"]}]}"#;
    std::fs::write(dir.path().join("rules.json"), rules).unwrap();
    let explain = |args: &[&str]| text(&run(dir.path(), &[&["explain"], args].concat(), &PEOPLE).stdout);
    let reported = explain(&["alice", "push", "team/app"]);
    assert!(
        reported.contains("rule 1 (line 4: \"team/**\" for \"@devs\") is the first that matches; it lists push"),
        "{reported}"
    );
    let reported = explain(&["alice", "pull", "lib/x"]);
    assert!(reported.contains("roles    allowed  role \"reader\" of group \"devs\" grants it"), "{reported}");
    assert!(!reported.contains("note"), "{reported}");
    let reported = explain(&["bob", "pull", "team/app"]);
    assert!(reported.starts_with("bob pull team/app: denied (rules.json)\n"), "{reported}");
    assert!(reported.contains("it does not list pull\n"), "{reported}");
    let note = "there is no user \"bob\" in htpasswd, so nobody can log in under this name";
    assert!(reported.ends_with(&format!("  note: {note}\n")), "{reported}");
    let json: serde_json::Value = serde_json::from_str(&explain(&["bob", "pull", "team/app", "--json"])).unwrap();
    assert_eq!(json["note"], note);
    // Permissions that belong to no repository come from roles only.
    let reported = explain(&["alice", "VIEW:SYSTEM"]);
    assert_eq!(
        reported,
        "alice VIEW:SYSTEM: allowed (rules.json)\n  roles    allowed  role \"reader\" of group \"devs\" grants it\n"
    );
    let reported = explain(&["carol", "VIEW:SYSTEM"]);
    assert!(
        reported.starts_with("carol VIEW:SYSTEM: denied (rules.json)\n  roles    denied   no role grants it\n"),
        "{reported}"
    );
    for (args, problem) in [
        (&["alice", "pull"][..], "REPOSITORY: is missing: pull where?"),
        (&["alice", "VIEW:SYSTEM", "a"], "REPOSITORY: belongs to pull, push and delete"),
    ] {
        let out = run(dir.path(), &[&["explain"], args].concat(), &PEOPLE);
        assert!(!out.status.success() && text(&out.stderr).contains(problem), "{}", text(&out.stderr));
    }
    for jargon in ["silent", "ceiling", "credential", "facts"] {
        assert!(!reported.contains(jargon), "{reported}");
    }
    let open = run(dir.path(), &["explain", "alice", "pull", "a"], &[]);
    assert!(text(&open.stdout).ends_with("note: authentication is off, so every caller is anonymous\n"));
}
