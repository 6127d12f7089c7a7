//! One thing with its values, and a list that belongs to it: a migration with its images, the outbox with its writes.

use super::{
    border,
    pieces::{boxed, failed, labelled, labelled_lines, padded},
    screen::{details, empty, list_title},
    table::{bar, table},
};
use crate::tui::{app::TuiApp, harmless::harmless, rows::cell, view::Loading};
use ratatui::{buffer::Buffer, layout::Rect, style::Style};

/// Lines of the box with the selected row.
const SELECTED: u16 = 5;

/// Below this height there is no box with the selected row.
const ROOMY: u16 = 24;

/// Lines that are left for the list: its border, its heading and some rows.
const LEAST_LIST: u16 = 8;

/// The widths of two columns with a gap between them.
fn halves(width: u16) -> (u16, u16) {
    let half = width / 2;
    (half.saturating_sub(2), width - half)
}

pub(super) fn report(app: &mut TuiApp, area: Rect, buffer: &mut Buffer) {
    let theme = app.theme.clone();
    let Some(view) = app.view() else { return };
    let title = harmless(&view.kind.title());
    let Some(object) = view.detail.clone() else {
        let inner = padded(boxed(&title, border(app), theme.title, area, buffer));
        let loading = view.loading.clone();
        match &loading {
            Loading::Failed(problem) => failed(app, problem, inner, buffer),
            _ => buffer.set_string(inner.x, inner.y, "Loading…", theme.dim),
        }
        return;
    };
    let is_old = matches!(view.loading, Loading::Failed(_));
    // Its id is in the title.
    let columns = view.kind.summary().iter().filter(|column| column.field != "/id");
    let shown = columns.map(|column| {
        let value = match column.field {
            "/status" if object["progress"].is_u64() => {
                let status = cell(column, &object, app.time).replace('_', " ");
                format!("{} {status}", bar(&object))
            }
            _ => cell(column, &object, app.time),
        };
        (column.title.to_owned(), value, theme.text)
    });
    let pairs: Vec<(String, String, Style)> = shown.filter(|(_, value, _)| !value.is_empty()).collect();
    let (left, right) = pairs.split_at(pairs.len().div_ceil(2));
    let (left_width, right_width) = halves(area.width.saturating_sub(4));
    let lines = labelled_lines(left, left_width).max(labelled_lines(right, right_width));
    // The list keeps as much as it needs to show some rows.
    let height = (lines + 2).min(area.height.saturating_sub(LEAST_LIST));
    let title = if is_old { format!("{title} · not reloaded, r tries again") } else { title };
    let inner = padded(boxed(&title, theme.border, theme.title, Rect { height, ..area }, buffer));
    labelled(left, theme.dim, Rect { width: left_width, ..inner }, buffer);
    labelled(right, theme.dim, Rect { x: inner.right() - right_width, width: right_width, ..inner }, buffer);

    let below = Rect { y: area.y + height, height: area.height - height, ..area };
    let has_details = area.height >= ROOMY && app.view().is_some_and(|view| !view.rows.is_empty());
    let selected = if has_details { SELECTED.min(below.height / 2) } else { 0 };
    let list = Rect { height: below.height - selected, ..below };
    let inner = padded(boxed(&list_title(app), border(app), theme.title, list, buffer));
    table(app, inner, &empty(app), buffer);
    if has_details {
        let below = Rect { y: list.bottom(), height: selected, ..below };
        let inner = padded(boxed("Details", theme.border, theme.title, below, buffer));
        details(app, inner, buffer);
    }
}
