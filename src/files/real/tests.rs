//! Tests that no link is followed, and only regular files are opened.

use super::*;
use crate::files::{FileKind, Sys, read_now};
use bytes::Bytes;

/// The root with the kernel's path resolution, where available, and without.
fn both(path: &std::path::Path) -> [Real; 2] {
    let Real { root, kernel } = Real::open_root(path).unwrap();
    [Real::open_root(path).unwrap(), Real { root, kernel: kernel.without_resolution() }]
}

#[test]
fn nothing_outside_the_root_is_reached_by_a_planted_link() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::create_dir(outside.path().join("b")).unwrap();
    std::fs::write(outside.path().join("b/secret"), "x").unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("a/b/c")).unwrap();
    std::fs::write(dir.path().join("real"), "y").unwrap();
    // A link at each level of a path: the first directory, a middle one, the last one, the file.
    for link in ["l", "a/l", "a/b/l", "a/b/c/l"] {
        std::os::unix::fs::symlink(outside.path(), dir.path().join(link)).unwrap();
    }
    std::os::unix::fs::symlink(outside.path().join("b/secret"), dir.path().join("a/b/f")).unwrap();
    std::os::unix::fs::symlink("b", dir.path().join("a/inside")).unwrap();
    for sys in both(dir.path()) {
        for at in ["l/b", "a/l/b", "a/b/l/b", "a/b/c/l/b", "a/inside"] {
            let file = format!("{at}/secret");
            let error = sys.open(&file).map(drop).unwrap_err();
            assert_ne!(error.kind(), io::ErrorKind::NotFound, "{at}: {error}");
            assert!(sys.open_rw(&file).is_err() && sys.meta(&file).is_err());
            assert!(sys.metas(at, &["secret"]).is_err());
            assert!(sys.open_now(&file).is_none(), "{at}");
            assert!(sys.create(&format!("{at}/new"), false).is_err());
            assert!(sys.rename("real", &format!("{at}/real")).is_err());
            assert!(sys.rename_new("real", &format!("{at}/real")).is_err());
            assert!(sys.link("real", &format!("{at}/real")).is_err());
            assert!(sys.rename(&file, "taken").is_err());
            assert!(sys.unlink(&file).is_err() && sys.touch(&file).is_err());
            assert!(sys.mkdir(&format!("{at}/sub")).is_err() && sys.rmdir(at).is_err());
            assert!(sys.sync_dir(at).is_err());
            assert!(sys.read_dir(at, &mut |_, _| true).is_err());
        }
        assert!(sys.open("a/b/f").is_err() && sys.open_rw("a/b/f").is_err() && sys.create("a/b/f", false).is_err());
        assert_eq!(sys.meta("a/b/f").unwrap().kind, FileKind::Other, "a link is seen as one");
        for path in ["../x", "a/../../x", "/etc/passwd", "a//b", ""] {
            assert!(sys.open(path).is_err() && sys.create(path, false).is_err(), "{path}");
        }
    }
    assert_eq!(std::fs::read_dir(outside.path().join("b")).unwrap().count(), 1);
}

#[test]
fn the_root_itself_and_what_is_deep_in_it_are_reached_either_way() {
    let dir = tempfile::tempdir().unwrap();
    for (i, sys) in both(dir.path()).iter().enumerate() {
        let top = format!("top{i}");
        sys.mkdir(&top).unwrap();
        sys.mkdir(&format!("{top}/sub")).unwrap();
        let file = sys.create(&format!("{top}/sub/f"), false).unwrap();
        sys.sync_data(&file).unwrap();
        sys.link(&format!("{top}/sub/f"), &format!("f{i}")).unwrap();
        for synced in [".", &top, &format!("{top}/sub")] {
            sys.sync_dir(synced).unwrap();
        }
        sys.sync_all().unwrap();
        let mut found = Vec::new();
        sys.read_dir(".", &mut |name, _| {
            found.push(name.to_owned());
            true
        })
        .unwrap();
        assert!(found.contains(&top) && found.contains(&format!("f{i}")));
    }
}

