//! Chromium, driven by chromedriver: a tab, how it looks at pages, and what a person does in it.

use crate::{PATIENCE, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::{process::Stdio, time::Instant};
use tempfile::TempDir;
use thirtyfour::{
    ChromiumLikeCapabilities as _, DesiredCapabilities, WebDriver, WebElement, prelude::ElementQueryable as _,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

/// What pages are opened under, whatever the daemon's port: so they look the same in every run.
pub const SITE: &str = "http://localhost:15000";

/// Runs before the scripts of each page, and remembers what must not happen.
const WATCH: &str = r#"
window.__seen = { policy: [], errors: [], shift: 0, moved: [] };
document.addEventListener("securitypolicyviolation", (e) => __seen.policy.push(`${e.violatedDirective} ${e.blockedURI}`));
window.addEventListener("error", (e) => __seen.errors.push(String(e.message)));
window.addEventListener("unhandledrejection", (e) => __seen.errors.push(String(e.reason)));
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (entry.hadRecentInput) continue;
    __seen.shift += entry.value;
    __seen.moved.push(...entry.sources.map(({ node }) => `${node?.nodeName}.${node?.className} `));
  }
}).observe({ type: "layout-shift", buffered: true });
"#;

/// Finds what a person would name: something to press by its words, or a field by its label.
const FIND: &str = r#"
const [kind, name] = arguments;
const words = (e) => (e.getAttribute("aria-label") || e.innerText || e.title || "").replace(/\s+/g, " ").trim();
const open = document.querySelector("dialog[open], .pick[open], :popover-open");
const choose = (found) => found.find((e) => words(e) === name) ?? found.find((e) => words(e).startsWith(name));
for (const root of open ? [open, document] : [document]) {
  const all = (selector) => [...root.querySelectorAll(selector)].filter((e) => e.checkVisibility({ visibilityProperty: true }));
  if (kind === "press") {
    const found = choose(all("a, button, summary, [role=button]"));
    if (found) return found;
  } else {
    const label = choose(all("label").filter((e) => e.control));
    if (label) return label.control;
    const named = choose(all("input, textarea, select").filter((e) => e.hasAttribute("aria-label")));
    if (named) return named;
  }
}
return null;
"#;

/// chromedriver, which starts browsers.
pub struct Chrome {
    child: Child,
    port: u16,
}

/// How a browser is started.
#[derive(Clone, Copy)]
pub struct Way {
    /// Whether pages may run scripts.
    pub scripts: bool,
    /// The size of letters that the user has chosen, in pixels; usually 16.
    pub letters: u8,
    /// What the browser calls itself, if not Chromium.
    pub agent: Option<&'static str>,
}

impl Default for Way {
    fn default() -> Self {
        Self { scripts: true, letters: 16, agent: None }
    }
}

/// How a tab looks at pages.
#[derive(Clone, Copy)]
pub struct Look {
    pub width: u32,
    pub height: u32,
    pub dark: bool,
}

pub const DESKTOP: Look = Look { width: 1440, height: 900, dark: false };
pub const PHONE: Look = Look { width: 390, height: 844, dark: false };

impl Look {
    pub fn dark(self) -> Self {
        Self { dark: true, ..self }
    }

    pub fn wide(self, width: u32) -> Self {
        Self { width, ..self }
    }
}

