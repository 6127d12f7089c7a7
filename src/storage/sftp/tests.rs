//! Sessions with a real OpenSSH server that each test starts.

use super::*;
use crate::{
    files::FileKind,
    storage::{
        objects::Objects,
        outbox::{OutboxSettings, OutboxWatch as _, WriteBehind},
        remote::{is_bulk, is_free},
    },
};
use bytes::Bytes;
use futures_util::TryStreamExt;
use jiff::Timestamp;
use std::{
    fs,
    sync::Arc,
    time::{Duration, SystemTime},
};
use testing::sshd::{self, Relay, Sshd};

/// How to reach a server, as the user with this key.
pub(super) fn settings(server: &Sshd, key: &str) -> SftpSettings {
    SftpSettings {
        host: "127.0.0.1".into(),
        port: server.port(),
        username: server.user(),
        login: SftpLogin::key(&server.key(key)).unwrap(),
        trust: HostTrust::KnownHosts(server.path("known_hosts")),
        root: server.root().display().to_string(),
        connections: 2,
    }
}

fn remote(server: &Sshd) -> SftpRemote {
    SftpRemote::new(settings(server, "ed25519"))
}

/// Bytes that no two places share.
fn noise(len: usize) -> Bytes {
    (0..len as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect::<Vec<_>>().into()
}

async fn read_all(remote: &SftpRemote, path: &str) -> Bytes {
    let (reader, _) = remote.open(path, 0, 0).await.unwrap().unwrap();
    let pieces: Vec<Bytes> = reader.read(0, reader.meta.len).try_collect().await.unwrap();
    pieces.concat().into()
}

#[tokio::test]
async fn keys_of_both_kinds_and_a_password_log_in() {
    if !sshd::is_installed("logins") {
        return;
    }
    let server = Sshd::start();
    for key in ["ed25519", "rsa"] {
        let remote = SftpRemote::new(settings(&server, key));
        assert!(remote.put_new(key, &[Bytes::from(key)]).await.unwrap());
    }
    assert_eq!(fs::read(server.root().join("rsa")).unwrap(), b"rsa");
    let refused = SftpSettings { login: SftpLogin::Password("wrong".into()), ..settings(&server, "rsa") };
    let refused = SftpRemote::new(refused).meta("rsa").await.unwrap_err();
    assert!(matches!(refused, SftpTrouble::Login(_)), "{refused}");
    assert!(!refused.to_string().contains("wrong"), "no secret is shown");
    let Some((username, password)) = server.user_with_password() else {
        eprintln!("SKIPPED a login by password: WHARFINGER_TEST_SFTP_USER is not set");
        return;
    };
    let login = SftpLogin::Password(password);
    // In a directory of its own: it may not write to those that the others made.
    let root = server.make_dir_for_all("theirs").display().to_string();
    let remote = SftpRemote::new(SftpSettings { username, login, root, ..settings(&server, "rsa") });
    assert!(remote.put_new("password", &[Bytes::from("x")]).await.unwrap());
}

#[tokio::test]
async fn an_openssh_server_lacks_nothing() {
    if !sshd::is_installed("the probe") {
        return;
    }
    let server = Sshd::start();
    let probe = remote(&server).probe().await.unwrap();
    assert_eq!(probe, SftpProbe { lacks: vec![], syncs_bytes: true, syncs_names: true });
    let space = remote(&server).space().await.unwrap().unwrap();
    assert!(space.total_bytes > 0 && space.free_bytes <= space.total_bytes);
}

#[tokio::test]
async fn files_appear_whole_and_are_read_back_from_any_place() {
    if !sshd::is_installed("files") {
        return;
    }
    let server = Sshd::start();
    let remote = remote(&server);
    let bytes = noise(9_000_001);
    assert!(
        remote
            .put("a/b/large", &[bytes.slice(..7), bytes.slice(7..)], PutMode::Replace, SystemTime::now())
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(read_all(&remote, "a/b/large").await, bytes);
    let (reader, first) = remote.open("a/b/large", 5, 9).await.unwrap().unwrap();
    assert_eq!((first, reader.meta.len), (bytes.slice(5..14), 9_000_001));
    for (start, len) in [(0, 0), (1, 1), (261_119, 261_122), (8_999_999, 2)] {
        let span: Vec<Bytes> = reader.read(start, len).try_collect().await.unwrap();
        assert_eq!(span.concat(), bytes[start as usize..(start + len) as usize]);
    }
    assert!(!remote.put_new("a/b/large", &[Bytes::from("x")]).await.unwrap(), "it exists");
    assert!(remote.put("a/b/large", &[Bytes::new()], PutMode::Replace, SystemTime::now()).await.unwrap().is_some());
    assert_eq!(remote.read("a/b/large").await.unwrap().unwrap().0, "");
    assert_eq!(remote.read("a/b/none").await.unwrap(), None);
    assert_eq!(remote.read("none/none").await.unwrap(), None);
    assert!(remote.remove("a/b/large").await.unwrap());
    assert!(!remote.remove("a/b/large").await.unwrap());
    assert!(remote.remove_dir("a/b").await.unwrap());
    assert!(!remote.remove_dir("a/b").await.unwrap());
    assert!(remote.put_new("a/b/again", &[Bytes::from("x")]).await.unwrap(), "the directory is made again");
    fs::remove_dir_all(server.root().join("a")).unwrap();
    assert!(remote.put_new("a/b/again", &[Bytes::from("x")]).await.unwrap(), "also if somebody else removed it");
    assert_eq!(
        fs::read_dir(server.root().join(".wharfinger/tmp")).unwrap().count(),
        0,
        "temporary files are left behind"
    );
}

#[tokio::test]
async fn directories_of_any_size_are_listed_in_byte_order() {
    if !sshd::is_installed("lists") {
        return;
    }
    let server = Sshd::start();
    for name in ["B", "_", "a-b", "a.b", "ab", "a"] {
        fs::write(server.root().join(name), name).unwrap();
    }
    fs::create_dir(server.root().join("dir")).unwrap();
    let entries = remote(&server).list("").await.unwrap();
    let names: Vec<_> =
        entries.iter().map(|entry| (entry.name.as_str(), entry.meta.kind == FileKind::Directory)).collect();
    let files = ["B", "_", "a", "a-b", "a.b", "ab"].map(|name| (name, false));
    assert_eq!(names, [&files[..], &[("dir", true)]].concat());
    assert_eq!(entries[3].meta.len, 3);
    for number in 0..1000 {
        fs::write(server.root().join(format!("dir/{number}")), "").unwrap();
    }
    assert_eq!(remote(&server).list("dir").await.unwrap().len(), 1000);
    assert_eq!(remote(&server).list("none").await.unwrap(), []);
}

#[tokio::test]
async fn of_many_who_create_a_file_one_succeeds() {
    if !sshd::is_installed("races") {
        return;
    }
    let server = Sshd::start();
    let remote = Arc::new(remote(&server));
    for round in 0..10 {
        let racers: Vec<_> = (0..8)
            .map(|racer| {
                let remote = remote.clone();
                tokio::spawn(async move {
                    remote.put_new(&format!("race/{round}"), &[Bytes::from(format!("{racer}"))]).await
                })
            })
            .collect();
        let mut won = 0;
        for racer in racers {
            won += usize::from(racer.await.unwrap().unwrap());
        }
        assert_eq!(won, 1);
    }
}

#[tokio::test]
async fn a_changed_host_key_is_refused_with_words() {
    if !sshd::is_installed("host keys") {
        return;
    }
    let mut server = Sshd::start();
    let pool = remote(&server);
    pool.meta("").await.unwrap();
    server.change_host_keys();
    let refused = pool.meta("").await.unwrap_err();
    assert!(matches!(refused, SftpTrouble::HostKey(_)), "{refused}");
    assert!(refused.to_string().contains("HAS CHANGED"), "{refused}");
    let unknown = SftpSettings { trust: HostTrust::KnownHosts("/dev/null".into()), ..settings(&server, "rsa") };
    SftpRemote::new(unknown).meta("").await.unwrap_err();
    let new = server.path("new_hosts");
    let accepting = SftpSettings { trust: HostTrust::AcceptNew(new.clone()), ..settings(&server, "rsa") };
    SftpRemote::new(accepting.clone()).meta("").await.unwrap();
    assert!(fs::read_to_string(&new).unwrap().starts_with(&format!("[127.0.0.1]:{} ssh-ed25519 ", server.port())));
    server.change_host_keys();
    let refused = SftpRemote::new(accepting).meta("").await.unwrap_err();
    assert!(refused.to_string().contains("HAS CHANGED"), "{refused}");
}

#[tokio::test]
async fn a_server_that_was_killed_is_reached_again() {
    if !sshd::is_installed("reconnection") {
        return;
    }
    let mut server = Sshd::start();
    let remote = remote(&server);
    assert!(remote.put_new("before", &[Bytes::from("x")]).await.unwrap());
    server.kill();
    let (read, _) = tokio::join!(remote.read("before"), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(remote.pool().outage().is_some());
        server.resume();
    });
    assert_eq!(read.unwrap().unwrap().0, "x");
    assert!(remote.put_new("after", &[noise(300_000)]).await.unwrap());
    server.kill();
    let lost = remote.read("before").await.unwrap_err();
    assert!(lost.is_lost(), "{lost}");
}

fn writer(instance: &str, home: &str) -> SftpWriter {
    SftpWriter {
        host: "there".into(),
        pid: 7,
        home: home.into(),
        instance: instance.into(),
        since: Timestamp::UNIX_EPOCH,
    }
}

#[tokio::test]
async fn a_second_writer_is_refused_and_a_takeover_stops_the_first() {
    if !sshd::is_installed("the writer's lock") {
        return;
    }
    let server = Sshd::start();
    let (first, second) = (remote(&server), remote(&server));
    let (one, two) = (writer("one", "here"), writer("two", "there"));
    first.hold(WriterLock::take(&first, &one, false).await.unwrap());
    assert!(first.put_new("a", &[Bytes::from("x")]).await.unwrap());
    let refused = WriterLock::take(&second, &two, false).await.err().unwrap().to_string();
    assert!(refused.contains("in use by there (process 7, instance one)"), "{refused}");
    assert!(first.put_new("b", &[Bytes::from("x")]).await.unwrap(), "nothing has changed");
    second.hold(WriterLock::take(&second, &two, true).await.unwrap());
    first.put_new("c", &[Bytes::from("x")]).await.unwrap_err();
    assert!(first.lock().unwrap().is_lost() && first.meta("c").await.unwrap().is_none());
    assert!(second.put_new("c", &[Bytes::from("x")]).await.unwrap());
    // The same local directory: an earlier run that did not stop in order.
    let other = remote(&server);
    let third = WriterLock::take(&other, &writer("three", "there"), false).await.unwrap();
    third.release(&other).await.unwrap();
    assert!(WriterLock::writers(&other).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_distant_server_is_read_and_written_at_the_speed_of_the_link() {
    if !sshd::is_installed("distance") {
        return;
    }
    let server = Sshd::start();
    let relay = Relay::start(server.port(), Duration::from_millis(25));
    let known = fs::read_to_string(server.path("known_hosts")).unwrap();
    let known = known.replace(&format!(":{} ", server.port()), &format!(":{} ", relay.port()));
    fs::write(server.path("known_hosts"), known).unwrap();
    let remote = SftpRemote::new(SftpSettings { port: relay.port(), ..settings(&server, "ed25519") });
    let bytes = noise(24 << 20);
    let begun = std::time::Instant::now();
    remote.put_new("far", std::slice::from_ref(&bytes)).await.unwrap();
    assert_eq!(read_all(&remote, "far").await, bytes);
    // One request at a time would take five seconds in each direction.
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

/// Empty stores on a server of their own, for the suite of storage.
pub(in crate::storage) struct SuiteStores {
    pub(in crate::storage) objects: Vec<(&'static str, Arc<dyn Objects>)>,
    outbox: WriteBehind<SftpObjects>,
    _stores: Vec<SftpStore>,
    _dirs: Vec<tempfile::TempDir>,
    _server: Option<Sshd>,
}

/// A server that runs already: `USER@HOST:PORT` in `WHARFINGER_TEST_SFTP_AT`, with the key in the file of
/// `WHARFINGER_TEST_SFTP_AT_KEY`.
fn running_server(dir: &std::path::Path) -> Option<SftpSettings> {
    let place = std::env::var("WHARFINGER_TEST_SFTP_AT").ok()?;
    let (username, address) = place.split_once('@').unwrap();
    let (host, port) = address.rsplit_once(':').unwrap();
    let key = fs::read_to_string(std::env::var("WHARFINGER_TEST_SFTP_AT_KEY").unwrap()).unwrap();
    let known = dir.join("known_hosts");
    fs::write(&known, "").unwrap();
    Some(SftpSettings {
        host: host.to_owned(),
        port: port.parse().unwrap(),
        username: username.to_owned(),
        login: SftpLogin::key(&key).unwrap(),
        trust: format!("accept-new:{}", known.display()).parse().unwrap(),
        root: format!("suite/{}", crate::files::world::ulid()),
        connections: 2,
    })
}

impl SuiteStores {
    /// `None` unless `WHARFINGER_TEST_SFTP_SUITE` is set: then an OpenSSH server is started for each test, unless
    /// another one is named.
    pub(in crate::storage) async fn open() -> Option<Self> {
        std::env::var_os("WHARFINGER_TEST_SFTP_SUITE")?;
        let (mut server, mut stores, mut dirs) = (None, Vec::new(), Vec::new());
        for name in ["plain", "behind"] {
            let dir = tempfile::tempdir().unwrap();
            let at = running_server(dir.path()).unwrap_or_else(|| {
                let server = server.get_or_insert_with(Sshd::start);
                SftpSettings { root: server.root().join(name).display().to_string(), ..settings(server, "ed25519") }
            });
            let store = SftpStore::open(at, dir.path(), false).await.unwrap();
            println!("{name}: lacks {}", store.probe.lacks.join("; "));
            stores.push(store);
            dirs.push(dir);
        }
        let how = OutboxSettings { most_bytes: 1 << 30, at_once: 2, is_bulk, is_free };
        let outbox = WriteBehind::open(stores[1].objects.clone(), &dirs[1].path().join("outbox"), how).unwrap();
        outbox.start().unwrap();
        let objects: Vec<(&str, Arc<dyn Objects>)> = vec![
            ("an SFTP server", Arc::new(stores[0].objects.clone())),
            ("an SFTP server, written behind", Arc::new(outbox.clone())),
        ];
        Some(Self { objects, outbox, _stores: stores, _dirs: dirs, _server: server })
    }

    /// Everything arrives.
    pub(in crate::storage) async fn end(self) {
        assert_eq!(self.outbox.drain(Duration::from_secs(60)).await, 0, "writes are left in the journal");
    }
}
