//! Which artifacts stay, and which are moved to the trash: rules, and the plan that follows from them.

mod plan;
mod rules;
#[cfg(test)]
mod tests;

pub use plan::{ArtifactGrounds, PlannedArtifact, plan};
pub use rules::{ArtifactRetention, GroupPart, KeepFilter, OwnRetention};
