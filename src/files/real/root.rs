//! Creating the root directory itself.

use super::Real;
use rustix::{
    fs::{self, Access, Mode, OFlags},
    io::Errno,
};
use std::{io, path::Path};

impl Real {
    /// Creates the root directory and those above it if they do not exist. Returns whether anything was created.
    ///
    /// # Errors
    /// As `mkdir(2)` and `fsync(2)` give them.
    pub fn make_root(path: &Path) -> io::Result<bool> {
        let group = Mode::RWXU | Mode::RGRP | Mode::XGRP;
        let mut missing = Vec::new();
        for dir in path.ancestors().filter(|dir| !dir.as_os_str().is_empty()) {
            match fs::stat(dir) {
                Err(Errno::NOENT) => missing.push(dir),
                stat => {
                    stat?;
                    break;
                }
            }
        }
        for dir in missing.iter().rev() {
            let mode = if *dir == path { group } else { group | Mode::ROTH | Mode::XOTH };
            match fs::mkdir(*dir, mode) {
                Err(Errno::EXIST) => {}
                made => made?,
            }
            let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            fs::fsync(fs::open(parent, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)?;
        }
        Ok(!missing.is_empty())
    }

    /// Whether this user could create the root directory.
    ///
    /// # Errors
    /// The error with which its creation would probably fail.
    pub fn may_make_root(path: &Path) -> io::Result<()> {
        let parents = path.ancestors().skip(1);
        let parents = parents.map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir });
        for dir in parents {
            match fs::lstat(dir) {
                Err(Errno::NOENT) => {}
                stat => {
                    stat?;
                    return Ok(fs::access(dir, Access::WRITE_OK | Access::EXEC_OK)?);
                }
            }
        }
        Ok(())
    }
}
