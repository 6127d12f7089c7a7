//! The door: what connections may take, in which protocols, and how they end.

pub mod certs;
mod frames;
pub mod wire;

mod clocks;
mod crowd;
mod encrypted;
mod heads;
mod http2;
mod protocols;
mod refusals;
mod stopping;
