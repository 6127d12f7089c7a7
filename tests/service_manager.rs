//! The daemon under a service manager or a container engine: what it tells systemd, and what `health` says of it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};
use testing::{certs::Authority, daemon::Daemon};

const PROGRAM: &str = env!("CARGO_BIN_EXE_wharfinger");

/// `wharfinger health` with the environment of a daemon that listens on this port.
fn health(dir: &Path, port: u16, vars: &[(&str, &str)]) -> Output {
    let mut command = Command::new(PROGRAM);
    testing::daemon::over(&mut command, &dir.join("data"), vars);
    command.arg("health").env("REGISTRY_PORT", port.to_string()).output().unwrap()
}

/// The program with sockets as systemd passes them: the first has the number 3.
fn activated(count: usize, passed: impl Into<OwnedFd>) -> Command {
    let mut command = Command::new("sh");
    // `$$` is the process of the program: `exec` keeps it.
    let script = format!(r#"exec 3<&0 4<&0 < /dev/null; LISTEN_PID=$$ LISTEN_FDS={count} exec "$0""#);
    command.args(["-c", &script, PROGRAM]).stdin(Stdio::from(passed.into()));
    command
}

fn get(mut stream: &TcpStream) -> String {
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_socket_of_systemd_is_served_and_nobody_is_refused_between_two_starts() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let early = TcpStream::connect(address).unwrap();
    let daemon = Daemon::from_command(activated(1, socket.try_clone().unwrap()), &data, &[("REGISTRY_PORT", "1")]);
    assert_eq!(daemon.address(), address);
    assert!(get(&early).starts_with("HTTP/1.1 200"));
    daemon.logged(&format!("systemd listens on {address}; REGISTRY_HOST and REGISTRY_PORT (127.0.0.1:1)"));
    daemon.kill();
    let between = TcpStream::connect(address).unwrap();
    let port = address.port().to_string();
    let mut daemon = Daemon::from_command(activated(1, socket), &data, &[("REGISTRY_PORT", &port)]);
    assert!(get(&between).starts_with("HTTP/1.1 200"));
    assert!(!daemon.log().contains("systemd listens on"), "{}", daemon.log());
    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(20)).success());
    assert!(TcpStream::connect(address).is_err(), "nothing holds the socket any more");
}

#[test]
fn descriptors_of_systemd_that_cannot_be_served_end_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |count, passed: OwnedFd| {
        let mut command = activated(count, passed);
        testing::daemon::over(&mut command, &dir.path().join("data"), &[]);
        let out = command.output().unwrap();
        assert_eq!(out.status.code(), Some(1));
        String::from_utf8(out.stdout).unwrap()
    };
    let listener = || OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap());
    let two = refused(2, listener());
    assert!(two.contains("there are 2; the unit may have one ListenStream= only"), "{two}");
    let datagram = refused(1, UnixDatagram::unbound().unwrap().into());
    assert!(datagram.contains("it is not a TCP socket that listens"), "{datagram}");
    let connected = TcpStream::connect(TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()).unwrap();
    let connected = refused(1, connected.into());
    assert!(connected.contains("it is not a TCP socket that listens"), "{connected}");
    let file = refused(1, std::fs::File::open(PROGRAM).unwrap().into());
    assert!(file.contains("cannot take the socket that systemd passes: socket operation on non-socket"), "{file}");
    assert!(!dir.path().join("data").exists(), "nothing was written");
}

#[tokio::test]
async fn systemd_is_told_of_the_start_of_reloads_and_of_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
    let (told, messages) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut message = [0; 1000];
        while let Ok(len) = socket.recv(&mut message) {
            let text = std::str::from_utf8(&message[..len]).unwrap().trim_end().to_owned();
            if told.send(text).is_err() {
                return;
            }
        }
    });
    let mut signs_of_life = 0;
    let mut next = || loop {
        match messages.recv_timeout(Duration::from_secs(20)).expect("a message") {
            message if message == "WATCHDOG=1" => signs_of_life += 1,
            message => break message,
        }
    };
    let path = dir.path().join("notify");
    let vars = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "60000")];
    let mut daemon = Daemon::start(PROGRAM, &dir.path().join("data"), &vars);
    assert_eq!(next(), "READY=1");
    daemon.get("/health/ready").await.is(200);
    daemon.signal("HUP");
    let reloading = next();
    let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect("what systemd asks for");
    assert!(since.parse::<u64>().unwrap() > 0);
    assert_eq!(next(), "READY=1");
    tokio::time::sleep(Duration::from_millis(200)).await;
    daemon.signal("TERM");
    assert_eq!(next(), "STOPPING=1");
    assert!(daemon.wait(Duration::from_secs(20)).success());
    assert!(signs_of_life >= 3, "{signs_of_life}");
}

#[tokio::test]
async fn health_says_whether_the_daemon_of_the_configuration_is_ready() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(PROGRAM, &dir.path().join("data"), &[]);
    let port = daemon.address().port();
    let out = health(dir.path(), port, &[]);
    assert_eq!(String::from_utf8(out.stdout).unwrap(), format!("127.0.0.1:{port} is ready\n"));
    assert_eq!(out.status.code(), Some(0));
    // An address that stands for all addresses is asked on this machine.
    assert!(health(dir.path(), port, &[("REGISTRY_HOST", "0.0.0.0")]).status.success());
    let other = format!("localhost:{port}");
    let out = Command::new(PROGRAM).args(["health", &other]).current_dir(dir.path()).env_clear().output().unwrap();
    assert_eq!(String::from_utf8(out.stdout).unwrap(), format!("{other} is ready\n"));
    daemon.kill();
    let out = health(dir.path(), port, &[]);
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8(out.stderr).unwrap().contains("does not answer: Connection refused"));
    assert_eq!(health(dir.path(), port, &[("REGISTRY_AUTH_TYPE", "odd")]).status.code(), Some(78));
}

#[tokio::test]
async fn health_speaks_tls_and_says_what_to_do_where_a_client_certificate_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let pair = authority.sign("localhost");
    let (cert, key, ca) = (dir.path().join("cert.pem"), dir.path().join("key.pem"), dir.path().join("ca.pem"));
    std::fs::write(&cert, pair.cert_pem).unwrap();
    std::fs::write(&key, pair.key_pem).unwrap();
    std::fs::write(&ca, authority.pem).unwrap();
    let vars = [("REGISTRY_TLS_CERT", cert.to_str().unwrap()), ("REGISTRY_TLS_KEY", key.to_str().unwrap())];
    let daemon = Daemon::start(PROGRAM, &dir.path().join("data"), &vars);
    let port = daemon.address().port();
    let out = health(dir.path(), port, &vars);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let asks = [vars[0], vars[1], ("REGISTRY_TLS_CLIENT_CA", ca.to_str().unwrap())];
    let out = health(dir.path(), port, &asks);
    assert!(String::from_utf8(out.stderr).unwrap().contains("set REGISTRY_ADMIN_ADDR"));
    assert_eq!(out.status.code(), Some(1));
}
