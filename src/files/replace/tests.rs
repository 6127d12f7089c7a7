use super::*;
use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::sync::{Arc, Barrier};

/// Replaces the whole file.
fn put(path: &Path, text: &str) -> io::Result<()> {
    replace(path, |_| Ok::<_, io::Error>(text.into())).map(drop)
}

fn append(path: &Path, text: &str) -> io::Result<()> {
    replace(path, |old| Ok::<_, io::Error>([old.unwrap_or_default(), text.as_bytes()].concat())).map(drop)
}

/// Replaces a file as an editor does, which knows nothing of locks.
fn rename_over(path: &Path, text: &str) {
    let new = path.with_extension("editor");
    fs::write(&new, text).unwrap();
    fs::rename(&new, path).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

/// The names in a directory.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_new_file_is_for_its_owner_and_an_old_one_keeps_its_mode() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    put(&path, "one").unwrap();
    assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"one".to_vec(), 0o600));
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    append(&path, "two").unwrap();
    assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"onetwo".to_vec(), 0o640));
    assert_eq!(names(dir.path()), ["f"]);
}

#[test]
fn owner_and_group_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "one").unwrap();
    // Only root may give files away.
    if chown(&path, Some(4711), Some(4712)).is_ok() {
        put(&path, "two").unwrap();
        let meta = fs::metadata(&path).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (4711, 4712));
    }
}

#[test]
fn links_stay_and_their_targets_are_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (path, real) = (dir.path().join("f"), dir.path().join("real"));
    fs::create_dir(&real).unwrap();
    symlink("real", dir.path().join("current")).unwrap();
    symlink("current/f", &path).unwrap();
    // The link leads to nothing yet.
    put(&path, "one").unwrap();
    append(&path, "two").unwrap();
    assert_eq!(fs::read(real.join("f")).unwrap(), b"onetwo");
    assert_eq!(fs::read_link(&path).unwrap(), Path::new("current/f"));
    assert_eq!(names(&real), ["f"]);
    assert_eq!(names(dir.path()), ["current", "f", "real"]);
    symlink("loop", dir.path().join("loop")).unwrap();
    assert!(put(&dir.path().join("loop"), "x").is_err());
}

#[test]
fn an_edit_that_refuses_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let refuse = |_: Option<&[u8]>| Err::<Vec<u8>, _>(io::Error::other("no"));
    assert_eq!(replace(&path, refuse).unwrap_err().to_string(), "no");
    assert_eq!(names(dir.path()), [""; 0]);
    fs::write(&path, "one").unwrap();
    assert_eq!(replace(&path, refuse).unwrap_err().to_string(), "no");
    assert_eq!(fs::read(&path).unwrap(), b"one");
    assert_eq!(names(dir.path()), ["f"]);
}

#[test]
fn a_failed_write_says_why_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("absent/f");
    let error = put(&absent, "x").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().contains("cannot open the directory"), "{error}");
    // A directory, and a name too long for a temporary one: the file can be read but not replaced.
    assert!(put(dir.path(), "x").unwrap_err().to_string().contains("not a regular file"));
    let long = dir.path().join("n".repeat(250));
    fs::write(&long, "one").unwrap();
    let error = put(&long, "two").unwrap_err();
    assert!(error.to_string().contains("cannot create a file in the directory"), "{error}");
    assert_eq!(fs::read(&long).unwrap(), b"one");
}

#[test]
fn concurrent_edits_lose_nothing_even_before_the_file_exists() {
    let dir = tempfile::tempdir().unwrap();
    let path = Arc::new(dir.path().join("f"));
    let start = Arc::new(Barrier::new(8));
    let threads: Vec<_> = (0..8)
        .map(|n| {
            let (path, start) = (path.clone(), start.clone());
            thread::spawn(move || {
                start.wait();
                (0..10).for_each(|i| append(&path, &format!("{n}-{i}\n")).unwrap());
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let text = fs::read_to_string(&*path).unwrap();
    assert_eq!(text.lines().count(), 80);
    for (n, i) in (0..8).flat_map(|n| (0..10).map(move |i| (n, i))) {
        assert!(text.contains(&format!("{n}-{i}\n")), "{n}-{i} in\n{text}");
    }
    assert_eq!(names(dir.path()), ["f"]);
}

#[test]
fn a_file_created_meanwhile_is_edited_and_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let mut calls = 0;
    replace(&path, |old| {
        calls += 1;
        if old.is_none() {
            fs::write(&path, "theirs ").unwrap();
        }
        Ok::<_, io::Error>([old.unwrap_or_default(), b"ours"].concat())
    })
    .unwrap();
    assert_eq!((calls, fs::read(&path).unwrap()), (2, b"theirs ours".to_vec()));
    assert_eq!(names(dir.path()), ["f"]);
}

#[test]
fn waiting_for_a_lock_ends_after_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "one").unwrap();
    let theirs = File::open(&path).unwrap();
    theirs.lock().unwrap();
    let edit = |_: Option<&[u8]>| Ok::<_, io::Error>(b"two".to_vec());
    let error = replace_within(Duration::from_millis(20), &path, edit).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(fs::read(&path).unwrap(), b"one");
    // The lock on a directory, which a daemon may hold, stops nobody either.
    let daemon = File::open(dir.path()).unwrap();
    daemon.lock().unwrap();
    drop(theirs);
    put(&path, "two").unwrap();
}

/// The edits of an editor that saves at these moments: while the edit is made, and just before the exchange.
#[test]
#[cfg_attr(portable, ignore = "only Linux exchanges two files, and so notices a change that comes this late")]
fn a_version_that_an_editor_puts_there_meanwhile_is_the_base_of_the_next_attempt() {
    for at_the_last_moment in [false, true] {
        for in_place in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("f");
            fs::write(&path, "one ").unwrap();
            let saves = std::cell::Cell::new(3);
            let save = || {
                if saves.get() > 0 {
                    saves.set(saves.get() - 1);
                    let text = format!("theirs-{} ", saves.get());
                    if in_place { fs::write(&path, text).unwrap() } else { rename_over(&path, &text) }
                }
            };
            let mut edit = |old: Option<&[u8]>| {
                if !at_the_last_moment {
                    save();
                }
                Ok::<_, io::Error>([old.unwrap(), b"ours"].concat())
            };
            let before = || {
                if at_the_last_moment {
                    save()
                }
            };
            let mut attempts = 1;
            while attempt(&path, &mut edit, &before).unwrap().is_none() {
                assert_eq!(fs::read_to_string(&path).unwrap(), format!("theirs-{} ", saves.get()), "it is back");
                attempts += 1;
            }
            assert_eq!((attempts, fs::read(&path).unwrap()), (4, b"theirs-0 ours".to_vec()));
            assert_eq!(names(dir.path()), ["f"]);
        }
    }
}

