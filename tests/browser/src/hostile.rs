//! Everything that people and programs can store or send is text that a page may show and never runs.

use crate::{
    Result,
    chrome::{Tab, Way},
    images::MANIFEST,
    registry::{Conf, PASSWORD, Registry},
    verdict,
    world::{World, mishaps},
};
use reqwest::Method;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Each would set `window.__ran` if a page wrote it as it is, in some place of a page.
const CORPUS: [&str; 24] = [
    "<script>window.__ran=1</script>",
    "<img src=x onerror=window.__ran=1>",
    "\"><img src=x onerror=window.__ran=1>",
    "'><svg/onload=window.__ran=1>",
    "\" autofocus onfocus=window.__ran=1 x=\"",
    "' onmouseover='window.__ran=1",
    "</title><script>window.__ran=1</script>",
    "</textarea><script>window.__ran=1</script>",
    "</pre></code><iframe srcdoc='<script>parent.__ran=1</script>'></iframe>",
    "--><script>window.__ran=1</script><!--",
    "<style>*{background:url(javascript:window.__ran=1)}</style>",
    "<a href=javascript:window.__ran=1>x</a>",
    "javascript:window.__ran=1",
    "JaVaScRiPt\u{3a}window.__ran=1",
    "data:text/html,<script>window.__ran=1</script>",
    "https://x/\" onmouseover=\"window.__ran=1",
    "https://x/<script>window.__ran=1</script>",
    "{{constructor.constructor('window.__ran=1')()}}",
    "${window.__ran=1}`window.__ran=1`",
    "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=x onerror=window.__ran=1&gt;\">",
    "&lt;script&gt;window.__ran=1&lt;/script&gt;&#60;script&#62;",
    "\u{202e}txt.exe\u{2066}<script>window.__ran=1</script>",
    "<base href=//evil.example/><form action=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=//evil.example/'><link rel=stylesheet href=//evil.example/>",
];

