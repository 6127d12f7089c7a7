//! The screens: home, lists with details beside or below them, menus, activity.

use super::{
    Painter, border,
    pieces::{boxed, failed, labelled, padded, wrapped},
    table::table,
};
use crate::{
    output::{bytes, count},
    tui::{
        app::{FileTransfer, TuiApp},
        harmless::{fitted, harmless, width},
        rows::cell,
        view::{Loading, ViewKind},
    },
};
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    widgets::{Sparkline, Widget},
};
use serde_json::Value;

/// A crane over a quay.
const ART: [&str; 6] = [
    r"    ______________       ",
    r"   |\   |     |          ",
    r"   | \  |     ▄▄         ",
    r"   |  \ |   ▄▄██▄▄       ",
    r"  _|___\|__ ██████ ▄▄▄▄  ",
    r" ≈≈≈≈≈≈≈≈≈≈≈≈≈≈≈≈≈≈≈≈≈≈≈ ",
];

pub(super) fn home(app: &mut TuiApp, area: Rect, buffer: &mut Buffer) {
    let theme = app.theme.clone();
    let inner = padded(boxed("Home", border(app), theme.title, area, buffer));
    for (line, y) in ART.iter().zip(inner.y..) {
        buffer.set_string(inner.x, y, line, theme.key);
    }
    let Some(view) = app.view() else { return };
    let left = Rect { y: inner.y + 7, height: inner.height.saturating_sub(7), ..inner };
    let beside = Rect { x: inner.x + 27, width: inner.width.saturating_sub(27), height: 7, ..inner };
    let Some(home) = &view.detail else {
        match &view.loading {
            Loading::Failed(problem) => failed(app, problem, left, buffer),
            _ if app.server.host.is_empty() => {
                buffer.set_string(left.x, left.y, "No server is chosen; :login asks for one.", theme.dim);
            }
            _ => {
                buffer.set_string(left.x, left.y, "Loading…", theme.dim);
            }
        }
        return;
    };
    let text = |value: &Value| value.as_str().map(harmless).unwrap_or_default();
    let system = &home["system"];
    let user = match home["me"]["username"].as_str() {
        Some(name) => harmless(name),
        None if system["login"] == "none" => "nobody has to log in".into(),
        None if system["login"] == "external" => "users sign in elsewhere, and see nothing here".into(),
        None => "not logged in; :login asks for a password".into(),
    };
    let latency = home["latency_ms"].as_u64().map(|ms| format!("{ms} ms")).unwrap_or_default();
    let state = match (system["read_only"] == true, &view.loading) {
        (_, Loading::Failed(problem)) => (problem.message.clone(), theme.bad),
        (true, _) => ("read-only".to_owned(), theme.warning),
        (false, _) => (format!("up, answers in {latency}"), theme.good),
    };
    let mut pairs = vec![
        ("Server".to_owned(), harmless(&app.server.host), theme.text),
        ("Version".to_owned(), format!("{} {}", text(&system["name"]), text(&system["version"])), theme.text),
        ("State".to_owned(), state.0, state.1),
        ("User".to_owned(), user, theme.text),
    ];
    let groups = home["me"]["groups"].as_array().into_iter().flatten().filter_map(Value::as_str).map(harmless);
    let groups: Vec<_> = groups.collect();
    if !groups.is_empty() {
        pairs.push(("Groups".into(), groups.join(", "), theme.text));
    }
    let message = text(&system["message"]);
    if !message.is_empty() {
        pairs.push(("Message".into(), message, theme.warning));
    }
    labelled(&pairs, theme.dim, beside, buffer);

    let board = &home["dashboard"];
    let number = |field: &str| board[field].as_u64();
    let mut x = left.x;
    for (field, label) in [
        ("total_repositories", "repositories"),
        ("total_images", "tags"),
        ("total_groups", "namespaces"),
        ("total_size", "of content"),
        ("uploads", "uploads"),
    ] {
        let Some(value) = number(field) else { continue };
        let value = if field == "total_size" { bytes(value) } else { value.to_string() };
        let cell = Rect { x, y: left.y, width: 14, height: 3 };
        if cell.right() > left.right() || left.height < 3 {
            break;
        }
        buffer.set_stringn(x, left.y, value, 14, theme.title);
        buffer.set_stringn(x, left.y + 1, label, 14, theme.dim);
        x += 15;
    }
    if let Some(percent) = board["storage"]["percent"].as_u64().filter(|_| left.height > 3) {
        let free = board["storage"]["free"].as_u64().map(bytes).unwrap_or_default();
        let style = if percent >= 90 { theme.bad } else { theme.good };
        let full = (percent.min(100) as usize * 40).div_ceil(100);
        let mut paint = Painter::new(buffer, Rect { y: left.y + 3, height: 1, ..left });
        paint.text("Disk ", theme.dim);
        paint.text(&"█".repeat(full), style);
        paint.text(&"░".repeat(40 - full), theme.dim);
        paint.text(&format!(" {percent} % used, {free} free"), theme.text);
    }
    let rest = Rect { y: left.y + 5, height: left.height.saturating_sub(5), ..left };
    if rest.height < 3 {
        return;
    }
    let half = rest.width / 2;
    buffer.set_string(rest.x, rest.y, "Latest pushes", theme.heading);
    let recent = board["recent"].as_array().cloned().unwrap_or_default();
    for (push, y) in recent.iter().zip(rest.y + 1..rest.bottom()) {
        let line = Rect { y, height: 1, width: half.saturating_sub(2), ..rest };
        let when = crate::output::Column::of("", "/pushed_at", crate::output::ColumnKind::Time);
        let when = format!("  {}", cell(&when, push, app.time));
        let room = usize::from(line.width).saturating_sub(width(&when));
        let mut paint = Painter::new(buffer, line);
        paint.text(&fitted(&text(&push["repository"]), room), theme.text);
        paint.right(&[(&when, theme.dim)]);
    }
    if recent.is_empty() {
        buffer.set_string(rest.x, rest.y + 1, "none yet", theme.dim);
    }
    let keys = Rect { x: rest.x + half, width: rest.width - half, ..rest };
    buffer.set_string(keys.x, keys.y, "Keys", theme.heading);
    let lines = [
        ("h l", "previous, next screen"),
        ("j k", "next, previous row"),
        ("Enter Esc", "open, back"),
        ("i e d", "create, edit, delete"),
        ("/ :", "filter, command"),
        ("? q", "all keys, quit"),
    ];
    for ((key, does), y) in lines.iter().zip(keys.y + 1..keys.bottom()) {
        buffer.set_stringn(keys.x, y, key, 10, theme.key);
        buffer.set_stringn(keys.x + 11, y, does, usize::from(keys.width).saturating_sub(11), theme.text);
    }
}

