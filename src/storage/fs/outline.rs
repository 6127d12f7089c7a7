//! Counts what repositories hold.

use super::{FsInner, listing::SETTLED};
use crate::{
    files::{FileKind, Sys, absent, world},
    storage::{OutlineNames, OutlineStamp, RepositoryOutline, Result, StorageError, key},
};
use oci::{Algorithm, Digest, RepositoryName};
use std::{collections::BTreeSet, io, time::SystemTime};

impl<S: Sys> FsInner<S> {
    /// What a repository holds; `None` if its stamp is still the known one.
    pub(super) fn outline(
        &self,
        name: &RepositoryName,
        known: Option<&OutlineStamp>,
    ) -> Result<Option<RepositoryOutline>> {
        let dirs = key::outline_dirs(name);
        let before = self.outline_stamp(&dirs)?;
        if known.is_some() && before.as_ref() == known {
            return Ok(None);
        }
        let [tags, revisions @ .., layers_256, layers_512] = &dirs;
        let names = self.file_names(tags)?;
        let pushed = self.newest(tags, &names)?;
        let mut manifests = BTreeSet::new();
        for (dir, algorithm) in revisions.iter().zip(Algorithm::ALL) {
            manifests.extend(self.digests(dir, algorithm)?);
        }
        let mut blobs = BTreeSet::new();
        for (dir, algorithm) in [layers_256, layers_512].into_iter().zip(Algorithm::ALL) {
            blobs.extend(self.digests(dir, algorithm)?.into_iter().filter(|digest| !manifests.contains(digest)));
        }
        let mut bytes = 0;
        for digest in manifests.iter().chain(&blobs) {
            let path = key::blob(digest);
            let meta = absent(self.sys().meta(&path)).map_err(|e| StorageError::io("look at", &path, e))?;
            bytes += meta.map_or(0, |meta| meta.len);
        }
        let after = self.outline_stamp(&dirs)?;
        Ok(Some(RepositoryOutline {
            tags: names.len() as u64,
            manifests: manifests.len() as u64,
            blobs: blobs.len() as u64,
            bytes,
            pushed,
            changed: self.times(&dirs)?.into_iter().flatten().max(),
            names: OutlineNames::of(&names, manifests.iter()),
            stamp: before.filter(|before| after.as_ref() == Some(before)),
        }))
    }

    /// The stamp of these directories, if the next change surely gives another one.
    fn outline_stamp(&self, dirs: &[String; 5]) -> Result<Option<OutlineStamp>> {
        let (times, now) = (self.times(dirs)?, world::now());
        let is_settled = |time: &SystemTime| now.duration_since(*time).is_ok_and(|age| age >= SETTLED);
        Ok(times.iter().flatten().all(is_settled).then(|| OutlineStamp::of(times)))
    }

    fn times(&self, dirs: &[String; 5]) -> Result<[Option<SystemTime>; 5]> {
        let mut times = [None; 5];
        for (time, dir) in times.iter_mut().zip(dirs) {
            *time = self.time_of(dir)?;
        }
        Ok(times)
    }

    /// The names of files in a directory; none if it does not exist.
    fn file_names(&self, dir: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let read = self.sys().read_dir(dir, &mut |name, kind| {
            if kind == FileKind::File && !name.starts_with('.') {
                names.push(name.to_owned());
            }
            true
        });
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            read => read.map_err(|error| StorageError::io("list", dir, error))?,
        }
        Ok(names)
    }

    fn newest(&self, dir: &str, names: &[String]) -> Result<Option<SystemTime>> {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let metas = self.sys().metas(dir, &names).map_err(|error| StorageError::io("look into", dir, error))?;
        Ok(metas.into_iter().flatten().map(|meta| meta.modified).max())
    }

    fn digests(&self, dir: &str, algorithm: Algorithm) -> Result<Vec<Digest>> {
        let names = self.file_names(dir)?;
        Ok(names.iter().filter_map(|hex| format!("{algorithm}:{hex}").parse().ok()).collect())
    }
}
