//! A variant of the protocol: how it is explored, and what comes of it. Which there are stands in
//! `catalog` and `large`.

mod catalog;
mod large;

use crate::{
    files::{Files, NOT_DANGLING, NOT_LEAKED},
    objects::Objects,
    protocol::{Protocol, Scene},
};
pub use catalog::all;
pub use large::large;
use stateright::{Checker, Expectation, HasDiscoveries, Model};
use std::{collections::BTreeSet, fmt::Debug, hash::Hash};

/// What must come of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// All states are explored and every property holds.
    Holds,
    /// This property fails.
    Fails(&'static str),
}

/// What is explored.
#[derive(Clone, Debug)]
enum Machine {
    Files(Scene, Protocol),
    Objects(Objects),
}

/// One variant.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Its name.
    pub name: &'static str,
    /// What is different, and who plays.
    pub about: &'static str,
    /// What must come of it.
    pub expect: Expect,
    machine: Machine,
}

/// What came of a variant.
#[derive(Clone, Debug)]
pub struct Explored {
    /// Different states met.
    pub states: usize,
    /// The steps to the failure that was expected, or to one that was not.
    pub counterexample: Option<(&'static str, Vec<String>)>,
    /// What never happened though it should be possible: the model would be empty.
    pub never: Vec<&'static str>,
}

impl Variant {
    /// Explores it: to the first failure, or to the end. One thread, so that the result is the
    /// same every time and a counterexample among the shortest.
    pub fn explore(&self) -> Explored {
        match &self.machine {
            Machine::Files(scene, protocol) => self.explore_model(Files::new(scene.clone(), *protocol)),
            Machine::Objects(objects) => self.explore_model(*objects),
        }
    }

    fn explore_model<M>(&self, model: M) -> Explored
    where
        M: Model + Send + Sync + 'static,
        M::State: Hash + Send + Sync + Clone + PartialEq + 'static,
        M::Action: Clone + PartialEq + Debug,
    {
        let finish = match self.expect {
            Expect::Holds => HasDiscoveries::AnyFailures,
            Expect::Fails(property) => HasDiscoveries::AllOf(BTreeSet::from([property])),
        };
        let checker = model.checker().finish_when(finish).spawn_bfs().join();
        let mut discoveries = checker.discoveries();
        let (mut failed, mut never) = (None, Vec::new());
        for property in checker.model().properties() {
            let discovery = discoveries.remove(property.name);
            match (property.expectation, discovery) {
                (Expectation::Sometimes, None) => never.push(property.name),
                (Expectation::Always, Some(path)) if self.expect != Expect::Holds || failed.is_none() => {
                    let steps = path.into_actions().iter().map(|step| format!("{step:?}")).collect();
                    if self.expect == Expect::Fails(property.name) || self.expect == Expect::Holds {
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
