//! Which host keys a server may have. A server that cannot prove one of them is not trusted with anything.

use super::SftpTrouble;
use crate::files::{regular, replace};
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use russh::keys::{Algorithm, HashAlg, PublicKey};
use std::{
    fmt, io,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Where the host key comes from: `REGISTRY_SFTP_KNOWN_HOSTS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostTrust {
    /// A file in the format of OpenSSH. A server that is not in it is refused.
    KnownHosts(PathBuf),
    /// The same file. A server of which it has no key yet is trusted this once, and its key is added. A changed key is
    /// refused.
    AcceptNew(PathBuf),
    /// The fingerprint of the one key that is accepted, as `SHA256:…`.
    Pinned(String),
}

impl FromStr for HostTrust {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("SHA256:") {
            let fingerprint: Result<russh::keys::ssh_key::Fingerprint, _> = text.parse();
            return match fingerprint {
                Ok(fingerprint) => Ok(Self::Pinned(fingerprint.to_string())),
                Err(_) => Err("is not a fingerprint; `ssh-keygen -lf <file>` prints one like SHA256:…".into()),
            };
        }
        match text.strip_prefix("accept-new:") {
            Some("") => Err("names no file; write accept-new:<path of a known_hosts file>".into()),
            Some(path) => Ok(Self::AcceptNew(path.into())),
            None if text == "accept-new" => Err("needs a file; write accept-new:<path of a known_hosts file>".into()),
            None => Ok(Self::KnownHosts(text.into())),
        }
    }
}

impl fmt::Display for HostTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KnownHosts(path) => write!(f, "{}", path.display()),
            Self::AcceptNew(path) => write!(f, "accept-new:{}", path.display()),
            Self::Pinned(fingerprint) => f.write_str(fingerprint),
        }
    }
}

/// One key that the file has for the server.
#[derive(Debug)]
struct RecordedKey {
    line: usize,
    key: PublicKey,
    revoked: bool,
}

impl HostTrust {
    /// The algorithms of the known keys, so that the server is asked for one of those: it may have several keys.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn algorithms(&self, host: &str, port: u16) -> Result<Vec<Algorithm>, SftpTrouble> {
        let recorded = match self {
            Self::KnownHosts(path) => recorded(&read(path)?, host, port),
            Self::AcceptNew(path) => recorded(&read_or_empty(path)?, host, port),
            Self::Pinned(_) => Vec::new(),
        };
        let mut algorithms = Vec::new();
        for recorded in recorded.iter().filter(|recorded| !recorded.revoked) {
            match recorded.key.algorithm() {
                // One kind of key, three ways of signing with it; the oldest is broken.
                Algorithm::Rsa { .. } => {
                    algorithms.push(Algorithm::Rsa { hash: Some(HashAlg::Sha512) });
                    algorithms.push(Algorithm::Rsa { hash: Some(HashAlg::Sha256) });
                }
                algorithm => algorithms.push(algorithm),
            }
        }
        Ok(algorithms)
    }

    /// Checks the key that a server has proved to have.
    ///
    /// # Errors
    /// [`SftpTrouble::HostKey`] with what to do, or the file cannot be read or written.
    pub(super) fn check(&self, host: &str, port: u16, key: &PublicKey) -> Result<(), SftpTrouble> {
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        let place = host_port(host, port);
        let (path, may_add) = match self {
            Self::Pinned(pinned) if *pinned == fingerprint => return Ok(()),
            Self::Pinned(pinned) => {
                return Err(SftpTrouble::HostKey(format!(
                    "{place} has the host key {fingerprint}, and REGISTRY_SFTP_KNOWN_HOSTS expects {pinned}; if the \
                     server's key was really replaced, set the new fingerprint"
                )));
            }
            Self::KnownHosts(path) => (path, false),
            Self::AcceptNew(path) => (path, true),
        };
        let text = if may_add { read_or_empty(path)? } else { read(path)? };
        let recorded = recorded(&text, host, port);
        let same = |recorded: &&RecordedKey| recorded.key.key_data() == key.key_data();
        if let Some(revoked) = recorded.iter().filter(same).find(|recorded| recorded.revoked) {
            return Err(SftpTrouble::HostKey(format!(
                "the host key {fingerprint} of {place} is revoked by {}:{}",
                path.display(),
                revoked.line
            )));
        }
        if recorded.iter().any(|recorded| same(&recorded)) {
            return Ok(());
        }
        if let Some(other) = recorded.iter().find(|recorded| !recorded.revoked) {
            return Err(SftpTrouble::HostKey(format!(
                "THE HOST KEY OF {place} HAS CHANGED: it is now {fingerprint} ({}), but {}:{} has {}. Somebody may be \
                 intercepting the connection. If the server's key was really replaced, remove that line and add the \
                 new key",
                key.algorithm(),
                path.display(),
                other.line,
                other.key.fingerprint(HashAlg::Sha256),
            )));
        }
        if !may_add {
            return Err(SftpTrouble::HostKey(format!(
                "the host key {fingerprint} of {place} is not in {}; compare it with the server's and add it: \
                 ssh-keyscan -p {port} {host} >> {}",
                path.display(),
                path.display(),
            )));
        }
        let line = key.to_openssh().map_err(|error| SftpTrouble::HostKey(error.to_string()))?;
        add(path, &format!("{place} {line}\n"))?;
        tracing::warn!(file = %path.display(), %fingerprint, "trusted the SFTP server's unknown host key and recorded it (accept-new)");
        Ok(())
    }
}

fn host_port(host: &str, port: u16) -> String {
    if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") }
}

fn read(path: &Path) -> Result<String, SftpTrouble> {
    let text = regular::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    text.map_err(|error| {
        SftpTrouble::HostKey(format!("cannot read REGISTRY_SFTP_KNOWN_HOSTS {}: {error}", path.display()))
    })
}

fn read_or_empty(path: &Path) -> Result<String, SftpTrouble> {
    match regular::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        _ => read(path),
    }
}

fn add(path: &Path, line: &str) -> Result<(), SftpTrouble> {
    let added = replace::replace(path, |old| -> io::Result<Vec<u8>> {
        let mut text = old.unwrap_or_default().to_vec();
        if text.last().is_some_and(|last| *last != b'\n') {
            text.push(b'\n');
        }
        text.extend_from_slice(line.as_bytes());
        Ok(text)
    });
    added.map(drop).map_err(|error| {
        SftpTrouble::HostKey(format!("cannot add the server's host key to {}: {error}", path.display()))
    })
}

/// The keys that a known_hosts file has for this server.
fn recorded(text: &str, host: &str, port: u16) -> Vec<RecordedKey> {
    let place = host_port(host, port);
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut words = line.split_ascii_whitespace();
        let Some(first) = words.next().filter(|first| !first.starts_with('#')) else { continue };
        let (revoked, hosts) = match first {
            "@revoked" => (true, words.next()),
            // Certificates are not asked for.
            first if first.starts_with('@') => continue,
            first => (false, Some(first)),
        };
        let (Some(hosts), Some(kind), Some(key)) = (hosts, words.next(), words.next()) else { continue };
        if !is_for(hosts, &place) {
            continue;
        }
        match PublicKey::from_openssh(&format!("{kind} {key}")) {
            Ok(key) => found.push(RecordedKey { line: number + 1, key, revoked }),
            Err(error) => tracing::warn!(line = number + 1, %error, "ignored a line of the known_hosts file"),
        }
    }
    found
}

/// Whether a line for these hosts is for this one: names, patterns with `*` and `?`, `!` before what is excluded, and
/// hashed names.
fn is_for(hosts: &str, place: &str) -> bool {
    let mut found = false;
    for entry in hosts.split(',') {
        if let Some(hashed) = entry.strip_prefix("|1|") {
            found |= is_hash_of(hashed, place);
        } else if let Some(excluded) = entry.strip_prefix('!') {
            if matches(excluded.as_bytes(), place.as_bytes()) {
                return false;
            }
        } else {
            found |= matches(entry.as_bytes(), place.as_bytes());
        }
    }
    found
}

fn is_hash_of(hashed: &str, place: &str) -> bool {
    let Some((salt, hash)) = hashed.split_once('|') else { return false };
    let (Ok(salt), Ok(hash)) = (STANDARD.decode(salt), STANDARD.decode(hash)) else { return false };
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
    hmac::verify(&key, place.as_bytes(), &hash).is_ok()
}

fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            matches(rest, text) || text.split_first().is_some_and(|(_, text)| matches(pattern, text))
        }
        (Some((b'?', rest)), Some((_, text))) => matches(rest, text),
        (Some((p, rest)), Some((t, text))) => p.eq_ignore_ascii_case(t) && matches(rest, text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const TWO: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";

    fn key(text: &str) -> PublicKey {
        PublicKey::from_openssh(text).unwrap()
    }

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known_hosts");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn a_known_key_is_accepted_and_any_other_is_refused_with_words() {
        let (_dir, path) = file(&format!("# box\n[box.test]:23 {ONE}\nother.test {TWO}\n"));
        let trust = HostTrust::KnownHosts(path);
        trust.check("box.test", 23, &key(ONE)).unwrap();
        let changed = trust.check("box.test", 23, &key(TWO)).unwrap_err().to_string();
        assert!(changed.contains("HAS CHANGED") && changed.contains("known_hosts:2"), "{changed}");
        let unknown = trust.check("box.test", 22, &key(ONE)).unwrap_err().to_string();
        assert!(unknown.contains("ssh-keyscan -p 22 box.test"), "{unknown}");
        let missing = HostTrust::KnownHosts("/nowhere".into()).check("box.test", 22, &key(ONE)).unwrap_err();
        assert!(missing.to_string().contains("/nowhere"), "{missing}");
    }

    #[test]
    fn a_new_host_is_recorded_once_and_only_where_that_was_asked_for() {
        let (_dir, path) = file("other.test ssh-ed25519 broken");
        let trust = HostTrust::AcceptNew(path.clone());
        trust.check("box.test", 22, &key(ONE)).unwrap();
        trust.check("box.test", 22, &key(ONE)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("other.test ssh-ed25519 broken\nbox.test {ONE}\n"));
        let changed = trust.check("box.test", 22, &key(TWO)).unwrap_err().to_string();
        assert!(changed.contains("HAS CHANGED"), "{changed}");
    }

    #[test]
    fn revoked_keys_hashed_names_and_patterns_are_understood() {
        let hashed = "|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak=";
        let (_dir, path) = file(&format!("{hashed} {ONE}\n*.test,!no.test {ONE}\n@revoked bad.test {ONE}\n"));
        let trust = HostTrust::KnownHosts(path);
        trust.check("example.com", 22, &key(ONE)).unwrap();
        trust.check("a.test", 22, &key(ONE)).unwrap();
        trust.check("no.test", 22, &key(ONE)).unwrap_err();
        let revoked = trust.check("bad.test", 22, &key(ONE)).unwrap_err().to_string();
        assert!(revoked.contains("revoked"), "{revoked}");
    }

    #[test]
    fn trust_is_parsed_and_never_silent() {
        assert_eq!("/etc/known".parse(), Ok(HostTrust::KnownHosts("/etc/known".into())));
        assert_eq!("accept-new:/a".parse(), Ok(HostTrust::AcceptNew("/a".into())));
        assert!("accept-new".parse::<HostTrust>().is_err() && "accept-new:".parse::<HostTrust>().is_err());
        assert!("SHA256:x".parse::<HostTrust>().is_err());
        let pinned = key(ONE).fingerprint(HashAlg::Sha256).to_string();
        let trust: HostTrust = pinned.parse().unwrap();
        trust.check("any", 1, &key(ONE)).unwrap();
        trust.check("any", 1, &key(TWO)).unwrap_err();
    }
}
