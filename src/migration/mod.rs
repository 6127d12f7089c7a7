//! Copies images from other registries into this one.
//!
//! [`Migrations`] has all migrations of a daemon: those that run, and the last ones that ended. What each was asked for
//! and how far it is are in a file of the store, so a migration continues after a restart. Secrets are not in that
//! file: after a restart, a migration with a password waits until somebody gives it again.
//!
//! What must stay true:
//!
//! - A migration acts as the user who started it, by the configuration of the moment: each image is copied only if that
//!   user may push it now. Nobody gets a blob by naming its digest in a registry of their own: what is here already is
//!   linked only from repositories that the user may pull.
//! - Content gets in by the calls that serve pushes, with the same checks. Manifests stay byte for byte what they are.
//! - Everything that the other registry sends has a limit, and addresses are connected to only if
//!   [`crate::outbound::AddressGuard`] allows them.
//! - Whatever was copied is not fetched again: neither by another attempt, nor after a restart.

mod blob;
mod copy;
mod engine;
mod failure;
mod images;
mod limits;
mod listing;
mod meter;
mod record;
mod source;
mod state;
mod table;
mod tree;

pub use images::{ImagePattern, InvalidImagePattern};
pub use record::CredentialKind;
pub use source::{Authority, SourceCredential, client_of};
pub use state::MigrationState;
pub use table::{MigrationRefused, Migrations, NewMigration};
