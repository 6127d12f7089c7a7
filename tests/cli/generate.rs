//! `completion` and `man`.

use super::{run, text};

#[test]
fn each_command_has_a_manual_page() {
    let dir = tempfile::tempdir().unwrap();
    let out = run(dir.path(), &["man", "."], &[]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let page = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert!(page("wharfinger.1").contains("REGISTRY_PORT"), "the variables are described");
    assert!(page("wharfinger-htpasswd-add.1").contains(".TH wharfinger-htpasswd-add 1"));
    let count = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(text(&out.stdout), format!("wrote {count} manual pages to .\n"));
    let out = run(dir.path(), &["man", "absent"], &[]);
    assert!(out.status.code() == Some(1) && text(&out.stderr).contains("cannot write manual pages to absent"));
}

#[test]
fn the_completions_of_bash_zsh_and_fish_know_the_commands() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let out = run(dir.path(), &["completion", shell], &[]);
        let script = text(&out.stdout);
        assert!(out.status.success() && script.contains("htpasswd") && script.contains("storage-path"), "{shell}");
    }
    assert_eq!(run(dir.path(), &["completion", "tcl"], &[]).status.code(), Some(2));
}
