//! A list of any length, of which the screen shows a part: selected, filtered, sorted, marked.

#[cfg(test)]
mod tests;
mod text;

pub use text::{cell, indented, lines};

use crate::output::Column;
use serde_json::Value;
use std::collections::HashSet;
use text::{compare, plain};

/// The one column of a text.
const LINES: &[Column] = &[Column::text("", "/line")];

/// One column is sorted by, in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowOrder {
    /// The column, by its index.
    pub column: usize,
    /// From the greatest to the least.
    pub descending: bool,
}

/// The rows of a list. All positions that callers see are among the rows that the filter leaves.
#[derive(Debug, Default)]
pub struct RowList {
    items: Vec<Value>,
    /// What the filter looks into, lower case, one text for each item.
    haystacks: Vec<String>,
    /// The items that are shown, in their order.
    shown: Vec<usize>,
    selected: usize,
    offset: usize,
    filter: String,
    order: Option<RowOrder>,
    marked: HashSet<String>,
    /// The field that names an item, as a JSON pointer.
    key: &'static str,
    columns: Vec<Column>,
    /// Lines of a text: a filter finds its lines and hides none.
    is_text: bool,
}

impl RowList {
    /// An empty list of items that this field names and these columns show.
    pub fn new(key: &'static str, columns: &'static [Column]) -> Self {
        let columns = columns.iter().filter(|column| column.is_on_screen()).copied().collect();
        Self { key, columns, ..Self::default() }
    }

    /// The lines of a text.
    pub fn text() -> Self {
        Self { is_text: true, ..Self::new("/line", LINES) }
    }

    /// The columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Whether these are lines of a text.
    pub fn is_text(&self) -> bool {
        self.is_text
    }

    /// Replaces all items. The selection stays at the item with the same name, or at its place.
    pub fn replace(&mut self, items: Vec<Value>) {
        let selected = self.selected_key();
        self.haystacks.clear();
        self.items.clear();
        self.push(items);
        if let Some(key) = selected
            && let Some(at) = self.shown.iter().position(|index| self.key_of(&self.items[*index]) == key)
        {
            self.selected = at;
        }
        self.selected = self.selected.min(self.shown.len().saturating_sub(1));
        if !self.marked.is_empty() {
            let known: HashSet<String> = self.items.iter().map(|item| self.key_of(item)).collect();
            self.marked.retain(|key| known.contains(key));
        }
    }

    /// Adds items at the end.
    pub fn append(&mut self, items: Vec<Value>) {
        let selected = self.selected_key();
        let is_sorted = self.order.is_some();
        self.push(items);
        if let Some(key) = selected.filter(|_| is_sorted) {
            self.select_key(&key);
        }
    }

    fn push(&mut self, items: Vec<Value>) {
        let first = self.items.len();
        for item in &items {
            let texts = self.columns.iter().map(|column| plain(item.pointer(column.field).unwrap_or(&Value::Null)));
            self.haystacks.push(texts.collect::<Vec<_>>().join("\u{1f}").to_lowercase());
        }
        self.items.extend(items);
        match (first, self.order) {
            (0, _) | (_, Some(_)) => self.arrange(),
            _ => {
                let more: Vec<usize> = (first..self.items.len()).filter(|index| self.passes(*index)).collect();
                self.shown.extend(more);
            }
        }
    }

    /// Shows the items that contain this text.
    pub fn filter(&mut self, filter: &str) {
        let selected = self.selected_key();
        self.filter = filter.to_lowercase();
        self.arrange();
        match (self.is_text, selected) {
            (true, _) if !self.matches(self.selected) => self.find(1),
            (false, Some(key)) => self.select_key(&key),
            _ => {}
        }
    }

    /// What is filtered by, lower case.
    pub fn filtered_by(&self) -> &str {
        &self.filter
    }

    /// Goes to the next row that the filter finds, or to the one before.
    pub fn find(&mut self, by: isize) {
        let count = self.shown.len();
        if count == 0 {
            return;
        }
        let mut at = self.selected;
        for _ in 0..count {
            at = (at as isize + by).rem_euclid(count as isize) as usize;
            if self.matches(at) {
                self.selected = at;
                return;
            }
        }
    }

    /// Whether the filter finds the row at a position.
    pub fn matches(&self, at: usize) -> bool {
        let found = self.shown.get(at).and_then(|index| self.haystacks.get(*index));
        found.is_some_and(|haystack| haystack.contains(&self.filter))
    }

