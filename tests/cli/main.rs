//! The program as users run it: exit codes and output.

#![allow(clippy::unwrap_used, reason = "a helper fails the test it is called by")]

mod explain;
mod generate;

use std::path::Path;
use std::process::{Command, Output};

fn run(dir: &Path, args: &[&str], vars: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wharfinger"))
        .args(args)
        .current_dir(dir)
        .env_clear()
        .envs(vars.iter().copied())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn check_prints_the_configuration_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let vars = [("REGISTRY_PASSWORD", "hunter2"), ("REGISTRY_LOG_FORMAT", "json")];
    // A port that is free at the moment.
    let port = std::net::TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
    let out = run(dir.path(), &["check", "--port", &port.to_string()], &vars);
    let reported = text(&out.stdout);
    assert_eq!(out.status.code(), Some(0));
    assert!(reported.contains(&format!("address: 0.0.0.0:{port} (host: default; port: flag --port)\n")), "{reported}");
    let open = "warning: REGISTRY_AUTH_TYPE: the registry is open: there is no authentication, and anyone who can reach \
                0.0.0.0:PORT may pull, push and delete; see \"Users and permissions\" in README.md, or ";
    assert!(reported.contains(&open.replace("PORT", &port.to_string())), "{reported}");
    assert!(reported.contains("warning: ignored, not variables of Wharfinger: REGISTRY_PASSWORD\n"), "{reported}");
    assert!(reported.ends_with("no problems\n"), "{reported}");
    assert!(!reported.contains("hunter2"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn check_probes_the_file_system_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("data/state/tmp")).unwrap();
    let vars = [("REGISTRY_STORAGE_PATH", "data"), ("REGISTRY_PORT", "0")];
    let out = run(dir.path(), &["check"], &vars);
    assert!(
        text(&out.stdout).contains("file system not tested, since the directory is not initialised yet\n"),
        "{}",
        text(&out.stdout)
    );
    let root = "{\"format\":0,\"id\":\"67e55044-10b1-426f-9247-bb680e5fe0c8\"}\n";
    std::fs::write(dir.path().join("data/ROOT.json"), root).unwrap();
    let out = run(dir.path(), &["check"], &vars);
    let reported = text(&out.stdout);
    assert_eq!(out.status.code(), Some(0));
    for line in
        ["filesystem: ", "free space: ", "rename over a file: works", "hard links: work", "sync of a directory: works"]
    {
        assert!(reported.contains(&format!("storage directory: {line}")), "{reported}");
    }
    assert_eq!(std::fs::read_dir(dir.path().join("data/state/tmp")).unwrap().count(), 0);
    std::fs::remove_dir(dir.path().join("data/state/tmp")).unwrap();
    let out = run(dir.path(), &["check"], &vars);
    assert!(text(&out.stdout).contains("file system not tested: "), "{}", text(&out.stdout));
}

#[test]
fn check_finds_that_the_port_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let vars = [("REGISTRY_HOST", "127.0.0.1"), ("REGISTRY_PORT", port.as_str())];
    let out = run(dir.path(), &["check"], &vars);
    assert_eq!(out.status.code(), Some(1));
    let reported = text(&out.stderr);
    assert!(
        reported.contains(&format!("REGISTRY_PORT: cannot listen on 127.0.0.1:{port}: address already in use\n")),
        "{reported}"
    );
    drop(taken);
    assert_eq!(run(dir.path(), &["check"], &vars).status.code(), Some(0));
}

#[test]
fn check_finds_a_storage_directory_that_this_user_cannot_write_to() {
    use std::os::unix::{fs::PermissionsExt, process::CommandExt};
    let dir = tempfile::tempdir().unwrap();
    let mode = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    let locked = dir.path().join("locked");
    std::fs::create_dir(&locked).unwrap();
    mode(dir.path(), 0o755);
    mode(&locked, 0o555);
    // Root may write everywhere, so root runs the program as another user.
    let program = dir.path().join("wharfinger");
    std::fs::copy(env!("CARGO_BIN_EXE_wharfinger"), &program).unwrap();
    let check = |args: &[&str], path: &str| {
        let mut command = Command::new(&program);
        command.args(args).current_dir(dir.path()).env_clear();
        command.envs([("REGISTRY_STORAGE_PATH", path), ("REGISTRY_HOST", "127.0.0.1"), ("REGISTRY_PORT", "0")]);
        if rustix::process::geteuid().is_root() {
            command.uid(65534).gid(65534);
        }
        loop {
            match command.output() {
                // A child that another test has just forked still has the copy open.
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                output => break output.unwrap(),
            }
        }
    };
    for (path, expected) in [
        ("locked", "storage directory locked: it cannot be written by this user (uid "),
        ("locked/a/b", "cannot create storage directory locked/a/b: "),
    ] {
        let out = check(&["check"], path);
        let reported = text(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{reported}");
        assert!(reported.contains(&format!("REGISTRY_STORAGE_PATH: {expected}")), "{reported}");
        let started = check(&["serve"], path);
        assert_eq!(started.status.code(), Some(1), "{started:?}");
        assert!(text(&started.stdout).contains(expected), "{started:?}");
    }
}

#[test]
fn check_fsck_and_a_start_refuse_a_store_with_a_link_in_place_of_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let vars = [("REGISTRY_STORAGE_PATH", "data"), ("REGISTRY_HOST", "127.0.0.1"), ("REGISTRY_PORT", "0")];
    std::fs::create_dir_all(dir.path().join("data")).unwrap();
    std::fs::create_dir_all(dir.path().join("large/blobs")).unwrap();
    let root = "{\"format\":0,\"id\":\"67e55044-10b1-426f-9247-bb680e5fe0c8\"}\n";
    std::fs::write(dir.path().join("data/ROOT.json"), root).unwrap();
    std::os::unix::fs::symlink("../large/blobs", dir.path().join("data/blobs")).unwrap();
    let expected =
        "storage directory data: blobs is not a real directory (a symbolic link?): put the directory itself there";
    for (command, code) in [("check", 1), ("fsck", 78), ("serve", 1)] {
        let out = run(dir.path(), &[command], &vars);
        let reported = text(&out.stdout) + &text(&out.stderr);
        assert_eq!(out.status.code(), Some(code), "{command}: {reported}");
        assert!(reported.contains(expected), "{command}: {reported}");
    }
}

