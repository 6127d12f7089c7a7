//! Walks through the web pages with Chromium, as people with eyes, keyboards, telephones and screen readers do, and takes
//! pictures of them. CONTRIBUTING.md says how to run it.

mod acts;
mod artifacts;
mod chrome;
mod fill;
mod hostile;
mod images;
mod keyboard;
mod looks;
mod pages;
mod people;
mod registry;
mod screens;
mod speed;
mod world;

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};
use world::World;

pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type Result<T> = std::result::Result<T, Error>;

/// How long a page may take to show what is expected.
pub const PATIENCE: Duration = Duration::from_secs(8);

/// What is walked through, in this order.
const WALKS: [&str; 10] = [
    "pages",
    "letters",
    "keyboard",
    "motion",
    "repositories",
    "artifacts",
    "people",
    "without-scripts",
    "hostile",
    "speed",
];

const USAGE: &str = "usage: wharfinger-browser walk [NAME]... | screens DIRECTORY [NAME]... | list";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    let done = match arguments.first().map(String::as_str) {
        Some("list") => {
            println!("{}", WALKS.join("\n"));
            return ExitCode::SUCCESS;
        }
        Some("walk") if rest.iter().all(|name| WALKS.contains(&name.as_str())) => walk(rest).await,
        Some("screens") if !rest.is_empty() => screens::take(&PathBuf::from(&rest[0]), &rest[1..]).await.map(|()| true),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Walks, and prints a line for each walk. Returns whether all went well.
async fn walk(names: &[String]) -> Result<bool> {
    let world = World::start().await?;
    let mut is_well = true;
    for name in WALKS.into_iter().filter(|name| names.is_empty() || names.iter().any(|one| one == name)) {
        let start = Instant::now();
        let done = match name {
            "pages" => looks::pages(&world).await,
            "letters" => looks::letters(&world).await,
            "keyboard" => keyboard::walk(&world).await,
            "motion" => looks::motion(&world).await,
            "repositories" => acts::walk(&world, true).await,
            "artifacts" => artifacts::walk(&world, true).await,
            "people" => people::walk(&world, true).await,
            "without-scripts" => without_scripts(&world).await,
            "hostile" => hostile::walk(&world).await,
            _ => speed::walk(&world).await,
        };
        let word = if done.is_ok() { "ok" } else { "FAILED" };
        println!("{name:<16} {word:<7} {:5.1} s", start.elapsed().as_secs_f64());
        if let Err(error) = done {
            is_well = false;
            // Without chromedriver's own addresses.
            println!("{}", error.to_string().split("Stacktrace:").next().unwrap_or_default().trim_end());
        }
    }
    world.stop().await;
    Ok(is_well)
}

async fn without_scripts(world: &World) -> Result<()> {
    acts::walk(world, false).await?;
    artifacts::walk(world, false).await?;
    people::walk(world, false).await
}

/// Fails if there are problems.
pub fn verdict(problems: Vec<String>) -> Result<()> {
    if problems.is_empty() { Ok(()) } else { Err(format!("  {}", problems.join("\n  ")).into()) }
}
