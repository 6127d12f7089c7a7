//! The rows of variables for an SFTP server.

use super::variable::{Applies, SECRET, Var};

const SECTION: &str = "SFTP";

/// A row; everything here is read at startup.
const fn row(
    (name, flag): (&'static str, &'static str),
    takes: &'static str,
    default: Option<&'static str>,
    example: &'static str,
    help: &'static str,
) -> Var {
    Var { section: SECTION, name, flag, takes, default, example, help, applies: Applies::Restart }
}

pub(super) const SFTP: &[Var] = &[
    row(
        ("REGISTRY_SFTP_HOST", "sftp-host"),
        "HOST",
        None,
        "storage.example.com",
        "Host name or address of the SFTP server of REGISTRY_STORAGE=sftp.",
    ),
    row(("REGISTRY_SFTP_PORT", "sftp-port"), "PORT", Some("22"), "23", "Port of the SFTP server."),
    row(
        ("REGISTRY_SFTP_USERNAME", "sftp-username"),
        "NAME",
        None,
        "registry",
        "User to log in as, with a password or a private key.",
    ),
    row(("REGISTRY_SFTP_PASSWORD", ""), SECRET, None, "correct-horse", "Password of that user."),
    row(
        ("REGISTRY_SFTP_PASSWORD_FILE", "sftp-password-file"),
        "PATH",
        None,
        "/run/secrets/sftp-password",
        "File with the password.",
    ),
    row(
        ("REGISTRY_SFTP_KEY", ""),
        SECRET,
        None,
        "b3BlbnNzaC1rZXk",
        "Private key of that user: ed25519, RSA or ECDSA, without a passphrase. Line ends may be written as `\\n`.",
    ),
    row(
        ("REGISTRY_SFTP_KEY_FILE", "sftp-key-file"),
        "PATH",
        None,
        "/run/secrets/sftp-key",
        "File with the private key.",
    ),
    row(
        ("REGISTRY_SFTP_KNOWN_HOSTS", "sftp-known-hosts"),
        "PATH|accept-new:PATH|SHA256:…",
        None,
        "/etc/wharfinger/known_hosts",
        "Which host keys the server may have: a known_hosts file; the same file, which also learns a server that is not in it; or the fingerprint of one key. A changed key is always refused.",
    ),
    row(
        ("REGISTRY_SFTP_ROOT", "sftp-root"),
        "DIRECTORY",
        Some("registry"),
        "registry",
        "Directory on the server that holds everything that is pushed; relative to where the server puts the user.",
    ),
    row(
        ("REGISTRY_SFTP_CONNECTIONS", "sftp-connections"),
        "NUMBER",
        Some("4"),
        "4",
        "Most connections to the server at once, and most uploads at once with write-behind.",
    ),
    row(
        ("REGISTRY_SFTP_WRITE_BEHIND", "sftp-write-behind"),
        "true|false",
        Some("false"),
        "true",
        "Whether a push is answered when it is durable in the journal (`sftp/outbox` in REGISTRY_STORAGE_PATH) and uploaded later.",
    ),
    row(
        ("REGISTRY_SFTP_JOURNAL_LIMIT", "sftp-journal-limit"),
        "SIZE",
        Some("20GiB"),
        "20GiB",
        "Most bytes in the journal that are not uploaded yet; pushes beyond it are refused.",
    ),
    row(
        ("REGISTRY_SFTP_TAKEOVER", "sftp-takeover"),
        "true|false",
        Some("false"),
        "false",
        "Take the store over from another registry, which must not run any more. For one start only.",
    ),
    row(
        ("REGISTRY_SFTP_READ_ONLY", "sftp-read-only"),
        "true|false",
        Some("false"),
        "true",
        "Serve pulls beside the registry that writes to the store. Takes no lock, and refuses everything that writes.",
    ),
    row(
        ("HETZNER_BOX_ID", "hetzner-box-id"),
        "NUMBER",
        None,
        "12345",
        "Storage Box of Hetzner whose usage is shown, as Hetzner's API reports it. Needs a token.",
    ),
    row(
        ("HCLOUD_TOKEN", ""),
        SECRET,
        None,
        "jEheVytlAoFl7F8MqUQ7jAo2hOXASztX",
        "Token for Hetzner's API; read access is enough. Used only with `HETZNER_BOX_ID`.",
    ),
    row(("HCLOUD_TOKEN_FILE", "hcloud-token-file"), "PATH", None, "/run/secrets/hcloud-token", "File with that token."),
    row(
        ("HETZNER_ENDPOINT", "hetzner-endpoint"),
        "URL",
        Some("https://api.hetzner.com/v1"),
        "https://api.hetzner.com/v1",
        "Address of Hetzner's API.",
    ),
];
