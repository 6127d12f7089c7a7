//! Strangers who make a user for themselves, where the operator lets them.

use super::{GOOD, problem, start, with};
use serde_json::json;
use testing::{managed::Managed, people::password};

fn open(more: &str) -> Managed {
    with(|files| files.settings = format!("[auth]\nregistration = \"open\"\n{more}"))
}

#[tokio::test]
async fn registration_is_closed_unless_the_operator_opens_it() {
    let registry = start();
    let new = json!({ "username": "carl", "password": GOOD });
    assert_eq!(registry.nobody().get("/system").await.is(200).json()["registration"], false);
    registry.nobody().post("/users", &new).await.refused(401, "UNAUTHORIZED");
    registry.user("bob").post("/users", &new).await.refused(403, "DENIED");
    registry.admin().patch("/settings/auth", &json!({ "registration": "open" })).await.is(200);
    assert_eq!(registry.nobody().get("/system").await.is(200).json()["registration"], true);
    registry.nobody().post("/users", &new).await.is(201);
    registry.admin().patch("/settings/auth", &json!({ "registration": "closed" })).await.is(200);
    registry
        .nobody()
        .post("/users", &json!({ "username": "dora", "password": GOOD }))
        .await
        .refused(401, "UNAUTHORIZED");
    // Where every user may do everything, nobody gets in unasked.
    let without_rules = with(|files| {
        files.settings = "[auth]\nregistration = \"open\"\n".to_owned();
        files.vars.push(("REGISTRY_ACCESS_CONTROL_ENABLED", "false".to_owned()));
        files.vars.push(("REGISTRY_ACCESS_CONTROL_CONFIG", String::new()));
    });
    assert_eq!(without_rules.nobody().get("/system").await.is(200).json()["registration"], false);
    without_rules.nobody().post("/users", &new).await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_stranger_gets_what_every_user_has_and_nothing_else() {
    let registry = open("");
    registry.admin().client.push_image("public/app", "v1", "x").await;
    let (before, nobody) = (registry.text("htpasswd"), registry.nobody());
    let made = nobody.post("/users", &json!({ "username": "carl", "password": GOOD, "email": "c@example.com" })).await;
    assert_eq!(made.is(201).json()["groups"], json!([]));
    let carl = registry.caller(Some(password("carl", GOOD)));
    carl.client.get("/v2/public/app/manifests/v1").await.is(200);
    carl.client.get("/v2/team/app/manifests/v1").await.refused(403, "DENIED");
    carl.get("/users").await.refused(403, "DENIED");
    let entry = registry.admin().get("/audit?n=1").await.is(200).json()["items"][0].clone();
    assert_eq!((&entry["actor"], &entry["target"]), (&json!("anonymous"), &json!("carl")));
    for (body, at) in [
        (json!({ "username": "dora", "password": GOOD, "groups": ["devs"] }), "/groups"),
        (json!({ "username": "dora", "robot": true }), "/robot"),
        (json!({ "username": "dora", "password": "short" }), "/password"),
    ] {
        assert_eq!(problem(&nobody.post("/users", &body).await).0, at, "{body}");
    }
    assert_eq!(super::changed(&before, &registry.text("htpasswd")).len(), 1);
}

#[tokio::test]
async fn strangers_from_one_address_wait() {
    let registry = open("[management]\nmax_registrations_per_hour = 2\n");
    let new = |name: &str| json!({ "username": name, "password": GOOD });
    registry.nobody().post("/users", &new("carl")).await.is(201);
    // Asking which names are taken counts too.
    registry.nobody().post("/users", &new("alice")).await.refused(409, "NAME_TAKEN");
    let waits = registry.nobody().post("/users", &new("dora")).await;
    waits.refused(429, "TOOMANYREQUESTS");
    assert!(waits.header("retry-after").parse::<u64>().unwrap() > 60);
    assert!(!registry.text("htpasswd").contains("dora"));
    // Those who manage users do not.
    for name in ["dora", "emil", "fred"] {
        registry.user("mia").post("/users", &new(name)).await.is(201);
    }
}
