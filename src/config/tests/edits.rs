//! Edits of the followed files: what they change, what is refused, and what they do to the active generation.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::watch::{env, htpasswd, put, says};
use super::write;
use crate::config::snapshot::TAKEN;
use crate::config::*;
use crate::identity::HtpasswdText;

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Fault(#[from] EditFault),
    #[error("refused: {0}")]
    Own(&'static str),
}

use EditableFile::{AccessControl, Settings};

/// Replaces a file's text.
fn edit(editor: &ConfigEditor, file: EditableFile, text: &str) -> Result<Edited, Refused> {
    editor.edit(file, |_, _| Ok(text.to_owned()), |_, _| Ok(()))
}

fn add_user(editor: &ConfigEditor, name: &str) -> Result<Edited, Refused> {
    let add = |text: &str, _: &Live| {
        let hash = htpasswd(&["x"])[2..].trim().to_owned();
        HtpasswdText::parse(text).unwrap().add(name, &hash).map_err(|_| Refused::Own("taken"))
    };
    editor.edit(EditableFile::Htpasswd, add, |_, _| Ok(()))
}

fn read(dir: &Path, name: &str) -> String {
    std::fs::read_to_string(dir.join(name)).unwrap()
}

fn started(dir: &Path) -> (ConfigWatch, ConfigEditor) {
    put(dir, "one", 1);
    let watch = ConfigWatch::new(env(dir)).unwrap();
    let editor = watch.editor();
    (watch, editor)
}

#[test]
fn an_edit_is_active_at_return_and_is_not_loaded_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut watch, editor) = started(dir.path());
    let live = watch.live();
    let first = live.load().version.clone();
    let edited = edit(&editor, Settings, "# mine\n[pagination]\ndefault_limit = 2\n").unwrap();
    let now = live.load_full();
    assert_eq!((says(&now, "one"), now.number, &now.version), ((true, true, 2), 1, &edited.version));
    assert!(
        edited.version != first && edited.before.starts_with(b"[pagination]") && edited.after.starts_with(b"# mine")
    );
    assert!(!watch.reload(), "the watcher sees what it knows");

    let same = add_user(&editor, "two").unwrap().version;
    assert!(!edit(&editor, AccessControl, &read(dir.path(), "rules.json")).unwrap().replaced.has_changed());
    assert_eq!((live.load().number, &live.load().version), (2, &same), "an edit without a change is no generation");

    let other = tempfile::tempdir().unwrap();
    for name in ["htpasswd", "rules.json", "settings.toml"] {
        std::fs::copy(dir.path().join(name), other.path().join(name)).unwrap();
    }
    let replica = ConfigWatch::new(env(other.path())).unwrap();
    assert_eq!(replica.live().load().version, same, "another daemon with the same files");
}

#[test]
fn an_edit_reads_the_files_once_and_that_after_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let (watch, editor) = started(dir.path());
    let reads = |work: &dyn Fn()| {
        let before = TAKEN.get();
        work();
        TAKEN.get() - before
    };
    assert_eq!(reads(&|| drop(add_user(&editor, "two").unwrap())), 1);
    assert_eq!(reads(&|| drop(edit(&editor, AccessControl, &read(dir.path(), "rules.json")).unwrap())), 0);
    assert_eq!(reads(&|| drop(edit(&editor, Settings, "[paginatio]\n").unwrap_err())), 0);

    // Another file that somebody changed meanwhile is active with the edit.
    write(dir.path(), "settings.toml", "[pagination]\ndefault_limit = 9\n");
    add_user(&editor, "three").unwrap();
    let live = watch.live().load_full();
    assert_eq!((live.registry.page_default, live.identity.users().unwrap().contains("three")), (9, true));
}

#[test]
fn what_would_make_the_configuration_invalid_is_refused_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let (watch, editor) = started(dir.path());
    let before = read(dir.path(), "settings.toml");
    let refused = edit(&editor, Settings, "[pagination]\ndefault_limit = 5\nmax_limit = 4\n").unwrap_err();
    assert!(refused.to_string().contains("settings.toml: pagination: default_limit (5) is more than"), "{refused}");
    let refused = edit(&editor, Settings, "\n[pagination]\nlimit = 5\n").unwrap_err();
    assert!(refused.to_string().contains("settings.toml:3: pagination.limit: is not a setting"), "{refused}");
    let judge = |old: &Live, new: &Live| match (old.registry.page_default, new.registry.page_default) {
        (1, 7) => Err(Refused::Own("not seven")),
        other => panic!("{other:?}"),
    };
    let seven = |_: &str, _: &Live| Ok("[pagination]\ndefault_limit = 7\n".to_owned());
    assert_eq!(editor.edit(Settings, seven, judge).unwrap_err().to_string(), "refused: not seven");
    assert_eq!((read(dir.path(), "settings.toml"), watch.live().load().number), (before, 0));
    assert_eq!(editor.check(Settings, "[pagination]\n").unwrap(), Problems::default());
    assert_eq!(editor.check(Settings, "x = 1").unwrap().0.len(), 1);
}

