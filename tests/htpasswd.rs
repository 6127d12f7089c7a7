//! `wharfinger htpasswd`, as an operator uses it.

#![allow(clippy::unwrap_used, reason = "a helper fails the test it is called by")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

/// A hash of an unknown password.
const HASH: &str = "$2y$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe";

/// Part of every password in these tests; it must never be printed.
const CANARY: &str = "canary";

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharfinger"));
    command.arg("htpasswd").args(args).current_dir(dir).env_clear().stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts a command and gives it its standard input.
fn start(dir: &Path, args: &[&str], input: &[u8]) -> Child {
    let mut child = command(dir, args).stdin(Stdio::piped()).spawn().unwrap();
    // A command that fails before it reads has ended by now.
    let _ = child.stdin.take().unwrap().write_all(input);
    child
}

/// The exit code and the output of a command. Asserts that it contains no password or hash.
fn result_of(out: &Output) -> (Option<i32>, String, String) {
    let [stdout, stderr] = [&out.stdout, &out.stderr].map(|bytes| String::from_utf8(bytes.clone()).unwrap());
    for secret in [CANARY, "$04$", "$05$", "$10$"] {
        assert!(!stdout.contains(secret) && !stderr.contains(secret), "{out:?}");
    }
    (out.status.code(), stdout, stderr)
}

/// Runs a command for the file `users` with this standard input.
fn run(dir: &Path, args: &[&str], input: &str) -> (Option<i32>, String, String) {
    let args = [&["--file", "users"], args].concat();
    result_of(&start(dir, &args, input.as_bytes()).wait_with_output().unwrap())
}

fn users(dir: &Path) -> String {
    fs::read_to_string(dir.join("users")).unwrap()
}

/// The names in a directory.
fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

fn ok(text: &str) -> (Option<i32>, String, String) {
    (Some(0), format!("{text}\n"), String::new())
}

fn no(code: i32, text: &str) -> (Option<i32>, String, String) {
    (Some(code), String::new(), format!("wharfinger: {text}\n"))
}

#[test]
fn users_are_added_verified_changed_and_deleted() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path();
    let add = |name| run(dir, &["add", name, "--stdin", "--cost", "4"], &format!("{CANARY} of {name}\n"));
    assert_eq!(add("bob"), ok("added bob to users"));
    assert_eq!(add("alice"), ok("added alice to users"));
    assert_eq!(fs::metadata(dir.join("users")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(users(dir).starts_with("bob:$2y$04$"), "{}", users(dir));
    assert_eq!(run(dir, &["list"], ""), ok("bob\nalice"));
    let (_, json, _) = run(dir, &["list", "--json"], "");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json, serde_json::json!({ "file": "users", "users": ["bob", "alice"] }));

    let verify = |name, password: &str| run(dir, &["verify", name, "--stdin"], password);
    assert_eq!(verify("alice", "canary of alice"), ok("the password of alice is right"));
    assert_eq!(verify("alice", "canary of bob\n"), no(1, "wrong password for alice"));
    assert_eq!(verify("alice", ""), no(1, "wrong password for alice"));
    assert_eq!(verify("carol", "canary\n"), no(1, "there is no user \"carol\""));

    assert_eq!(add("alice"), no(1, "there is a user \"alice\" already"));
    let set = |name| run(dir, &["set", name, "--stdin", "--cost=5"], "new canary\n");
    assert_eq!(set("bob"), ok("changed the password of bob in users"));
    assert_eq!(set("carol"), no(1, "there is no user \"carol\""));
    assert!(users(dir).starts_with("bob:$2y$05$"), "{}", users(dir));
    assert_eq!(verify("bob", "canary of bob\n").0, Some(1));
    assert_eq!(verify("bob", "new canary\n").0, Some(0));
    assert_eq!(verify("alice", "canary of alice\n").0, Some(0));

    assert_eq!(run(dir, &["delete", "bob"], ""), ok("deleted bob from users"));
    assert_eq!(run(dir, &["delete", "bob"], ""), no(1, "there is no user \"bob\""));
    assert_eq!(run(dir, &["list"], ""), ok("alice"));
    assert_eq!(names(dir), ["users"]);
}

