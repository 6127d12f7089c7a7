//! What the walks share: chromedriver, a registry with content, one that is open and empty, and axe-core.

use crate::{
    Result,
    chrome::{Chrome, Tab, Way},
    fill,
    registry::{Conf, Registry},
};
use serde_json::json;
use std::path::PathBuf;

/// Every rule of axe-core for pages like these.
pub const ALL: &str = "";
/// The one about colours.
pub const COLOURS: &str = "color-contrast";

pub struct World {
    pub chrome: Chrome,
    /// The daemon's program.
    pub program: PathBuf,
    /// A company's registry; its first user is `admin`.
    pub full: Registry,
    /// The same people, where every name is as long as can be.
    pub long: Registry,
    /// Nobody logs in here, and nothing is in it.
    pub empty: Registry,
    /// The script of axe-core, unless it could not be installed.
    axe: Option<String>,
}

impl World {
    pub async fn start() -> Result<Self> {
        let program = std::env::var("WHARFINGER_BIN").unwrap_or_else(|_| "target/debug/wharfinger".to_owned());
        let program = std::path::absolute(program)?;
        let axe = match std::env::var("AXE") {
            Ok(path) => Some(std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?),
            Err(_) => None,
        };
        let chrome = Chrome::start().await?;
        let start = std::time::Instant::now();
        let mut full = Registry::start(&program, &fill::conf()).await?;
        fill::all(&mut full).await?;
        println!("{:<16} {:<7} {:5.1} s", "filled", "", start.elapsed().as_secs_f64());
        let mut long = Registry::start(&program, &fill::conf()).await?;
        fill::long(&mut long).await?;
        let empty = Registry::start(&program, &Conf::default()).await?;
        Ok(Self { chrome, program, full, long, empty, axe })
    }

    /// A browser whose user has logged in, or nobody.
    pub async fn tab(&self, user: Option<&str>, way: Way) -> Result<Tab> {
        let tab = self.chrome.open(self.full.port, way).await?;
        if let Some(user) = user {
            tab.log_in(user).await?;
        }
        Ok(tab)
    }

    pub async fn admin(&self) -> Result<Tab> {
        self.tab(Some("admin"), Way::default()).await
    }

    /// What axe-core complains about on the page.
    pub async fn complaints(&self, tab: &Tab, rules: &str) -> Result<Vec<String>> {
        const RUN: &str = r#"
const [only, done] = arguments;
const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
Promise.allSettled(document.getAnimations().map((one) => one.finished)).then(() => axe.run(document, { runOnly: only ? [only] : { type: "tag", values: tags }, resultTypes: ["violations"] })).then(
  (found) => done(found.violations.map((v) =>
    `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => `${n.target.join(" ")} (${n.any.concat(n.all, n.none).map((c) => c.message).join("; ")})`).join(", ")}`)),
  (error) => done([String(error)]));
"#;
        let Some(axe) = &self.axe else {
            return Ok(Vec::new());
        };
        if !tab.js::<bool>("return 'axe' in window", &[]).await? {
            tab.driver.execute(axe.as_str(), Vec::new()).await?;
        }
        Ok(tab.driver.execute_async(RUN, vec![json!(rules)]).await?.convert()?)
    }

    pub async fn stop(self) {
        self.chrome.stop().await;
    }
}

/// What must not have happened on a page: refused by the policy, failed scripts, moved content.
pub async fn mishaps(tab: &Tab) -> Result<Vec<String>> {
    let seen: serde_json::Value = tab.js("return window.__seen ?? null", &[]).await?;
    let mut found = Vec::new();
    for kind in ["policy", "errors"] {
        found.extend(seen[kind].as_array().into_iter().flatten().map(|text| format!("{kind}: {text}")));
    }
    if seen["shift"].as_f64().is_some_and(|shift| shift > 0.0) {
        found.push(format!("content moved while it was loaded: {} by {}", seen["moved"], seen["shift"]));
    }
    Ok(found)
}
