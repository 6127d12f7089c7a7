//! The terminal UI.

mod fake;
mod keys;
mod pictures;
mod screens;
mod session;
mod speed;
