//! Edits that are only tried: before a change of several files, so that it is refused before its first one, and to show
//! a caller what a change would do.

use super::{
    edits::{Author, Edits, FileEdit, Manage, ended},
    guard,
    refusal::EditRefusal,
};
use crate::config::{EditFault, EditableFile, Live, TriedEdit};
use std::{cell::RefCell, collections::BTreeMap, path::PathBuf, sync::Arc};

/// An edit that was tried and would succeed.
#[derive(Clone)]
pub struct Rehearsed {
    /// The file.
    pub file: EditableFile,
    /// Its path.
    pub path: PathBuf,
    /// The text that it has.
    pub before: String,
    /// The text that it would have.
    pub after: String,
    /// The configuration that would be active.
    pub(super) live: Arc<Live>,
    /// Why the file cannot be written here.
    pub read_only: Option<String>,
}

impl Manage {
    /// Tries a change, off the reactor, and writes nothing.
    ///
    /// # Errors
    /// What `work` refuses.
    pub async fn rehearse<T: Send + 'static>(
        &self,
        author: Author,
        work: impl FnOnce(&Edits) -> Result<T, EditRefusal> + Send + 'static,
    ) -> Result<(T, Vec<Rehearsed>), EditRefusal> {
        let (editor, live) = (self.editor.clone(), self.live.clone());
        let work = tokio::task::spawn_blocking(move || {
            editor.reload();
            let edits = Edits::new(editor, live, author);
            edits.rehearsal.replace(Some(Vec::new()));
            let made = work(&edits)?;
            Ok((made, edits.rehearsal.take().unwrap_or_default()))
        });
        work.await.map_err(ended)?
    }
}

impl Edits {
    pub(super) fn is_rehearsal(&self) -> bool {
        self.rehearsal.borrow().is_some()
    }

    /// Tries edits without writing anything, so that a change of several files is refused before its first one. Each is
    /// tried on top of those before it.
    ///
    /// # Errors
    /// What the edits refuse; a file that cannot be written, unless the whole change is only tried.
    pub fn rehearse(
        &self,
        edits: impl FnOnce(&Self) -> Result<(), EditRefusal>,
    ) -> Result<Vec<Rehearsed>, EditRefusal> {
        let outer = self.rehearsal.replace(Some(Vec::new()));
        let will_write = outer.is_none();
        let result = edits(self);
        let rehearsed = self.rehearsal.replace(outer).unwrap_or_default();
        result?;
        match rehearsed.iter().find_map(|edit| Some((edit.path.clone(), edit.read_only.clone()?))) {
            Some((path, why)) if will_write => Err(EditFault::ReadOnly { path, why }.into()),
            _ => Ok(rehearsed),
        }
    }

    /// Tries an edit of a file.
    pub(super) fn try_edit(
        &self,
        file: EditableFile,
        mut edit: impl FnMut(&str, &Live) -> Result<FileEdit, EditRefusal>,
    ) -> Result<(), EditRefusal> {
        let earlier = |edit: &Rehearsed| (edit.file, edit.after.clone());
        let earlier: BTreeMap<_, _> = self.rehearsal.borrow().iter().flatten().map(earlier).collect();
        let affects = RefCell::new(None);
        let tried = self.editor.try_edit(
            file,
            &earlier,
            |text, live| {
                let edit = edit(text, live)?;
                affects.replace(Some(edit.affects));
                Ok::<_, EditRefusal>(edit.text)
            },
            |old, new| match affects.take() {
                Some(affects) => guard::check(self.author(), old, new, &affects),
                None => Ok(()),
            },
        );
        let TriedEdit { path, before, after, live, read_only } = tried.map_err(|refusal| refusal.unless_unset(file))?;
        let mut rehearsal = self.rehearsal.borrow_mut();
        let rehearsed = rehearsal.get_or_insert_default();
        match rehearsed.iter().position(|known| known.file == file) {
            // Together they are one change of this file; the last one has the newest configuration.
            Some(place) => {
                let known = rehearsed.remove(place);
                rehearsed.push(Rehearsed { before: known.before, after, live, ..known });
            }
            None => rehearsed.push(Rehearsed { file, path, before, after, live, read_only }),
        }
        Ok(())
    }
}
