//! What is drawn above the screen: forms, confirmations, help, completions.

use super::{
    Painter,
    pieces::{boxed_as, padded, wrapped},
};
use crate::tui::{
    app::{TuiApp, TuiMode},
    form::{FieldKind, TuiForm, TypedConfirm},
    harmless::{fitted, harmless, width},
    keys::KEYS,
    line::COMMANDS,
};
use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::Style,
    widgets::{BorderType, Clear, Widget},
};

/// Fields that a form has at most with empty lines between them: what fits into 24 lines.
const MOST_SPACED: usize = 7;

/// Draws what is above the screen. Returns where the cursor is to be.
pub(super) fn popup(app: &TuiApp, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    match &app.mode {
        TuiMode::Normal | TuiMode::Filter(_) => None,
        TuiMode::Command { completions, chosen, .. } => {
            completed(app, completions, *chosen, area, buffer);
            None
        }
        TuiMode::Form(form) => self::form(app, form, area, buffer),
        TuiMode::Confirm(confirm) => self::confirm(app, confirm, area, buffer),
        TuiMode::Help { offset } => {
            help(app, *offset, area, buffer);
            None
        }
        TuiMode::Secret { name, secret } => {
            self::secret(app, name, secret, area, buffer);
            None
        }
    }
}

/// An empty box in the middle; returns what is inside. Double lines mean that keys are text.
fn frame(app: &TuiApp, title: &str, size: (u16, u16), style: Style, area: Rect, buffer: &mut Buffer) -> Rect {
    let (columns, lines) = (size.0.min(area.width - 4), size.1.min(area.height - 2));
    let place = Rect { x: (area.width - columns) / 2, y: (area.height - lines) / 2, width: columns, height: lines };
    Clear.render(place, buffer);
    buffer.set_style(place, app.theme.text);
    padded(boxed_as(BorderType::Double, &harmless(title), style, app.theme.title, place, buffer))
}

fn form(app: &TuiApp, form: &TuiForm, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    let problem = form.problem.as_ref().map(|problem| wrapped(&harmless(problem), 62, 4)).unwrap_or_default();
    // A long form has no empty lines between its fields.
    let step = if form.fields.len() > MOST_SPACED { 1 } else { 2 };
    let lines = form.fields.len() as u16 * step + 3 + problem.len() as u16;
    let title = match form.fields.len() {
        1 => form.title.clone(),
        n => format!("{} · step {} of {n}", form.title, form.at + 1),
    };
    let inner = frame(app, &title, (68, lines + 2), app.theme.insert_border, area, buffer);
    let label_width = form.fields.iter().map(|field| width(field.label)).max().unwrap_or(0) as u16;
    let mut cursor = None;
    let mut y = inner.y + 1;
    for (i, field) in form.fields.iter().enumerate() {
        if y >= inner.bottom() {
            break;
        }
        let is_current = i == form.at && !form.is_sending;
        let style = if is_current { app.theme.key } else { app.theme.dim };
        buffer.set_stringn(inner.x, y, field.label, usize::from(label_width), style);
        let room =
            Rect { x: inner.x + label_width + 2, y, width: inner.width.saturating_sub(label_width + 2), height: 1 };
        let text = match field.kind {
            FieldKind::Password => "•".repeat(field.field.text().chars().count()),
            FieldKind::Text => harmless(field.field.text()),
            FieldKind::YesNo => if field.field.text() == "y" { "yes" } else { "no" }.to_owned(),
        };
        let columns = usize::from(room.width);
        if text.is_empty() {
            buffer.set_stringn(room.x, y, field.hint, columns, app.theme.dim);
        } else {
            // The end of a long text is what is being typed.
            let skipped = text.chars().count().saturating_sub(columns.saturating_sub(1));
            let shown: String = if is_current { text.chars().skip(skipped).collect() } else { fitted(&text, columns) };
            buffer.set_stringn(room.x, y, shown, columns, app.theme.text);
            if is_current && field.kind == FieldKind::YesNo {
                buffer.set_stringn(room.x + 5, y, "y or n", columns.saturating_sub(5), app.theme.dim);
            }
        }
        if is_current && field.kind != FieldKind::YesNo {
            let before: String = match field.kind {
                FieldKind::Password => "•".repeat(field.field.cursor()),
                _ => harmless(&field.field.text().chars().take(field.field.cursor()).collect::<String>()),
            };
            let x = room.x + (width(&before).min(columns.saturating_sub(1))) as u16;
            cursor = Some(Position { x, y });
        }
        y += step;
    }
    for line in &problem {
        if y < inner.bottom() {
            buffer.set_stringn(inner.x, y, line, usize::from(inner.width), app.theme.bad);
            y += 1;
        }
    }
    if form.is_sending && y < inner.bottom() {
        buffer.set_stringn(inner.x, y, "Sending…", usize::from(inner.width), app.theme.warning);
    }
    cursor
}

