//! Reads passwords from the terminal, without showing them, or from one line of stdin. Never from the arguments,
//! which every user of the machine can read.

use super::terminal;
use rustix::{
    io::Errno,
    termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr},
};
use std::io::{self, IsTerminal, Read, Stdin, Write};

/// The longest line that a terminal returns; no password is nearly as long.
const LONGEST: usize = 4096;

/// Why no password could be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoPassword {
    #[error("there is no terminal to ask for the password; pass it on standard input with --stdin")]
    NoTerminal,
    #[error("no password was given")]
    NotGiven,
    #[error("the two passwords differ")]
    Different,
    #[error("the password contains a control character; was a wrong key pressed?")]
    ControlCharacter,
    #[error("standard input has more than one line; the password must be a single line")]
    MoreLines,
    #[error("the password is not UTF-8 text")]
    NotText,
    #[error("cannot read the password: {0}")]
    Io(#[from] io::Error),
}

/// Asks each of the `questions`, whose answers must be equal. If stdin is not a terminal, reads one line from it, if
/// `allowed`. Only the line break is removed.
pub(super) fn get(questions: &[String], allowed: bool) -> Result<String, NoPassword> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return if allowed { one_line(stdin) } else { Err(NoPassword::NoTerminal) };
    }
    let quiet = Quiet::begin(stdin)?;
    let mut answers = questions.iter().map(|question| quiet.ask(question));
    let first = answers.next().unwrap_or(Err(NoPassword::NotGiven))?;
    match answers.try_fold(true, |same, answer| Ok::<_, NoPassword>(same & (answer? == first)))? {
        true => Ok(first),
        false => Err(NoPassword::Different),
    }
}

fn one_line(stdin: Stdin) -> Result<String, NoPassword> {
    let mut line = Vec::new();
    stdin.take(LONGEST as u64).read_to_end(&mut line)?;
    line.pop_if(|last| *last == b'\n');
    match String::from_utf8(line) {
        Ok(line) if line.contains('\n') => Err(NoPassword::MoreLines),
        Ok(line) => Ok(line),
        Err(_) => Err(NoPassword::NotText),
    }
}

/// A terminal that does not echo what is typed until this is dropped.
struct Quiet {
    stdin: Stdin,
    before: Termios,
    /// The interrupt key, which cancels.
    interrupt: u8,
}

impl Quiet {
    fn begin(stdin: Stdin) -> io::Result<Self> {
        let before = tcgetattr(&stdin)?;
        let interrupt = before.special_codes[SpecialCodeIndex::VINTR];
        let mut quiet = before.clone();
        // Disable signals from keys: one would end the process while echo is off. The interrupt key ends the line
        // instead.
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ISIG);
        quiet.local_modes.insert(LocalModes::ICANON);
        quiet.special_codes[SpecialCodeIndex::VEOL] = interrupt;
        tcsetattr(&stdin, OptionalActions::Now, &quiet)?;
        Ok(Self { stdin, before, interrupt })
    }

    fn ask(&self, question: &str) -> Result<String, NoPassword> {
        // Not on stdout, which may be redirected. If stderr is closed nobody can be asked.
        let _ = write!(terminal::errors(), "{question}: ");
        let answer = self.line();
        let _ = writeln!(terminal::errors());
        let answer = String::from_utf8(answer?).map_err(|_| NoPassword::NotText)?;
        match answer.contains(char::is_control) {
            true => Err(NoPassword::ControlCharacter),
            false => Ok(answer),
        }
    }

    /// One line as it is typed, unbuffered, because only the terminal knows where it ends.
    fn line(&self) -> Result<Vec<u8>, NoPassword> {
        let mut line = vec![0; LONGEST];
        let len = loop {
            match rustix::io::read(&self.stdin, line.as_mut_slice()) {
                Err(Errno::INTR) => {}
                read => break read.map_err(io::Error::from)?,
            }
        };
        line.truncate(len);
        match line.last() {
            Some(b'\n') => line.truncate(len - 1),
            // End of file within a line: return what was typed so far.
            Some(last) if *last != self.interrupt => {}
            Some(_) | None => return Err(NoPassword::NotGiven),
        }
        Ok(line)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // If the terminal is gone there is nothing to restore.
        let _ = tcsetattr(&self.stdin, OptionalActions::Now, &self.before);
    }
}