#[test]
fn a_broken_file_holds_back_no_edit_of_another_and_can_be_replaced_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (watch, editor) = started(dir.path());
    write(dir.path(), "settings.toml", "[pagination\n");
    add_user(&editor, "two").unwrap();
    let live = watch.live();
    assert!(live.load().identity.users().unwrap().contains("two") && live.load().stale.is_some());
    assert!(edit(&editor, Settings, "[paginatio]\n").is_err(), "still broken");
    edit(&editor, Settings, "[pagination]\ndefault_limit = 3\n").unwrap();
    assert_eq!((live.load().registry.page_default, live.load().stale.is_none()), (3, true));
}

#[test]
fn an_edit_by_hand_that_nobody_noticed_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (watch, editor) = started(dir.path());
    write(dir.path(), "htpasswd", &format!("# by hand\n{}", htpasswd(&["one", "hand"])));
    add_user(&editor, "two").unwrap();
    let text = read(dir.path(), "htpasswd");
    assert_eq!(text, format!("# by hand\n{}", htpasswd(&["one", "hand", "two"])));
    assert_eq!(watch.live().load().identity.users().unwrap().len(), 3);
}

#[test]
fn files_that_are_edited_elsewhere_are_refused_with_their_path() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().join("real");
    std::fs::create_dir(&real).unwrap();
    symlink("real", dir.path().join("now")).unwrap();
    let (watch, editor) = started(&dir.path().join("now"));
    let refused = add_user(&editor, "two").unwrap_err().to_string();
    assert!(refused.contains("now/htpasswd") && refused.contains("is a link to a directory"), "{refused}");
    drop(watch);

    // A link to the file is no such thing.
    symlink("settings.toml", real.join("link.toml")).unwrap();
    let flags = [("REGISTRY_SETTINGS", real.join("link.toml").into_os_string())];
    let watch = ConfigWatch::new(Env::load([], None, flags).unwrap().0).unwrap();
    let editor = watch.editor();
    edit(&editor, Settings, "[management]\nsettings_file = \"external\"\n").unwrap();
    assert!(std::fs::read_link(real.join("link.toml")).is_ok() && read(&real, "settings.toml").contains("external"));
    let refused = edit(&editor, Settings, "").unwrap_err().to_string();
    assert!(refused.contains("link.toml: the settings say that it is edited elsewhere"), "{refused}");
    let unset = edit(&editor, AccessControl, "").unwrap_err().to_string();
    assert_eq!(unset, "there is no access-control file: set REGISTRY_ACCESS_CONTROL_CONFIG");

    // The operator knows better.
    write(&real, "settings.toml", "[management]\nsettings_file = \"editable\"\nhtpasswd_file = \"editable\"\n");
    let watch = ConfigWatch::new(env(&dir.path().join("now"))).unwrap();
    add_user(&watch.editor(), "two").unwrap();
}

#[test]
fn a_directory_that_cannot_be_written_makes_its_files_read_only() {
    let dir = tempfile::tempdir().unwrap();
    let (_watch, editor) = started(dir.path());
    let mode = |mode| std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(mode)).unwrap();
    mode(0o500);
    // Nothing is forbidden to root.
    if std::fs::write(dir.path().join("probe"), "").is_err() {
        let refused = add_user(&editor, "two").unwrap_err();
        assert!(matches!(&refused, Refused::Fault(EditFault::ReadOnly { .. })), "{refused}");
    }
    mode(0o700);
}

/// Half of the edits are made by other programs that know the lock, such as `wharfinger htpasswd`.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_edits_at_once_are_all_there_and_all_active() {
    // In memory if possible: every edit syncs twice.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let (watch, editor) = started(dir.path());
    let live = watch.live();
    let applied = Arc::new(AtomicU64::new(0));
    let following = tokio::spawn(watch.run(Arc::default(), Arc::default(), {
        let applied = applied.clone();
        move |live| applied.store(live.number, Ordering::Relaxed)
    }));
    let path = dir.path().join("htpasswd");
    std::thread::scope(|scope| {
        for n in 0..4 {
            let (editor, path, live) = (&editor, &path, &live);
            scope.spawn(move || {
                for i in 0..125 {
                    add_user(editor, &format!("api-{n}-{i}")).unwrap();
                    assert!(live.load().identity.users().unwrap().contains(&format!("api-{n}-{i}")));
                    let line = htpasswd(&[&format!("cli-{n}-{i}")]);
                    let add = |old: Option<&[u8]>| Ok::<_, std::io::Error>([old.unwrap(), line.as_bytes()].concat());
                    crate::files::replace::replace(path, add).unwrap();
                }
            });
        }
    });
    editor.reload();
    let users = live.load_full();
    assert_eq!((users.identity.users().unwrap().len(), users.stale.is_none()), (1001, true));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while applied.load(Ordering::Relaxed) != users.number {
        assert!(std::time::Instant::now() < deadline, "the last generation was never applied");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    following.abort();
}
