//! Forms: a few fields, one after the other, and deletions that are confirmed by typing a name.

use super::{field::TextField, forms::FormPurpose, work::ChangeRequest};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What can be typed into a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    Text,
    /// Shown as dots.
    Password,
    /// `y` or `n`.
    YesNo,
}

/// One field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormField {
    pub label: &'static str,
    /// An example, or what it means.
    pub hint: &'static str,
    pub kind: FieldKind,
    pub field: TextField,
    /// Whether it may not stay empty.
    pub is_required: bool,
}

/// A form that is being filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TuiForm {
    pub title: String,
    pub fields: Vec<FormField>,
    /// The field with the cursor.
    pub at: usize,
    pub purpose: FormPurpose,
    /// What was wrong when it was sent.
    pub problem: Option<String>,
    /// Whether the answer is awaited.
    pub is_sending: bool,
    /// The entity tag of what it shows.
    pub etag: Option<String>,
}

/// What a key made of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormStep {
    Typing,
    Cancelled,
    Submitted,
}

/// A deletion that waits for a name to be typed, or for `y`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedConfirm {
    pub title: String,
    /// What will happen.
    pub lines: Vec<String>,
    /// What has to be typed; `None` if `y` is enough.
    pub expected: Option<String>,
    pub field: TextField,
    pub change: ChangeRequest,
    /// What to say when it is done.
    pub done: String,
}

impl FormField {
    /// A field that must be filled in.
    pub fn new(label: &'static str, hint: &'static str) -> Self {
        Self { label, hint, kind: FieldKind::Text, field: TextField::default(), is_required: true }
    }

    /// A field that may stay empty.
    pub fn optional(label: &'static str, hint: &'static str) -> Self {
        Self { is_required: false, ..Self::new(label, hint) }
    }

    /// A password.
    pub fn password(label: &'static str) -> Self {
        Self { kind: FieldKind::Password, ..Self::new(label, "") }
    }

    /// A password that may stay empty.
    pub fn optional_password(label: &'static str) -> Self {
        Self { is_required: false, ..Self::password(label) }
    }

    /// A question.
    pub fn yes_no(label: &'static str, answer: bool) -> Self {
        Self { kind: FieldKind::YesNo, ..Self::new(label, "y or n") }.with(if answer { "y" } else { "n" })
    }

    /// With a text to begin with.
    pub fn with(self, text: impl Into<String>) -> Self {
        Self { field: TextField::new(text), ..self }
    }
}

impl TuiForm {
    /// An empty form.
    pub fn new(title: impl Into<String>, purpose: FormPurpose, fields: Vec<FormField>) -> Self {
        // The first field that is empty gets the cursor.
        let at = fields.iter().position(|field| field.field.is_empty()).unwrap_or(0);
        Self { title: title.into(), fields, at, purpose, problem: None, is_sending: false, etag: None }
    }

    /// What is in a field.
    pub fn text(&self, at: usize) -> &str {
        self.fields.get(at).map_or("", |field| field.field.text().trim())
    }

    /// What is in a field, with spaces at its ends.
    pub fn secret(&self, at: usize) -> &str {
        self.fields.get(at).map_or("", |field| field.field.text())
    }

    /// The answer to a question.
    pub fn is_yes(&self, at: usize) -> bool {
        self.text(at) == "y"
    }

    /// Words of a field, split at commas and spaces.
    pub fn words(&self, at: usize) -> Vec<String> {
        let words = self.text(at).split([',', ' ']).map(str::trim).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    }

    /// Handles a key.
    pub fn key(&mut self, key: KeyEvent) -> FormStep {
        if self.is_sending {
            return if key.code == KeyCode::Esc { FormStep::Cancelled } else { FormStep::Typing };
        }
        let last = self.fields.len().saturating_sub(1);
        let Some(field) = self.fields.get_mut(self.at) else { return FormStep::Cancelled };
        match key.code {
            KeyCode::Esc => return FormStep::Cancelled,
            KeyCode::Enter if field.is_required && field.field.text().trim().is_empty() => {
                self.problem = Some(format!("{}: type something", field.label));
            }
            KeyCode::Enter if self.at == last => {
                // A field that was jumped over may still be empty.
                let empty = self.fields.iter().position(|field| field.is_required && field.field.is_empty());
                match empty {
                    Some(at) => {
                        self.at = at;
                        self.problem = Some(format!("{}: type something", self.fields[at].label));
                    }
                    None => {
                        self.problem = None;
                        return FormStep::Submitted;
                    }
                }
            }
            KeyCode::Enter | KeyCode::Tab | KeyCode::Down => {
                self.problem = None;
                self.at = (self.at + 1).min(last);
            }
            KeyCode::BackTab | KeyCode::Up => self.at = self.at.saturating_sub(1),
            KeyCode::Char(c) if field.kind == FieldKind::YesNo => {
                let answer = match c.to_ascii_lowercase() {
                    'y' => Some("y"),
                    'n' => Some("n"),
                    ' ' => Some(if field.field.text() == "y" { "n" } else { "y" }),
                    _ => None,
                };
                if let Some(answer) = answer {
                    field.field = TextField::new(answer);
                }
            }
            _ if field.kind == FieldKind::YesNo => {}
            _ => edit(&mut field.field, key),
        }
        FormStep::Typing
    }
}

impl TypedConfirm {
    /// Handles a key.
    pub fn key(&mut self, key: KeyEvent) -> FormStep {
        match (&self.expected, key.code) {
            (_, KeyCode::Esc) => return FormStep::Cancelled,
            (None, KeyCode::Char('y' | 'Y')) => return FormStep::Submitted,
            (None, KeyCode::Char('n' | 'N' | 'q')) => return FormStep::Cancelled,
            (None, _) => {}
            (Some(expected), KeyCode::Enter) => {
                if self.field.text() == expected {
                    return FormStep::Submitted;
                }
            }
            (Some(_), _) => edit(&mut self.field, key),
        }
        FormStep::Typing
    }

    /// Whether what is typed so far can still become right.
    pub fn is_on_track(&self) -> bool {
        self.expected.as_ref().is_none_or(|expected| expected.starts_with(self.field.text()))
    }
}

/// Handles a key in a line of text.
pub fn edit(field: &mut TextField, key: KeyEvent) {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('u') if control => field.clear_before(),
        KeyCode::Char('w') if control => field.clear_word(),
        KeyCode::Char('a') if control => field.jump(false),
        KeyCode::Char('e') if control => field.jump(true),
        KeyCode::Char(c) if !control => field.insert(c),
        KeyCode::Backspace => field.backspace(),
        KeyCode::Delete => field.delete(),
        KeyCode::Left => field.step(-1),
        KeyCode::Right => field.step(1),
        KeyCode::Home => field.jump(false),
        KeyCode::End => field.jump(true),
        _ => {}
    }
}
