use super::*;
use std::time::Duration;

#[test]
fn warmed_pages_are_in_memory_and_a_file_that_is_too_short_is_reported() {
    // In a directory that is on a disk.
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, vec![7; 3 << 20]).unwrap();
    let file = File::open(&path).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    warm(&file, 1000, 2 << 20).unwrap();
    let mut bytes = vec![0; 2 << 20];
    assert_eq!(read_now(&file, &mut bytes, 1000), bytes.len());
    assert!(bytes.iter().all(|byte| *byte == 7));
    let error = warm(&file, 2 << 20, 2 << 20).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_file_has_the_same_stamp_with_and_without_asking_the_server() {
    for dir in ["/dev/shm", env!("CARGO_MANIFEST_DIR")] {
        let file = tempfile::tempfile_in(dir).unwrap();
        let [local, remote] = [true, false].map(|is_local| Kernel { resolves: false, tells_moves_on: None, is_local });
        assert_eq!(local.stamp_of(&file).unwrap(), remote.stamp_of(&file).unwrap(), "{dir}");
    }
}

#[test]
fn moves_are_detected_on_file_systems_that_are_said_to_reveal_them() {
    for dir in ["/dev/shm", env!("CARGO_MANIFEST_DIR")] {
        let dir = tempfile::tempdir_in(dir).unwrap();
        let kernel = Kernel::of(std::fs::File::open(dir.path()).unwrap().as_fd()).unwrap();
        let file = std::fs::File::create(dir.path().join("a")).unwrap();
        let before = kernel.stamp_of(&file).unwrap();
        if !kernel.detects_moves(&before) {
            continue;
        }
        std::thread::sleep(Duration::from_millis(30));
        std::fs::rename(dir.path().join("a"), dir.path().join("b")).unwrap();
        assert_ne!(kernel.stamp_of(&file).unwrap(), before, "{dir:?}");
    }
}
