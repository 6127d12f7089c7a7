//! Records in the audit log what commands change, beside a running daemon.

use super::complain;
use crate::{
    config::Env,
    daemon::check_owner,
    files::regular,
    manage::{append_entry, entry_time},
    storage::OpenStore,
};
use api::audit::{AuditEntry, AuditFile};
use std::path::Path;

/// Records a change that was made. If that fails, the change stays, and the person is told.
pub(super) async fn record(
    store: &OpenStore,
    env: &Env,
    action: &str,
    target: impl Into<String>,
    files: Vec<AuditFile>,
) {
    let entry = AuditEntry {
        time: entry_time(),
        actor: caller(),
        from: Some("command line".to_owned()),
        action: action.to_owned(),
        target: target.into(),
        files,
        ..AuditEntry::default()
    };
    let recorded = match check_owner(env, store) {
        Ok(()) => append_entry(&*store.records, &entry).await.map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    if let Err(error) = recorded {
        complain(format_args!("the change was made, but is not in the audit log: {error}"));
    }
}

/// The user of the operating system who runs the command, by name if there is one.
fn caller() -> String {
    let uid = rustix::process::getuid().as_raw();
    let users = regular::read(Path::new("/etc/passwd")).unwrap_or_default();
    name_of(uid, &String::from_utf8_lossy(&users)).unwrap_or_else(|| format!("uid {uid}"))
}

/// The name of a user in the text of `/etc/passwd`.
fn name_of(uid: u32, users: &str) -> Option<String> {
    let uid = uid.to_string();
    let is_theirs = |line: &&str| line.split(':').nth(2) == Some(&uid);
    let name = users.lines().find(is_theirs)?.split(':').next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_of_the_system_has_a_name_or_a_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\n\nbroken\nada:x:1000:1000::/home/ada:/bin/sh\n:x:7:7::/:\n";
        assert_eq!(name_of(0, users).as_deref(), Some("root"));
        assert_eq!(name_of(1000, users).as_deref(), Some("ada"));
        assert_eq!([7, 100, 10].map(|uid| name_of(uid, users)), [None, None, None]);
    }
}
