//! Collections, over storage in memory and on disk.

mod collect;
mod resume;