fn confirm(app: &TuiApp, confirm: &TypedConfirm, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    let mut lines: Vec<(String, Style)> = Vec::new();
    for line in &confirm.lines {
        lines.extend(wrapped(&harmless(line), 60, 3).into_iter().map(|line| (line, app.theme.text)));
    }
    lines.push((String::new(), app.theme.text));
    match &confirm.expected {
        Some(expected) => lines.push((format!("Type {} to confirm:", harmless(expected)), app.theme.text)),
        None => lines.push(("Press y to confirm, Esc to cancel.".into(), app.theme.text)),
    }
    let height = lines.len() as u16 + if confirm.expected.is_some() { 6 } else { 4 };
    let inner = frame(app, &confirm.title, (66, height), app.theme.bad, area, buffer);
    let mut y = inner.y + 1;
    for (line, style) in &lines {
        buffer.set_stringn(inner.x, y, line, usize::from(inner.width), *style);
        y += 1;
    }
    confirm.expected.as_ref()?;
    let style = if confirm.is_on_track() { app.theme.text } else { app.theme.bad };
    let typed = harmless(confirm.field.text());
    let mut paint = Painter::new(buffer, Rect { y: y + 1, height: 1, ..inner });
    paint.text("> ", app.theme.key);
    paint.text(&typed, style);
    let x = (inner.x + 2 + width(&typed) as u16).min(inner.right().saturating_sub(1));
    Some(Position { x, y: y + 1 })
}

fn secret(app: &TuiApp, name: &str, secret: &str, area: Rect, buffer: &mut Buffer) {
    let inner = frame(app, &format!("API key {name}"), (76, 11), app.theme.insert_border, area, buffer);
    let lines = [("This is the key. It is shown only now.", app.theme.warning), ("", app.theme.text)];
    let mut y = inner.y + 1;
    for (line, style) in lines {
        buffer.set_stringn(inner.x, y, line, usize::from(inner.width), style);
        y += 1;
    }
    for line in wrapped(&harmless(secret), usize::from(inner.width), 4) {
        buffer.set_stringn(inner.x, y, line, usize::from(inner.width), app.theme.title);
        y += 1;
    }
    buffer.set_stringn(inner.x, y + 1, "y copies it, Esc closes.", usize::from(inner.width), app.theme.dim);
}

fn help(app: &TuiApp, offset: usize, area: Rect, buffer: &mut Buffer) {
    let mut lines: Vec<(String, String, Style)> = Vec::new();
    let mut group = "";
    for key in KEYS {
        if key.group != group {
            group = key.group;
            if !lines.is_empty() {
                lines.push((String::new(), String::new(), app.theme.text));
            }
            lines.push((group.to_owned(), String::new(), app.theme.heading));
        }
        lines.push((format!("  {}", key.keys), key.does.to_owned(), app.theme.key));
    }
    lines.push((String::new(), String::new(), app.theme.text));
    lines.push(("Commands".into(), String::new(), app.theme.heading));
    for command in COMMANDS {
        let name = format!("  :{} {}", command.names[0], command.takes.shown());
        lines.push((name, command.does.to_owned(), app.theme.key));
    }
    let inner = frame(app, "Keys and commands", (76, area.height - 2), app.theme.active_border, area, buffer);
    let offset = offset.min(lines.len().saturating_sub(usize::from(inner.height)));
    for ((left, right, style), y) in lines.iter().skip(offset).zip(inner.y..inner.bottom()) {
        buffer.set_stringn(inner.x, y, left, 28, *style);
        if !right.is_empty() {
            buffer.set_stringn(inner.x + 29, y, right, usize::from(inner.width).saturating_sub(29), app.theme.text);
        }
    }
    let left = lines.len().saturating_sub(offset + usize::from(inner.height));
    if left > 0 {
        let line = Rect { y: inner.bottom(), height: 1, ..inner };
        Painter::new(buffer, line).right(&[(&format!(" {left} more, j scrolls "), app.theme.dim)]);
    }
}

/// What could complete the command line, above it.
fn completed(app: &TuiApp, completions: &[String], chosen: Option<usize>, area: Rect, buffer: &mut Buffer) {
    const MOST: usize = 8;
    if completions.is_empty() {
        return;
    }
    let first = chosen.unwrap_or(0).saturating_sub(MOST - 1);
    let shown: Vec<_> = completions.iter().enumerate().skip(first).take(MOST).collect();
    let texts: Vec<(String, String)> = shown
        .iter()
        .map(|(_, text)| {
            let does = COMMANDS.iter().find(|command| command.names[0] == text.as_str());
            let does = does.map(|command| format!("{} {}", command.takes.shown(), command.does));
            (harmless(text), does.unwrap_or_default().trim().to_owned())
        })
        .collect();
    let names = texts.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    let whole = texts.iter().map(|(_, does)| names + 4 + width(does)).max().unwrap_or(0).max(20);
    let columns = (whole as u16).min(area.width - 2);
    let height = texts.len() as u16;
    let place = Rect { x: 1, y: (area.height - 2).saturating_sub(height), width: columns, height };
    Clear.render(place, buffer);
    buffer.set_style(place, app.theme.text);
    for (((at, _), (name, does)), y) in shown.iter().zip(&texts).zip(place.y..) {
        let line = Rect { y, height: 1, ..place };
        let is_chosen = chosen == Some(*at);
        if is_chosen {
            buffer.set_style(line, app.theme.selected);
        }
        let (left, right) = match is_chosen {
            true => (app.theme.selected, app.theme.selected),
            false => (app.theme.key, app.theme.dim),
        };
        let mut paint = Painter::new(buffer, line);
        paint.text(&format!(" {name}{}  ", " ".repeat(names - width(name))), left);
        paint.text(does, right);
    }
}
