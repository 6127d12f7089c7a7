//! `wharf tui`: the terminal UI.
//!
//! Keys, time and answers of the server are events. They change the state ([`app`]), which names what is to be done
//! outside; that is done here, in tasks of its own ([`work`]). The state is drawn after each event ([`draw`]).

pub mod app;
pub mod draw;
pub mod field;
pub mod form;
pub mod forms;
pub mod harmless;
pub mod keys;
pub mod line;
mod press;
pub mod rows;
pub mod terminal;
pub mod theme;
pub mod view;
pub mod work;

use crate::{
    commands::{
        artifact::{
            notes::UploadNotes,
            transfer::{UploadTarget, upload_file},
        },
        login::{LoginWith, log_in},
    },
    failure::{ExitStatus, Failure},
    file_source::FileSource,
    management::Management,
    session::CommandSession,
};
use app::{ServerLabel, TuiApp, TuiEffect, TuiEvent};
use clap::Args;
use client::Secret;
use forms::FileUpload;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{
    io::{self, IsTerminal},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use terminal::TerminalGuard;
use theme::{ColorDepth, TuiTheme};
use tokio::sync::mpsc;
use view::LoadProblem;
use work::{WorkAnswer, Workers};

/// How often the time is looked at.
const TICK: Duration = Duration::from_millis(250);

/// Events that are handled before the next frame.
const BATCH: usize = 256;

/// `wharf tui`.
#[derive(Args)]
pub struct TuiArgs {
    /// Colours: terminal, dark, light or mono.
    #[arg(long, value_name = "NAME")]
    theme: Option<String>,
    /// Take clicks and the wheel.
    #[arg(long)]
    mouse: bool,
}

/// The connection, and what it is to.
struct Connection {
    session: Arc<CommandSession>,
    /// `None` if no server is known yet.
    management: Option<Management>,
}

/// Runs the terminal UI until somebody quits.
pub async fn run(args: TuiArgs, session: &CommandSession) -> Result<(), Failure> {
    let depth = ColorDepth::of_terminal(session.globals.no_color);
    let theme = TuiTheme::choose(args.theme.as_deref(), &session.config.tui, depth)?;
    let (mut connection, label) = Connection::open(session, None)?;
    let (answers, mut answered) = mpsc::unbounded_channel();
    let mut workers = Workers::new(answers);
    let mut app = TuiApp::new(label, connection.contexts(), theme, depth);

    let (guard, mut canvas) = TerminalGuard::take()?;
    let (keys, mut pressed) = mpsc::unbounded_channel();
    guard.read_keys(keys);
    if args.mouse || session.config.tui.mouse {
        terminal::capture_mouse(true);
    }
    app.start();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        for effect in std::mem::take(&mut app.effects) {
            if effect == TuiEffect::Quit {
                return Ok(());
            }
            connection.perform(effect, &mut app, &mut workers);
        }
        if !app.effects.is_empty() {
            continue;
        }
        let drawn = canvas.draw(|frame| draw::draw(&mut app, frame));
        drawn.map_err(|error| Failure::failed(format!("cannot draw on the terminal: {error}")))?;
        let event = tokio::select! {
            biased;
            key = pressed.recv() => match key {
                Some(key) => key,
                None => return Ok(()),
            },
            Some(answer) = answered.recv() => TuiEvent::Answer(answer),
            _ = ticks.tick() => TuiEvent::Tick,
        };
        (app.now, app.time) = (Instant::now(), Timestamp::now());
        app.handle(event);
        // What came meanwhile needs no frame of its own.
        for _ in 0..BATCH {
            let next = pressed.try_recv().or_else(|_| answered.try_recv().map(TuiEvent::Answer));
            match next {
                Ok(event) => app.handle(event),
                Err(_) => break,
            }
        }
    }
}

