//! The one place that makes files appear.
//!
//! [`sys`] is the thin seam to the operating system; [`atomic`] stands on it and is what every
//! other module uses to write: a file is either there whole, or not there. Between them [`guard`]
//! watches over the disk's health and shares syncs. [`replace`] writes single files of the
//! configuration, which lie anywhere. [`world`] is what `Sys` is, for time, chance and threads.

pub mod atomic;
mod cause;
mod commit;
pub mod guard;
mod health;
pub mod path;
pub mod probe;
mod read;
mod real;
pub mod replace;
#[cfg(test)]
pub(crate) mod sim;
mod size;
pub mod sys;
pub mod world;

pub use atomic::{Files, Staged};
pub use cause::cause;
pub use guard::{Guarded, Syncing, Syncs};
pub use health::Refused;
pub use read::{descriptor_limit, read_aside, read_now, warm};
pub use real::Real;
pub use size::Size;
pub(crate) use sys::absent;
pub use sys::{Entry, Kind, Meta, Space, Stamp, Sys, Unsuitable};
