//! Replaces one configuration file, wherever it is: a reader finds the whole old text or the whole new one, and if two
//! people edit it at once neither loses the other's work.
//!
//! The file itself is locked, not its directory: that may be the storage root, which a daemon locks for as long as it
//! runs. A rename replaces the locked file by another one, so whoever gets the lock checks whether the path still leads
//! to the file they have locked, and starts again if not. A file that does not exist cannot be locked; then the name is
//! taken only if it is still free.
//!
//! An editor knows nothing of this lock. So the new file and the old one are exchanged, and what came out is compared
//! with what the edit was based on: if an editor has replaced the file in between, its version is put back and the edit
//! starts again from there. Where the file system cannot exchange two files (NFS, FUSE, systems other than Linux), the
//! file is compared just before it is replaced, and a version that an editor puts there within these microseconds is
//! lost. An editor that writes into the old file after it was replaced shows in [`Replaced`].

use super::{Real, Sys, cause, regular::read_whole};
use bytes::Bytes;
use rustix::fs::{Access, AtFlags, CWD};
use std::{
    fs::{File, Metadata, Permissions, TryLockError},
    io::{self, Seek, SeekFrom},
    os::unix::fs::{MetadataExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// More links than this on a path count as a loop, as they do for the kernel.
const MOST_LINKS: usize = 40;

/// How long to wait for the edit of another process, and the time between two attempts.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);

/// Exchanges of one attempt. More mean that somebody replaces the file all the time.
const MOST_EXCHANGES: usize = 16;

/// A file that was replaced. The old one has no name any more, but somebody may hold it open and write to it.
#[derive(Debug)]
pub struct Replaced {
    old: Option<(File, Vec<u8>)>,
    dir: PathBuf,
    name: String,
}

/// A version of a file, and where it is.
#[derive(PartialEq, Eq)]
struct FileVersion {
    file: (u64, u64),
    text: Vec<u8>,
}

/// Replaces the contents of a file (`None` if it does not exist) by what `edit` returns. Durable at return.
///
/// Links are followed: they stay, and the file they lead to is replaced. The new file keeps the mode, the owner and the
/// group of the old one; a file that did not exist is readable by its owner only. `edit` is called again if somebody
/// else replaced or created the file in the meantime; if it returns the old contents, nothing is written. Access control
/// lists besides the mode are lost, and a second hard link keeps the old text.
///
/// # Errors
/// What `edit` refuses, or an error of the operating system, worded for the person who asked for the edit. Nothing was
/// changed then, unless the message says so.
pub fn replace<E: From<io::Error>>(
    path: &Path,
    edit: impl FnMut(Option<&[u8]>) -> Result<Vec<u8>, E>,
) -> Result<Replaced, E> {
    replace_within(PATIENCE, path, edit)
}

/// The same, waiting at most this long for the edits of others.
///
/// # Errors
/// As for [`replace`]; `TimedOut` after that time.
pub fn replace_within<E: From<io::Error>>(
    patience: Duration,
    path: &Path,
    mut edit: impl FnMut(Option<&[u8]>) -> Result<Vec<u8>, E>,
) -> Result<Replaced, E> {
    let begun = Instant::now();
    loop {
        if let Some(replaced) = attempt(path, &mut edit, &|| ())? {
            return Ok(replaced);
        }
        if begun.elapsed() >= patience {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "another process holds a lock on it").into());
        }
        thread::sleep(PAUSE);
    }
}

/// Checks whether a file could be replaced, as far as that can be known without writing anything: a file that is a mount
/// point of its own is found only by [`replace`].
///
/// # Errors
/// Why not, as for [`replace`].
pub fn check_replaceable(path: &Path) -> io::Result<()> {
    let (dir, _) = resolve(path)?;
    let access = Access::WRITE_OK | Access::EXEC_OK;
    rustix::fs::accessat(CWD, &dir, access, AtFlags::empty())
        .map_err(|error| context(&format!("cannot create a file in the directory {}", dir.display()))(error.into()))
}

/// Tries once; `None` if somebody else was faster. `before` is called at the last moment at which an editor can replace
/// the file unnoticed by anything but the exchange.
fn attempt<E: From<io::Error>>(
    path: &Path,
    edit: &mut impl FnMut(Option<&[u8]>) -> Result<Vec<u8>, E>,
    before: &dyn Fn(),
) -> Result<Option<Replaced>, E> {
    let (dir, name) = resolve(path)?;
    let sys = Real::open_root(&dir).map_err(context(&format!("cannot open the directory {}", dir.display())))?;
    // A lock over NFS needs the right to write. Without that right, a read-only lock suffices locally.
    let opened = sys.open_rw(&name).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Err(error),
        _ => sys.open(&name),
    });
    let old = match opened {
        Ok(file) if !lock(&file, path)? => return Ok(None),
        Ok(file) => {
            let held = FileVersion::of(&file).map_err(context("cannot read it"))?;
            Some((file, held))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(context("cannot read it")(error).into()),
    };
    let text = edit(old.as_ref().map(|(_, held)| held.text.as_slice()))?;
    if old.as_ref().is_some_and(|(_, held)| held.text == text) {
        return Ok(Some(Replaced { old: None, dir, name }));
    }
    // In the same directory, as a rename does not cross file systems; named so that a file left by a crash shows what
    // it belongs to.
    let temporary = format!(".{name}.{}", uuid::Uuid::new_v4().simple());
    // Readable by its owner only, until the rights of the old file are known.
    let new = sys
        .create(&temporary, true)
        .map_err(context(&format!("cannot create a file in the directory {}", dir.display())))?;
    let put = || {
        // Whoever sees it at its name before it is certain to stay there must wait.
        new.lock()?;
        sys.write_at(&new, &[Bytes::from(text)], 0)?;
        if let Some((old, _)) = &old {
            keep_rights(old, &new)?;
        }
        // Not only the data: mode and owner must survive a crash too.
        new.sync_all()?;
        match &old {
            None => sys.rename_new(&temporary, &name).map(|()| true),
            Some((_, held)) if FileVersion::at(&sys, &name)?.as_ref() != Some(held) => Ok(false),
            Some((_, held)) => {
                before();
                exchange(&sys, &temporary, &name, &new, held).map_err(explain_busy)
            }
        }
    };
    let put = put();
    // It is the old file now, or the new one that nobody needs. After an error it may be the only copy of somebody
    // else's version.
    let is_new =
        |held: Option<FileVersion>| held.is_some_and(|held| new.metadata().is_ok_and(|new| held.file == id(&new)));
    if put.is_ok() || FileVersion::at(&sys, &temporary).is_ok_and(is_new) {
        // If it cannot be removed, the first error says why.
        let _ = sys.unlink(&temporary);
    }
    match put {
        Ok(true) => {}
        Ok(false) => return Ok(None),
        // Made or removed by somebody else meanwhile.
        Err(error) if old.is_none() && error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) if old.is_some() && error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    sys.sync_dir(".").map_err(context("the change was made but cannot be synced, and a crash may undo it"))?;
    Ok(Some(Replaced { old: old.map(|(file, held)| (file, held.text)), dir, name }))
}

