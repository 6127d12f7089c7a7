//! `wharfinger serve`: sets up the log and the threads, and runs a daemon until a signal ends it.

use super::log::{self, before_waiting, start_log};
use crate::{
    config::{ConfigReport, Pending},
    daemon::{self, LogControl},
    server::Reactors,
};
use std::{io, num::NonZero, process::ExitCode, thread, time::Duration};
use tokio::runtime::{self, Runtime};
use tracing::{error, info, warn};

/// Threads for blocking work; more work than this waits. The reactors share them, but each has a minimum: a disk that
/// hangs for a moment must not hold up work on another.
const BLOCKING_THREADS: usize = 128;
const LEAST_BLOCKING_THREADS: usize = 16;

/// Freed memory that the allocator keeps: a few parts of uploads.
const KEPT_FREE: usize = 2 << 20;

/// How long to wait for the last log lines: nobody may be reading them.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Serves a configuration without problems until a signal ends it.
pub(super) fn serve(report: ConfigReport, pending: Pending) -> ExitCode {
    keep_freed_memory();
    let configure = start_log(report.env.log_format, &report.live);
    let code = serve_logged(report, pending, LogControl { configure, lines_dropped: log::lines_dropped });
    log::flush(LAST_LINES);
    code
}

fn serve_logged(report: ConfigReport, pending: Pending, log: LogControl) -> ExitCode {
    for line in report.env.decisions() {
        info!("{line}");
    }
    for warning in &report.warnings {
        warn!("{warning}");
    }
    let (reactors, runtime) = match threads() {
        Ok(threads) => threads,
        Err(error) => {
            error!(%error, "cannot start the server threads");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(daemon::run(report, pending, log, &reactors)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            error!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// One thread per core for connections, and a runtime for everything else: accepting connections, and the background
/// jobs of the daemon.
fn threads() -> io::Result<(Reactors, Runtime)> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let blocking = (BLOCKING_THREADS / cores).max(LEAST_BLOCKING_THREADS);
    let reactors = Reactors::start(cores, blocking, before_waiting)?;
    let runtime = runtime::Builder::new_current_thread().max_blocking_threads(BLOCKING_THREADS).enable_all().build()?;
    Ok((reactors, runtime))
}

/// Makes the allocator keep freed memory. By default glibc returns the end of a heap to the system as soon as 256 KiB
/// of it are free, so an upload pays a page fault for each page it fills, a tenth of its CPU time. When a block with
/// its own mapping is freed, glibc raises the threshold for such mappings to its length, and keeps twice that much
/// (mallopt(3), `M_MMAP_THRESHOLD`). Other allocators are left alone.
fn keep_freed_memory() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(KEPT_FREE)));
}
