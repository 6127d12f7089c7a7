//! What keys do with the selected row.

use crate::{
    management::segment,
    tui::{
        app::{TuiApp, TuiEffect, TuiMode},
        form::{TuiForm, TypedConfirm},
        forms,
        harmless::harmless,
        view::{ImageSection, TuiView, ViewKind, ViewLayout},
    },
};
use serde_json::Value;

impl TuiApp {
    /// Opens what is selected.
    pub(super) fn enter(&mut self) {
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
                6 => ViewKind::Namespaces,
                7 => ViewKind::Migrations,
                _ => ViewKind::Outbox,
            },
            ViewKind::Tasks if row["kind"] == "migration" => ViewKind::Migration { id: of("id") },
            ViewKind::Migrations => ViewKind::Migration { id: of("id") },
            ViewKind::Users => ViewKind::Access { user: of("username") },
            ViewKind::ArtifactRepositories => ViewKind::Artifacts { repository: of("name") },
            ViewKind::ArtifactSearch { .. } => ViewKind::Artifacts { repository: of("repo") },
            ViewKind::Settings => ViewKind::Section { section: of("section") },
            ViewKind::Section { .. } => return self.edit(),
            ViewKind::Trash { .. } => return self.confirm(forms::restore),
            _ => return,
        };
        self.show(kind);
    }

    /// Opens the form that changes the selected row. What others may change too is read first, so that the form shows
    /// how it is now and the change is refused if that is no longer so.
    pub(super) fn edit(&mut self) {
        let edited = self.view().and_then(|view| Some((view.id, view.kind.edited(view.rows.current()?)?)));
        match edited {
            Some((view, path)) => {
                self.awaits_form = true;
                self.load_form(view, path);
            }
            None => self.open(|view| forms::edit(&view.kind, view.rows.current()?, view.etag.clone())),
        }
    }

    pub(super) fn create(&mut self) {
        self.open(forms::create);
    }

    pub(super) fn open(&mut self, form: impl FnOnce(&TuiView) -> Option<TuiForm>) {
        match self.view().and_then(form) {
            Some(form) => self.mode = TuiMode::Form(form),
            None => self.complain("There is nothing here that this key is for; ? shows the keys."),
        }
    }

    pub(super) fn confirm(&mut self, confirm: impl FnOnce(&TuiView) -> Option<TypedConfirm>) {
        match self.view().and_then(confirm) {
            Some(confirm) => self.mode = TuiMode::Confirm(confirm),
            None => self.complain("There is nothing here that this key is for; ? shows the keys."),
        }
    }

    pub(super) fn section(&mut self, section: ImageSection) {
        let Some(view) = self.view_mut().filter(|view| view.kind.layout() == ViewLayout::Image) else { return };
        match view.sections().contains(&section) {
            true => view.show_section(section),
            false => self.complain(format!("This image has no {}.", section.title().to_lowercase())),
        }
    }

    pub(super) fn next_section(&mut self, by: isize) {
        let Some(view) = self.view_mut().filter(|view| view.kind.layout() == ViewLayout::Image) else { return };
        let sections = view.sections();
        let at = sections.iter().position(|section| *section == view.section).unwrap_or(0);
        let next = (at as isize + by).rem_euclid(sections.len() as isize) as usize;
        view.show_section(sections[next]);
    }

    /// Copies the command that pulls what is selected, or its digest.
    pub(super) fn copy(&mut self, digest: bool) {
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
    pub(super) fn page(&self) -> String {
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
            Some(ViewKind::Migrations) => "/migration".into(),
            Some(ViewKind::Migration { id }) => format!("/migration/{}", segment(id)),
            Some(ViewKind::Tasks | ViewKind::Outbox) => "/system".into(),
            _ => "/".into(),
        };
        format!("{}{path}", self.server.url)
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
