//! Going from view to view, and loading what is shown.

use super::{MOST_REFRESHED, SETTLE, TuiApp, TuiEffect};
use crate::tui::{
    view::{Loading, TuiView, ViewKind, ViewLayout},
    work::{LoadPart, LoadRequest},
};
use std::time::Duration;

impl TuiApp {
    /// Goes to a screen. What the one before was loading ends.
    pub fn go(&mut self, screen: usize) {
        if screen != self.screen {
            self.leave();
        }
        self.screen = screen;
        if self.screens[screen].is_empty() {
            let id = self.number();
            self.screens[screen].push(TuiView::new(id, ViewKind::first(screen)));
        }
        self.arrive();
    }

    /// Shows a view in its screen; views above it are closed, or it is opened from the one that is there.
    pub fn show(&mut self, kind: ViewKind) {
        let screen = kind.screen();
        if screen != self.screen {
            self.go(screen);
        }
        if let Some(at) = self.screens[screen].iter().position(|view| view.kind == kind) {
            while self.screens[screen].len() > at + 1 {
                self.close();
            }
            self.arrive();
            return;
        }
        // An image is opened from its tags, wherever the command was typed.
        if let ViewKind::Image { repository, .. } = &kind {
            let tags = ViewKind::Tags { repository: repository.clone() };
            let is_open = self.screens[screen].iter().any(|view| view.kind == tags);
            if !is_open {
                self.show(tags);
            }
        }
        self.leave();
        let id = self.number();
        self.screens[screen].push(TuiView::new(id, kind));
        self.arrive();
    }

    /// Goes back to the view from which this one was opened. Whether there was one.
    pub fn back(&mut self) -> bool {
        if self.screens[self.screen].len() < 2 {
            return false;
        }
        self.close();
        self.arrive();
        true
    }

    fn close(&mut self) {
        if let Some(view) = self.screens[self.screen].pop() {
            self.effects.push(TuiEffect::Cancel { view: view.id });
        }
    }

    /// Nothing is loaded for a view that nobody sees.
    fn leave(&mut self) {
        if let Some(view) = self.view_mut() {
            for loading in [&mut view.loading, &mut view.detail_loading] {
                if *loading == Loading::Running {
                    *loading = Loading::Idle;
                }
            }
            let view = view.id;
            self.effects.push(TuiEffect::Cancel { view });
        }
    }

    fn arrive(&mut self) {
        let now = self.now;
        if let Some(view) = self.view() {
            let is_old = match (view.kind.refresh(), view.loaded_at) {
                (Some(every), Some(at)) => now.duration_since(at) >= every && view.rows.total() <= MOST_REFRESHED,
                (None, Some(_)) => false,
                (_, None) => true,
            };
            if is_old || view.loading == Loading::Idle {
                self.load();
            }
        }
    }

    /// Loads the view that is shown.
    pub fn load(&mut self) {
        let is_admin = self.is_admin();
        let Some(view) = self.view_mut() else { return };
        let Some(request) = view.kind.load(is_admin) else { return };
        view.loading = Loading::Running;
        view.incoming.clear();
        if view.loaded_at.is_none() {
            // Pages of a first load that was interrupted come again.
            view.rows.replace(Vec::new());
        }
        let id = view.id;
        self.effects.push(TuiEffect::Load { view: id, part: LoadPart::Rows, wait: Duration::ZERO, request });
    }

    /// Loads what belongs to the selected row, unless it is there.
    pub fn load_detail(&mut self, again: bool) {
        let Some(view) = self.view_mut() else { return };
        // Their detail is what they show as a whole.
        if matches!(
            view.kind.layout(),
            ViewLayout::Image | ViewLayout::Home | ViewLayout::Activity | ViewLayout::Report
        ) {
            return;
        }
        let key = view.rows.selected_key();
        if view.detail_of == key && !again {
            return;
        }
        if view.detail_of != key {
            view.detail = None;
        }
        view.detail_of = key;
        let request = view.rows.current().and_then(|row| view.kind.load_detail(row));
        if let Some(request) = request {
            view.detail_loading = Loading::Running;
            let id = view.id;
            self.effects.push(TuiEffect::Load { view: id, part: LoadPart::Detail, wait: SETTLE, request });
        }
    }

    /// Loads what a form is about to change.
    pub(in crate::tui) fn load_form(&mut self, view: u64, path: String) {
        let request = LoadRequest::Thing(path);
        self.effects.push(TuiEffect::Load { view, part: LoadPart::Form, wait: Duration::ZERO, request });
    }
}
