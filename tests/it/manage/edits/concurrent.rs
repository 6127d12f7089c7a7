//! Many edits at once: by the API, by an editor that renames, and in the moment of a crash.

use super::{RULES, SETTINGS, with};
use crate::PROGRAM;
use http::Method;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use testing::{
    daemon::Daemon,
    managed::{ApiSession, Managed},
};

const FILES: [&str; 3] = ["htpasswd", "access-control.json", "settings.toml"];

fn start_unlimited() -> Managed {
    with(|files| {
        files.settings = format!("{SETTINGS}\n[management]\nmax_writes_per_minute = 0\n");
        files.rules = RULES.replace("\"Who writes the code\"", "\"hand 0\"");
    })
}

/// The time between two saves of an editor.
const BETWEEN_SAVES: Duration = Duration::from_millis(500);

/// The edit with this number: a robot, a group, or a setting. Who is told that the file is being edited tries again.
async fn edit(admin: &ApiSession, number: usize) -> Result<u16, Box<dyn std::error::Error + Send + Sync>> {
    let (method, path, body) = match number % 10 {
        0..5 => (Method::POST, "/users".to_owned(), json!({ "username": format!("robot-{number}"), "robot": true })),
        5 => (Method::PUT, format!("/groups/group-{number}"), json!({ "members": ["bob"] })),
        _ => (Method::PATCH, "/settings/operator".to_owned(), json!({ "message": format!("message {number}") })),
    };
    loop {
        match admin.json(method.clone(), &path, &body).try_send().await?.status.as_u16() {
            503 => tokio::time::sleep(BETWEEN_SAVES).await,
            status => return Ok(status),
        }
    }
}

/// Whether an edit is in the files. A later setting replaces an earlier one.
fn is_there(number: usize, people: &str, rules: &Value, settings: &str) -> bool {
    match number % 10 {
        0..5 => people.matches(&format!("\nrobot-{number}:!\n")).count() == 1,
        5 => rules["groups"][format!("group-{number}")]["members"] == json!(["bob"]),
        _ => settings.matches("message = \"message ").count() == 1,
    }
}

/// The files as they are now, each whole and valid.
fn read_all(dir: &Path) -> (String, Value, String) {
    let text = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
    let (people, rules, settings) = (text(FILES[0]), text(FILES[1]), text(FILES[2]));
    let is_line =
        |line: &str| line.is_empty() || line.starts_with('#') || line.split_once(":!").is_some() || line.len() > 60;
    assert!(people.ends_with('\n') && people.lines().all(is_line), "{people}");
    let rules = serde_json::from_str(&rules).unwrap_or_else(|error| panic!("{error}: {rules}"));
    settings.parse::<toml_edit::DocumentMut>().unwrap_or_else(|error| panic!("{error}: {settings}"));
    (people, rules, settings)
}

/// What an editor makes of a file with its next mark.
fn marked(name: &str, text: &str, number: usize) -> String {
    match name {
        "access-control.json" => text.replace(&format!("hand {}\"", number - 1), &format!("hand {number}\"")),
        _ => format!("{text}# hand {number}\n"),
    }
}

/// Saves a file as editors do, by a new file under its name. If it was changed since it was read, that is noticed, the
/// change stays, and nothing is saved.
fn save_carefully(path: &Path, number: usize) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    let (base, temporary) = (fs::read_to_string(path).unwrap(), path.with_file_name(format!(".hand-{name}")));
    let mut new = File::create(&temporary).unwrap();
    new.write_all(marked(name, &base, number).as_bytes()).unwrap();
    new.lock().unwrap();
    renameat_with(CWD, &temporary, CWD, path, RenameFlags::EXCHANGE).unwrap();
    let saved = fs::read_to_string(&temporary).unwrap() == base;
    if !saved {
        renameat_with(CWD, &temporary, CWD, path, RenameFlags::EXCHANGE).unwrap();
    }
    fs::remove_file(temporary).unwrap();
    saved
}

