use super::*;
use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::sync::{Arc, Barrier};

/// Replaces the whole file.
fn put(path: &Path, text: &str) -> io::Result<()> {
    replace(path, |_| Ok::<_, io::Error>(text.into()))
}

fn append(path: &Path, text: &str) -> io::Result<()> {
    replace(path, |old| Ok::<_, io::Error>([old.unwrap_or_default(), text.as_bytes()].concat()))
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
fn owner_and_group_stay() {
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
fn links_stay_and_what_they_lead_to_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (path, real) = (dir.path().join("f"), dir.path().join("real"));
    fs::create_dir(&real).unwrap();
    symlink("real", dir.path().join("current")).unwrap();
    symlink("current/f", &path).unwrap();
    // Nothing is at the link's end yet.
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
fn what_edit_refuses_changes_nothing() {
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
fn what_cannot_be_written_says_why_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("absent/f");
    let error = put(&absent, "x").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().contains("cannot open the directory"), "{error}");
    // A directory, and a name to which no temporary one fits: the file is read and not replaced.
    assert!(put(dir.path(), "x").unwrap_err().to_string().contains("not a regular file"));
    let long = dir.path().join("n".repeat(250));
    fs::write(&long, "one").unwrap();
    let error = put(&long, "two").unwrap_err();
    assert!(error.to_string().contains("cannot create a file in the directory"), "{error}");
    assert_eq!(fs::read(&long).unwrap(), b"one");
}

#[test]
fn many_at_once_lose_nothing_from_before_the_file_is_there() {
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
fn a_file_made_meanwhile_is_edited_and_not_replaced() {
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
fn a_lock_held_by_another_is_waited_for_but_not_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "one").unwrap();
    let theirs = File::open(&path).unwrap();
    theirs.lock().unwrap();
    let edit = |_: Option<&[u8]>| Ok::<_, io::Error>(b"two".to_vec());
    let error = replace_within(Duration::from_millis(20), &path, edit).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(fs::read(&path).unwrap(), b"one");
    // Nor does the lock on a directory, which a daemon may hold, stop anybody.
    let daemon = File::open(dir.path()).unwrap();
    daemon.lock().unwrap();
    drop(theirs);
    put(&path, "two").unwrap();
}
