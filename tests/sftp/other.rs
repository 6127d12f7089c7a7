//! Another SFTP server: SeaweedFS's. `.ci/run sftp-long` installs it; `WHARFINGER_TEST_WEED` is the program.

use super::{BEHIND, PROGRAM, push};
use std::{
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use testing::{chaos::pull, daemon::Daemon};

/// A running server.
struct Weed {
    dir: tempfile::TempDir,
    port: u16,
    children: Vec<Child>,
}

/// A free port; SeaweedFS also takes the one 10,000 above.
fn port() -> u16 {
    loop {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        if port < 50_000 && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
    }
}

fn wait_for(port: u16) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "SeaweedFS does not start");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn make_key(path: &Path) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path).status().unwrap();
    assert!(made.success());
}

impl Weed {
    fn start(program: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |file: &str| dir.path().join(file).display().to_string();
        for key in ["host", "user"] {
            make_key(&dir.path().join(key));
        }
        let public = |key: &str| {
            let text = std::fs::read_to_string(path(&format!("{key}.pub"))).unwrap();
            text.split(' ').take(2).collect::<Vec<_>>().join(" ")
        };
        let users = serde_json::json!([{
            "Username": "registry", "PublicKeys": [public("user").trim()], "HomeDir": "/store",
            "Permissions": {"/store": ["*"], "/": ["*"]}, "Uid": 1000, "Gid": 1000,
        }]);
        std::fs::write(path("users.json"), users.to_string()).unwrap();
        std::fs::create_dir(path("data")).unwrap();
        let ports: [u16; 4] = std::array::from_fn(|_| port());
        let [master, volume, filer, sftp] = ports;
        std::fs::write(path("known_hosts"), format!("[127.0.0.1]:{sftp} {}\n", public("host").trim())).unwrap();
        let run = |args: &[String]| {
            // It must not outlive the tests, however they end.
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL", program]).args(args).current_dir(dir.path());
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        };
        let server = run(&[
            "server".into(),
            format!("-dir={}", path("data")),
            "-ip=127.0.0.1".into(),
            "-ip.bind=127.0.0.1".into(),
            format!("-master.port={master}"),
            format!("-volume.port={volume}"),
            "-filer".into(),
            format!("-filer.port={filer}"),
            "-master.volumeSizeLimitMB=64".into(),
            "-volume.max=50".into(),
        ]);
        wait_for(filer);
        let sftp_server = run(&[
            "sftp".into(),
            format!("-port={sftp}"),
            "-ip.bind=127.0.0.1".into(),
            format!("-filer=127.0.0.1:{filer}"),
            format!("-sshPrivateKey={}", path("host")),
            format!("-userStoreFile={}", path("users.json")),
            format!("-localSocket={}", path("sock")),
        ]);
        wait_for(sftp);
        Self { dir, port: sftp, children: vec![server, sftp_server] }
    }

    fn daemon(&self, more: &[(&str, &str)]) -> Daemon {
        let path = |file: &str| self.dir.path().join(file).display().to_string();
        let (port, key, known) = (self.port.to_string(), path("user"), path("known_hosts"));
        let mut variables = vec![
            ("REGISTRY_STORAGE", "sftp"),
            ("REGISTRY_SFTP_HOST", "127.0.0.1"),
            ("REGISTRY_SFTP_PORT", &port),
            ("REGISTRY_SFTP_USERNAME", "registry"),
            ("REGISTRY_SFTP_KEY_FILE", &key),
            ("REGISTRY_SFTP_KNOWN_HOSTS", &known),
            ("REGISTRY_SFTP_ROOT", "registry"),
        ];
        variables.extend(more);
        Daemon::start(PROGRAM, &self.dir.path().join("home"), &variables)
    }
}

impl Drop for Weed {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SeaweedFS: .ci/run sftp-long"]
async fn another_server_holds_images_and_what_it_lacks_is_said() {
    let weed = Weed::start(&std::env::var("WHARFINGER_TEST_WEED").expect("WHARFINGER_TEST_WEED"));
    let daemon = weed.daemon(&[]);
    let log = daemon.logged("listening on");
    for line in log.lines().filter(|line| line.contains("lacks")) {
        println!("{line}");
    }
    for lack in ["fsync@openssh.com", "hardlink@openssh.com", "limits@openssh.com"] {
        assert!(log.contains(&format!("lacks {lack}")), "{lack}: {log}");
    }
    let first = push(&daemon, "team/app", "v1", 20 << 20, 1).await;
    let second = push(&daemon, "team/app", "v2", 1000, 2).await;
    assert_eq!(pull(&daemon, "team/app", "v1").await, first);
    // A tag is moved, deleted and listed.
    assert_eq!(push(&daemon, "team/app", "v1", 1000, 2).await, second);
    assert_eq!(pull(&daemon, "team/app", "v1").await, second);
    assert_eq!(daemon.tags("team/app").await, ["v1", "v2"]);
    daemon.delete(format!("/v2/team/app/manifests/{second}")).await.is(202);
    assert_eq!(daemon.tags("team/app").await, [""; 0]);
    daemon.kill();
    // The lock is recognised, and write-behind works too.
    let daemon = weed.daemon(BEHIND);
    assert_eq!(pull(&daemon, "team/app", &first).await, first);
    let third = push(&daemon, "team/app", "v3", 20 << 20, 3).await;
    let is_empty = async || daemon.get("/api/v1/storage/outbox").await.is(200).json()["writes"] == 0;
    daemon.until(Duration::from_secs(120), "the journal is not uploaded", is_empty).await;
    drop(daemon);
    let daemon = weed.daemon(&[]);
    assert_eq!(pull(&daemon, "team/app", "v3").await, third);
}
