//! A file system in memory that knows what is durable, and so what a power failure leaves.
//!
//! It is harsher than any real one. Of the changes to a directory that was not synced, the failure keeps or drops each
//! one, even each half of a rename; of a file that was not synced it keeps the old bytes, the new ones, or a mixture.
//!
//! It makes one promise, as every file system with a journal does: when a durable name is moved, the file does not lose
//! both its old and its new name, unless the old directory is synced first.

use super::chance::Chance;
use crate::files::{FileKind, Meta};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
    time::SystemTime,
};

/// The number of a file or directory; zero is the root.
pub(crate) type Inode = usize;

/// Errors as Linux numbers them.
pub(super) const NOENT: i32 = 2;
const EXIST: i32 = 17;
const NOTDIR: i32 = 20;
const ISDIR: i32 = 21;
const NOTEMPTY: i32 = 39;

/// All files and directories.
#[derive(Clone)]
pub(crate) struct Disk {
    nodes: Vec<DiskNode>,
    /// Moves of durable names, neither of whose directories was synced since.
    moves: Vec<Move>,
}

#[derive(Clone)]
struct Move {
    inode: Inode,
    from: (Inode, Arc<str>),
    to: (Inode, Arc<str>),
    /// Its index among the changes of `to`.
    change: usize,
}

#[derive(Clone)]
struct DiskNode {
    modified: SystemTime,
    holds: Holds,
    /// Number of names.
    links: u64,
}

#[derive(Clone)]
enum Holds {
    File { bytes: Vec<u8>, durable: Option<Vec<u8>> },
    Directory(Directory),
}

#[derive(Clone, Default)]
struct Directory {
    names: BTreeMap<Arc<str>, Inode>,
    /// What each name referred to since the last sync, starting with the durable state.
    changed: BTreeMap<Arc<str>, Vec<Option<Inode>>>,
}

impl Directory {
    /// Returns what the name referred to before.
    fn set(&mut self, name: &str, to: Option<Inode>) -> Option<Inode> {
        let name: Arc<str> = name.into();
        let before = match to {
            Some(inode) => self.names.insert(name.clone(), inode),
            None => self.names.remove(&name),
        };
        self.changed.entry(name).or_insert_with(|| vec![before]).push(to);
        before
    }
}

fn error<T>(number: i32) -> io::Result<T> {
    Err(io::Error::from_raw_os_error(number))
}

impl Disk {
    pub(super) fn new(now: SystemTime) -> Self {
        let root = DiskNode { modified: now, holds: Holds::Directory(Directory::default()), links: 0 };
        Self { nodes: vec![root], moves: Vec::new() }
    }

    fn directory(&self, inode: Inode) -> io::Result<&Directory> {
        match &self.nodes[inode].holds {
            Holds::Directory(directory) => Ok(directory),
            Holds::File { .. } => error(NOTDIR),
        }
    }

    fn directory_mut(&mut self, inode: Inode) -> io::Result<&mut Directory> {
        match &mut self.nodes[inode].holds {
            Holds::Directory(directory) => Ok(directory),
            Holds::File { .. } => error(NOTDIR),
        }
    }

    pub(super) fn find(&self, path: &str) -> io::Result<Inode> {
        let mut at = 0;
        for component in path.split('/').filter(|component| *component != ".") {
            match self.directory(at)?.names.get(component) {
                Some(inode) => at = *inode,
                None => return error(NOENT),
            }
        }
        Ok(at)
    }

