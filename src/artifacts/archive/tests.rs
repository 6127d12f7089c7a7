//! Archives as the programs read them that everybody has.

use super::*;
use std::process::Command;

fn entry(name: &str, size: u64) -> ArchiveEntry {
    ArchiveEntry { name: name.to_owned(), size, modified: "2026-11-30T20:15:31Z".parse().unwrap() }
}

/// Writes entries with these contents, a few bytes at a time.
fn written(format: ArchiveFormat, files: &[(&str, &[u8])], piece: usize) -> Vec<u8> {
    let entries = files.iter().map(|(name, content)| entry(name, content.len() as u64)).collect();
    let mut writer = ArchiveWriter::new(format, entries);
    let (len, mut out) = (writer.whole_len(), Vec::new());
    while let ArchiveNeed::Bytes { entry, offset } = writer.need() {
        let rest = &files[entry].1[offset as usize..];
        out.extend(writer.write(&rest[..rest.len().min(piece)]).unwrap());
    }
    assert_eq!(len, (format == ArchiveFormat::Zip).then_some(out.len() as u64), "the length was known before");
    out
}

/// Runs a program on an archive in a directory of its own; returns what it prints.
fn run(archive: &[u8], program: &str, args: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("archive"), archive).unwrap();
    let output = Command::new(program).args(args).current_dir(dir.path()).env("TZ", "UTC").output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

const FILES: &[(&str, &[u8])] = &[
    ("1.0/bin/app", b"#!/bin/sh\necho hello\n"),
    ("1.0/empty", b""),
    ("1.0/\u{e4} name with spaces.txt", &[7; 2000]),
    ("1.0/exactly-a-block", &[b'x'; 512]),
];

fn has(program: &str) -> bool {
    Command::new(program).arg("--help").output().is_ok()
}

#[test]
fn unzip_and_python_read_a_zip_archive() {
    for piece in [1, 700, 1 << 20] {
        let archive = written(ArchiveFormat::Zip, FILES, piece);
        if has("unzip") {
            assert!(run(&archive, "unzip", &["-t", "archive"]).contains("No errors detected"));
            assert_eq!(run(&archive, "unzip", &["-p", "archive", "1.0/bin/app"]).as_bytes(), FILES[0].1);
        }
        if has("python3") {
            let script = "import zipfile\nz = zipfile.ZipFile('archive')\nassert z.testzip() is None\n\
                          for i in z.infolist(): print(ascii(i.filename), i.file_size, i.compress_type, i.date_time)";
            assert_eq!(
                run(&archive, "python3", &["-c", script]).lines().collect::<Vec<_>>(),
                [
                    "'1.0/bin/app' 21 0 (2026, 11, 30, 20, 15, 30)",
                    "'1.0/empty' 0 0 (2026, 11, 30, 20, 15, 30)",
                    "'1.0/\\xe4 name with spaces.txt' 2000 0 (2026, 11, 30, 20, 15, 30)",
                    "'1.0/exactly-a-block' 512 0 (2026, 11, 30, 20, 15, 30)",
                ]
            );
        }
    }
}

#[test]
fn tar_and_python_read_a_tar_archive() {
    let long = format!("1.0/{}/{}/file", "d".repeat(200), "e".repeat(200));
    let files: Vec<(&str, &[u8])> = FILES.iter().copied().chain([(long.as_str(), &b"deep"[..])]).collect();
    for piece in [1, 700, 1 << 20] {
        let archive = written(ArchiveFormat::TarGz, &files, piece);
        let names = run(&archive, "tar", &["--quoting-style=literal", "-tzf", "archive"]);
        assert_eq!(names.lines().collect::<Vec<_>>(), files.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        assert_eq!(run(&archive, "tar", &["-xOzf", "archive", "1.0/bin/app"]).as_bytes(), FILES[0].1);
        if has("python3") {
            let script = "import tarfile\nt = tarfile.open('archive')\n\
                          for m in t: print(m.size, m.mtime, m.mode, m.isreg(), len(t.extractfile(m).read()))";
            let printed = run(&archive, "python3", &["-c", script]);
            assert_eq!(printed.lines().next(), Some("21 1796069731 420 True 21"));
            assert_eq!(printed.lines().count(), files.len());
        }
    }
}

#[test]
fn an_archive_that_ends_early_is_not_a_valid_one() {
    for (format, args) in [(ArchiveFormat::Zip, ["unzip", "-t"]), (ArchiveFormat::TarGz, ["tar", "-tzf"])] {
        let archive = written(format, FILES, 100);
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("archive"), &archive[..archive.len() - 10]).unwrap();
        let status = Command::new(args[0]).arg(args[1]).arg("archive").current_dir(dir.path()).output();
        assert!(status.is_ok_and(|output| !output.status.success()), "{args:?}");
    }
}

#[test]
fn an_archive_may_have_more_entries_than_16_bits_count() {
    let many: Vec<(String, Vec<u8>)> = (0..65_535).map(|i| (format!("{i}"), Vec::new())).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    for count in [65_534, 65_535] {
        let archive = written(ArchiveFormat::Zip, &many[..count], 1);
        if has("python3") {
            let script = "import zipfile\nprint(len(zipfile.ZipFile('archive').namelist()))";
            assert_eq!(run(&archive, "python3", &["-c", script]).trim(), count.to_string());
        }
    }
}

#[test]
fn a_time_that_a_zip_archive_cannot_have_is_its_first() {
    for (time, text) in [
        ("1969-01-01T00:00:00Z", "(1980, 1, 1, 0, 0, 0)"),
        ("2107-12-31T23:59:59Z", "(2107, 12, 31, 23, 59, 58)"),
        ("2108-01-01T00:00:00Z", "(1980, 1, 1, 0, 0, 0)"),
    ] {
        let mut writer = ArchiveWriter::new(
            ArchiveFormat::Zip,
            vec![ArchiveEntry { modified: time.parse().unwrap(), ..entry("a", 1) }],
        );
        let archive = writer.write(b"a").unwrap();
        assert_eq!(writer.need(), ArchiveNeed::Nothing);
        if has("python3") {
            let script = "import zipfile\nprint(zipfile.ZipFile('archive').infolist()[0].date_time)";
            assert_eq!(run(&archive, "python3", &["-c", script]).trim(), text);
        }
    }
}
