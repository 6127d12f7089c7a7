//! The state of the terminal UI. Events change it and give effects; it neither draws nor speaks to anybody.

mod answers;
mod navigate;

use super::{
    field::TextField,
    form::{TuiForm, TypedConfirm},
    forms::{self, FileUpload},
    harmless::harmless,
    theme::{ColorDepth, TuiTheme},
    view::{Loading, SCREENS, TuiView},
    work::{ChangeRequest, LoadPart, LoadRequest, WorkAnswer},
};
use jiff::Timestamp;
use ratatui::{
    crossterm::event::{KeyEvent, MouseEvent},
    layout::Rect,
};
use serde_json::Value;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// A moment before the details of a row are loaded: who scrolls asks for none of the rows in between.
const SETTLE: Duration = Duration::from_millis(120);

/// Lists that are longer are loaded again only when somebody asks.
const MOST_REFRESHED: usize = 5000;

/// After a failure, the next attempt by itself.
const RETRY: Duration = Duration::from_secs(15);

/// How long a note stays.
const NOTE: Duration = Duration::from_secs(6);

/// What happens to the state.
#[derive(Debug)]
pub enum TuiEvent {
    Key(KeyEvent),
    Paste(String),
    Mouse(MouseEvent),
    Resize(u16, u16),
    /// Some time passed.
    Tick,
    Answer(WorkAnswer),
}

/// What is to be done outside.
#[derive(Clone, PartialEq, Eq)]
pub enum TuiEffect {
    Load {
        view: u64,
        part: LoadPart,
        wait: Duration,
        request: LoadRequest,
    },
    Cancel {
        view: u64,
    },
    Change {
        view: u64,
        number: u64,
        request: ChangeRequest,
    },
    Login {
        number: u64,
        server: String,
        user: String,
        secret: String,
    },
    Upload {
        view: u64,
        number: u64,
        upload: FileUpload,
    },
    /// Connect to a context; to the current one unless it is named.
    Connect {
        context: Option<String>,
    },
    Copy(String),
    Open(String),
    Mouse(bool),
    Quit,
}

/// What keys are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TuiMode {
    Normal,
    Filter(TextField),
    Command {
        field: TextField,
        completions: Vec<String>,
        chosen: Option<usize>,
    },
    Form(TuiForm),
    Confirm(TypedConfirm),
    Help {
        offset: usize,
    },
    /// An API key, shown once.
    Secret {
        name: String,
        secret: String,
    },
}

/// What the last action came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TuiNote {
    pub text: String,
    pub is_error: bool,
    pub until: Instant,
}

/// Whom the program speaks to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerLabel {
    /// The name of the context.
    pub context: Option<String>,
    /// Host and port, as images are named.
    pub host: String,
    /// Where its pages are: `https://registry.example.com`.
    pub url: String,
    /// The user that the configuration names.
    pub user: String,
}

/// A file on its way up.
#[derive(Clone, Debug, PartialEq)]
pub struct FileTransfer {
    pub number: u64,
    pub name: String,
    pub size: u64,
    pub done: u64,
    pub started: Instant,
    /// Whether it ended, and how.
    pub outcome: Option<Result<(), String>>,
}

/// A change that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PendingChange {
    /// Of a form, which closes when it is made.
    Form {
        done: String,
    },
    /// Of a confirmation.
    Confirmed {
        done: String,
    },
    Login,
    Upload,
}

/// The state.
pub struct TuiApp {
    /// For each screen its views, each opened from the one before.
    pub screens: Vec<Vec<TuiView>>,
    pub screen: usize,
    pub mode: TuiMode,
    pub note: Option<TuiNote>,
    pub theme: TuiTheme,
    pub depth: ColorDepth,
    pub size: (u16, u16),
    pub server: ServerLabel,
    pub contexts: Vec<String>,
    /// Who is logged in, as the server says.
    pub me: Value,
    pub transfers: Vec<FileTransfer>,
    pub now: Instant,
    pub time: Timestamp,
    /// Where rows and screens were drawn, for clicks.
    pub hits: Vec<(Rect, HitTarget)>,
    pub effects: Vec<TuiEffect>,
    pending: HashMap<u64, PendingChange>,
    /// The login form was closed: it does not open by itself again.
    login_declined: bool,
    /// A form opens when what it shows is there, unless another key is pressed meanwhile.
    pub(super) awaits_form: bool,
    next: u64,
}

