//! Generations: what creates a new one, and what stays unchanged when files are invalid.

use std::ffi::OsString;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::write;
use crate::access::{Ceiling, RepositoryFacts};
use crate::config::*;
use crate::identity::Users;
use crate::who::{Action, Subject};

const HASH: &str = "$2y$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe";

pub(super) fn htpasswd(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name}:{HASH}\n")).collect()
}

fn rules(user: &str) -> String {
    format!(r#"{{"rules":[{{"repository":"**","users":["{user}"],"permissions":["pull"]}}]}}"#)
}

fn settings(limit: usize) -> String {
    format!("[pagination]\ndefault_limit = {limit}\n")
}

/// A set of files that contain the same user and number.
pub(super) fn put(dir: &Path, user: &str, limit: usize) {
    write(dir, "htpasswd", &htpasswd(&[user]));
    write(dir, "rules.json", &rules(user));
    write(dir, "settings.toml", &settings(limit));
}

pub(super) fn env(dir: &Path) -> Env {
    let path = |name: &str| dir.join(name).into_os_string();
    let flags: [(&str, OsString); 5] = [
        ("REGISTRY_AUTH_TYPE", "basic".into()),
        ("REGISTRY_AUTH_HTPASSWD", path("htpasswd")),
        ("REGISTRY_ACCESS_CONTROL_ENABLED", "true".into()),
        ("REGISTRY_ACCESS_CONTROL_CONFIG", path("rules.json")),
        ("REGISTRY_SETTINGS", path("settings.toml")),
    ];
    Env::load([], None, flags).unwrap().0
}

fn may_pull(live: &Live, user: &str) -> bool {
    let subject = Subject::User(user.into());
    live.rights
        .decide(&subject, &Ceiling::None, &"a".parse().unwrap(), Action::Pull, &RepositoryFacts::default())
        .allowed
}

fn users(live: &Live) -> &Users {
    live.identity.users().unwrap()
}

/// The content of a generation: whether the user exists, whether they may pull, and the number.
pub(super) fn says(live: &Live, user: &str) -> (bool, bool, usize) {
    (users(live).contains(user), may_pull(live, user), live.registry.page_default)
}

#[test]
fn each_way_of_changing_files_leads_to_one_new_generation() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("1")).unwrap();
    std::fs::create_dir_all(dir.path().join("2")).unwrap();
    put(&dir.path().join("1"), "one", 1);
    symlink("1", dir.path().join("now")).unwrap();
    let now = dir.path().join("now");
    let mut watch = ConfigWatch::new(env(&now)).unwrap();
    let live = watch.live();
    assert_eq!((says(&live.load(), "one"), live.load().number), ((true, true, 1), 0));
    assert!(!watch.reload(), "nothing has changed");

    put(&now, "two", 2);
    assert!(watch.reload(), "written in place");
    assert_eq!((says(&live.load(), "two"), live.load().number), ((true, true, 2), 1));
    assert_eq!(says(&live.load(), "one"), (false, false, 2));

    write(&now, "new", &settings(3));
    std::fs::rename(now.join("new"), now.join("settings.toml")).unwrap();
    assert!(watch.reload(), "renamed over");
    assert_eq!(says(&live.load(), "two"), (true, true, 3));

    put(&dir.path().join("2"), "four", 4);
    symlink("2", dir.path().join("next")).unwrap();
    std::fs::rename(dir.path().join("next"), &now).unwrap();
    assert!(watch.reload(), "switched by a link");
    assert_eq!((says(&live.load(), "four"), live.load().number), ((true, true, 4), 3));
    assert!(live.load().stale.is_none());
}

#[test]
fn a_request_in_flight_keeps_its_generation() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "one", 1);
    let mut watch = ConfigWatch::new(env(dir.path())).unwrap();
    let held = watch.live().load_full();
    put(dir.path(), "two", 2);
    assert!(watch.reload());
    assert_eq!(says(&held, "one"), (true, true, 1));
    assert_eq!(says(&watch.live().load(), "two"), (true, true, 2));
}

