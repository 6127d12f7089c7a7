//! Small pieces that all screens are drawn of.

use crate::tui::{
    app::TuiApp,
    harmless::{fitted, width},
    view::{LoadProblem, Loading},
};
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    widgets::{Block, BorderType, Widget},
};

/// Draws text from left to right in one line. What does not fit is cut.
pub(super) struct Painter<'b> {
    buffer: &'b mut Buffer,
    area: Rect,
    x: u16,
}

impl<'b> Painter<'b> {
    /// At the left end of a line.
    pub(super) fn new(buffer: &'b mut Buffer, area: Rect) -> Self {
        Self { buffer, area, x: area.x }
    }

    /// How many columns are left.
    pub(super) fn left(&self) -> usize {
        usize::from(self.area.right().saturating_sub(self.x))
    }

    /// Draws the next text.
    pub(super) fn text(&mut self, text: &str, style: Style) {
        if self.area.height == 0 {
            return;
        }
        let text = fitted(text, self.left());
        let (x, _) = self.buffer.set_stringn(self.x, self.area.y, text, self.left(), style);
        self.x = x;
    }

    /// Draws texts that end at the right end of the line.
    pub(super) fn right(&mut self, texts: &[(&str, Style)]) {
        let needed: usize = texts.iter().map(|(text, _)| width(text)).sum();
        self.x = self.x.max(self.area.right().saturating_sub(needed as u16));
        for (text, style) in texts {
            self.text(text, *style);
        }
    }
}

/// A box with a title; returns what is inside.
pub(super) fn boxed(title: &str, style: Style, title_style: Style, area: Rect, buffer: &mut Buffer) -> Rect {
    boxed_as(BorderType::Rounded, title, style, title_style, area, buffer)
}

/// The same, with another kind of line.
pub(super) fn boxed_as(
    lines: BorderType,
    title: &str,
    style: Style,
    title_style: Style,
    area: Rect,
    buffer: &mut Buffer,
) -> Rect {
    let block = Block::bordered().border_type(lines).border_style(style);
    let inner = block.inner(area);
    block.render(area, buffer);
    if !title.is_empty() && area.width > 6 {
        let title = fitted(title, usize::from(area.width) - 6);
        buffer.set_string(area.x + 2, area.y, format!(" {title} "), title_style);
    }
    inner
}

/// The same area without its outermost columns.
pub(super) fn padded(area: Rect) -> Rect {
    Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area }
}

/// How many lines [`labelled`] takes.
pub(super) fn labelled_lines(pairs: &[(String, String, Style)], width: u16) -> u16 {
    let columns = usize::from(width).saturating_sub(label_width(pairs, width) + 2).max(1);
    pairs.iter().map(|(_, value, _)| wrapped(value, columns, MOST_LINES).len() as u16).sum()
}

fn label_width(pairs: &[(String, String, Style)], all: u16) -> usize {
    pairs.iter().map(|(label, ..)| width(label)).max().unwrap_or(0).min(usize::from(all) / 2)
}

/// Lines of one value.
const MOST_LINES: usize = 4;

/// Lines with a label each; values that are too long go on in the next line. Returns how many lines were drawn.
pub(super) fn labelled(pairs: &[(String, String, Style)], label_style: Style, area: Rect, buffer: &mut Buffer) -> u16 {
    let label_width = label_width(pairs, area.width);
    let start = label_width + 2;
    let columns = usize::from(area.width).saturating_sub(start).max(1);
    let mut y = 0;
    for (label, value, style) in pairs {
        if y >= area.height {
            break;
        }
        buffer.set_stringn(area.x, area.y + y, label, label_width, label_style);
        for line in wrapped(value, columns, MOST_LINES) {
            if y >= area.height {
                break;
            }
            buffer.set_stringn(area.x + start as u16, area.y + y, line, columns, *style);
            y += 1;
        }
    }
    y
}

/// A text in lines of a width, at spaces and commas where possible. At most so many; the last ends with `…` if cut.
pub(super) fn wrapped(text: &str, columns: usize, most: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    let mut rest = text;
    loop {
        if width(rest) <= columns {
            if lines.is_empty() || !rest.is_empty() {
                lines.push(rest.to_owned());
            }
            return lines;
        }
        if lines.len() + 1 == most.max(1) {
            lines.push(fitted(rest, columns));
            return lines;
        }
        let (mut used, mut end, mut space) = (0, 0, None);
        for (at, c) in rest.char_indices() {
            used += width(c.encode_utf8(&mut [0; 4]));
            if used > columns {
                break;
            }
            end = at + c.len_utf8();
            if matches!(c, ' ' | ',') {
                space = Some(end);
            }
        }
        let end = match rest[end..].starts_with(' ') {
            // A letter that is wider than the line has a line to itself.
            _ if end == 0 => rest.chars().next().map_or(rest.len(), char::len_utf8),
            true => end,
            false => space.unwrap_or(end),
        };
        lines.push(rest[..end].trim_end().to_owned());
        rest = rest[end..].trim_start();
    }
}

/// What a list says instead of rows.
pub(super) fn nothing(app: &TuiApp, loading: &Loading, empty: &str, area: Rect, buffer: &mut Buffer) {
    match loading {
        Loading::Failed(problem) => failed(app, problem, area, buffer),
        Loading::Done => {
            buffer.set_stringn(area.x, area.y, empty, usize::from(area.width), app.theme.dim);
        }
        Loading::Idle | Loading::Running => {
            buffer.set_stringn(area.x, area.y, "Loading…", usize::from(area.width), app.theme.dim);
        }
    }
}

/// Why something could not be loaded, and what to do.
pub(super) fn failed(app: &TuiApp, problem: &LoadProblem, area: Rect, buffer: &mut Buffer) {
    let columns = usize::from(area.width);
    let mut lines: Vec<_> = wrapped(&problem.message, columns, 5).into_iter().map(|it| (it, app.theme.bad)).collect();
    if let Some(hint) = &problem.hint {
        lines.extend(wrapped(hint, columns, 3).into_iter().map(|it| (it, app.theme.text)));
    }
    let next = if problem.needs_login { ":login logs in, r tries again" } else { "r tries again" };
    lines.push((next.to_owned(), app.theme.dim));
    for ((line, style), y) in lines.iter().zip(area.y..area.bottom()) {
        buffer.set_stringn(area.x, y, line, columns, *style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_wrapped_at_spaces() {
        assert_eq!(wrapped("pull,push and delete", 9, 4), ["pull,push", "and", "delete"]);
        assert_eq!(wrapped("sha256:abcdef", 8, 4), ["sha256:a", "bcdef"]);
        assert_eq!(wrapped("a b c d e f", 3, 2), ["a b", "c …"]);
        assert_eq!(wrapped("", 3, 2), [""]);
        assert_eq!(wrapped("日本", 1, 4), ["日", "本"]);
    }
}