#[test]
fn check_warns_of_a_directory_called_dotenv_and_of_a_rule_that_never_matches() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join(".env")).unwrap();
    std::fs::write(dir.path().join("htpasswd"), format!("alice:{HASH}\n")).unwrap();
    let rules = "{\"rules\": [\n\
                 {\"repository\": \"team/**\", \"users\": [\"*\"], \"permissions\": [\"pull\"]},\n\
                 {\"repository\": \"team/app\", \"users\": [\"alice\"], \"permissions\": [\"push\"]}]}";
    std::fs::write(dir.path().join("rules.json"), rules).unwrap();
    let out = run(dir.path(), &["check", "--port", "0"], &PEOPLE);
    let reported = text(&out.stdout);
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    assert!(reported.contains("warning: .env: is a directory, so no variables are read from it"), "{reported}");
    let expected = "warning: rules.json:3: rules[1]: can never match: rule 1 (line 2: \"team/**\") comes first";
    assert!(reported.contains(expected), "{reported}");
}

#[test]
fn problems_end_check_with_1_and_serve_with_78() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(".env"), "REGISTRY_PORT=many\n").unwrap();
    let vars = [("REGISTRY_STORAGE_PATH", "/nowhere"), ("REGISTRY_STORAGE_INIT", "never"), ("REGISTRY_PROT", "1")];
    let out = run(dir.path(), &["check"], &vars);
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(
        text(&out.stderr),
        "wharfinger: 3 problems in the configuration:\n\
         REGISTRY_PROT: is not a variable of Wharfinger; did you mean REGISTRY_PORT?\n\
         .env:1: REGISTRY_PORT: \"many\" is not a port from 0 to 65535 (0 = any free port)\n\
         REGISTRY_STORAGE_PATH: storage directory /nowhere does not exist: create it, or mount the volume that belongs there\n"
    );
    for args in [&["serve"][..], &[]] {
        let out = run(dir.path(), args, &vars);
        assert_eq!(out.status.code(), Some(78));
        assert!(text(&out.stderr).starts_with("wharfinger: 2 problems"));
    }
}

#[test]
fn help_and_version_succeed_and_an_unknown_flag_is_2() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(run(dir.path(), &["--help"], &[]).status.code(), Some(0));
    assert_eq!(run(dir.path(), &["--version"], &[]).status.code(), Some(0));
    assert_eq!(run(dir.path(), &["--bogus"], &[]).status.code(), Some(2));
}

#[test]
fn the_help_of_a_subcommand_shows_its_own_options_before_those_of_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let help = |args: &[&str]| {
        let out = run(dir.path(), args, &[]);
        assert_eq!(out.status.code(), Some(0), "{args:?}");
        text(&out.stdout)
    };
    let commands: [(&[&str], &str); 8] = [
        (&["check"], "-h, --help"),
        (&["explain"], "--json"),
        (&["fsck"], "--read-data-subset"),
        (&["gc"], "--dry-run"),
        (&["plan"], "--json"),
        (&["htpasswd", "add"], "--cost"),
        (&["htpasswd", "list"], "--file"),
        (&["key", "new"], "--rotate"),
    ];
    const HEADING: &str = "\nServer settings (flag or environment variable):\n";
    for (command, option) in commands {
        let long = help(&[command, &["--help"]].concat());
        let (own, server) = long.split_once(HEADING).unwrap_or_else(|| panic!("{command:?}: {long}"));
        assert!(own.contains(option) && !own.contains("--host"), "{command:?}: {own}");
        assert!(server.contains("--host <ADDRESS>") && !server.contains(option), "{command:?}: {server}");
        let short = help(&[command, &["-h"]].concat());
        assert!(short.contains(option) && !short.contains("--host"), "{command:?}: {short}");
    }
    for command in [&["--help"][..], &["serve", "--help"]] {
        let long = help(command);
        assert!(long.contains("\nListening:\n") && !long.contains(HEADING), "{long}");
    }
    let out = run(dir.path(), &["gc", "--dry-rum"], &[]);
    assert!(text(&out.stderr).contains("a similar argument exists: '--dry-run'"), "{}", text(&out.stderr));
}

