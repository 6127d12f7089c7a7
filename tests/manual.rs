//! Runs the examples of docs/management.md, in their order, against the program.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]

use std::{fmt::Write as _, path::Path, process::Command};
use testing::managed::Managed;

const PROGRAM: &str = env!("CARGO_BIN_EXE_wharfinger");

/// The blocks of commands on a page, each with the line it starts on.
fn commands(page: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (i, line) in page.lines().enumerate() {
        match (&mut open, line) {
            (None, "```sh") => open = Some((i + 2, String::new())),
            (Some(_), "```") => blocks.extend(open.take()),
            (Some((_, block)), line) => writeln!(block, "{line}").unwrap(),
            (None, _) => {}
        }
    }
    blocks
}

#[tokio::test]
async fn the_examples_of_the_management_page_work_as_they_are() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/management.md");
    let blocks = commands(&std::fs::read_to_string(page).unwrap());
    assert!(blocks.len() >= 6, "{} blocks", blocks.len());
    let registry = Managed::start(PROGRAM, |files| {
        files.settings = "[[quota]]\nrepositories = [\"team/**\"]\nmax_tags = 100\n".to_owned();
    });
    registry.admin().client.push_image("team/app", "1.0", "x").await;
    // One shell, so that variables of one example are there for the next.
    let mut script = "set -euo pipefail\n".to_owned();
    for (line, block) in &blocks {
        write!(script, "echo '--- line {line}' >&2\n{block}").unwrap();
    }
    let ran = Command::new("bash")
        .args(["-c", &script])
        .env("API", format!("http://{}/api/v1", registry.address()))
        .env("ADMIN", "admin:admin!")
        .current_dir(registry.dir())
        .output()
        .expect("bash runs");
    assert!(ran.status.success(), "{}\n{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
}
