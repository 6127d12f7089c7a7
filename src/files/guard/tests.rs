//! Tests of which writes are refused, and of how much is synced.

use super::*;
use crate::files::{AtomicFiles, Real, WriteRefused, world::simulation};
use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, SystemTime},
};

/// A world whose time is set by the test.
#[derive(Default)]
struct ByHand(Cell<Duration>);

impl simulation::World for ByHand {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.0.get()
    }
    fn uptime(&self) -> Duration {
        self.0.get()
    }
    fn random(&self) -> u128 {
        uuid::Uuid::new_v4().as_u128()
    }
    fn boot(&self) -> String {
        "boot".to_owned()
    }
    fn pause(&self) {}
    fn syncs(&self, _: &'static str) -> bool {
        true
    }
}

/// Runs a test in such a world.
fn by_hand(test: impl FnOnce(&dyn Fn(u64))) {
    let world = Rc::new(ByHand::default());
    simulation::enter(Some(world.clone()));
    test(&|seconds| world.0.set(world.0.get() + Duration::from_secs(seconds)));
    simulation::enter(None);
}

fn files() -> (tempfile::TempDir, AtomicFiles<Real>) {
    let dir = tempfile::tempdir().unwrap();
    let files = AtomicFiles::new(Real::open_root(dir.path()).unwrap());
    (dir, files)
}

#[track_caller]
fn refused<T>(result: io::Result<T>) -> String {
    let error = result.map(drop).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ReadOnlyFilesystem);
    assert!(error.get_ref().unwrap().is::<WriteRefused>());
    error.to_string()
}

fn eio<T>() -> io::Result<T> {
    Err(io::Error::from_raw_os_error(5))
}

#[test]
fn three_failures_within_a_minute_stop_writing_but_not_reading() {
    by_hand(|pass| {
        let (_dir, files) = files();
        let sys = files.sys();
        let file = sys.create("f", false).unwrap();
        sys.write_at(&file, &["x".into()], 0).unwrap();
        for _ in 0..5 {
            assert!(sys.write(|_| eio::<()>()).is_err());
            assert!(sys.write(|_| eio::<()>()).is_err());
            pass(61);
            sys.mkdir(&uuid::Uuid::new_v4().to_string()).unwrap();
        }
        for _ in 0..3 {
            pass(20);
            assert_eq!(sys.write(|_| eio::<()>()).unwrap_err().raw_os_error(), Some(5));
        }
        pass(100_000);
        let staged = Bytes::from("x");
        for why in [
            refused(sys.create("g", false)),
            refused(sys.write_at(&file, &["y".into()], 1)),
            refused(sys.truncate(&file, 0)),
            refused(sys.sync_data(&file)),
            refused(sys.rename("f", "g")),
            refused(sys.rename_new("f", "g")),
            refused(sys.link("f", "g")),
            refused(sys.unlink("f")),
            refused(sys.mkdir("d")),
            refused(sys.rmdir("d")),
            refused(sys.sync_dir(".")),
            refused(sys.touch("f")),
            refused(files.stage(&staged, None, false)),
            refused(files.sync_parent("f", "test")),
        ] {
            assert!(why.contains("failed 3 times"), "{why}");
        }
        assert_eq!(sys.meta("f").unwrap().len, 1);
        let mut byte = [0];
        assert_eq!(sys.read_at(&sys.open("f").unwrap(), &mut byte, 0).unwrap(), 1);
        assert!(sys.trouble().is_some());
    });
}

#[test]
fn failures_unrelated_to_the_disk_do_not_count() {
    let (_dir, files) = files();
    for _ in 0..5 {
        for code in [2, 13, 24, 28] {
            let failed: io::Result<()> = files.sys().write(|_| Err(io::Error::from_raw_os_error(code)));
            assert!(failed.is_err());
            assert!(files.sys().health.synced("d", Err(io::Error::from_raw_os_error(code))).is_err());
        }
        assert!(files.sys().health.record_write(Err::<(), _>(io::Error::other("x"))).is_err());
    }
    assert_eq!(files.sys().trouble(), None);
}

