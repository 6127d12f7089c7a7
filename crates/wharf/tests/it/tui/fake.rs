//! A server that answers at once, and somebody who presses keys.

use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
};
use serde_json::{Value, json};
use std::time::Duration;
use wharf::tui::{
    app::{ServerLabel, TuiApp, TuiEffect, TuiEvent},
    draw::draw,
    theme::{ColorDepth, TuiTheme},
    view::LoadProblem,
    work::{ChangeRequest, ChangeStep, LoadPart, LoadRequest, WorkAnswer},
};

/// The terminal UI in front of the fake server.
pub struct Desk {
    pub app: TuiApp,
    /// What was asked for that is not loading.
    pub effects: Vec<TuiEffect>,
    /// What the server answers; the error is its problem.
    pub server: fn(&LoadRequest) -> Result<Value, LoadProblem>,
    /// Changes that the server was asked for.
    pub changes: Vec<String>,
    /// What the next change is refused with.
    pub refusal: Option<LoadProblem>,
    size: (u16, u16),
}

/// The time of all screens.
pub const NOW: &str = "2026-11-30T12:00:00Z";

pub fn problem(message: &str, needs_login: bool) -> LoadProblem {
    LoadProblem { message: message.into(), needs_login, ..LoadProblem::default() }
}

impl Desk {
    /// At a server with something of everything.
    pub fn new() -> Self {
        Self::at(server)
    }

    /// At another server.
    pub fn at(server: fn(&LoadRequest) -> Result<Value, LoadProblem>) -> Self {
        let label = ServerLabel {
            context: Some("prod".into()),
            host: "registry.example.com".into(),
            url: "https://registry.example.com".into(),
            user: "admin".into(),
        };
        let theme = TuiTheme::named("terminal", ColorDepth::Sixteen).unwrap();
        let mut app = TuiApp::new(label, vec!["prod".into(), "staging".into()], theme, ColorDepth::Sixteen);
        app.time = NOW.parse().unwrap();
        app.start();
        let mut desk = Self { app, effects: Vec::new(), server, changes: Vec::new(), refusal: None, size: (100, 30) };
        desk.settle();
        desk
    }

    /// At a server whose names are all well-behaved.
    pub fn tame() -> Self {
        Self::at(|request| match request {
            LoadRequest::List { path, .. } if path == "/repositories" => {
                let mut all = repositories();
                all.as_array_mut().unwrap().truncate(3);
                Ok(all)
            }
            _ => server(request),
        })
    }

    /// On a terminal of this size.
    pub fn sized(mut self, width: u16, height: u16) -> Self {
        self.size = (width, height);
        self.app.handle(TuiEvent::Resize(width, height));
        self
    }

    /// Answers everything that is asked for.
    pub fn settle(&mut self) {
        while !self.app.effects.is_empty() {
            for effect in std::mem::take(&mut self.app.effects) {
                match effect {
                    TuiEffect::Load { view, part, request, .. } => {
                        let answer = self.answer(view, part, &request);
                        self.app.handle(TuiEvent::Answer(answer));
                    }
                    TuiEffect::Change { view, number, request } => {
                        self.changes.push(written(&request));
                        if let Some(problem) = self.refusal.take() {
                            self.app.handle(TuiEvent::Answer(WorkAnswer::NotChanged { view, number, problem }));
                            continue;
                        }
                        let object = match &request {
                            ChangeRequest::Send(requests) if requests[0].path == "/keys" => {
                                json!({ "name": "ci", "secret": "whf_0123456789abcdef_secret_crc" })
                            }
                            ChangeRequest::Send(requests) if requests[0].path == "/registry/migrate" => {
                                json!({ "task_id": "01T3" })
                            }
                            _ => Value::Null,
                        };
                        self.app.handle(TuiEvent::Answer(WorkAnswer::Changed { view, number, object }));
                    }
                    TuiEffect::Cancel { .. } => {}
                    other => self.effects.push(other),
                }
            }
        }
    }

