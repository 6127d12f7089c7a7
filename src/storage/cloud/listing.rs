//! CloudPages of objects and of directories, in the order of bytes whatever the server's order is.

use super::{
    fault::object_error,
    objects::CloudObjects,
    order::{LevelName, Resorted, before, follows, is_after, passed},
    probe::PROBES,
};
use crate::storage::objects::{ObjectLevel, ObjectPage, ObjectResult};
use object_store::list::{PaginatedListOptions, PaginatedListResult};

/// What probes write is no part of the store: another replica may be starting.
fn is_ours(key: &str, prefix: &str) -> bool {
    prefix.starts_with(PROBES) || !key.starts_with(PROBES)
}

/// Names that are asked for at once: servers give no more.
const MOST_AT_ONCE: usize = 1000;

/// One list of a server, page by page.
struct CloudPages<'a> {
    objects: &'a CloudObjects,
    prefix: String,
    offset: Option<String>,
    delimiter: bool,
    most: usize,
    token: Option<String>,
    is_over: bool,
}

impl CloudPages<'_> {
    async fn next(&mut self) -> ObjectResult<Option<PaginatedListResult>> {
        if self.is_over {
            return Ok(None);
        }
        let options = PaginatedListOptions {
            // Where a token continues, it knows where the list began.
            offset: self.offset.clone().filter(|_| self.token.is_none()),
            delimiter: self.delimiter.then(|| "/".into()),
            max_keys: Some(self.most.clamp(1, MOST_AT_ONCE)),
            page_token: self.token.take(),
            ..PaginatedListOptions::default()
        };
        let prefix = Some(self.prefix.as_str()).filter(|prefix| !prefix.is_empty());
        let page = self.objects.clients.store.list_paginated(prefix, options).await;
        let page = page.map_err(|error| object_error(&error))?;
        self.token.clone_from(&page.page_token);
        self.is_over = page.page_token.is_none();
        Ok(Some(page))
    }
}

impl CloudObjects {
    pub(super) async fn list_objects(
        &self,
        prefix: &str,
        after: Option<&str>,
        most: usize,
    ) -> ObjectResult<ObjectPage> {
        let mut pages = CloudPages {
            objects: self,
            prefix: self.full(prefix),
            offset: after.map(|after| self.full(&self.begin_before(after))),
            delimiter: false,
            most,
            token: None,
            is_over: false,
        };
        while let Some(page) = pages.next().await? {
            let mut objects: Vec<_> = page.result.objects.iter().filter_map(|meta| self.listed(meta)).collect();
            // Some servers begin at the key and not after it, or know no beginning.
            objects.retain(|object| after.is_none_or(|after| follows(&object.key, after, self.is_ordered)));
            objects.retain(|object| is_ours(&object.key, prefix));
            let more = objects.len() > most || !pages.is_over;
            objects.truncate(most);
            if !objects.is_empty() || !more {
                return Ok(ObjectPage { objects, more });
            }
        }
        Ok(ObjectPage::default())
    }

    /// Where a list of what follows a key begins. Servers that keep objects as files would pass over all that is below
    /// the key, as if it were a directory.
    fn begin_before(&self, after: &str) -> String {
        let (dir, name) = after.rsplit_once('/').map_or(("", after), |(dir, name)| (dir, name));
        match self.is_ordered || name.is_empty() {
            true => after.to_owned(),
            false => format!("{dir}{}{}", if dir.is_empty() { "" } else { "/" }, before(name)),
        }
    }

    pub(super) async fn list_level(&self, dir: &str, after: Option<&str>, most: usize) -> ObjectResult<ObjectLevel> {
        let below = if dir.is_empty() { self.prefix.clone() } else { format!("{}/", self.full(dir)) };
        let name = after.map(|after| after.trim_end_matches('/'));
        let mut held = Vec::new();
        if let Some(name) = name.filter(|_| !self.is_ordered) {
            for passed in passed(name) {
                if self.is_there(&format!("{below}{passed}/")).await? {
                    held.push(passed.to_owned());
                }
            }
        }
        let offset = name.map(before).filter(|text| !text.is_empty()).map(|text| format!("{below}{text}"));
        let mut pages = CloudPages {
            objects: self,
            prefix: below.clone(),
            offset,
            delimiter: true,
            // One name before may have to be dropped, and one after shows that there are more.
            most: most.saturating_add(2),
            token: None,
            is_over: false,
        };
        let mut resorted = Resorted::after(held);
        while resorted.names.len() <= most {
            let Some(page) = pages.next().await? else {
                resorted.finish();
                break;
            };
            let strip = |path: &str| path.strip_prefix(&below).map(|name| name.trim_end_matches('/').to_owned());
            let files = page.result.objects.iter().filter_map(|meta| Some((strip(meta.location.as_ref())?, false)));
            let dirs = page.result.common_prefixes.iter().filter_map(|path| Some((strip(path.as_ref())?, true)));
            let is_probe = |name: &str| dir.is_empty() && name == PROBES.trim_end_matches('/');
            let mut names: Vec<LevelName> =
                files.chain(dirs).filter(|(name, _)| !name.is_empty() && !is_probe(name)).collect();
            let is_wanted = |found: &LevelName| after.is_none_or(|after| is_after(found, after));
            match self.is_ordered {
                true => {
                    names.sort_by_key(|(name, is_dir)| format!("{name}{}", if *is_dir { "/" } else { "" }));
                    resorted.names.extend(names.into_iter().filter(is_wanted));
                }
                false => {
                    names.sort();
                    let follows =
                        |found: &LevelName| is_wanted(found) && name.is_none_or(|name| found.0.as_str() >= name);
                    names.into_iter().filter(follows).for_each(|name| resorted.push(name));
                }
            }
        }
        let mut names = resorted.names;
        let more = names.len() > most || !pages.is_over;
        names.truncate(most);
        Ok(ObjectLevel { names, more })
    }

    /// Whether there is an object whose key begins with this.
    async fn is_there(&self, full: &str) -> ObjectResult<bool> {
        let options = PaginatedListOptions { max_keys: Some(1), ..PaginatedListOptions::default() };
        let found = self.clients.store.list_paginated(Some(full), options).await;
        Ok(!found.map_err(|error| object_error(&error))?.result.objects.is_empty())
    }
}
