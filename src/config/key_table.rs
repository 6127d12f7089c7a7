//! The table of `settings.toml`: one row for each key, from which the reader and the reference are made.

use std::sync::Arc;
use std::time::Duration;

use super::keys::{Key, Unit};
use super::live::Live;
use super::values::{ForwardedHeaders, LogLevel};
use super::vars::PAGE_CEILING;
use crate::files::Syncing;
use crate::registry::settings::{MissingReferences, Settings};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;
const LEVELS: &[&str] = &["debug", "info", "warn", "error"];
const DURABILITY: &[&str] = &["strict", "relaxed", "none"];
const FORWARDED_HEADERS: &[&str] = &["x-forwarded", "forwarded"];
const MISSING: &[&str] = &["refuse", "children", "accept"];

/// The ranges keep every number within `usize`, and give the registry room to work in.
fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn level(index: usize) -> LogLevel {
    match index {
        0 => LogLevel::Debug,
        1 => LogLevel::Info,
        2 => LogLevel::Warn,
        _ => LogLevel::Error,
    }
}

fn missing(index: usize) -> MissingReferences {
    match index {
        0 => MissingReferences::Refuse,
        1 => MissingReferences::Children,
        _ => MissingReferences::Accept,
    }
}

/// Every key, in the order of the reference.
pub static KEYS: &[Key] = &[
    Key::switch("operator", "read_only", "false", |live, on| live.operator.read_only = on)
        .help("Refuse all writes with 405. Pulls still work and write nothing."),
    Key::switch("operator", "delete", "true", |live, on| live.operator.delete = on)
        .help("Whether clients may delete manifests, tags and blobs; otherwise the answer is 405. An upload can be cancelled either way."),
    Key::line("operator", "message", "\"\"", 200, |live, text| live.operator.message = text.into())
        .help("Text for clients, sent in a `Warning` header and with every request that the two switches above refuse."),
    Key::number("tokens", "access_seconds", "300", Unit::Seconds, 60, 3600, |live, n| {
        live.token_lives.access = Duration::from_secs(n);
    })
    .help("How long a token from the built-in token service is valid."),
    Key::number("tokens", "refresh_days", "0", Unit::Count, 0, 365, |live, n| {
        live.token_lives.refresh = Duration::from_secs(n * 86_400);
    })
    .help("How long a client may use a refresh token instead of the password; 0 issues none. A refresh token ends when its user's htpasswd line changes."),
    Key::word("logging", "level", "\"info\"", LEVELS, |live, index| live.log_level = level(index))
        .help("Least severe level that is logged.")
        .locked_by("REGISTRY_LOG_LEVEL"),
    Key::number("logging", "queue_bytes", "\"4 MiB\"", Unit::Bytes, 64 * KIB, 1024 * MIB, |live, n| {
        live.log_queue_bytes = size(n);
    })
    .help("Most bytes of log lines that wait while nobody reads stdout; more lines are dropped and counted (`wharfinger_log_lines_dropped_total`)."),
    Key::number("reload", "poll_seconds", "10", Unit::Seconds, 1, 3600, |live, n| {
        live.poll = Duration::from_secs(n);
    })
    .help("How often the content of the configuration files is compared, even if they do not look changed."),
    Key::word("manifests", "missing_references", "\"children\"", MISSING, |live, index| {
        registry(live).missing_references = missing(index);
    })
    .help("What a manifest may refer to that is not in its repository: nothing, only the children of an index, or anything."),
    Key::switch("manifests", "protect_children", "false", |live, on| registry(live).protect_children = on)
        .help("Refuse to delete a manifest that an index of its repository lists: 403, naming the index. A deletion then reads every index of the repository."),
    Key::number("manifests", "max_bytes", "\"4 MiB\"", Unit::Bytes, 64 * KIB, 64 * MIB, |live, n| {
        registry(live).manifest_bytes = n;
    })
    .help("Largest manifest accepted."),
    Key::number("manifests", "max_depth", "32", Unit::Count, 8, 128, |live, n| {
        registry(live).manifest_depth = size(n);
    })
    .help("Deepest nesting of a manifest's JSON."),
    Key::number("manifests", "max_descriptors", "10000", Unit::Count, 16, 100_000, |live, n| {
        registry(live).manifest_descriptors = size(n);
    })
    .help("Most layers or children in one manifest."),
    Key::number("manifests", "max_tags_per_push", "100", Unit::Count, 1, 10_000, |live, n| {
        registry(live).tags_per_push = size(n);
    })
    .help("Most `tag` parameters in one manifest push."),
    Key::number("uploads", "max_blob_bytes", "\"1 TiB\"", Unit::Bytes, MIB, 1024 * TIB, |live, n| {
        registry(live).blob_bytes = n;
    })
    .help("Largest blob accepted."),
    Key::number("uploads", "max_open", "10000", Unit::Count, 1, 1_000_000, |live, n| {
        registry(live).open_uploads = size(n);
    })
    .help("Most open uploads of all callers together."),
    Key::number("uploads", "max_open_per_user", "2000", Unit::Count, 1, 1_000_000, |live, n| {
        registry(live).open_uploads_per_user = size(n);
    })
    .help("Most open uploads of one caller."),
    Key::number("uploads", "max_bytes_per_user", "\"4 TiB\"", Unit::Bytes, MIB, 1024 * TIB, |live, n| {
        registry(live).upload_bytes_per_user = n;
    })
    .help("Most bytes in the open uploads of one caller."),
    Key::or_auto("storage", "reserve_bytes", "\"auto\"", Unit::Bytes, 0, 1024 * TIB, |live, n| {
        registry(live).reserve_bytes = n;
    })
    .help("Free space to keep: with less, pushes are refused. `auto` is 1 % of the file system, at most 1 GiB."),
    Key::or_auto("storage", "reserve_inodes", "\"auto\"", Unit::Count, 0, 1_000_000_000, |live, n| {
        registry(live).reserve_inodes = n;
    })
    .help("Free inodes to keep: with fewer, pushes are refused. `auto` is 1 % of the file system, at most 10,000."),
    Key::word("storage", "durability", "\"strict\"", DURABILITY, |live, index| {
        live.durability = Syncing::ALL[index];
    })
    .help("What survives a power failure: every acknowledged write, all but about the last second, or possibly nothing."),
    Key::switch("collection", "enabled", "true", |live, on| registry(live).collection.enabled = on)
        .help("Whether the daemon collects garbage on its own. `wharfinger gc` works either way."),
    Key::number("collection", "every_hours", "24", Unit::Count, 1, 8760, |live, n| {
        registry(live).collection.every = Duration::from_secs(n * 3600);
    })
    .help("Hours between two collections."),
    Key::number("collection", "lease_hours", "24", Unit::Count, 0, 8760, |live, n| {
        registry(live).collection.lease = Duration::from_secs(n * 3600);
    })
    .help("How long a blob that no manifest refers to is kept after a client last pushed it, mounted it or checked for it before a push."),
    Key::number("collection", "settle_seconds", "600", Unit::Seconds, 0, 86_400, |live, n| {
        registry(live).collection.settle = Duration::from_secs(n);
    })
    .help("How long it may take until other readers of the storage see a write; more than any cache of a network file system."),
    Key::number("collection", "retention_hours", "72", Unit::Count, 0, 8760, |live, n| {
        registry(live).collection.retention = Duration::from_secs(n * 3600);
    })
    .help("How long collected and deleted content stays on disk (in `graveyard/`) before its space is freed."),
    Key::number("collection", "files_per_second", "20000", Unit::Count, 10, 10_000_000, |live, n| {
        registry(live).collection.files_per_second = n;
    })
    .help("Most files that a collection reads per second."),
    Key::number("collection", "most_percent", "20", Unit::Count, 1, 100, |live, n| {
        registry(live).collection.most_percent = n;
    })
    .help("A collection that would remove a larger share of the blobs, or of their bytes, stops and logs it (from 1,000 blobs on); `wharfinger gc --force` removes them."),
    Key::switch("scrub", "enabled", "true", |live, on| registry(live).scrub.enabled = on)
        .help("Whether the daemon reads all blobs in the background and moves damaged ones to `quarantine/`."),
    Key::number("scrub", "every_days", "30", Unit::Count, 1, 3650, |live, n| {
        registry(live).scrub.every = Duration::from_secs(n * 86_400);
    })
    .help("Days from the start of one pass over all blobs to the start of the next."),
    Key::number("scrub", "bytes_per_second", "\"20 MiB\"", Unit::Bytes, 64 * KIB, TIB, |live, n| {
        registry(live).scrub.bytes_per_second = n;
    })
    .help("Most bytes of blobs that a pass reads per second."),
    Key::number("reads", "max_ranges", "128", Unit::Count, 1, 1024, |live, n| {
        registry(live).ranges_per_request = size(n);
    })
    .help("Most ranges in one response; a request for more gets the whole blob."),
    Key::number("server", "header_bytes", "\"32 KiB\"", Unit::Bytes, 16 * KIB, MIB, |live, n| {
        live.limits.header_bytes = size(n);
    })
    .help("Largest request head (request line and headers).")
    .at_restart(),
    Key::number("server", "first_byte_seconds", "10", Unit::Seconds, 1, 300, |live, n| {
        live.limits.first_byte = Duration::from_secs(n);
    })
    .help("Time limit from the connection (or the end of the TLS handshake) to the first byte of the first request.")
    .at_restart(),
    Key::number("server", "header_seconds", "10", Unit::Seconds, 1, 300, |live, n| {
        live.limits.header = Duration::from_secs(n);
    })
    .help("Time limit from the first byte of a request to the end of its head.")
    .at_restart(),
    Key::number("server", "keep_alive_seconds", "120", Unit::Seconds, 91, 3600, |live, n| {
        live.limits.keep_alive = Duration::from_secs(n);
    })
    .help("How long an idle connection is kept between two requests; clients keep theirs for 90 s, so this is longer.")
    .at_restart(),
    Key::number("server", "upload_stall_seconds", "60", Unit::Seconds, 1, 3600, |live, n| {
        live.limits.upload_stall = Duration::from_secs(n);
    })
    .help("Longest pause within a request body.")
    .at_restart(),
    Key::number("server", "download_stall_seconds", "60", Unit::Seconds, 1, 3600, |live, n| {
        live.limits.download_stall = Duration::from_secs(n);
    })
    .help("Longest time in which a client reads nothing of a response.")
    .at_restart(),
    Key::number("server", "tls_handshake_seconds", "10", Unit::Seconds, 1, 300, |live, n| {
        live.limits.tls_handshake = Duration::from_secs(n);
    })
    .help("Time limit for the TLS handshake.")
    .at_restart(),
    Key::number("server", "max_connections", "10000", Unit::Count, 16, 1_000_000, |live, n| {
        live.limits.connections = size(n);
    })
    .help("Most connections at once; further ones wait in the kernel's backlog.")
    .at_restart(),
    Key::number("server", "h2_streams", "128", Unit::Count, 1, 10_000, |live, n| {
        live.limits.h2_streams = u32::try_from(n).unwrap_or(u32::MAX);
    })
    .help("Most concurrent streams on one HTTP/2 connection.")
    .at_restart(),
    Key::number("server", "shutdown_lag_seconds", "3", Unit::Seconds, 0, 300, |live, n| {
        live.limits.shutdown_lag = Duration::from_secs(n);
    })
    .help("On shutdown: how long new connections are still accepted, so that load balancers notice.")
    .at_restart(),
    Key::number("server", "drain_seconds", "25", Unit::Seconds, 0, 3600, |live, n| {
        live.limits.drain = Duration::from_secs(n);
    })
    .help("On shutdown, after that: how long requests in progress may take.")
    .at_restart(),
    Key::word("server", "forwarded_headers", "\"x-forwarded\"", FORWARDED_HEADERS, |live, index| {
        live.forwarded_headers = if index == 0 { ForwardedHeaders::XForwarded } else { ForwardedHeaders::Forwarded };
    })
    .help("Which headers of the proxies in REGISTRY_TRUSTED_PROXIES are trusted: `X-Forwarded-For`, `-Proto` and `-Host`, or `Forwarded` (RFC 7239). The others are ignored."),
    Key::origins("server", "cors_origins", |live, origins| live.cors_origins = origins)
        .help("Web pages that may use the registry from a browser (CORS): their origins, or \"*\" for any page, then without the browser's own login."),
    Key::number("pagination", "default_limit", "100", Unit::Count, 1, PAGE_CEILING, |live, n| {
        registry(live).page_default = size(n);
    })
    .help("Repositories on one page of the catalog if the request does not say how many.")
        .locked_by("REGISTRY_PAGINATION_DEFAULT_LIMIT"),
    Key::number("pagination", "max_limit", "1000", Unit::Count, 1, PAGE_CEILING, |live, n| {
        registry(live).page_max = size(n);
    })
    .help("Largest page of the catalog or of a tag list; a request for more gets this many.")
        .locked_by("REGISTRY_PAGINATION_MAX_LIMIT"),
];

/// The registry's settings of a generation that nobody shares yet.
fn registry(live: &mut Live) -> &mut Settings {
    Arc::make_mut(&mut live.registry)
}
