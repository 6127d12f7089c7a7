//! Configuration files that are no longer files: the reader must neither hang nor exit.

use super::*;
use crate::PROGRAM;
use rustix::fs::{CWD, Mode, mkfifoat};
use std::process::{Command, Output};

/// Replaces a file by a fifo. Opening it as a file waits for a writer that never comes.
fn put_fifo(path: &Path) {
    std::fs::remove_file(path).unwrap();
    mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).unwrap();
}

#[tokio::test]
async fn a_fifo_in_place_of_a_file_delays_neither_the_others_nor_the_shutdown() {
    for name in ["htpasswd", "rules.json", "settings.toml"] {
        let mut place = Place::start(false);
        place.write("settings.toml", "[server]\nshutdown_lag_seconds = 0\n");
        put_fifo(&place.conf.join(name));
        place.daemon.until(SOON, "reported", async || place.config().await["current"] == false).await;
        let problem = place.config().await["problems"][0].as_str().unwrap().to_owned();
        assert!(problem.contains(&format!("{name}: ")), "{problem}");
        assert!(problem.ends_with("cannot be read: it is not a regular file"), "{problem}");
        assert_eq!(place.push("alice").await, 201, "{name}: its previous version stays active");
        // The others are followed.
        if name == "htpasswd" {
            place.write("rules.json", &rules("bob"));
            place.soon("bob", 201, "other rules").await;
        } else {
            place.write("htpasswd", &line("bob"));
            place.soon("alice", 401, "a user removed").await;
        }
        // And so is the file itself, once it is a file again.
        std::fs::remove_file(place.conf.join(name)).unwrap();
        match name {
            "htpasswd" => place.write(name, &line("bob")),
            "rules.json" => place.write(name, &rules("bob")),
            _ => place.write(name, "# nothing\n"),
        }
        place.daemon.until(SOON, "mended", async || place.config().await["current"] == true).await;

        put_fifo(&place.conf.join(name));
        place.daemon.signal("HUP");
        tokio::time::sleep(Duration::from_millis(300)).await;
        place.daemon.signal("TERM");
        assert!(place.daemon.wait(Duration::from_secs(10)).success(), "{name}");
    }
}

/// Runs the program in the directory of `.env`, and waits a limited time for it to end.
fn run(dir: &Path, args: &[&str], vars: &[(&str, &str)]) -> Output {
    let mut command = Command::new("timeout");
    command.arg("20").arg(PROGRAM).args(args);
    testing::daemon::over(&mut command, &dir.join("data"), vars).output().unwrap()
}

#[test]
fn no_command_hangs_on_a_fifo_in_place_of_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
    let fifo = path.to_str().unwrap();
    let sets: [&[(&str, &str)]; 6] = [
        &[("REGISTRY_SETTINGS", fifo)],
        &[("REGISTRY_AUTH_TYPE", "basic"), ("REGISTRY_AUTH_HTPASSWD", fifo)],
        &[("REGISTRY_ACCESS_CONTROL_ENABLED", "true"), ("REGISTRY_ACCESS_CONTROL_CONFIG", fifo)],
        &[("REGISTRY_TLS_CERT", fifo), ("REGISTRY_TLS_KEY", fifo), ("REGISTRY_TLS_CLIENT_CA", fifo)],
        &[
            ("REGISTRY_AUTH_TYPE", "token"),
            ("REGISTRY_AUTH_TOKEN_REALM", "https://auth.example.com/token"),
            ("REGISTRY_AUTH_TOKEN_SERVICE", "registry"),
            ("REGISTRY_AUTH_TOKEN_ISSUER", "auth"),
            ("REGISTRY_AUTH_TOKEN_PUBLICKEY", fifo),
        ],
        &[("REGISTRY_AUTH_TYPE", "basic"), ("REGISTRY_AUTH_HTPASSWD", fifo), ("REGISTRY_AUTH_TOKEN_SIGNINGKEY", fifo)],
    ];
    let commands: [&[&str]; 4] = [&["check"], &["explain", "alice", "pull", "app"], &["plan"], &["serve"]];
    let refused = |args: &[&str], vars: &[(&str, &str)], word: &str| {
        let output = run(dir.path(), args, vars);
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(1 | 78)), "{args:?} {vars:?}: {:?} {printed}", output.status);
        assert!(printed.contains(word), "{args:?} {vars:?}: {printed}");
    };
    for vars in sets {
        for args in commands {
            refused(args, vars, "it is not a regular file");
        }
    }
    refused(&["htpasswd", "list", "--file", fifo], &[], "not a regular file");
    refused(&["htpasswd", "delete", "alice", "--file", fifo], &[], "not a regular file");
    std::fs::rename(&path, dir.path().join(".env")).unwrap();
    for args in commands {
        refused(args, &[], ".env: cannot read the file: it is not a regular file");
    }
}
