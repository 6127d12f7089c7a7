//! The servers that are compared, and how each is started for a workload.

mod config;
pub mod floor;
pub mod server;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use clap::Args;

use crate::Result;
use crate::http::{Dial, TrustedCertificates, Url};
use crate::target::{ADMIN, ONE, Target};
use server::{Launch, Server};

/// A server program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    Wharfinger,
    /// Serves files with sendfile: the lower bound for reading.
    Nginx,
    /// Distribution 2, as packaged by Debian.
    DockerRegistry,
    /// Distribution 3, if its program is given.
    Distribution,
    /// zot, if its program is given.
    Zot,
    /// This program, which only receives, hashes and writes: the lower bound for pushing.
    Floor,
}

impl Peer {
    pub const ALL: [Self; 6] =
        [Self::Wharfinger, Self::Nginx, Self::DockerRegistry, Self::Distribution, Self::Zot, Self::Floor];

    pub fn name(self) -> &'static str {
        match self {
            Self::Wharfinger => "wharfinger",
            Self::Nginx => "nginx",
            Self::DockerRegistry => "docker-registry",
            Self::Distribution => "distribution",
            Self::Zot => "zot",
            Self::Floor => "floor",
        }
    }

    /// Whether it is a registry that accepts pushes.
    pub fn is_registry(self) -> bool {
        !matches!(self, Self::Nginx | Self::Floor)
    }
}

/// A peer and how it is configured: `wharfinger`, `nginx+tls`, `docker-registry+basic`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    pub peer: Peer,
    /// HTTPS with a certificate of this run.
    pub tls: bool,
    /// An htpasswd file of bcrypt cost 10.
    pub basic: bool,
    /// nginx: open_file_cache.
    pub cache: bool,
    /// Wharfinger: does not scrub its blobs in the background.
    pub rest: bool,
    /// Wharfinger: runs garbage collection and a check of the store all the time.
    pub upkeep: bool,
}

impl Side {
    /// Parses a label.
    pub fn parse(label: &str) -> Result<Self> {
        let mut words = label.split('+');
        let name = words.next().unwrap_or_default();
        let peer = Peer::ALL
            .into_iter()
            .find(|peer| peer.name() == name)
            .ok_or_else(|| format!("no peer {name:?}; there are {}", Peer::ALL.map(Peer::name).join(", ")))?;
        let mut side = Self { peer, tls: false, basic: false, cache: false, rest: false, upkeep: false };
        for word in words {
            *match (word, peer) {
                ("rest", Peer::Wharfinger) => &mut side.rest,
                ("tls", _) => &mut side.tls,
                ("basic", _) if peer.is_registry() => &mut side.basic,
                ("cache", Peer::Nginx) => &mut side.cache,
                ("upkeep", Peer::Wharfinger) => &mut side.upkeep,
                _ => return Err(format!("{label}: {name} knows no {word:?}").into()),
            } = true;
        }
        Ok(side)
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.peer.name())?;
        let options = [
            (self.tls, "+tls"),
            (self.basic, "+basic"),
            (self.cache, "+cache"),
            (self.rest, "+rest"),
            (self.upkeep, "+upkeep"),
        ];
        options.iter().filter(|(on, _)| *on).try_for_each(|(_, word)| write!(f, "{word}"))
    }
}

/// The paths of the programs; the others are searched for.
#[derive(Debug, Clone, Default, Args)]
pub struct Programs {
    /// The daemon (found beside this program unless named)
    #[arg(long, value_name = "PATH")]
    pub wharfinger: Option<PathBuf>,
    /// nginx (found in PATH or /usr/sbin)
    #[arg(long, value_name = "PATH")]
    pub nginx: Option<PathBuf>,
    /// Debian's docker-registry (found in PATH)
    #[arg(long, value_name = "PATH")]
    pub docker_registry: Option<PathBuf>,
    /// Distribution 3, if you have built one
    #[arg(long, value_name = "PATH")]
    pub distribution: Option<PathBuf>,
    /// zot, if you have one
    #[arg(long, value_name = "PATH")]
    pub zot: Option<PathBuf>,
}

impl Programs {
    /// The program of a peer, if there is one.
    pub fn of(&self, peer: Peer) -> Option<PathBuf> {
        let (named, found) = match peer {
            Peer::Wharfinger => (&self.wharfinger, beside("wharfinger")),
            Peer::Nginx => (&self.nginx, in_path("nginx")),
            Peer::DockerRegistry => (&self.docker_registry, in_path("docker-registry")),
            Peer::Distribution => (&self.distribution, None),
            Peer::Zot => (&self.zot, None),
            Peer::Floor => return std::env::current_exe().ok(),
        };
        named.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone())).or(found)
    }

    /// The version that each program reports.
    pub fn version(&self, peer: Peer) -> Option<String> {
        let program = self.of(peer)?;
        let argument = match peer {
            Peer::Floor => return Some(env!("CARGO_PKG_VERSION").to_owned()),
            Peer::Nginx => "-v",
            _ => "--version",
        };
        let out = Command::new(program).arg(argument).output().ok()?;
        let text = [out.stdout, out.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        text.lines().find(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned())
    }
}

