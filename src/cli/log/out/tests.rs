use super::*;
use std::sync::mpsc;

#[test]
fn lines_are_written_in_batches_soon_and_urgent_ones_at_once() {
    let (mut held, calls) = (HeldLines::default(), RefCell::new(Vec::new()));
    let put = |text: &[u8], lines| calls.borrow_mut().push((text.to_vec(), lines));
    held.take_in(b"a\n", false, put);
    held.take_in(b"b\n", false, put);
    assert!(calls.borrow().is_empty());
    held.take_in(b"fault\n", true, put);
    assert_eq!(*calls.borrow(), [(b"a\nb\nfault\n".to_vec(), 3)], "in one call, in their order");
    held.put(put);
    assert_eq!(calls.borrow().len(), 1, "nothing was left");
    let line = [b'x'; 1 << 10];
    (0..MOST_HELD / line.len()).for_each(|_| held.take_in(&line, false, put));
    assert_eq!((calls.borrow()[1].0.len(), calls.borrow()[1].1), (MOST_HELD, 16));
    held.take_in(b"late\n", false, put);
    held.put(put);
    assert_eq!(calls.borrow()[2], (b"late\n".to_vec(), 1));
}

/// A writer that blocks until the test lets it continue.
struct Reader {
    leave: mpsc::Receiver<()>,
    read: mpsc::Sender<Vec<u8>>,
}

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.leave.recv().map_err(|_| io::Error::other("nobody reads any more"))?;
        let _ = self.read.send(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_log_that_is_not_read_blocks_nobody_and_dropped_lines_are_counted() {
    static STUCK: LineQueue = LineQueue::new();
    STUCK.most_bytes.store(100, Ordering::Relaxed);
    let (leave, left) = mpsc::channel();
    let (read, lines) = mpsc::channel();
    let (reports, reported) = mpsc::channel();
    thread::spawn(move || {
        STUCK.write_to(&mut Reader { leave: left, read }, |dropped| {
            let _ = reports.send(dropped);
        });
    });
    let ten = |byte: u8| [&[byte; 9][..], b"\n"].concat();
    STUCK.push(&ten(b'a'), 1);
    // The writer has taken the first line, and is blocked on it.
    while STUCK.lock().taken == 0 {
        thread::yield_now();
    }
    for _ in 0..9 {
        STUCK.push(&ten(b'b'), 1);
    }
    assert_eq!(STUCK.dropped.load(Ordering::Relaxed), 0, "as much as fits is kept");
    STUCK.push(b"c\n", 1);
    STUCK.push(&[b'd'; 90], 7);
    assert_eq!(STUCK.dropped.load(Ordering::Relaxed), 8, "one byte more does not fit");
    assert!(!STUCK.flush(Duration::from_millis(20)), "a stop does not wait for it");
    assert!(reported.try_recv().is_err());

    leave.send(()).unwrap();
    leave.send(()).unwrap();
    assert_eq!(lines.recv().unwrap(), ten(b'a'));
    assert_eq!(reported.recv_timeout(Duration::from_secs(10)), Ok(8), "once it moves again");
    assert_eq!(lines.recv().unwrap(), ten(b'b').repeat(9));
    assert!(STUCK.flush(Duration::from_secs(10)));
    leave.send(()).unwrap();
    STUCK.push(b"after\n", 1);
    assert_eq!(lines.recv().unwrap(), b"after\n");

    drop(leave);
    STUCK.push(b"lost\n", 1);
    assert_eq!(reported.recv_timeout(Duration::from_secs(10)), Ok(1), "what cannot be written is dropped, too");
}
