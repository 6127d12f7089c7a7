//! The door.
pub mod limits;