/// Starts a thread that repeats something until it is told to end; returns how often it succeeded.
fn repeat(
    stop: &Arc<AtomicBool>,
    between: Duration,
    mut work: impl FnMut(usize) -> bool + Send + 'static,
) -> thread::JoinHandle<usize> {
    let stop = stop.clone();
    thread::spawn(move || {
        let mut done = 0;
        while !stop.load(Ordering::Relaxed) {
            done += usize::from(work(done + 1));
            thread::sleep(between);
        }
        done
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(portable, ignore = "only Linux exchanges two files, and so notices a change that comes this late")]
async fn a_thousand_edits_at_once_and_those_of_an_editor_are_all_there() {
    const EDITS: usize = 1000;
    const AT_ONCE: usize = 25;
    let registry = Arc::new(start_unlimited());
    let (dir, stop) = (registry.conf(""), Arc::new(AtomicBool::new(false)));
    let reader = repeat(&stop, Duration::from_millis(5), {
        let dir = dir.clone();
        move |_| !read_all(&dir).0.is_empty()
    });
    let path = |name: &str| registry.conf(name);
    let editors = FILES.map(|name| {
        let path: PathBuf = path(name);
        repeat(&stop, BETWEEN_SAVES, move |number| save_carefully(&path, number))
    });
    let workers = (0..AT_ONCE).map(|worker| {
        let registry = registry.clone();
        tokio::spawn(async move {
            let admin = registry.admin();
            for number in (worker..EDITS).step_by(AT_ONCE) {
                let status = edit(&admin, number).await.unwrap();
                assert!(matches!(status, 200 | 201), "{number}: {status}");
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let saved = editors.map(|editor| editor.join().unwrap());
    assert!(reader.join().unwrap() > 10 && saved.iter().all(|saved| *saved > 3), "{saved:?}");
    let (people, rules, settings) = read_all(&dir);
    let lost: Vec<_> = (0..EDITS).filter(|number| !is_there(*number, &people, &rules, &settings)).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    for (text, saved) in [(&people, saved[0]), (&settings, saved[2])] {
        assert!((1..=saved).all(|number| text.contains(&format!("# hand {number}\n"))), "{saved}: {text}");
    }
    assert_eq!(rules["groups"]["devs"]["description"], format!("hand {}", saved[1]));
    // Nothing is left over, every edit is recorded, and what is on disk is what is in force.
    let names = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["access-control.json", "htpasswd", "settings.toml"]);
    let audit = fs::read_dir(registry.root().join("state/audit")).unwrap().map(|entry| entry.unwrap().path());
    let lines: usize = audit.map(|path| fs::read_to_string(path).unwrap().lines().count()).sum();
    assert_eq!(lines, EDITS);
    assert_eq!(registry.admin().get("/config").await.is(200).json()["problems"], json!([]));
    assert_eq!(registry.admin().get("/groups/group-5").await.is(200).json()["members"], json!(["bob"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(portable, ignore = "only Linux exchanges two files, and so notices a change that comes this late")]
async fn the_version_of_an_editor_that_just_renames_is_never_lost() {
    let registry = Arc::new(start_unlimited());
    let (path, stop) = (registry.conf("htpasswd"), Arc::new(AtomicBool::new(false)));
    let editor = repeat(&stop, BETWEEN_SAVES, move |number| {
        let temporary = path.with_file_name(".hand");
        fs::write(&temporary, marked("htpasswd", &fs::read_to_string(&path).unwrap(), number)).unwrap();
        fs::rename(&temporary, &path).unwrap();
        true
    });
    let admin = registry.admin();
    for number in 0..60 {
        assert_eq!(edit(&admin, number * 10).await.unwrap(), 201);
    }
    stop.store(true, Ordering::Relaxed);
    let saved = editor.join().unwrap();
    let (people, ..) = read_all(&registry.conf(""));
    assert!(saved > 1 && (1..=saved).all(|number| people.contains(&format!("# hand {number}\n"))), "{saved}: {people}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_is_killed_during_edits_leaves_valid_files_with_every_edit_that_it_has_confirmed() {
    for round in 0..4_u64 {
        let registry = Arc::new(start_unlimited());
        let confirmed = Arc::new(Mutex::new(Vec::new()));
        let workers = (0..4_usize).map(|worker| {
            let (registry, confirmed) = (registry.clone(), confirmed.clone());
            tokio::spawn(async move {
                let admin = registry.admin();
                for number in (worker..).step_by(4) {
                    match edit(&admin, number).await {
                        Ok(200 | 201) => confirmed.lock().unwrap().push(number),
                        Ok(status) => panic!("{number}: {status}"),
                        // It was killed.
                        Err(_) => return,
                    }
                }
            })
        });
        let workers: Vec<_> = workers.collect();
        while confirmed.lock().unwrap().len() < 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // At different moments of an edit.
        tokio::time::sleep(Duration::from_millis(37 * round)).await;
        registry.signal("KILL");
        for worker in workers {
            worker.await.unwrap();
        }
        let (people, rules, settings) = read_all(&registry.conf(""));
        let confirmed = confirmed.lock().unwrap().clone();
        let lost: Vec<_> = confirmed.iter().filter(|number| !is_there(**number, &people, &rules, &settings)).collect();
        assert!(lost.is_empty(), "lost of {confirmed:?}: {lost:?}");
        let file = |name: &str| registry.conf(name).display().to_string();
        let vars = [
            ("REGISTRY_AUTH_TYPE", "basic".to_owned()),
            ("REGISTRY_AUTH_HTPASSWD", file("htpasswd")),
            ("REGISTRY_ACCESS_CONTROL_ENABLED", "true".to_owned()),
            ("REGISTRY_ACCESS_CONTROL_CONFIG", file("access-control.json")),
            ("REGISTRY_SETTINGS", file("settings.toml")),
        ];
        let vars = vars.each_ref().map(|(name, value)| (*name, value.as_str()));
        let next = Daemon::start(PROGRAM, &registry.root(), &vars);
        let admin = next.authorized(testing::people::basic("admin"));
        assert_eq!(admin.get("/api/v1/config").await.is(200).json()["problems"], json!([]));
    }
}