#[test]
fn a_directory_that_cannot_be_synced_stops_writing_at_once() {
    let (_dir, files) = files();
    let first = files.sys().health.synced("tags", eio());
    assert_eq!(first.unwrap_err().raw_os_error(), Some(5), "the request gets the error");
    assert!(refused(files.sys().mkdir("d")).contains("cannot sync the directory tags"));
}

#[test]
fn a_file_that_could_not_be_synced_is_removed_and_never_synced_again() {
    let (dir, files) = files();
    files.ensure_dir("state/tmp").unwrap();
    let staged = files.stage(&Bytes::from("x"), None, false).unwrap();
    let path = staged.path().to_owned();
    let file = files.sys().open(&path).unwrap();
    let trouble = files.sys().health.synced("tags", eio());
    assert!(trouble.is_err());
    // The refusal has the same effect as a failed sync: the file is removed.
    assert!(files.sync_data(&file, &path, "test").is_err());
    assert!(!dir.path().join(&path).exists(), "not even where nothing else is written");
}

#[test]
fn without_root_json_nothing_is_written_until_it_is_back() {
    by_hand(|pass| {
        let (dir, files) = files();
        let mark = dir.path().join("ROOT.json");
        std::fs::write(&mark, "{}").unwrap();
        files.sys().require("ROOT.json");
        files.ensure_dir("a").unwrap();
        std::fs::rename(&mark, dir.path().join("away")).unwrap();
        files.ensure_dir("b").unwrap();
        pass(2);
        assert!(refused(files.ensure_dir("c")).contains("ROOT.json is missing"));
        assert!(files.sys().trouble().is_some() && files.sys().meta("a").is_ok());
        std::fs::rename(dir.path().join("away"), &mark).unwrap();
        assert!(files.ensure_dir("c").is_err(), "it is not looked for at every call");
        pass(1);
        files.ensure_dir("c").unwrap();
        assert_eq!(files.sys().trouble(), None);
    });
}

#[test]
fn delayed_syncs_happen_with_the_next_flush_even_for_removed_files() {
    let (_dir, files) = files();
    let syncs = || files.sys().syncs().directory;
    files.ensure_dir("a/b").unwrap();
    let before = syncs();
    files.sys().set_syncing(Syncing::Relaxed).unwrap();
    for name in ["a/b/1", "a/b/2", "a/3"] {
        files.place(files.stage(&Bytes::from("x"), Some("test"), false).unwrap(), name).unwrap();
        files.sync_parent(name, "test").unwrap();
    }
    assert_eq!((syncs(), files.sys().has_put_off()), (before, true));
    let data = files.sys().syncs().data;
    assert_eq!(data, 3, "bytes are synced all the same");
    for name in ["a/b/1", "a/b/2"] {
        files.sys().unlink(name).unwrap();
    }
    files.prune("a/b/1", "a");
    files.sys().flush().unwrap();
    assert!(!files.sys().has_put_off());
    assert!(files.sys().directories.are_durable("a"), "where the directory was");
    files.sync_parent("a/3", "test").unwrap();
    files.sys().set_syncing(Syncing::Strict).unwrap();
    assert!(!files.sys().has_put_off(), "a change to strict syncs what was put off");
}

#[test]
fn without_durability_nothing_is_synced_until_it_is_enabled_again() {
    let (_dir, files) = files();
    files.sys().set_syncing(Syncing::None).unwrap();
    files.place(files.stage(&Bytes::from("x"), Some("test"), false).unwrap(), "a/1").unwrap();
    files.sync_parent("a/1", "test").unwrap();
    files.settle("a/1", "test").unwrap();
    assert_eq!(files.sys().syncs(), Syncs::default());
    files.sys().set_syncing(Syncing::Strict).unwrap();
    files.settle("a/1", "test").unwrap();
    assert_eq!(files.sys().syncs().directory, 1);
    files.settle("a/1", "test").unwrap();
    assert_eq!(files.sys().syncs().directory, 1, "it is known now");
    files.place(files.stage(&Bytes::from("x"), None, false).unwrap(), "a/2").unwrap();
    files.settle("a/1", "test").unwrap();
    assert_eq!(files.sys().syncs().directory, 2, "there is a new name beside it");
}
