//! The calls of Linux.

#![expect(clippy::disallowed_methods, reason = "opens and renames, for files::real")]

use crate::files::{read::read_at, sys::Stamp};
use rustix::{
    fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    fs::{self, AtFlags, Mode, OFlags, ResolveFlags, Stat, StatxFlags},
    io::Errno,
    net::{SendFlags, sockopt::set_tcp_cork},
};
use std::{fs::File, io, net::SocketAddr, num::NonZeroU64, path::Path, sync::OnceLock};

/// Opens a directory as a starting point, which needs no right to list it.
pub(in crate::files) const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::PATH);

/// No path leaves the root, and no link is followed.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// The numbers of ext4 (and ext2, ext3), XFS, Btrfs and tmpfs: a rename changes the time of a file there. This was
/// tested on each of them.
const TELLS_MOVES: [u64; 4] = [0xef53, 0x5846_5342, 0x9123_683e, TMPFS];
const TMPFS: u64 = 0x0102_1994;

/// The number of overlayfs. It uses the file systems below it, which are local.
const OVERLAYFS: u64 = 0x794c_7630;

/// The numbers of NFS, SMB (three of them), Ceph, 9p and FUSE.
const SHARED: [u64; 7] = [0x6969, 0xff53_4d42, 0xfe53_4d42, 0x517b, 0x00c3_6400, 0x0102_1997, 0x6573_5546];

/// How much unsent data the kernel may hold for a connection. It accepts more only when a good part of this is sent: by
/// default it holds 4 MiB, and a client of 20 KB/s seems to stand still for a minute. Also, a client that does not read
/// occupies no more than this.
const UNSENT: u32 = 256 << 10;

/// Tells the kernel that more follows, so that it fills the packet.
pub const MORE: SendFlags = SendFlags::MORE;

/// Whether [`send_file`] works.
pub const SENDS_FILES: bool = true;

/// What the kernel can do with the files below one root.
pub(in crate::files) struct Kernel {
    /// It can resolve a path beneath the root.
    resolves: bool,
    /// The device of the root's file system, if a rename changes `st_ctime` there.
    tells_moves_on: Option<u64>,
    /// The metadata of an open file is in memory. Other file systems may ask a server, unless a flag forbids it.
    is_local: bool,
}

impl Kernel {
    pub(in crate::files) fn of(root: BorrowedFd<'_>) -> io::Result<Self> {
        // Old kernels and some sandboxes lack openat2; some of the latter report it as forbidden.
        let resolves = !matches!(
            fs::openat2(root, ".", DIRECTORY | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::BENEATH),
            Err(Errno::NOSYS | Errno::PERM)
        );
        let kind = file_system(root)?;
        let tells_moves = TELLS_MOVES.contains(&kind);
        let tells_moves_on = if tells_moves { Some(fs::fstat(root)?.st_dev) } else { None };
        Ok(Self { resolves, tells_moves_on, is_local: tells_moves || kind == OVERLAYFS })
    }

    /// Opens a path beneath the root without following links; `None` if it must be opened component by component.
    pub(in crate::files) fn open(
        &self,
        root: BorrowedFd<'_>,
        path: &str,
        flags: OFlags,
        mode: Mode,
    ) -> Option<io::Result<OwnedFd>> {
        if !self.resolves {
            return None;
        }
        loop {
            match fs::openat2(root, path, flags | OFlags::CLOEXEC, mode, BENEATH) {
                // A rename elsewhere in the tree raced with the resolution: the kernel asks to try again.
                Err(Errno::AGAIN | Errno::INTR) => {}
                opened => return Some(opened.map_err(io::Error::from)),
            }
        }
    }

    /// Opens a path for reading if every name on it is in memory.
    pub(in crate::files) fn open_now(&self, root: BorrowedFd<'_>, path: &str) -> Option<(OwnedFd, Stat, Stamp)> {
        let file = self.open_cached(root, path, OFlags::RDONLY | OFlags::NONBLOCK)?;
        let stat = fs::fstat(&file).ok()?;
        let stamp = stamp(&stat);
        Some((file, stat, stamp))
    }

