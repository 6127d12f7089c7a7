//! A variant of the protocol: how it is explored, and the result. `catalog` and `large` list the variants.

mod catalog;
mod large;

use crate::{
    files::{FilesModel, NOT_DANGLING, NOT_LEAKED},
    objects::ObjectStoreModel,
    protocol::{Protocol, Scene},
};
pub use catalog::all;
pub use large::large;
use stateright::{Checker, Expectation, HasDiscoveries, Model};
use std::{collections::BTreeSet, fmt::Debug, hash::Hash};

/// The expected result of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedResult {
    /// All states are explored and every property holds.
    Holds,
    /// This property fails.
    Fails(&'static str),
}

/// What is explored.
#[derive(Clone, Debug)]
enum ModelKind {
    Files(Scene, Protocol),
    Objects(ObjectStoreModel),
}

/// One variant.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Its name.
    pub name: &'static str,
    /// How it differs, and its scene.
    pub about: &'static str,
    /// What must come of it.
    pub expect: ExpectedResult,
    machine: ModelKind,
}

/// The result of a variant.
#[derive(Clone, Debug)]
pub struct Explored {
    /// The number of different states.
    pub states: usize,
    /// The steps to the failure, expected or not.
    pub counterexample: Option<(&'static str, Vec<String>)>,
    /// What never happened although it should be possible: the model would prove nothing.
    pub never: Vec<&'static str>,
}

impl Variant {
    /// Explores the variant to the first failure, or completely. One thread, so that the result is always the same and
    /// a counterexample is among the shortest.
    pub fn explore(&self) -> Explored {
        match &self.machine {
            ModelKind::Files(scene, protocol) => self.explore_model(FilesModel::new(scene.clone(), *protocol)),
            ModelKind::Objects(objects) => self.explore_model(*objects),
        }
    }

    fn explore_model<M>(&self, model: M) -> Explored
    where
        M: Model + Send + Sync + 'static,
        M::State: Hash + Send + Sync + Clone + PartialEq + 'static,
        M::Action: Clone + PartialEq + Debug,
    {
        let finish = match self.expect {
            ExpectedResult::Holds => HasDiscoveries::AnyFailures,
            ExpectedResult::Fails(property) => HasDiscoveries::AllOf(BTreeSet::from([property])),
        };
        let checker = model.checker().finish_when(finish).spawn_bfs().join();
        let mut discoveries = checker.discoveries();
        let (mut failed, mut never) = (None, Vec::new());
        for property in checker.model().properties() {
            let discovery = discoveries.remove(property.name);
            match (property.expectation, discovery) {
                (Expectation::Sometimes, None) => never.push(property.name),
                (Expectation::Always, Some(path)) if self.expect != ExpectedResult::Holds || failed.is_none() => {
                    let steps = path.into_actions().iter().map(|step| format!("{step:?}")).collect();
                    if self.expect == ExpectedResult::Fails(property.name) || self.expect == ExpectedResult::Holds {
                        failed = Some((property.name, steps));
                    }
                }
                _ => {}
            }
        }
        Explored { states: checker.unique_state_count(), counterexample: failed, never }
    }

    /// Its row in README.md.
    pub fn row(&self, explored: &Explored) -> String {
        let result = match &explored.counterexample {
            None => "holds".to_owned(),
            Some((NOT_LEAKED, steps)) => format!("**leak**, {} steps", steps.len()),
            Some((NOT_DANGLING, steps)) => format!("**dangling name**, {} steps", steps.len()),
            Some((_, steps)) => format!("**loss**, {} steps", steps.len()),
        };
        format!("| `{}` | {} | {} | {result} |", self.name, self.about, explored.states)
    }
}