impl Chrome {
    /// Starts chromedriver on a free port.
    pub async fn start() -> Result<Self> {
        let program = std::env::var("CHROMEDRIVER").unwrap_or_else(|_| "chromedriver".to_owned());
        let mut child = Command::new(&program)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot start {program}: {error}; on Debian: apt-get install chromium-driver"))?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let said = async {
            while let Some(line) = lines.next_line().await? {
                if let Some((_, port)) = line.split_once("started successfully on port ") {
                    return Ok(port.trim_end_matches('.').parse()?);
                }
            }
            Err("chromedriver ended".into())
        };
        let port: Result<u16> = tokio::time::timeout(PATIENCE, said).await.map_err(|_| "chromedriver says no port")?;
        Ok(Self { port: port?, child })
    }

    /// Opens a browser whose [`SITE`] is the daemon at this port.
    pub async fn open(&self, port: u16, way: Way) -> Result<Tab> {
        let profile = TempDir::new()?;
        let mut caps = DesiredCapabilities::chrome();
        for arg in [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
            "--font-render-hinting=none",
            &format!("--user-data-dir={}", profile.path().display()),
            // Everything else leads nowhere.
            &format!("--host-resolver-rules=MAP localhost:15000 127.0.0.1:{port}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
        ] {
            caps.add_arg(arg)?;
        }
        if let Some(agent) = way.agent {
            caps.add_arg(&format!("--user-agent={agent}"))?;
        }
        if let Ok(program) = std::env::var("CHROMIUM") {
            caps.set_binary(&program)?;
        }
        let letters = way.letters;
        caps.add_experimental_option("prefs", json!({ "webkit.webprefs.default_font_size": letters }))?;
        let driver = WebDriver::new(format!("http://127.0.0.1:{}", self.port), caps).await?;
        let tab = Tab { driver, _profile: profile };
        tab.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": WATCH })).await?;
        let clipboard = json!({ "origin": SITE, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
        tab.cdp("Browser.grantPermissions", clipboard).await?;
        if !way.scripts {
            tab.cdp("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await?;
        }
        tab.look(DESKTOP).await?;
        Ok(tab)
    }

    pub async fn stop(mut self) {
        let _ = self.child.kill().await;
    }
}

/// A tab of a browser.
pub struct Tab {
    pub driver: WebDriver,
    /// Removed with the tab.
    _profile: TempDir,
}

impl Tab {
    pub async fn cdp(&self, command: &str, parameters: Value) -> Result<Value> {
        Ok(self.driver.cdp().send_raw(command, parameters).await?)
    }

    /// Sets the size of the window and the theme of the system.
    pub async fn look(&self, look: Look) -> Result<()> {
        let size = json!({ "width": look.width, "height": look.height, "deviceScaleFactor": 1, "mobile": false });
        self.cdp("Emulation.setDeviceMetricsOverride", size).await?;
        self.media("prefers-color-scheme", if look.dark { "dark" } else { "light" }).await
    }

    /// Sets what the user prefers, besides a theme that was set.
    pub async fn media(&self, feature: &str, value: &str) -> Result<()> {
        let features = json!({ "features": [{ "name": feature, "value": value }] });
        self.cdp("Emulation.setEmulatedMedia", features).await.map(drop)
    }

    /// Opens a path of the registry.
    pub async fn go(&self, path: &str) -> Result<()> {
        Ok(self.driver.goto(format!("{SITE}{path}")).await?)
    }

    /// The value of a script's function body.
    pub async fn js<T: DeserializeOwned>(&self, body: &str, arguments: &[Value]) -> Result<T> {
        Ok(self.driver.execute(body, arguments).await?.convert()?)
    }

    /// The path and query of the page.
    pub async fn path(&self) -> Result<String> {
        let url = self.driver.current_url().await?;
        Ok(url.as_str().strip_prefix(SITE).unwrap_or(url.as_str()).to_owned())
    }

    /// The text that a person can read.
    pub async fn text(&self) -> Result<String> {
        self.js("return document.body.innerText", &[]).await
    }

    async fn find(&self, kind: &str, name: &str) -> Result<WebElement> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // While a page is replaced by the next one, nothing can be found.
            if let Ok(found) = self.driver.execute(FIND, vec![json!(kind), json!(name)]).await
                && !found.json().is_null()
            {
                return Ok(found.element()?);
            }
            if Instant::now() > deadline {
                let what = if kind == "press" { "link or button" } else { "field" };
                return Err(format!("no {what} “{name}” on {}", self.path().await?).into());
            }
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        }
    }

    /// Clicks the link or button with these words, or that begins with them.
    pub async fn press(&self, name: &str) -> Result<()> {
        let found = self.find("press", name).await?;
        found.scroll_into_view().await?;
        found.click().await.map_err(|error| format!("“{name}” cannot be clicked: {error}").into())
    }

    /// Clicks a button that sends a form, and waits for the next page.
    pub async fn submit(&self, name: &str) -> Result<()> {
        let mark: bool = self.js("return window.__sent = true", &[]).await?;
        self.press(name).await?;
        self.until(&format!("does not answer “{name}”"), async || {
            self.js("return window.__sent !== arguments[0] && document.readyState === 'complete'", &[json!(mark)]).await
        })
        .await
    }

    /// Writes into the field with this label.
    pub async fn fill(&self, label: &str, text: &str) -> Result<()> {
        let field = self.find("field", label).await?;
        field.clear().await?;
        Ok(field.send_keys(text).await?)
    }

    /// Chooses an option of the field with this label.
    pub async fn choose(&self, label: &str, option: &str) -> Result<()> {
        let field = self.find("field", label).await?;
        let options = field.query(thirtyfour::By::Tag("option")).all_from_selector().await?;
        for one in options {
            if one.text().await?.trim() == option {
                return Ok(one.click().await?);
            }
        }
        Err(format!("the field “{label}” has no option “{option}”").into())
    }

    /// Clicks a box to check, or a choice.
    pub async fn check(&self, label: &str) -> Result<()> {
        let found = self.find("field", label).await?;
        found.scroll_into_view().await?;
        Ok(found.click().await?)
    }

    /// Types on the keyboard, wherever the focus is.
    pub async fn keys(&self, keys: impl AsRef<str>) -> Result<()> {
        Ok(self.driver.action_chain().send_keys(keys.as_ref()).perform().await?)
    }

    /// Waits until the page shows all of these.
    pub async fn shows(&self, texts: &[&str]) -> Result<()> {
        self.until(&format!("does not show {texts:?}"), async || {
            let text = self.text().await?;
            Ok(texts.iter().all(|one| text.contains(one)))
        })
        .await
    }

    /// Waits until this path is open.
    pub async fn is_at(&self, path: &str) -> Result<()> {
        self.until(&format!("is not at {path}"), async || Ok(self.path().await? == path)).await
    }

    /// Waits until the path or query contains this.
    pub async fn until_path(&self, part: &str) -> Result<()> {
        self.until(&format!("is not at …{part}"), async || Ok(self.path().await?.contains(part))).await
    }

    /// What was copied.
    pub async fn clipboard(&self) -> Result<String> {
        const READ: &str =
            "const done = arguments[0]; navigator.clipboard.readText().then(done, (error) => done(String(error)))";
        // A click returns before its text is copied.
        self.until("has not copied", async || {
            self.js("return document.querySelector('.copy.done') !== null", &[]).await
        })
        .await?;
        Ok(self.driver.execute_async(READ, Vec::new()).await?.convert()?)
    }

    async fn until(&self, what: &str, is_so: impl AsyncFn() -> Result<bool>) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if is_so().await.unwrap_or(false) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{} {what}: {}", self.path().await?, self.text().await?).into());
            }
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        }
    }

    /// Answers a question that the page asks in a window of the browser.
    pub async fn answer(&self, question: &str) -> Result<()> {
        let asked = self.driver.get_alert_text().await?;
        if !asked.contains(question) {
            return Err(format!("it asks “{asked}”, not “{question}”").into());
        }
        Ok(self.driver.accept_alert().await?)
    }

    /// Logs in.
    pub async fn log_in(&self, user: &str) -> Result<()> {
        self.go("/login").await?;
        self.fill("User", user).await?;
        self.fill("Password", crate::registry::PASSWORD).await?;
        self.press("Log in").await?;
        self.is_at("/").await
    }

    /// A picture of the page, at most this high.
    pub async fn picture(&self, look: Look, most: u32) -> Result<Vec<u8>> {
        self.look(look).await?;
        let height: u32 = self.js("return document.documentElement.scrollHeight", &[]).await?;
        let look = Look { height: height.clamp(look.height, most), ..look };
        self.look(look).await?;
        // A page that has just been laid out anew draws in two frames.
        let frames = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done(1)))";
        self.driver.execute_async(frames, Vec::new()).await?;
        let shot = self.cdp("Page.captureScreenshot", json!({ "format": "png" })).await?;
        Ok(STANDARD.decode(shot["data"].as_str().unwrap_or_default())?)
    }

    pub async fn close(self) -> Result<()> {
        Ok(self.driver.quit().await?)
    }
}
