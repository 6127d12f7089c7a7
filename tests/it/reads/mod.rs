//! How content goes out: whole, in ranges, only if it is another one, and as `HEAD`.

mod conditions;
mod heads;
mod ranges;
