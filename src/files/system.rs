//! The system calls that only Linux has, and what stands in for them elsewhere: the two modules have the same items.
//!
//! | on Linux | elsewhere |
//! |---|---|
//! | the kernel resolves a path beneath the root in one call (`openat2`) | each component is opened by itself |
//! | what is in memory is read without a thread switch (`CACHED`, `preadv2`) | another thread reads it |
//! | a small file in memory is used while its stamp is unchanged | every read opens the file |
//! | a collection that reads everything leaves no pages in memory (`fadvise`) | they stay |
//! | a rename never replaces (`renameat2`) | a second name is made, and the first removed |
//! | an imported file shares its blocks (`FICLONE`) or gets a second name | it is copied |
//! | two files exchange their names (`renameat2`) | one replaces the other |
//! | only the store's file system is synced (`syncfs`) | all are |
//! | files are sent without being read (`sendfile`), in full packets (`TCP_CORK`) | they are read and written |
//! | the kernel holds little unsent data (`TCP_NOTSENT_LOWAT`), and loopback has no BBR | its defaults |
//! | changes by other machines are expected on network file systems | never expected |
//! | commands beside a daemon run when nothing else does (`SCHED_IDLE`) | as any program |
//!
//! `build.rs` chooses, and can choose `portable` on Linux, to test it.

#[cfg(not(portable))]
mod linux;
#[cfg(portable)]
mod portable;

#[cfg(not(portable))]
pub use linux::*;
#[cfg(portable)]
pub use portable::*;