/// Every way in which each file can be invalid; the other two change at the same time.
#[test]
fn an_invalid_file_keeps_its_previous_version_and_the_others_are_applied() {
    type Ruin = fn(&Path);
    let ruins: [(&str, Ruin); 9] = [
        ("emptied", |path| std::fs::write(path, "").unwrap()),
        ("half written", |path| {
            let whole = std::fs::read(path).unwrap();
            std::fs::write(path, &whole[..whole.len() / 2]).unwrap();
        }),
        ("garbage", |path| std::fs::write(path, "{ [ garbage\n").unwrap()),
        ("binary", |path| std::fs::write(path, b"\xff\xfe\x00").unwrap()),
        ("gone", |path| std::fs::remove_file(path).unwrap()),
        ("a directory", |path| {
            std::fs::remove_file(path).unwrap();
            std::fs::create_dir(path).unwrap();
        }),
        ("a link to itself", |path| {
            std::fs::remove_file(path).unwrap();
            symlink(path, path).unwrap();
        }),
        ("a fifo", |path| {
            std::fs::remove_file(path).unwrap();
            rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RWXU).unwrap();
        }),
        ("100 MB", |path| std::fs::File::options().write(true).open(path).unwrap().set_len(100 << 20).unwrap()),
    ];
    for (how, ruin) in ruins {
        for file in ["htpasswd", "rules.json", "settings.toml"] {
            let dir = tempfile::tempdir().unwrap();
            put(dir.path(), "one", 1);
            let mut watch = ConfigWatch::new(env(dir.path())).unwrap();
            let live = watch.live();
            put(dir.path(), "two", 2);
            ruin(&dir.path().join(file));
            assert!(watch.reload());
            let now = live.load_full();
            let of = |name: &str, new: &str, old: &str| if file == name { old.to_owned() } else { new.to_owned() };
            assert!(users(&now).contains(&of("htpasswd", "two", "one")) && users(&now).len() == 1, "{file} {how}");
            assert!(may_pull(&now, &of("rules.json", "two", "one")), "{file} {how}");
            assert_eq!(now.registry.page_default.to_string(), of("settings.toml", "2", "1"), "{file} {how}");
            let stale = now.stale.clone().expect("it is reported");
            assert!(
                stale.problems.0.iter().all(|problem| problem.file == Some(dir.path().join(file))),
                "{how}: {stale:?}"
            );
            assert!(!stale.problems.to_string().contains(HASH), "{how}");
            assert!(Live::load(&env(dir.path())).is_err(), "at start it is fatal: {file} {how}");

            let path = dir.path().join(file);
            if path.is_dir() {
                std::fs::remove_dir(&path).unwrap();
            } else {
                let _ = std::fs::remove_file(&path);
            }
            put(dir.path(), "three", 3);
            assert!(watch.reload());
            let now = live.load_full();
            assert_eq!((says(&now, "three"), now.stale.is_none()), ((true, true, 3), true), "{file} {how}, and mended");
        }
    }
}

#[test]
fn all_broken_files_are_reported_with_the_time_of_the_first_failure() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "one", 1);
    let mut watch = ConfigWatch::new(env(dir.path())).unwrap();
    write(dir.path(), "rules.json", "{");
    watch.reload();
    let first = watch.live().load().stale.clone().unwrap();
    write(dir.path(), "settings.toml", "x = 1");
    watch.reload();
    let now = watch.live().load_full();
    let stale = now.stale.clone().unwrap();
    assert_eq!(
        (stale.since, stale.problems.0.len(), now.number),
        (first.since, 2, 0),
        "what is in force has not changed"
    );
    assert_eq!(says(&now, "one"), (true, true, 1));
}

#[test]
fn a_file_that_everybody_may_write_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "one", 1);
    let mode = |mode| std::fs::set_permissions(dir.path().join("htpasswd"), PermissionsExt::from_mode(mode)).unwrap();
    mode(0o666);
    let reported = Live::load(&env(dir.path())).unwrap_err().to_string();
    assert!(reported.contains("is writable by every user of this machine"), "{reported}");
    mode(0o664);
    assert!(Live::load(&env(dir.path())).is_ok());
}

