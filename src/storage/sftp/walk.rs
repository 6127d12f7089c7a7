//! Files below a directory in byte order of their paths.

use super::{RemoteMeta, SftpRemote, SftpTrouble, remote::OWN};
use crate::files::FileKind;
use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, ready},
    stream,
};
use tokio::sync::Semaphore;

/// Directories that are listed ahead, in each directory.
const AHEAD: usize = 4;
/// Directories that are listed at once.
const LISTS_AT_ONCE: usize = 16;

/// A search for the files whose paths begin with a prefix and follow another path.
pub(super) struct Walk<'a> {
    remote: &'a SftpRemote,
    prefix: &'a str,
    after: Option<&'a str>,
    /// How many are wanted.
    most: usize,
    turns: Semaphore,
}

type WalkedFiles = Vec<(String, RemoteMeta)>;

impl<'a> Walk<'a> {
    pub(super) fn new(remote: &'a SftpRemote, prefix: &'a str, after: Option<&'a str>, most: usize) -> Self {
        Self { remote, prefix, after, most, turns: Semaphore::new(LISTS_AT_ONCE) }
    }

    pub(super) async fn run(&self) -> Result<WalkedFiles, SftpTrouble> {
        let top = self.prefix.rsplit_once('/').map_or("", |(dir, _)| dir);
        self.below(top.to_owned()).await
    }

    fn below(&self, dir: String) -> BoxFuture<'_, Result<WalkedFiles, SftpTrouble>> {
        async move {
            let listed = {
                let _turn = self.turns.acquire().await;
                self.remote.list(&dir).await?
            };
            let base = if dir.is_empty() { String::new() } else { format!("{dir}/") };
            let mut entries: Vec<(String, RemoteMeta)> = Vec::with_capacity(listed.len());
            for entry in listed {
                let path = format!("{base}{}", entry.name);
                match entry.meta.kind {
                    FileKind::File if self.wants(&path) => entries.push((path, entry.meta)),
                    // With its slash, it sorts like what is in it.
                    FileKind::Directory if path != OWN && self.enters(&path) => entries.push((path + "/", entry.meta)),
                    FileKind::File | FileKind::Directory | FileKind::Other => {}
                }
            }
            entries.sort_unstable_by(|(a, _), (b, _)| a.as_bytes().cmp(b.as_bytes()));
            let mut found = Vec::new();
            let mut branches = stream::iter(entries)
                .map(|(path, meta)| match path.strip_suffix('/') {
                    Some(dir) => self.below(dir.to_owned()),
                    None => ready(Ok(vec![(path, meta)])).boxed(),
                })
                .buffered(AHEAD);
            while let Some(branch) = branches.next().await {
                found.extend(branch?);
                if found.len() >= self.most {
                    found.truncate(self.most);
                    break;
                }
            }
            Ok(found)
        }
        .boxed()
    }

    fn wants(&self, path: &str) -> bool {
        path.starts_with(self.prefix) && self.after.is_none_or(|after| path > after)
    }

    /// Whether a directory can contain a file that is wanted.
    fn enters(&self, dir: &str) -> bool {
        let within = |path: &str| path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'));
        let has_prefix = dir.starts_with(self.prefix) || within(self.prefix) || format!("{dir}/") == self.prefix;
        let follows = |after: &str| within(after) || format!("{dir}/").as_str() > after;
        has_prefix && self.after.is_none_or(follows)
    }
}
