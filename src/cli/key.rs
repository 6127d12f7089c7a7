//! `wharfinger key new PATH`: creates a signing key for the token service.

use super::{complain, say};
use crate::{
    files::{cause, replace},
    identity::{Issuer, new_signing_key},
};
use clap::{Subcommand, ValueHint};
use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The commands for signing keys.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum KeyCommand {
    /// Create a private key for REGISTRY_AUTH_TOKEN_SIGNINGKEY (Ed25519, PEM, file mode 0600)
    #[command(after_help = NEW)]
    New {
        /// File to create
        #[arg(value_hint = ValueHint::FilePath)]
        path: PathBuf,
        /// Add the new key in front of the existing ones: it signs new tokens, the others still verify old ones
        #[arg(long)]
        rotate: bool,
    },
}

const NEW: &str = "\
Examples:
  wharfinger key new token.pem             create a key
  wharfinger key new --rotate token.pem    sign with a new key from now on

To use the key, set REGISTRY_AUTH_TOKEN_SIGNINGKEY to its path.";

/// Runs the command; exits 0 if the key was written, 1 otherwise.
pub(super) fn key(KeyCommand::New { path, rotate }: KeyCommand) -> ExitCode {
    match new(&path, rotate) {
        Ok(done) => {
            say(format_args!("{done}"));
            ExitCode::SUCCESS
        }
        Err(why) => {
            complain(format_args!("cannot create a key in {}: {}", path.display(), cause(&why)));
            ExitCode::FAILURE
        }
    }
}

fn new(path: &Path, rotate: bool) -> io::Result<String> {
    let key = new_signing_key().map_err(|_| io::Error::other("the system provides no random numbers"))?;
    replace::replace(path, |old| match (old, rotate) {
        (None, false) => Ok(key.clone().into_bytes()),
        (None, true) => {
            Err(io::Error::other("the file does not exist, so there is no key to rotate; leave out --rotate"))
        }
        (Some(_), false) => {
            Err(io::Error::other("the file exists; add --rotate to put a new key in front of the existing ones"))
        }
        (Some(old), true) => {
            // The keys that are kept must be usable.
            Issuer::parse(old, "", "").map_err(io::Error::other)?;
            Ok([key.as_bytes(), old].concat())
        }
    })?;
    Ok(match rotate {
        false => format!("created {0}; set REGISTRY_AUTH_TOKEN_SIGNINGKEY={0} to use it", path.display()),
        true => format!(
            "added a new key to {}; it signs from now on. Remove the old keys when the last tokens that they signed \
             have expired (tokens.access_seconds, tokens.refresh_days)",
            path.display()
        ),
    })
}
