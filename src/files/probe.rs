//! What the file system below a storage root can do, found out by trying it.
//!
//! All is tried in the directory of temporary files, under names of its own, and removed again.

use super::{Kind, Real, Sys, atomic::TEMPORARY, world};
use bytes::Bytes;
use std::{
    io,
    path::Path,
    time::{Duration, SystemTime},
};

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was tried, and what came of it.
    pub told: String,
    /// What an operator should know, if it is not as it should be.
    pub warning: Option<String>,
}

impl Finding {
    fn good(told: impl Into<String>) -> Self {
        Self { told: told.into(), warning: None }
    }

    fn bad(told: impl Into<String>, warning: impl Into<String>) -> Self {
        Self { told: told.into(), warning: Some(warning.into()) }
    }
}

/// A time is looked at for this long before it is taken for a coarse one.
const LONGEST_LOOK: Duration = Duration::from_millis(50);

/// The longest name most file systems take, in bytes.
const LONGEST_NAME: usize = 255;

/// What can be told without writing anything: the kind of file system, and the room on it.
///
/// # Errors
/// The operating system's.
pub fn look(sys: &Real) -> io::Result<Vec<Finding>> {
    let space = sys.space()?;
    let inodes = match space.total_inodes {
        0 => "inodes are not counted".to_owned(),
        total => format!("{} of {total} inodes", space.free_inodes),
    };
    let room = format!("free: {} of {} MiB, {inodes}", space.free_bytes >> 20, space.total_bytes >> 20);
    Ok(vec![kind_of(sys.file_system()?), Finding::good(room)])
}

/// Tries all that the store relies on.
///
/// # Errors
/// Where nothing can be written at all.
pub fn attempt(sys: &Real) -> io::Result<Vec<Finding>> {
    let probe = Probe { sys, id: world::uuid().simple().to_string() };
    let first = probe.path("first");
    let file = sys.create(&first, false)?;
    let findings = [
        sys.write_at(&file, &[Bytes::from_static(b"first")], 0).and_then(|()| sys.sync_data(&file)).map_or_else(
            |e| Finding::bad(format!("sync of a file: {e}"), "no push can be answered"),
            |()| Finding::good("sync of a file: yes"),
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

/// Whether what lies at a path may be changed by others without this system hearing of it: another machine, or a
/// program behind a file system of its own.
#[cfg(not(portable))]
pub fn is_seen_by_others(path: &Path) -> bool {
    const SHARED: [u64; 7] = [0x6969, 0xff53_4d42, 0xfe53_4d42, 0x517b, 0x00c3_6400, 0x0102_1997, 0x6573_5546];
    rustix::fs::statfs(path).is_ok_and(|stat| SHARED.contains(&u64::from(stat.f_type as u32)))
}

/// Where the system cannot tell, it is taken not to be so.
#[cfg(portable)]
pub fn is_seen_by_others(_: &Path) -> bool {
    false
}

struct Probe<'a> {
    sys: &'a Real,
    /// Begins every name of this probe.
    id: String,
}

impl Probe<'_> {
    fn path(&self, name: &str) -> String {
        format!("{TEMPORARY}/{}-{name}", self.id)
    }

    fn make(&self, name: &str) -> io::Result<String> {
        let path = self.path(name);
        self.sys.create(&path, false).map(|_| path)
    }

    fn rename_over(&self, first: &str) -> Finding {
        let tried = self.make("over").and_then(|over| {
            self.sys.rename(first, &over)?;
            let len = self.sys.meta(&over)?.len;
            self.sys.rename(&over, first)?;
            Ok(len)
        });
        match tried {
            Ok(5) => Finding::good("rename over a file: yes"),
            other => Finding::bad(format!("rename over a file: {other:?}"), "no push can be answered"),
        }
    }

    fn rename_new(&self, first: &str) -> Finding {
        let tried = self.make("taken").and_then(|taken| {
            let refused = self.sys.rename_new(first, &taken).map_err(|e| e.kind());
            self.sys.rename_new(first, &self.path("free"))?;
            self.sys.rename_new(&self.path("free"), first)?;
            Ok(refused)
        });
        match tried {
            Ok(Err(io::ErrorKind::AlreadyExists)) => Finding::good("rename without replacing: yes"),
            other => Finding::bad(format!("rename without replacing: {other:?}"), "blobs cannot be published"),
        }
    }

    fn link(&self, first: &str) -> Finding {
        match self.sys.link(first, &self.path("link")) {
            Ok(()) => Finding::good("hard links: yes"),
            Err(e) => Finding::bad(
                format!("hard links: {e}"),
                "what a collection condemned is brought back by a rename, and a copy by rsync takes more room",
            ),
        }
    }

    fn sync_dir(&self) -> Finding {
        match self.sys.sync_dir(TEMPORARY) {
            Ok(()) => Finding::good("sync of a directory: yes"),
            Err(e) => Finding::bad(
                format!("sync of a directory: {e}"),
                "no name can be made durable here: pushes fail unless storage.durability is \"none\"",
            ),
        }
    }

    fn case(&self) -> Finding {
        let tried = self.make("CASE").and_then(|_| match self.sys.meta(&self.path("case")) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        });
        match tried {
            Ok(false) => Finding::good("upper and lower case: told apart"),
            Ok(true) => Finding::bad("upper and lower case: the same", "the tags `V1` and `v1` would be one"),
            Err(e) => Finding::bad(format!("upper and lower case: {e}"), "tags may not be told apart"),
        }
    }

    fn long_name(&self) -> Finding {
        let name = "n".repeat(LONGEST_NAME - self.id.len() - 1);
        match self.make(&name) {
            Ok(_) => Finding::good(format!("names of {LONGEST_NAME} bytes: yes")),
            Err(e) => Finding::bad(format!("names of {LONGEST_NAME} bytes: {e}"), "some tags cannot be pushed"),
        }
    }

    /// The smallest step a file's time was seen to make.
    fn times(&self, first: &str) -> Finding {
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
            Ok(Some(step)) => {
                Finding::good(format!("times of files: in steps of at most {} µs", step.as_micros().max(1)))
            }
            Ok(None) => Finding::bad(
                format!("times of files: in steps of more than {} ms", LONGEST_LOOK.as_millis()),
                "collection may take what was just pushed for older than it is, and has to bring it back",
            ),
            Err(e) => {
                Finding::bad(format!("times of files: {e}"), "nothing can be told to be young: do not collect here")
            }
        }
    }

    /// Removes everything of this probe.
    fn tidy(&self) {
        let mut names = Vec::new();
        // What cannot be removed is tidied up later, as what an interrupted write left.
        let _ = self.sys.read_dir(TEMPORARY, &mut |name, kind| {
            if kind == Kind::File && name.starts_with(&self.id) {
                names.push(format!("{TEMPORARY}/{name}"));
            }
            true
        });
        for name in names {
            let _ = self.sys.unlink(&name);
        }
    }
}

