//! The only code that creates files.
//!
//! [`sys`] is the thin layer over the operating system. [`atomic`] builds on it, and every other module writes with it:
//! a file is there whole, or not at all. Between them [`guard`] watches the disk's health and shares syncs. [`regular`]
//! reads and [`replace`] writes single configuration files, which can be anywhere. [`world`] does for time, chance and
//! threads what `Sys` does for files, and [`system`] has everything that only Linux can do.

pub mod atomic;
mod cause;
mod commit;
pub mod guard;
mod health;
mod intake;
pub mod path;
mod patience;
pub mod probe;
mod read;
mod real;
pub mod regular;
pub mod replace;
#[cfg(test)]
pub(crate) mod sim;
mod size;
mod stripes;
pub mod sys;
pub mod system;
pub mod world;

pub use atomic::{AtomicFiles, Staged};
pub use cause::cause;
pub use guard::{Guarded, Syncing, Syncs};
pub use health::WriteRefused;
pub use intake::{IntakeMode, IntakeWay};
pub use patience::{Patience, detached};
pub use read::descriptor_limit;
pub use real::Real;
pub use size::Size;
pub use stripes::Stripes;
pub(crate) use sys::absent;
pub use sys::{FileKind, Meta, Space, Stamp, Sys, Unsuitable};
pub use system::{read_now, read_uncached, warm};