/// Puts the new file at `name` and what was there at `temporary`, if that is still `base`; `false` if not.
fn exchange(sys: &Real, temporary: &str, name: &str, new: &File, base: &FileVersion) -> io::Result<bool> {
    if !sys.exchange(temporary, name)? {
        // Reading took time. An editor that comes between this look and the rename is not noticed.
        let is_still_there = match sys.open(name) {
            Ok(file) => id(&file.metadata()?) == base.file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        return if is_still_there { sys.rename(temporary, name).map(|()| true) } else { Ok(false) };
    }
    let out = || FileVersion::at(sys, temporary)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound));
    let mut found = out()?;
    if found == *base {
        return Ok(true);
    }
    // Somebody's version came out: it goes back. Whatever then comes out and is not what was just put there is newer
    // still, and goes back in turn.
    let mut put = FileVersion::of(new)?;
    for _ in 0..MOST_EXCHANGES {
        sys.exchange(temporary, name)?;
        let next = out()?;
        if next == put {
            return Ok(false);
        }
        put = std::mem::replace(&mut found, next);
    }
    let message = format!("another program keeps replacing it; one of its versions is in {temporary}");
    Err(io::Error::other(message))
}

impl FileVersion {
    /// An open file, from its start.
    fn of(mut file: &File) -> io::Result<Self> {
        file.seek(SeekFrom::Start(0))?;
        Ok(Self { file: id(&file.metadata()?), text: read_whole(file)? })
    }

    /// What is at a name.
    fn at(sys: &Real, name: &str) -> io::Result<Option<Self>> {
        match sys.open(name) {
            Ok(file) => Self::of(&file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Replaced {
    /// Whether anything was written.
    pub fn has_changed(&self) -> bool {
        self.old.is_some()
    }

    /// Whether somebody wrote to the old file since it was replaced. What they wrote is saved beside it, and the name of
    /// that file is returned.
    ///
    /// # Errors
    /// The operating system's.
    pub fn save_late_writes(&self) -> io::Result<Option<PathBuf>> {
        let Some((file, text)) = &self.old else { return Ok(None) };
        let written = FileVersion::of(file)?.text;
        if written == *text {
            return Ok(None);
        }
        let sys = Real::open_root(&self.dir)?;
        let name = format!(".{}.lost-{}", self.name, uuid::Uuid::new_v4().simple());
        let saved = sys.create(&name, true)?;
        sys.write_at(&saved, &[Bytes::from(written)], 0)?;
        keep_rights(file, &saved)?;
        saved.sync_all()?;
        sys.sync_dir(".")?;
        Ok(Some(self.dir.join(name)))
    }
}
/// What tells a file from all others.
fn id(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// Locks a file until it is closed; `false` if another process has locked it, or it is no longer at this path.
fn lock(file: &File, path: &Path) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(false),
        Err(TryLockError::Error(error)) => return Err(context("cannot lock it")(error)),
    }
    let held = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok(id(&there) == id(&held)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives a new file the mode, the owner and the group of the old one.
fn keep_rights(old: &File, file: &File) -> io::Result<()> {
    let (old, new) = (old.metadata()?, file.metadata()?);
    if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
        // A daemon with another owner could not read its file any more, and another group might gain access.
        let lost = format!("cannot keep its owner, user {} and group {}", old.uid(), old.gid());
        fchown(file, Some(old.uid()), Some(old.gid())).map_err(context(&lost))?;
    }
    file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))
}

/// The directory and the name to which a path leads, following all links, whether or not the file exists.
fn resolve(path: &Path) -> io::Result<(PathBuf, String)> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
        match std::fs::read_link(&path) {
            Ok(target) => path = dir.join(target),
            // Not a link, or nothing there yet.
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

/// The same error, with a text that says what failed because of it.
fn context(what: &str) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{what}: {}", cause(&error)))
}

fn explain_busy(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::ResourceBusy => context(
            "the file is a mount point of its own, which cannot be replaced; mount its directory instead",
        )(error),
        _ => error,
    }
}

#[cfg(test)]
mod tests;
