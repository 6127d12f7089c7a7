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
        .help("Refuse everything that writes (405); pulls write nothing."),
    Key::switch("operator", "delete", "true", |live, on| live.operator.delete = on)
        .help("Whether manifests, tags and blobs may be deleted by clients; if not, 405. Cancelling an upload is no deletion."),
    Key::line("operator", "message", "\"\"", 200, |live, text| live.operator.message = text.into())
        .help("Told to clients in a `Warning` header and with every refusal by the two switches above."),
    Key::number("tokens", "access_seconds", "300", Unit::Seconds, 60, 3600, |live, n| {
        live.token_lives.access = Duration::from_secs(n);
    })
    .help("How long a token of the own token service is good for."),
    Key::number("tokens", "refresh_days", "0", Unit::Count, 0, 365, |live, n| {
        live.token_lives.refresh = Duration::from_secs(n * 86_400);
    })
    .help("How long clients may keep a refresh token instead of the password; 0 gives none. One ends when its user's htpasswd line changes."),
    Key::word("logging", "level", "\"info\"", LEVELS, |live, index| live.log_level = level(index))
        .help("Least important lines logged.")
        .locked_by("REGISTRY_LOG_LEVEL"),
    Key::number("reload", "poll_seconds", "10", Unit::Seconds, 1, 3600, |live, n| {
        live.poll = Duration::from_secs(n);
    })
    .help("How often the content of the configuration files is compared, whether or not they seem to have changed."),
    Key::word("manifests", "missing_references", "\"children\"", MISSING, |live, index| {
        registry(live).missing_references = missing(index);
    })
    .help("What a manifest may refer to that is not in its repository: nothing, only the children of an index, or anything."),
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
    .help("Most `tag` parameters of one manifest push."),
    Key::number("uploads", "max_blob_bytes", "\"1 TiB\"", Unit::Bytes, MIB, 1024 * TIB, |live, n| {
        registry(live).blob_bytes = n;
    })
    .help("Largest blob accepted."),
    Key::number("uploads", "max_open", "10000", Unit::Count, 1, 1_000_000, |live, n| {
        registry(live).open_uploads = size(n);
    })
    .help("Most upload sessions open at once, over all callers."),
    Key::number("uploads", "max_open_per_user", "2000", Unit::Count, 1, 1_000_000, |live, n| {
        registry(live).open_uploads_per_user = size(n);
    })
    .help("Most upload sessions open at once for one caller."),
    Key::number("uploads", "max_bytes_per_user", "\"4 TiB\"", Unit::Bytes, MIB, 1024 * TIB, |live, n| {
        registry(live).upload_bytes_per_user = n;
    })
    .help("Most bytes in one caller's open upload sessions."),
    Key::or_auto("storage", "reserve_bytes", "\"auto\"", Unit::Bytes, 0, 1024 * TIB, |live, n| {
        registry(live).reserve_bytes = n;
    })
    .help("Free space below which nothing more is accepted; auto is 1 % of the file system, at most 1 GiB."),
    Key::or_auto("storage", "reserve_inodes", "\"auto\"", Unit::Count, 0, 1_000_000_000, |live, n| {
        registry(live).reserve_inodes = n;
    })
    .help("Free inodes below which nothing more is accepted; auto is 1 % of the file system, at most 10,000."),
    Key::word("storage", "durability", "\"strict\"", DURABILITY, |live, index| {
        live.durability = Syncing::ALL[index];
    })
    .help("What survives a power failure: everything that was answered, all but about the last second, or perhaps nothing."),
    Key::switch("collection", "enabled", "true", |live, on| registry(live).collection.enabled = on)
        .help("Whether the daemon collects garbage by itself. `wharfinger gc` does so in any case."),
    Key::number("collection", "every_hours", "24", Unit::Count, 1, 8760, |live, n| {
        registry(live).collection.every = Duration::from_secs(n * 3600);
    })
    .help("Time between two collections."),
    Key::number("collection", "lease_hours", "24", Unit::Count, 0, 8760, |live, n| {
        registry(live).collection.lease = Duration::from_secs(n * 3600);
    })
    .help("How long a blob that no manifest refers to is left alone after it was pushed, mounted or asked for by somebody who pushes."),
    Key::number("collection", "settle_seconds", "600", Unit::Seconds, 0, 86_400, |live, n| {
        registry(live).collection.settle = Duration::from_secs(n);
    })
    .help("How long readers of the storage may take to see what was written there; more than any cache of a network file system."),
    Key::number("collection", "retention_hours", "72", Unit::Count, 0, 8760, |live, n| {
        registry(live).collection.retention = Duration::from_secs(n * 3600);
    })
    .help("How long the graveyard keeps what was collected or deleted."),
    Key::number("collection", "files_per_second", "20000", Unit::Count, 10, 10_000_000, |live, n| {
        registry(live).collection.files_per_second = n;
    })
    .help("Most files a collection looks at in a second."),
    Key::number("collection", "most_percent", "20", Unit::Count, 1, 100, |live, n| {
        registry(live).collection.most_percent = n;
    })
    .help("A collection that would take away more of the blobs, or of their bytes, than this stops and says so, if they are a thousand or more; `wharfinger gc --force` goes on."),
    Key::switch("scrub", "enabled", "true", |live, on| registry(live).scrub.enabled = on)
        .help("Whether the daemon reads all blobs in the background and takes aside what is damaged."),
    Key::number("scrub", "every_days", "30", Unit::Count, 1, 3650, |live, n| {
        registry(live).scrub.every = Duration::from_secs(n * 86_400);
    })
    .help("From the beginning of one pass over all blobs to that of the next."),
    Key::number("scrub", "bytes_per_second", "\"20 MiB\"", Unit::Bytes, 64 * KIB, TIB, |live, n| {
        registry(live).scrub.bytes_per_second = n;
    })
    .help("Most bytes of blobs a pass reads in a second."),
    Key::number("reads", "max_ranges", "128", Unit::Count, 1, 1024, |live, n| {
        registry(live).ranges_per_request = size(n);
    })
    .help("Most ranges answered in one response; a request for more gets the whole blob."),
    Key::number("server", "header_bytes", "\"32 KiB\"", Unit::Bytes, 16 * KIB, MIB, |live, n| {
        live.limits.header_bytes = size(n);
    })
    .help("Largest request head.")
    .at_restart(),
    Key::number("server", "first_byte_seconds", "10", Unit::Seconds, 1, 300, |live, n| {
        live.limits.first_byte = Duration::from_secs(n);
    })
    .help("From accept (or the end of the TLS handshake) to the first byte of the first request.")
    .at_restart(),
    Key::number("server", "header_seconds", "10", Unit::Seconds, 1, 300, |live, n| {
        live.limits.header = Duration::from_secs(n);
    })
    .help("From a request's first byte to the end of its head.")
    .at_restart(),
    Key::number("server", "keep_alive_seconds", "120", Unit::Seconds, 91, 3600, |live, n| {
        live.limits.keep_alive = Duration::from_secs(n);
    })
    .help("Idle time of a connection between two requests; clients keep theirs for 90 s, so it is longer.")
    .at_restart(),
    Key::number("server", "upload_stall_seconds", "60", Unit::Seconds, 1, 3600, |live, n| {
        live.limits.upload_stall = Duration::from_secs(n);
    })
    .help("Longest pause inside a request body.")
    .at_restart(),
    Key::number("server", "download_stall_seconds", "60", Unit::Seconds, 1, 3600, |live, n| {
        live.limits.download_stall = Duration::from_secs(n);
    })
    .help("Longest time a client may take nothing of a response.")
    .at_restart(),
    Key::number("server", "tls_handshake_seconds", "10", Unit::Seconds, 1, 300, |live, n| {
        live.limits.tls_handshake = Duration::from_secs(n);
    })
    .help("Length of the TLS handshake.")
    .at_restart(),
    Key::number("server", "max_connections", "10000", Unit::Count, 16, 1_000_000, |live, n| {
        live.limits.connections = size(n);
    })
    .help("Most connections at once; one more waits in the kernel's backlog.")
    .at_restart(),
    Key::number("server", "h2_streams", "128", Unit::Count, 1, 10_000, |live, n| {
        live.limits.h2_streams = u32::try_from(n).unwrap_or(u32::MAX);
    })
    .help("Most concurrent streams of one HTTP/2 connection.")
    .at_restart(),
    Key::number("server", "shutdown_lag_seconds", "3", Unit::Seconds, 0, 300, |live, n| {
        live.limits.shutdown_lag = Duration::from_secs(n);
    })
    .help("After the first signal: how long new connections are still accepted, so that load balancers notice.")
    .at_restart(),
    Key::number("server", "drain_seconds", "25", Unit::Seconds, 0, 3600, |live, n| {
        live.limits.drain = Duration::from_secs(n);
    })
    .help("After that: how long requests in flight may take.")
    .at_restart(),
    Key::word("server", "forwarded_headers", "\"x-forwarded\"", FORWARDED_HEADERS, |live, index| {
        live.forwarded_headers = if index == 0 { ForwardedHeaders::XForwarded } else { ForwardedHeaders::Forwarded };
    })
    .help("Which headers of the proxies in REGISTRY_TRUSTED_PROXIES are believed: `X-Forwarded-For`, `-Proto` and `-Host`, or `Forwarded` (RFC 7239). The others are ignored."),
    Key::number("pagination", "default_limit", "100", Unit::Count, 1, PAGE_CEILING, |live, n| {
        registry(live).page_default = size(n);
    })
    .help("Repositories on one page of the catalog when the request names no number.")
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
