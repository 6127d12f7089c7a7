//! Replacing one file of the configuration, wherever it lies: whoever reads it finds the old text
//! or the new one, whole, and of two who edit it at once neither loses the other's work.
//!
//! The file itself is locked, not its directory: that may be the storage root, which a daemon
//! holds for as long as it runs. A rename puts another file into the place of the locked one, so
//! whoever gets the lock looks whether the path still leads to what he has locked, and starts
//! again if not. Where there is no file yet there is nothing to lock; then the name is taken only
//! if it is still free.

use super::{Real, Sys, cause};
use bytes::Bytes;
use std::{
    fs::{File, Permissions, TryLockError},
    io::{self, Read},
    os::unix::fs::{MetadataExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// Longer files are somebody's mistake.
const LONGEST: u64 = 16 << 20;

/// Links on the way to one file before they are taken for a loop, as the kernel does.
const MOST_LINKS: usize = 40;

/// How long another's edit is waited for, and how long between two looks.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);

/// Reads a whole file; for what changes it, see [`replace`].
///
/// # Errors
/// The operating system's; `InvalidData` if it is too long.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_whole(&File::open(path)?)
}

/// Replaces what a file holds (`None`: there is no such file) by what `edit` makes of it. Durable
/// at return.
///
/// Links are followed, so that they stay and what they lead to is replaced. The new file has the
/// mode, the owner and the group of the old one; one that was not there is for its owner alone.
/// `edit` is called again if the file was replaced or made by somebody else meanwhile. A file
/// system that has lists of rights besides the mode forgets them, and a second hard link keeps
/// the old text.
///
/// # Errors
/// What `edit` refuses, and the operating system's errors, said so that they make sense to whoever
/// asked for the edit. Nothing was changed then, unless the message says so.
pub fn replace<E: From<io::Error>>(
    path: &Path,
    edit: impl FnMut(Option<&[u8]>) -> Result<Vec<u8>, E>,
) -> Result<(), E> {
    replace_within(PATIENCE, path, edit)
}

fn replace_within<E: From<io::Error>>(
    patience: Duration,
    path: &Path,
    mut edit: impl FnMut(Option<&[u8]>) -> Result<Vec<u8>, E>,
) -> Result<(), E> {
    let begun = Instant::now();
    while !attempt(path, &mut edit)? {
        if begun.elapsed() >= patience {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "somebody else holds a lock on it").into());
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Tries once; `false` if somebody else was faster.
fn attempt<E: From<io::Error>>(
    path: &Path,
    edit: &mut impl FnMut(Option<&[u8]>) -> Result<Vec<u8>, E>,
) -> Result<bool, E> {
    let (dir, name) = place(path)?;
    let sys = Real::open_root(&dir).map_err(because(&format!("cannot open the directory {}", dir.display())))?;
    // A lock over NFS needs the right to write. Where there is none a local lock does without.
    let opened = sys.open_rw(&name).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Err(error),
        _ => sys.open(&name),
    });
    let old = match opened {
        Ok(file) => Some(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(because("cannot read it")(error).into()),
    };
    let before = match &old {
        Some(file) if !lock(file, path)? => return Ok(false),
        Some(file) => Some(read_whole(file).map_err(because("cannot read it"))?),
        None => None,
    };
    let after = edit(before.as_deref())?;
    // Beside the file, for a rename does not cross file systems; named so that one left behind by
    // a crash tells whose it is.
    let temporary = format!(".{name}.{}", uuid::Uuid::new_v4().simple());
    let put = || {
        // For its owner alone as long as it is not known for whom else.
        let file = sys
            .create(&temporary, true)
            .map_err(because(&format!("cannot create a file in the directory {}", dir.display())))?;
        sys.write_at(&file, &[Bytes::from(after)], 0)?;
        if let Some(old) = &old {
            keep_rights(old, &file)?;
        }
        // Not only the data: mode and owner too are to be there after a crash.
        file.sync_all()?;
        match &old {
            Some(_) => sys.rename(&temporary, &name).map_err(explain_busy),
            None => sys.rename_new(&temporary, &name),
        }
    };
    if let Err(error) = put() {
        // It may not have been made, and if it cannot be removed the first error says why.
        let _ = sys.unlink(&temporary);
        let made_meanwhile = old.is_none() && error.kind() == io::ErrorKind::AlreadyExists;
        return if made_meanwhile { Ok(false) } else { Err(error.into()) };
    }
    sys.sync_dir(".").map_err(because("the change was made but cannot be synced, and a crash may undo it"))?;
    Ok(true)
}

/// Locks a file until it is closed; `false` if another has it, or it is no longer at this path.
fn lock(file: &File, path: &Path) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(false),
        Err(TryLockError::Error(error)) => return Err(because("cannot lock it")(error)),
    }
    let held = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (held.dev(), held.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives a new file the mode, the owner and the group of the old one.
fn keep_rights(old: &File, file: &File) -> io::Result<()> {
    let (old, new) = (old.metadata()?, file.metadata()?);
    if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
        // Another owner may be a daemon that could not read its file any more, another group
        // people who could now.
        let lost = format!("cannot keep its owner, user {} and group {}", old.uid(), old.gid());
        fchown(file, Some(old.uid()), Some(old.gid())).map_err(because(&lost))?;
    }
    file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))
}

/// The directory and the name a path leads to over all links, whether or not anything is there.
fn place(path: &Path) -> io::Result<(PathBuf, String)> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
        match std::fs::read_link(&path) {
            Ok(target) => path = dir.join(target),
            // No link, or nothing yet.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotFound) => {
                let name = path.file_name().and_then(|name| name.to_str());
                let name = name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it has no UTF-8 name"))?;
                return Ok((dir, name.to_owned()));
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

fn read_whole(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LONGEST {
        true => Err(io::Error::new(io::ErrorKind::InvalidData, format!("it has more than {LONGEST} bytes"))),
        false => Ok(bytes),
    }
}

/// The same error, saying what was not possible because of it.
fn because(what: &str) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{what}: {}", cause(&error)))
}

fn explain_busy(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::ResourceBusy => because(
            "the file is a mount point of its own, which cannot be replaced; mount its directory instead",
        )(error),
        _ => error,
    }
}

#[cfg(test)]
mod tests;
