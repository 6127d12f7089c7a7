//! `wharfinger key new PATH`: a key by which the token service signs.

use crate::{
    auth::{Issuer, new_signing_key},
    files::replace,
};
use clap::{Subcommand, ValueHint};
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// What can be done with keys.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Key {
    /// Make a private key (Ed25519, PEM, for its owner alone) for REGISTRY_AUTH_TOKEN_SIGNINGKEY
    New {
        /// Where to put it
        #[arg(value_hint = ValueHint::FilePath)]
        path: PathBuf,
        /// Put it in front of the keys that are there: it signs from now on, they still verify
        #[arg(long)]
        rotate: bool,
    },
}

/// Does it: 0 if the key is there, 1 if not.
pub(super) fn key(Key::New { path, rotate }: Key) -> ExitCode {
    match new(&path, rotate) {
        Ok(told) => {
            let _ = writeln!(io::stdout().lock(), "{told}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            // A closed stderr must not turn a clear exit code into a panic.
            let _ = writeln!(io::stderr().lock(), "wharfinger: {}: {why}", path.display());
            ExitCode::FAILURE
        }
    }
}

fn new(path: &Path, rotate: bool) -> io::Result<String> {
    let key = new_signing_key().map_err(|_| io::Error::other("the system has no randomness"))?;
    replace::replace(path, |old| match (old, rotate) {
        (None, false) => Ok(key.clone().into_bytes()),
        (None, true) => Err(io::Error::other("there are no keys to put another in front of; leave out --rotate")),
        (Some(_), false) => Err(io::Error::other("is there already; --rotate puts the new key in front")),
        (Some(old), true) => {
            // What is kept has to be of use.
            Issuer::parse(old, "", "").map_err(io::Error::other)?;
            Ok([key.as_bytes(), old].concat())
        }
    })?;
    Ok(match rotate {
        false => format!("{0} is a new key; set REGISTRY_AUTH_TOKEN_SIGNINGKEY={0}", path.display()),
        true => format!(
            "{} signs with a new key; remove the old ones when their last tokens have ended (tokens.access_seconds, \
             tokens.refresh_days)",
            path.display()
        ),
    })
}