#[test]
fn all_other_lines_stay_byte_for_byte() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path();
    let (top, end) = (format!("# people\n\nbob:{HASH}\n#old:{HASH}\n"), format!("\n# machines\nci:{HASH}"));
    fs::write(dir.join("users"), format!("{top}alice:{HASH}\n{end}")).unwrap();
    fs::set_permissions(dir.join("users"), fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(run(dir, &["set", "alice", "--stdin", "--cost", "4"], "canary").0, Some(0));
    let now = users(dir);
    let line = now.strip_prefix(&top).unwrap().strip_suffix(&end).unwrap();
    assert!(line.starts_with("alice:$2y$04$") && line.ends_with('\n') && line.len() == 67, "{line}");
    assert_eq!(run(dir, &["add", "carol", "--stdin", "--cost", "4"], "canary").0, Some(0));
    assert!(users(dir).starts_with(&format!("{now}\ncarol:$2y$04$")), "{}", users(dir));
    assert_eq!(run(dir, &["delete", "carol"], "").0, Some(0));
    assert_eq!(users(dir), format!("{now}\n"));
    assert_eq!(fs::metadata(dir.join("users")).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_registry_accepts_the_file_after_its_last_user_was_deleted() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path();
    fs::write(dir.join("users"), format!("alice:{HASH}\n")).unwrap();
    assert_eq!(run(dir, &["delete", "alice"], "").0, Some(0));
    assert_eq!(run(dir, &["list"], ""), (Some(0), String::new(), String::new()));
    let mut check = Command::new(env!("CARGO_BIN_EXE_wharfinger"));
    check.args(["check", "--auth-type=basic", "--auth-htpasswd=users"]).current_dir(dir).env_clear();
    let out = check.output().unwrap();
    assert!(out.status.success(), "{out:?}");
}

#[test]
fn the_file_is_found_even_if_the_configuration_has_other_problems() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path();
    fs::write(dir.join(".env"), "REGISTRY_AUTH_HTPASSWD=people\nREGISTRY_PORT=many\n").unwrap();
    let with = |args: &[&str], vars: &[(&str, &str)]| {
        let mut command = command(dir, args);
        command.envs(vars.iter().copied()).stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(b"canary\n");
        result_of(&child.wait_with_output().unwrap())
    };
    let add = ["add", "alice", "--stdin", "--cost=4"];
    assert_eq!(with(&add, &[]), ok("added alice to people"));
    assert_eq!(with(&add, &[("REGISTRY_AUTH_HTPASSWD", "others")]), ok("added alice to others"));
    let vars = [("REGISTRY_AUTH_HTPASSWD", "others"), ("REGISTRY_AUTH_TYPE", "none")];
    let flag = [&add[..], &["--auth-htpasswd", "third"]].concat();
    assert_eq!(with(&flag, &vars), ok("added alice to third"));
    assert_eq!(with(&[&flag[..], &["--file", "fourth"]].concat(), &vars), ok("added alice to fourth"));
    assert_eq!(names(dir), [".env", "fourth", "others", "people", "third"]);

    let (code, _, why) = with(&["list"], &[("REGISTRY_AUTH_HTPASSWD", "")]);
    assert_eq!(code, Some(78));
    assert!(why.contains("REGISTRY_AUTH_HTPASSWD: is empty"), "{why}");
    fs::remove_file(dir.join(".env")).unwrap();
    let (code, _, why) = with(&["list"], &[("REGISTRY_AUTH_HTPASWD", "people")]);
    assert_eq!(code, Some(78));
    assert!(
        why.contains("REGISTRY_AUTH_HTPASWD: is not a variable of Wharfinger; did you mean REGISTRY_AUTH_HTPASSWD?"),
        "{why}"
    );
    assert!(why.contains("REGISTRY_AUTH_HTPASSWD: is not set; set it, or pass the file with --file"), "{why}");
}