    fn passes(&self, index: usize) -> bool {
        self.is_text || self.filter.is_empty() || self.haystacks[index].contains(&self.filter)
    }

    /// Sorts by the next column: ascending, descending, then the next one, and at the end as the server sorts.
    pub fn sort_next(&mut self) {
        if self.is_text {
            return;
        }
        self.order = match self.order {
            None => Some(RowOrder { column: 0, descending: false }),
            Some(RowOrder { column, descending: false }) => Some(RowOrder { column, descending: true }),
            Some(RowOrder { column, .. }) if column + 1 < self.columns.len() => {
                Some(RowOrder { column: column + 1, descending: false })
            }
            Some(_) => None,
        };
        let selected = self.selected_key();
        self.arrange();
        if let Some(key) = selected {
            self.select_key(&key);
        }
    }

    /// What is sorted by; `None` as the server sorts.
    pub fn order(&self) -> Option<RowOrder> {
        self.order
    }

    fn arrange(&mut self) {
        self.shown = (0..self.items.len()).filter(|index| self.passes(*index)).collect();
        if let Some(RowOrder { column, descending }) = self.order
            && let Some(column) = self.columns.get(column)
        {
            let items = &self.items;
            let of = |index: &usize| items[*index].pointer(column.field).unwrap_or(&Value::Null);
            self.shown.sort_by(|a, b| {
                let order = compare(of(a), of(b), column.kind);
                if descending { order.reverse() } else { order }
            });
        }
        self.selected = self.selected.min(self.shown.len().saturating_sub(1));
    }

    /// How many rows are shown.
    pub fn len(&self) -> usize {
        self.shown.len()
    }

    /// Whether no row is shown.
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// How many items there are, filtered or not.
    pub fn total(&self) -> usize {
        self.items.len()
    }

    /// The item at a position.
    pub fn item(&self, at: usize) -> Option<&Value> {
        self.items.get(*self.shown.get(at)?)
    }

    /// All items, filtered or not.
    pub fn items(&self) -> &[Value] {
        &self.items
    }

    /// The position that is selected.
    pub fn selected(&self) -> usize {
        self.selected
    }

    /// The item that is selected.
    pub fn current(&self) -> Option<&Value> {
        self.item(self.selected)
    }

    /// The name of the selected item.
    pub fn selected_key(&self) -> Option<String> {
        self.current().map(|item| self.key_of(item))
    }

    /// The name of an item.
    pub fn key_of(&self, item: &Value) -> String {
        plain(item.pointer(self.key).unwrap_or(&Value::Null))
    }

    fn select_key(&mut self, key: &str) {
        if let Some(at) = self.shown.iter().position(|index| self.key_of(&self.items[*index]) == key) {
            self.selected = at;
        }
    }

    /// Selects a position.
    pub fn select(&mut self, at: usize) {
        self.selected = at.min(self.shown.len().saturating_sub(1));
    }

    /// Moves the selection by rows.
    pub fn step(&mut self, by: isize) {
        self.select(self.selected.saturating_add_signed(by));
    }

    /// Marks the selected item or removes its mark, and goes to the next.
    pub fn mark(&mut self) {
        if let Some(key) = self.selected_key() {
            if !self.marked.remove(&key) {
                self.marked.insert(key);
            }
            self.step(1);
        }
    }

    /// Whether an item is marked.
    pub fn is_marked(&self, item: &Value) -> bool {
        !self.marked.is_empty() && self.marked.contains(&self.key_of(item))
    }

    /// Removes all marks.
    pub fn clear_marks(&mut self) {
        self.marked.clear();
    }

    /// The names of the marked items in the order of the list, or of the selected one if none is marked.
    pub fn chosen(&self) -> Vec<String> {
        match self.marked.is_empty() {
            true => self.selected_key().into_iter().collect(),
            false => {
                let marked = self.items.iter().filter(|item| self.is_marked(item));
                marked.map(|item| self.key_of(item)).collect()
            }
        }
    }

    /// How many items are marked.
    pub fn marks(&self) -> usize {
        self.marked.len()
    }

    /// The first position of a window of this height that shows the selected row.
    pub fn window(&mut self, height: usize) -> usize {
        let height = height.max(1);
        let last_offset = self.shown.len().saturating_sub(height);
        self.offset = self.offset.clamp((self.selected + 1).saturating_sub(height), self.selected).min(last_offset);
        self.offset
    }

    /// The first position of the window that was shown last.
    pub fn offset(&self) -> usize {
        self.offset
    }
}