    fn answer(&self, view: u64, part: LoadPart, request: &LoadRequest) -> WorkAnswer {
        match (self.server)(request) {
            Err(problem) => WorkAnswer::Failed { view, part, problem },
            Ok(Value::Array(items)) => WorkAnswer::Page { view, part, items, is_last: true },
            Ok(mut object) => {
                let rows = match request {
                    LoadRequest::Object { rows: Some(rows), .. } => object.pointer(rows).cloned(),
                    LoadRequest::Activity => object.get_mut("latest").map(Value::take),
                    LoadRequest::Section(_) => object.get("keys").cloned(),
                    LoadRequest::Outbox => object.get("items").cloned(),
                    LoadRequest::Migration(_) => object.get_mut("list").map(Value::take),
                    _ => None,
                };
                let rows = rows.and_then(|rows| rows.as_array().cloned());
                let etag =
                    matches!(request, LoadRequest::Section(_) | LoadRequest::Thing(_)).then(|| "\"e1\"".to_owned());
                WorkAnswer::Object { view, part, object, rows, etag }
            }
        }
    }

    /// Presses a key without waiting for answers.
    pub fn press(&mut self, code: KeyCode) {
        self.app.handle(TuiEvent::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }

    /// Types text and keys in angle brackets: `jj<Enter>`.
    pub fn types(&mut self, keys: &str) -> &mut Self {
        let mut rest = keys;
        while let Some(c) = rest.chars().next() {
            let (code, modifiers, length) = match rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
                Some((name, _)) => {
                    let code = match name {
                        "Enter" => KeyCode::Enter,
                        "Esc" => KeyCode::Esc,
                        "Tab" => KeyCode::Tab,
                        "Left" => KeyCode::Left,
                        "Right" => KeyCode::Right,
                        "Back" => KeyCode::Backspace,
                        "C-c" => KeyCode::Char('c'),
                        other => panic!("no key {other}"),
                    };
                    let modifiers = if name == "C-c" { KeyModifiers::CONTROL } else { KeyModifiers::NONE };
                    (code, modifiers, name.len() + 2)
                }
                None => (KeyCode::Char(c), KeyModifiers::NONE, c.len_utf8()),
            };
            self.app.handle(TuiEvent::Key(KeyEvent::new(code, modifiers)));
            self.settle();
            rest = &rest[length..];
        }
        self
    }

    /// Lets time pass.
    pub fn wait(&mut self, seconds: u64) -> &mut Self {
        self.app.now += Duration::from_secs(seconds);
        self.app.handle(TuiEvent::Tick);
        self
    }

