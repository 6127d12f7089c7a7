//! Pictures of every page.

use crate::{
    PATIENCE, Result,
    chrome::{DESKTOP, PHONE, Way},
    looks::Viewers,
    pages,
    world::World,
};
use std::{fs, path::Path};

/// The highest picture, in pixels.
const MOST_HIGH: u32 = 1200;

/// Writes a picture of each page, or of those named. Main pages are also shown dark and on a telephone.
pub async fn take(directory: &Path, names: &[String]) -> Result<()> {
    let world = World::start().await?;
    let viewers = Viewers::open(&world, Way::default()).await?;
    fs::create_dir_all(directory)?;
    for place in pages::all() {
        if !names.is_empty() && !names.iter().any(|name| name == place.name) {
            continue;
        }
        let tab = viewers.of(place.viewer);
        tab.look(DESKTOP).await?;
        place.open(tab).await.map_err(|error| format!("{}: {error}", place.name))?;
        tokio::time::timeout(PATIENCE, async {
            let others = [("dark", DESKTOP.dark()), ("phone", PHONE), ("phone-dark", PHONE.dark())];
            let others = others.into_iter().filter(|(kind, _)| place.is_main && *kind != "phone-dark" || is_all());
            for (kind, look) in [("", DESKTOP)].into_iter().chain(others) {
                let name = if kind.is_empty() { place.name.to_owned() } else { format!("{}-{kind}", place.name) };
                let png = tab.picture(look, MOST_HIGH).await?;
                fs::write(directory.join(format!("{name}.png")), png)?;
            }
            Ok::<(), crate::Error>(())
        })
        .await
        .map_err(|_| format!("{}: no picture", place.name))??;
    }
    viewers.close().await?;
    world.stop().await;
    Ok(())
}

/// Every page in every look, for those who work on the pages.
fn is_all() -> bool {
    std::env::var_os("ALL_LOOKS").is_some()
}
