//! Objects in buckets of S3, Google Cloud Storage and Azure, by object_store.
//!
//! `settings` says where they are, `http` carries the requests and repeats what may be repeated, `objects` makes the
//! calls, and `probe` finds out what a server really does, whatever it says.

mod aws;
mod fault;
mod http;
mod listing;
mod objects;
mod order;
mod probe;
mod settings;
#[cfg(test)]
pub(super) mod tests;

pub use objects::CloudObjects;
pub use probe::Probed;
pub use settings::{AzureSettings, BucketCredentials, BucketSettings, CloudSettings, GcsSettings};