    /// What the screen shows.
    pub fn screen(&mut self) -> String {
        let mut terminal = Terminal::new(TestBackend::new(self.size.0, self.size.1)).unwrap();
        terminal.draw(|frame| draw(&mut self.app, frame)).unwrap();
        // Without the quotes that the backend puts around each line.
        let shown = terminal.backend().to_string();
        let lines = shown.lines().map(|line| line.trim_start_matches('"').trim_end_matches('"').trim_end());
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Whether the screen shows a text.
    #[track_caller]
    pub fn shows(&mut self, text: &str) -> &mut Self {
        let screen = self.screen();
        assert!(screen.contains(text), "no {text:?} in\n{screen}");
        self
    }

    /// Whether the screen does not show a text.
    #[track_caller]
    pub fn hides(&mut self, text: &str) -> &mut Self {
        let screen = self.screen();
        assert!(!screen.contains(text), "{text:?} in\n{screen}");
        self
    }
}

/// A change in one line.
fn written(request: &ChangeRequest) -> String {
    match request {
        ChangeRequest::Send(requests) => {
            let lines = requests.iter().map(|ChangeStep { method, path, body, if_match }| {
                let body = body.as_ref().map(|body| format!(" {body}")).unwrap_or_default();
                let condition = if_match.as_ref().map(|etag| format!(" if {etag}")).unwrap_or_default();
                format!("{method} {path}{body}{condition}")
            });
            lines.collect::<Vec<_>>().join("\n")
        }
        ChangeRequest::CreateUser { name, is_admin, password } => {
            format!("create user {name} with {} letters, admin: {is_admin}", password.len())
        }
    }
}

/// A server with something of everything.
fn server(request: &LoadRequest) -> Result<Value, LoadProblem> {
    let path = match request {
        LoadRequest::Home => return Ok(home()),
        LoadRequest::Activity => return Ok(activity()),
        LoadRequest::Versions(_) | LoadRequest::Search(_) => return Ok(artifacts()),
        LoadRequest::Section(_) => return Ok(section()),
        LoadRequest::Migration(_) => return Ok(migration()),
        LoadRequest::Outbox => return Ok(outbox()),
        LoadRequest::Thing(path) => return Ok(thing(path)),
        LoadRequest::List { path, .. } | LoadRequest::Object { path, .. } => path.as_str(),
    };
    Ok(match path {
        "/repositories" => repositories(),
        "/repositories/team/app/-/tags" => tags(),
        "/repositories/team/app/-/manifests/1.4.0" => index(),
        path if path.contains("/-/manifests/") => image(),
        path if path.ends_with("/-/tags") => json!([]),
        "/users" => users(),
        "/users/alice/access" => json!([
            { "repository": "alice/**", "actions": ["pull", "push", "delete"], "why": "rule 3 (line 9)" },
            { "repository": "team/app", "actions": ["pull"], "why": "role reader of group staff" },
        ]),
        path if path.ends_with("/access") => json!([]),
        "/keys" => keys(),
        "/groups" => json!([
            { "name": "devs", "description": "Who writes the code", "roles": ["developer"], "members": ["alice", "carl"] },
            { "name": "staff", "description": "", "roles": ["reader"], "members": ["bob"] },
        ]),
        "/roles" => json!([
            { "name": "developer", "description": "", "permissions": ["PULL:IMAGE", "PUSH:IMAGE", "CREATE:TAG"],
              "repositories": ["team/**"], "artifacts": [], "builtin": true, "defined": true },
        ]),
        "/auth/sessions" => json!([
            { "sid": "01J", "current": true, "created_at": "2026-11-30T09:00:00Z", "refreshed_at": "2026-11-30T11:58:00Z",
              "expires_at": "2026-12-30T09:00:00Z", "agent": "wharf/0.3", "address": "192.0.2.7" },
        ]),
        "/artifacts/repos" => json!([
            { "name": "builds", "description": "What CI makes", "owner": "alice", "private": true, "artifact_count": 12,
              "version_count": 4, "size": 734_003_200, "created_at": "2026-10-01T00:00:00Z",
              "updated_at": "2026-11-30T10:00:00Z" },
        ]),
        "/artifacts/builds/trash" => json!([
            { "deleted_at": "2026-11-29T12:00:00Z", "deleted_by": "alice", "rule": null,
              "artifact": { "id": "a9", "version": "1.0.0", "path": "old.tar", "size": 1000 } },
        ]),
        "/tasks" => tasks(),
        "/registry/migrate" => json!([migration(), {
            "id": "01T0", "kind": "migration", "owner": "alice", "status": "needs_credentials", "progress": 70, "step": null,
            "start_time": "2026-11-29T11:59:00Z", "error": "the registry was restarted",
            "migration": { "source_registry": "docker.io", "patterns": ["library/alpine"], "images": { "failed": 0 },
                "bytes_fetched": 7_340_032 },
        }]),
        "/config" => json!({ "generation": "g1", "number": 7, "loaded_at": "2026-11-30T11:00:00Z", "problems": [
            { "file": "htpasswd", "line": 2, "key": null, "problem": "the hash of bob is not bcrypt" } ], "files": [] }),
        "/audit" => json!([
            { "time": "2026-11-30T11:50:00Z", "actor": "admin", "address": "192.0.2.7", "request_id": "01R1",
              "action": "user.create", "target": "carl", "files": [{ "file": "htpasswd" }] },
        ]),
        "/settings" => json!({ "items": [
            { "section": "auth", "values": { "registration": "closed" } },
            { "section": "operator", "values": { "message": "", "read_only": false } },
        ] }),
        "/uploads" => json!([{ "id": "01U", "size": 52_428_800, "last_write_at": "2026-11-30T11:59:30Z" }]),
        "/quotas" => {
            json!([{ "repositories": ["team/**"], "max_bytes": 10_737_418_240_u64, "used_bytes": 1_288_490_188,
            "max_tags": null, "used_tags": 42, "max_repositories": null, "used_repositories": 3 }])
        }
        "/namespaces" => json!([{ "name": "team", "repositories": 3, "tags": 42, "size": 1_288_490_188,
            "created_at": "2026-01-01T00:00:00Z" }]),
        other => panic!("nobody asked for {other} before"),
    })
}

fn home() -> Value {
    json!({
        "system": { "name": "wharfinger", "version": "0.3.0", "login": "password", "read_only": false,
            "message": "We move on Friday." },
        "me": { "username": "admin", "is_admin": true, "groups": ["admins"] },
        "dashboard": { "total_images": 128, "total_groups": 4, "total_repositories": 17, "total_size": 13_421_772_800_u64,
            "uploads": 1, "storage": { "percent": 63, "free": 107_374_182_400_u64 },
            "recent": [
                { "repository": "team/app", "tags": 12, "size": 1, "pushed_at": "2026-11-30T11:55:00Z" },
                { "repository": "team/a-repository-with-a-long-name-of-its-own", "tags": 1, "size": 1, "pushed_at": "2026-11-29T11:55:00Z" },
            ] },
        "latency_ms": 3,
    })
}

fn repositories() -> Value {
    let of = |name: &str, public: bool, tags: u64, size: u64| {
        json!({ "name": name, "is_public": public, "owner": "alice", "description": "The application", "tag_count": tags,
            "manifest_count": tags * 3, "blob_count": tags * 5, "size": size, "path": "/var/lib/wharfinger/repositories/x",
            "created_at": "2026-01-01T00:00:00Z", "last_pushed_at": "2026-11-30T11:55:00Z",
            "last_pulled_at": "2026-11-30T11:59:00Z", "immutable_tags": "v*" })
    };
    json!([
        of("team/app", true, 12, 1_288_490_188),
        of("team/web", false, 3, 52_428_800),
        of("library/alpine", true, 1, 7_340_032),
        // What a registry that lies could send.
        of("evil\u{1b}[2J\u{202e}app", false, 0, 0),
        of("日本語/アプリ", false, 2, 1024),
    ])
}

fn tags() -> Value {
    let of = |name: &str, digit: &str, pushed: &str| {
        json!({ "name": name, "digest": format!("sha256:{}", digit.repeat(64)), "kind": "image",
            "media_type": "application/vnd.oci.image.manifest.v1+json", "size": 52_428_800,
            "platforms": ["linux/amd64"], "pushed_at": pushed, "pushed_by": "alice", "has_signature": digit == "a",
            "immutable": false, "aliases": [] })
    };
    json!([
        of("1.4.0", "a", "2026-11-30T11:55:00Z"),
        of("1.3.0", "b", "2026-11-20T11:55:00Z"),
        of("edge", "c", "2026-11-30T11:59:59Z"),
    ])
}

fn index() -> Value {
    json!({
        "digest": format!("sha256:{}", "a".repeat(64)), "kind": "index", "media_type": "application/vnd.oci.image.index.v1+json",
        "size": 104_857_600, "platforms": ["linux/amd64", "linux/arm64"], "tags": ["1.4.0", "stable"],
        "pushed_at": "2026-11-30T11:55:00Z", "pushed_by": "alice", "has_signature": true, "annotations": {},
        "config": null, "config_content": null, "history": [], "layers": [],
        "children": [
            { "digest": format!("sha256:{}", "1".repeat(64)), "media_type": "m", "size": 1234, "platform": "linux/amd64", "present": true },
            { "digest": format!("sha256:{}", "2".repeat(64)), "media_type": "m", "size": 1234, "platform": "linux/arm64", "present": false },
        ],
        "referrers": [
            { "digest": format!("sha256:{}", "3".repeat(64)), "size": 700, "artifactType": "application/spdx+json", "annotations": { "by": "ci" } },
        ],
        "raw": "{\"schemaVersion\":2,\"manifests\":[]}",
    })
}

fn image() -> Value {
    json!({
        "digest": format!("sha256:{}", "1".repeat(64)), "kind": "image", "media_type": "application/vnd.oci.image.manifest.v1+json",
        "size": 52_428_800, "platforms": ["linux/amd64"], "tags": [], "pushed_at": "2026-11-30T11:55:00Z",
        "pushed_by": "alice", "has_signature": false, "annotations": { "org.opencontainers.image.source": "https://example.com" },
        "config": {}, "config_content": { "architecture": "amd64", "os": "linux" },
        "history": [
            { "created": "2026-11-01T00:00:00Z", "created_by": "COPY hello / # buildkit", "comment": null, "layer": null },
            { "created": "2026-11-01T00:00:00Z", "created_by": "CMD [\"/hello\"]\u{1b}[31m", "comment": null, "layer": null },
        ],
        "layers": [
            { "digest": format!("sha256:{}", "d".repeat(64)), "media_type": "application/vnd.oci.image.layer.v1.tar+gzip", "size": 52_000_000, "shared_by": 3 },
        ],
        "children": [], "referrers": [],
        "raw": "{\"schemaVersion\":2,\"config\":{\"size\":7},\"layers\":[{\"size\":52000000}]}",
    })
}

fn users() -> Value {
    let of = |name: &str, admin: bool, locked: bool| {
        json!({ "username": name, "groups": ["devs"], "roles": ["developer"], "is_admin": admin, "locked": locked,
            "robot": false, "email": format!("{name}@example.com"), "last_login_at": "2026-11-30T11:00:00Z" })
    };
    json!([of("alice", false, false), of("admin", true, false), of("bob", false, true)])
}

fn keys() -> Value {
    json!([
        { "id": "k1", "name": "ci", "owner": "alice", "scopes": ["repository:team/**:pull,push"],
          "created_at": "2026-11-01T00:00:00Z", "created_by": "alice", "expires_at": "2027-02-01T00:00:00Z",
          "expired": false, "last_used_at": "2026-11-30T11:30:00Z" },
        { "id": "k2", "name": "old", "owner": "bob", "scopes": ["repository:**:pull"], "created_at": "2025-11-01T00:00:00Z",
          "created_by": "bob", "expires_at": "2026-11-01T00:00:00Z", "expired": true, "last_used_at": null },
    ])
}

fn artifacts() -> Value {
    json!([
        { "id": "a1", "repo": "builds", "name": "app.tar", "path": "app.tar", "version": "1.4.0", "size": 52_428_800,
          "digest": format!("sha256:{}", "e".repeat(64)), "media_type": "application/x-tar",
          "properties": { "os": "linux", "build": "77" }, "metadata": {}, "created_at": "2026-11-30T10:00:00Z",
          "updated_at": "2026-11-30T10:00:00Z", "created_by": "ci" },
    ])
}

fn tasks() -> Value {
    json!([
        { "id": "01T2", "kind": "collection", "owner": "admin", "status": "running", "progress": 42, "step": "mark",
          "step_done": 1200, "error": null, "start_time": "2026-11-30T11:59:00Z", "end_time": null, "stats": null },
        { "id": "01T1", "kind": "check", "owner": null, "status": "failed", "progress": 10, "step": null,
          "step_done": null, "error": "the disk is full", "start_time": "2026-11-29T11:59:00Z", "end_time": "2026-11-29T12:00:00Z", "stats": null },
    ])
}

fn migration() -> Value {
    let image = |tag: &str, status: &str, total: u64, fetched: u64, message: Option<&str>| {
        json!({ "source": format!("team/app:{tag}"), "target": format!("mirror/team/app:{tag}"), "status": status,
            "digest": format!("sha256:{}", "a".repeat(64)), "bytes_total": total, "bytes_fetched": fetched,
            "bytes_skipped": 0, "bytes_per_second": 2_097_152, "bytes_remaining": total - fetched, "message": message })
    };
    json!({
        "id": "01T2", "kind": "migration", "owner": "alice", "status": "running", "progress": 42, "step": "copying",
        "step_done": 12, "error": null, "start_time": "2026-11-30T11:59:00Z", "end_time": null, "stats": null,
        "migration": { "source_registry": "ghcr.io", "patterns": ["team/*:v1.*", "tools"], "target_prefix": "mirror",
            "dry_run": false, "images": { "total": 30, "completed": 10, "skipped": 2, "failed": 1, "waiting": 15, "running": 2 },
            "bytes_total": 1_288_490_188, "bytes_fetched": 524_288_000, "bytes_skipped": 7_340_032,
            "bytes_per_second": 4_194_304 },
        "list": [
            image("v1.1", "running", 52_428_800, 20_000_000, None),
            image("v1.0", "failed", 52_428_800, 0, Some("manifest unknown: schema 1 is not supported")),
            image("evil\u{1b}[2J", "completed", 1024, 1024, None),
        ],
    })
}

fn outbox() -> Value {
    json!({
        "writes": 3, "bytes": 104_857_600, "done": 20_000_000, "max_bytes": 1_073_741_824, "oldest_seconds": 300,
        "uploads": 1200, "uploaded_bytes": 53_687_091_200_u64, "failures": 2,
        "items": [
            { "number": 1203, "key": "blobs/sha256/ab/abcd", "action": "put", "state": "uploading", "bytes": 52_428_800,
              "done": 20_000_000, "tries": 0, "error": null, "next_try_seconds": null },
            { "number": 1204, "key": "repositories/team/app/_manifests/tags/v1", "action": "put", "state": "failed",
              "bytes": 72, "done": 0, "tries": 3, "error": "permission denied", "next_try_seconds": 40 },
            { "number": 1205, "key": "uploads/x", "action": "delete", "state": "waiting", "bytes": 0, "done": 0, "tries": 0,
              "error": null, "next_try_seconds": null },
        ],
    })
}

/// One thing of a list, as it is now: bob has got another group meanwhile.
fn thing(path: &str) -> Value {
    let (list, key, name) = match path.rsplit_once('/') {
        Some(("/users", name)) => (users(), "username", name),
        Some(("/settings", _)) => {
            return json!({ "values": { "message": "We moved." }, "defaults": {}, "locked": {}, "help": {} });
        }
        other => panic!("nobody asked for {other:?} before"),
    };
    let mut found = list.as_array().unwrap().iter().find(|item| item[key] == name).cloned().expect("it is there");
    found["groups"] = json!(["devs", "ops"]);
    found
}

fn activity() -> Value {
    let samples: Vec<Value> = (0..60u64)
        .map(|i| json!({ "received_per_second": (i * 37) % 100 * 10_000, "sent_per_second": i * 20_000 }))
        .collect();
    json!({
        "uploads": { "total": 12, "failed": 1, "in_progress": 2 }, "downloads": { "total": 480, "failed": 0, "in_progress": 1 },
        "samples": samples,
        "latest": [
            { "time": "2026-11-30T11:59:58Z", "request_id": "01R3", "address": "192.0.2.7", "user": "alice", "method": "GET",
              "action": "pull", "repository": "team/app", "reference": "1.4.0", "status": 200, "received": 0, "sent": 52_428_800,
              "milliseconds": 12.5, "agent": "docker/27\u{1b}]0;title\u{7}" },
            { "time": "2026-11-30T11:59:00Z", "request_id": "01R2", "user": "-", "method": "PUT", "action": "push",
              "repository": "team/web", "reference": "x", "status": 401, "received": 10, "sent": 100, "milliseconds": 1.0 },
        ],
    })
}

fn section() -> Value {
    json!({ "section": "operator", "keys": [
        { "key": "message", "value": "We move on Friday.", "default": "", "locked": null, "help": "Shown to everybody." },
        { "key": "read_only", "value": false, "default": false, "locked": "REGISTRY_READ_ONLY", "help": "Refuses pushes." },
    ] })
}