#[tokio::test]
async fn a_file_that_changes_all_the_time_does_not_delay_the_others() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "one", 1);
    let watch = ConfigWatch::new(env(dir.path())).unwrap();
    let live = watch.live();
    let following = tokio::spawn(watch.run(Arc::default(), Arc::default(), |_| {}));
    let path = dir.path().join("settings.toml");
    let writing = std::thread::spawn(move || {
        let until = Instant::now() + Duration::from_secs(4);
        let mut n = 0;
        while Instant::now() < until {
            n += 1;
            std::fs::write(&path, format!("# {n}\n{}", settings(1).repeat(1 + n % 2))).unwrap();
        }
    });
    write(dir.path(), "htpasswd", &htpasswd(&["two"]));
    let deadline = Instant::now() + Duration::from_secs(4);
    while users(&live.load()).contains("one") {
        assert!(Instant::now() < deadline, "a user who was removed is still in");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    following.abort();
    writing.join().unwrap();
}

/// Sets of files, switched by a link a hundred times a second while readers use them: no reader sees a mix of two sets,
/// or a broken one. `STORM_SECONDS` makes it longer.
#[tokio::test(flavor = "multi_thread")]
async fn many_switches_never_mix_two_sets_of_files() {
    let seconds = std::env::var("STORM_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let dir = tempfile::tempdir().unwrap();
    // A page has at most a thousand entries.
    let mark = |n: usize| 1 + n % 1000;
    let set = |n: usize| {
        let sub = dir.path().join(n.to_string());
        std::fs::create_dir(&sub).unwrap();
        put(&sub, &format!("u{}", mark(n)), mark(n));
        if n.is_multiple_of(5) {
            write(&sub, ["htpasswd", "rules.json", "settings.toml"][n / 5 % 3], "{ broken");
        }
        symlink(n.to_string(), dir.path().join("next")).unwrap();
        std::fs::rename(dir.path().join("next"), dir.path().join("now")).unwrap();
        if n > 3 {
            std::fs::remove_dir_all(dir.path().join((n - 3).to_string())).unwrap();
        }
    };
    set(1);
    let watch = ConfigWatch::new(env(&dir.path().join("now"))).unwrap();
    let live = watch.live();
    let following = tokio::spawn(watch.run(Arc::default(), Arc::default(), |_| {}));
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (live, done) = (live.clone(), done.clone());
            std::thread::spawn(move || {
                let (mut judged, mut seen) = (0_u64, std::collections::BTreeSet::new());
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let now = live.load_full();
                    let n = now.registry.page_default;
                    // A broken file keeps its previous content; only complete sets have to agree.
                    if now.stale.is_none() {
                        assert_eq!(says(&now, &format!("u{n}")), (true, true, n), "generation {}", now.number);
                    }
                    assert_eq!(users(&now).len(), 1);
                    seen.insert(now.number);
                    judged += 1;
                    std::thread::sleep(Duration::from_micros(200));
                }
                (judged, seen.len())
            })
        })
        .collect();
    let begun = Instant::now();
    let mut switches = tokio::time::interval(Duration::from_millis(10));
    let mut n = 1;
    while begun.elapsed() < Duration::from_secs(seconds) {
        n += 1;
        set(n);
        switches.tick().await;
    }
    // The last set is complete, and becomes active.
    n += if (n + 1).is_multiple_of(5) { 2 } else { 1 };
    set(n);
    let deadline = Instant::now() + Duration::from_secs(3);
    while live.load().registry.page_default != mark(n) {
        assert!(Instant::now() < deadline, "the last set is not in force");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(says(&live.load(), &format!("u{}", mark(n))), (true, true, mark(n)));
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    following.abort();
    for reader in readers {
        let (judged, generations) = reader.join().unwrap();
        assert!(judged > 100 && generations > 2, "{judged} judged by {generations} generations");
        eprintln!("{n} sets, {judged} judged, by {generations} generations");
    }
}

