//! Connections: their limits, their protocols, and how they end.

mod clocks;
mod crowd;
mod encrypted;
mod heads;
mod http2;
mod protocols;
mod refusals;
mod stopping;
