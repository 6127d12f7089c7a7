//! The parts of an image that are listed below its summary.

use super::{
    TuiView,
    columns::{CHILDREN, HISTORY, LAYERS, REFERRERS},
};
use crate::tui::rows::{self, RowList};
use serde_json::Value;

/// The part of an image that is listed below its summary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImageSection {
    #[default]
    Manifest,
    Platforms,
    Layers,
    History,
    Referrers,
    Config,
}

impl ImageSection {
    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Manifest => "Manifest",
            Self::Platforms => "Platforms",
            Self::Layers => "Layers",
            Self::History => "History",
            Self::Referrers => "Referrers",
            Self::Config => "Configuration",
        }
    }
}

impl TuiView {
    /// Shows another part of an image.
    pub fn show_section(&mut self, section: ImageSection) {
        let image = self.detail.clone().unwrap_or_default();
        self.section = section;
        let list = |field: &str| image.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
        let table = |key, columns, items| {
            let mut rows = RowList::new(key, columns);
            rows.replace(items);
            rows
        };
        let text = |text: String| {
            let mut rows = RowList::text();
            rows.replace(rows::lines(&text));
            rows
        };
        self.rows = match section {
            ImageSection::Manifest => {
                let raw = image.get("raw").and_then(Value::as_str).unwrap_or_default();
                text(rows::indented(raw))
            }
            ImageSection::Config => text(
                image.get("config_content").filter(|it| !it.is_null()).map(|it| format!("{it:#}")).unwrap_or_default(),
            ),
            ImageSection::Platforms => table("/digest", CHILDREN, list("children")),
            ImageSection::Layers => table("/digest", LAYERS, list("layers")),
            ImageSection::Referrers => table("/digest", REFERRERS, list("referrers")),
            ImageSection::History => {
                let steps = list("history").into_iter().enumerate().map(|(i, mut step)| {
                    step["step"] = (i + 1).into();
                    step
                });
                table("/step", HISTORY, steps.collect())
            }
        };
    }

    /// The parts that an image has.
    pub fn sections(&self) -> Vec<ImageSection> {
        let image = self.detail.as_ref();
        let has = |field: &str| {
            let value = image.and_then(|image| image.get(field));
            value.is_some_and(|value| match value {
                Value::Array(items) => !items.is_empty(),
                other => !other.is_null(),
            })
        };
        let mut sections = vec![ImageSection::Manifest];
        if has("children") {
            sections.push(ImageSection::Platforms);
        } else {
            sections.push(ImageSection::Layers);
            sections.push(ImageSection::History);
        }
        sections.push(ImageSection::Referrers);
        if has("config_content") {
            sections.push(ImageSection::Config);
        }
        sections
    }
}
