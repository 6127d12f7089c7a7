//! The simulated [`Sys`]: a disk in memory, a seeded world, and clients that run as coroutines of one thread. For
//! tests.
//!
//! At every system call a seeded scheduler chooses which client runs next. In a crash, every call from some point on
//! fails without an effect: all clients end, and what is left of the disk is mounted again. All code between the
//! registry and this is the real one.

mod chance;
mod disk;
mod schedule;

pub(crate) use chance::Chance;
pub(crate) use disk::Disk;
pub(crate) use schedule::{block_on, run};

use super::{FileKind, Meta, Space, Sys, world::simulation};
use bytes::Bytes;
use disk::Inode;
use std::{
    collections::BTreeSet,
    io,
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

/// What fails, and when, counted in system calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimPlan {
    /// The sync that is skipped.
    pub(crate) without: Option<&'static str>,
    /// From this call on every call fails.
    pub(crate) crash_at: Option<usize>,
    /// Calls that fail, with their error numbers.
    pub(crate) faults: Vec<(usize, i32)>,
    /// The disk is full from the first to the second of these calls.
    pub(crate) full: Option<(usize, usize)>,
    /// At this call the clock jumps by this many seconds.
    pub(crate) jump: Option<(usize, i64)>,
}

/// A simulated machine: its disk, its clock and its random numbers.
#[derive(Clone)]
pub(crate) struct Sim(Arc<Mutex<Machine>>);

struct Machine {
    disk: Disk,
    chance: Chance,
    plan: SimPlan,
    calls: usize,
    /// How often the machine was started.
    boots: u32,
    has_crashed: bool,
    clock: SystemTime,
    uptime: Duration,
    /// Names of the syncs that were requested.
    met: BTreeSet<&'static str>,
    locked: BTreeSet<Inode>,
    /// Whether a client is running, which can yield to others.
    in_client: bool,
}

/// The duration of every call.
const TICK: Duration = Duration::from_micros(10);

/// More calls than any run makes: a client waits for something that never happens.
const MOST_CALLS: usize = 1_000_000;

impl Sim {
    /// A machine with this disk; an empty one if there is none.
    pub(crate) fn new(seed: u64, disk: Option<Disk>) -> Self {
        let clock = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        Self(Arc::new(Mutex::new(Machine {
            disk: disk.unwrap_or_else(|| Disk::new(clock)),
            chance: Chance::new(seed),
            plan: SimPlan::default(),
            calls: 0,
            boots: 1,
            has_crashed: false,
            clock,
            uptime: Duration::ZERO,
            met: BTreeSet::new(),
            locked: BTreeSet::new(),
            in_client: false,
        })))
    }

    /// Puts this thread into the machine's world until the result is dropped.
    pub(crate) fn enter(&self) -> Entered {
        simulation::enter(Some(Rc::new(self.clone())));
        Entered
    }

    /// Sets what fails from now on; calls are counted from here.
    pub(crate) fn plan(&self, plan: SimPlan) {
        let mut machine = self.machine();
        (machine.plan, machine.calls) = (plan, 0);
    }

    /// Advances the clock.
    pub(crate) fn pass(&self, time: Duration) {
        let mut machine = self.machine();
        machine.clock += time;
        machine.uptime += time;
    }

    /// Ends all programs: every call fails until the next start.
    pub(crate) fn crash(&self) {
        self.machine().has_crashed = true;
    }

    /// Whether the planned crash has happened.
    pub(crate) fn has_crashed(&self) -> bool {
        self.machine().has_crashed
    }

    /// Lets programs start again; after a power failure, with what that left.
    pub(crate) fn restart(&self, power_failed: bool) {
        let machine = &mut *self.machine();
        if power_failed {
            machine.disk.fail(&mut machine.chance);
            machine.boots += 1;
        }
        machine.has_crashed = false;
        machine.locked.clear();
        // The rest of the plan stays in effect; the crash is over.
        machine.plan.crash_at = None;
    }

    /// Calls since the plan was made.
    pub(crate) fn calls(&self) -> usize {
        self.machine().calls
    }

