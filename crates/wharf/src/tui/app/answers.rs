//! What the server answers, and the changes that it is asked for.

use super::{FileTransfer, PendingChange, TuiApp, TuiEffect, TuiMode};
use crate::tui::{
    form::{TuiForm, TypedConfirm},
    forms,
    view::{ImageSection, Loading, ViewKind},
    work::{ChangeRequest, ChangeStep, LoadPart, WorkAnswer},
};
use http::Method;
use serde_json::{Value, json};

impl TuiApp {
    pub(super) fn answer(&mut self, answer: WorkAnswer) {
        let now = self.now;
        match answer {
            WorkAnswer::Page { view, part: LoadPart::Rows, items, is_last } => {
                let Some(view) = self.by_id(view) else { return };
                // A list that is there stays as it is until the new one is complete.
                if view.rows.total() == 0 || (view.loaded_at.is_none() && view.incoming.is_empty()) {
                    view.rows.append(items);
                    if is_last {
                        view.incoming.clear();
                    }
                } else {
                    view.incoming.extend(items);
                    if is_last {
                        let items = std::mem::take(&mut view.incoming);
                        view.rows.replace(items);
                    }
                }
                if is_last {
                    (view.loading, view.loaded_at) = (Loading::Done, Some(now));
                }
                let is_shown = self.view().is_some_and(|shown| shown.loading != Loading::Idle);
                if is_shown {
                    self.load_detail(is_last);
                }
            }
            WorkAnswer::Page { view, items, is_last, .. } => {
                let Some(view) = self.by_id(view) else { return };
                match &mut view.detail {
                    Some(Value::Array(all)) if view.detail_loading == Loading::Running && !is_last => all.extend(items),
                    detail => *detail = Some(Value::Array(items)),
                }
                view.detail_loading = Loading::Done;
            }
            WorkAnswer::Object { view, part: LoadPart::Form, object, etag, .. } => {
                self.form_is_there(view, &object, etag)
            }
            WorkAnswer::Object { view, part, object, rows, etag } => self.object(view, part, object, rows, etag),
            WorkAnswer::Failed { view, part, problem } => {
                let Some(shown) = self.by_id(view) else { return };
                match part {
                    LoadPart::Rows => {
                        (shown.loading, shown.loaded_at) = (Loading::Failed(problem.clone()), Some(now));
                    }
                    LoadPart::Detail => shown.detail_loading = Loading::Failed(problem.clone()),
                    LoadPart::Form => return self.complain(problem.message),
                }
                if problem.needs_login && part == LoadPart::Rows {
                    self.offer_login(Some(problem.message));
                }
            }
            WorkAnswer::Changed { number, object, .. } => self.changed(number, &object),
            WorkAnswer::NotChanged { view, number, problem } => {
                let pending = self.pending.remove(&number);
                self.finish_transfer(number, Err(problem.message.clone()));
                match (&mut self.mode, pending) {
                    (TuiMode::Form(form), Some(PendingChange::Form { .. })) if form.is_sending && problem.is_stale => {
                        // The answer fills the form again.
                        match form.purpose.path() {
                            Some(path) => {
                                self.awaits_form = true;
                                self.load_form(view, path);
                            }
                            None => (form.is_sending, form.problem) = (false, Some(problem.message)),
                        }
                        self.load();
                    }
                    (_, Some(_)) if problem.is_stale => {
                        self.complain("Somebody else has changed it meanwhile; nothing was changed here.");
                        self.load();
                    }
                    (TuiMode::Form(form), Some(PendingChange::Form { .. } | PendingChange::Login))
                        if form.is_sending =>
                    {
                        form.is_sending = false;
                        form.problem = Some(problem.message);
                    }
                    _ => self.complain(problem.message),
                }
            }
            WorkAnswer::Transfer { number, done } => {
                if let Some(transfer) = self.transfers.iter_mut().find(|transfer| transfer.number == number) {
                    transfer.done = done;
                }
            }
        }
    }

