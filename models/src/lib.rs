//! Models of Wharfinger's online garbage collection, explored exhaustively.
//!
//! The protocol lets writers push while collections run, without a lock that either waits for: a writer publishes what
//! it refers to before it checks whether that exists, and a collection moves garbage to a graveyard, from where it can
//! be restored. Here each is a small state machine and every system call is one step.
//! [stateright](https://docs.rs/stateright) tries every order of steps, every death of a process and every crash of the
//! machine. The proof does not depend on time: lease, settle and retention are zero, so no order is left out because it
//! would take too long.
//!
//! | module | what you find there |
//! |---|---|
//! | [`names`] | the names of a store as sets of bits |
//! | [`store`] | which names exist, and which changes are not visible to all or not on the disk yet |
//! | [`protocol`] | what can be varied: the protocol, and the scene it runs in |
//! | [`files`] | the protocol on a file system: the state machine and its properties |
//! | `writer`, `collector` | its two actors, W1 to W6 and G1 to G5; G6 is in [`files`] |
//! | [`objects`] | the protocol on an object store without rename |
//! | [`scenes`] | the actors, the items and the bounds |
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