#[test]
fn an_invalid_password_is_refused_before_anything_is_written() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path();
    let add = |input: &[u8]| {
        let args = ["--file", "users", "add", "alice", "--stdin", "--cost", "4"];
        result_of(&start(dir, &args, input).wait_with_output().unwrap())
    };
    let long = "é".repeat(36);
    for (input, why) in [
        (&b""[..], "a password cannot be empty"),
        (b"\n", "a password cannot be empty"),
        (long.as_bytes(), "a password of 72 bytes is too long: bcrypt takes at most 71"),
        (b"canary\r\n", "a password cannot hold a line break or a NUL character"),
        (b"can\0ary", "a password cannot hold a line break or a NUL character"),
        (b"canary\ncanary\n", "standard input has more than one line; the password must be a single line"),
        (b"canary\xff", "the password is not UTF-8 text"),
    ] {
        assert_eq!(add(input), no(1, why));
    }
    for name in ["a:b", "#alice", "anonymous"] {
        let (code, _, why) = run(dir, &["add", name, "--stdin"], "canary");
        assert_eq!(code, Some(1));
        assert!(why.contains("cannot be a user's name"), "{why}");
    }
    for cost in ["3", "15", "ten"] {
        let (code, _, why) = run(dir, &["add", "alice", "--stdin", "--cost", cost], "canary");
        assert_eq!(code, Some(2));
        assert!(why.contains("the cost must be a number from 4 to 14"), "{why}");
    }
    let terminal = "there is no terminal to ask for the password; pass it on standard input with --stdin";
    assert_eq!(run(dir, &["add", "alice"], "canary\n"), no(2, terminal));
    assert_eq!(names(dir), [""; 0]);
}

#[test]
fn a_file_with_invalid_lines_is_reported_and_not_changed() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path();
    let text = format!("alice:{HASH}\nbob:canary\nalice:{HASH}\n");
    fs::write(dir.join("users"), &text).unwrap();
    for args in [&["add", "carol", "--stdin"][..], &["set", "alice", "--stdin"], &["delete", "alice"], &["list"]] {
        let (code, _, why) = run(dir, args, "canary");
        assert_eq!(code, Some(78), "{args:?}");
        assert!(why.contains("\nusers:2: user \"bob\": only bcrypt hashes"), "{why}");
    }
    assert_eq!(users(dir), text);
}

#[test]
fn a_missing_file_or_directory_is_reported() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path();
    for args in [&["set", "alice", "--stdin"][..], &["verify", "alice", "--stdin"], &["delete", "alice"], &["list"]] {
        let (code, _, why) = run(dir, args, "canary");
        assert_eq!(code, Some(78), "{args:?}");
        assert!(why.contains("users: cannot read the file: no such file or directory"), "{why}");
    }
    let args = ["--file", "absent/users", "add", "alice", "--stdin", "--cost=4"];
    let (code, _, why) = result_of(&start(dir, &args, b"canary").wait_with_output().unwrap());
    assert_eq!(code, Some(1));
    assert!(
        why.contains(
            "wharfinger: cannot write absent/users: cannot open the directory absent: no such file or directory"
        ),
        "{why}"
    );
    assert_eq!(names(dir), [""; 0]);
}

/// Deletes alice as a user to whom file modes apply; `None` if no such user can run the program.
fn delete_without_power(dir: &Path) -> Option<(Option<i32>, String, String)> {
    let mut delete = command(dir, &["--file", "users", "delete", "alice"]);
    if rustix::process::geteuid().is_root() {
        delete.uid(65534).gid(65534);
    }
    match delete.output() {
        Ok(out) => Some(result_of(&out)),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

#[test]
fn a_file_that_cannot_be_replaced_or_would_change_its_owner_stays() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path();
    let text = format!("alice:{HASH}\n");
    fs::write(dir.join("users"), &text).unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&dir.join("users"), 0o644);
    mode(dir, 0o555);
    if let Some((code, _, why)) = delete_without_power(dir) {
        assert_eq!(code, Some(1));
        assert!(
            why.contains("cannot write users: cannot create a file in the directory .: permission denied"),
            "{why}"
        );
    }
    assert_eq!(users(dir), text);
    mode(dir, 0o777);
    // A file of root belongs to another user once the test has changed its user.
    if rustix::process::geteuid().is_root()
        && let Some((code, _, why)) = delete_without_power(dir)
    {
        assert_eq!(code, Some(1));
        assert!(why.contains("cannot write users: cannot keep its owner, user 0 and group 0"), "{why}");
        assert_eq!(users(dir), text);
    }
    assert_eq!(names(dir), ["users"]);
}

#[test]
fn a_link_stays_and_its_target_changes() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path();
    fs::create_dir(dir.join("secrets")).unwrap();
    symlink("secrets/htpasswd", dir.join("users")).unwrap();
    for name in ["alice", "bob"] {
        assert_eq!(run(dir, &["add", name, "--stdin", "--cost=4"], "canary").0, Some(0));
    }
    assert_eq!(fs::read_link(dir.join("users")).unwrap(), Path::new("secrets/htpasswd"));
    assert_eq!(users(dir).lines().count(), 2);
    assert_eq!(names(&dir.join("secrets")), ["htpasswd"]);
}

