//! A prefix of a bucket for one test, replicas over it, and a gate that can be shut between them.

use std::{
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tempfile::TempDir;
use testing::daemon::{Daemon, over};
use tokio::net::TcpListener;

const PROGRAM: &str = env!("CARGO_BIN_EXE_wharfinger");

/// The server of all tests: its address and the bucket.
struct Server {
    endpoint: String,
    bucket: String,
    /// Ends with this process, as it is told by the system.
    _weed: Option<(Child, TempDir)>,
}

static SERVER: OnceLock<Server> = OnceLock::new();

fn server() -> &'static Server {
    SERVER.get_or_init(|| match std::env::var("WHARFINGER_TEST_S3") {
        Ok(url) => {
            let (endpoint, bucket) = url.rsplit_once('/').expect("http://HOST:PORT/BUCKET");
            Server { endpoint: endpoint.to_owned(), bucket: bucket.to_owned(), _weed: None }
        }
        Err(_) => start(),
    })
}

/// Starts SeaweedFS. It binds fixed ports, so there is one per machine.
fn start() -> Server {
    let weed = std::env::var("WHARFINGER_TEST_WEED").expect("WHARFINGER_TEST_WEED or WHARFINGER_TEST_S3");
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("s3.json");
    let rights = r#"["Admin","Read","Write","List","Tagging"]"#;
    std::fs::write(
        &keys,
        format!(
            r#"{{"identities":[{{"name":"t","credentials":[{{"accessKey":"AKTEST","secretKey":"SKTEST"}}],"actions":{rights}}}]}}"#
        ),
    )
    .unwrap();
    // It must not outlive the tests, however they end.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", &weed, "mini", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]);
    command.arg(format!("-dir={}", dir.path().display())).arg(format!("-s3.config={}", keys.display()));
    command.args(["-s3.port=19001", "-master.port=19333", "-filer.port=18888", "-volume.port=19340"]);
    command.args(["-webdav=false", "-admin.ui=false", "-master.telemetry=false", "-bucket=testbucket"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("weed starts");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_up() {
        assert!(Instant::now() < deadline, "SeaweedFS does not start");
        std::thread::sleep(Duration::from_millis(100));
    }
    Server { endpoint: "http://127.0.0.1:19001".to_owned(), bucket: "testbucket".to_owned(), _weed: Some((child, dir)) }
}

fn is_up() -> bool {
    use std::io::{Read as _, Write as _};
    let Ok(mut stream) = TcpStream::connect("127.0.0.1:19001") else { return false };
    let mut answer = [0; 12];
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && answer.ends_with(b"200")
}

/// What one test stores.
pub struct Bucket {
    dir: TempDir,
    above: String,
    prefix: String,
}

impl Bucket {
    pub fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let above = format!("it/{}-{}", since.as_micros(), NUMBER.fetch_add(1, Ordering::Relaxed));
        Self { dir: tempfile::tempdir().unwrap(), prefix: format!("{above}/registry"), above }
    }

    /// The level above the prefix.
    pub fn above(&self) -> &str {
        &self.above
    }

    /// Host and port of the server.
    pub fn address(&self) -> String {
        server().endpoint.trim_start_matches("http://").to_owned()
    }

    fn vars<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let vars = [
            ("REGISTRY_STORAGE", "s3"),
            ("REGISTRY_S3_BUCKET", &*server().bucket),
            ("REGISTRY_S3_ENDPOINT", &server().endpoint),
            ("REGISTRY_S3_REGION", "us-east-1"),
            ("REGISTRY_S3_ACCESS_KEY", "AKTEST"),
            ("REGISTRY_S3_SECRET_KEY", "SKTEST"),
            ("REGISTRY_S3_PREFIX", &self.prefix),
        ];
        vars.into_iter().chain(more.iter().copied()).collect()
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("unused")
    }

    /// One more replica.
    pub fn replica(&self, more: &[(&str, &str)]) -> Daemon {
        Daemon::start(PROGRAM, &self.root(), &self.vars(more))
    }

    /// Runs a command beside the replicas.
    pub fn command(&self, args: &[&str]) -> Output {
        self.command_with(args, &[])
    }

    pub fn command_with(&self, args: &[&str], more: &[(&str, &str)]) -> Output {
        over(&mut Command::new(PROGRAM), &self.root(), &self.vars(more)).args(args).output().unwrap()
    }
}

/// Passes connections on to the server until it is shut.
pub struct Gate {
    address: SocketAddr,
    is_shut: Arc<AtomicBool>,
}

impl Gate {
    pub async fn open(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, is_shut) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let shut = is_shut.clone();
        tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let (server, shut) = (server.clone(), shut.clone());
                tokio::spawn(async move {
                    if shut.load(Ordering::Relaxed) {
                        return;
                    }
                    let mut upstream = tokio::net::TcpStream::connect(server).await.unwrap();
                    let copied = tokio::io::copy_bidirectional(&mut client, &mut upstream);
                    let shutting = async {
                        while !shut.load(Ordering::Relaxed) {
                            tokio::time::sleep(Duration::from_millis(10)).await;
                        }
                    };
                    tokio::select! {
                        _ = copied => {}
                        () = shutting => {}
                    }
                });
            }
        });
        Self { address, is_shut }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Breaks all connections, and accepts none.
    pub fn shut(&self) {
        self.is_shut.store(true, Ordering::Relaxed);
        // Connections notice it within 10 ms.
        std::thread::sleep(Duration::from_millis(200));
    }

    pub fn open_again(&self) {
        self.is_shut.store(false, Ordering::Relaxed);
    }
}
