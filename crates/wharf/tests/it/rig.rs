//! The program with a home of its own, and the daemon that it speaks to.

use serde_json::Value;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
};
use tempfile::TempDir;
use testing::managed::{Files, Managed};

/// Somebody with a home directory who types commands.
pub struct Person {
    home: TempDir,
    server: String,
}

/// What a command printed, and its exit status.
pub struct Typed {
    pub status: i32,
    pub out: String,
    pub err: String,
}

/// The daemon, which cargo puts beside the program when it tests the workspace. Alone, this package does not build it.
pub fn daemon() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = Path::new(env!("CARGO_BIN_EXE_wharf")).with_file_name("wharfinger");
        if !program.exists() {
            let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
            let built = Command::new(cargo).args(["build", "--package", "wharfinger", "--bin", "wharfinger"]).status();
            assert!(built.expect("cargo").success(), "the daemon is needed");
        }
        program.to_str().expect("a path of text").to_owned()
    })
}

/// A registry with the users `admin`, `alice` and `bob`, where users have what is below their names.
/// Alice may have sessions, and bob may not.
pub fn registry(change: impl FnOnce(&mut Files)) -> Managed {
    Managed::start(daemon(), |files| {
        files.rules = r#"{
  "defaultPolicy": "deny",
  "adminUsers": ["admin"],
  "groups": { "staff": { "members": ["alice"], "roles": ["anonymous"] } },
  "rules": [{ "repository": "${user}/**", "users": ["*"], "permissions": ["pull", "push", "delete"] }]
}
"#
        .to_owned();
        files.vars.push(("REGISTRY_AUTH_TOKEN_SIGNINGKEY", "auto".into()));
        change(files);
    })
}

/// The password of the users of [`Managed`].
pub fn password(user: &str) -> String {
    format!("{user}!")
}

impl Person {
    /// Somebody who is not logged in anywhere.
    pub fn new(registry: &Managed) -> Self {
        Self { home: tempfile::tempdir().unwrap(), server: registry.address().to_string() }
    }

    /// Somebody who is logged in.
    pub fn logged_in(registry: &Managed, user: &str) -> Self {
        let person = Self::new(registry);
        let server = person.server.clone();
        person.types_with(&password(user), &["login", &server, "-u", user, "--password-stdin"]).succeeds();
        person
    }

    /// The server's address.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The path of a file in the home directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Writes a file to the home directory.
    pub fn has(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// A command to be run in the home directory.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
        for variable in ["XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "NO_COLOR"] {
            command.env_remove(variable);
        }
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WHARF_")) {
            command.env_remove(name);
        }
        command.args(args).env("HOME", self.home.path()).current_dir(self.home.path());
        command
    }

    /// Types a command.
    pub fn types(&self, args: &[&str]) -> Typed {
        self.types_with("", args)
    }

    /// Types a command, with this on stdin.
    pub fn types_with(&self, stdin: &str, args: &[&str]) -> Typed {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        child.wait_with_output().unwrap().into()
    }

    /// Makes a directory with an image in the OCI layout; returns its digest.
    pub fn has_image(&self, directory: &str, seed: u64) -> String {
        let layer = testing::content::noise(200_000, seed);
        let config = format!(
            r#"{{"architecture":"amd64","os":"linux","config":{{"Cmd":["/hello"]}},"rootfs":{{"type":"layers","diff_ids":["{}"]}},"history":[{{"created":"2026-01-01T00:00:00Z","created_by":"COPY hello /"}}]}}"#,
            testing::content::sha256(&layer)
        );
        let manifest = testing::content::image(
            &testing::content::descriptor("application/vnd.oci.image.config.v1+json", config.as_bytes()),
            &[testing::content::descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
        );
        let manifest = manifest.to_string();
        let digest = testing::content::sha256(manifest.as_bytes());
        for blob in [&layer[..], config.as_bytes(), manifest.as_bytes()] {
            let name = testing::content::sha256(blob).replace(':', "/");
            self.has(&format!("{directory}/blobs/{name}"), blob);
        }
        let entry = testing::content::descriptor("application/vnd.oci.image.manifest.v1+json", manifest.as_bytes());
        self.has(&format!("{directory}/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#);
        self.has(&format!("{directory}/index.json"), testing::content::index(&[entry]).to_string());
        digest
    }
}

impl From<Output> for Typed {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Self { status: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Typed {
    /// What it printed, if it succeeded.
    #[track_caller]
    pub fn succeeds(self) -> String {
        assert_eq!(self.status, 0, "stdout: {}\nstderr: {}", self.out, self.err);
        self.out
    }

    /// What it printed as JSON, if it succeeded.
    #[track_caller]
    pub fn json(self) -> Value {
        let out = self.succeeds();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// What it said on stderr, if it failed with this status.
    #[track_caller]
    pub fn fails(self, status: i32) -> String {
        assert_eq!(self.status, status, "stdout: {}\nstderr: {}", self.out, self.err);
        self.err
    }
}