/// What a click is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HitTarget {
    Screen(usize),
    /// Rows, from this position on.
    Rows(usize),
}

impl TuiApp {
    /// Nothing is loaded yet.
    pub fn new(server: ServerLabel, contexts: Vec<String>, theme: TuiTheme, depth: ColorDepth) -> Self {
        Self {
            screens: SCREENS.iter().map(|_| Vec::new()).collect(),
            screen: 0,
            mode: TuiMode::Normal,
            note: None,
            theme,
            depth,
            size: (80, 24),
            server,
            contexts,
            me: Value::Null,
            transfers: Vec::new(),
            now: Instant::now(),
            time: Timestamp::now(),
            hits: Vec::new(),
            effects: Vec::new(),
            pending: HashMap::new(),
            login_declined: false,
            awaits_form: false,
            next: 0,
        }
    }

    /// Shows the first screen, or the login if no server is known.
    pub fn start(&mut self) {
        if self.server.host.is_empty() {
            self.mode = TuiMode::Form(forms::login("", ""));
        }
        self.go(0);
    }

    /// Begins again, at another server or as somebody else.
    pub fn restart(&mut self, server: ServerLabel, contexts: Vec<String>) {
        for view in self.screens.iter().flatten() {
            self.effects.push(TuiEffect::Cancel { view: view.id });
        }
        self.screens.iter_mut().for_each(Vec::clear);
        (self.server, self.contexts, self.me) = (server, contexts, Value::Null);
        self.login_declined = false;
        self.mode = TuiMode::Normal;
        let screen = self.screen;
        // The caller is known only from the first screen.
        self.go(0);
        self.go(screen);
    }

    /// The view that is shown.
    pub fn view(&self) -> Option<&TuiView> {
        self.screens[self.screen].last()
    }

    /// The same, to be changed.
    pub fn view_mut(&mut self) -> Option<&mut TuiView> {
        self.screens[self.screen].last_mut()
    }

    fn by_id(&mut self, id: u64) -> Option<&mut TuiView> {
        self.screens.iter_mut().flatten().find(|view| view.id == id)
    }

    /// Whether the caller is an administrator.
    pub fn is_admin(&self) -> bool {
        self.me["is_admin"] == true
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Takes what happened; what is to be done is in `effects`.
    pub fn handle(&mut self, event: TuiEvent) {
        match event {
            TuiEvent::Key(key) => self.press(key),
            TuiEvent::Paste(text) => self.paste(&text),
            TuiEvent::Mouse(mouse) => self.click(mouse),
            TuiEvent::Resize(width, height) => self.size = (width, height),
            TuiEvent::Tick => self.tick(),
            TuiEvent::Answer(answer) => self.answer(answer),
        }
    }

    /// Says something at the bottom for a while.
    pub fn say(&mut self, text: impl Into<String>) {
        self.note = Some(TuiNote { text: harmless(&text.into()), is_error: false, until: self.now + NOTE });
    }

    /// Says what went wrong.
    pub fn complain(&mut self, text: impl Into<String>) {
        self.note = Some(TuiNote { text: harmless(&text.into()), is_error: true, until: self.now + NOTE });
    }

    fn tick(&mut self) {
        let now = self.now;
        if self.note.as_ref().is_some_and(|note| note.until <= now) {
            self.note = None;
        }
        self.transfers
            .retain(|transfer| transfer.outcome.is_none() || now - transfer.started < Duration::from_secs(3600));
        let is_typing = !matches!(self.mode, TuiMode::Normal);
        let Some(view) = self.view() else { return };
        let Some(at) = view.loaded_at.filter(|_| !is_typing) else { return };
        let passed = now.duration_since(at);
        let is_due = match &view.loading {
            Loading::Done => view.kind.refresh().is_some_and(|every| passed >= every),
            Loading::Failed(problem) => !problem.needs_login && passed >= RETRY,
            Loading::Idle | Loading::Running => false,
        };
        if is_due && view.rows.total() <= MOST_REFRESHED {
            self.load();
        }
    }

    /// Whether a change has not been answered yet.
    pub fn is_busy(&self) -> bool {
        !self.pending.is_empty()
    }
}
