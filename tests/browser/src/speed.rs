//! How much a first visit loads, and how soon something can be seen.

use crate::{Result, acts::check, chrome::SITE, verdict, world::World};
use serde_json::{Value, json};

/// The most bytes of a first visit.
const MOST_BYTES: u64 = 60 << 10;
/// The promise is 150 ms; a debug build on a busy machine gets more.
const LATEST_MS: f64 = 1000.0;

const LOADED: &str = r#"
const entries = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
const paint = performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? -1;
return {
  bytes: entries.reduce((sum, entry) => sum + entry.transferSize, 0),
  parts: entries.map((entry) => `${new URL(entry.name).pathname} ${entry.transferSize}`),
  response: entries[0].responseEnd - entries[0].requestStart,
  paint,
};
"#;

pub async fn walk(world: &World) -> Result<()> {
    let mut problems = Vec::new();
    let tab = world.admin().await?;
    println!("{:<44} {:>10} {:>12} {:>10}", "page", "bytes", "answer ms", "paint ms");
    for path in
        ["/login", "/", "/repositories", "/repositories/platform/api", "/repositories/platform/api/-/manifests/2.4.1"]
    {
        let mut paints = Vec::new();
        let (mut bytes, mut answer) = (0, 0.0);
        for _ in 0..5 {
            // As if nobody had been here before.
            tab.cdp("Network.clearBrowserCache", json!({})).await?;
            // What a service worker hands on counts as if it had not been compressed.
            let kept = json!({ "origin": SITE, "storageTypes": "service_workers,cache_storage" });
            tab.cdp("Storage.clearDataForOrigin", kept).await?;
            tab.go("about:blank").await.ok();
            tab.go(path).await?;
            let loaded = loaded(&tab).await?;
            bytes = loaded["bytes"].as_u64().unwrap_or_default();
            answer = loaded["response"].as_f64().unwrap_or_default();
            paints.push(loaded["paint"].as_f64().unwrap_or(f64::MAX));
            if bytes == 0 || bytes > MOST_BYTES {
                problems.push(format!("{path} loads {bytes} bytes: {}", loaded["parts"]));
            }
        }
        paints.sort_by(f64::total_cmp);
        println!("{path:<44} {bytes:>10} {answer:>12.1} {:>10.0}", paints[2]);
        if paints[2] < 0.0 || paints[2] > LATEST_MS {
            problems.push(format!("{path} shows something after {:.0} ms", paints[2]));
        }
    }
    // The second page loads nothing but itself.
    tab.go("/repositories").await?;
    tab.go("/users").await?;
    let again = loaded(&tab).await?;
    let parts: Vec<_> = again["parts"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let cached = parts.iter().skip(1).all(|part| part.ends_with(" 0"));
    check(cached, &format!("style and script are in the browser's cache: {parts:?}"))?;
    tab.close().await?;
    verdict(problems)
}

async fn loaded(tab: &crate::chrome::Tab) -> Result<Value> {
    for _ in 0..40 {
        let loaded: Value = tab.js(LOADED, &[]).await?;
        if loaded["paint"].as_f64().is_some_and(|paint| paint >= 0.0) {
            return Ok(loaded);
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    tab.js(LOADED, &[]).await
}