/// What is in a page and was not written by us.
const INTRUDERS: &str = r##"
const found = [];
if ("__ran" in window) found.push("a script ran");
const tags = "A B BDI BODY BR BUTTON CODE DATALIST DD DETAILS DEL DIALOG DIV DL DT FIELDSET FORM H1 H2 H3 HEAD HEADER HTML I INPUT INS KBD LABEL LEGEND LI LINK MAIN META NAV OL OPTGROUP OPTION P PRE PROGRESS SECTION SELECT SMALL SPAN STRONG SUMMARY TABLE TBODY TD TEXTAREA TFOOT TH THEAD TIME TITLE TR UL WBR circle g path rect svg use".split(" ");
for (const e of document.querySelectorAll("*")) {
  if (e.tagName === "SCRIPT" ? !e.getAttribute("src")?.startsWith("/ui/") || e.textContent : !tags.includes(e.tagName)) found.push(`element ${e.tagName}`);
  if (e.tagName === "META" && e.httpEquiv) found.push("a meta that does something");
  if (e.tagName === "LINK" && !e.getAttribute("href").startsWith("/ui/") && e.getAttribute("href") !== "#end") found.push(`it loads ${e.href}`);
  if (e.tagName === "FORM" && new URL(e.getAttribute("action") ?? "", location.href).origin !== location.origin) found.push("a form leads elsewhere");
  for (const { name, value } of e.attributes) {
    if (/^on|^style$|^srcdoc$/i.test(name)) found.push(`attribute ${name}`);
    if (/^(href|action|formaction|src|xlink:href)$/i.test(name) && value && !/^(https?:\/\/|\/(?!\/)|#|\?)/.test(value)) found.push(`${name} leads to ${value}`);
  }
}
return found;
"##;

pub async fn walk(world: &World) -> Result<()> {
    let registry = registry(world).await?;
    let agent = "<script>window.__ran=1</script>\"><img src=x onerror=window.__ran=1>";
    let tab = world.chrome.open(registry.port, Way { agent: Some(agent), ..Way::default() }).await?;
    tab.log_in("admin").await?;
    let mut problems = Vec::new();
    stored(&registry, &tab, &mut problems).await?;
    sent(&tab, &mut problems).await?;
    typed(&tab, &mut problems).await?;
    tab.close().await?;
    verdict(problems)
}

async fn look(tab: &Tab, what: &str, problems: &mut Vec<String>) -> Result<()> {
    if let Ok(text) = tab.driver.get_alert_text().await {
        problems.push(format!("{what}: it asks {text}"));
        tab.driver.dismiss_alert().await?;
    }
    let found: Vec<String> = tab.js(INTRUDERS, &[]).await?;
    let mishaps = mishaps(tab).await?.into_iter().filter(|one| !one.starts_with("content moved"));
    problems.extend(found.into_iter().chain(mishaps).map(|one| format!("{what}: {one}")));
    Ok(())
}

/// A registry whose every text is hostile.
async fn registry(world: &World) -> Result<Registry> {
    let text = |i: usize| CORPUS[i % CORPUS.len()];
    let groups: serde_json::Map<String, Value> = (0..4)
        .map(|i| (format!("group{i}"), json!({ "description": text(i), "members": ["alice"], "roles": ["role0"] })))
        .collect();
    let roles: serde_json::Map<String, Value> = (0..4)
        .map(|i| (format!("role{i}"), json!({ "description": text(i + 4), "permissions": ["LOGIN:WEBUI"] })))
        .collect();
    let rules = json!({ "adminUsers": ["admin"], "groups": groups, "roles": roles,
        "rules": [{ "repository": "app", "users": ["alice"], "permissions": ["pull"] }] });
    let settings = format!("[management]\nmax_writes_per_minute = 0\n[operator]\nmessage = {}\n", json!(CORPUS[1]));
    let registry = Registry::start(&world.program, &Conf { users: vec!["admin", "alice"], rules, settings }).await?;
    // Names that no form accepts can be in the file all the same.
    let mut users = registry.file("htpasswd")?;
    let hash = users.lines().find_map(|line| line.strip_prefix("alice:")).unwrap_or_default().to_owned();
    for name in CORPUS.iter().filter(|name| !name.contains(':')) {
        let _ = writeln!(users, "{name}:{hash}");
    }
    registry.write_file("htpasswd", &users)?;
    for (i, name) in CORPUS.iter().enumerate().take(6) {
        let key = json!({ "name": name, "scopes": ["repository:app:pull"], "expires_in": 86_400 + i });
        registry.api(Method::POST, "/keys", &key).await?;
    }
    push(&registry).await?;
    Ok(registry)
}

async fn push(registry: &Registry) -> Result<()> {
    let texts: Value = CORPUS.iter().enumerate().map(|(i, text)| (format!("{text}{i}"), json!(text))).collect();
    let config = |variant: usize| {
        let turned: Vec<_> = CORPUS.iter().cycle().skip(variant).take(CORPUS.len()).collect();
        json!({
            "architecture": CORPUS[variant + 1], "os": CORPUS[variant], "variant": CORPUS[variant], "created": CORPUS[variant],
            "author": CORPUS[variant],
            "config": {
                "Env": turned.iter().map(|text| format!("{text}={text}")).collect::<Vec<_>>(),
                "Entrypoint": turned, "Cmd": turned, "User": CORPUS[variant], "WorkingDir": CORPUS[variant + 2],
                "Labels": texts, "ExposedPorts": texts, "Volumes": texts, "StopSignal": CORPUS[variant],
            },
            "rootfs": { "type": "layers", "diff_ids": [] },
            "history": turned.iter().map(|text| json!({ "created_by": text, "comment": text, "author": text, "empty_layer": true })).collect::<Vec<_>>(),
        })
    };
    for (variant, tag) in ["one", "two", "three"].iter().enumerate() {
        let bytes = config(variant).to_string();
        let config = registry.blob("app", "application/vnd.oci.image.config.v1+json", bytes.as_bytes()).await?;
        let mut layers = Vec::new();
        for text in CORPUS.iter().take(6) {
            let mut layer = registry.blob("app", text, text.as_bytes()).await?;
            layer["annotations"] = json!({ "org.opencontainers.image.title": text });
            layers.push(layer);
        }
        let image = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers, "annotations": texts });
        let subject = registry.manifest("app", tag, &image).await?;
        for text in CORPUS.iter().take(8) {
            let empty = registry.blob("app", "application/vnd.oci.empty.v1+json", b"{}").await?;
            let attached = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": text, "config": empty,
                "layers": [], "subject": subject, "annotations": { *text: text } });
            registry.manifest("app", "", &attached).await?;
        }
        let mut child = subject.clone();
        child["platform"] = json!({ "os": CORPUS[0], "architecture": CORPUS[2], "variant": CORPUS[1] });
        let index = json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [child], "annotations": texts });
        registry.manifest("app", &format!("index-{tag}"), &index).await?;
        let artifact = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": CORPUS[variant], "config": config,
            "layers": layers, "annotations": texts });
        registry.manifest("app", &format!("artifact-{tag}"), &artifact).await?;
    }
    for (i, text) in CORPUS.iter().enumerate() {
        let name = format!("described/r{i}");
        registry.api(Method::POST, "/repositories", &json!({ "name": name, "description": text })).await?;
    }
    registry.api(Method::PATCH, "/repositories/app", &json!({ "description": CORPUS[2] })).await.map(drop)
}

