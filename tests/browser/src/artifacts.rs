//! What people do with artifacts: create a repository, upload, search, download, edit, delete and restore.

use crate::{
    Result,
    acts::check,
    chrome::{Tab, Way},
    images::noise,
    registry::digest,
    world::{World, mishaps},
};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

/// Lets one chunk of an upload pass, and loses the next.
const LOSE: &str = r#"
let chunks = 0;
const { open, send } = XMLHttpRequest.prototype;
XMLHttpRequest.prototype.open = function (method, ...rest) {
  this.isLost = method === "PATCH" && ++chunks > 1;
  open.call(this, method, ...rest);
};
XMLHttpRequest.prototype.send = function (body) {
  if (!this.isLost) send.call(this, body);
};
"#;

pub async fn walk(world: &World, scripts: bool) -> Result<()> {
    let tab = world.tab(None, Way { scripts, ..Way::default() }).await?;
    tab.log_in("admin").await?;
    let name = if scripts { "walk-a" } else { "walk-b" };
    create(&tab, name).await?;
    if scripts {
        upload(world, &tab, name).await?;
        continue_upload(world, &tab, name).await?;
    } else {
        tab.go(&format!("/artifacts/{name}/-/upload")).await?;
        tab.shows(&["Uploads from this page need scripts", "curl -fSs -u admin -T FILE"]).await?;
    }
    fill(world, name).await?;
    browse(&tab, name, scripts).await?;
    search(&tab, name, scripts).await?;
    edit(&tab, name).await?;
    delete_and_restore(world, &tab, name).await?;
    retention(&tab, name).await?;
    delete_repository(&tab, name).await?;
    crate::verdict(mishaps(&tab).await?)?;
    tab.close().await
}

async fn create(tab: &Tab, name: &str) -> Result<()> {
    tab.go("/").await?;
    tab.press("Artifacts").await?;
    tab.is_at("/artifacts").await?;
    tab.press("New repository").await?;
    tab.fill("Name", "UPPER").await?;
    tab.fill("Description", "For a walk").await?;
    tab.press("Create repository").await?;
    tab.shows(&["lowercase letters"]).await?;
    tab.fill("Name", name).await?;
    tab.press("Create repository").await?;
    tab.shows(&["The repository was created.", "For a walk", "No files yet", "private"]).await
}

/// Writes a file to upload, with a time that does not change.
fn file(name: &str, bytes: &[u8]) -> Result<(tempfile::TempDir, String)> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join(name);
    std::fs::write(&path, bytes)?;
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    std::fs::File::options().write(true).open(&path)?.set_modified(hour_ago)?;
    Ok((dir, path.to_string_lossy().into_owned()))
}

async fn choose(tab: &Tab, path: &str) -> Result<()> {
    Ok(tab.driver.find(thirtyfour::By::Css("input[type=file]")).await?.send_keys(path).await?)
}

async fn upload(world: &World, tab: &Tab, name: &str) -> Result<()> {
    let content = noise(3 << 20, "upload");
    let (_dir, path) = file("app one.bin", &content)?;
    tab.go(&format!("/artifacts/{name}")).await?;
    tab.press("Upload files").await?;
    tab.fill("Version", "1.0").await?;
    tab.fill("Directory", "bin").await?;
    tab.fill("Properties", "os=linux\nbuild=7").await?;
    choose(tab, &path).await?;
    tab.shows(&["3.0 MiB, stored"]).await?;
    let found = world.full.api(Method::GET, &format!("/artifacts/search?repo={name}&os=linux"), &Value::Null).await?;
    let one = &found["results"][0];
    check(
        one["path"] == "bin/app one.bin" && one["digest"] == digest(&content),
        &format!("it is stored whole: {one}"),
    )?;
    // Other content in the same place is refused, until it is meant.
    let (_dir, path) = file("app one.bin", b"other")?;
    choose(tab, &path).await?;
    tab.shows(&["Try again"]).await?;
    tab.check("Replace files").await?;
    tab.press("Try again").await?;
    tab.shows(&["5 B, stored"]).await?;
    tab.press("bin/app one.bin").await?;
    tab.shows(&["Download 5 B", "linux"]).await
}