    fn open_cached(&self, root: BorrowedFd<'_>, path: &str, flags: OFlags) -> Option<OwnedFd> {
        // Kernels before 5.12 do not know `CACHED` and refuse it.
        let resolve = BENEATH | ResolveFlags::CACHED;
        self.resolves.then(|| fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve))?.ok()
    }

    /// The stamp of a path.
    pub(in crate::files) fn stamp(&self, root: BorrowedFd<'_>, path: &str) -> Option<Stamp> {
        if !self.is_local {
            // Only through names that are in memory: a file server is not asked for them either.
            return self.stamp_of(self.open_cached(root, path, OFlags::PATH)?);
        }
        // A link on the path may be followed: nothing is opened, and a path with the stamp of a file that was opened
        // beneath the root leads to that file.
        fs::statat(root, path, AtFlags::SYMLINK_NOFOLLOW).ok().as_ref().map(stamp)
    }

    /// The stamp of an open file.
    pub(in crate::files) fn stamp_of(&self, file: impl AsFd) -> Option<Stamp> {
        match self.is_local {
            true => fs::fstat(file).ok().as_ref().map(stamp),
            false => known(file.as_fd()),
        }
    }

    /// Whether the stamp of a file changes when the file is renamed.
    pub(in crate::files) fn detects_moves(&self, stamp: &Stamp) -> bool {
        self.tells_moves_on == Some(stamp.device)
    }

    /// As if the kernel could not resolve paths.
    #[cfg(test)]
    pub(in crate::files) fn without_resolution(self) -> Self {
        Self { resolves: false, ..self }
    }
}

#[allow(clippy::useless_conversion, reason = "some processors have other widths")]
fn stamp(stat: &Stat) -> Stamp {
    Stamp {
        device: stat.st_dev,
        inode: stat.st_ino,
        links: u64::from(stat.st_nlink),
        len: u64::try_from(stat.st_size).unwrap_or(0),
        changed: (stat.st_ctime, stat.st_ctime_nsec as i64),
    }
}

/// The stamp of an open file as far as this machine knows it: no server is asked.
fn known(file: BorrowedFd<'_>) -> Option<Stamp> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let stat = fs::statx(file, "", flags, StatxFlags::BASIC_STATS).ok()?;
    Some(Stamp {
        device: fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
        inode: stat.stx_ino,
        links: u64::from(stat.stx_nlink),
        len: stat.stx_size,
        changed: (stat.stx_ctime.tv_sec, i64::from(stat.stx_ctime.tv_nsec)),
    })
}

/// The number for the kind of file system of an open file; zero if the system has none.
pub(in crate::files) fn file_system(file: impl AsFd) -> io::Result<u64> {
    Ok(u64::from(fs::fstatfs(file)?.f_type as u32))
}

/// Whether others can change a path without this system noticing: another machine, or a program behind a user-space
/// file system. `false` if the system cannot tell.
pub fn is_seen_by_others(path: &Path) -> bool {
    fs::statfs(path).is_ok_and(|stat| SHARED.contains(&u64::from(stat.f_type as u32)))
}

/// Renames unless something is there. `NOSYS` or `INVAL` if the system or the file system cannot.
pub(in crate::files) fn rename_new(
    from_dir: impl AsFd,
    from: &str,
    to_dir: impl AsFd,
    to: &str,
) -> rustix::io::Result<()> {
    fs::renameat_with(from_dir, from, to_dir, to, fs::RenameFlags::NOREPLACE)
}

/// Exchanges two files. `NOSYS` or `INVAL` if the system or the file system cannot.
pub(in crate::files) fn exchange(
    one_dir: impl AsFd,
    one: &str,
    other_dir: impl AsFd,
    other: &str,
) -> rustix::io::Result<()> {
    fs::renameat_with(one_dir, one, other_dir, other, fs::RenameFlags::EXCHANGE)
}

