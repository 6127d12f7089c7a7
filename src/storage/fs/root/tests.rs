use super::*;

fn open(path: &Path, init: Init) -> Result<Opened, OpenError> {
    Fs::open(path, init).map(|(_, opened)| opened)
}

#[test]
fn an_empty_directory_becomes_a_store_once() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("lost+found")).unwrap();
    assert_eq!(open(dir.path(), Init::EmptyDirectory).unwrap(), Opened::Initialised);
    assert_eq!(open(dir.path(), Init::EmptyDirectory).unwrap(), Opened::Existing);
    assert_eq!(open(dir.path(), Init::Never).unwrap(), Opened::Existing);
    assert_eq!(std::fs::read_dir(dir.path().join("blobs/sha512")).unwrap().count(), 256);
}

#[test]
fn a_missing_directory_is_created_with_its_parents_unless_that_is_forbidden() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("srv/registry/data");
    assert!(matches!(open(&path, Init::EmptyDirectory), Err(OpenError::Absent(_))));
    assert!(matches!(open(&path, Init::Never), Err(OpenError::Absent(_))));
    assert!(!dir.path().join("srv").exists());
    assert!(!inspect(&path, Init::CreateDirectory).unwrap());
    assert!(!dir.path().join("srv").exists(), "looking makes nothing");
    assert_eq!(open(&path, Init::CreateDirectory).unwrap(), Opened::Created);
    assert_eq!(open(&path, Init::CreateDirectory).unwrap(), Opened::Existing);
}

#[test]
fn a_directory_that_cannot_be_created_is_reported_with_the_user() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let looked = inspect(&dir.path().join("file/data"), Init::CreateDirectory).unwrap_err();
    assert!(looked.to_string().to_lowercase().contains("not a directory"), "{looked}");
    std::os::unix::fs::symlink("nowhere", dir.path().join("link")).unwrap();
    let looked = inspect(&dir.path().join("link/data"), Init::CreateDirectory).unwrap_err();
    assert!(looked.to_string().contains("(running as uid "), "{looked}");
}

#[test]
fn an_unmounted_volume_does_not_look_like_an_empty_registry() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(open(dir.path(), Init::Never), Err(OpenError::Empty(_))));
    open(dir.path(), Init::EmptyDirectory).unwrap();
    std::fs::create_dir(dir.path().join("repositories/app")).unwrap();
    std::fs::remove_file(dir.path().join("ROOT.json")).unwrap();
    assert!(matches!(open(dir.path(), Init::CreateDirectory), Err(OpenError::NotAStore { .. })));
}

#[test]
fn foreign_files_are_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("thesis.tex"), "x").unwrap();
    let refused = open(dir.path(), Init::CreateDirectory).unwrap_err();
    assert!(refused.to_string().contains("thesis.tex"), "{refused}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn an_interrupted_initialisation_is_finished_by_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("blobs/sha256/00")).unwrap();
    std::fs::create_dir_all(dir.path().join("state/tmp")).unwrap();
    assert_eq!(open(dir.path(), Init::EmptyDirectory).unwrap(), Opened::Initialised);
}

#[test]
fn a_newer_format_and_garbage_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), Init::EmptyDirectory).unwrap();
    for (json, why) in [(r#"{"format":99,"id":"67e55044-10b1-426f-9247-bb680e5fe0c8"}"#, "newer"), ("{", "is damaged")]
    {
        std::fs::write(dir.path().join("ROOT.json"), json).unwrap();
        assert!(open(dir.path(), Init::CreateDirectory).unwrap_err().to_string().contains(why));
    }
}

#[test]
fn opening_a_store_beside_its_daemon_never_creates_one() {
    let dir = tempfile::tempdir().unwrap();
    let beside = |path: &Path| Fs::open_beside(path).map(|_| ());
    assert!(matches!(beside(&dir.path().join("absent")), Err(OpenError::Absent(_))));
    assert!(matches!(beside(dir.path()), Err(OpenError::NoStore(_))));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was made");
    let _daemon = Fs::open(dir.path(), Init::EmptyDirectory).unwrap();
    beside(dir.path()).unwrap();
    std::fs::remove_file(dir.path().join("ROOT.json")).unwrap();
    std::fs::create_dir(dir.path().join("repositories/app")).unwrap();
    assert!(matches!(beside(dir.path()), Err(OpenError::NotAStore { .. })));
}

#[test]
fn only_one_daemon_can_serve_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _) = Fs::open(dir.path(), Init::EmptyDirectory).unwrap();
    let path = dir.path().to_owned();
    let second = std::thread::spawn(move || open(&path, Init::EmptyDirectory));
    std::thread::sleep(Duration::from_millis(50));
    drop(first);
    assert_eq!(second.join().unwrap().unwrap(), Opened::Existing, "it waits for the first to end");
}