/// Names on the left, and the selected one on the right.
pub(super) fn split(app: &mut TuiApp, area: Rect, buffer: &mut Buffer) {
    let left = Rect { width: area.width * 2 / 5, ..area };
    let right = Rect { x: area.x + left.width, width: area.width - left.width, ..area };
    let theme = app.theme.clone();
    let title = list_title(app);
    let inner = padded(boxed(&title, border(app), theme.title, left, buffer));
    table(app, inner, &empty(app), buffer);
    let inner = padded(boxed("Details", theme.border, theme.title, right, buffer));
    let used = details(app, inner, buffer);
    let rest = Rect { y: inner.y + used, height: inner.height.saturating_sub(used), ..inner };
    belongings(app, rest, buffer);
}

/// The values of the selected row. Returns how many lines they take.
pub(super) fn details(app: &TuiApp, area: Rect, buffer: &mut Buffer) -> u16 {
    let Some(view) = app.view() else { return 0 };
    let Some(row) = view.rows.current() else { return 0 };
    let pairs: Vec<_> = view
        .kind
        .details()
        .iter()
        .map(|column| (column.title.to_owned(), cell(column, row, app.time), app.theme.text))
        .filter(|(_, value, _)| !value.is_empty())
        .collect();
    labelled(&pairs, app.theme.dim, area, buffer)
}

