//! Tables: only the rows that are seen are drawn, however many there are.

use super::{Painter, pieces::nothing};
use crate::{
    output::Column,
    tui::{
        app::{HitTarget, TuiApp},
        harmless::{fitted, harmless, width},
        rows::cell,
        view::ViewKind,
    },
};
use ratatui::{buffer::Buffer, layout::Rect, style::Style};
use serde_json::Value;

/// Between two columns.
const GAP: u16 = 2;

/// A column is cut to no less than this.
const LEAST: usize = 6;

/// Draws the rows of the shown view, with headings and a mark for the selected row.
pub(super) fn table(app: &mut TuiApp, area: Rect, empty: &str, buffer: &mut Buffer) {
    let (time, theme) = (app.time, app.theme.clone());
    let Some(view) = app.view_mut() else { return };
    if view.rows.is_empty() {
        let filter = harmless(view.rows.filtered_by());
        let is_filtered = !filter.is_empty() && view.rows.total() > 0;
        let text = if is_filtered { format!("Nothing contains {filter:?}; Esc shows all.") } else { empty.to_owned() };
        let loading = view.loading.clone();
        return nothing(app, &loading, &text, area, buffer);
    }
    let columns = view.rows.columns().to_vec();
    let has_heading = columns.iter().any(|column| !column.title.is_empty());
    let body = match has_heading {
        true => Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area },
        false => area,
    };
    let first = view.rows.window(usize::from(body.height));
    let end = view.rows.len().min(first + usize::from(body.height));
    let is_progress = matches!(view.kind, ViewKind::Tasks | ViewKind::Migrations);
    let shown: Vec<Vec<String>> = (first..end)
        .filter_map(|at| view.rows.item(at))
        .map(|item| {
            let mark = if view.rows.is_marked(item) { "● " } else { "" };
            let texts = columns.iter().enumerate().map(|(i, column)| match (i, column.field) {
                (_, "/progress") if is_progress => bar(item),
                (0, _) => format!("{mark}{}", cell(column, item, time)),
                _ => cell(column, item, time),
            });
            texts.collect()
        })
        .collect();
    let order = view.rows.order();
    let headings: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(i, column)| match order {
            Some(order) if order.column == i && order.descending => format!("{} ▼", column.title),
            Some(order) if order.column == i => format!("{} ▲", column.title),
            _ => column.title.to_owned(),
        })
        .collect();
    let mut widths: Vec<usize> = (0..columns.len())
        .map(|i| shown.iter().map(|row| width(&row[i])).fold(width(&headings[i]), usize::max))
        .collect();
    fit(&mut widths, usize::from(area.width));
    if has_heading {
        row(&headings, &columns, &widths, |_| theme.heading, Rect { height: 1, ..area }, buffer);
    }
    for (i, texts) in shown.iter().enumerate() {
        let at = first + i;
        let line = Rect { y: body.y + i as u16, height: 1, ..body };
        let item = view.rows.item(at).unwrap_or(&Value::Null);
        let is_selected = at == view.rows.selected();
        let base = match () {
            () if is_selected => theme.selected,
            () if view.rows.is_marked(item) => theme.marked,
            () if view.rows.is_text() && !view.rows.filtered_by().is_empty() && view.rows.matches(at) => theme.marked,
            () => theme.text,
        };
        if is_selected {
            buffer.set_style(line, base);
        }
        let of = |i: usize| match (is_selected, meaning(&view.kind, columns[i].field, item)) {
            (true, _) | (_, RowMeaning::Plain) => base,
            (_, RowMeaning::Good) => theme.good,
            (_, RowMeaning::Warning) => theme.warning,
            (_, RowMeaning::Bad) => theme.bad,
        };
        row(texts, &columns, &widths, of, line, buffer);
    }
    let count = body.height.min((end - first) as u16);
    app.hits.push((Rect { height: count, ..body }, HitTarget::Rows(first)));
}

/// How a value is to be taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RowMeaning {
    Plain,
    Good,
    Warning,
    Bad,
}

fn meaning(kind: &ViewKind, field: &str, item: &Value) -> RowMeaning {
    match (kind, field) {
        (ViewKind::Tasks | ViewKind::Migrations | ViewKind::Migration { .. }, "/status") => {
            match item["status"].as_str() {
                Some("completed") => RowMeaning::Good,
                Some("failed") => RowMeaning::Bad,
                Some("running" | "paused" | "needs_credentials") => RowMeaning::Warning,
                _ => RowMeaning::Plain,
            }
        }
        (ViewKind::Activity, "/status") => match item["status"].as_u64() {
            Some(200..400) => RowMeaning::Good,
            Some(500..) => RowMeaning::Bad,
            Some(400..500) => RowMeaning::Warning,
            _ => RowMeaning::Plain,
        },
        (ViewKind::Outbox, "/state") if item["state"] == "failed" => RowMeaning::Bad,
        (ViewKind::Keys, "/expires_at") if item["expired"] == true => RowMeaning::Bad,
        (ViewKind::Users, "/locked") if item["locked"] == true => RowMeaning::Warning,
        (ViewKind::Section { .. }, "/value") if item["value"] != item["default"] => RowMeaning::Warning,
        (ViewKind::Configuration, _) => RowMeaning::Bad,
        _ => RowMeaning::Plain,
    }
}

/// How far a task is.
pub(super) fn bar(task: &Value) -> String {
    let percent = task["progress"].as_u64().unwrap_or(0).min(100);
    let full = (percent / 10) as usize;
    format!("{}{} {percent:>3} %", "█".repeat(full), "░".repeat(10 - full))
}

fn row(
    texts: &[String],
    columns: &[Column],
    widths: &[usize],
    style: impl Fn(usize) -> Style,
    area: Rect,
    buffer: &mut Buffer,
) {
    let mut x = area.x;
    for (i, text) in texts.iter().enumerate() {
        let left = usize::from(area.right().saturating_sub(x));
        if left == 0 {
            return;
        }
        let room = widths[i].min(left);
        let text = fitted(text, room);
        let shift = if columns[i].is_right() { room.saturating_sub(width(&text)) } else { 0 };
        let cell = Rect { x: x + shift as u16, width: (room - shift) as u16, ..area };
        Painter::new(buffer, cell).text(&text, style(i));
        x += room as u16 + GAP;
    }
}

/// Cuts the widest column, again and again, until all fit.
fn fit(widths: &mut [usize], room: usize) {
    let gaps = usize::from(GAP) * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > room {
        let Some(widest) = widths.iter_mut().max().filter(|widest| **widest > LEAST) else { return };
        *widest -= 1;
    }
}
