//! A step of a state machine: who takes it, what they do, and the new state.

use std::fmt;

/// Who takes a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A writer.
    Writer(usize),
    /// A run of a collection.
    Run(usize),
    /// The tidying of intents.
    Tidying,
    /// The environment: caches and crashes.
    World,
}

/// One step.
#[derive(Clone, PartialEq)]
pub struct Step<S> {
    pub(crate) who: Actor,
    pub(crate) does: &'static str,
    pub(crate) what: Option<&'static str>,
    pub(crate) next: S,
}

impl<S> fmt::Debug for Step<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.who {
            Actor::Writer(n) => write!(f, "writer {n} ")?,
            Actor::Run(n) => write!(f, "collection {n} ")?,
            Actor::Tidying => write!(f, "tidying ")?,
            Actor::World => {}
        }
        f.write_str(self.does)?;
        self.what.map_or(Ok(()), |what| write!(f, " {what}"))
    }
}
