//! The one place that makes files appear.
//!
//! [`sys`] is the thin seam to the operating system; [`atomic`] stands on it and is what every
//! other module uses to write: a file is either there whole, or not there. [`replace`] does the same
//! for single files of the configuration, which lie anywhere.

pub mod atomic;
mod real;
pub mod replace;
pub mod sys;

pub use atomic::{Files, Staged};
pub use real::Real;
pub use sys::{Entry, Kind, Meta, Space, Sys};
