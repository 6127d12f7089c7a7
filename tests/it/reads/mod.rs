//! How content is sent: whole, in ranges, conditionally, and as `HEAD`.

mod conditions;
mod heads;
mod ranges;
mod verify;