impl Connection {
    /// Connects as the configuration and the command line say, or to a context.
    fn open(before: &CommandSession, context: Option<String>) -> Result<(Self, ServerLabel), Failure> {
        let mut globals = before.globals.clone();
        if context.is_some() {
            (globals.context, globals.server) = (context, None);
        }
        if io::stderr().is_terminal() {
            // Lines of requests would be drawn over the screen.
            (globals.debug, globals.log_level) = (false, None);
        }
        let session = CommandSession::open(globals)?;
        let server = match session.server() {
            Ok(server) => server,
            // Nothing is known yet: the login asks for a server.
            Err(failure) if session.config.contexts.is_empty() && failure.status == ExitStatus::Usage => {
                return Ok((Self { session: Arc::new(session), management: None }, ServerLabel::default()));
            }
            Err(failure) => return Err(failure),
        };
        let client = session.client(&server)?;
        let named = session.config.contexts.iter().find(|(_, known)| **known == server);
        let label = ServerLabel {
            context: named.map(|(name, _)| name.clone()),
            host: client.registry().name().to_owned(),
            url: client.registry().base_url(),
            user: server.user.clone().unwrap_or_default(),
        };
        Ok((Self { session: Arc::new(session), management: Some(Management::of(client)) }, label))
    }

    fn contexts(&self) -> Vec<String> {
        self.session.config.contexts.keys().cloned().collect()
    }

    /// Does what the state asks for.
    fn perform(&mut self, effect: TuiEffect, app: &mut TuiApp, workers: &mut Workers) {
        match effect {
            TuiEffect::Load { view, part, wait, request } => match &self.management {
                Some(management) => workers.load(management, view, part, wait, request),
                None => drop(workers.answers().send(WorkAnswer::Failed { view, part, problem: no_server() })),
            },
            TuiEffect::Cancel { view } => workers.cancel(view),
            TuiEffect::Change { view, number, request } => match &self.management {
                Some(management) => workers.change(management, view, number, request),
                None => drop(workers.answers().send(WorkAnswer::NotChanged { view, number, problem: no_server() })),
            },
            TuiEffect::Login { number, server, user, secret } => {
                workers.run(0, number, login(self.session.clone(), server, user, secret));
            }
            TuiEffect::Upload { view, number, upload } => {
                if let Some(management) = self.management.clone() {
                    let (answers, notes) = (workers.answers(), self.session.upload_notes());
                    workers.run(view, number, async move {
                        send_file(&management, upload, notes, |done| {
                            drop(answers.send(WorkAnswer::Transfer { number, done }))
                        })
                        .await
                    });
                }
            }
            TuiEffect::Connect { context } => match Self::open(&self.session, context) {
                Ok((connection, label)) => {
                    workers.cancel_all();
                    *self = connection;
                    let contexts = self.contexts();
                    app.restart(label, contexts);
                }
                Err(failure) => app.complain(failure.message),
            },
            TuiEffect::Copy(text) => terminal::copy(&text),
            TuiEffect::Open(url) => match terminal::open(&url) {
                Ok(()) => app.say(format!("Opened {url}")),
                Err(error) => app.complain(format!("cannot open {url}: {error}")),
            },
            TuiEffect::Mouse(on) => terminal::capture_mouse(on),
            // The loop ends before it comes here.
            TuiEffect::Quit => {}
        }
    }
}

fn no_server() -> LoadProblem {
    LoadProblem { message: "no server is chosen".into(), needs_login: true, ..LoadProblem::default() }
}

/// Logs in. Without a user, the secret is an API key.
async fn login(session: Arc<CommandSession>, server: String, user: String, secret: String) -> Result<Value, Failure> {
    let context = session.context_of(&server);
    let context =
        crate::config::ServerContext { plain_http: context.plain_http || session.globals.plain_http, ..context };
    let name = session.address(&context)?.name().to_owned();
    let known = session.config.contexts.iter().find(|(_, known)| known.server == context.server);
    let name = known.map_or(name, |(name, _)| name.clone());
    let secret = Secret::new(secret);
    let with = match user.is_empty() {
        true => LoginWith::Key(secret),
        false => LoginWith::Password { user, password: secret },
    };
    let done = log_in(with, context, name.clone(), &session).await?;
    Ok(json!({ "note": done.note, "context": name }))
}

/// Uploads a file of this machine.
async fn send_file(
    management: &Management,
    upload: FileUpload,
    notes: UploadNotes,
    progress: impl Fn(u64) + Send + Sync,
) -> Result<Value, Failure> {
    let file = Path::new(&upload.file);
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let or_name = |text: String| if text.is_empty() { name.clone() } else { text };
    let source = FileSource::open(Some(file)).await?;
    let target = UploadTarget {
        repo: upload.repository,
        version: or_name(upload.version),
        path: or_name(upload.path),
        pairs: upload.properties.into_iter().map(|(key, value)| (format!("property.{key}"), value)).collect(),
        overwrite: false,
        notes,
    };
    upload_file(&target, &source, management, &progress).await
}
