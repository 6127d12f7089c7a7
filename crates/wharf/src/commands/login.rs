//! Logging in and out, and the own account.

use crate::{
    config::ServerContext,
    credentials::{DockerFile, SavedSession, store_docker},
    failure::{ExitStatus, Failure},
    management::{Management, query},
    output::{Column, ColumnKind, warn},
    session::CommandSession,
};
use clap::Args;
use client::{ApiRequest, Credential, ErrorKind, Secret};
use http::Method;
use serde_json::{Value, json};
use std::io::{self, IsTerminal, Read};

/// `wharf login`.
#[derive(Args)]
pub struct LoginArgs {
    /// The server; the current one unless given.
    #[arg(value_name = "SERVER")]
    at: Option<String>,
    /// The user.
    #[arg(short, long)]
    username: Option<String>,
    /// The password. Others on this machine can see it in the list of processes: prefer --password-stdin.
    #[arg(short, long)]
    password: Option<String>,
    /// Read the password from stdin.
    #[arg(long, conflicts_with = "password")]
    password_stdin: bool,
    /// Read an API key from stdin, and use it in place of a password.
    #[arg(long, conflicts_with_all = ["password", "password_stdin"])]
    key_stdin: bool,
    /// Also log docker, podman and others in, by an API key made for them.
    #[arg(long)]
    docker: bool,
    /// The name of the context; the host unless given.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// `wharf logout`.
#[derive(Args)]
pub struct LogoutArgs {
    /// The server; the current one unless given.
    #[arg(value_name = "SERVER")]
    at: Option<String>,
    /// Log out of all servers.
    #[arg(long, conflicts_with = "at")]
    all: bool,
    /// End all sessions of the user, on other machines too.
    #[arg(long)]
    everywhere: bool,
}

const ME: &[Column] = &[
    Column::text("User", "/username"),
    Column::text("Role", "/role"),
    Column::text("Groups", "/groups"),
    Column::text("Roles", "/roles"),
    Column::text("Permissions", "/permissions"),
    Column::text("Logged in by", "/auth/method"),
    Column::of("Expires", "/auth/expires_at", ColumnKind::Time),
    Column::text("Limited to", "/auth/ceiling"),
];

const STATUS: &[Column] = &[
    Column::text("Server", "/server"),
    Column::text("Version", "/version"),
    Column::text("Login", "/login"),
    Column::text("User", "/user"),
    Column::text("Message", "/message"),
    Column::of("Read-only", "/read_only", ColumnKind::Flag),
    Column::of("Used", "/storage/used", ColumnKind::Bytes),
    Column::of("Free", "/storage/free", ColumnKind::Bytes),
];

/// What a key for docker is called.
const DOCKER_KEY: &str = "docker login by wharf";

/// What a key is called that stands for a session.
const KEY: &str = "wharf";

pub async fn login(args: LoginArgs, session: &CommandSession) -> Result<(), Failure> {
    if args.password.is_some() {
        warn("wharf: the password can be seen in the list of processes; prefer --password-stdin");
    }
    let context = match &args.at {
        Some(server) => session.context_of(server),
        None => session.server()?,
    };
    let mut context = ServerContext { plain_http: context.plain_http || session.globals.plain_http, ..context };
    if let Some(file) = &session.globals.ca_file {
        context.ca_file = Some(std::path::absolute(file).map_err(|error| Failure::file("find", file, &error))?);
    }
    let host = session.address(&context)?.name().to_owned();
    let with = if args.key_stdin {
        LoginWith::Key(Secret::new(from_stdin("API key")?))
    } else {
        let user = match args.username {
            Some(user) => user,
            None => ask("User: ")?,
        };
        let password = Secret::new(match (args.password, args.password_stdin) {
            (Some(password), _) => password,
            (None, true) => from_stdin("password")?,
            (None, false) => ask_hidden("Password: ")?,
        });
        LoginWith::Password { user, password }
    };
    let done = log_in(with, context, args.name.unwrap_or(host), session).await?;
    session.output.note(&done.note);
    if args.docker && done.is_session {
        let management = Management::of(session.client(&done.context)?);
        let user = done.context.user.as_deref().unwrap_or_default();
        let written = store_key(&management, &done.host, user, DOCKER_KEY).await?;
        session.output.note(&format!("docker and podman use an API key now; it is in {written}."));
    }
    Ok(())
}

/// By what somebody logs in.
pub enum LoginWith {
    /// As a user.
    Password { user: String, password: Secret },
    /// By an API key, which says whose it is.
    Key(Secret),
}

/// A login that succeeded.
pub struct LoginDone {
    /// What to tell the person.
    pub note: String,
    /// The server, which is the current one now.
    pub context: ServerContext,
    /// Its name.
    pub host: String,
    /// Whether there is a session, rather than a key or a password kept for docker.
    pub is_session: bool,
}

/// Logs in at a server, keeps the session, and makes the server the current one under a name.
pub async fn log_in(
    with: LoginWith,
    context: ServerContext,
    name: String,
    session: &CommandSession,
) -> Result<LoginDone, Failure> {
    let address = session.address(&context)?;
    let host = address.name().to_owned();
    let finish = |context: ServerContext, is_session, note| {
        choose(session, name.clone(), context.clone())?;
        Ok(LoginDone { note, context, host: host.clone(), is_session })
    };
    let (user, password) = match with {
        LoginWith::Password { user, password } => (user, password),
        LoginWith::Key(key) => {
            let client = session.builder(address).credentials(Credential::RegistryToken(key.clone())).build();
            let me = Management::of(client).get("/auth/me").await?;
            let user = me.get("username").and_then(Value::as_str).unwrap_or_default().to_owned();
            let written = store_docker(&host, &user, &key).await?;
            let note = format!("Logged in to {host} as {user}; the key is in {written}.");
            return finish(ServerContext { user: Some(user), ..context }, false, note);
        }
    };
    let context = ServerContext { user: Some(user.clone()), ..context };
    let login = ApiRequest::new(Method::POST, "/api/v1/auth/login")
        .json(&json!({ "username": user, "password": password.expose() }));
    let anonymous = session.builder(address.clone()).build();
    match anonymous.send_api(&login).await {
        Ok(answer) => {
            let answer: api::auth::LoginAnswer = oci::json::from_slice(&answer.body)
                .map_err(|error| Failure::failed(format!("{host} is not a Wharfinger: {error}")))?;
            session.sessions.keep(&host, SavedSession::of(answer, None))?;
            finish(context, true, format!("Logged in to {host} as {user}."))
        }
        // Another registry, or one whose users come from elsewhere.
        Err(error) if is_elsewhere(&error) => {
            let credential = Credential::Password { user: user.clone(), password: password.clone() };
            let found = session.builder(address).credentials(credential).build().login().await?;
            let (user, secret) = match &found.identity_token {
                Some(token) => ("<token>", token),
                None => (user.as_str(), &password),
            };
            let written = store_docker(&host, user, secret).await?;
            let note = match found.checked {
                true => format!("Logged in to {host}; the login is in {written}."),
                false => format!("{host} asks nobody to log in; what you typed is in {written}, unchecked."),
            };
            finish(context, false, note)
        }
        // This user may not have sessions; an API key of theirs does the same.
        Err(error) if error.kind() == ErrorKind::Denied => {
            let credential = Credential::Password { user: user.clone(), password };
            let management = Management::of(session.builder(address).credentials(credential).build());
            let written = store_key(&management, &host, &user, KEY).await?;
            finish(context, false, format!("Logged in to {host} as {user} by an API key, which is in {written}."))
        }
        Err(error) if error.kind() == ErrorKind::Unauthorized => {
            Err(Failure::new(ExitStatus::NotLoggedIn, error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether there are no users of the server's own to log in as.
fn is_elsewhere(error: &client::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unsupported | ErrorKind::Protocol)
        || error.registry_errors().iter().any(|entry| entry.code == "EXTERNAL_USERS")
}

/// Makes an API key and writes it where docker looks for it. Returns where that is.
async fn store_key(management: &Management, host: &str, user: &str, name: &str) -> Result<String, Failure> {
    let key = json!({ "name": name, "scopes": ["repository:**:*", "artifact:**:*"] });
    let made = management.value(Method::POST, "/keys", Some(&key)).await?;
    let secret = made.get("secret").and_then(Value::as_str).unwrap_or_default();
    store_docker(host, user, &Secret::new(secret)).await
}

/// Makes a server the current one.
fn choose(session: &CommandSession, name: String, context: ServerContext) -> Result<(), Failure> {
    let mut config = session.config.clone();
    config.contexts.insert(name.clone(), context);
    config.current = Some(name);
    session.files.save(&config)
}

pub async fn logout(args: LogoutArgs, session: &CommandSession) -> Result<(), Failure> {
    let servers = match (&args.at, args.all) {
        (_, true) => session.sessions.servers()?,
        (Some(server), _) => vec![session.address(&session.context_of(server))?.name().to_owned()],
        (None, _) => vec![session.address(&session.server()?)?.name().to_owned()],
    };
    let mut was_logged_in = false;
    for server in servers {
        if let Some(saved) = session.sessions.find(&server)? {
            let known = session
                .config
                .contexts
                .values()
                .find(|context| session.address(context).is_ok_and(|address| address.name() == server));
            let context = known.cloned().unwrap_or_else(|| session.context_of(&server));
            let mut body = json!({ "refresh_token": saved.refresh_token });
            let client = if args.everywhere {
                body["everywhere"] = true.into();
                session.client(&context)?
            } else {
                session.builder(session.address(&context)?).build()
            };
            let end = ApiRequest::new(Method::POST, "/api/v1/auth/logout").json(&body);
            // The session is forgotten here in any case; a server that is away must not keep it alive.
            if let Err(error) = client.send_api(&end).await {
                warn(&format!("wharf: the session was forgotten here, but not ended at {server}: {error}"));
            }
            session.sessions.forget(&server)?;
            was_logged_in = true;
        }
        was_logged_in |= DockerFile::forget(&server).await?;
        session.output.note(&match was_logged_in {
            true => format!("Logged out of {server}."),
            false => format!("Nobody was logged in at {server}."),
        });
    }
    Ok(())
}

pub async fn whoami(session: &CommandSession) -> Result<(), Failure> {
    let me = session.management()?.get("/auth/me").await?;
    session.output.one(&me, ME, "/username")
}

pub async fn status(session: &CommandSession) -> Result<(), Failure> {
    let management = session.management()?;
    let mut status = match management.exists().await? {
        true => management.get("/system").await?,
        false => {
            management.client.ping().await?;
            json!({ "version": "another registry, without a management API" })
        }
    };
    status["server"] = management.client.registry().to_string().into();
    if let Ok(me) = management.get("/auth/me").await {
        status["user"] = me.get("username").cloned().unwrap_or_default();
    }
    // Only some may see it.
    if let Ok(storage) = management.get("/storage").await {
        status["storage"] = storage;
    }
    session.output.one(&status, STATUS, "/version")
}

pub async fn version(session: &CommandSession) -> Result<(), Failure> {
    let mut versions = json!({ "wharf": env!("CARGO_PKG_VERSION") });
    if let Ok(management) = session.management()
        && let Ok(system) = management.get("/system").await
    {
        versions["server"] = system.get("version").cloned().unwrap_or_default();
    }
    session.output.one(&versions, &[Column::text("wharf", "/wharf"), Column::text("server", "/server")], "/wharf")
}

pub async fn passwd(session: &CommandSession) -> Result<(), Failure> {
    let management = session.management()?;
    let current = ask_hidden("Current password: ")?;
    let next = ask_hidden("New password: ")?;
    if ask_hidden("New password again: ")? != next {
        return Err(Failure::failed("the two new passwords differ; nothing was changed"));
    }
    let body = json!({ "current_password": current, "new_password": next });
    management.send(Method::PUT, "/auth/password", Some(&body)).await?;
    session.output.note("The password is changed. Other sessions have ended.");
    Ok(())
}

pub async fn can(action: &str, repository: &str, user: Option<&str>, session: &CommandSession) -> Result<(), Failure> {
    let pairs = [("action", action), ("repository", repository)].into_iter().chain(user.map(|user| ("user", user)));
    let answer = session.management()?.get(&format!("/auth/can{}", query(pairs))).await?;
    let columns = [
        Column::of("Allowed", "/allowed", ColumnKind::Text),
        Column::text("Because", "/reason"),
        Column::text("Line", "/rule/line"),
    ];
    session.output.one(&answer, &columns, "/allowed")?;
    match answer.get("allowed").and_then(Value::as_bool) {
        Some(true) => Ok(()),
        _ => Err(Failure::no()),
    }
}

/// Asks for a line.
pub fn ask(question: &str) -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(format!(
            "there is no terminal to ask for: {}",
            question.trim_end_matches([':', ' '])
        )));
    }
    eprint!("{question}");
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(|error| Failure::failed(format!("cannot read the answer: {error}")))?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// Asks for a line without showing it.
pub fn ask_hidden(question: &str) -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage("there is no terminal to type a password at; give --password-stdin"));
    }
    rpassword::prompt_password(question).map_err(|error| Failure::failed(format!("cannot read the answer: {error}")))
}

/// A secret from stdin: all of it but the end of its line.
pub fn from_stdin(what: &str) -> Result<String, Failure> {
    const MOST: u64 = 64 << 10;
    let mut text = String::new();
    let read = io::stdin().take(MOST).read_to_string(&mut text);
    read.map_err(|error| Failure::failed(format!("cannot read the {what} from stdin: {error}")))?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() { Err(Failure::usage(format!("there is no {what} on stdin"))) } else { Ok(text.to_owned()) }
}
