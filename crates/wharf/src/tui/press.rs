//! What keys, clicks and pasted text do.

mod selected;

use super::{
    app::{HitTarget, TuiApp, TuiEffect, TuiMode},
    field::TextField,
    form::{FormStep, edit},
    forms,
    keys::{TuiAction, action},
    line::{self, KnownNames, LineCommand},
    theme::TuiTheme,
    view::{ImageSection, SCREENS, ViewKind},
};
use crate::config::TuiConfig;
use ratatui::crossterm::event::{
    KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

/// Rows that the wheel moves by.
const WHEEL: isize = 3;

impl TuiApp {
    /// Handles a key.
    pub(super) fn press(&mut self, key: KeyEvent) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            self.effects.push(TuiEffect::Quit);
            return;
        }
        match std::mem::replace(&mut self.mode, TuiMode::Normal) {
            TuiMode::Normal => {
                self.awaits_form = false;
                if let Some(action) = action(key) {
                    self.act(action);
                }
            }
            TuiMode::Filter(field) => self.filter_key(field, key),
            TuiMode::Command { field, completions, chosen } => self.command_key(field, completions, chosen, key),
            TuiMode::Form(mut form) => match form.key(key) {
                FormStep::Typing => self.mode = TuiMode::Form(form),
                FormStep::Cancelled if form.purpose == forms::FormPurpose::Login => self.decline_login(),
                FormStep::Cancelled => self.awaits_form = false,
                FormStep::Submitted => self.submit(form),
            },
            TuiMode::Confirm(mut confirm) => match confirm.key(key) {
                FormStep::Typing => self.mode = TuiMode::Confirm(confirm),
                FormStep::Cancelled => self.say("Nothing was changed."),
                FormStep::Submitted => self.confirmed(confirm),
            },
            TuiMode::Help { offset } => {
                self.mode = match key.code {
                    KeyCode::Char('j') | KeyCode::Down => TuiMode::Help { offset: offset + 1 },
                    KeyCode::Char('k') | KeyCode::Up => TuiMode::Help { offset: offset.saturating_sub(1) },
                    KeyCode::PageDown | KeyCode::Char(' ') => TuiMode::Help { offset: offset + 10 },
                    KeyCode::PageUp => TuiMode::Help { offset: offset.saturating_sub(10) },
                    _ => TuiMode::Normal,
                };
            }
            TuiMode::Secret { name, secret } => match key.code {
                KeyCode::Char('y') => {
                    self.effects.push(TuiEffect::Copy(secret.clone()));
                    self.say("The key is copied, if the terminal allows it.");
                    self.mode = TuiMode::Secret { name, secret };
                }
                // Esc or Enter, so that no slip of a finger closes what is shown only once.
                KeyCode::Esc | KeyCode::Enter => {}
                _ => self.mode = TuiMode::Secret { name, secret },
            },
        }
    }

    fn filter_key(&mut self, mut field: TextField, key: KeyEvent) {
        let filter = |app: &mut Self, text: &str| {
            if let Some(view) = app.view_mut() {
                view.rows.filter(text);
            }
            app.load_detail(false);
        };
        match key.code {
            KeyCode::Esc => filter(self, ""),
            KeyCode::Enter => {}
            KeyCode::Down | KeyCode::Up => {
                self.step(if key.code == KeyCode::Down { 1 } else { -1 });
                self.mode = TuiMode::Filter(field);
            }
            _ => {
                edit(&mut field, key);
                filter(self, field.text());
                self.mode = TuiMode::Filter(field);
            }
        }
    }

    fn command_key(&mut self, mut field: TextField, completions: Vec<String>, chosen: Option<usize>, key: KeyEvent) {
        match key.code {
            KeyCode::Esc => {}
            KeyCode::Backspace if field.is_empty() => {}
            KeyCode::Enter => self.run_line(field.text()),
            KeyCode::Tab | KeyCode::BackTab if !completions.is_empty() => {
                let count = completions.len();
                let at = match (chosen, key.code) {
                    (None, KeyCode::BackTab) | (Some(0), KeyCode::BackTab) => count - 1,
                    (Some(at), KeyCode::BackTab) => at - 1,
                    (None, _) => 0,
                    (Some(at), _) => (at + 1) % count,
                };
                let field = TextField::new(completions[at].clone());
                self.mode = TuiMode::Command { field, completions, chosen: Some(at) };
            }
            _ => {
                edit(&mut field, key);
                self.mode = self.command_mode(field);
            }
        }
    }

    fn command_mode(&self, field: TextField) -> TuiMode {
        let repositories = self.repository_names();
        let completions = line::completions(field.text(), self.known(&repositories));
        TuiMode::Command { field, completions, chosen: None }
    }

    /// Names of repositories that have been loaded, for completion.
    fn repository_names(&self) -> Vec<String> {
        let views = self.screens.iter().flatten().filter(|view| view.kind == ViewKind::Repositories);
        views.flat_map(|view| view.rows.items()).map(|row| forms::text(row, "name")).collect()
    }

    fn known<'n>(&'n self, repositories: &'n [String]) -> KnownNames<'n> {
        KnownNames { contexts: &self.contexts, repositories }
    }

    /// Runs a command line.
    fn run_line(&mut self, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        match line::parse(text, self.known(&[])) {
            Err(problem) => self.complain(problem),
            Ok(LineCommand::Show(kind)) => self.show(kind),
            Ok(LineCommand::Quit) => self.effects.push(TuiEffect::Quit),
            Ok(LineCommand::Help) => self.mode = TuiMode::Help { offset: 0 },
            Ok(LineCommand::Login) => self.mode = TuiMode::Form(forms::login(&self.server.host, "")),
            Ok(LineCommand::Context(name)) => self.effects.push(TuiEffect::Connect { context: Some(name) }),
            Ok(LineCommand::Theme(name)) => match TuiTheme::choose(Some(&name), &TuiConfig::default(), self.depth) {
                Ok(theme) => self.theme = theme,
                Err(failure) => self.complain(failure.message),
            },
            Ok(LineCommand::Mouse(on)) => {
                self.effects.push(TuiEffect::Mouse(on));
                self.say(if on { "The mouse is taken; select text with Shift." } else { "The mouse is left alone." });
            }
            Ok(LineCommand::Send { path, body, done }) => self.send(path, body, done),
        }
    }

    /// Does what a key is for.
    fn act(&mut self, action: TuiAction) {
        let page = isize::from(self.size.1.saturating_sub(8).max(2) as i16);
        match action {
            TuiAction::Quit | TuiAction::Stop => self.effects.push(TuiEffect::Quit),
            TuiAction::PreviousScreen => self.go(self.screen.saturating_sub(1)),
            TuiAction::NextScreen => self.go((self.screen + 1).min(SCREENS.len() - 1)),
            TuiAction::Screen(screen) => self.go(screen),
            TuiAction::Down => self.step(1),
            TuiAction::Up => self.step(-1),
            TuiAction::PageDown => self.step(page / 2),
            TuiAction::PageUp => self.step(-page / 2),
            TuiAction::First => self.step(isize::MIN),
            TuiAction::Last => self.step(isize::MAX),
            TuiAction::Enter => self.enter(),
            TuiAction::Back => self.escape(),
            TuiAction::Create => self.create(),
            TuiAction::Delete => self.confirm(forms::delete),
            TuiAction::Visibility => self.confirm(forms::visibility),
            TuiAction::AddScope => self.open(forms::add_scope),
            TuiAction::Edit => self.edit(),
            TuiAction::Continue => self.open(forms::resume),
            TuiAction::CopyName => self.copy(false),
            TuiAction::CopyDigest => self.copy(true),
            TuiAction::Filter => {
                let text = self.view().map(|view| view.rows.filtered_by().to_owned()).unwrap_or_default();
                self.mode = TuiMode::Filter(TextField::new(text));
            }
            TuiAction::NextMatch => self.find(1),
            TuiAction::PreviousMatch => self.find(-1),
            TuiAction::Command => self.mode = self.command_mode(TextField::default()),
            TuiAction::Help => self.mode = TuiMode::Help { offset: 0 },
            TuiAction::Mark => {
                if let Some(view) = self.view_mut() {
                    view.rows.mark();
                }
                self.load_detail(false);
            }
            TuiAction::Sort => {
                if let Some(view) = self.view_mut() {
                    view.rows.sort_next();
                }
                self.load_detail(false);
            }
            TuiAction::Reload => {
                self.load();
                self.load_detail(true);
            }
            TuiAction::Section => self.next_section(1),
            TuiAction::PreviousSection => self.next_section(-1),
            TuiAction::Manifest => self.section(ImageSection::Manifest),
            TuiAction::Layers => self.section(ImageSection::Layers),
            TuiAction::History => self.section(ImageSection::History),
            TuiAction::Referrers => self.section(ImageSection::Referrers),
            TuiAction::Browser => {
                let url = self.page();
                self.effects.push(TuiEffect::Open(url));
            }
        }
    }

    fn step(&mut self, by: isize) {
        if let Some(view) = self.view_mut() {
            view.rows.step(by);
        }
        self.load_detail(false);
    }

    fn find(&mut self, by: isize) {
        if let Some(view) = self.view_mut() {
            view.rows.find(by);
        }
        self.load_detail(false);
    }

    /// Ends the filter, then the marks, then the view.
    fn escape(&mut self) {
        if let Some(view) = self.view_mut() {
            if !view.rows.filtered_by().is_empty() {
                return view.rows.filter("");
            }
            if view.rows.marks() > 0 {
                return view.rows.clear_marks();
            }
        }
        self.back();
    }

    /// Text from the clipboard goes where text is typed, and is never taken for keys.
    pub(super) fn paste(&mut self, text: &str) {
        let line = text.lines().next().unwrap_or_default();
        let fill = |field: &mut TextField| line.chars().for_each(|c| field.insert(c));
        match &mut self.mode {
            TuiMode::Form(form) if !form.is_sending => {
                let at = form.at;
                if let Some(field) = form.fields.get_mut(at)
                    && field.kind != super::form::FieldKind::YesNo
                {
                    fill(&mut field.field);
                }
            }
            TuiMode::Confirm(confirm) => fill(&mut confirm.field),
            TuiMode::Command { field, .. } => {
                fill(field);
                let field = field.clone();
                self.mode = self.command_mode(field);
            }
            TuiMode::Filter(field) => {
                fill(field);
                let text = field.text().to_owned();
                if let Some(view) = self.view_mut() {
                    view.rows.filter(&text);
                }
            }
            _ => {}
        }
    }

    /// Handles a click or the wheel.
    pub(super) fn click(&mut self, mouse: MouseEvent) {
        if self.mode != TuiMode::Normal {
            return;
        }
        match mouse.kind {
            MouseEventKind::ScrollDown => self.step(WHEEL),
            MouseEventKind::ScrollUp => self.step(-WHEEL),
            MouseEventKind::Down(MouseButton::Left) => {
                let at = (mouse.column, mouse.row).into();
                let hit = self.hits.iter().find(|(area, _)| area.contains(at)).copied();
                match hit {
                    Some((_, HitTarget::Screen(screen))) => self.go(screen),
                    Some((area, HitTarget::Rows(first))) => {
                        let row = first + usize::from(mouse.row - area.y);
                        let Some(view) = self.view_mut().filter(|view| row < view.rows.len()) else { return };
                        match view.rows.selected() == row {
                            true => self.enter(),
                            false => {
                                view.rows.select(row);
                                self.load_detail(false);
                            }
                        }
                    }
                    None => {}
                }
            }
            _ => {}
        }
    }
}
