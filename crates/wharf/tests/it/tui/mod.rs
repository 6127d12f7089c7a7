//! The terminal UI.

mod fake;
mod keys;
mod pictures;
mod screens;
pub mod session;
mod speed;
