//! An image: its summary, and below it its manifest, platforms, layers, history or referrers.

use super::{
    Painter, border,
    pieces::{boxed, failed, labelled, padded},
    table::table,
};
use crate::{
    output::{Column, ColumnKind, count},
    tui::{
        app::TuiApp,
        harmless::harmless,
        rows::cell,
        view::{ImageSection, Loading},
    },
};
use ratatui::{buffer::Buffer, layout::Rect};
use serde_json::Value;

const SUMMARY: &[Column] = &[
    Column::text("Digest", "/digest"),
    Column::text("Media type", "/media_type"),
    Column::text("Artifact type", "/artifact_type"),
    Column::of("Size", "/size", ColumnKind::Bytes),
    Column::text("Platforms", "/platforms"),
    Column::text("Tags", "/tags"),
    Column::text("Refers to", "/subject"),
    Column::of("Pushed", "/pushed_at", ColumnKind::Time),
    Column::text("Pushed by", "/pushed_by"),
    Column::text("Annotations", "/annotations"),
];

pub(super) fn image(app: &mut TuiApp, area: Rect, buffer: &mut Buffer) {
    let (time, theme, style) = (app.time, app.theme.clone(), border(app));
    let Some(view) = app.view() else { return };
    let title = harmless(&view.kind.title());
    let Some(image) = &view.detail else {
        let inner = padded(boxed(&title, style, theme.title, area, buffer));
        match &view.loading {
            Loading::Failed(problem) => failed(app, problem, inner, buffer),
            _ => drop(buffer.set_stringn(inner.x, inner.y, "Loading…", usize::from(inner.width), theme.dim)),
        }
        return;
    };
    let mut pairs: Vec<_> = SUMMARY
        .iter()
        .map(|column| (column.title.to_owned(), cell(column, image, time), theme.text))
        .filter(|(_, value, _)| !value.is_empty())
        .collect();
    if image["has_signature"] == true {
        pairs.push(("Signed".into(), "yes; the signature is not verified here".into(), theme.good));
    }
    // The summary leaves at least half of the screen to the list.
    let height = (pairs.len() as u16 + 2).min(area.height / 2);
    let top = Rect { height, ..area };
    labelled(&pairs, theme.dim, padded(boxed(&title, theme.border, theme.title, top, buffer)), buffer);

    let below = Rect { y: area.y + height, height: area.height - height, ..area };
    let inner = padded(boxed("", style, theme.title, below, buffer));
    let (sections, section) = (view.sections(), view.section);
    let mut paint = Painter::new(buffer, Rect { x: below.x + 2, width: below.width - 4, y: below.y, height: 1 });
    for (i, one) in sections.iter().enumerate() {
        let of = |field: &str| image[field].as_array().map(|items| items.len() as u64);
        let number = match one {
            ImageSection::Platforms => of("children"),
            ImageSection::Layers => of("layers"),
            ImageSection::History => of("history"),
            ImageSection::Referrers => of("referrers"),
            ImageSection::Manifest | ImageSection::Config => None,
        };
        let number = number.map(|number| format!(" {number}")).unwrap_or_default();
        let style = if *one == section { theme.selected } else { theme.dim };
        if i > 0 {
            paint.text("─", style_of_border(app));
        }
        paint.text(&format!(" {}{number} ", one.title()), style);
    }
    if section == ImageSection::Layers {
        let sizes = image["layers"].as_array().into_iter().flatten().filter_map(|layer| layer["size"].as_u64());
        let (number, total) = sizes.fold((0, 0u64), |(n, total), size| (n + 1, total.saturating_add(size)));
        let text = format!(" {}, {} ", count(number, "layer"), crate::output::bytes(total));
        let line = Rect { y: below.bottom() - 1, height: 1, x: below.x + 2, width: below.width - 4 };
        Painter::new(buffer, line).right(&[(&text, theme.dim)]);
    }
    let empty = match section {
        ImageSection::Manifest if image["raw"] == Value::Null => "The manifest is no text.",
        ImageSection::Referrers => "Nothing refers to this image.",
        ImageSection::History => "Its configuration has no history.",
        _ => "There is nothing here.",
    };
    table(app, inner, empty, buffer);
}

fn style_of_border(app: &TuiApp) -> ratatui::style::Style {
    border(app)
}