#[test]
fn a_fifo_in_place_of_a_file_neither_hangs_nor_reads() {
    let dir = tempfile::tempdir().unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let sys = Real::open_root(dir.path()).unwrap();
    assert_eq!(sys.open("fifo").map(drop).unwrap_err().kind(), io::ErrorKind::InvalidData);
}

#[test]
fn reading_past_the_cache_reads_everything_and_caches_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let sys = Real::open_root(dir.path()).unwrap();
    let file = sys.create("f", false).unwrap();
    let content = Bytes::from((0..3_000_000u32).map(|i| (i % 251) as u8).collect::<Vec<_>>());
    sys.write_at(&file, std::slice::from_ref(&content), 0).unwrap();
    sys.sync_data(&file).unwrap();
    fs::fadvise(&file, 0, None, fs::Advice::DontNeed).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut read = Vec::new();
    while let n @ 1.. = sys.read_uncached(&file, &mut buffer, read.len() as u64).unwrap() {
        read.extend_from_slice(&buffer[..n]);
    }
    assert_eq!(read, content);
    let mut byte = [0];
    let warm = (0..content.len() as u64).step_by(4096).filter(|at| read_now(&file, &mut byte, *at) == 1).count();
    assert!(warm < 16, "{warm} pages stayed");
    // What is in memory stays there.
    sys.read_at(&file, &mut buffer, 0).unwrap();
    let before = read_now(&file, &mut vec![0; 1 << 20], 0);
    sys.read_uncached(&file, &mut buffer, 0).unwrap();
    assert_eq!(read_now(&file, &mut vec![0; 1 << 20], 0), before);
}

#[test]
fn vectored_writes_of_any_number_of_parts_arrive_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let sys = Real::open_root(dir.path()).unwrap();
    let file = sys.create("f", false).unwrap();
    let parts: Vec<Bytes> = (0..3000u32).map(|i| Bytes::from(vec![i as u8; (i % 5) as usize])).collect();
    sys.write_at(&file, &parts, 3).unwrap();
    assert_eq!(std::fs::read(dir.path().join("f")).unwrap()[3..], parts.concat());
}

#[test]
fn cached_regular_files_are_read_without_waiting() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("a")).unwrap();
    std::fs::write(dir.path().join("a/file"), "content").unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("a/fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let [kernel, walking] = both(dir.path());
    assert!(walking.open_now("a/file").is_none());
    for other in ["a/fifo", "a", "a/absent"] {
        assert!(kernel.open_now(other).is_none(), "{other}");
    }
    // Not on a kernel that cannot tell.
    if let Some((file, ..)) = kernel.open_now("a/file") {
        let mut buffer = [0; 7];
        let read = kernel.read_now(&file, &mut buffer);
        // Nor on a file system that cannot.
        assert!(read == 0 || (read, &buffer) == (7, b"content"), "{read} {buffer:?}");
    }
}

#[test]
fn names_of_one_directory_are_examined_together_and_missing_ones_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
    std::fs::write(dir.path().join("a/file"), "four").unwrap();
    std::os::unix::fs::symlink("file", dir.path().join("a/link")).unwrap();
    for sys in both(dir.path()) {
        let found = sys.metas("a", &["link", "gone", "file", "b"]).unwrap();
        let seen: Vec<_> = found.iter().map(|meta| meta.map(|meta| (meta.kind, meta.len))).collect();
        assert_eq!(seen[1..3], [None, Some((FileKind::File, 4))]);
        assert_eq!(seen[0].unwrap().0, FileKind::Other, "a link is seen as one");
        assert_eq!(seen[3].unwrap().0, FileKind::Directory);
        assert!(sys.metas("gone", &["file", "b"]).unwrap().iter().all(Option::is_none));
        assert!(sys.metas("a/file", &["x"]).is_err(), "no directory is not an empty one");
    }
}