    /// The directory that contains a path, and the last component.
    fn place<'a>(&self, path: &'a str) -> io::Result<(Inode, &'a str)> {
        let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
        let parent = self.find(parent)?;
        self.directory(parent)?;
        Ok((parent, name))
    }

    fn named(&self, (parent, name): (Inode, &str)) -> io::Result<Option<Inode>> {
        Ok(self.directory(parent)?.names.get(name).copied())
    }

    fn set(&mut self, (parent, name): (Inode, &str), to: Option<Inode>) -> io::Result<()> {
        let before = self.directory_mut(parent)?.set(name, to);
        if let Some(inode) = before {
            self.nodes[inode].links -= 1;
        }
        if let Some(inode) = to {
            self.nodes[inode].links += 1;
        }
        Ok(())
    }

    fn is_directory(&self, inode: Inode) -> bool {
        matches!(self.nodes[inode].holds, Holds::Directory(_))
    }

    pub(super) fn open(&self, path: &str) -> io::Result<Inode> {
        let inode = self.find(path)?;
        if self.is_directory(inode) { error(ISDIR) } else { Ok(inode) }
    }

    fn make(&mut self, path: &str, now: SystemTime, holds: Holds) -> io::Result<Inode> {
        let place = self.place(path)?;
        if self.named(place)?.is_some() {
            return error(EXIST);
        }
        self.nodes.push(DiskNode { modified: now, holds, links: 0 });
        let inode = self.nodes.len() - 1;
        self.set(place, Some(inode))?;
        Ok(inode)
    }

    pub(super) fn create(&mut self, path: &str, now: SystemTime) -> io::Result<Inode> {
        self.make(path, now, Holds::File { bytes: Vec::new(), durable: Some(Vec::new()) })
    }

    pub(super) fn mkdir(&mut self, path: &str, now: SystemTime) -> io::Result<()> {
        self.make(path, now, Holds::Directory(Directory::default())).map(drop)
    }

    pub(super) fn bytes(&self, inode: Inode) -> &[u8] {
        match &self.nodes[inode].holds {
            Holds::File { bytes, .. } => bytes,
            Holds::Directory(_) => &[],
        }
    }

    /// Changes the bytes of a file; the durable ones stay durable until the next sync.
    pub(super) fn change(&mut self, inode: Inode, now: SystemTime, change: impl FnOnce(&mut Vec<u8>)) {
        let node = &mut self.nodes[inode];
        node.modified = now;
        if let Holds::File { bytes, durable } = &mut node.holds {
            durable.get_or_insert_with(|| bytes.clone());
            change(bytes);
        }
    }

    pub(super) fn sync_file(&mut self, inode: Inode) {
        if let Holds::File { durable, .. } = &mut self.nodes[inode].holds {
            *durable = None;
        }
    }

    pub(super) fn sync_directory(&mut self, path: &str) -> io::Result<()> {
        let inode = self.find(path)?;
        self.directory_mut(inode)?.changed.clear();
        self.moves.retain(|moved| moved.from.0 != inode && moved.to.0 != inode);
        Ok(())
    }

    pub(super) fn meta(&self, inode: Inode) -> Meta {
        let node = &self.nodes[inode];
        let (kind, len, mode) = match &node.holds {
            Holds::File { bytes, .. } => (FileKind::File, bytes.len() as u64, 0o640),
            Holds::Directory(_) => (FileKind::Directory, 0, 0o750),
        };
        Meta { kind, len, mode, modified: node.modified, links: node.links }
    }

    pub(super) fn touch(&mut self, inode: Inode, now: SystemTime) {
        self.nodes[inode].modified = now;
    }

    pub(super) fn rename(&mut self, from: &str, to: &str, replaces: bool) -> io::Result<()> {
        let (from, to) = (self.place(from)?, self.place(to)?);
        let Some(inode) = self.named(from)? else { return error(NOENT) };
        match self.named(to)? {
            Some(_) if !replaces => return error(EXIST),
            // Two names of one file: as POSIX has it, both stay.
            Some(there) if there == inode => return Ok(()),
            Some(there) if self.is_directory(there) != self.is_directory(inode) => {
                return error(if self.is_directory(there) { ISDIR } else { NOTDIR });
            }
            Some(there) if self.is_directory(there) && !self.directory(there)?.names.is_empty() => {
                return error(NOTEMPTY);
            }
            _ => {}
        }
        let is_durable = !self.directory(from.0)?.changed.contains_key(from.1);
        self.set(from, None)?;
        self.set(to, Some(inode))?;
        if is_durable {
            let change = self.directory(to.0)?.changed[to.1].len() - 1;
            let ((parent, name), (new_parent, new_name)) = (from, to);
            self.moves.push(Move { inode, from: (parent, name.into()), to: (new_parent, new_name.into()), change });
        }
        Ok(())
    }

    pub(super) fn link(&mut self, from: &str, to: &str) -> io::Result<()> {
        let (inode, to) = (self.open(from)?, self.place(to)?);
        if self.named(to)?.is_some() {
            return error(EXIST);
        }
        self.set(to, Some(inode))
    }

    pub(super) fn unlink(&mut self, path: &str) -> io::Result<()> {
        self.open(path)?;
        self.set(self.place(path)?, None)
    }

    pub(super) fn rmdir(&mut self, path: &str) -> io::Result<()> {
        let inode = self.find(path)?;
        if !self.directory(inode)?.names.is_empty() {
            return error(NOTEMPTY);
        }
        self.set(self.place(path)?, None)
    }

    pub(super) fn names(&self, path: &str) -> io::Result<Vec<(Arc<str>, FileKind)>> {
        let directory = self.directory(self.find(path)?)?;
        let kind = |inode: &Inode| if self.is_directory(*inode) { FileKind::Directory } else { FileKind::File };
        Ok(directory.names.iter().map(|(name, inode)| (name.clone(), kind(inode))).collect())
    }

    /// Makes everything durable.
    pub(super) fn sync_all(&mut self) {
        for node in &mut self.nodes {
            match &mut node.holds {
                Holds::File { durable, .. } => *durable = None,
                Holds::Directory(directory) => directory.changed.clear(),
            }
        }
        self.moves.clear();
    }

    /// A power failure: what it leaves is durable.
    pub(super) fn fail(&mut self, chance: &mut Chance) {
        let (mut ahead, mut met) = (vec![0], BTreeSet::from([0]));
        let mut kept = BTreeMap::new();
        while let Some(inode) = ahead.pop() {
            match &mut self.nodes[inode].holds {
                Holds::File { bytes, durable } => {
                    if let Some(old) = durable.take() {
                        *bytes = torn(old, bytes, chance);
                    }
                }
                Holds::Directory(directory) => {
                    for (name, values) in std::mem::take(&mut directory.changed) {
                        let change = chance.below(values.len());
                        match values[change] {
                            Some(inode) => directory.names.insert(name.clone(), inode),
                            None => directory.names.remove(&name),
                        };
                        kept.insert((inode, name), change);
                    }
                    let inner: Vec<_> = directory.names.iter().map(|(name, inode)| (name.clone(), *inode)).collect();
                    for (name, child) in inner {
                        if met.insert(child) {
                            ahead.push(child);
                        } else if self.is_directory(child) {
                            // Both halves of a rename were kept: a file has two names then, a
                            // directory cannot.
                            self.remove_name(inode, &name);
                        }
                    }
                }
            }
            if ahead.is_empty() {
                ahead = self.keep_moved(&kept, &mut met);
            }
        }
        self.moves.clear();
        self.count_names(&met);
    }

    /// Counts the names of each file again, those in directories that can be reached.
    fn count_names(&mut self, reachable: &BTreeSet<Inode>) {
        self.nodes.iter_mut().for_each(|node| node.links = 0);
        for inode in reachable {
            let named: Vec<_> = match &self.nodes[*inode].holds {
                Holds::Directory(directory) => directory.names.values().copied().collect(),
                Holds::File { .. } => continue,
            };
            named.into_iter().for_each(|child| self.nodes[child].links += 1);
        }
    }

    /// Restores the old name of files that lost both names in a move, unless they were met before.
    fn keep_moved(&mut self, kept: &BTreeMap<(Inode, Arc<str>), usize>, met: &mut BTreeSet<Inode>) -> Vec<Inode> {
        let mut found = Vec::new();
        for moved in std::mem::take(&mut self.moves) {
            let arrived = kept.get(&moved.to).is_some_and(|change| *change >= moved.change);
            if !arrived
                && met.contains(&moved.from.0)
                && let Holds::Directory(from) = &mut self.nodes[moved.from.0].holds
                && !from.names.contains_key(&moved.from.1)
            {
                from.names.insert(moved.from.1, moved.inode);
                found.extend(met.insert(moved.inode).then_some(moved.inode));
            }
        }
        found
    }

    fn remove_name(&mut self, parent: Inode, name: &str) {
        if let Holds::Directory(directory) = &mut self.nodes[parent].holds {
            directory.names.remove(name);
        }
    }

    /// All files below a directory, with their bytes.
    pub(super) fn files(&self, below: &str, into: &mut Vec<(String, Vec<u8>)>) {
        for (name, kind) in self.names(below).unwrap_or_default() {
            let path = if below == "." { name.to_string() } else { format!("{below}/{name}") };
            match (kind, self.find(&path)) {
                (FileKind::Directory, _) => self.files(&path, into),
                (_, Ok(inode)) => into.push((path, self.bytes(inode).to_vec())),
                (_, Err(_)) => {}
            }
        }
    }
}

/// What is left of a file: the old bytes, the new ones, or the beginning of the new ones followed by zeros.
fn torn(old: Vec<u8>, new: &[u8], chance: &mut Chance) -> Vec<u8> {
    match chance.below(4) {
        0 => old,
        1 => new.to_vec(),
        2 => new[..chance.below(new.len() + 1)].to_vec(),
        _ => {
            let mut bytes = new.to_vec();
            bytes[chance.below(new.len() + 1)..].fill(0);
            bytes
        }
    }
}
