//! Changes of the operator's files: one at a time, checked against the rights of whoever makes them, and recorded.

use super::{guard, guard::Affected, refusal::EditRefusal, rehearsal::Rehearsed, rules::LastRules, text_tag};
use crate::{
    access::{Ceiling, Policy, Rights},
    config::{ConfigEditor, EditFault, EditableFile, Env, Live},
    files::replace::Replaced,
    identity::HtpasswdText,
    storage::{LinePlace, StoreRecords},
    who::Subject,
};
use api::audit::{AuditEntry, AuditFile};
use arc_swap::ArcSwap;
use jiff::Timestamp;
use oci::json;
use std::{cell::RefCell, io, net::IpAddr, path::Path, sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::JoinError};

/// When an old file is looked at again: an editor that was writing to it has saved by then.
const LATE: Duration = Duration::from_secs(5);

/// Changes the operator's files for callers.
#[derive(Clone)]
pub struct Manage {
    pub(super) editor: ConfigEditor,
    pub(super) live: Arc<ArcSwap<Live>>,
    store: Arc<dyn StoreRecords>,
    /// One change at a time, in the order in which they came.
    turn: Arc<Semaphore>,
    pub(super) last_rules: Arc<LastRules>,
}

/// Who makes a change.
#[derive(Clone, Debug)]
pub struct Author {
    /// The caller.
    pub subject: Subject,
    /// What their credentials allow at most.
    pub ceiling: Ceiling,
    /// Where the request came from.
    pub address: Option<IpAddr>,
    /// The request's ID.
    pub request: Option<String>,
    /// Whether they have the files in their hands anyway, so that no rights are compared.
    pub is_operator: bool,
}

/// A change that was made.
#[derive(Clone, Debug)]
pub struct Changed<T> {
    /// What to answer.
    pub value: T,
    /// The version of the configuration that is active now.
    pub generation: Arc<str>,
    /// The files that were edited.
    files: Vec<AuditFile>,
}

/// The edits of one change. Blocks.
pub struct Edits {
    pub(super) editor: ConfigEditor,
    live: Arc<ArcSwap<Live>>,
    author: Author,
    done: RefCell<Vec<(AuditFile, Replaced)>>,
    /// Set while edits are only tried: what each would have made of its file.
    pub(super) rehearsal: RefCell<Option<Vec<Rehearsed>>>,
}

/// The text that a file gets, and whose rights that may change.
pub struct FileEdit {
    /// The whole text.
    pub text: String,
    /// The users whose rights or logins change.
    pub affects: Affected,
}

impl<T> Changed<T> {
    /// The entity tag of a file's text after the change, if the change edited it.
    pub fn file_tag(&self, file: EditableFile) -> Option<&str> {
        let edited = self.files.iter().rev().find(|edited| edited.file == file.to_string());
        edited.map(|edited| edited.after.as_str())
    }
}

/// Makes a change for whoever has the files in their hands. Returns also the files that were edited, for the audit log.
/// Blocks.
///
/// # Errors
/// What `work` refuses. If it made several edits, those before the refusal stay.
pub fn change_as_operator<T>(
    editor: ConfigEditor,
    live: Arc<ArcSwap<Live>>,
    work: impl FnOnce(&Edits) -> Result<T, EditRefusal>,
) -> (Result<T, EditRefusal>, Vec<AuditFile>) {
    let author =
        Author { subject: Subject::Anonymous, ceiling: Ceiling::None, address: None, request: None, is_operator: true };
    editor.reload();
    let edits = Edits::new(editor, live, author);
    let result = work(&edits);
    (result, edits.done.into_inner().into_iter().map(|(file, _)| file).collect())
}

/// Appends an entry to the audit log of a store.
///
/// # Errors
/// The storage's.
pub async fn append_entry(store: &dyn StoreRecords, entry: &AuditEntry) -> io::Result<()> {
    let line = serde_json::to_vec(entry).map_err(io::Error::from)?;
    store.append_audit(line.into()).await.map_err(io::Error::other)
}