/// A file system by the number Linux gives its kind (`statfs(2)`), and what is known of it.
fn kind_of(number: u64) -> Finding {
    const NETWORK: &str = "one host at a time may serve it; the server must sync before it answers (NFS: export with `sync`), or an answer promises nothing";
    let (name, warning) = match number {
        0xef53 => ("ext4 (or ext2, ext3)", None),
        0x5846_5342 => ("xfs", None),
        0x9123_683e => ("btrfs", None),
        0x2fc1_2fc1 => ("zfs", None),
        0xf2f5_2010 => ("f2fs", None),
        0xca45_1a4e => ("bcachefs", None),
        0x0102_1994 | 0x8584_58f6 => ("a file system in memory", Some("everything is gone when the machine stops")),
        0x794c_7630 => {
            ("overlay", Some("this is a container's own layer, which goes with the container: mount a volume here"))
        }
        0x6969 => ("nfs", Some(NETWORK)),
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => ("smb", Some(NETWORK)),
        0x00c3_6400 => ("ceph", Some(NETWORK)),
        0x0102_1997 => {
            ("9p", Some("a directory shared with a virtual machine: whether a sync reaches the disk is up to its host"))
        }
        0x6573_5546 => {
            ("fuse", Some("whether a sync reaches a disk, and a rename is atomic, is up to the program behind it"))
        }
        0x4d44 | 0x2011_bab0 => ("fat", Some("it has no hard links and tells no case apart: not for a store")),
        0 => ("of an unknown kind", None),
        other => return Finding::good(format!("file system: of the kind {other:#x}")),
    };
    let told = format!("file system: {name}");
    warning
        .map_or_else(|| Finding::good(told.clone()), |warning| Finding::bad(told.clone(), format!("{name}: {warning}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> usize {
        std::fs::read_dir(dir.join(TEMPORARY)).unwrap().count()
    }

    #[test]
    fn everything_is_tried_and_nothing_stays() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join(TEMPORARY)).unwrap();
        std::fs::write(dir.path().join(TEMPORARY).join("another's"), "x").unwrap();
        let sys = Real::open_root(dir.path()).unwrap();
        let findings = attempt(&sys).unwrap();
        assert_eq!(findings.len(), 8);
        for finding in findings {
            assert_eq!(finding.warning, None, "{}", finding.told);
        }
        assert_eq!(names(dir.path()), 1);
        let told = look(&sys).unwrap();
        assert!(told[0].told.starts_with("file system: ") && told[1].told.starts_with("free: "), "{told:?}");
    }

    #[test]
    fn where_nothing_can_be_written_it_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let sys = Real::open_root(dir.path()).unwrap();
        assert_eq!(attempt(&sys).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn file_systems_that_want_care_are_told_of() {
        assert_eq!(kind_of(0xef53).warning, None);
        for (number, word) in [(0x6969, "sync"), (0x794c_7630, "volume"), (0x0102_1994, "gone"), (0x6573_5546, "fuse")]
        {
            let warning = kind_of(number).warning.unwrap();
            assert!(warning.contains(word), "{warning}");
        }
        assert!(kind_of(0x1234).told.contains("0x1234"));
    }
}
