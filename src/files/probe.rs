//! Tests what the filesystem of a storage directory can do.
//!
//! Every test uses files of its own in the directory for temporary files, and removes them.

use super::{FileKind, Real, Sys, atomic::TEMPORARY, world};
use bytes::Bytes;
use std::{
    io,
    time::{Duration, SystemTime},
};

/// The result of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeResult {
    /// What was tested, and the result.
    pub text: String,
    /// What an operator should know if the result is bad.
    pub warning: Option<String>,
}

impl ProbeResult {
    fn good(text: impl Into<String>) -> Self {
        Self { text: text.into(), warning: None }
    }

    fn bad(text: impl Into<String>, warning: impl Into<String>) -> Self {
        Self { text: text.into(), warning: Some(warning.into()) }
    }
}

/// A file's time that does not change for this long counts as coarse.
const LONGEST_LOOK: Duration = Duration::from_millis(50);

/// The longest name that most filesystems accept, in bytes.
const LONGEST_NAME: usize = 255;

/// What is known without writing anything: the kind of filesystem, and its free space.
///
/// # Errors
/// An error of the operating system.
pub fn inspect(sys: &Real) -> io::Result<Vec<ProbeResult>> {
    let space = sys.space()?;
    let inodes = match space.total_inodes {
        0 => "inodes not reported".to_owned(),
        total => format!("{} of {total} inodes", space.free_inodes),
    };
    let room = format!("free space: {} of {} MiB, {inodes}", space.free_bytes >> 20, space.total_bytes >> 20);
    Ok(vec![kind_of(sys.file_system()?), ProbeResult::good(room)])
}

/// Tests everything the store relies on.
///
/// # Errors
/// If nothing can be written at all.
pub fn attempt(sys: &Real) -> io::Result<Vec<ProbeResult>> {
    let probe = DiskProbe { sys, id: world::uuid().simple().to_string() };
    let first = probe.path("first");
    let file = sys.create(&first, false)?;
    let findings = [
        sys.write_at(&file, &[Bytes::from_static(b"first")], 0).and_then(|()| sys.sync_data(&file)).map_or_else(
            |e| ProbeResult::bad(format!("sync of a file: {e}"), "every push will fail"),
            |()| ProbeResult::good("sync of a file: works"),
        ),
        probe.rename_over(&first),
        probe.rename_new(&first),
        probe.link(&first),
        probe.sync_dir(),
        probe.case(),
        probe.long_name(),
        probe.times(&first),
    ];
    probe.tidy();
    Ok(findings.into())
}

struct DiskProbe<'a> {
    sys: &'a Real,
    /// The prefix of every name of this probe.
    id: String,
}

impl DiskProbe<'_> {
    fn path(&self, name: &str) -> String {
        format!("{TEMPORARY}/{}-{name}", self.id)
    }

    fn make(&self, name: &str) -> io::Result<String> {
        let path = self.path(name);
        self.sys.create(&path, false).map(|_| path)
    }

    fn rename_over(&self, first: &str) -> ProbeResult {
        let tried = self.make("over").and_then(|over| {
            self.sys.rename(first, &over)?;
            let len = self.sys.meta(&over)?.len;
            self.sys.rename(&over, first)?;
            Ok(len)
        });
        match tried {
            Ok(5) => ProbeResult::good("rename over a file: works"),
            other => ProbeResult::bad(format!("rename over a file: {other:?}"), "every push will fail"),
        }
    }

    fn rename_new(&self, first: &str) -> ProbeResult {
        let tried = self.make("taken").and_then(|taken| {
            let refused = self.sys.rename_new(first, &taken).map_err(|e| e.kind());
            self.sys.rename_new(first, &self.path("free"))?;
            self.sys.rename_new(&self.path("free"), first)?;
            Ok(refused)
        });
        match tried {
            Ok(Err(io::ErrorKind::AlreadyExists)) => ProbeResult::good("rename without replacing: works"),
            other => ProbeResult::bad(format!("rename without replacing: {other:?}"), "every push of a blob will fail"),
        }
    }

    fn link(&self, first: &str) -> ProbeResult {
        match self.sys.link(first, &self.path("link")) {
            Ok(()) => ProbeResult::good("hard links: work"),
            Err(e) => ProbeResult::bad(
                format!("hard links: {e}"),
                "garbage collection restores files by renaming them instead, and backups with rsync --link-dest take more space",
            ),
        }
    }

    fn sync_dir(&self) -> ProbeResult {
        match self.sys.sync_dir(TEMPORARY) {
            Ok(()) => ProbeResult::good("sync of a directory: works"),
            Err(e) => ProbeResult::bad(
                format!("sync of a directory: {e}"),
                "names cannot be made durable: every push will fail unless storage.durability is \"none\"",
            ),
        }
    }

    fn case(&self) -> ProbeResult {
        let tried = self.make("CASE").and_then(|_| match self.sys.meta(&self.path("case")) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        });
        match tried {
            Ok(false) => ProbeResult::good("upper and lower case: distinct"),
            Ok(true) => {
                ProbeResult::bad("upper and lower case: not distinct", "the tags `V1` and `v1` would be the same file")
            }
            Err(e) => ProbeResult::bad(
                format!("upper and lower case: {e}"),
                "tags that differ only in case may be the same file",
            ),
        }
    }

    fn long_name(&self) -> ProbeResult {
        let name = "n".repeat(LONGEST_NAME - self.id.len() - 1);
        match self.make(&name) {
            Ok(_) => ProbeResult::good(format!("names of {LONGEST_NAME} bytes: work")),
            Err(e) => ProbeResult::bad(format!("names of {LONGEST_NAME} bytes: {e}"), "pushes of long tags will fail"),
        }
    }

    /// The smallest step by which a file's time was seen to change.
    fn times(&self, first: &str) -> ProbeResult {
        let time = || -> io::Result<SystemTime> {
            self.sys.touch(first)?;
            Ok(self.sys.meta(first)?.modified)
        };
        let tried = time().and_then(|before| {
            let began = world::uptime();
            while world::uptime() - began < LONGEST_LOOK {
                let step = time()?.duration_since(before).unwrap_or_default();
                if !step.is_zero() {
                    return Ok(Some(step));
                }
            }
            Ok(None)
        });
        match tried {
            Ok(Some(step)) => ProbeResult::good(format!("file times: steps of at most {} µs", step.as_micros().max(1))),
            Ok(None) => ProbeResult::bad(
                format!("file times: steps of more than {} ms", LONGEST_LOOK.as_millis()),
                "garbage collection may take new files for older ones and will have to restore them",
            ),
            Err(e) => {
                ProbeResult::bad(format!("file times: {e}"), "the age of files is unknown: turn collection.enabled off")
            }
        }
    }

    /// Removes all files of this probe.
    fn tidy(&self) {
        let mut names = Vec::new();
        // Files that cannot be removed are removed later, like those of interrupted writes.
        let _ = self.sys.read_dir(TEMPORARY, &mut |name, kind| {
            if kind == FileKind::File && name.starts_with(&self.id) {
                names.push(format!("{TEMPORARY}/{name}"));
            }
            true
        });
        for name in names {
            let _ = self.sys.unlink(&name);
        }
    }
}

