//! Draws the state: the frame around every screen, and what is in it.

mod image;
mod pieces;
mod popup;
mod report;
mod screen;
mod table;

use pieces::Painter;

use super::{
    app::{HitTarget, TuiApp, TuiMode},
    harmless::{fitted, harmless, width},
    view::{Loading, SCREENS, ViewLayout},
};
use ratatui::{Frame, buffer::Buffer, layout::Rect, style::Style};

/// The least size at which everything has its place.
pub const LEAST: (u16, u16) = (80, 24);

/// Draws the whole screen.
pub fn draw(app: &mut TuiApp, frame: &mut Frame<'_>) {
    let area = frame.area();
    app.size = (area.width, area.height);
    app.hits.clear();
    let buffer = frame.buffer_mut();
    buffer.set_style(area, app.theme.text);
    if area.width < LEAST.0 || area.height < LEAST.1 {
        return too_small(app, area, buffer);
    }
    header(app, Rect { height: 1, ..area }, buffer);
    screens(app, Rect { y: 1, height: 1, ..area }, buffer);
    let body = Rect { y: 2, height: area.height - 4, ..area };
    match app.view().map(|view| view.kind.layout()) {
        Some(ViewLayout::Home) => screen::home(app, body, buffer),
        Some(ViewLayout::Split) => screen::split(app, body, buffer),
        Some(ViewLayout::Menu) => screen::menu(app, body, buffer),
        Some(ViewLayout::Image) => image::image(app, body, buffer),
        Some(ViewLayout::Activity) => screen::activity(app, body, buffer),
        Some(ViewLayout::Report) => report::report(app, body, buffer),
        Some(ViewLayout::Table) => screen::listing(app, body, buffer),
        None => {}
    }
    footer(app, Rect { y: area.height - 2, height: 2, ..area }, buffer);
    if let Some(cursor) = popup::popup(app, area, frame.buffer_mut()) {
        frame.set_cursor_position(cursor);
    }
}

fn too_small(app: &TuiApp, area: Rect, buffer: &mut Buffer) {
    let lines = [
        format!("This terminal is {} by {}.", area.width, area.height),
        format!("wharf needs {} by {}.", LEAST.0, LEAST.1),
        "Make it larger, or press q to quit.".to_owned(),
    ];
    let top = area.height.saturating_sub(3) / 2;
    for (line, y) in lines.iter().zip(top..area.height) {
        let line = fitted(line, usize::from(area.width));
        let x = area.width.saturating_sub(width(&line) as u16) / 2;
        buffer.set_string(x, y, line, app.theme.text);
    }
}

/// The first line: the server, the user, whether it answers.
fn header(app: &TuiApp, area: Rect, buffer: &mut Buffer) {
    let mut paint = Painter::new(buffer, area);
    paint.text(" wharf ", app.theme.title);
    let host = if app.server.host.is_empty() { "no server" } else { &app.server.host };
    paint.text(&harmless(host), app.theme.text);
    if let Some(context) = app.server.context.as_ref().filter(|context| **context != app.server.host) {
        paint.text(&format!(" ({})", harmless(context)), app.theme.dim);
    }
    let user = app.me["username"].as_str().map(harmless);
    let role = if app.is_admin() { ", administrator" } else { "" };
    let who = user.map_or_else(|| "not logged in ".to_owned(), |user| format!("{user}{role} "));
    let home = app.screens[0].first();
    let state = match home.map(|home| &home.loading) {
        Some(Loading::Failed(problem)) if !problem.needs_login => ("● away  ", app.theme.bad),
        _ => match home.and_then(|home| home.detail.as_ref()).and_then(|home| home["latency_ms"].as_u64()) {
            Some(_) => ("● up  ", app.theme.good),
            None => ("○  ", app.theme.dim),
        },
    };
    paint.right(&[(state.0, state.1), (&who, app.theme.text)]);
}

/// The second line: the screens.
fn screens(app: &mut TuiApp, area: Rect, buffer: &mut Buffer) {
    let mut x = area.x + 1;
    for (at, name) in SCREENS.iter().enumerate() {
        let label = format!(" {} {name} ", at + 1);
        let style = if at == app.screen { app.theme.selected } else { app.theme.dim };
        buffer.set_string(x, area.y, &label, style);
        app.hits.push((Rect { x, width: label.len() as u16, ..area }, HitTarget::Screen(at)));
        x += label.len() as u16 + 1;
    }
}

