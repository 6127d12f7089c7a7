//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::peers::Programs;

/// Loads container registries and compares them
#[derive(Parser)]
#[command(name = "registry-bench", disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// List the workloads, the loads of `zb`, and the peers that are found
    List {
        #[command(flatten)]
        programs: Programs,
    },
    /// Start the peers that are found, run workloads against them in turns, and tell ratios and bounds
    Compare(Compare),
    /// Run workloads against a registry that is running
    Drive(Drive),
    /// Run the eighteen loads of zot's `zb` against a registry that is running
    Zb(Zb),
    /// Receive, hash and write what is pushed, as cheaply as that can be done
    #[command(hide = true)]
    Floor { port: u16, directory: PathBuf },
}

/// How much is done, and where it is told.
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
    /// How often everything is measured; medians are told
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub rounds: u16,
    /// How long a load that has no end of its own takes
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0)]
    pub seconds: f64,
    /// Small sizes and short loads, to see that it works: no figure of it means anything
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
    /// Where content lies that is to be in memory
    #[arg(long, value_name = "DIRECTORY", default_value = "/dev/shm")]
    pub tmpfs: PathBuf,
    /// Where content lies that is to be on a disk (default: the directory for temporary files)
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
    /// PEM file with the certificates to believe, if it is https
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

#[derive(Args)]
pub struct Drive {
    #[command(flatten)]
    pub address: Address,
    /// Its process, for CPU and memory; children are counted too
    #[arg(long)]
    pub pid: Option<u32>,
    /// Where it keeps its content, so that it can be made cold
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
    /// Only loads whose name has this in it
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
    /// Another registry, from which the first one fetches on demand; without it those two loads are left out
    #[arg(long, value_name = "URL")]
    pub upstream: Option<String>,
    /// Leave what was pushed
    #[arg(long)]
    pub skip_cleanup: bool,
    /// Small sizes, to see that it works
    #[arg(long)]
    pub quick: bool,
    /// Write the figures to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}
