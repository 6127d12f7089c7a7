//! What a change would do to the files, for whoever asked for it.

use super::{diff::unified, precondition::text_tag, rehearsal::Rehearsed};
use crate::config::EditableFile;
use api::config::{ChangePreview, PreviewedFile};
use std::collections::BTreeSet;

/// What stands for a password's hash.
const HASH: &str = "(hash)";
const NEW_HASH: &str = "(new hash)";

/// The files that would change. `shows_lines` is set for those who may read the files.
pub fn preview(edits: &[Rehearsed], shows_lines: bool) -> ChangePreview {
    let changing = edits.iter().filter(|edit| edit.before != edit.after);
    ChangePreview { files: changing.map(|edit| previewed(edit, shows_lines)).collect() }
}

fn previewed(edit: &Rehearsed, shows_lines: bool) -> PreviewedFile {
    let path = edit.path.display().to_string();
    let (before, after) = match edit.file {
        EditableFile::Htpasswd => without_hashes(edit),
        EditableFile::AccessControl | EditableFile::Settings => (edit.before.clone(), edit.after.clone()),
    };
    let diff = unified(&path, &before, &after);
    // The first two lines name the file.
    let number = |sign: char| diff.lines().skip(2).filter(|line| line.starts_with(sign)).count() as u64;
    PreviewedFile {
        file: edit.file.to_string(),
        etag: text_tag(edit.before.as_bytes()),
        added: number('+'),
        removed: number('-'),
        read_only: edit.read_only.clone(),
        path: shows_lines.then_some(path),
        diff: shows_lines.then_some(diff),
    }
}

/// The texts of htpasswd without the hashes in it. A new one is shown if nobody else can put it into the file.
fn without_hashes(edit: &Rehearsed) -> (String, String) {
    let known: BTreeSet<_> = edit.before.lines().filter_map(hash_of).collect();
    let hide = |line: &str| match hash_of(line) {
        None => line.to_owned(),
        Some(hash) if known.contains(hash) => line.replace(hash, HASH),
        Some(_) if edit.read_only.is_some() => line.to_owned(),
        Some(hash) => line.replace(hash, NEW_HASH),
    };
    let hide_all = |text: &str| text.split_inclusive('\n').map(hide).collect();
    (hide_all(&edit.before), hide_all(&edit.after))
}

/// The hash of a line, without the mark of a lock.
fn hash_of(line: &str) -> Option<&str> {
    let (name, hash) = line.trim_end().split_once(':')?;
    let hash = hash.strip_prefix('!').unwrap_or(hash);
    (!name.trim_start().starts_with('#') && !hash.is_empty()).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Live;

    const BEFORE: &str = "# people: the team\nada:$2y$old\nbob:!$2y$bob\nbot:!\n";

    fn edit(after: &str, read_only: Option<&str>) -> Rehearsed {
        Rehearsed {
            file: EditableFile::Htpasswd,
            path: "/etc/htpasswd".into(),
            before: BEFORE.to_owned(),
            after: after.to_owned(),
            live: Live::default().into(),
            read_only: read_only.map(str::to_owned),
        }
    }

    #[test]
    fn no_hash_is_shown_unless_somebody_must_copy_it() {
        let after = BEFORE.replace("$2y$old", "$2y$new").replace("bob:!", "bob:");
        let shown = preview(&[edit(&after, None)], true);
        let file = &shown.files[0];
        let diff = file.diff.as_deref().unwrap();
        assert!(!diff.contains("$2y$"), "{diff}");
        for line in ["-ada:(hash)", "+ada:(new hash)", "-bob:!(hash)", "+bob:(hash)", " # people: the team", " bot:!"] {
            assert!(diff.lines().any(|shown| shown == line), "{line} in {diff}");
        }
        assert_eq!((file.added, file.removed), (2, 2));
        let shown = preview(&[edit(&after, Some("no"))], true);
        let diff = shown.files[0].diff.as_deref().unwrap();
        assert!(diff.contains("+ada:$2y$new") && !diff.contains("$2y$old") && !diff.contains("$2y$bob"), "{diff}");
        let hidden = preview(&[edit(&after, Some("no"))], false);
        assert_eq!((hidden.files[0].diff.as_deref(), hidden.files[0].path.as_deref()), (None, None));
        assert!(preview(&[edit(BEFORE, None)], true).files.is_empty());
    }
}
