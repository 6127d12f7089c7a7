//! The terminal: taken at the start, and given back whatever happens.

use super::app::TuiEvent;
use crate::failure::Failure;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor::{Hide, Show},
        event::{self, DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture, Event},
        execute,
        style::Print,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, SetTitle, disable_raw_mode, enable_raw_mode},
    },
};
use std::{
    io::{self, BufWriter, IsTerminal, Stdout},
    panic,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::sync::mpsc;

/// How soon the reader of keys notices that it is to end.
const POLL: Duration = Duration::from_millis(100);

/// The most bytes that are copied: some terminals take no more.
const MOST_COPIED: usize = 74_000;

/// What screens are drawn to.
pub type Canvas = Terminal<CrosstermBackend<BufWriter<Stdout>>>;

/// Holds the terminal. Dropped, it gives the terminal back as it was.
pub struct TerminalGuard {
    ended: Arc<AtomicBool>,
}

impl TerminalGuard {
    /// Takes the terminal.
    pub fn take() -> Result<(Self, Canvas), Failure> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(Failure::usage("wharf tui needs a terminal; the other commands work without one"));
        }
        // From here on the drop restores, even if only a part of this succeeds.
        let guard = Self { ended: Arc::default() };
        let take = || {
            enable_raw_mode()?;
            let screen = (EnterAlternateScreen, EnableBracketedPaste, SetTitle("wharf"), Hide);
            execute!(io::stdout(), screen.0, screen.1, screen.2, screen.3)?;
            Terminal::new(CrosstermBackend::new(BufWriter::new(io::stdout())))
        };
        let canvas = take().map_err(|error: io::Error| Failure::failed(format!("cannot use the terminal: {error}")))?;
        restore_on_panic();
        Ok((guard, canvas))
    }

    /// Reads keys in a thread of its own.
    pub fn read_keys(&self, events: mpsc::UnboundedSender<TuiEvent>) {
        let ended = self.ended.clone();
        thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let event = match event::poll(POLL) {
                    Ok(false) => continue,
                    Ok(true) => event::read(),
                    Err(error) => Err(error),
                };
                let event = match event {
                    Ok(Event::Key(key)) => TuiEvent::Key(key),
                    Ok(Event::Paste(text)) => TuiEvent::Paste(text),
                    Ok(Event::Mouse(mouse)) => TuiEvent::Mouse(mouse),
                    Ok(Event::Resize(width, height)) => TuiEvent::Resize(width, height),
                    Ok(Event::FocusGained | Event::FocusLost) => continue,
                    // The terminal has gone; the sender is dropped, which ends the program.
                    Err(_) => return,
                };
                if events.send(event).is_err() {
                    return;
                }
            }
        });
    }
}

impl Drop for TerminalGuard {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        restore();
    }
}

/// Gives the terminal back. There is nobody to tell if that fails.
fn restore() {
    let _ = execute!(io::stdout(), DisableMouseCapture, DisableBracketedPaste, LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}

/// A panic is readable only on a terminal that has been given back.
fn restore_on_panic() {
    let before = panic::take_hook();
    let drawing = thread::current().id();
    panic::set_hook(Box::new(move |info| {
        // What panics in the background is answered as an error, on the screen.
        if thread::current().id() == drawing {
            restore();
            before(info);
        }
    }));
}

/// Takes the mouse, or leaves it to the terminal.
pub fn capture_mouse(on: bool) {
    let _ = match on {
        true => execute!(io::stdout(), EnableMouseCapture),
        false => execute!(io::stdout(), DisableMouseCapture),
    };
}

/// Copies a text by an escape sequence (OSC 52), which also works through ssh. Terminals may be set to refuse it.
pub fn copy(text: &str) {
    let encoded = BASE64_STANDARD.encode(text);
    if encoded.len() <= MOST_COPIED {
        let _ = execute!(io::stdout(), Print(format!("\u{1b}]52;c;{encoded}\u{7}")));
    }
}

/// Opens a page in the browser of this machine.
pub fn open(url: &str) -> Result<(), String> {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(program);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match command.spawn() {
        Ok(mut child) => {
            // Waited for, so that no zombie is left.
            thread::spawn(move || drop(child.wait()));
            Ok(())
        }
        Err(error) => Err(format!("{program}: {error}")),
    }
}
