//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::peers::Programs;
use crate::scale::Scale;

/// Loads container registries and compares them
#[derive(Parser)]
#[command(name = "registry-bench", disable_help_subcommand = true)]
pub struct BenchCli {
    #[command(subcommand)]
    pub command: BenchCommand,
}

#[derive(Subcommand)]
pub enum BenchCommand {
    /// List the workloads, the loads of `zb`, and the peers that are found
    List {
        #[command(flatten)]
        programs: Programs,
    },
    /// Start the peers that are found, run workloads against them in turns, and print ratios and bounds
    Compare(Compare),
    /// Run workloads against a registry that is running
    Drive(Drive),
    /// Run the eighteen loads of zot's `zb` against a registry that is running
    Zb(Zb),
    /// Build a store of many repositories, tags, users and groups, and time lists and dashboard of the management API
    Scale(Scale),
    /// Receive, hash and write what is pushed, as cheaply as possible
    #[command(hide = true)]
    Floor { port: u16, directory: PathBuf },
}

/// How much is measured, and where the results are written.
#[derive(Args)]
pub struct Load {
    /// A workload by its name (see `list`); may be repeated
    #[arg(long = "workload", value_name = "NAME", required_unless_present = "all")]
    pub workloads: Vec<String>,
    /// All workloads
    #[arg(long, conflicts_with = "workloads")]
    pub all: bool,
    /// Clients at once, such as 1,4,16,64,100; each number is a run (default: the workload's own)
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=20000))]
    pub clients: Vec<u16>,
    /// How often everything is measured; medians are printed
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub rounds: u16,
    /// Duration of a load that has no end of its own
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0)]
    pub seconds: f64,
    /// Small sizes and short loads, to see that it works: its figures mean nothing
    #[arg(long)]
    pub quick: bool,
    /// Write every figure of every round to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

#[derive(Args)]
pub struct Compare {
    #[command(flatten)]
    pub load: Load,
    /// Only these peers, such as wharfinger,nginx
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub peers: Vec<String>,
    /// Write a plot of each comparison into this directory
    #[arg(long, value_name = "DIRECTORY")]
    pub svg: Option<PathBuf>,
    /// Directory in memory, for content that has to be in memory
    #[arg(long, value_name = "DIRECTORY", default_value = "/dev/shm")]
    pub tmpfs: PathBuf,
    /// Directory on a disk, for content that has to be on a disk (default: the directory for temporary files)
    #[arg(long, value_name = "DIRECTORY")]
    pub disk: Option<PathBuf>,
    #[command(flatten)]
    pub programs: Programs,
}

/// How to reach a registry.
#[derive(Args)]
pub struct Address {
    /// Its address, such as http://127.0.0.1:5000
    pub url: String,
    /// Name and password for Basic
    #[arg(long, value_name = "NAME:PASSWORD")]
    pub user: Option<String>,
    /// PEM file with the certificates to trust, for https
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

#[derive(Args)]
pub struct Drive {
    #[command(flatten)]
    pub address: Address,
    /// Its process id, for CPU and memory; children are counted too
    #[arg(long)]
    pub pid: Option<u32>,
    /// The directory of its content, so that it can be evicted from memory
    #[arg(long, value_name = "DIRECTORY")]
    pub storage: Option<PathBuf>,
    #[command(flatten)]
    pub load: Load,
}

#[derive(Args)]
pub struct Zb {
    #[command(flatten)]
    pub address: Address,
    /// Clients at once
    #[arg(short, long, value_name = "COUNT", default_value_t = 1)]
    pub clients: usize,
    /// Operations of all clients together
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 1)]
    pub requests: u64,
    /// Only loads whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
    /// Another registry, from which the first one fetches on demand; without it these two loads are skipped
    #[arg(long, value_name = "URL")]
    pub upstream: Option<String>,
    /// Keep what was pushed
    #[arg(long)]
    pub skip_cleanup: bool,
    /// Small sizes, to see that it works
    #[arg(long)]
    pub quick: bool,
    /// Write the figures to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}