/// An upload that was interrupted continues in another page, with the bytes that are there.
async fn continue_upload(world: &World, tab: &Tab, name: &str) -> Result<()> {
    let content = noise(20 << 20, "large");
    let (_dir, path) = file("large.bin", &content)?;
    let page = format!("/artifacts/{name}/-/upload?version=1.1");
    tab.go(&page).await?;
    tab.js::<()>(LOSE, &[]).await?;
    choose(tab, &path).await?;
    tab.shows(&["40 %"]).await?;
    tab.go(&page).await?;
    tab.shows(&["large.bin", "interrupted at 40 %: choose the file again"]).await?;
    // Only what is missing is sent.
    tab.js::<()>(
        "window.__sent = 0; const { send } = XMLHttpRequest.prototype; \
         XMLHttpRequest.prototype.send = function (body) { window.__sent += body?.size ?? 0; send.call(this, body); };",
        &[],
    )
    .await?;
    choose(tab, &path).await?;
    tab.shows(&["20.0 MiB, stored"]).await?;
    let sent: usize = tab.js("return window.__sent", &[]).await?;
    check(sent == 12 << 20, &format!("12 MiB are sent: {sent}"))?;
    let found =
        world.full.api(Method::GET, &format!("/artifacts/search?repo={name}&name=large.bin"), &json!(null)).await?;
    check(found["results"][0]["digest"] == digest(&content), &format!("it is whole: {found}"))?;
    let kept: usize = tab.js("return Object.keys(localStorage).length", &[]).await?;
    check(kept == 0, "nothing is remembered of an upload that has ended")
}

async fn fill(world: &World, name: &str) -> Result<()> {
    for (version, branch) in [("1.9", "main"), ("1.10", "main"), ("2.0", "next")] {
        for file in ["app.zip", "docs/manual.pdf"] {
            let target = format!("{name}/-/{version}/{file}?property.branch={branch}");
            world.full.artifact(&target, &noise(9000, &format!("{version}{file}"))).await?;
        }
    }
    Ok(())
}

async fn browse(tab: &Tab, name: &str, scripts: bool) -> Result<()> {
    tab.go(&format!("/artifacts/{name}")).await?;
    let order: Vec<String> =
        tab.js("return [...document.querySelectorAll('tbody th a')].map((a) => a.innerText)", &[]).await?;
    check(
        order.starts_with(&["2.0".to_owned(), "1.10".to_owned(), "1.9".to_owned()]),
        &format!("newest first: {order:?}"),
    )?;
    tab.press("1.10").await?;
    tab.press("docs").await?;
    tab.shows(&["in version 1.10", "manual.pdf"]).await?;
    tab.press("manual.pdf").await?;
    tab.shows(&["sha256:", "branch", "main", "curl -fSOJ -u admin http://localhost:15000/api/v1/artifacts/"]).await?;
    if !scripts {
        return Ok(());
    }
    let saved: String = tab
        .js(
            "return fetch([...document.querySelectorAll('a')].find((a) => a.innerText.startsWith('Download')).href)\
             .then((r) => `${r.status} ${r.headers.get('content-disposition')}`)",
            &[],
        )
        .await?;
    check(saved == "200 attachment; filename=\"manual.pdf\"", &format!("it is downloaded: {saved}"))
}