/// The last two lines: what was said, what is typed, and the keys.
fn footer(app: &TuiApp, area: Rect, buffer: &mut Buffer) {
    let mut paint = Painter::new(buffer, Rect { height: 1, ..area });
    match (&app.mode, &app.note) {
        (TuiMode::Filter(field), _) => {
            paint.text(" /", app.theme.key);
            paint.text(&harmless(field.text()), app.theme.text);
            paint.text("▏", app.theme.key);
        }
        (TuiMode::Command { field, .. }, _) => {
            paint.text(" :", app.theme.key);
            paint.text(&harmless(field.text()), app.theme.text);
            paint.text("▏", app.theme.key);
        }
        (_, Some(note)) => {
            let style = if note.is_error { app.theme.bad } else { app.theme.good };
            paint.text(&format!(" {}", note.text), style);
        }
        _ if app.is_busy() => paint.text(" Working…", app.theme.dim),
        _ => {}
    }
    let mut paint = Painter::new(buffer, Rect { y: area.y + 1, height: 1, ..area });
    paint.text(" ", app.theme.text);
    for (key, does) in hints(app) {
        // A hint is shown whole or not at all.
        if paint.left() < width(key) + width(does) + 3 {
            break;
        }
        paint.text(key, app.theme.key);
        paint.text(&format!(" {does}  "), app.theme.dim);
    }
}

/// The keys that matter now.
fn hints(app: &TuiApp) -> Vec<(&'static str, &'static str)> {
    use super::view::ViewKind;
    match &app.mode {
        TuiMode::Filter(_) => return vec![("Enter", "keep"), ("Esc", "all"), ("↓ ↑", "row")],
        TuiMode::Command { .. } => return vec![("Enter", "run"), ("Tab", "complete"), ("Esc", "cancel")],
        TuiMode::Form(_) => return vec![("Enter", "next field, or send"), ("Tab", "next"), ("Esc", "cancel")],
        TuiMode::Confirm(confirm) => {
            let key = if confirm.expected.is_some() { "Enter" } else { "y" };
            return vec![(key, "confirm"), ("Esc", "cancel")];
        }
        TuiMode::Help { .. } => return vec![("j k", "scroll"), ("Esc", "close")],
        TuiMode::Secret { .. } => return vec![("y", "copy"), ("Esc", "close")],
        TuiMode::Normal => {}
    }
    let Some(view) = app.view() else { return Vec::new() };
    let mut hints = match view.kind {
        ViewKind::Home => vec![("r", "reload")],
        ViewKind::UserMenu => vec![("Enter", "open"), ("i", "new user")],
        ViewKind::AdminMenu | ViewKind::Settings => vec![("Enter", "open")],
        ViewKind::Repositories => {
            vec![("Enter", "tags"), ("i", "new"), ("e", "edit"), ("v", "visibility"), ("d", "delete"), ("y", "copy")]
        }
        ViewKind::Tags { .. } => {
            vec![("Enter", "manifest"), ("i", "new tag"), ("d", "delete"), ("Space", "mark"), ("y Y", "copy")]
        }
        ViewKind::Image { .. } => {
            vec![("M L H t", "manifest, layers, history, referrers"), ("y Y", "copy"), ("/", "find")]
        }
        ViewKind::Users => vec![("Enter", "access"), ("i", "new"), ("e", "edit"), ("a", "add scope"), ("d", "delete")],
        ViewKind::Access { .. } => vec![("a", "add scope"), ("d", "take away")],
        ViewKind::Keys => vec![("i", "new"), ("a", "add scope"), ("e", "edit"), ("d", "delete")],
        ViewKind::Groups | ViewKind::Roles => vec![("i", "new"), ("e", "edit"), ("d", "delete")],
        ViewKind::ArtifactRepositories => vec![("Enter", "files"), ("i", "new"), ("e", "edit"), ("d", "delete")],
        ViewKind::Artifacts { .. } => vec![("i", "upload"), ("e", "properties"), ("d", "delete"), ("y Y", "copy")],
        ViewKind::ArtifactSearch { .. } => vec![("Enter", "open"), ("e", "properties"), ("d", "delete"), ("y", "copy")],
        ViewKind::Trash { .. } => vec![("Enter", "restore")],
        ViewKind::Tasks => vec![("Enter", "migration"), ("i", "start"), ("d", "cancel")],
        ViewKind::Migrations => vec![("Enter", "watch"), ("i", "start"), ("d", "cancel"), ("c", "continue")],
        ViewKind::Migration { .. } => vec![("d", "cancel"), ("c", "continue")],
        ViewKind::Sessions => vec![("d", "end")],
        ViewKind::Section { .. } => vec![("Enter", "change")],
        ViewKind::Namespaces => vec![("i", "new"), ("d", "delete")],
        ViewKind::Uploads => vec![("d", "delete")],
        _ => vec![],
    };
    if app.screens[app.screen].len() > 1 {
        hints.push(("Esc", "back"));
    }
    if !matches!(view.kind.layout(), ViewLayout::Home | ViewLayout::Menu) {
        hints.push(("/", "filter"));
        if !view.rows.is_text() {
            hints.push(("s", "sort"));
        }
    }
    hints.extend([(":", "command"), ("?", "help"), ("q", "quit")]);
    let mut seen = std::collections::HashSet::new();
    hints.retain(|(key, _)| seen.insert(*key));
    hints
}

/// The style of a border while keys are for the screen, or for a form above it.
fn border(app: &TuiApp) -> Style {
    match app.mode {
        TuiMode::Normal => app.theme.active_border,
        TuiMode::Filter(_) => app.theme.insert_border,
        _ => app.theme.border,
    }
}