/// A change between the first read and the first check is as new as a later one.
#[tokio::test]
async fn a_file_that_is_replaced_during_the_start_is_read_again() {
    for name in ["tls.crt", "tls.key", "settings.toml", "htpasswd", "rules.json"] {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "one", 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let cert = || rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap().self_signed(&key).unwrap().pem();
        write(dir.path(), "tls.crt", &cert());
        write(dir.path(), "tls.key", &key.serialize_pem());
        let path = |name: &str| dir.path().join(name).into_os_string();
        let flags: [(&str, OsString); 7] = [
            ("REGISTRY_AUTH_TYPE", "basic".into()),
            ("REGISTRY_AUTH_HTPASSWD", path("htpasswd")),
            ("REGISTRY_ACCESS_CONTROL_ENABLED", "true".into()),
            ("REGISTRY_ACCESS_CONTROL_CONFIG", path("rules.json")),
            ("REGISTRY_SETTINGS", path("settings.toml")),
            ("REGISTRY_TLS_CERT", path("tls.crt")),
            ("REGISTRY_TLS_KEY", path("tls.key")),
        ];
        let watch = ConfigWatch::new(Env::load([], None, flags).unwrap().0).unwrap();
        let text = match name {
            "tls.crt" => cert(),
            // A key may be spread over lines in another way.
            "tls.key" => key.serialize_pem() + "\n",
            "settings.toml" => settings(2),
            "htpasswd" => htpasswd(&["two"]),
            _ => rules("two"),
        };
        write(dir.path(), "new", &text);
        std::fs::rename(dir.path().join("new"), dir.path().join(name)).unwrap();
        let (applied, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let following =
            tokio::spawn(watch.run(Arc::default(), Arc::default(), move |live| applied.send(live.number).unwrap()));
        let number = tokio::time::timeout(Duration::from_secs(60), heard.recv()).await;
        assert_eq!(number.unwrap(), Some(1), "{name}");
        following.abort();
    }
}

#[test]
fn an_unusable_certificate_is_reported_until_it_is_usable() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let cert = write(dir.path(), "tls.crt", &made.cert.pem());
    let key = write(dir.path(), "tls.key", &made.signing_key.serialize_pem());
    let settings = write(dir.path(), "settings.toml", "# nothing\n");
    let flags = [("REGISTRY_TLS_CERT", &cert), ("REGISTRY_TLS_KEY", &key), ("REGISTRY_SETTINGS", &settings)];
    let flags = flags.map(|(name, path)| (name, path.clone().into_os_string()));
    let mut watch = ConfigWatch::new(Env::load([], None, flags).unwrap().0).unwrap();
    let live = watch.live();
    let reported = || live.load().stale.as_ref().map_or(String::new(), |stale| stale.problems.to_string());
    let first = live.load().tls.clone();

    write(dir.path(), "tls.crt", "half of one");
    assert!(watch.reload());
    assert!(reported().contains("tls.crt: holds no certificate"), "{}", reported());
    write(dir.path(), "settings.toml", "[operator]\nread_only = true\n");
    assert!(watch.reload());
    assert!(live.load().operator.read_only);
    assert!(reported().contains("tls.crt: holds no certificate"), "forgotten: {}", reported());

    write(dir.path(), "tls.crt", &made.cert.pem());
    assert!(watch.reload());
    assert_eq!(reported(), "");
    let tls = live.load().tls.clone();
    assert!(first.is_some() && tls.is_some());
    write(dir.path(), "settings.toml", "# nothing\n");
    assert!(watch.reload());
    let same =
        |a: &Option<Arc<_>>, b: &Option<Arc<_>>| a.as_ref().zip(b.as_ref()).is_some_and(|(a, b)| Arc::ptr_eq(a, b));
    assert!(same(&tls, &live.load().tls), "sessions can be resumed while the certificate stays");
}