/// What is stored, on every page that shows it.
async fn stored(registry: &Registry, tab: &Tab, problems: &mut Vec<String>) -> Result<()> {
    let mut paths: Vec<String> = [
        "/",
        "/repositories",
        "/repositories/app",
        "/repositories/app/-/untagged",
        "/repositories/app/-/retention",
        "/repositories/app/-/settings",
        "/repositories/app/-/access",
        "/repositories/app/-/compare?from=one&to=two",
        "/repositories/app/-/compare?from=index-one&to=artifact-two",
        "/search?q=app",
        "/profile",
        "/system",
        "/users",
        "/users/alice",
        "/groups",
        "/groups/group0",
        "/groups/group1",
        "/groups/group2",
        "/roles",
        "/roles/role0",
        "/roles/role1",
        "/roles/role2",
        "/access",
        "/settings",
        "/settings/operator",
        "/settings/startup",
        "/login",
    ]
    .map(str::to_owned)
    .to_vec();
    for tag in registry.tags("app").await? {
        paths.push(format!("/repositories/app/-/manifests/{tag}"));
    }
    let users = registry.api(Method::GET, "/users?n=100", &Value::Null).await?;
    for user in users["items"].as_array().into_iter().flatten().filter_map(|user| user["username"].as_str()) {
        paths.push(format!("/users/{}", encoded(user)));
    }
    for path in paths {
        tab.go(&path).await?;
        look(tab, &path, problems).await?;
    }
    // The scripts of a page move such texts, too.
    tab.go("/repositories/app/-/manifests/one").await?;
    tab.press("Copy").await?;
    tab.keys("?").await?;
    look(tab, "after copying", problems).await
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        // Writing to a string cannot fail.
        let _ = write!(out, "%{byte:02X}");
        out
    })
}

/// What an address can say.
async fn sent(tab: &Tab, problems: &mut Vec<String>) -> Result<()> {
    for text in CORPUS {
        for path in [
            "/search?q=",
            "/repositories?q=",
            "/repositories?namespace=",
            "/repositories/app?q=",
            "/users?q=",
            "/repositories/app/-/compare?from=one&to=",
            "/repositories/-/new?namespace=",
            "/login?next=",
            "/access?repository=app&action=pull&user=",
            "/groups/",
            "/nothing/",
        ] {
            tab.go(&format!("{path}{}", encoded(text))).await?;
            look(tab, &format!("{path}{text}"), problems).await?;
        }
    }
    Ok(())
}

/// What forms say again when they refuse it.
async fn typed(tab: &Tab, problems: &mut Vec<String>) -> Result<()> {
    for text in CORPUS.iter().filter(|text| text.is_ascii()) {
        tab.go("/repositories/-/new").await?;
        tab.fill("Name", text).await?;
        tab.fill("Description", text).await?;
        tab.submit("Create repository").await?;
        look(tab, &format!("a repository named {text}"), problems).await?;
        tab.go("/profile").await?;
        tab.fill("Name", text).await?;
        tab.fill("Scopes", text).await?;
        tab.submit("Make the key").await?;
        look(tab, &format!("a key named {text}"), problems).await?;
        tab.go("/users").await?;
        tab.fill("Name", text).await?;
        tab.fill("Password", PASSWORD).await?;
        tab.submit("Create user").await?;
        look(tab, &format!("a user named {text}"), problems).await?;
    }
    Ok(())
}
