//! How pages look: at every width, in both themes, with large letters, without motion, and to a screen reader.

use crate::{
    Result,
    chrome::{DESKTOP, PHONE, Tab, Way},
    pages::{self, Viewer},
    verdict,
    world::{ALL, COLOURS, World, mishaps},
};

/// Widths from a small telephone to a large screen; 720 is also a zoom of 200 % on a screen of 1440.
const WIDTHS: [u32; 6] = [360, 390, 720, 900, 1440, 2560];

/// What is wider than the window, or than the box that it is in. Some boxes scroll by themselves.
const WIDE: &str = r#"
const found = [];
const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
if (wide > 0) {
  const past = [...document.body.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1);
  found.push(`the page is ${wide} px too wide: ${past.slice(-3).map((e) => e.tagName + "." + (e.className.baseVal ?? e.className)).join(", ")}`);
}
for (const box of document.querySelectorAll(".sheet, .panel, .note, .stats, .bulk, .cmd")) {
  const scrolls = box.querySelector(".grid") || innerWidth > 600 && box.matches(".sheet");
  if (!scrolls && box.scrollWidth > box.clientWidth + 1 && box.clientWidth > 0) found.push(`${box.className} is ${box.scrollWidth - box.clientWidth} px too wide inside`);
}
return found;
"#;

/// The browsers of those who look at pages.
pub struct Viewers {
    admin: Tab,
    alice: Tab,
    nobody: Tab,
    long: Tab,
    open: Tab,
}

impl Viewers {
    pub async fn open(world: &World, way: Way) -> Result<Self> {
        let long = world.chrome.open(world.long.port, way).await?;
        long.log_in("admin").await?;
        Ok(Self {
            long,
            admin: world.tab(Some("admin"), way).await?,
            alice: world.tab(Some("alice"), way).await?,
            nobody: world.tab(None, way).await?,
            open: world.chrome.open(world.empty.port, way).await?,
        })
    }

    pub fn of(&self, viewer: Viewer) -> &Tab {
        match viewer {
            Viewer::Admin => &self.admin,
            Viewer::Alice => &self.alice,
            Viewer::Nobody => &self.nobody,
            Viewer::Long => &self.long,
            Viewer::Open => &self.open,
        }
    }

    pub async fn close(self) -> Result<()> {
        for tab in [self.admin, self.alice, self.nobody, self.long, self.open] {
            tab.close().await?;
        }
        Ok(())
    }
}

/// Every page at every width, in both themes, and what axe-core says about it.
pub async fn pages(world: &World) -> Result<()> {
    let viewers = Viewers::open(world, Way::default()).await?;
    let mut problems = Vec::new();
    for place in pages::all() {
        let tab = viewers.of(place.viewer);
        let mut tell = |what: &str, found: Vec<String>| {
            problems.extend(found.into_iter().map(|one| format!("{} ({what}): {one}", place.name)));
        };
        tab.look(DESKTOP).await?;
        place.open(tab).await.map_err(|error| format!("{}: {error}", place.name))?;
        tell("loading", mishaps(tab).await?);
        let title = tab.driver.title().await?;
        if !title.ends_with(" · Wharfinger") {
            tell("title", vec![title]);
        }
        // Another theme has other colours, and nothing else.
        for (what, look, rules) in
            [("light", DESKTOP, ALL), ("dark", DESKTOP.dark(), COLOURS), ("telephone", PHONE, ALL)]
        {
            tab.look(look).await?;
            tell(what, world.complaints(tab, rules).await?);
        }
        for width in WIDTHS {
            tab.look(DESKTOP.wide(width)).await?;
            tell(&format!("{width} px"), tab.js(WIDE, &[]).await?);
        }
    }
    viewers.close().await?;
    verdict(problems)
}

/// Every page with letters of twice the size.
pub async fn letters(world: &World) -> Result<()> {
    let mut problems = Vec::new();
    let viewers = Viewers::open(world, Way { letters: 32, ..Way::default() }).await?;
    for place in pages::all() {
        let tab = viewers.of(place.viewer);
        tab.look(DESKTOP).await?;
        place.open(tab).await.map_err(|error| format!("{}: {error}", place.name))?;
        for width in [1440, 800] {
            tab.look(DESKTOP.wide(width)).await?;
            let found: Vec<String> = tab.js(WIDE, &[]).await?;
            problems.extend(found.into_iter().map(|one| format!("{} ({width} px): {one}", place.name)));
        }
    }
    viewers.close().await?;
    verdict(problems)
}

/// Nothing moves for those who want it so.
pub async fn motion(world: &World) -> Result<()> {
    const MOVING: &str = r#"
return [...document.querySelectorAll("*")].filter((e) => {
  const style = getComputedStyle(e);
  return style.transitionDuration.split(",").some((d) => parseFloat(d) > 0) && style.transitionProperty !== "none" || style.animationName !== "none";
}).map((e) => `${e.tagName}.${e.className} moves`)
"#;
    let tab = world.admin().await?;
    let mut problems = Vec::new();
    for path in ["/", "/repositories", "/repositories/platform/api", "/access"] {
        tab.go(path).await?;
        tab.media("prefers-reduced-motion", "reduce").await?;
        // A button changes slowly under the pointer, for others.
        let button = tab.driver.find(thirtyfour::By::Css(".page .btn")).await?;
        tab.driver.action_chain().move_to_element_center(&button).perform().await?;
        problems.extend(tab.js::<Vec<String>>(MOVING, &[]).await?.into_iter().map(|one| format!("{path}: {one}")));
    }
    tab.close().await?;
    verdict(problems)
}