/// Lets a new, empty file share the blocks of another; `false` if the file systems cannot.
pub(in crate::files) fn clone_file(from: &File, to: &File) -> io::Result<bool> {
    match fs::ioctl_ficlone(to, from) {
        Ok(()) => Ok(true),
        // Of two file systems; not supported; forbidden by a sandbox.
        Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOTTY | Errno::INVAL | Errno::NOSYS | Errno::PERM) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Gives an open file another name unless something is there; `false` if the file systems cannot, this user may not, or
/// /proc is not mounted.
pub(in crate::files) fn link_file(from: &File, to_dir: impl AsFd, to: &str) -> io::Result<bool> {
    let path = format!("/proc/self/fd/{}", from.as_raw_fd());
    match fs::linkat(fs::CWD, path, to_dir, to, AtFlags::SYMLINK_FOLLOW) {
        Ok(()) => Ok(true),
        Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::PERM | Errno::ACCESS | Errno::MLINK | Errno::NOENT) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Makes everything on the file system of an open file durable.
pub(in crate::files) fn sync_file_system(file: impl AsFd) -> io::Result<()> {
    Ok(fs::syncfs(file)?)
}

/// Reads the bytes that are in memory, without waiting; returns how many. Zero if the system or the file system cannot
/// tell.
pub fn read_now(file: &File, buffer: &mut [u8], offset: u64) -> usize {
    let into = &mut [io::IoSliceMut::new(buffer)];
    rustix::io::preadv2(file, into, offset, rustix::io::ReadWriteFlags::NOWAIT).unwrap_or(0)
}

/// Reads into `buffer` from `offset`; returns fewer bytes only at the end of the file. Pages that were not in memory
/// before do not stay there, if the system can tell.
///
/// # Errors
/// As `pread(2)` gives them.
pub fn read_uncached(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    // Without read-ahead: its pages would count as having been in memory before.
    let _ = fs::fadvise(file, 0, None, fs::Advice::Random);
    let warm = read_now(file, buffer, offset);
    let from = offset + warm as u64;
    let cold = read_at(file, &mut buffer[warm..], from)?;
    if let Some(len) = NonZeroU64::new(cold as u64) {
        // Only advice: if it is ignored, the pages stay a little longer.
        let _ = fs::fadvise(file, from, Some(len), fs::Advice::DontNeed);
    }
    Ok(warm + cold)
}

/// Waits until `len` bytes from `offset` are in memory; copies nothing.
///
/// # Errors
/// As `sendfile(2)` gives them, and [`io::ErrorKind::UnexpectedEof`] if the file ends before.
pub fn warm(file: &File, mut offset: u64, mut len: u64) -> io::Result<()> {
    let nowhere = dev_null()?;
    while len > 0 {
        match fs::sendfile(nowhere, file, Some(&mut offset), len as usize) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(sent) => len -= sent as u64,
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

fn dev_null() -> io::Result<&'static File> {
    static NOWHERE: OnceLock<File> = OnceLock::new();
    match NOWHERE.get() {
        Some(nowhere) => Ok(nowhere),
        None => {
            let opened = std::fs::OpenOptions::new().write(true).open("/dev/null")?;
            Ok(NOWHERE.get_or_init(|| opened))
        }
    }
}

/// Sends part of a file to a socket from `offset`; returns how much was sent.
///
/// # Errors
/// As `sendfile(2)` gives them.
pub fn send_file(socket: impl AsFd, file: &File, mut offset: u64, len: usize) -> io::Result<usize> {
    Ok(fs::sendfile(socket, file, Some(&mut offset), len)?)
}

/// Makes the kernel send full packets only, or ends that.
///
/// # Errors
/// As `setsockopt(2)` gives them.
pub fn cork(socket: impl AsFd, on: bool) -> io::Result<()> {
    Ok(set_tcp_cork(socket, on)?)
}

/// Sets the options of an accepted connection.
pub fn tune(socket: impl AsFd, peer: SocketAddr) {
    let socket = socket2::SockRef::from(&socket);
    if let Err(error) = socket.set_tcp_notsent_lowat(UNSENT) {
        tracing::debug!(%error, "cannot set TCP_NOTSENT_LOWAT");
    }
    // Loopback is never congested, and BBR, where it is the default, sets a timer for each packet.
    if peer.ip().to_canonical().is_loopback()
        && let Err(error) = socket.set_tcp_congestion(b"reno")
    {
        tracing::debug!(%error, "cannot set TCP_CONGESTION");
    }
}

/// From here on this thread, and every thread it starts, runs only when nothing else wants the CPU (`SCHED_IDLE` of
/// sched(7)), so that a daemon on the same cores answers as if nothing else ran. A lower `nice` alone is not enough:
/// a thread that wakes up waits for the time slice of the one that is running. This cannot be undone without
/// privileges.
pub fn yield_to_others() {
    use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, unix};
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    // If a sandbox forbids it, the command still works, but slows others more.
    let _ = unix::set_thread_priority_and_policy(unix::thread_native_id(), ThreadPriority::Min, idle);
}

#[cfg(test)]
mod tests;