    /// Opens the form that changes something, or fills one again that was refused.
    fn form_is_there(&mut self, view: u64, object: &Value, etag: Option<String>) {
        let Some(kind) = self.by_id(view).map(|view| view.kind.clone()) else { return };
        if !std::mem::take(&mut self.awaits_form) {
            return;
        }
        match &self.mode {
            TuiMode::Normal => {
                if let Some(form) = forms::edit(&kind, object, etag) {
                    self.mode = TuiMode::Form(form);
                }
            }
            TuiMode::Form(refused) if refused.is_sending => {
                let row = refused.purpose.row_of(object);
                let problem = row.is_none().then(|| "Somebody else has removed it meanwhile.".to_owned());
                match row.and_then(|row| forms::edit(&kind, &row, etag)) {
                    Some(form) => {
                        let said =
                            "Somebody else has changed it meanwhile, and nothing was saved. This is how it is now.";
                        self.mode = TuiMode::Form(TuiForm { problem: Some(said.to_owned()), ..form });
                    }
                    None => {
                        self.mode = TuiMode::Normal;
                        self.complain(problem.unwrap_or_default());
                    }
                }
            }
            _ => {}
        }
    }

    fn object(&mut self, id: u64, part: LoadPart, object: Value, rows: Option<Vec<Value>>, etag: Option<String>) {
        let now = self.now;
        let Some(view) = self.by_id(id) else { return };
        if part == LoadPart::Detail {
            (view.detail, view.detail_loading) = (Some(object), Loading::Done);
            return;
        }
        (view.loading, view.loaded_at, view.etag) = (Loading::Done, Some(now), etag);
        let is_new = view.detail.is_none();
        match view.kind {
            ViewKind::Home => {
                let me = object["me"].clone();
                let is_anonymous =
                    me.is_null() && !matches!(object["system"]["login"].as_str(), Some("none" | "external"));
                view.detail = Some(object);
                self.me = me;
                if is_anonymous {
                    self.offer_login(None);
                }
            }
            ViewKind::Image { .. } => {
                let is_same = view.detail.as_ref() == Some(&object);
                let is_index = object["children"].as_array().is_some_and(|children| !children.is_empty());
                view.detail = Some(object);
                if is_new && is_index {
                    view.show_section(ImageSection::Platforms);
                } else if !is_same {
                    let section = view.section;
                    view.show_section(section);
                }
            }
            _ => {
                view.detail = Some(object);
                view.rows.replace(rows.unwrap_or_default());
            }
        }
    }

    fn changed(&mut self, number: u64, object: &Value) {
        let Some(pending) = self.pending.remove(&number) else { return };
        match pending {
            PendingChange::Login => {
                self.say(forms::text(object, "note"));
                let context = object.get("context").and_then(Value::as_str).map(str::to_owned);
                self.effects.push(TuiEffect::Connect { context });
                return;
            }
            PendingChange::Upload => {
                self.finish_transfer(number, Ok(()));
                self.say(format!("Uploaded {}/{}.", forms::text(object, "version"), forms::text(object, "path")));
            }
            PendingChange::Form { done } => {
                match object.get("secret").and_then(Value::as_str) {
                    Some(secret) => {
                        self.mode = TuiMode::Secret { name: forms::text(object, "name"), secret: secret.to_owned() };
                    }
                    // What was started is what one wants to see.
                    None if object["task_id"].is_string() && self.is_at_migrations() => {
                        self.mode = TuiMode::Normal;
                        self.say(done);
                        return self.show(ViewKind::Migration { id: forms::text(object, "task_id") });
                    }
                    // Somebody who closed the form meanwhile may have opened another.
                    None if matches!(&self.mode, TuiMode::Form(form) if form.is_sending) => {
                        self.mode = TuiMode::Normal;
                    }
                    None => {}
                }
                self.say(done);
            }
            PendingChange::Confirmed { done } => {
                let kept = object.get("immutable").and_then(Value::as_array).map_or(0, Vec::len);
                match kept {
                    0 => self.say(done),
                    n => self.complain(format!("{n} of the tags cannot be deleted: the repository keeps them.")),
                }
                if let Some(view) = self.view_mut() {
                    view.rows.clear_marks();
                }
            }
        }
        self.load();
    }

