//! Where log lines go: to stdout, as many at once as come together.

use std::{
    cell::RefCell,
    io::{self, Write},
};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// What a thread holds back before it writes, whatever it has to do.
const MOST_HELD: usize = 16 << 10;

thread_local! {
    /// Lines of a thread that tells when it has nothing left to do; `None` for all others.
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// Lines of one thread, written when it ends at the latest.
#[derive(Default)]
struct Held(Vec<u8>);

impl Held {
    fn take_in(&mut self, line: &[u8], is_urgent: bool, out: &mut impl Write) -> io::Result<()> {
        self.0.extend_from_slice(line);
        if is_urgent || self.0.len() >= MOST_HELD { self.write(out) } else { Ok(()) }
    }

    fn write(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let written = out.write_all(&self.0);
        // Also what failed: it would be written before everything that follows, again and again.
        self.0.clear();
        written
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.write(&mut io::stdout());
    }
}

/// Writes the lines of this thread, which calls this again whenever it has nothing left to do: what comes until then is
/// held and written at once. A busy thread that wrote each line by itself would spend a fifteenth of its time on that.
pub(in crate::cli) fn before_waiting() {
    // There is no other place to say that it failed.
    let _ = HELD.with_borrow_mut(|held| held.get_or_insert_default().write(&mut io::stdout()));
}

/// Stdout, by way of what this thread holds.
pub(super) struct Out;

pub(super) struct Line {
    /// The process may not live long enough to get to the end of its turn.
    is_urgent: bool,
}

impl<'w> MakeWriter<'w> for Out {
    type Writer = Line;

    fn make_writer(&'w self) -> Line {
        Line { is_urgent: true }
    }

    fn make_writer_for(&'w self, meta: &Metadata<'_>) -> Line {
        Line { is_urgent: *meta.level() <= Level::WARN }
    }
}

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        HELD.with_borrow_mut(|held| match held {
            Some(held) => held.take_in(line, self.is_urgent, &mut io::stdout()).map(|()| line.len()),
            None => io::stdout().write(line),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written, each call by itself.
    #[derive(Default)]
    struct Calls(Vec<Vec<u8>>);

    impl Write for Calls {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_wait_for_each_other_but_not_for_long_and_not_those_that_matter() {
        let (mut held, mut out) = (Held::default(), Calls::default());
        held.take_in(b"a\n", false, &mut out).unwrap();
        held.take_in(b"b\n", false, &mut out).unwrap();
        assert!(out.0.is_empty());
        held.take_in(b"fault\n", true, &mut out).unwrap();
        assert_eq!(out.0, [b"a\nb\nfault\n"], "in one call, in their order");
        held.write(&mut out).unwrap();
        assert_eq!(out.0.len(), 1, "nothing was left");
        let line = [b'x'; 1 << 10];
        (0..MOST_HELD / line.len()).for_each(|_| held.take_in(&line, false, &mut out).unwrap());
        assert_eq!(out.0[1].len(), MOST_HELD);
        held.take_in(b"late\n", false, &mut out).unwrap();
        held.write(&mut out).unwrap();
        assert_eq!(out.0[2], b"late\n");
    }
}
