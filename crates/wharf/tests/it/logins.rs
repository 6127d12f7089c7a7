//! Logging in and out, and where credentials come from.

use crate::rig::{Person, password, registry};
use std::{fs, os::unix::fs::PermissionsExt};

#[test]
fn a_login_is_a_session_and_no_password_is_written_down() {
    let registry = registry(|_| {});
    let alice = Person::new(&registry);
    assert!(alice.types(&["whoami"]).fails(2).contains("no server is chosen"));
    let refused = alice.types_with("wrong", &["login", alice.server(), "-u", "alice", "--password-stdin"]).fails(3);
    assert!(refused.contains("401"), "{refused}");
    alice.types_with(&password("alice"), &["login", alice.server(), "-u", "alice", "--password-stdin"]).succeeds();
    assert_eq!(alice.types(&["whoami", "-q"]).succeeds(), "alice\n");
    let credentials = alice.path(".config/wharf/credentials.json");
    assert_eq!(fs::metadata(&credentials).unwrap().permissions().mode() & 0o777, 0o600);
    for file in ["credentials.json", "config.toml"] {
        let text = fs::read_to_string(alice.path(".config/wharf").join(file)).unwrap();
        assert!(!text.contains(&password("alice")), "{text}");
    }
    alice.types(&["logout"]).succeeds();
    alice.types(&["whoami"]).fails(3);
    assert_eq!(fs::read_to_string(&credentials).unwrap().trim(), "{}");
}

#[test]
fn an_expired_token_is_exchanged_once_by_many_commands_at_the_same_time() {
    let registry = registry(|_| {});
    let alice = Person::logged_in(&registry, "alice");
    let credentials = alice.path(".config/wharf/credentials.json");
    for _ in 0..3 {
        let mut saved: serde_json::Value = serde_json::from_slice(&fs::read(&credentials).unwrap()).unwrap();
        let session = &mut saved[alice.server()];
        assert!(session["refresh_token"].is_string(), "{session}");
        session["expires"] = 0.into();
        session["access_token"] = "no-longer-valid".into();
        fs::write(&credentials, saved.to_string()).unwrap();
        std::thread::scope(|scope| {
            let typed = [0; 5].map(|_| scope.spawn(|| alice.types(&["whoami", "-q"])));
            for typed in typed {
                assert_eq!(typed.join().unwrap().succeeds(), "alice\n");
            }
        });
    }
}

#[test]
fn a_session_that_has_ended_says_so() {
    let registry = registry(|_| {});
    let (laptop, desktop) = (Person::logged_in(&registry, "alice"), Person::logged_in(&registry, "alice"));
    laptop.types(&["logout", "--everywhere"]).succeeds();
    desktop.types(&["whoami"]).fails(3);
}

#[test]
fn credentials_come_from_variables_files_and_helpers() {
    let registry = registry(|_| {});
    let alice = Person::new(&registry);
    let whoami = |set: &[(&str, &str)]| {
        let mut command = alice.command(&["--server", alice.server(), "whoami", "-q"]);
        command.envs(set.iter().copied());
        crate::rig::Typed::from(command.output().unwrap())
    };
    whoami(&[]).fails(3);
    assert_eq!(whoami(&[("WHARF_USERNAME", "alice"), ("WHARF_PASSWORD", &password("alice"))]).succeeds(), "alice\n");
    alice.has("password", format!("{}\n", password("bob")));
    assert_eq!(whoami(&[("WHARF_USERNAME", "bob"), ("WHARF_PASSWORD_FILE", "password")]).succeeds(), "bob\n");
    let unset = whoami(&[("WHARF_USERNAME", "bob")]).fails(3);
    assert!(unset.contains("set WHARF_PASSWORD or WHARF_PASSWORD_FILE too"), "{unset}");

    // A helper on the PATH, as docker calls it.
    alice.has(
        "bin/docker-credential-test",
        format!("#!/bin/sh\ncat >/dev/null\necho '{{\"Username\":\"alice\",\"Secret\":\"{}\"}}'\n", password("alice")),
    );
    let helper = alice.path("bin/docker-credential-test");
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    alice.has(".docker/config.json", r#"{ "credsStore": "test" }"#);
    let path = format!("{}:{}", alice.path("bin").display(), std::env::var("PATH").unwrap());
    assert_eq!(whoami(&[("PATH", &path)]).succeeds(), "alice\n");
}

#[test]
fn docker_is_logged_in_by_a_key_and_not_by_the_password() {
    let registry = registry(|_| {});
    let alice = Person::new(&registry);
    alice.has(".docker/config.json", r#"{ "psFormat": "kept", "auths": { "other.example": { "auth": "YTpi" } } }"#);
    let login = ["login", alice.server(), "-u", "alice", "--password-stdin", "--docker"];
    alice.types_with(&password("alice"), &login).succeeds();
    let text = fs::read_to_string(alice.path(".docker/config.json")).unwrap();
    assert!(text.contains("psFormat") && text.contains("other.example") && text.contains(alice.server()), "{text}");
    let keys = alice.types(&["key", "list", "--json"]).json();
    assert_eq!(keys[0]["name"], "docker login by wharf");
    // Without the session, the key is what is left.
    fs::remove_file(alice.path(".config/wharf/credentials.json")).unwrap();
    let me = alice.types(&["whoami", "--json"]).json();
    assert_eq!((&me["username"], &me["auth"]["method"]), (&"alice".into(), &"api_key".into()));
}

#[test]
fn a_user_who_may_not_have_sessions_is_logged_in_by_a_key() {
    let registry = registry(|_| {});
    let bob = Person::logged_in(&registry, "bob");
    assert_eq!(bob.types(&["whoami", "--json"]).json()["auth"]["method"], "api_key");
    bob.has_image("image", 50);
    bob.types(&["push", "image", "bob/app:v1"]).succeeds();
    assert!(!fs::read_to_string(bob.path(".docker/config.json")).unwrap().contains(&password("bob")));
    bob.types(&["logout"]).succeeds();
    bob.types(&["whoami"]).fails(3);
}

#[test]
fn contexts_name_servers() {
    let (first, second) = (registry(|_| {}), registry(|_| {}));
    let alice = Person::logged_in(&first, "alice");
    let other = Person::new(&second).server().to_owned();
    alice.types(&["context", "add", "lab", &other]).succeeds();
    assert_eq!(alice.types(&["context", "list", "-q"]).succeeds().lines().count(), 2);
    let misspelt = alice.types(&["--context", "lba", "status"]).fails(2);
    assert!(misspelt.contains("did you mean \"lab\"?"), "{misspelt}");
    alice.types(&["context", "use", "lab"]).succeeds();
    alice.types(&["whoami"]).fails(3);
    assert_eq!(alice.types(&["--server", alice.server(), "whoami", "-q"]).succeeds(), "alice\n");
    alice.types(&["context", "rm", "lab"]).succeeds();
    alice.types(&["context", "use", "lab"]).fails(4);
}
