//! A store on an SFTP server.
//!
//! [`SftpRemote`] has the files of one directory of a server, over a [`SftpPool`] of connections. Nothing here knows
//! what the files mean. [`SftpObjects`] makes objects of them.

mod directories;
mod home;
mod host_keys;
mod link;
#[cfg(test)]
mod object_tests;
mod objects;
mod open;
mod pool;
mod probe;
mod put;
mod remote;
mod settings;
#[cfg(test)]
pub(super) mod tests;
mod transfer;
mod trouble;
mod walk;
mod whole;
mod writer_lock;

pub use home::LocalHome;
pub use host_keys::HostTrust;
pub use link::SftpOffers;
pub use objects::SftpObjects;
pub use open::{NoSftpStore, SftpStore};
pub use pool::{SftpOutage, SftpPool};
pub use probe::SftpProbe;
pub use put::PutMode;
pub use remote::{RemoteEntry, RemoteMeta, SftpRemote};
pub use settings::{SftpLogin, SftpSettings};
pub use transfer::RemoteReader;
pub use trouble::SftpTrouble;
pub use writer_lock::{SftpWriter, WriterLock, WriterRefused};