/// What belongs to the selected row: tags of a repository, what a user may do.
fn belongings(app: &TuiApp, area: Rect, buffer: &mut Buffer) {
    let Some(view) = app.view() else { return };
    let heading = match view.kind {
        ViewKind::Repositories => "Tags",
        ViewKind::Users => "May do",
        _ => return,
    };
    if area.height < 3 || view.rows.current().is_none() {
        return;
    }
    let area = Rect { y: area.y + 1, height: area.height - 1, ..area };
    buffer.set_string(area.x, area.y, heading, app.theme.heading);
    let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let items = view.detail.as_ref().and_then(Value::as_array);
    match (items, &view.detail_loading) {
        (Some(items), _) if items.is_empty() => {
            let text = if view.kind == ViewKind::Users { "nothing by rules or roles" } else { "none" };
            buffer.set_stringn(body.x, body.y, text, usize::from(body.width), app.theme.dim);
        }
        (Some(items), _) if view.kind == ViewKind::Repositories => {
            let names = items.iter().filter_map(|tag| tag["name"].as_str()).map(harmless);
            let names = names.collect::<Vec<_>>().join("  ");
            let lines = wrapped(&names, usize::from(body.width), usize::from(body.height));
            for (line, y) in lines.iter().zip(body.y..body.bottom()) {
                buffer.set_stringn(body.x, y, line, usize::from(body.width), app.theme.key);
            }
        }
        (Some(items), _) => {
            for (item, y) in items.iter().zip(body.y..body.bottom()) {
                let actions = item["actions"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let actions = actions.map(harmless).collect::<Vec<_>>().join(",");
                let mut paint = Painter::new(buffer, Rect { y, height: 1, ..body });
                paint.text(&harmless(item["repository"].as_str().unwrap_or_default()), app.theme.key);
                paint.text(&format!("  {actions}"), app.theme.text);
            }
        }
        (None, Loading::Failed(problem)) => {
            let lines = wrapped(&problem.message, usize::from(body.width), 3);
            for (line, y) in lines.iter().zip(body.y..body.bottom()) {
                buffer.set_stringn(body.x, y, line, usize::from(body.width), app.theme.dim);
            }
        }
        (None, _) => {
            buffer.set_stringn(body.x, body.y, "…", usize::from(body.width), app.theme.dim);
        }
    }
}

/// A table, with the selected row below.
pub(super) fn listing(app: &mut TuiApp, area: Rect, buffer: &mut Buffer) {
    let theme = app.theme.clone();
    let transfers = if app.view().is_some_and(|view| view.kind == ViewKind::Tasks) { app.transfers.len() } else { 0 };
    let area = match transfers {
        0 => area,
        n => {
            let height = (n as u16 + 2).min(area.height / 3);
            uploads(app, Rect { y: area.bottom() - height, height, ..area }, buffer);
            Rect { height: area.height - height, ..area }
        }
    };
    let has_details = app.view().is_some_and(|view| !view.kind.details().is_empty() && !view.rows.is_empty());
    let height = if has_details { 9.min(area.height / 2) } else { 0 };
    let top = Rect { height: area.height - height, ..area };
    let inner = padded(boxed(&list_title(app), border(app), theme.title, top, buffer));
    table(app, inner, &empty(app), buffer);
    if has_details {
        let below = Rect { y: top.bottom(), height, ..area };
        let inner = padded(boxed("Details", theme.border, theme.title, below, buffer));
        details(app, inner, buffer);
    }
}

/// Files on their way up.
fn uploads(app: &TuiApp, area: Rect, buffer: &mut Buffer) {
    let inner = padded(boxed("Transfers of this program", app.theme.border, app.theme.title, area, buffer));
    let newest = app.transfers.iter().rev();
    for (transfer, y) in newest.zip(inner.y..inner.bottom()) {
        let (text, style) = transfer_line(app, transfer);
        let mut paint = Painter::new(buffer, Rect { y, height: 1, ..inner });
        paint.text(&format!("{}  ", harmless(&transfer.name)), app.theme.text);
        paint.text(&text, style);
    }
}

fn transfer_line(app: &TuiApp, transfer: &FileTransfer) -> (String, Style) {
    match &transfer.outcome {
        Some(Ok(())) => (format!("{} uploaded", bytes(transfer.size)), app.theme.good),
        Some(Err(problem)) => (harmless(problem), app.theme.bad),
        None => {
            let seconds = app.now.saturating_duration_since(transfer.started).as_secs_f64().max(0.1);
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a rate has three figures"
            )]
            let rate = (transfer.done as f64 / seconds) as u64;
            let percent = (transfer.done * 100).checked_div(transfer.size).unwrap_or(0);
            (format!("{percent} % of {}, {}/s", bytes(transfer.size), bytes(rate)), app.theme.warning)
        }
    }
}

pub(super) fn menu(app: &mut TuiApp, area: Rect, buffer: &mut Buffer) {
    let inner = padded(boxed(&list_title(app), border(app), app.theme.title, area, buffer));
    table(app, Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner }, "", buffer);
}

