//! The program on a terminal of its own, in front of a real daemon.

use crate::rig::{Person, password, registry};
use rustix::{
    process::Pid,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};
use std::{
    fs::File,
    io::{Read, Write},
    os::{
        fd::OwnedFd,
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Child, ExitStatus},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// A terminal, and the program on it.
pub struct Terminal {
    child: Child,
    keys: File,
    /// The other side, whose settings the program changes.
    side: File,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Starts the terminal UI for somebody.
    pub fn of(person: &Person, args: &[&str]) -> Self {
        let master: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let side = File::options().read(true).write(true).open(name).unwrap();
        let open = || side.try_clone().unwrap();
        let size = Winsize { ws_row: ROWS as u16, ws_col: COLUMNS as u16, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let mut command = person.command(&[&["tui"], args].concat());
        command.env("TERM", "xterm-256color").stdin(open()).stdout(open()).stderr(open());
        command.process_group(0);
        let child = command.spawn().unwrap();
        let keys = File::from(master);
        let seen: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (mut reader, all) = (keys.try_clone().unwrap(), seen.clone());
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut piece) {
                all.lock().unwrap().extend(&piece[..n]);
            }
        });
        Self { child, keys, side, seen }
    }

    /// What the screen shows now.
    fn text(&self) -> String {
        shown(&String::from_utf8_lossy(&self.seen.lock().unwrap()))
    }

    /// Waits until the screen shows something.
    #[track_caller]
    pub fn waits_for(&self, text: &str) {
        self.waits_until(text, |seen| seen.contains(text));
    }

    #[track_caller]
    fn waits_until(&self, what: &str, is_there: impl Fn(&str) -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !is_there(&self.text()) {
            assert!(Instant::now() < end, "no {what:?} in\n{}", self.text());
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    pub fn ends(&mut self) -> ExitStatus {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "it still runs:\n{}", self.text());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether the terminal is as it was before.
    #[track_caller]
    fn is_restored(&self) {
        // The alternate screen is left, the cursor is shown.
        self.waits_until("the old screen", |_| {
            let seen = String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned();
            seen.contains("\u{1b}[?1049l") && seen.contains("\u{1b}[?25h") && seen.contains("\u{1b}[?2004l")
        });
        let modes = tcgetattr(&self.side).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG), "{modes:?}");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The size of the terminal.
const ROWS: usize = 30;
const COLUMNS: usize = 100;

/// What a terminal shows after all this: text goes where the cursor was moved to.
fn shown(bytes: &str) -> String {
    let mut cells = vec![[' '; COLUMNS]; ROWS];
    let (mut y, mut x) = (0, 0);
    let mut rest = bytes.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '\u{1b}' {
            if let Some(cell) =
                cells.get_mut(y).and_then(|row: &mut [char; COLUMNS]| row.get_mut(x)).filter(|_| c >= ' ')
            {
                *cell = c;
                x += 1;
            }
            continue;
        }
        match rest.next() {
            Some('[') => {
                let mut numbers = String::new();
                while let Some(c) = rest.next_if(|c| !('@'..='~').contains(c)) {
                    numbers.push(c);
                }
                let mut numbers = numbers.split(';').map(|number| number.parse::<usize>().unwrap_or(1).max(1) - 1);
                match rest.next() {
                    Some('H') => (y, x) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)),
                    Some('J') => cells = vec![[' '; COLUMNS]; ROWS],
                    _ => {}
                }
            }
            Some(']') => while rest.next_if(|c| *c != '\u{7}').is_some() {},
            _ => {}
        }
    }
    let lines = cells.iter().map(|row| row.iter().collect::<String>());
    lines.map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_session_from_the_login_to_the_end() {
    let registry = registry(|_| {});
    let admin = Person::logged_in(&registry, "admin");
    admin.has_image("image", 70);
    admin.types(&["push", "image", "team/app:v1"]).succeeds();
    admin.types(&["push", "image", "team/app:v2"]).succeeds();

    // Somebody who is not logged in is asked.
    let newcomer = Person::new(&registry);
    let mut screen = Terminal::of(&newcomer, &["--server", newcomer.server()]);
    screen.waits_for("Log in");
    screen.types("admin\rwrong\r");
    screen.waits_for("wrong user name or password");
    screen.types(&format!("\u{15}{}\r", password("admin")));
    screen.waits_for("Logged in to");
    screen.waits_for("administrator");

    // Repositories, tags, an image, its layers.
    screen.types("l");
    screen.waits_for("team/app");
    screen.waits_for("v1");
    screen.types("\r");
    screen.waits_for("linux/amd64");
    screen.types("\r");
    screen.waits_for("\"mediaType\"");
    screen.types("L");
    screen.waits_for("195 KiB");
    screen.types("H");
    screen.waits_for("COPY hello");
    screen.types("y");
    screen.waits_for("docker pull");

    // A tag is deleted after its name was typed.
    screen.types("\u{1b}");
    screen.waits_for("Tags of team/app");
    screen.types("d");
    screen.waits_for("to confirm");
    screen.types("v1\r");
    screen.waits_for("Deleted v1.");
    assert_eq!(admin.types(&["image", "tags", "team/app", "-q"]).succeeds(), "v2\n");

    // A repository is created.
    screen.types("\u{1b}");
    screen.waits_for("Repositories ·");
    screen.types("iteam/made\r");
    screen.waits_for("step 2 of 2");
    screen.types("y\r");
    screen.waits_for("Created team/made.");
    let made = admin.types(&["repo", "show", "team/made", "--json"]).json();
    assert_eq!(made["visibility"], "public");

    // A user, and a key for them.
    screen.types("li");
    screen.waits_for("New user");
    screen.types("carl\rcorrect-horse-battery\rcorrect-horse-battery\rn\r");
    screen.waits_for("Created carl.");
    assert!(!String::from_utf8_lossy(&screen.seen.lock().unwrap()).contains("correct-horse"));
    assert!(admin.types(&["user", "list", "-q"]).succeeds().contains("carl"));

    screen.types("q");
    assert_eq!(screen.ends().code(), Some(0));
    screen.is_restored();
}

#[test]
fn the_terminal_is_restored_however_it_ends() {
    let registry = registry(|_| {});
    let admin = Person::logged_in(&registry, "admin");
    let mut screen = Terminal::of(&admin, &[]);
    screen.waits_for("administrator");
    assert!(!tcgetattr(&screen.side).unwrap().local_modes.contains(LocalModes::ECHO));
    let pid = Pid::from_child(&screen.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let status = screen.ends();
    assert_eq!((status.code(), status.signal()), (Some(143), None));
    screen.is_restored();

    // Ctrl-c is a key in the terminal's raw mode.
    let mut screen = Terminal::of(&admin, &["--mouse", "--theme", "dark"]);
    screen.waits_for("administrator");
    screen.types("\u{3}");
    assert_eq!(screen.ends().code(), Some(0));
    screen.is_restored();
}

#[test]
fn a_terminal_is_needed() {
    let registry = registry(|_| {});
    let admin = Person::logged_in(&registry, "admin");
    assert!(admin.types(&["tui"]).fails(2).contains("needs a terminal"));
    assert!(admin.types(&["tui", "--theme", "drak"]).fails(2).contains("choose terminal, dark, light, mono"));
}