#[test]
#[cfg_attr(portable, ignore = "only Linux exchanges two files, and so notices a change that comes this late")]
fn a_file_removed_meanwhile_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "one").unwrap();
    let mut edit = |old: Option<&[u8]>| Ok::<_, io::Error>([old.unwrap_or(b"nothing "), b"ours"].concat());
    let remove = || fs::remove_file(&path).unwrap();
    assert!(attempt(&path, &mut edit, &remove).unwrap().is_none());
    assert!(attempt(&path, &mut edit, &|| ()).unwrap().is_some());
    assert_eq!((fs::read(&path).unwrap(), names(dir.path())), (b"nothing ours".to_vec(), vec!["f".to_owned()]));
}

#[test]
fn what_an_editor_writes_into_the_old_file_is_saved_beside_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "one").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let editor = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let replaced = replace(&path, |_| Ok::<_, io::Error>(b"two".to_vec())).unwrap();
    assert_eq!((replaced.has_changed(), replaced.save_late_writes().unwrap()), (true, None));
    std::os::unix::fs::FileExt::write_at(&editor, b"late", 0).unwrap();
    let saved = replaced.save_late_writes().unwrap().unwrap();
    assert_eq!((fs::read(&path).unwrap(), fs::read(&saved).unwrap()), (b"two".to_vec(), b"late".to_vec()));
    assert!(saved.file_name().unwrap().to_str().unwrap().starts_with(".f.lost-") && mode(&saved) == 0o640);
}

#[test]
fn an_edit_that_changes_nothing_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "one").unwrap();
    let before = fs::metadata(&path).unwrap();
    let replaced = replace(&path, |old| Ok::<_, io::Error>(old.unwrap().to_vec())).unwrap();
    assert_eq!((replaced.has_changed(), id(&fs::metadata(&path).unwrap())), (false, id(&before)));
}

/// Counts what is missing at the end, and what the editor itself took away: it saves over whatever is there.
#[test]
#[cfg_attr(portable, ignore = "only Linux exchanges two files, and so notices a change that comes this late")]
fn of_a_thousand_edits_beside_an_editor_that_renames_only_those_it_saved_over_are_missing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "#0\n").unwrap();
    let sys = Real::open_root(dir.path()).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    let (saved_over, last) = thread::scope(|scope| {
        let editor = scope.spawn(|| {
            let (mut saved_over, mut count) = (Vec::new(), 0);
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let read = fs::read_to_string(&path).unwrap();
                count += 1;
                let text = format!("#{count}\n{}", read.split_once('\n').unwrap().1);
                let _ = fs::remove_file(dir.path().join("mine"));
                fs::write(dir.path().join("mine"), &text).unwrap();
                // As a rename, but what it replaces stays readable.
                sys.exchange("mine", "f").unwrap();
                let out = fs::read_to_string(dir.path().join("mine")).unwrap();
                saved_over.extend(out.lines().filter(|line| !text.contains(*line)).map(str::to_owned));
                thread::sleep(Duration::from_micros(300));
            }
            (saved_over, count)
        });
        let edits: Vec<_> = (0..4)
            .map(|n| {
                let path = &path;
                scope.spawn(move || (0..250).for_each(|i| append(path, &format!("{n}-{i};\n")).unwrap()))
            })
            .collect();
        edits.into_iter().for_each(|edits| edits.join().unwrap());
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        editor.join().unwrap()
    });
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with(&format!("#{last}\n")), "what the editor saved is never lost: {last}");
    let edits = (0..4).flat_map(|n| (0..250).map(move |i| format!("{n}-{i};")));
    let missing: Vec<_> = edits.filter(|edit| !text.lines().any(|line| line == edit)).collect();
    assert!(missing.iter().all(|edit| saved_over.contains(edit)), "{missing:?} of {saved_over:?}");
    assert!(text.lines().skip(1).all(|line| line.ends_with(';')), "{text}");
}