/// The time of an entry that is written now.
pub fn entry_time() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Manage {
    /// Changes the files of this editor, whose active generation is `live`, and records that in the store.
    pub fn new(editor: ConfigEditor, live: Arc<ArcSwap<Live>>, store: Arc<dyn StoreRecords>) -> Self {
        Self { editor, live, store, turn: Arc::new(Semaphore::new(1)), last_rules: Arc::default() }
    }

    /// The editor, to read and check files. It blocks.
    pub fn editor(&self) -> &ConfigEditor {
        &self.editor
    }

    /// Makes a change, off the reactor. It completes even if the caller disconnects. `action` and `target` are for the
    /// audit log.
    ///
    /// # Errors
    /// What `work` refuses. If it made several edits, those before the refusal stay.
    pub async fn change<T: Send + 'static>(
        &self,
        author: Author,
        action: &'static str,
        target: impl Into<String>,
        work: impl FnOnce(&Edits) -> Result<T, EditRefusal> + Send + 'static,
    ) -> Result<Changed<T>, EditRefusal> {
        let (manage, target) = (self.clone(), target.into());
        let change = tokio::spawn(async move {
            // Never closed.
            let _turn = manage.turn.clone().acquire_owned().await;
            let (editor, live, by) = (manage.editor.clone(), manage.live.clone(), author.clone());
            let work = tokio::task::spawn_blocking(move || {
                // What somebody has just edited by hand counts.
                editor.reload();
                let edits = Edits::new(editor, live, by);
                let result = work(&edits);
                let generation = edits.live.load().version.clone();
                let done = edits.done.into_inner();
                let files = done.iter().map(|(file, _)| file.clone()).collect();
                (result.map(|value| Changed { value, generation, files }), done)
            });
            let (result, done) = work.await.map_err(ended)?;
            let mut files = Vec::new();
            for (file, replaced) in done {
                files.push(file);
                tokio::spawn(save_late_writes(replaced));
            }
            // A change of no file is recorded if it succeeded: others keep it elsewhere.
            if result.is_ok() || !files.is_empty() {
                manage.record(&author, action, target, files).await;
            }
            result
        });
        change.await.map_err(ended)?
    }

    /// Records a change in the audit log and in the log. A change that cannot be recorded was made all the same.
    pub async fn record(&self, author: &Author, action: &'static str, target: String, files: Vec<AuditFile>) {
        let entry = AuditEntry {
            time: entry_time(),
            actor: author.subject.to_string(),
            from: None,
            address: author.address.map(|address| address.to_string()),
            request_id: author.request.clone(),
            action: action.to_owned(),
            target,
            files,
        };
        let changed: Vec<_> = entry.files.iter().map(|file| file.file.as_str()).collect();
        tracing::info!(
            actor = entry.actor,
            address = entry.address,
            request_id = entry.request_id,
            action,
            target = entry.target,
            files = changed.join(","),
            "changed through the API"
        );
        self.append(entry).await;
    }

    /// Records what a rule of the operator made the registry do, such as retention.
    pub async fn record_rule(&self, rule: &'static str, action: &'static str, target: String) {
        let (time, actor) = (entry_time(), "wharfinger".to_owned());
        let entry = AuditEntry {
            time,
            actor,
            from: Some(rule.to_owned()),
            action: action.into(),
            target,
            ..Default::default()
        };
        self.append(entry).await;
    }

    async fn append(&self, entry: AuditEntry) {
        if let Err(error) = append_entry(&*self.store, &entry).await {
            tracing::error!(%error, action = entry.action, target = entry.target, "cannot write the audit log");
        }
    }

    /// The last changes before a place, newest first, each with its place.
    ///
    /// # Errors
    /// The storage's.
    pub async fn recorded(
        &self,
        before: Option<LinePlace>,
        most: usize,
    ) -> crate::storage::Result<Vec<(LinePlace, AuditEntry)>> {
        let lines = self.store.read_audit(before, most).await?;
        // What a crash left of a line is no entry.
        Ok(lines.into_iter().filter_map(|(place, line)| Some((place, json::from_slice(&line).ok()?))).collect())
    }
}

impl Edits {
    pub(super) fn new(editor: ConfigEditor, live: Arc<ArcSwap<Live>>, author: Author) -> Self {
        Self { editor, live, author, done: RefCell::default(), rehearsal: RefCell::default() }
    }

    /// The active generation; while edits are only tried, the one that they would have made.
    pub fn live(&self) -> Arc<Live> {
        let rehearsed = self.rehearsal.borrow().as_ref().and_then(|tried| tried.last().map(|last| last.live.clone()));
        rehearsed.unwrap_or_else(|| self.live.load_full())
    }

    /// Who makes the change.
    pub fn author(&self) -> &Author {
        &self.author
    }

