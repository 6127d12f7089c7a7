//! Rules about tags: which never change, which are deleted automatically, and what `plan` reports.

mod immutable;
mod plan;
