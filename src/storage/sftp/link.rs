//! One connection to an SFTP server, on a thread of its own: encryption must not delay other connections of the
//! registry.

use super::{SftpLogin, SftpSettings, SftpTrouble};
use russh::{
    Disconnect, cipher,
    client::{self, AuthResult},
    keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate},
};
use russh_sftp::{
    client::{RawSftpSession, rawsession::Limits},
    protocol::{FileAttributes, OpenFlags},
};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpStream, runtime, sync::oneshot, time::timeout};

/// How long to wait for a connection, a login and the start of SFTP.
const CONNECT: Duration = Duration::from_secs(20);
/// How long to wait for one answer.
const ANSWER_SECONDS: u64 = 60;
/// Without a packet for this long, the server is asked for a sign of life: some drop silent connections after minutes.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// What every server must accept.
const PLAIN_PACKET: u64 = 32 << 10;
/// Most bytes of one read or write. OpenSSH allows a little more; above this there is nothing to gain.
const MOST_PACKET: u64 = 255 << 10;

/// Ciphers that come first where the processor has instructions for AES.
const FAST_WITH_AES: &[cipher::Name] = &[cipher::AES_128_GCM, cipher::AES_256_GCM];

/// The extensions of a server that the store makes use of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SftpOffers {
    /// Replaces a file in one step.
    pub posix_rename: bool,
    /// Gives a file a second name, or fails if that exists.
    pub hardlink: bool,
    /// Makes the bytes of a file durable.
    pub fsync: bool,
    /// Tells the free space.
    pub statvfs: bool,
    /// Tells how long requests may be.
    pub limits: bool,
    /// Copies within the server.
    pub copy_data: bool,
}

/// One connection.
pub(super) struct SftpLink {
    pub(super) session: RawSftpSession,
    pub(super) offers: SftpOffers,
    /// Most bytes of one read.
    pub(super) read_len: u32,
    /// Most bytes of one write.
    pub(super) write_len: u32,
    broken: AtomicBool,
    /// Where files are closed whose users have gone.
    runtime: runtime::Handle,
    /// Dropped with the link: ends its thread.
    _stop: oneshot::Sender<()>,
}

/// Checks the host key.
struct HostCheck {
    settings: Arc<SftpSettings>,
}

/// An error of the SSH layer, or a refused host key.
#[derive(Debug)]
enum SshTrouble {
    Ssh(russh::Error),
    Key(SftpTrouble),
}

impl From<russh::Error> for SshTrouble {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

impl client::Handler for HostCheck {
    type Error = SshTrouble;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, SshTrouble> {
        match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                let (host, port) = (&self.settings.host, self.settings.port);
                self.settings.trust.check(host, port, key).map(|()| true).map_err(SshTrouble::Key)
            }
            PublicKeyOrCertificate::Certificate(_) => Ok(false),
        }
    }
}