const HASH: &str = "$2y$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe";

const PEOPLE: [(&str, &str); 4] = [
    ("REGISTRY_AUTH_TYPE", "basic"),
    ("REGISTRY_AUTH_HTPASSWD", "htpasswd"),
    ("REGISTRY_ACCESS_CONTROL_ENABLED", "true"),
    ("REGISTRY_ACCESS_CONTROL_CONFIG", "rules.json"),
];

/// Names come from files that others wrote: none may move the cursor, reverse the text or begin a line.
#[test]
fn terminal_sequences_are_printed_as_escapes() {
    let dir = tempfile::tempdir().unwrap();
    let name = "a\u{202e}b\u{2028}c\u{200b}d";
    let rules = format!(r#"{{"rules": [{{"repository": "x", "users": ["{name}"], "permissions": ["pull"]}}]}}"#);
    std::fs::write(dir.path().join("rules.json"), rules).unwrap();
    std::fs::write(dir.path().join("htpasswd"), format!("{name}:{HASH}\n")).unwrap();
    let wrong = dir.path().join("wrong.toml");
    std::fs::write(&wrong, format!("[\"{name}\"]\n")).unwrap();
    let (list, file) = (["htpasswd", "list", "--file", "htpasswd"], wrong.to_str().unwrap());
    let commands: [&[&str]; 7] = [
        &["check", "--port", "0"],
        &["check", "--port", "0", "--settings", file],
        &["explain", name, "pull", "x"],
        &["explain", name, "pull", "x", "--json"],
        &["explain", &format!("@{name}"), "pull", "x"],
        &list,
        &["htpasswd", "list", "--json", "--file", "htpasswd"],
    ];
    for args in commands {
        let out = run(dir.path(), args, &PEOPLE);
        let reported = text(&out.stdout) + &text(&out.stderr);
        assert!(reported.is_ascii() && !reported.contains('\x1b'), "{args:?}: {reported:?}");
        let named = reported.contains("202e") || args == ["check", "--port", "0"];
        assert!(named, "{args:?}: {reported}");
    }
    let json = run(dir.path(), &["htpasswd", "list", "--json", "--file", "htpasswd"], &[]).stdout;
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&json).unwrap()["users"][0], name, "the same JSON");
}

#[test]
fn invalid_users_or_rules_prevent_the_start() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("htpasswd"), format!("alice:{HASH}\nbob:secret\n")).unwrap();
    std::fs::write(
        dir.path().join("rules.json"),
        "{\"rules\": [\n{\"repository\": \"a?\", \"users\": [], \"permissions\": []}]}",
    )
    .unwrap();
    let out = run(dir.path(), &["serve"], &PEOPLE);
    assert_eq!(out.status.code(), Some(78));
    let reported = text(&out.stderr);
    assert!(reported.contains("htpasswd:2: user \"bob\": only bcrypt"), "{reported}");
    assert!(reported.contains("rules.json:2: rules[0].repository: \"a?\""), "{reported}");
    assert!(!reported.contains("secret"), "{reported}");
    // A missing file grants nothing.
    std::fs::remove_file(dir.path().join("rules.json")).unwrap();
    let out = run(dir.path(), &["serve"], &PEOPLE);
    assert_eq!(out.status.code(), Some(78));
    assert!(text(&out.stderr).contains("rules.json: REGISTRY_ACCESS_CONTROL_CONFIG: cannot be read"));
}

#[test]
fn a_signing_key_is_created_once_and_rotated() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token.pem");
    let key = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wharfinger"));
        command.arg("key").arg("new").arg(&path).args(args).output().unwrap()
    };
    assert!(!key(&["--rotate"]).status.success(), "there is no key yet");
    let made = key(&[]);
    assert!(made.status.success() && text(&made.stdout).contains("REGISTRY_AUTH_TOKEN_SIGNINGKEY="), "{made:?}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let first = std::fs::read_to_string(&path).unwrap();
    let again = key(&[]);
    assert!(!again.status.success() && text(&again.stderr).contains("the file exists; add --rotate"), "{again:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), first);
    assert!(key(&["--rotate"]).status.success());
    let both = std::fs::read_to_string(&path).unwrap();
    assert!(both.ends_with(&first) && both.len() > first.len());
    for reported in [made.stdout, again.stderr] {
        assert!(!text(&reported).contains(first.lines().nth(1).unwrap()), "no key is shown");
    }
    std::fs::write(&path, "garbage").unwrap();
    assert!(!key(&["--rotate"]).status.success());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "garbage");
}
