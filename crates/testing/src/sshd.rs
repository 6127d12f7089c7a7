//! A real OpenSSH server for one test, with host keys, users' keys and a directory of its own.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Where it is installed.
const PROGRAM: &str = "/usr/sbin/sshd";

/// A running server; stopped when dropped.
pub struct Sshd {
    dir: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

/// Whether it is installed. If not, says so once for each test that is skipped.
pub fn is_installed(test: &str) -> bool {
    let installed = Path::new(PROGRAM).exists();
    if !installed {
        eprintln!("SKIPPED {test}: {PROGRAM} is not installed (package openssh-server)");
    }
    installed
}

impl Sshd {
    /// Starts a server on a free port. Callers have checked [`is_installed`].
    pub fn start() -> Self {
        Self::with("")
    }

    /// The same with more lines of configuration.
    pub fn with(lines: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // What sshd reads as the user who logs in.
        open_to_all(dir.path());
        fs::create_dir(dir.path().join("box")).unwrap();
        open_to_all(&dir.path().join("box"));
        for (file, kind) in [("host", "ed25519"), ("host_rsa", "rsa"), ("ed25519", "ed25519"), ("rsa", "rsa")] {
            make_key(&dir.path().join(file), kind);
        }
        let keys = ["ed25519.pub", "rsa.pub"].map(|file| fs::read_to_string(dir.path().join(file)).unwrap());
        fs::write(dir.path().join("authorized"), keys.concat()).unwrap();
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let mut server = Self { dir, port, child: None };
        let at = |file: &str| server.path(file).display().to_string();
        let config = format!(
            "{lines}\nPort {port}\nListenAddress 127.0.0.1\nHostKey {}\nHostKey {}\nAuthorizedKeysFile {}\n\
             PidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication yes\n\
             MaxSessions 64\nMaxStartups 100:30:200\nLogLevel VERBOSE\nSubsystem sftp internal-sftp -d {}\n",
            at("host"),
            at("host_rsa"),
            at("authorized"),
            at("box"),
        );
        fs::write(server.path("config"), config).unwrap();
        server.resume();
        server.learn();
        server
    }

    /// A file of the server, such as `ed25519` (a user's key), `known_hosts` or `box`, the directory it serves.
    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// The directory it serves.
    pub fn root(&self) -> PathBuf {
        self.path("box")
    }

    /// Makes a directory within it to which every user may write.
    pub fn make_dir_for_all(&self, name: &str) -> PathBuf {
        let dir = self.root().join(name);
        fs::create_dir(&dir).unwrap();
        open_to_all(&dir);
        dir
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The user who can log in with the keys.
    pub fn user(&self) -> String {
        let name = Command::new("id").arg("-un").output().unwrap().stdout;
        String::from_utf8(name).unwrap().trim().to_owned()
    }

    /// A user with a password, if the machine has one for tests: logins by password need one.
    pub fn user_with_password(&self) -> Option<(String, String)> {
        let user = std::env::var("WHARFINGER_TEST_SFTP_USER").ok()?;
        Some((user, std::env::var("WHARFINGER_TEST_SFTP_PASSWORD").ok()?))
    }

    /// The text of a user's private key: `ed25519` or `rsa`.
    pub fn key(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    /// Writes its host keys to `known_hosts`.
    fn learn(&self) {
        let place = format!("[127.0.0.1]:{}", self.port);
        let lines = ["host.pub", "host_rsa.pub"].map(|file| format!("{place} {}", self.key(file)));
        fs::write(self.path("known_hosts"), lines.concat()).unwrap();
    }

    /// Stops it at once, with all connections, as a power cut would.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // Each connection has a session of its own.
        let mut doomed = vec![child.id()];
        let mut index = 0;
        while let Some(parent) = doomed.get(index).copied() {
            doomed.extend(children(parent));
            index += 1;
        }
        for pid in doomed {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status();
        }
        let _ = child.wait();
    }

    /// Starts it again.
    pub fn resume(&mut self) {
        fs::create_dir_all("/run/sshd").ok();
        let mut command = Command::new(PROGRAM);
        command.arg("-D").arg("-f").arg(self.path("config")).arg("-E").arg(self.path("log"));
        self.child = Some(command.stdin(Stdio::null()).spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let mut greeting = [0; 4];
            let greeted = TcpStream::connect(("127.0.0.1", self.port)).and_then(|mut at| at.read_exact(&mut greeting));
            if greeted.is_ok() && &greeting == b"SSH-" {
                return;
            }
            assert!(Instant::now() < deadline, "sshd does not start: {:?}", fs::read_to_string(self.path("log")));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Gives it other host keys, as an attacker in between would have.
    pub fn change_host_keys(&mut self) {
        self.kill();
        for (file, kind) in [("host", "ed25519"), ("host_rsa", "rsa")] {
            fs::remove_file(self.path(file)).unwrap();
            make_key(&self.path(file), kind);
        }
        self.resume();
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.kill();
    }
}

fn make_key(path: &Path, kind: &str) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", "", "-f"]).arg(path).status().unwrap();
    assert!(made.success(), "ssh-keygen -t {kind}");
}

fn open_to_all(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o777)).unwrap();
}

fn children(pid: u32) -> Vec<u32> {
    let read = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    read.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// A relay to the server that delays what passes and can be cut: a slow or broken network.
pub struct Relay {
    port: u16,
}

impl Relay {
    /// Passes everything on to `to`, each way `delay` later.
    pub fn start(to: u16, delay: Duration) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                pass(near.try_clone().unwrap(), far.try_clone().unwrap(), delay);
                pass(far, near, delay);
            }
        });
        Self { port }
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (sender, pieces) = std::sync::mpsc::channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if sender.send((Instant::now() + delay, buffer[..read].to_vec())).is_err() {
                break;
            }
        }
    });
    std::thread::spawn(move || {
        for (due, piece) in pieces {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
}