impl SftpLink {
    /// Connects and logs in.
    ///
    /// # Errors
    /// Why that is not possible.
    pub(super) async fn connect(settings: Arc<SftpSettings>) -> Result<Arc<Self>, SftpTrouble> {
        let (ready, opened) = oneshot::channel();
        let thread = std::thread::Builder::new().name("sftp".into()).spawn(move || {
            let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(ready.send(Err(SftpTrouble::Failed(error.to_string())))),
            };
            let handle = runtime.handle().clone();
            runtime.block_on(async move {
                let connected = match timeout(CONNECT, Connected::open(&settings)).await {
                    Ok(connected) => connected,
                    Err(_) => Err(settings.unreachable("does not answer")),
                };
                match connected {
                    Ok(connected) => connected.run(handle, ready).await,
                    Err(error) => drop(ready.send(Err(error))),
                }
            });
        });
        thread.map_err(|error| SftpTrouble::Failed(format!("cannot start a thread: {error}")))?;
        opened.await.unwrap_or_else(|_| Err(SftpTrouble::Unreachable("connection ended".into())))
    }

    /// Whether it can be used.
    pub(super) fn is_usable(&self) -> bool {
        !self.broken.load(Ordering::Relaxed)
    }

    /// Notes whether a result means that the connection is lost.
    pub(super) fn watch<T>(&self, result: Result<T, SftpTrouble>) -> Result<T, SftpTrouble> {
        if result.as_ref().is_err_and(SftpTrouble::is_lost) {
            self.broken.store(true, Ordering::Relaxed);
        }
        result
    }

    /// Opens a file. It is closed when it is dropped, also if this call is dropped.
    pub(super) async fn open(
        self: &Arc<Self>,
        path: &str,
        flags: OpenFlags,
        mode: Option<u32>,
    ) -> Result<RemoteFile, SftpTrouble> {
        let (link, path) = (self.clone(), path.to_owned());
        let attributes = FileAttributes { permissions: mode, ..FileAttributes::default() };
        let opened = self.runtime.spawn(async move {
            let handle = link.session.open(path, flags, attributes).await?.handle;
            Ok(RemoteFile { link, handle, closed: false })
        });
        match opened.await {
            Ok(opened) => self.watch(opened),
            Err(_) => self.watch(Err(SftpTrouble::Unreachable("connection ended".into()))),
        }
    }
}

/// An open file of the server.
pub(super) struct RemoteFile {
    pub(super) link: Arc<SftpLink>,
    pub(super) handle: String,
    closed: bool,
}

impl RemoteFile {
    /// Closes the file and waits for the result: the last chance of some servers to report a failed write.
    pub(super) async fn close(mut self) -> Result<(), SftpTrouble> {
        self.closed = true;
        let closed = self.link.session.close(self.handle.clone()).await;
        self.link.watch(closed.map(drop).map_err(SftpTrouble::from))
    }
}

impl Drop for RemoteFile {
    fn drop(&mut self) {
        if !self.closed && self.link.is_usable() {
            let (link, handle) = (self.link.clone(), std::mem::take(&mut self.handle));
            self.link.runtime.spawn(async move { link.session.close(handle).await });
        }
    }
}

/// A connection whose thread has not handed it out yet.
struct Connected {
    ssh: client::Handle<HostCheck>,
    session: RawSftpSession,
    offers: SftpOffers,
    read_len: u32,
    write_len: u32,
}

impl Connected {
    async fn open(settings: &Arc<SftpSettings>) -> Result<Self, SftpTrouble> {
        let mut config = client::Config {
            keepalive_interval: Some(KEEPALIVE),
            keepalive_max: 3,
            // A window that fills a fast link over a distance; the packets of a read must fit into it.
            window_size: 16 << 20,
            maximum_packet_size: 65_535,
            nodelay: true,
            ..client::Config::default()
        };
        if has_fast_aes() {
            let rest = config.preferred.cipher.iter().filter(|known| !FAST_WITH_AES.contains(known)).copied();
            config.preferred.cipher = FAST_WITH_AES.iter().copied().chain(rest).collect::<Vec<_>>().into();
        }
        let known = settings.trust.algorithms(&settings.host, settings.port)?;
        if !known.is_empty() {
            let mut preferred = config.preferred.clone();
            let rest = preferred.key.iter().filter(|algorithm| !known.contains(algorithm)).cloned();
            let all: Vec<_> = known.iter().cloned().chain(rest).collect();
            preferred.key = all.into();
            config.preferred = preferred;
        }
        let address = (settings.host.as_str(), settings.port);
        let socket = TcpStream::connect(address).await.map_err(|error| settings.unreachable(error))?;
        socket.set_nodelay(true).map_err(|error| settings.unreachable(error))?;
        let check = HostCheck { settings: settings.clone() };
        let mut ssh = match client::connect_stream(Arc::new(config), socket, check).await {
            Ok(ssh) => ssh,
            Err(SshTrouble::Key(trouble)) => return Err(trouble),
            Err(SshTrouble::Ssh(error)) => return Err(settings.unreachable(error)),
        };
        log_in(settings, &mut ssh).await?;
        let lost = |error: russh::Error| settings.unreachable(format!("does not start SFTP: {error}"));
        let channel = ssh.channel_open_session().await.map_err(lost)?;
        channel.request_subsystem(true, "sftp").await.map_err(lost)?;
        let config = russh_sftp::client::Config {
            max_packet_len: 1 << 20,
            request_timeout_secs: ANSWER_SECONDS,
            ..russh_sftp::client::Config::default()
        };
        let mut session = RawSftpSession::new_with_config(channel.into_stream(), config);
        let version = session.init().await?;
        let offers = SftpOffers::of(&version.extensions);
        let (mut read_len, mut write_len) = (PLAIN_PACKET, PLAIN_PACKET);
        if offers.limits {
            let limits = Limits::from(session.limits().await?);
            read_len = limits.read_len.unwrap_or(read_len);
            write_len = limits.write_len.unwrap_or(write_len);
            // A limit of open files is the server's to enforce: it knows which were closed.
            session.set_limits(Limits { open_handles: None, ..limits });
        }
        let packet = |len: u64| len.clamp(1 << 10, MOST_PACKET) as u32;
        Ok(Self { ssh, session, offers, read_len: packet(read_len), write_len: packet(write_len) })
    }

