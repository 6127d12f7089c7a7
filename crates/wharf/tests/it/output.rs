//! How commands print, and how they end.

use crate::rig::{Person, registry};
use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

#[test]
fn data_is_printed_in_the_format_that_is_asked_for() {
    let registry = registry(|_| {});
    let admin = Person::logged_in(&registry, "admin");
    let list = |format: &str| admin.types(&["user", "list", "--format", format]);
    assert!(list("table").succeeds().starts_with("NAME   GROUPS"));
    assert!(list("wide").succeeds().contains("EMAIL"));
    assert_eq!(list("json").json()[0]["username"], "admin");
    assert_eq!(list("jsonl").succeeds().lines().count(), 3);
    assert!(list("yaml").succeeds().contains("username: alice"));
    assert_eq!(list("{{ username }}={{ is_admin }}").succeeds(), "admin=true\nalice=false\nbob=false\n");
    assert_eq!(admin.types(&["user", "list", "-q"]).succeeds(), "admin\nalice\nbob\n");
    assert!(list("{{ username").fails(2).contains("--format"));
    list("jsno").fails(2);
}

#[test]
fn a_wrong_command_line_gets_a_suggestion_and_its_own_status() {
    let registry = registry(|_| {});
    let admin = Person::logged_in(&registry, "admin");
    assert!(admin.types(&["imgae", "list"]).fails(2).contains("image"));
    admin.types(&["image"]).fails(2);
    assert!(admin.types(&["--help"]).succeeds().contains("Exit status: 0 done"));
    admin.types(&["image", "inspect", "Not A Name"]).fails(2);
}

#[test]
fn a_server_that_is_away_has_a_status_of_its_own() {
    let registry = registry(|_| {});
    let admin = Person::new(&registry);
    let away = admin.types(&["--server", "127.0.0.1:9", "status", "--timeout", "2s"]).fails(7);
    assert!(away.contains("127.0.0.1:9"), "{away}");
    // It speaks no TLS.
    let tls = admin.types(&["--server", &format!("https://{}", admin.server()), "status"]).fails(7);
    assert!(tls.contains("--plain-http"), "{tls}");
}

#[test]
fn requests_are_printed_without_secrets() {
    let registry = registry(|_| {});
    let admin = Person::logged_in(&registry, "admin");
    let typed = admin.types(&["--debug", "user", "list", "-q"]);
    assert!(typed.err.contains(&format!("GET http://{}/api/v1/users?n=1000 200 in ", admin.server())), "{}", typed.err);
    assert_eq!(typed.succeeds(), "admin\nalice\nbob\n");
    let typed = admin.types(&["--log-level", "trace", "user", "list", "-q"]);
    assert!(
        typed.err.contains("  > authorization: •••\n") && typed.err.contains("  < content-type: "),
        "{}",
        typed.err
    );
    let secrets = std::fs::read_to_string(admin.path(".config/wharf/credentials.json")).unwrap();
    let secrets: serde_json::Value = serde_json::from_str(&secrets).unwrap();
    let token = secrets[admin.server()]["access_token"].as_str().unwrap();
    assert!(!typed.err.contains(token), "{}", typed.err);
    // A login sends a password, which is in its body.
    let server = admin.server().to_owned();
    let login = ["--log-level", "trace", "login", &server, "-u", "admin", "--password-stdin"];
    let typed = admin.types_with(&crate::rig::password("admin"), &login);
    assert!(typed.err.contains("POST") && !typed.err.contains(&crate::rig::password("admin")), "{}", typed.err);
    admin.types(&["--debug", "--log-level", "off", "status"]).fails(2);
}

#[test]
fn whoever_is_known_and_may_not_do_it_is_told_so_by_the_status() {
    let registry = registry(|_| {});
    let admin = Person::logged_in(&registry, "admin");
    admin.has_image("image", 31);
    admin.types(&["push", "image", "team/app:v1"]).succeeds();
    // Alice is logged in; the registry answers 401 with insufficient_scope.
    let alice = Person::logged_in(&registry, "alice");
    alice.has_image("image", 32);
    alice.types(&["push", "image", "team/other:v1"]).fails(5);
    alice
        .types(&[
            "manifest",
            "delete",
            &format!("team/app@{}", admin.types(&["digest", "team/app:v1"]).succeeds().trim()),
        ])
        .fails(5);
    // Somebody else is asked to log in.
    let nobody = Person::new(&registry);
    nobody.has_image("image", 33);
    let target = format!("{}/team/other:v1", nobody.server());
    nobody.types(&["push", "image", &target]).fails(3);
}

#[test]
fn output_that_nobody_reads_is_no_error() {
    let registry = registry(|_| {});
    let admin = Person::logged_in(&registry, "admin");
    let mut command = admin.command(&["man", "pages"]);
    assert!(command.output().unwrap().status.success());
    let mut child =
        admin.command(&["completion", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stderr), "");
}

#[test]
fn an_interrupted_command_leaves_nothing_behind() {
    let registry = registry(|files| files.settings = "[server]\nupload_stall_seconds = 20\n".into());
    let alice = Person::logged_in(&registry, "alice");
    alice.has_image("image", 30);
    alice.types(&["push", "image", "alice/app:v1"]).succeeds();
    // A server that accepts and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = format!("http://{}/a/b:v1", silent.local_addr().unwrap());
    let mut child = alice.command(&["pull", &place, "out.tar"]).stderr(Stdio::piped()).spawn().unwrap();
    let (_held, _) = silent.accept().unwrap();
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!alice.path("out.tar").exists());
}