fn beside(name: &str) -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.parent()?.join(name)).filter(|path| path.is_file())
}

/// An installed program.
pub fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    directories.map(|directory| directory.join(name)).find(|path| path.is_file())
}

/// Certificate and key of this run, in PEM.
fn certificate() -> Result<&'static (String, String)> {
    static MADE: OnceLock<std::result::Result<(String, String), String>> = OnceLock::new();
    let make = || {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]);
        made.map(|made| (made.cert.pem(), made.signing_key.serialize_pem())).map_err(|error| error.to_string())
    };
    MADE.get_or_init(make).as_ref().map_err(|error| error.clone().into())
}

/// The users of this run, bcrypt of cost 10.
fn htpasswd() -> Result<&'static str> {
    static MADE: OnceLock<std::result::Result<String, String>> = OnceLock::new();
    let line =
        |(name, password): (&str, &str)| -> Result<String> { Ok(format!("{name}:{}\n", bcrypt::hash(password, 10)?)) };
    let make = || -> Result<String> { Ok(line(ADMIN)? + &line(ONE)?) };
    let made = MADE.get_or_init(|| make().map_err(|error| error.to_string()));
    made.as_deref().map_err(|error| error.clone().into())
}

/// Where a peer listens and keeps its files.
struct PeerPlace<'a> {
    side: &'a Side,
    port: u16,
    /// For configuration, logs and certificates.
    home: &'a Path,
    /// For content.
    data: PathBuf,
}

/// Starts a peer with a directory of its own below `home`, on a free port of 127.0.0.1.
pub fn start(side: &Side, programs: &Programs, home: &Path) -> Result<Target> {
    let program = programs.of(side.peer).ok_or_else(|| format!("{} was not found", side.peer.name()))?;
    let data = home.join("data");
    std::fs::create_dir_all(&data)?;
    let (certificate, key) = certificate()?;
    std::fs::write(home.join("cert.pem"), certificate)?;
    std::fs::write(home.join("key.pem"), key)?;
    if side.basic {
        std::fs::write(home.join("htpasswd"), htpasswd()?)?;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let place = PeerPlace { side, port, home, data };
    let (arguments, environment) = config::write(&place)?;
    let launch = Launch { program, arguments, environment, directory: home.to_owned() };
    let dial = Dial {
        url: Url { tls: side.tls, host: "127.0.0.1".into(), port },
        trust: if side.tls { Some(Arc::new(TrustedCertificates::in_pem(certificate)?)) } else { None },
        credentials: side.basic.then(|| (ADMIN.0.to_owned(), ADMIN.1.to_owned())),
    };
    let upkeep = if side.upkeep { upkeep(&launch) } else { Vec::new() };
    Ok(Target {
        label: side.to_string(),
        pid: None,
        server: Some(Mutex::new(Server::start(launch, &dial)?)),
        dial,
        files: (side.peer == Peer::Nginx).then(|| place.data.clone()),
        storage: Some(place.data),
        upkeep,
    })
}

/// The commands for the upkeep of a store of Wharfinger; builds without `fsck` only collect.
fn upkeep(serve: &Launch) -> Vec<Launch> {
    let has =
        |word: &str| Command::new(&serve.program).args([word, "--help"]).output().is_ok_and(|out| out.status.success());
    let commands: [&[&str]; 2] = [&["gc"], &["fsck", "--read-data", "--rate", "100 MiB"]];
    let known = commands.iter().filter(|command| has(command[0]));
    let launch = |command: &&[&str]| Launch {
        arguments: command.iter().map(|word| (*word).to_owned()).collect(),
        ..serve.clone()
    };
    known.map(launch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_named_by_its_peer_and_options() {
        for label in ["wharfinger", "nginx+tls", "nginx+tls+cache", "docker-registry+basic", "wharfinger+rest+upkeep"] {
            assert_eq!(Side::parse(label).unwrap().to_string(), label);
        }
        for label in ["", "harbor", "nginx+basic", "zot+cache", "docker-registry+upkeep", "nginx+rest"] {
            assert!(Side::parse(label).is_err(), "{label}");
        }
    }
}