    /// Hands the connection out and keeps it going until it is dropped.
    async fn run(self, runtime: runtime::Handle, ready: oneshot::Sender<Result<Arc<SftpLink>, SftpTrouble>>) {
        let (stop, stopped) = oneshot::channel();
        let link = SftpLink {
            session: self.session,
            offers: self.offers,
            read_len: self.read_len,
            write_len: self.write_len,
            broken: AtomicBool::new(false),
            runtime,
            _stop: stop,
        };
        if ready.send(Ok(Arc::new(link))).is_ok() {
            let _ = stopped.await;
        }
        let goodbye = self.ssh.disconnect(Disconnect::ByApplication, "", "");
        let _ = timeout(Duration::from_secs(1), goodbye).await;
    }
}

/// Whether the processor has instructions for AES: then it costs both sides two thirds of what the default does.
fn has_fast_aes() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    false
}

async fn log_in(settings: &SftpSettings, ssh: &mut client::Handle<HostCheck>) -> Result<(), SftpTrouble> {
    let lost = |error: russh::Error| settings.unreachable(error);
    let user = settings.username.as_str();
    let (result, with) = match &settings.login {
        SftpLogin::Password(password) => {
            (ssh.authenticate_password(user, password.as_str()).await.map_err(lost)?, "this password")
        }
        SftpLogin::Key(key) => {
            let hash = match key.algorithm().is_rsa() {
                true => ssh.best_supported_rsa_hash().await.map_err(lost)?.flatten(),
                false => None,
            };
            let key = PrivateKeyWithHashAlg::new(key.clone(), hash);
            (ssh.authenticate_publickey(user, key).await.map_err(lost)?, "this key")
        }
    };
    match result {
        AuthResult::Success => Ok(()),
        AuthResult::Failure { remaining_methods, .. } => Err(SftpTrouble::Login(format!(
            "the SFTP server {}:{} refuses the login of {user} with {with} (it offers: {})",
            settings.host,
            settings.port,
            remaining_methods.iter().map(<&str>::from).collect::<Vec<_>>().join(", "),
        ))),
    }
}

impl SftpOffers {
    fn of(extensions: &HashMap<String, String>) -> Self {
        let has = |name: &str, version: &str| extensions.get(name).is_some_and(|offered| offered == version);
        Self {
            posix_rename: has("posix-rename@openssh.com", "1"),
            hardlink: has("hardlink@openssh.com", "1"),
            fsync: has("fsync@openssh.com", "1"),
            statvfs: has("statvfs@openssh.com", "2"),
            limits: has("limits@openssh.com", "1"),
            copy_data: has("copy-data", "1"),
        }
    }
}
