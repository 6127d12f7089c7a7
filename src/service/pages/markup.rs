//! Pieces of HTML that many pages share. Whatever they are given is text, and is escaped here.

use super::{agent, assets::PATHS};
use jiff::{SignedDuration, Timestamp};
use std::{
    borrow::Borrow,
    fmt::{self, Display, Write as _},
};

/// HTML, ready to be written. Only this module makes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Markup(String);

impl Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Markup {}

/// Text with everything escaped that means something in HTML, also in attributes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// An icon of the sprite.
pub(super) fn icon(name: impl AsRef<str>) -> Markup {
    let name = name.as_ref();
    Markup(format!(
        "<svg class=\"icon\" aria-hidden=\"true\"><use href=\"{}#i-{}\"/></svg>",
        PATHS.icons,
        escaped(name)
    ))
}

/// A button that copies a text. Its label says what it copies.
pub(super) fn copy(text: impl AsRef<str>, label: impl AsRef<str>) -> Markup {
    let (text, label) = (text.as_ref(), label.as_ref());
    let (text, label, icon) = (escaped(text), escaped(label), icon("copy"));
    Markup(format!(
        "<button class=\"copy\" type=\"button\" data-copy=\"{text}\" aria-label=\"Copy {label}\" title=\"Copy {label}\">{icon}</button>"
    ))
}

/// A command of a terminal, with a button that copies it.
pub(super) fn command(text: impl AsRef<str>) -> Markup {
    let text = text.as_ref();
    Markup(format!("<div class=\"cmd\"><code>{}</code>{}</div>", escaped(text), copy(text, "command")))
}

/// What is wrong with a form.
pub(super) fn form_error(text: impl AsRef<str>) -> Markup {
    error(text.as_ref(), "")
}

/// What is wrong with the field that has this ID.
pub(super) fn field_error(id: impl AsRef<str>, text: impl AsRef<str>) -> Markup {
    error(text.as_ref(), &format!(" id=\"{}-why\"", escaped(id.as_ref())))
}

/// Attributes of the field that has this ID, if something is wrong with it.
pub(super) fn invalid(id: impl AsRef<str>) -> Markup {
    Markup(format!(" aria-invalid=\"true\" aria-describedby=\"{}-why\"", escaped(id.as_ref())))
}

fn error(text: &str, attributes: &str) -> Markup {
    let (icon, text) = (icon("alert"), escaped(text));
    Markup(format!("<span class=\"error\"{attributes} role=\"alert\">{icon}<span>{text}</span></span>"))
}

/// A number of bytes in binary units.
pub(super) fn size(bytes: impl Borrow<u64>) -> Markup {
    let (number, unit) = scaled(*bytes.borrow());
    Markup(format!("{number} <span class=\"unit\">{unit}</span>"))
}

/// The same as text.
pub(super) fn size_text(bytes: impl Borrow<u64>) -> String {
    let (number, unit) = scaled(*bytes.borrow());
    format!("{number} {unit}")
}

fn scaled(bytes: u64) -> (String, &'static str) {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut tenths, mut unit) = (u128::from(bytes) * 10, 0);
    while tenths >= 10_235 && unit < UNITS.len() - 1 {
        tenths = (tenths + 512) / 1024;
        unit += 1;
    }
    match unit {
        0 => (bytes.to_string(), UNITS[0]),
        unit => (format!("{}.{}", tenths / 10, tenths % 10), UNITS[unit]),
    }
}