/// The filesystem with this number in Linux (`statfs(2)`), and what is known about it.
fn kind_of(number: u64) -> ProbeResult {
    const NETWORK: &str = "only one host may serve it at a time, and its server must sync before it answers (NFS: export with `sync`); otherwise writes are not durable";
    let (name, warning) = match number {
        0xef53 => ("ext4 (or ext2, ext3)", None),
        0x5846_5342 => ("xfs", None),
        0x9123_683e => ("btrfs", None),
        0x2fc1_2fc1 => ("zfs", None),
        0xf2f5_2010 => ("f2fs", None),
        0xca45_1a4e => ("bcachefs", None),
        0x0102_1994 | 0x8584_58f6 => ("an in-memory filesystem", Some("all data is lost when the machine stops")),
        0x794c_7630 => (
            "overlay",
            Some("this is the container's own layer, which is deleted with the container: mount a volume here"),
        ),
        0x6969 => ("nfs", Some(NETWORK)),
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => ("smb", Some(NETWORK)),
        0x00c3_6400 => ("ceph", Some(NETWORK)),
        0x0102_1997 => {
            ("9p", Some("a directory shared with a virtual machine: its host decides whether a sync reaches the disk"))
        }
        0x6573_5546 => {
            ("fuse", Some("the program behind it decides whether a sync reaches a disk and whether a rename is atomic"))
        }
        0x4d44 | 0x2011_bab0 => ("fat", Some("it has no hard links and ignores case: not suitable for a store")),
        0 => ("unknown", None),
        other => return ProbeResult::good(format!("filesystem: unknown kind {other:#x}")),
    };
    let text = format!("filesystem: {name}");
    warning.map_or_else(
        || ProbeResult::good(text.clone()),
        |warning| ProbeResult::bad(text.clone(), format!("{name}: {warning}")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn names(dir: &Path) -> usize {
        std::fs::read_dir(dir.join(TEMPORARY)).unwrap().count()
    }

    #[test]
    fn the_probe_tries_everything_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join(TEMPORARY)).unwrap();
        std::fs::write(dir.path().join(TEMPORARY).join("another's"), "x").unwrap();
        let sys = Real::open_root(dir.path()).unwrap();
        let findings = attempt(&sys).unwrap();
        assert_eq!(findings.len(), 8);
        for finding in findings {
            assert_eq!(finding.warning, None, "{}", finding.text);
        }
        assert_eq!(names(dir.path()), 1);
        let results = inspect(&sys).unwrap();
        assert!(
            results[0].text.starts_with("filesystem: ") && results[1].text.starts_with("free space: "),
            "{results:?}"
        );
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let sys = Real::open_root(dir.path()).unwrap();
        assert_eq!(attempt(&sys).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn file_systems_with_weak_guarantees_are_reported() {
        assert_eq!(kind_of(0xef53).warning, None);
        for (number, word) in [(0x6969, "sync"), (0x794c_7630, "volume"), (0x0102_1994, "lost"), (0x6573_5546, "fuse")]
        {
            let warning = kind_of(number).warning.unwrap();
            assert!(warning.contains(word), "{warning}");
        }
        assert!(kind_of(0x1234).text.contains("0x1234"));
    }
}