    /// The names of the syncs that were requested so far.
    pub(crate) fn requested_syncs(&self) -> BTreeSet<&'static str> {
        self.machine().met.clone()
    }

    /// The disk as it is, all of it durable.
    pub(crate) fn image(&self) -> Disk {
        let mut disk = self.machine().disk.clone();
        disk.sync_all();
        disk
    }

    /// The bytes of a file.
    pub(crate) fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let disk = &self.machine().disk;
        disk.open(path).map(|file| disk.bytes(file).to_vec())
    }

    /// All files below a directory, with their bytes.
    pub(crate) fn files(&self, below: &str) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        self.machine().disk.files(below, &mut found);
        found
    }

    /// Never held while other clients run.
    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap()
    }

    fn call<T>(&self, call: impl FnOnce(&mut Machine) -> io::Result<T>) -> io::Result<T> {
        if self.machine().in_client {
            schedule::pause();
        }
        let machine = &mut *self.machine();
        machine.calls += 1;
        assert!(machine.calls < MOST_CALLS, "a client waits forever");
        machine.uptime += TICK;
        machine.clock += TICK;
        if let Some((_, seconds)) = machine.plan.jump.take_if(|(at, _)| *at <= machine.calls) {
            let by = Duration::from_secs(seconds.unsigned_abs());
            machine.clock = if seconds < 0 { machine.clock - by } else { machine.clock + by };
        }
        machine.has_crashed |= machine.plan.crash_at.is_some_and(|at| machine.calls >= at);
        if machine.has_crashed {
            return Err(io::Error::other("the machine has stopped"));
        }
        let faults = &mut machine.plan.faults;
        if let Some(due) = faults.iter().position(|(at, _)| *at <= machine.calls) {
            return Err(io::Error::from_raw_os_error(faults.swap_remove(due).1));
        }
        call(machine)
    }

    fn on_disk<T>(&self, call: impl FnOnce(&mut Disk) -> io::Result<T>) -> io::Result<T> {
        self.call(|machine| call(&mut machine.disk))
    }

    /// A call that needs free space.
    fn with_room<T>(&self, call: impl FnOnce(&mut Machine) -> io::Result<T>) -> io::Result<T> {
        self.call(|machine| match machine.plan.full {
            Some((from, to)) if (from..to).contains(&machine.calls) => Err(io::ErrorKind::StorageFull.into()),
            _ => call(machine),
        })
    }

    /// Truncates a file durably, as a failing disk may.
    pub(crate) fn damage(&self, path: &str) {
        let disk = &mut self.machine().disk;
        if let Ok(file) = disk.open(path) {
            let now = disk.meta(file).modified;
            disk.change(file, now, |bytes| bytes.truncate(bytes.len() / 2));
            disk.sync_file(file);
        }
    }
}

/// Returns the thread to the real world when dropped.
pub(crate) struct Entered;

impl Drop for Entered {
    fn drop(&mut self) {
        simulation::enter(None);
    }
}

impl simulation::World for Sim {
    fn now(&self) -> SystemTime {
        self.machine().clock
    }
    fn uptime(&self) -> Duration {
        self.machine().uptime
    }
    fn random(&self) -> u128 {
        let chance = &mut self.machine().chance;
        u128::from(chance.number()) << 64 | u128::from(chance.number())
    }
    fn boot(&self) -> String {
        self.machine().boots.to_string()
    }
    fn pause(&self) {
        let mut machine = self.machine();
        machine.calls += 1;
        assert!(machine.calls < MOST_CALLS, "a client waits forever");
        assert!(machine.in_client, "a client waits, and no other one can run");
        drop(machine);
        schedule::pause();
    }
    fn syncs(&self, what: &'static str) -> bool {
        let mut machine = self.machine();
        machine.met.insert(what);
        machine.plan.without != Some(what)
    }
}

/// Unlocks the file when dropped.
struct Lock(Sim, Inode);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.machine().locked.remove(&self.1);
    }
}

impl Sys for Sim {
    type File = Inode;