/// A count with a comma after each thousand.
pub(super) fn count(number: impl Borrow<u64>) -> String {
    let digits = number.borrow().to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count and what is counted.
pub(super) fn counted(number: impl Borrow<u64>, one: &str, many: &str) -> String {
    let number = *number.borrow();
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A number of seconds in words.
pub(super) fn wait(seconds: impl Borrow<u64>) -> String {
    let seconds = *seconds.borrow();
    match (seconds / 60, seconds % 60) {
        (0, _) => counted(seconds, "second", "seconds"),
        (minutes, 0) => counted(minutes, "minute", "minutes"),
        (minutes, rest) => {
            format!("{} {}", counted(minutes, "minute", "minutes"), counted(rest, "second", "seconds"))
        }
    }
}

/// A time (RFC 3339) as the time since then, with the exact one on hover.
pub(super) fn time(written: impl AsRef<str>) -> Markup {
    timed(written.as_ref(), relative)
}

/// The time of the last pull, which is known to the hour only and may be unknown.
pub(super) fn last_pull(hour: impl Borrow<Option<String>>) -> Markup {
    hour.borrow().as_deref().map_or_else(never, |hour| timed(hour, relative_to_the_hour))
}

fn timed(written: &str, told: fn(SignedDuration) -> String) -> Markup {
    let Ok(at) = written.parse::<Timestamp>() else { return Markup(escaped(written)) };
    let relative = told(Timestamp::now().duration_since(at));
    let exact = at.strftime("%Y-%m-%d %H:%M:%S UTC");
    Markup(format!("<time datetime=\"{}\" title=\"{exact}\">{relative}</time>", escaped(written)))
}

/// A time that may be unknown.
pub(super) fn maybe_time(written: impl Borrow<Option<String>>) -> Markup {
    written.borrow().as_deref().map_or_else(never, time)
}

fn never() -> Markup {
    Markup("<span class=\"dim\">never</span>".to_owned())
}

fn relative_to_the_hour(since_its_begin: SignedDuration) -> String {
    match since_its_begin.as_hours() {
        0 => "within the hour".to_owned(),
        _ => relative(since_its_begin),
    }
}

fn relative(passed: SignedDuration) -> String {
    let seconds = passed.as_secs();
    let (number, unit) = match seconds.unsigned_abs() {
        0..=4 => return "now".to_owned(),
        s @ 5..=59 => (s, "s"),
        s @ 60..=3599 => (s / 60, "min"),
        s @ 3600..=86_399 => (s / 3600, "h"),
        s @ 86_400..=5_183_999 => (s / 86_400, if s < 172_800 { "day" } else { "days" }),
        s @ 5_184_000..=63_071_999 => (s / 2_592_000, "months"),
        s => (s / 31_536_000, "years"),
    };
    if seconds < 0 { format!("in {number} {unit}") } else { format!("{number} {unit} ago") }
}

/// A browser or program, as people call it, with what it calls itself on hover.
pub(super) fn client(agent: impl AsRef<str>) -> Markup {
    let agent = agent.as_ref();
    let name = match agent::readable(agent) {
        name if name.is_empty() => "unknown".to_owned(),
        name => name,
    };
    Markup(format!("<bdi title=\"{}\">{}</bdi>", escaped(agent), escaped(&name)))
}

/// A sentence of ours, in which backticks mark code.
pub(super) fn prose(text: impl AsRef<str>) -> Markup {
    let parts = text.as_ref().split('`').enumerate();
    let part = |(place, part): (usize, &str)| match place % 2 {
        0 => escaped(part),
        _ => format!("<code>{}</code>", escaped(part)),
    };
    Markup(parts.map(part).collect())
}

/// A path of the API, which may break after each slash.
pub(super) fn path(text: impl AsRef<str>) -> Markup {
    Markup(format!("<code class=\"path\">{}</code>", escaped(text.as_ref()).replace('/', "/<wbr>")))
}

/// A repository's name: it may break after each slash, and its namespace is dimmed.
pub(super) fn name(text: impl AsRef<str>) -> Markup {
    let text = text.as_ref();
    let (namespace, last) = text.rsplit_once('/').map_or(("", text), |(namespace, last)| (namespace, last));
    let mut out = String::from("<bdi>");
    if !namespace.is_empty() {
        out.push_str("<span class=\"dim\">");
        for part in namespace.split('/') {
            out.push_str(&escaped(part));
            out.push_str("/<wbr>");
        }
        out.push_str("</span>");
    }
    out.push_str(&escaped(last));
    out.push_str("</bdi>");
    Markup(out)
}

/// The digits of a digest that are shown.
const SHOWN_DIGITS: usize = 12;

/// The first digits of a digest.
pub(super) fn short(digest: &str) -> &str {
    let digits = digest.split_once(':').map_or(digest, |(_, digits)| digits);
    digits.get(..SHOWN_DIGITS).unwrap_or(digits)
}

/// A digest, short, with a button that copies it.
pub(super) fn digest(text: impl AsRef<str>) -> Markup {
    digest_at(text, "")
}

/// A digest that leads to a page; to none if the path is empty.
pub(super) fn digest_at(text: impl AsRef<str>, path: impl AsRef<str>) -> Markup {
    let (text, path) = (text.as_ref(), path.as_ref());
    let (full, short) = (escaped(text), escaped(short(text)));
    let code = format!("<code title=\"{full}\">{short}</code>");
    let code = match path.is_empty() {
        true => code,
        false => format!("<a href=\"{}\">{code}</a>", escaped(path)),
    };
    Markup(format!("<span class=\"digest\">{code}{}</span>", copy(text, format!("digest {short}"))))
}

/// A bar of this share of the largest. It is never empty for something.
pub(super) fn bar(part: impl Borrow<u64>, largest: impl Borrow<u64>, class: &str) -> Markup {
    let (part, largest) = (*part.borrow(), *largest.borrow());
    let share = u128::from(part) * 1000 / u128::from(largest.max(1));
    let share = if part > 0 { share.clamp(5, 1000) } else { 0 };
    Markup(format!(
        "<svg class=\"bar\" viewBox=\"0 0 1000 4\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"{}\" x=\"0\" width=\"{share}\" height=\"4\"/></svg>",
        escaped(class)
    ))
}

/// The layers of an image side by side: their bytes, and whether others have them too.
pub(super) fn strip(layers: &[(u64, bool)]) -> Markup {
    const GAP: u128 = 4;
    let total: u128 = layers.iter().map(|(bytes, _)| u128::from(*bytes)).sum::<u128>().max(1);
    let room = 1000_u128.saturating_sub(GAP * layers.len() as u128).max(1);
    let mut out =
        "<svg class=\"bar thick\" viewBox=\"0 0 1000 4\" preserveAspectRatio=\"none\" aria-hidden=\"true\">".to_owned();
    let mut x = 0;
    for (bytes, is_shared) in layers {
        let width = (u128::from(*bytes) * room / total).max(1);
        let class = if *is_shared { "b" } else { "a" };
        // Writing to a string cannot fail.
        let _ = write!(out, "<rect class=\"{class}\" x=\"{x}\" width=\"{width}\" height=\"4\"/>");
        x += width + GAP;
    }
    out.push_str("</svg>");
    Markup(out)
}

/// Values over time as steps, the latest at the right end. The text beside it says what the highest one is.
pub(super) fn spark(values: impl AsRef<[u64]>, most: usize) -> Markup {
    const HEIGHT: u128 = 100;
    let values = values.as_ref();
    let largest = u128::from(values.iter().copied().max().unwrap_or_default().max(1));
    let start = most.saturating_sub(values.len());
    let mut out = format!(
        "<svg class=\"spark\" viewBox=\"0 0 {most} {HEIGHT}\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><path d=\"M{start} {HEIGHT}"
    );
    for (place, value) in values.iter().take(most).enumerate() {
        let up = (u128::from(*value) * HEIGHT / largest).max(u128::from(*value > 0));
        // Writing to a string cannot fail.
        let _ = write!(out, "V{}H{}", HEIGHT - up, start + place + 1);
    }
    let _ = write!(out, "V{HEIGHT}Z\"/></svg>");
    Markup(out)
}

/// A key with dots, as of a label: it may break after each.
pub(super) fn dotted(text: impl AsRef<str>) -> Markup {
    Markup(escaped(text.as_ref()).replace('.', ".<wbr>"))
}

/// A value of a label or an annotation: an address of a web page is a link.
pub(super) fn linked(text: impl AsRef<str>) -> Markup {
    let text = text.as_ref();
    let is_link = (text.starts_with("https://") || text.starts_with("http://"))
        && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    let text = escaped(text);
    match is_link {
        true => Markup(format!("<a href=\"{text}\" rel=\"noopener noreferrer nofollow\">{text}</a>")),
        false => Markup(format!("<code>{text}</code>")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_text() {
        let hostile = "a/<script>alert(1)</script>\"'&";
        for made in [
            name(hostile),
            copy(hostile, hostile),
            command(hostile),
            digest(hostile),
            digest_at("x", hostile),
            linked(hostile),
            linked("https://x/\"onmouseover=\"alert(1)"),
            dotted(hostile),
            time(hostile),
            icon(hostile),
            form_error(hostile),
            field_error(hostile, hostile),
            invalid(hostile),
            client(hostile),
            prose(hostile),
            path(hostile),
        ] {
            let made = made.to_string();
            assert!(!made.contains("<script") && !made.contains("\"'&"), "{made}");
            assert!(!made.contains("\"onmouseover"), "{made}");
        }
        assert!(linked("javascript:alert(1)").to_string().starts_with("<code>"));
    }

    #[test]
    fn numbers_are_written_for_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1_048_575, "1.0 MiB"),
            (193_149_337, "184.2 MiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(size_text(bytes), text);
        }
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
        let waits = [1, 59, 60, 125].map(wait);
        assert_eq!(waits, ["1 second", "59 seconds", "1 minute", "2 minutes 5 seconds"]);
        assert_eq!((counted(1, "tag", "tags"), counted(2, "tag", "tags")), ("1 tag".to_owned(), "2 tags".to_owned()));
    }

    #[test]
    fn steps_end_at_the_right() {
        let path = spark([0, 5, 10], 4).to_string();
        assert!(path.contains("d=\"M1 100V100H2V50H3V0H4V100Z\""), "{path}");
        assert!(spark([], 4).to_string().contains("d=\"M4 100V100Z\""));
        assert!(spark([u64::MAX, 1], 2).to_string().contains("V0H1V99H2"), "something is never nothing");
    }

    #[test]
    fn times_are_relative() {
        let after = |seconds| relative(SignedDuration::from_secs(seconds));
        for (seconds, text) in [
            (0, "now"),
            (59, "59 s ago"),
            (60, "1 min ago"),
            (7200, "2 h ago"),
            (90_000, "1 day ago"),
            (200_000, "2 days ago"),
            (-200_000, "in 2 days"),
            (86_400 * 70, "2 months ago"),
            (86_400 * 800, "2 years ago"),
        ] {
            assert_eq!(after(seconds), text);
        }
        let pulled = |seconds| relative_to_the_hour(SignedDuration::from_secs(seconds));
        assert_eq!(["within the hour", "within the hour", "2 h ago"], [pulled(30), pulled(3599), pulled(7200)]);
    }
}