async fn search(tab: &Tab, name: &str, scripts: bool) -> Result<()> {
    tab.go(&format!("/artifacts/{name}/-/search")).await?;
    tab.fill("Property", "branch=main").await?;
    tab.fill("Version", "1.*").await?;
    if scripts {
        let suggested = "return [...document.querySelectorAll('datalist option')].map((o) => o.value)";
        for _ in 0..100 {
            let found: Vec<String> = tab.js(suggested, &[]).await?;
            if found == ["branch=main"] {
                break;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        let found: Vec<String> = tab.js(suggested, &[]).await?;
        check(found == ["branch=main"], &format!("values are suggested: {found:?}"))?;
    }
    tab.js::<()>("document.querySelector('main form .btn.primary').click()", &[]).await?;
    tab.until_path("version=1.").await?;
    tab.shows(&["4 files", "All as zip"]).await?;
    tab.check("Select app.zip 1.10").await?;
    tab.check("Select app.zip 1.9").await?;
    if scripts {
        tab.shows(&["2 files selected"]).await?;
        let archive: String = tab
        .js(
            "const form = document.querySelector('form:has(.bulk)'); const query = new URLSearchParams(new FormData(form)); \
             query.append('format', 'zip'); \
             return fetch(`${form.action}?${query}`).then((r) => `${r.status} ${r.headers.get('content-type')}`)",
            &[],
        )
        .await?;
        check(archive == "200 application/zip", &format!("the selection is an archive: {archive}"))?;
    }
    tab.press("Remove branch=main").await?;
    tab.shows(&["app.zip"]).await?;
    // A property of a result narrows the search, too.
    tab.go(&format!("/artifacts/{name}/-/search")).await?;
    tab.press("next").await?;
    tab.until_path("p=branch%3Dnext").await?;
    tab.shows(&["2 files"]).await
}

async fn edit(tab: &Tab, name: &str) -> Result<()> {
    tab.go(&format!("/artifacts/{name}/-/files/2.0/app.zip")).await?;
    tab.press("Edit properties").await?;
    tab.fill("One key=value", "nonsense").await?;
    tab.press("Save properties").await?;
    tab.shows(&["Line 1 is not written as key=value"]).await?;
    tab.fill("One key=value", "branch=release\nos=linux").await?;
    tab.press("Save properties").await?;
    tab.shows(&["Saved.", "release"]).await?;
    tab.press("Edit metadata").await?;
    tab.fill("A JSON object", "{\"tests\": 812}").await?;
    tab.press("Save metadata").await?;
    tab.shows(&["Saved.", "\"tests\": 812"]).await?;
    tab.fill("Path", "bin/app.zip").await?;
    tab.press("Rename").await?;
    tab.until_path("/-/files/2.0/bin/app.zip").await?;
    tab.shows(&["Saved.", "bin/app.zip"]).await
}

async fn delete_and_restore(world: &World, tab: &Tab, name: &str) -> Result<()> {
    tab.press("Move to trash").await?;
    tab.shows(&["The file was moved to the trash."]).await?;
    let found = format!("/artifacts/search?repo={name}&path=bin/app.zip");
    check(world.full.api(Method::GET, &found, &Value::Null).await?["total"] == 0, "it is deleted")?;
    tab.press("Trash").await?;
    tab.shows(&["bin/app.zip", "by admin", "in 2 days"]).await?;
    tab.press("Restore bin/app.zip").await?;
    tab.shows(&["The file was restored.", "812"]).await?;
    check(world.full.api(Method::GET, &found, &Value::Null).await?["total"] == 1, "it is there again")
}

async fn retention(tab: &Tab, name: &str) -> Result<()> {
    tab.go(&format!("/artifacts/{name}/-/retention")).await?;
    tab.fill("Newest to keep", "1").await?;
    tab.press("Preview").await?;
    tab.shows(&["Nothing is saved yet.", "goes"]).await?;
    tab.press("Save rules").await?;
    tab.shows(&["Saved.", "Retention is off"]).await
}

async fn delete_repository(tab: &Tab, name: &str) -> Result<()> {
    tab.go(&format!("/artifacts/{name}/-/settings")).await?;
    tab.fill("Type", "walk").await?;
    tab.press("Delete repository").await?;
    tab.shows(&["This is not the repository"]).await?;
    tab.fill("Type", name).await?;
    tab.press("Delete repository").await?;
    tab.shows(&["The repository was deleted."]).await
}
