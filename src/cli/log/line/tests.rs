use super::*;
use serde_json::Value;
use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, UNIX_EPOCH},
};
use tracing::subscriber::with_default;
use tracing_subscriber::{
    fmt::{MakeWriter, layer},
    layer::SubscriberExt,
    registry,
};

/// Collects what is logged.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Kept {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

impl Kept {
    fn lines(self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

fn tell_everything() {
    let none: Option<u64> = None;
    let client = Some(tracing::field::display("10.0.0.1"));
    let id = "a-b_c.1";
    tracing::info!(id, client, status = 200u16, bytes = u64::MAX, none, cut = true, ms = 1.25, "request");
    tracing::warn!(first = "with \"quotes\" and\nlines", second = "", third = -1, "said {}", "\x1b[31mred \u{9b}");
    tracing::error!(error = %"a text", text = ?"debug\t", zero = 0, "ä\tö");
    for ms in [0.0, -0.0, 0.01, 0.1, 0.5, 1.0, 12.3, 99.99, 1e3, 123_456.78, 1e11, 1e20, 1.005, -3.5, 1e-7, f64::NAN] {
        tracing::debug!(ms);
    }
    tracing::trace!("only a message");
    tracing::info!(only = "a field", error = %"\\");
}

#[test]
fn lines_equal_those_of_the_default_format() {
    let (ours, theirs) = (Kept::default(), Kept::default());
    let plain = layer().with_ansi(false).with_target(false);
    with_default(
        registry().with(plain.event_format(PlainFormat { has_colours: false }).with_writer(ours.clone())),
        tell_everything,
    );
    let plain = layer().with_ansi(false).with_target(false).with_writer(theirs.clone());
    with_default(registry().with(plain), tell_everything);
    // The rest of the line after the time.
    let rest = |kept: Kept| -> Vec<_> { kept.lines().iter().map(|line| line[27..].to_owned()).collect() };
    let ours = rest(ours);
    assert!(ours[0].contains(r#"  INFO request id="a-b_c.1" client=10.0.0.1 status=200 bytes="#), "{ours:?}");
    assert_eq!(ours, rest(theirs));
}

#[test]
fn colours_equal_those_of_the_default_format() {
    let (ours, theirs) = (Kept::default(), Kept::default());
    let plain = layer().with_target(false).event_format(PlainFormat { has_colours: true });
    with_default(registry().with(plain.with_writer(ours.clone())), tell_everything);
    let plain = layer().with_ansi(true).with_target(false).with_writer(theirs.clone());
    with_default(registry().with(plain), tell_everything);
    let rest = |kept: Kept| -> Vec<_> {
        kept.lines().iter().map(|line| line.replace(&line["\x1b[2m".len()..][..27], "TIME")).collect()
    };
    let ours = rest(ours);
    assert!(ours[0].starts_with("\x1b[2mTIME\x1b[0m \x1b[32m INFO\x1b[0m request "), "{ours:?}");
    assert_eq!(ours, rest(theirs));
}

#[test]
fn control_characters_are_escaped_in_both_formats() {
    let hostile = "a\u{202e}b\u{2028}c\u{200b}d\u{feff}e\x1b[31mf\u{7f}g\u{85}h\u{e0041}i\r\nFORGED";
    for has_colours in [false, true] {
        let kept = Kept::default();
        let plain = layer().event_format(PlainFormat { has_colours }).with_writer(kept.clone());
        with_default(registry().with(plain), || tracing::info!(agent = hostile, error = %hostile, "said {hostile}"));
        // Only the message may have several lines; clients cannot set the field `message`.
        let text = kept
            .lines()
            .join("\n")
            .replace("\x1b[0m", "")
            .replace(ITALIC, "")
            .replace(DIM, "")
            .replace(colour(Level::INFO), "");
        assert!(text.chars().all(|c| c == '\n' || (is_visible(c) && c.is_ascii())), "{text:?}");
        assert_eq!(text.matches("\\u{202e}").count(), 3, "{text}");
        assert_eq!(text.matches("\\u{2028}").count(), 3, "{text}");
    }
    let kept = Kept::default();
    with_default(registry().with(layer().event_format(Json).with_writer(kept.clone())), || {
        tracing::info!(agent = hostile, error = %hostile, "said");
    });
    let lines = kept.lines();
    assert!(lines.len() == 1 && lines[0].is_ascii(), "{lines:?}");
    assert_eq!(lines[0].matches("\\u202e").count(), 2, "{lines:?}");
    let object: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((object["agent"].as_str(), object["error"].as_str()), (Some(hostile), Some(hostile)));
}

#[test]
fn json_lines_equal_those_of_the_default_format() {
    let (ours, theirs) = (Kept::default(), Kept::default());
    with_default(registry().with(layer().event_format(Json).with_writer(ours.clone())), tell_everything);
    let json = layer().json().flatten_event(true).with_writer(theirs.clone());
    with_default(registry().with(json), tell_everything);
    let objects = |kept: Kept| -> Vec<_> {
        let objects = kept.lines().into_iter().map(|line| {
            let mut object: serde_json::Map<String, Value> = serde_json::from_str(&line).expect(&line);
            assert!(object.remove("timestamp").is_some());
            object
        });
        objects.collect()
    };
    assert_eq!(objects(ours), objects(theirs));
}

#[test]
fn a_panic_message_is_one_line_without_control_characters() {
    let kept = Kept::default();
    let plain = layer().event_format(PlainFormat { has_colours: false }).with_writer(kept.clone());
    with_default(registry().with(plain), || tracing::error!(error = %"a\nFORGED \x1b[31m", "said"));
    let lines = kept.lines();
    assert!(lines.len() == 1 && lines[0].ends_with(r"ERROR said error=a\nFORGED \x1b[31m"), "{lines:?}");
}

#[test]
fn a_time_is_rfc_3339_with_all_its_microseconds() {
    for micros in [0, 1, 999_999, 1_000_000, 1_795_349_605_000_020, 1_795_349_605_900_000, 1_795_349_606_000_000] {
        let mut text = String::new();
        let time = UNIX_EPOCH + Duration::from_micros(micros);
        write_time(&mut Writer::new(&mut text), time).unwrap();
        assert_eq!(text.len(), "2026-11-22T12:33:25.284410Z".len());
        assert_eq!(text.parse::<Timestamp>().unwrap().as_microsecond(), micros as i64);
    }
}
