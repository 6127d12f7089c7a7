//! `wharfinger repo`, beside a running daemon and before its first start.

use super::{
    api_key_command::{ran_of, run},
    repositories::{registry, registry_with},
};
use crate::PROGRAM;
use serde_json::{Value, json};
use std::process::Command;

#[tokio::test]
async fn a_repository_made_beside_the_daemon_is_there_at_once_and_gone_at_once() {
    let registry = registry();
    let (alice, nobody) = (registry.user("alice"), registry.nobody());
    let made =
        run(&registry, &["repo", "create", "alice/app", "--public", "--owner", "alice", "--description", "Mine"]);
    assert_eq!((made.code, made.out.as_str(), made.errors.as_str()), (Some(0), "created alice/app", ""));
    let item = alice.get("/repositories/alice/app").await.is(200).json();
    assert_eq!((&item["owner"], &item["visibility"]), (&json!("alice"), &json!("public")));
    assert_eq!(item["description"], "Mine");
    alice.client.push_image("alice/app", "v1", "x").await;
    nobody.client.read("/v2/alice/app/manifests/v1").await;
    alice.client.push_image("team/app", "v1", "x").await;

    let listed: Value = serde_json::from_str(&run(&registry, &["repo", "list", "--json"]).out).unwrap();
    assert_eq!((&listed[0]["name"], &listed[0]["tag_count"]), (&json!("alice/app"), &json!(1)));
    assert_eq!((&listed[1]["name"], &listed[1]["owner"]), (&json!("team/app"), &json!(null)));
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let shown = run(&registry, &["repo", "list", "alice/**"]).out;
    assert!(shown.starts_with("alice/app  public  alice  1 tag, ") && shown.lines().count() == 1, "{shown}");

    // Without the name nothing is deleted.
    for args in [&["repo", "delete", "alice/app"][..], &["repo", "delete", "alice/app", "--confirm", "alice/ap"]] {
        let ran = run(&registry, args);
        let error = "wharfinger: nothing was deleted: the name was not confirmed";
        assert_eq!((ran.code, ran.errors.as_str()), (Some(1), error));
    }
    assert_eq!(alice.client.tags("alice/app").await, ["v1"]);
    let deleted = run(&registry, &["repo", "delete", "alice/app", "--confirm", "alice/app"]);
    assert_eq!((deleted.code, deleted.out.as_str()), (Some(0), "deleted alice/app with 1 tag and 1 manifest"));
    alice.get("/repositories/alice/app").await.refused(404, "NOT_FOUND");
    nobody.client.get("/v2/alice/app/manifests/v1").await.refused(401, "UNAUTHORIZED");
    assert_eq!(alice.client.tags("team/app").await, ["v1"], "and nothing else");
}

#[tokio::test]
async fn a_first_repository_may_come_before_the_first_start_and_mistakes_are_named() {
    let registry = registry();
    let root = registry.dir().join("later");
    let before = |args: &[&str]| {
        let mut command = Command::new(PROGRAM);
        ran_of(&command.args(args).current_dir(registry.dir()).env("REGISTRY_STORAGE_PATH", &root).output().unwrap())
    };
    assert_eq!(before(&["repo", "list"]).code, Some(78), "there is no store to look at");
    assert_eq!(before(&["repo", "create", "my-repo", "--public"]).code, Some(0));
    assert_eq!(before(&["repo", "list"]).out, "my-repo  public  -  0 tags, 0 B");
    assert!(root.join("repositories/my-repo/_facts/visibility").is_file());
    for (args, code, error) in [
        (&["create", "alice/x", "--owner", "carol"][..], 1, "there is no user \"carol\""),
        (&["create", "Alice"], 2, "invalid value 'Alice'"),
        (&["delete", "alice/none", "--confirm", "alice/none"], 1, "alice/none"),
    ] {
        let ran = run(&registry, &[&["repo"], args].concat());
        assert!(ran.code == Some(code) && ran.errors.contains(error), "{args:?}: {:?} {}", ran.code, ran.errors);
    }
    assert_eq!(run(&registry, &["repo", "create", "alice/x"]).code, Some(0));
    let again = run(&registry, &["repo", "create", "alice/x"]);
    assert!(again.code == Some(1) && again.errors.contains("exists"), "{}", again.errors);
}

#[tokio::test]
async fn the_settings_hold_for_the_command_too() {
    let registry = registry_with("[operator]\ndelete = false\n\n[repositories]\nauto_create = \"in_namespaces\"\n");
    let refused = run(&registry, &["repo", "create", "team/app"]);
    assert!(refused.code == Some(1) && refused.errors.contains("namespace"), "{}", refused.errors);
    registry.admin().post("/namespaces", &json!({ "name": "team" })).await.is(201);
    assert_eq!(run(&registry, &["repo", "create", "team/app"]).code, Some(0));
    let refused = run(&registry, &["repo", "delete", "team/app", "--confirm", "team/app"]);
    assert!(refused.code == Some(1) && refused.errors.contains("operator.delete"), "{}", refused.errors);
    registry.admin().get("/repositories/team/app").await.is(200);
}
