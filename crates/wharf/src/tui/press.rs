//! What keys, clicks and pasted text do.

use super::{
    app::{HitTarget, TuiApp, TuiEffect, TuiMode},
    field::TextField,
    form::{FormStep, edit},
    forms,
    harmless::harmless,
    keys::{TuiAction, action},
    line::{self, KnownNames, LineCommand},
    theme::TuiTheme,
    view::{ImageSection, SCREENS, ViewKind, ViewLayout},
};
use crate::{config::TuiConfig, management::segment};
use ratatui::crossterm::event::{
    KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use serde_json::Value;

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
                if let Some(action) = action(key) {
                    self.act(action);
                }
            }
            TuiMode::Filter(field) => self.filter_key(field, key),
            TuiMode::Command { field, completions, chosen } => self.command_key(field, completions, chosen, key),
            TuiMode::Form(mut form) => match form.key(key) {
                FormStep::Typing => self.mode = TuiMode::Form(form),
                FormStep::Cancelled if form.purpose == forms::FormPurpose::Login => self.decline_login(),
                FormStep::Cancelled => {}
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
            TuiAction::Edit => self.open(forms::edit),
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

    /// Opens what is selected.
    fn enter(&mut self) {
        let Some(view) = self.view() else { return };
        let Some(row) = view.rows.current() else { return };
        let of = |field: &str| forms::text(row, field);
        let kind = match &view.kind {
            ViewKind::Repositories => ViewKind::Tags { repository: of("name") },
            ViewKind::Tags { repository } => ViewKind::Image { repository: repository.clone(), reference: of("name") },
            ViewKind::Image { repository, .. }
                if matches!(view.section, ImageSection::Platforms | ImageSection::Referrers) =>
            {
                ViewKind::Image { repository: repository.clone(), reference: of("digest") }
            }
            ViewKind::UserMenu => match view.rows.selected() {
                0 => {
                    self.show(ViewKind::Keys);
                    self.mode = TuiMode::Form(forms::create_key());
                    return;
                }
                1 => ViewKind::Users,
                2 => ViewKind::Keys,
                3 => ViewKind::Groups,
                4 => ViewKind::Roles,
                _ => ViewKind::Sessions,
            },
            ViewKind::AdminMenu => match view.rows.selected() {
                0 => ViewKind::Activity,
                1 => ViewKind::Audit,
                2 => ViewKind::Settings,
                3 => ViewKind::Configuration,
                4 => ViewKind::Uploads,
                5 => ViewKind::Quotas,
                _ => ViewKind::Namespaces,
            },
            ViewKind::Users => ViewKind::Access { user: of("username") },
            ViewKind::ArtifactRepositories => ViewKind::Artifacts { repository: of("name") },
            ViewKind::ArtifactSearch { .. } => ViewKind::Artifacts { repository: of("repo") },
            ViewKind::Settings => ViewKind::Section { section: of("section") },
            ViewKind::Section { .. } => return self.open(forms::edit),
            ViewKind::Trash { .. } => return self.confirm(forms::restore),
            _ => return,
        };
        self.show(kind);
    }

    fn create(&mut self) {
        self.open(forms::create);
    }

    fn open(&mut self, form: impl FnOnce(&super::view::TuiView) -> Option<super::form::TuiForm>) {
        match self.view().and_then(form) {
            Some(form) => self.mode = TuiMode::Form(form),
            None => self.complain("There is nothing here that this key is for; ? shows the keys."),
        }
    }

    fn confirm(&mut self, confirm: impl FnOnce(&super::view::TuiView) -> Option<super::form::TypedConfirm>) {
        match self.view().and_then(confirm) {
            Some(confirm) => self.mode = TuiMode::Confirm(confirm),
            None => self.complain("There is nothing here that this key is for; ? shows the keys."),
        }
    }

    fn section(&mut self, section: ImageSection) {
        let Some(view) = self.view_mut().filter(|view| view.kind.layout() == ViewLayout::Image) else { return };
        match view.sections().contains(&section) {
            true => view.show_section(section),
            false => self.complain(format!("This image has no {}.", section.title().to_lowercase())),
        }
    }

    fn next_section(&mut self, by: isize) {
        let Some(view) = self.view_mut().filter(|view| view.kind.layout() == ViewLayout::Image) else { return };
        let sections = view.sections();
        let at = sections.iter().position(|section| *section == view.section).unwrap_or(0);
        let next = (at as isize + by).rem_euclid(sections.len() as isize) as usize;
        view.show_section(sections[next]);
    }

    /// Copies the command that pulls what is selected, or its digest.
    fn copy(&mut self, digest: bool) {
        let text = if digest { self.digest() } else { self.pull_command() };
        match text {
            Some(text) => {
                self.say(format!("Copied: {text}"));
                self.effects.push(TuiEffect::Copy(text));
            }
            None => self.complain("There is nothing to copy here."),
        }
    }

    fn digest(&self) -> Option<String> {
        let view = self.view()?;
        let of_image = || view.detail.as_ref().map(|image| forms::text(image, "digest"));
        let row = view.rows.current().map(|row| forms::text(row, "digest")).filter(|digest| !digest.is_empty());
        row.or_else(of_image).filter(|digest| !digest.is_empty()).map(|digest| quoted(&digest))
    }

    fn pull_command(&self) -> Option<String> {
        let view = self.view()?;
        let host = &self.server.host;
        let of = |field: &str| view.rows.current().map(|row| forms::text(row, field));
        Some(match &view.kind {
            ViewKind::Home => host.clone(),
            ViewKind::Repositories => format!("docker pull {}", quoted(&format!("{host}/{}", of("name")?))),
            ViewKind::Tags { repository } => {
                format!("docker pull {}", quoted(&format!("{host}/{repository}:{}", of("name")?)))
            }
            ViewKind::Image { repository, reference } => {
                let separator = if reference.contains(':') { '@' } else { ':' };
                format!("docker pull {}", quoted(&format!("{host}/{repository}{separator}{reference}")))
            }
            ViewKind::Artifacts { .. } | ViewKind::ArtifactSearch { .. } => format!(
                "wharf artifact download {} --version {} --path {}",
                quoted(&of("repo")?),
                quoted(&of("version")?),
                quoted(&of("path")?)
            ),
            _ => quoted(&view.rows.selected_key().filter(|key| !key.is_empty())?),
        })
    }

    /// The page in the browser that shows the same.
    fn page(&self) -> String {
        let name = |name: &str| name.split('/').map(segment).collect::<Vec<_>>().join("/");
        let row = self.view().and_then(|view| view.rows.current()).cloned().unwrap_or(Value::Null);
        let path = match self.view().map(|view| &view.kind) {
            Some(ViewKind::Repositories) => format!("/repositories/{}", name(&forms::text(&row, "name"))),
            Some(ViewKind::Tags { repository }) => format!("/repositories/{}", name(repository)),
            Some(ViewKind::Image { repository, reference }) => {
                format!("/repositories/{}/-/manifests/{}", name(repository), segment(reference))
            }
            Some(ViewKind::Users | ViewKind::Access { .. } | ViewKind::UserMenu) => "/users".into(),
            Some(ViewKind::Groups) => "/groups".into(),
            Some(ViewKind::Roles) => "/roles".into(),
            Some(ViewKind::Keys | ViewKind::Sessions) => "/profile".into(),
            _ => "/".into(),
        };
        format!("{}{path}", self.server.url)
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

/// A word as a shell takes it, without anything that a terminal would take for a key.
fn quoted(word: &str) -> String {
    let word = harmless(word);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+=,".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word,
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_is_safe_to_paste_into_a_shell() {
        for (word, copied) in [
            ("team/app:v1", "team/app:v1"),
            ("a b", "'a b'"),
            ("a;rm -rf ~", "'a;rm -rf ~'"),
            ("it's", r"'it'\''s'"),
            ("a\nrm", r"'a\u{a}rm'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), copied);
        }
    }
}
