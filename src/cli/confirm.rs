//! Asks the person at the terminal to type a name before something is deleted.

use super::terminal;
use std::{
    fmt,
    io::{self, BufRead, IsTerminal, Write},
};

/// Whether the caller has typed the name, on the command line or when asked. Without a terminal nobody is asked.
pub(super) fn is_confirmed(name: &str, given: Option<&str>, question: fmt::Arguments<'_>) -> bool {
    if let Some(given) = given {
        return given == name;
    }
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return false;
    }
    let _ = write!(terminal::errors(), "{question}");
    let mut line = String::new();
    stdin.lock().read_line(&mut line).is_ok() && line.trim_end_matches('\n') == name
}
