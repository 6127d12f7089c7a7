//! Floundr's guide, line by line, with the commands that `docs/coming-from/floundr.md` names.

use crate::{
    rig::{Person, daemon, registry},
    tui::session::Terminal,
};
use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
    thread,
    time::Duration,
};
use testing::managed::Managed;

/// Types a command of the daemon on the registry's machine, with this on stdin.
fn types(registry: &Managed, stdin: &str, args: &[&str]) -> String {
    let mut command = Command::new(daemon());
    command
        .args(args)
        .current_dir(registry.dir())
        .env("REGISTRY_STORAGE_PATH", registry.root())
        .env("REGISTRY_AUTH_TYPE", "basic")
        .env("REGISTRY_AUTH_HTPASSWD", registry.conf("htpasswd"))
        .env("REGISTRY_ACCESS_CONTROL_ENABLED", "true")
        .env("REGISTRY_ACCESS_CONTROL_CONFIG", registry.conf("access-control.json"))
        .env("REGISTRY_SETTINGS", registry.conf("settings.toml"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that reads nothing may have ended.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let done = child.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{args:?}\n{out}\n{err}");
    out.into_owned()
}

#[test]
fn the_commands_of_the_guide_work() {
    let registry = registry(|_| {});
    // ./target/release/floundr new-repo my-repo --public
    types(&registry, "", &["repo", "create", "my-repo", "--public"]);
    // ./target/release/floundr new-user ann@example.com --password PASSWORD
    types(&registry, "correct-horse-battery\n", &["user", "add", "ann@example.com", "--stdin"]);
    let rules = registry.text("access-control.json").replace(r#"["admin"]"#, r#"["admin", "ann@example.com"]"#);
    fs::write(registry.conf("access-control.json"), rules).unwrap();
    // ./target/release/floundr gen-key ann@example.com --output-file key.txt
    let key = ["api-key", "create", "ann@example.com", "--scope", "ADMIN:SYSTEM", "--output-file", "key.txt"];
    types(&registry, "", &key);
    // ./target/release/floundr --help, -V
    assert!(types(&registry, "", &["--help"]).contains("Usage"));
    assert!(types(&registry, "", &["-V"]).starts_with("wharfinger "));

    // The key instead of a password, in the terminal client.
    let key = fs::read_to_string(registry.dir().join("key.txt")).unwrap();
    let ann = Person::new(&registry);
    let server = ann.server().to_owned();
    let logged_in = || ann.types_with(&key, &["login", &server, "--key-stdin"]);
    // The daemon notices the new files within seconds.
    for _ in 0..100 {
        if logged_in().status == 0 {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    logged_in().succeeds();
    // cd tui_client && cargo run --release
    let mut screen = Terminal::of(&ann, &[]);
    screen.waits_for("ann@example.com");
    screen.types("l");
    screen.waits_for("my-repo");
    screen.waits_for("Public");
    screen.types("l");
    for entry in ["Create API Key", "Manage Users", "View Active API Keys"] {
        screen.waits_for(entry);
    }
    screen.types("j\r");
    screen.waits_for("Users · 4");
    screen.types("q");
    assert_eq!(screen.ends().code(), Some(0));
}
