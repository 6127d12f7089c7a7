//! Rules about tags: what never changes, what goes by itself, and what `plan` tells of it.

mod immutable;
mod plan;