/// Transfers as lines over time, and the latest requests.
pub(super) fn activity(app: &mut TuiApp, area: Rect, buffer: &mut Buffer) {
    let theme = app.theme.clone();
    let report = app.view().and_then(|view| view.detail.clone());
    let height = if report.is_some() { 8 } else { 0 };
    if let Some(report) = report {
        let samples = report["samples"].as_array().cloned().unwrap_or_default();
        let half = area.width / 2;
        let sides = [
            ("Uploads", "uploads", "received_per_second", Rect { height, width: half, ..area }),
            (
                "Downloads",
                "downloads",
                "sent_per_second",
                Rect { x: area.x + half, width: area.width - half, height, ..area },
            ),
        ];
        for (title, totals, field, side) in sides {
            let inner = padded(boxed(title, theme.border, theme.title, side, buffer));
            let of = |name: &str| report[totals][name].as_u64().unwrap_or(0);
            let now = samples.last().and_then(|sample| sample[field].as_u64()).unwrap_or(0);
            let mut paint = Painter::new(buffer, Rect { height: 1, ..inner });
            paint.text(&format!("{}/s", bytes(now)), theme.heading);
            paint.text(
                &format!(
                    "  {} running, {}, {} failed",
                    of("in_progress"),
                    count(of("total"), "transfer"),
                    of("failed")
                ),
                theme.dim,
            );
            // The newest at the right end.
            let room = usize::from(inner.width);
            let values: Vec<u64> = samples.iter().filter_map(|sample| sample[field].as_u64()).collect();
            let values: Vec<u64> = values[values.len().saturating_sub(room)..].to_vec();
            let graph = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
            Sparkline::default().data(values).style(theme.key).render(graph, buffer);
        }
    }
    let below = Rect { y: area.y + height, height: area.height - height, ..area };
    listing(app, below, buffer);
}

/// The title of a list, with how many rows it has.
pub(super) fn list_title(app: &TuiApp) -> String {
    let Some(view) = app.view() else { return String::new() };
    let title = match view.kind {
        // The name is above.
        ViewKind::Migration { .. } => "Images".to_owned(),
        ViewKind::Outbox => "Writes".to_owned(),
        _ => harmless(&view.kind.title()),
    };
    if view.kind.menu().is_some() {
        return title;
    }
    let number = match (view.rows.len(), view.rows.total()) {
        (shown, all) if shown == all => all.to_string(),
        (shown, all) => format!("{shown} of {all}"),
    };
    let mut title = format!("{title} · {number}");
    if !view.rows.filtered_by().is_empty() {
        title.push_str(&format!(" · /{}", harmless(view.rows.filtered_by())));
    }
    if view.rows.marks() > 0 {
        title.push_str(&format!(" · {} marked", view.rows.marks()));
    }
    match &view.loading {
        // Rows that are shown are from before.
        Loading::Failed(_) if view.rows.total() > 0 => title.push_str(" · not reloaded, r tries again"),
        Loading::Running if view.loaded_at.is_none() && view.rows.total() > 0 => title.push_str(" · loading"),
        _ => {}
    }
    title
}

/// What is said of a list without rows.
pub(super) fn empty(app: &TuiApp) -> String {
    let text = match app.view().map(|view| &view.kind) {
        Some(ViewKind::Repositories) => "No repositories. Push an image, or press i.",
        Some(ViewKind::Tags { .. }) => "No tags.",
        Some(ViewKind::Keys) => "No API keys. Press i to make one.",
        Some(ViewKind::ArtifactRepositories) => "No artifacts. Press i to begin.",
        Some(ViewKind::Artifacts { .. }) => "No artifacts. Press i to upload a file.",
        Some(ViewKind::ArtifactSearch { .. }) => "Nothing matches.",
        Some(ViewKind::Migrations) => "No migrations. Press i to copy images from another registry.",
        Some(ViewKind::Migration { .. }) => "No images were found yet.",
        Some(ViewKind::Outbox) => "The SFTP server has everything.",
        Some(ViewKind::Tasks) => "No tasks. Press i to start one.",
        Some(ViewKind::Configuration) => "All configuration files are valid.",
        Some(ViewKind::Access { .. }) => "Nothing by rules or roles. Press a to add something.",
        Some(ViewKind::Uploads) => "No uploads at the moment.",
        Some(ViewKind::Trash { .. }) => "The trash is empty.",
        _ => "None.",
    };
    text.to_owned()
}