    fn open(&self, path: &str) -> io::Result<Inode> {
        self.on_disk(|disk| disk.open(path))
    }
    fn open_rw(&self, path: &str) -> io::Result<Inode> {
        self.on_disk(|disk| disk.open(path))
    }
    fn create(&self, path: &str, _secret: bool) -> io::Result<Inode> {
        self.with_room(|machine| machine.disk.create(path, machine.clock))
    }
    fn write_at(&self, file: &Inode, parts: &[Bytes], offset: u64) -> io::Result<()> {
        self.with_room(|machine| {
            machine.disk.change(*file, machine.clock, |bytes| {
                let mut at = offset as usize;
                for part in parts {
                    bytes.resize(bytes.len().max(at + part.len()), 0);
                    bytes[at..at + part.len()].copy_from_slice(part);
                    at += part.len();
                }
            });
            Ok(())
        })
    }
    fn read_at(&self, file: &Inode, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.on_disk(|disk| {
            let bytes = disk.bytes(*file);
            let rest = &bytes[bytes.len().min(offset as usize)..];
            let len = rest.len().min(buffer.len());
            buffer[..len].copy_from_slice(&rest[..len]);
            Ok(len)
        })
    }
    fn truncate(&self, file: &Inode, len: u64) -> io::Result<()> {
        self.call(|machine| {
            machine.disk.change(*file, machine.clock, |bytes| bytes.resize(len as usize, 0));
            Ok(())
        })
    }
    fn sync_data(&self, file: &Inode) -> io::Result<()> {
        self.on_disk(|disk| {
            disk.sync_file(*file);
            Ok(())
        })
    }
    fn file_meta(&self, file: &Inode) -> io::Result<Meta> {
        self.on_disk(|disk| Ok(disk.meta(*file)))
    }
    fn meta(&self, path: &str) -> io::Result<Meta> {
        self.on_disk(|disk| disk.find(path).map(|inode| disk.meta(inode)))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.with_room(|machine| machine.disk.rename(from, to, true))
    }
    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        self.with_room(|machine| machine.disk.rename(from, to, false))
    }
    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        self.with_room(|machine| machine.disk.link(from, to))
    }
    fn unlink(&self, path: &str) -> io::Result<()> {
        self.on_disk(|disk| disk.unlink(path))
    }
    fn mkdir(&self, path: &str) -> io::Result<()> {
        if self.machine().disk.find(path).is_ok() {
            // A directory that exists needs no space.
            return self.call(|machine| machine.disk.mkdir(path, machine.clock));
        }
        self.with_room(|machine| machine.disk.mkdir(path, machine.clock))
    }
    fn rmdir(&self, path: &str) -> io::Result<()> {
        self.on_disk(|disk| disk.rmdir(path))
    }
    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.on_disk(|disk| disk.sync_directory(path))
    }
    fn sync_all(&self) -> io::Result<()> {
        self.on_disk(|disk| {
            disk.sync_all();
            Ok(())
        })
    }
    fn read_dir(&self, path: &str, each: &mut dyn FnMut(&str, FileKind) -> bool) -> io::Result<()> {
        let names = self.on_disk(|disk| disk.names(path))?;
        let _ = names.iter().all(|(name, kind)| each(name, *kind));
        Ok(())
    }
    fn touch(&self, path: &str) -> io::Result<()> {
        self.call(|machine| {
            let inode = machine.disk.find(path)?;
            machine.disk.touch(inode, machine.clock);
            Ok(())
        })
    }
    fn set_modified(&self, path: &str, at: SystemTime) -> io::Result<()> {
        self.call(|machine| {
            let inode = machine.disk.find(path)?;
            machine.disk.touch(inode, at);
            Ok(())
        })
    }
    fn read_uncached(&self, file: &Inode, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_at(file, buffer, offset)
    }
    fn try_lock(&self, path: &str) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let inode = self.open(path)?;
        let is_free = self.machine().locked.insert(inode);
        Ok(is_free.then(|| Box::new(Lock(self.clone(), inode)) as Box<dyn Send + Sync>))
    }
    fn space(&self) -> io::Result<Space> {
        self.on_disk(|_| {
            Ok(Space { total_bytes: 1 << 40, free_bytes: 1 << 40, total_inodes: 1 << 30, free_inodes: 1 << 30 })
        })
    }
    fn share(&self, file: Inode) -> Result<Arc<std::fs::File>, Inode> {
        Err(file)
    }
}

#[cfg(test)]
mod tests;