#[test]
fn twenty_users_added_at_once_are_all_kept() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path();
    let name = |i| format!("user-{i:02}");
    let started: Vec<Child> = (0..20)
        .map(|i| start(dir, &["--file", "users", "add", &name(i), "--stdin", "--cost", "4"], b"canary\n"))
        .collect();
    for (i, child) in started.into_iter().enumerate() {
        assert_eq!(result_of(&child.wait_with_output().unwrap()), ok(&format!("added {} to users", name(i))));
    }
    let mut there: Vec<String> = run(dir, &["list"], "").1.lines().map(str::to_owned).collect();
    there.sort();
    assert_eq!(there, (0..20).map(name).collect::<Vec<_>>());
    assert_eq!(names(dir), ["users"]);
}

#[test]
fn the_example_file_can_be_used_with_and_without_its_example() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path();
    let example = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("htpasswd.example")).unwrap();
    fs::write(dir.join("users"), &example).unwrap();
    assert_eq!(run(dir, &["list"], ""), (Some(0), String::new(), String::new()));
    fs::write(dir.join("users"), example.replace("#alice", "alice")).unwrap();
    assert_eq!(run(dir, &["list"], ""), ok("alice"));
}

/// The exit code of a command at a terminal, and everything the terminal showed. Each answer is typed after its
/// question appeared.
fn at_a_terminal(dir: &Path, args: &[&str], answers: &[(&str, &str)]) -> (Option<i32>, String) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let side = File::options().read(true).write(true).open(name).unwrap();
    let ours = || Stdio::from(side.try_clone().unwrap());
    let args = [&["--file", "users"], args].concat();
    let mut child = command(dir, &args).stdin(ours()).stdout(ours()).stderr(ours()).spawn().unwrap();
    let (mut master, mut seen) = (File::from(master), String::new());
    let mut shows = |until: &str| {
        let from = seen.len();
        while !seen[from..].contains(until) {
            let mut some = [0; 1024];
            let len = master.read(&mut some).unwrap();
            seen += std::str::from_utf8(&some[..len]).unwrap();
        }
        (master.try_clone().unwrap(), seen.clone())
    };
    for (question, answer) in answers {
        let (mut keys, _) = shows(question);
        keys.write_all(answer.as_bytes()).unwrap();
    }
    let status = child.wait().unwrap();
    assert!(
        tcgetattr(&side).unwrap().local_modes.contains(LocalModes::ECHO | LocalModes::ISIG),
        "the terminal's mode is restored"
    );
    // Marks the end of the command's output.
    (&side).write_all(b"the end").unwrap();
    let (_, seen) = shows("the end");
    assert!(!seen.contains(CANARY), "{seen}");
    (status.code(), seen)
}

#[test]
fn a_new_password_is_asked_for_twice_without_echo() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path();
    let (first, again) = ("New password for alice: ", "Repeat the password: ");
    let add = ["add", "alice", "--cost=4"];
    let (code, seen) = at_a_terminal(dir, &add, &[(first, "canary 1\n"), (again, "canary 2\n")]);
    assert_eq!(code, Some(1));
    assert!(seen.contains("wharfinger: the two passwords differ"), "{seen}");
    // Ctrl-C, Ctrl-D, and an arrow key.
    for (keys, why) in [
        ("canary\x03", "no password was given"),
        ("\x04", "no password was given"),
        ("canary\x1b[A\n", "a control character"),
    ] {
        let (code, seen) = at_a_terminal(dir, &add, &[(first, keys)]);
        assert_eq!(code, Some(1));
        assert!(seen.contains(why), "{seen}");
    }
    assert_eq!(names(dir), [""; 0]);
    // A typing error can be corrected before the line ends.
    let (code, seen) = at_a_terminal(dir, &add, &[(first, "canarx\x7fy\n"), (again, "canary\n")]);
    assert_eq!((code, seen.contains("added alice to users")), (Some(0), true), "{seen}");
    let verify = |password| at_a_terminal(dir, &["verify", "alice"], &[("Password for alice: ", password)]).0;
    assert_eq!((verify("canary\n"), verify("canarx\n")), (Some(0), Some(1)));
    assert_eq!(run(dir, &["verify", "alice", "--stdin"], "canary").0, Some(0));
    // There is no question if the command fails anyway.
    let (code, seen) = at_a_terminal(dir, &add, &[]);
    assert_eq!((code, seen.contains("password")), (Some(1), false), "{seen}");
}
