//! What a server lacks, and what that costs.

use super::{PutMode, SftpRemote, SftpTrouble, put::TEMPORARY};
use crate::files::world;
use bytes::Bytes;

/// The result of trying a server out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SftpProbe {
    /// One line for each thing that is missing: what, and what that costs.
    pub lacks: Vec<String>,
    /// Bytes are durable when a write is acknowledged.
    pub syncs_bytes: bool,
    /// Names are durable when a write is acknowledged.
    pub syncs_names: bool,
}

impl SftpRemote {
    /// Tries the calls that a store relies on, and finds out which extensions work.
    ///
    /// # Errors
    /// The server cannot be reached, or cannot hold a store at all.
    pub async fn probe(&self) -> Result<SftpProbe, SftpTrouble> {
        let offers = self.offers().await?;
        let mut lacks = Vec::new();
        let mut without = |missing: bool, what: &str| lacks.extend(missing.then(|| what.to_owned()));
        without(
            !offers.posix_rename,
            "posix-rename@openssh.com: a file is removed before its successor gets its name, so a crash in between \
             loses the moved tag or setting",
        );
        without(
            !offers.hardlink,
            "hardlink@openssh.com, which works: copies pass through the registry, and a file that must not exist yet is \
             looked for before it gets its name",
        );
        without(
            !offers.fsync,
            "fsync@openssh.com: nobody knows when bytes are durable; a power failure of the server may lose what was \
             acknowledged last",
        );
        without(!offers.statvfs, "statvfs@openssh.com: the free space is unknown");
        without(!offers.limits, "limits@openssh.com: requests carry 32 KiB at most, which is slower over a distance");
        let syncs_names = self.syncs_dirs().await?;
        without(
            offers.fsync && !syncs_names,
            "the sync of a directory: the server's file system decides when a new name is durable, after some seconds \
             in most cases",
        );
        without(
            !self.try_parts().await?,
            "writes at a place of a file that exists: a large layer becomes several files, and an upload that was \
             interrupted repeats up to 16 MiB",
        );
        self.try_out().await?;
        Ok(SftpProbe { lacks, syncs_bytes: offers.fsync, syncs_names })
    }

    /// Finds out whether hard links work: some servers offer them and fail. Must come before anything is created.
    ///
    /// # Errors
    /// The server cannot be reached, or nothing can be written to it.
    pub(super) async fn try_links(&self) -> Result<(), SftpTrouble> {
        if !self.offers().await?.hardlink {
            return Ok(());
        }
        let (one, two) = (format!("{TEMPORARY}/{}", world::uuid()), format!("{TEMPORARY}/{}", world::uuid()));
        self.put(&one, &[Bytes::from_static(b"one")], PutMode::Replace, world::now()).await?;
        let works = match self.link(&one, &two).await {
            Ok(_) => self.read(&two).await?.is_some_and(|(bytes, _)| bytes == "one"),
            Err(SftpTrouble::Failed(_) | SftpTrouble::Unsupported | SftpTrouble::Denied) => false,
            Err(trouble) => return Err(trouble),
        };
        if !works {
            self.do_without_links();
        }
        self.remove(&one).await?;
        self.remove(&two).await.map(drop)
    }

    /// Whether a file can be written in parts. Some servers replace all of it.
    async fn try_parts(&self) -> Result<bool, SftpTrouble> {
        let path = format!("{TEMPORARY}/{}", world::uuid());
        let tried = async {
            self.create_empty(&path).await?;
            self.write_at(&path, 0, &[Bytes::from_static(b"one")]).await?;
            self.write_at(&path, 3, &[Bytes::from_static(b"two")]).await?;
            Ok(self.read(&path).await?.is_some_and(|(bytes, _)| bytes == "onetwo"))
        };
        let works = match tried.await {
            Err(SftpTrouble::Failed(_) | SftpTrouble::Unsupported | SftpTrouble::Missing) => false,
            tried => tried?,
        };
        if !works {
            self.do_without_parts();
        }
        self.remove(&path).await?;
        Ok(works)
    }

    async fn try_out(&self) -> Result<(), SftpTrouble> {
        let (one, two) = (format!("{TEMPORARY}/{}", world::uuid()), format!("{TEMPORARY}/{}", world::uuid()));
        self.put_new(&one, &[Bytes::from_static(b"one")]).await?;
        self.put_new(&two, &[Bytes::from_static(b"two")]).await?;
        let tried = async {
            self.rename(&two, &one).await?;
            match self.read(&one).await? {
                Some((bytes, _)) if bytes == "two" => Ok(()),
                _ => Err(SftpTrouble::Failed("a file that replaced another one has the wrong bytes".into())),
            }
        };
        let tried = tried.await;
        let cleaned = async {
            self.remove(&one).await?;
            self.remove(&two).await
        };
        let cleaned = cleaned.await;
        tried.and(cleaned.map(drop))
    }
}
