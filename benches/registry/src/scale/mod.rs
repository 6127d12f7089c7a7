//! Many repositories, tags, users and groups: how long the lists and the dashboard of the management API and the web
//! pages take, and how much memory they cost.

mod asks;
mod store;

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::Result;
use crate::http::{Dial, Url};
use crate::peers::server::{Launch, Server};
use crate::peers::{Peer, Programs};
use crate::procs::{machine, memory, tree};
use crate::report;
use asks::TimedRequest;

/// How much there is, and how often it is asked for.
#[derive(Args)]
pub struct Scale {
    /// Repositories
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    pub repositories: usize,
    /// Tags of all repositories together
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    pub tags: usize,
    /// Tags of one more repository
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    pub large: usize,
    /// Users
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub users: usize,
    /// Groups, each with a rule of its own
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub groups: usize,
    /// How often each list and page is asked for
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    pub requests: usize,
    /// Where the store is built (default: the directory for temporary files); removed at the end
    #[arg(long, value_name = "DIRECTORY")]
    pub directory: Option<PathBuf>,
    /// The daemon (found beside this program unless named)
    #[arg(long, value_name = "PATH")]
    pub wharfinger: Option<PathBuf>,
    /// Write the figures to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Builds the store, asks, and prints the figures.
pub fn run(asked: &Scale) -> Result<()> {
    if [asked.repositories, asked.large, asked.users, asked.groups, asked.requests].contains(&0) {
        return Err("repositories, large, users, groups and requests must be at least 1".into());
    }
    let programs = Programs { wharfinger: asked.wharfinger.clone(), ..Programs::default() };
    let program = programs.of(Peer::Wharfinger).ok_or("wharfinger was not found; name it with --wharfinger")?;
    let home = tempfile::Builder::new()
        .prefix("registry-scale-")
        .tempdir_in(asked.directory.clone().unwrap_or_else(std::env::temp_dir))?;
    let environment = store::configure(asked, home.path())?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let environment: Vec<_> = environment.into_iter().chain([("REGISTRY_PORT".to_owned(), port.to_string())]).collect();
    let launch = Launch { program, arguments: Vec::new(), environment, directory: home.path().to_owned() };
    let url = Url { tls: false, host: "127.0.0.1".into(), port };
    let dial = |user: &str| Dial { url: url.clone(), trust: None, credentials: store::credentials(user) };
    let templates = {
        let _server = Server::start(launch.clone(), &dial(store::ADMIN))?;
        store::push_templates(&dial(store::ADMIN), asked)?
    };
    let started = std::time::Instant::now();
    store::copy(&templates, asked, home.path())?;
    println!("The store was built in {:.1} s", started.elapsed().as_secs_f64());

    let server = Server::start(launch, &dial(store::ADMIN))?;
    let pids = tree(server.pid())?;
    let before = memory(&pids, "RssAnon");
    let answers = asks::all(asked, &dial)?;
    let more = memory(&pids, "RssAnon") - before;
    print(&answers, before, more);
    if let Some(path) = &asked.json {
        let figures = json!({
            "machine": machine(),
            "repositories": asked.repositories, "tags": asked.tags, "large": asked.large, "users": asked.users, "groups": asked.groups,
            "answers": answers.iter().map(TimedRequest::figures).collect::<Vec<_>>(),
            "MiB before": before, "MiB more": more,
        });
        std::fs::write(path, format!("{figures:#}\n"))?;
    }
    Ok(())
}

fn print(answers: &[TimedRequest], before: f64, more: f64) {
    let mut rows = vec![["what", "caller", "p50 ms", "p99 ms", "max ms", "bound ms"].map(str::to_owned).to_vec()];
    rows.extend(answers.iter().map(TimedRequest::row));
    println!("{}", report::rows(&rows));
    println!("Anonymous memory: {before:.1} MiB after the start, {more:.1} MiB more at the end (bound 64)");
}
