//! Resolves the symbolic links on the path of a file.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

/// Links on the path of one file before they are treated as a loop, as in the kernel.
const MOST_LINKS: usize = 40;

/// Symbolic links, each read once; `None` for a path that is not a link.
#[derive(Clone, Default)]
pub(super) struct Links(HashMap<PathBuf, Option<PathBuf>>);

/// The result of resolving a path.
pub(super) struct Way {
    /// The path without any symbolic link.
    pub(super) real: PathBuf,
    /// The symbolic links on the way.
    pub(super) links: Vec<PathBuf>,
    /// The directories on the way, those of the links included.
    pub(super) dirs: Vec<PathBuf>,
}

impl Links {
    /// Follows every symbolic link of a path, in its directories too.
    pub(super) fn resolve(&mut self, path: &Path) -> io::Result<Way> {
        let path = std::path::absolute(path)?;
        let mut left: Vec<PathBuf> = parts(&path);
        let mut real = PathBuf::from("/");
        let (mut links, mut dirs) = (Vec::new(), Vec::new());
        while let Some(part) = left.pop() {
            if part == Path::new("..") {
                real.pop();
                continue;
            }
            dirs.push(real.clone());
            real.push(&part);
            if let Some(target) = self.target(&real) {
                links.push(real.clone());
                if links.len() > MOST_LINKS {
                    return Err(io::Error::other("too many symbolic links"));
                }
                real.pop();
                if target.is_absolute() {
                    real = PathBuf::from("/");
                }
                left.extend(parts(&target));
            }
        }
        Ok(Way { real, links, dirs })
    }

    fn target(&mut self, path: &Path) -> Option<PathBuf> {
        let read = || fs::read_link(path).ok();
        self.0.entry(path.to_owned()).or_insert_with(read).clone()
    }

    /// Whether some link has changed since it was read.
    pub(super) fn have_moved(&self) -> bool {
        self.0.iter().any(|(path, target)| target.is_some() && fs::read_link(path).ok() != *target)
    }
}

/// The components of a path, in reverse order.
fn parts(path: &Path) -> Vec<PathBuf> {
    let named = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(PathBuf::from(name)),
        Component::ParentDir => Some(PathBuf::from("..")),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    });
    let mut parts: Vec<_> = named.collect();
    parts.reverse();
    parts
}
