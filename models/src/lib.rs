//! Models of Wharfinger's online garbage collection, explored to the last state.
//!
//! The protocol lets writers push while collections run, without a lock that either waits for: a
//! writer publishes what it refers to before it looks whether that is there, and a collection moves
//! what it takes for garbage to a graveyard from where it can come back. Here each is a small state
//! machine, every system call one step, and [stateright](https://docs.rs/stateright) tries every order
//! of steps, every death of a process, every crash of the machine. Time gets no credit: lease, settle
//! and retention are zero, so no order is left out because it would take too long.
//!
//! | module | what you find there |
//! |---|---|
//! | [`names`] | the names of a store as sets of bits |
//! | [`store`] | what there is, what is not seen by all yet or not on the disk yet |
//! | [`protocol`] | what can be varied: the protocol, and the scene it is played in |
//! | [`files`] | the protocol on a file system: the state machine and what must hold in it |
//! | `writer`, `collector` | its two actors, W1 to W6 and G1 to G5; G6 is in [`files`] |
//! | [`objects`] | the protocol on an object store without rename |
//! | [`scenes`] | who plays, with what, within which bounds |
//! | [`variants`] | the variants that must hold, and the mutants that must fail |
//!
//! README.md has the results.

mod collector;
pub mod files;
pub mod names;
pub mod objects;
pub mod protocol;
pub mod scenes;
pub mod step;
pub mod store;
pub mod variants;
mod writer;