    fn is_at_migrations(&self) -> bool {
        self.view().is_some_and(|view| view.kind == ViewKind::Migrations)
    }

    /// Opens the login, unless it was closed before or something else is open.
    fn offer_login(&mut self, problem: Option<String>) {
        // A login would not help where users sign in elsewhere.
        let home = self.screens[0].first().and_then(|home| home.detail.as_ref());
        let is_elsewhere = home.is_some_and(|home| home["system"]["login"] == "external");
        if !self.login_declined && !is_elsewhere && self.mode == TuiMode::Normal {
            let mut form = forms::login(&self.server.host, &self.server.user);
            form.problem = problem;
            self.mode = TuiMode::Form(form);
        }
    }

    /// The login form was closed.
    pub(in crate::tui) fn decline_login(&mut self) {
        self.login_declined = true;
    }

    /// Sends what a form asks for.
    pub(in crate::tui) fn submit(&mut self, mut form: TuiForm) {
        match forms::submit(&form) {
            Err((at, problem)) => {
                (form.at, form.problem) = (at, Some(problem));
                self.mode = TuiMode::Form(form);
            }
            Ok(submitted) => {
                let number = self.number();
                let view = self.view().map_or(0, |view| view.id);
                form.is_sending = true;
                match submitted {
                    forms::Submitted::Change(request, done) => {
                        self.pending.insert(number, PendingChange::Form { done });
                        self.effects.push(TuiEffect::Change { view, number, request });
                        self.mode = TuiMode::Form(form);
                    }
                    forms::Submitted::Login { server, user, secret } => {
                        self.pending.insert(number, PendingChange::Login);
                        self.effects.push(TuiEffect::Login { number, server, user, secret });
                        self.mode = TuiMode::Form(form);
                    }
                    forms::Submitted::Upload(upload) => {
                        self.pending.insert(number, PendingChange::Upload);
                        self.transfers.push(FileTransfer {
                            number,
                            name: upload.file.clone(),
                            size: std::fs::metadata(&upload.file).map_or(0, |file| file.len()),
                            done: 0,
                            started: self.now,
                            outcome: None,
                        });
                        self.say(format!("Uploading {}; :tasks shows how far it is.", upload.file));
                        self.effects.push(TuiEffect::Upload { view, number, upload });
                        self.mode = TuiMode::Normal;
                    }
                }
            }
        }
    }

    /// Sends what was confirmed.
    pub(in crate::tui) fn confirmed(&mut self, confirm: TypedConfirm) {
        let number = self.number();
        let view = self.view().map_or(0, |view| view.id);
        self.pending.insert(number, PendingChange::Confirmed { done: confirm.done });
        self.effects.push(TuiEffect::Change { view, number, request: confirm.change });
        self.mode = TuiMode::Normal;
    }

    /// Sends a request of the command line.
    pub(in crate::tui) fn send(&mut self, path: String, body: Option<Value>, done: &str) {
        let number = self.number();
        let view = self.view().map_or(0, |view| view.id);
        self.pending.insert(number, PendingChange::Confirmed { done: done.to_owned() });
        let request = ChangeRequest::Send(vec![ChangeStep::new(Method::POST, path, body.or_else(|| Some(json!({}))))]);
        self.effects.push(TuiEffect::Change { view, number, request });
    }

    fn finish_transfer(&mut self, number: u64, outcome: Result<(), String>) {
        if let Some(transfer) = self.transfers.iter_mut().find(|transfer| transfer.number == number) {
            if outcome.is_ok() {
                transfer.done = transfer.size;
            }
            transfer.outcome = Some(outcome);
        }
    }
}