    /// Edits a file. Refused if it would leave no administrator, or if the author may do less than a user whom it
    /// affects.
    ///
    /// # Errors
    /// What `edit` refuses, and those of [`ConfigEditor::edit`].
    pub fn edit(
        &self,
        file: EditableFile,
        mut edit: impl FnMut(&str, &Live) -> Result<FileEdit, EditRefusal>,
    ) -> Result<(), EditRefusal> {
        if self.is_rehearsal() {
            return self.try_edit(file, edit);
        }
        let affects = RefCell::new(None);
        let edited = self.editor.edit(
            file,
            |text, live| {
                let edit = edit(text, live)?;
                affects.replace(Some(edit.affects));
                Ok::<_, EditRefusal>(edit.text)
            },
            |old, new| match affects.take() {
                Some(affects) => guard::check(&self.author, old, new, &affects),
                None => Ok(()),
            },
        );
        let edited = edited.map_err(|refusal| refusal.unless_unset(file))?;
        if edited.replaced.has_changed() {
            let (before, after) = (text_tag(&edited.before), text_tag(&edited.after));
            self.done.borrow_mut().push((AuditFile { file: file.to_string(), before, after }, edited.replaced));
        }
        Ok(())
    }

    /// Edits the users.
    ///
    /// # Errors
    /// As for [`edit`](Self::edit).
    pub fn edit_users(
        &self,
        affects: &Affected,
        mut edit: impl FnMut(&HtpasswdText<'_>, &Live) -> Result<String, EditRefusal>,
    ) -> Result<(), EditRefusal> {
        let path = self.path(EditableFile::Htpasswd)?;
        self.edit(EditableFile::Htpasswd, |text, live| {
            let users = HtpasswdText::parse(text);
            let users = users.map_err(|wrong| {
                EditRefusal::broken(&path, wrong.into_iter().map(|line| (line.line, String::new(), line.message)))
            })?;
            Ok(FileEdit { text: edit(&users, live)?, affects: affects.clone() })
        })
    }

    /// Edits groups, roles and rules; `edit` is given the text and what it means.
    ///
    /// # Errors
    /// As for [`edit`](Self::edit).
    pub fn edit_access(
        &self,
        mut edit: impl FnMut(&str, &Policy) -> Result<FileEdit, EditRefusal>,
    ) -> Result<(), EditRefusal> {
        let path = self.path(EditableFile::AccessControl)?;
        self.edit(EditableFile::AccessControl, |text, live| {
            let policy = parse_policy(&path, text, live)?;
            edit(text, &policy)
        })
    }

    /// The editor, to read files.
    pub fn editor(&self) -> &ConfigEditor {
        &self.editor
    }

    /// The startup settings.
    pub(super) fn env(&self) -> Env {
        self.editor.env()
    }

    /// The path of a file.
    pub(super) fn path(&self, file: EditableFile) -> Result<std::path::PathBuf, EditRefusal> {
        self.editor.path(file).map_err(|fault| EditRefusal::from(fault).unless_unset(file))
    }
}

/// What a text of access rules means. It need not be compiled if it is the active one.
pub(super) fn parse_policy(path: &Path, text: &str, live: &Live) -> Result<Policy, EditRefusal> {
    let last = match &*live.rights {
        Rights::Rules { policy, .. } => Some(policy),
        Rights::Open | Rights::Users | Rights::Tokens => None,
    };
    let wrong = |problems: Vec<crate::access::RulesProblem>| {
        EditRefusal::broken(path, problems.into_iter().map(|problem| (problem.line, problem.key, problem.message)))
    };
    Policy::parse_after(text, last).map(|(policy, _)| policy).map_err(wrong)
}

/// Reports what an editor writes to a file after it was replaced.
async fn save_late_writes(replaced: Replaced) {
    tokio::time::sleep(LATE).await;
    match tokio::task::spawn_blocking(move || replaced.save_late_writes()).await {
        Ok(Ok(None)) | Err(_) => {}
        Ok(Ok(Some(path))) => tracing::error!(
            path = %path.display(),
            "somebody wrote to the previous version of a configuration file after it was replaced; compare it with what \
             is saved here"
        ),
        Ok(Err(error)) => tracing::error!(%error, "cannot check the previous version of a configuration file"),
    }
}

/// A change whose thread panicked.
pub(super) fn ended(error: JoinError) -> EditRefusal {
    EditFault::Failed { path: std::path::PathBuf::new(), error: io::Error::other(error) }.into()
}
