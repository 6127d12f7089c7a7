//! A step of a state machine: who does what, and the state it leads to.

use std::fmt;

/// Who does a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A writer.
    Writer(usize),
    /// A run of a collection.
    Run(usize),
    /// Whatever tidies intents.
    Tidying,
    /// The world.
    World,
}

/// One step.
#[derive(Clone, PartialEq)]
pub struct Step<S> {
    pub(crate) who: Who,
    pub(crate) does: &'static str,
    pub(crate) what: Option<&'static str>,
    pub(crate) next: S,
}

impl<S> fmt::Debug for Step<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.who {
            Who::Writer(n) => write!(f, "writer {n} ")?,
            Who::Run(n) => write!(f, "collection {n} ")?,
            Who::Tidying => write!(f, "tidying ")?,
            Who::World => {}
        }
        f.write_str(self.does)?;
        self.what.map_or(Ok(()), |what| write!(f, " {what}"))
    }
}
