//! The table of `settings.toml`: one row per key. The parser and the reference are generated from it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::keys::{SettingKey, Unit};
use super::live::{Editing, Live};
use super::values::{ForwardedHeaders, LogLevel, Value};
use super::vars::PAGE_CEILING;
use crate::artifacts::ArtifactMediaType;
use crate::artifacts::{ArtifactSort, retention::ArtifactRetention};
use crate::files::Syncing;
use crate::registry::settings::{AutoCreate, MissingReferences, Settings, VerifyReads};
use ipnet::IpNet;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;
const LEVELS: &[&str] = &["debug", "info", "warn", "error"];
const DURABILITY: &[&str] = &["strict", "relaxed", "none"];
const FORWARDED_HEADERS: &[&str] = &["x-forwarded", "forwarded"];
const VERIFY: &[&str] = &["off", "sampled", "always"];
const AUTO_CREATE: &[&str] = &["anywhere", "in_namespaces", "never"];
const MISSING: &[&str] = &["refuse", "children", "accept"];
/// As [`ArtifactSort::ALL`] has them.
const SORTS: &[&str] = &["name", "version", "path", "size", "created_at", "updated_at"];
/// Items of a list.
const MOST_ITEMS: u64 = 64;

/// The rows' ranges keep every number within `usize`.
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

fn auto_create(index: usize) -> AutoCreate {
    match index {
        0 => AutoCreate::Anywhere,
        1 => AutoCreate::InNamespaces,
        _ => AutoCreate::Never,
    }
}

fn verify(index: usize) -> VerifyReads {
    match index {
        0 => VerifyReads::Off,
        1 => VerifyReads::Sampled,
        _ => VerifyReads::Always,
    }
}

const EDITING: &[&str] = &["auto", "editable", "external"];

fn editing(index: usize) -> Editing {
    match index {
        0 => Editing::Auto,
        1 => Editing::Editable,
        _ => Editing::External,
    }
}

/// Every key, in the order of the reference.
pub static KEYS: &[SettingKey] = &[
    SettingKey::switch("operator", "read_only", "false", |live, on| live.operator.read_only = on)
        .help("Refuse all writes with 405. Pulls still work and write nothing."),
    SettingKey::switch("operator", "delete", "true", |live, on| live.operator.delete = on)
        .help("Whether clients may delete manifests, tags and blobs; otherwise the answer is 405. An upload can be cancelled either way."),
    SettingKey::line("operator", "message", "\"\"", 200, |live, text| live.operator.message = text.into())
        .help("Text for clients, sent in a `Warning` header and with every request that `read_only` and `delete` refuse."),
    SettingKey::number("auth", "password_min_length", "10", Unit::Count, 1, 71, |live, n| {
        live.passwords.min_length = size(n);
    })
    .help("Minimum length in bytes of passwords that are set by the API. bcrypt takes at most 71."),
    SettingKey::word("auth", "common_passwords", "\"refuse\"", &["refuse", "accept"], |live, index| {
        live.passwords.accepts_common = index == 1;
    })
    .help("Whether the API accepts passwords that attackers try first: common words, sequences of keys and repetitions, also with some digits."),
    SettingKey::word("auth", "registration", "\"closed\"", &["closed", "open"], |live, index| {
        live.registration.is_open = index == 1;
    })
    .help("Whether anybody may make a user for themselves by `POST /api/v1/users`. Such a user is in no group, and may do what the rules allow to every user. Without access control it stays closed."),
    SettingKey::number("logins", "max_waiting", "256", Unit::Count, 1, 10_000, |live, n| {
        live.logins.waiting = size(n);
    })
    .help("Most passwords that wait to be hashed. When more arrive, the least trusted of them is answered 429: first those of networks and names that had many tries lately."),
    SettingKey::seconds("logins", "max_wait_seconds", "10", 1, 60, |live| &mut live.logins.wait)
    .help("How long a password waits to be hashed before the answer is 429."),
    SettingKey::seconds("logins", "remember_seconds", "120", 1, 3600, |live| &mut live.logins.remember)
    .help("How long a correct password is remembered after its last use. While it is, it need not be hashed again."),
    SettingKey::seconds("logins", "max_remember_seconds", "3600", 1, 86_400, |live| &mut live.logins.remember_most)
    .help("How long a correct password is remembered at most, however often it is used. It is then hashed again, before all others and without ever being refused."),
    SettingKey::seconds("tokens", "access_seconds", "300", 60, 3600, |live| &mut live.token_lives.access)
    .help("How long a token from the built-in token service is valid."),
    SettingKey::number("tokens", "refresh_days", "0", Unit::Count, 0, 365, |live, n| {
        live.token_lives.refresh = Duration::from_secs(n * 86_400);
    })
    .help("How long a client may use a refresh token instead of the password; 0 issues none. A refresh token ends when its user's htpasswd line changes."),
    SettingKey::number("sessions", "token_seconds", "900", Unit::Seconds, 60, 3600, |live, n| {
        live.sessions.token = Duration::from_secs(n);
    })
    .help("How long an access token of a session is valid. A client renews it with the session's refresh token."),
    SettingKey::number("sessions", "idle_hours", "336", Unit::Count, 1, 8784, |live, n| {
        live.sessions.lives.idle = Duration::from_hours(n);
    })
    .help("How long a session lives after its last use."),
    SettingKey::number("sessions", "max_days", "90", Unit::Count, 1, 366, |live, n| {
        live.sessions.lives.longest = Duration::from_hours(24 * n);
    })
    .help("How long a session lives after the login, however often it is used."),
    SettingKey::word("logging", "level", "\"info\"", LEVELS, |live, index| live.log_level = level(index))
        .help("Least severe level that is logged.")
        .locked_by("REGISTRY_LOG_LEVEL"),
    SettingKey::number("logging", "queue_bytes", "\"4 MiB\"", Unit::Bytes, 64 * KIB, 1024 * MIB, |live, n| {
        live.log_queue_bytes = size(n);
    })
    .help("Most bytes of log lines that wait while nobody reads stdout; more lines are dropped and counted (`wharfinger_log_lines_dropped_total`)."),
    SettingKey::seconds("reload", "poll_seconds", "10", 1, 3600, |live| &mut live.poll)
    .help("How often the content of the configuration files is compared, even if they do not look changed."),
    SettingKey::seconds("reload", "read_seconds", "5", 1, 300, |live| &mut live.read)
    .help("How long reading one configuration file may take. After that it counts as unreadable until its file system answers. At startup the default applies."),
    SettingKey::number("management", "max_wrong_passwords_per_address", "10", Unit::Count, 0, 1_000_000, |live, n| {
        live.wrong_passwords.per_address = u32::try_from(n).unwrap_or(u32::MAX);
    })
    .help("Most wrong passwords from one address per minute at the login of the management API; more are answered 429. A right password is never refused. 0 is no limit."),
    SettingKey::number("management", "max_wrong_passwords_per_user", "5", Unit::Count, 0, 1_000_000, |live, n| {
        live.wrong_passwords.per_user = u32::try_from(n).unwrap_or(u32::MAX);
    })
    .help("The same for one user name."),
    SettingKey::number("management", "max_registrations_per_hour", "5", Unit::Count, 0, 1_000_000, |live, n| {
        live.registration.per_hour = u32::try_from(n).unwrap_or(u32::MAX);
    })
    .help("Most requests from one address per hour to register (`auth.registration`); more are answered 429. 0 is no limit."),
    SettingKey::switch("management", "insecure_cookies", "false", |live, on| live.sessions.insecure_cookie = on)
        .help("Let browsers of other machines log in over plain HTTP. Whoever can read that network can then act as their users. Over https, and on this machine, nothing needs to be set."),
    SettingKey::switch("management", "require_if_match", "false", |live, on| live.require_if_match = on)
        .help("Refuse writes by the management API without `If-Match` (428), so that nobody overwrites what they have not seen. Rules and files need it in any case."),
    SettingKey::word("management", "htpasswd_file", "\"auto\"", EDITING, |live, index| {
        live.editing.htpasswd = editing(index);
    })
    .help("Whether the management API edits the htpasswd file. `auto`: unless its path leads through a linked directory, as with ConfigMaps; switching that link would undo the edit. `external`: never, because it is edited elsewhere."),
    SettingKey::word("management", "access_control_file", "\"auto\"", EDITING, |live, index| {
        live.editing.access_control = editing(index);
    })
    .help("The same for the file with the access rules."),
    SettingKey::word("management", "settings_file", "\"auto\"", EDITING, |live, index| {
        live.editing.settings = editing(index);
    })
    .help("The same for this file. Once it is `external`, the API cannot change that either."),
    SettingKey::number("management", "max_writes_per_minute", "600", Unit::Count, 0, 1_000_000, |live, n| {
        live.writes_per_minute = u32::try_from(n).unwrap_or(u32::MAX);
    })
    .help("Most requests of one user (without a login: of one address) that change something by the management API; more are answered 429. 0 is no limit."),
    SettingKey::switch("ui", "enabled", "true", |live, on| live.has_pages = on)
        .help("Serve the web pages. The management API does not need them."),
    SettingKey::word("repositories", "auto_create", "\"anywhere\"", AUTO_CREATE, |live, index| {
        registry(live).auto_create = auto_create(index);
    })
    .help("Which pushes create a repository that does not exist: all, those into a namespace that exists (`team` in `team/app`), or none. Other pushes to it are answered 403 with the reason."),
    SettingKey::switch("repositories", "owner_on_push", "false", |live, on| registry(live).owner_on_push = on)
        .help("Whether a user whose push creates a repository owns it. An owner may pull, push and delete where no access rule decides, and may change its visibility and description."),
    SettingKey::word("manifests", "missing_references", "\"children\"", MISSING, |live, index| {
        registry(live).missing_references = missing(index);
    })
    .help("What a manifest may refer to that is not in its repository: nothing, only the children of an index, or anything."),
    SettingKey::switch("manifests", "protect_children", "false", |live, on| registry(live).protect_children = on)
        .help("Refuse to delete a manifest that an index of its repository lists: 403, naming the index. A deletion then reads every index of the repository."),
    SettingKey::number("manifests", "max_bytes", "\"4 MiB\"", Unit::Bytes, 64 * KIB, 64 * MIB, |live, n| {
        registry(live).manifest_bytes = n;
    })
    .help("Largest manifest accepted."),
    SettingKey::number("manifests", "max_depth", "32", Unit::Count, 8, 128, |live, n| {
        registry(live).manifest_depth = size(n);
    })
    .help("Deepest nesting of a manifest's JSON."),
    SettingKey::number("manifests", "max_descriptors", "10000", Unit::Count, 16, 100_000, |live, n| {
        registry(live).manifest_descriptors = size(n);
    })
    .help("Most layers or children in one manifest."),
    SettingKey::number("manifests", "max_tags_per_push", "100", Unit::Count, 1, 10_000, |live, n| {
        registry(live).tags_per_push = size(n);
    })
    .help("Most `tag` parameters in one manifest push."),
    SettingKey::number("uploads", "max_blob_bytes", "\"1 TiB\"", Unit::Bytes, MIB, 1024 * TIB, |live, n| {
        registry(live).blob_bytes = n;
    })
    .help("Largest blob accepted."),
    SettingKey::number("uploads", "max_open", "10000", Unit::Count, 1, 1_000_000, |live, n| {
        registry(live).open_uploads = size(n);
    })
    .help("Most open uploads of all callers together."),
    SettingKey::number("uploads", "max_open_per_user", "2000", Unit::Count, 1, 1_000_000, |live, n| {
        registry(live).open_uploads_per_user = size(n);
    })
    .help("Most open uploads of one caller."),
    SettingKey::number("uploads", "max_bytes_per_user", "\"4 TiB\"", Unit::Bytes, MIB, 1024 * TIB, |live, n| {
        registry(live).upload_bytes_per_user = n;
    })
    .help("Most bytes in the open uploads of one caller."),
    SettingKey::or_auto("storage", "reserve_bytes", "\"auto\"", Unit::Bytes, 0, 1024 * TIB, |live, n| {
        registry(live).reserve_bytes = n;
    })
    .help("Free space to keep: with less, pushes are refused. `auto` is 1 % of the file system, at most 1 GiB."),
    SettingKey::or_auto("storage", "reserve_inodes", "\"auto\"", Unit::Count, 0, 1_000_000_000, |live, n| {
        registry(live).reserve_inodes = n;
    })
    .help("Free inodes to keep: with fewer, pushes are refused. `auto` is 1 % of the file system, at most 10,000."),
    SettingKey::word("storage", "durability", "\"strict\"", DURABILITY, |live, index| {
        live.durability = Syncing::ALL[index];
    })
    .help("What survives a power failure: every acknowledged write, all but about the last second, or possibly nothing."),
    SettingKey::switch("collection", "enabled", "true", |live, on| registry(live).collection.enabled = on)
        .help("Whether the daemon collects garbage on its own. `wharfinger gc` works either way."),
    SettingKey::number("collection", "every_hours", "24", Unit::Count, 1, 8760, |live, n| {
        registry(live).collection.every = Duration::from_secs(n * 3600);
    })
    .help("Hours between two collections."),
    SettingKey::number("collection", "lease_hours", "24", Unit::Count, 0, 8760, |live, n| {
        registry(live).collection.lease = Duration::from_secs(n * 3600);
    })
    .help("How long a blob that no manifest refers to is kept after a client last pushed it, mounted it or checked for it before a push."),
    SettingKey::seconds("collection", "settle_seconds", "600", 0, 86_400, |live| &mut registry(live).collection.settle)
    .help("How long it may take until other readers of the storage see a write; more than any cache of a network file system."),
    SettingKey::number("collection", "retention_hours", "72", Unit::Count, 0, 8760, |live, n| {
        registry(live).collection.retention = Duration::from_secs(n * 3600);
    })
    .help("How long collected and deleted content stays on disk (in `graveyard/`) before its space is freed."),
    SettingKey::number("collection", "files_per_second", "20000", Unit::Count, 10, 10_000_000, |live, n| {
        registry(live).collection.files_per_second = n;
    })
    .help("Most files that a collection reads per second."),
    SettingKey::number("collection", "most_percent", "20", Unit::Count, 1, 100, |live, n| {
        registry(live).collection.most_percent = n;
    })
    .help("A collection that would remove a larger share of the blobs, or of their bytes, stops and logs it (from 1,000 blobs on); `wharfinger gc --force` removes them."),
    SettingKey::switch("scrub", "enabled", "true", |live, on| registry(live).scrub.enabled = on)
        .help("Whether the daemon reads all blobs in the background and moves damaged ones to `quarantine/`."),
    SettingKey::number("scrub", "every_days", "30", Unit::Count, 1, 3650, |live, n| {
        registry(live).scrub.every = Duration::from_secs(n * 86_400);
    })
    .help("Days from the start of one pass over all blobs to the start of the next."),
    SettingKey::number("scrub", "bytes_per_second", "\"20 MiB\"", Unit::Bytes, 64 * KIB, TIB, |live, n| {
        registry(live).scrub.bytes_per_second = n;
    })
    .help("Most bytes of blobs that a pass reads per second."),
    SettingKey::number("reads", "max_ranges", "128", Unit::Count, 1, 1024, |live, n| {
        registry(live).ranges_per_request = size(n);
    })
    .help("Most ranges in one response. A request for more gets the whole blob, and so does one for ranges that overlap, or whose answer would be longer than twice the blob."),
    SettingKey::word("reads", "verify", "\"off\"", VERIFY, |live, index| registry(live).verify_reads = verify(index))
        .help("Which blobs are verified while they are sent: none, one in 16, or all. The response of a damaged blob ends before its last byte, and the blob is moved to `quarantine/`. The kernel does not send what is verified, so this costs CPU. Answers to `Range` requests are not verified."),
    SettingKey::switch("reads", "redirect", "false", |live, on| registry(live).redirect_reads = on)
        .help("Send clients that read a blob to the bucket itself (`REGISTRY_STORAGE`), by an address that is valid for 60 seconds. Whoever has such an address can read the blob for that long, also if their rights end meanwhile. Only if the bucket is reached by https."),
    SettingKey::number("server", "header_bytes", "\"32 KiB\"", Unit::Bytes, 16 * KIB, MIB, |live, n| {
        live.limits.header_bytes = size(n);
    })
    .help("Largest request head (request line and headers).")
    .at_restart(),
    SettingKey::seconds("server", "first_byte_seconds", "10", 1, 300, |live| &mut live.limits.first_byte)
    .help("Time limit from the connection (or the end of the TLS handshake) to the first byte of the first request.")
    .at_restart(),
    SettingKey::seconds("server", "header_seconds", "10", 1, 300, |live| &mut live.limits.header)
    .help("Time limit from the first byte of a request to the end of its head.")
    .at_restart(),
    SettingKey::seconds("server", "keep_alive_seconds", "120", 91, 3600, |live| &mut live.limits.keep_alive)
    .help("How long an idle connection is kept between two requests; clients keep theirs for 90 s, so this is longer.")
    .at_restart(),
    SettingKey::seconds("server", "upload_stall_seconds", "60", 1, 3600, |live| &mut live.limits.upload_stall)
    .help("Longest pause within a request body.")
    .at_restart(),
    SettingKey::seconds("server", "download_stall_seconds", "60", 1, 3600, |live| &mut live.limits.download_stall)
    .help("Longest time in which a client reads nothing of a response.")
    .at_restart(),
    SettingKey::seconds("server", "tls_handshake_seconds", "10", 1, 300, |live| &mut live.limits.tls_handshake)
    .help("Time limit for the TLS handshake.")
    .at_restart(),
    SettingKey::number("server", "max_connections", "10000", Unit::Count, 16, 1_000_000, |live, n| {
        live.limits.connections = size(n);
    })
    .help("Most connections at once. At the limit, idle connections are closed to make room; if none is idle, further ones get 503, and only health checks are answered.")
    .at_restart(),
    SettingKey::number("server", "max_connections_per_client", "2000", Unit::Count, 1, 1_000_000, |live, n| {
        live.connections_per_client = size(n);
    })
    .help("Most connections of one IPv4 address or one IPv6 network (/64), except of proxies in REGISTRY_TRUSTED_PROXIES."),
    SettingKey::number("server", "client_memory_bytes", "\"256 MiB\"", Unit::Bytes, 16 * MIB, TIB, |live, n| {
        live.client_memory = size(n);
    })
    .help("Most bytes held in memory for clients: requests that have not arrived completely, and responses that are not read. One client may hold a quarter of it, a proxy in REGISTRY_TRUSTED_PROXIES all of it. Past it, requests that need memory get 503."),
    SettingKey::number("server", "max_costly_requests_per_client", "8", Unit::Count, 1, 1000, |live, n| {
        live.costly_requests_per_client = size(n);
    })
    .help("Most requests of one IPv4 address or one IPv6 network (/64) at once that take long to work on: requests for tokens with more than 1 KiB of scopes. Further ones are answered 429."),
    SettingKey::number("server", "h2_streams", "128", Unit::Count, 1, 10_000, |live, n| {
        live.limits.h2_streams = u32::try_from(n).unwrap_or(u32::MAX);
    })
    .help("Most concurrent streams on one HTTP/2 connection.")
    .at_restart(),
    SettingKey::seconds("server", "shutdown_lag_seconds", "3", 0, 300, |live| &mut live.limits.shutdown_lag)
    .help("On shutdown: how long new connections are still accepted, so that load balancers notice.")
    .at_restart(),
    SettingKey::seconds("server", "drain_seconds", "25", 0, 3600, |live| &mut live.limits.drain)
    .help("On shutdown, after that: how long requests in progress may take.")
    .at_restart(),
    SettingKey::word("server", "forwarded_headers", "\"x-forwarded\"", FORWARDED_HEADERS, |live, index| {
        live.forwarded_headers = if index == 0 { ForwardedHeaders::XForwarded } else { ForwardedHeaders::Forwarded };
    })
    .help("Which headers of the proxies in REGISTRY_TRUSTED_PROXIES are trusted: `X-Forwarded-For`, `-Proto` and `-Host`, or `Forwarded` (RFC 7239). The others are ignored."),
    SettingKey::origins("server", "cors_origins", |live, origins| live.cors_origins = origins)
        .help("Web pages that may use the registry from a browser (CORS): their origins, or \"*\" for any page, then without the browser's own login."),
    SettingKey::number("artifacts", "max_file_bytes", "\"1 TiB\"", Unit::Bytes, MIB, 1024 * TIB, |live, n| {
        registry(live).artifacts.file_bytes = n;
    })
    .help("Largest file accepted as an artifact. `uploads.max_blob_bytes` applies, too."),
    SettingKey::texts("artifacts", "required_properties", "[]", 64, "keys of properties", |live, texts| {
        registry(live).artifacts.required_properties = parsed(texts)?;
        Ok(())
    })
    .help("Properties that every artifact must have; an upload without one of them is answered 400."),
    SettingKey::texts("artifacts", "allowed_types", "[]", 64, "media types such as \"application/*\"", |live, texts| {
        registry(live).artifacts.allowed_types = texts.iter().copied().map(type_pattern).collect::<Result<_, _>>()?;
        Ok(())
    })
    .help("Media types that artifacts may have, where `*` stands for any text; others are answered 415. An empty list allows all."),
    SettingKey::number("artifacts", "trash_hours", "72", Unit::Count, 0, 8760, |live, n| {
        registry(live).artifacts.trash = Duration::from_secs(n * 3600);
    })
    .help("How long a deleted artifact, and a deleted artifact repository, is kept and can be restored."),
    SettingKey::switch("artifact_retention", "enabled", "false", |live, on| retention(live).enabled = on)
        .help("Whether artifacts that the rules below do not keep are moved to the trash, once an hour. `GET /api/v1/artifacts/repos/{repo}/retention/plan` shows what would be. A repository can have rules of its own."),
    SettingKey::number("artifact_retention", "max_versions", "5", Unit::Count, 0, 1_000_000, |live, n| {
        retention(live).max_versions = size(n);
    })
    .help("How many artifacts of one group stay, the newest of it. 0 is no limit."),
    SettingKey::number("artifact_retention", "max_age_days", "30", Unit::Count, 0, 36_500, |live, n| {
        retention(live).max_age_days = u32::try_from(n).unwrap_or(u32::MAX);
    })
    .help("Artifacts older than this many days go. 0 is no limit."),
    SettingKey::switch("artifact_retention", "exclude_latest", "false", |live, on| retention(live).exclude_latest = on)
        .help("Whether the newest artifact of each group stays in any case."),
    SettingKey::texts("artifact_retention", "group_by", "[\"path\", \"properties\"]", 4, "of \"name\", \"version\", \"path\" and \"properties\"", |live, texts| {
        retention(live).group_by = parsed(texts)?;
        Ok(())
    })
    .help("What the artifacts of one group have in common. By default these are the versions of one file for one platform, so the files of a release stay or go together."),
    SettingKey::texts("artifact_retention", "ignore", "[\"build\", \"commit\"]", MOST_ITEMS, "keys of properties", |live, texts| {
        retention(live).ignore = parsed(texts)?;
        Ok(())
    })
    .help("Properties in which the artifacts of one group may differ."),
    SettingKey::texts("artifact_retention", "keep", "[]", MOST_ITEMS, "filters such as \"branch=main\" or \"version=1.*\"", |live, texts| {
        retention(live).keep = parsed(texts)?;
        Ok(())
    })
    .help("Artifacts that stay in any case and are not counted in their group: what one of these filters finds, written as the query of a search."),
    SettingKey::number("artifact_retention", "max_total_size", "0", Unit::Bytes, 0, 1024 * TIB, |live, n| {
        retention(live).max_total_size = n;
    })
    .help("How many bytes a repository may have: the oldest artifacts go until the rest fits. 0 is no limit."),
    SettingKey::number("artifact_search", "max_results", "100", Unit::Count, 1, 10_000, |live, n| {
        registry(live).artifact_search.max_results = size(n);
    })
    .help("Most results in one answer; a request for more gets this many."),
    SettingKey::word("artifact_search", "default_sort", "\"created_at\"", SORTS, |live, index| {
        registry(live).artifact_search.order.sort = ArtifactSort::ALL[index];
    })
    .help("What results are sorted by if the request does not say."),
    SettingKey::word("artifact_search", "default_order", "\"desc\"", &["desc", "asc"], |live, index| {
        registry(live).artifact_search.order.descending = index == 0;
    })
    .help("Whether results are in falling or in rising order if the request does not say."),
    SettingKey::number("artifact_search", "max_files", "1000", Unit::Count, 1, 100_000, |live, n| {
        registry(live).artifact_search.max_files = size(n);
    })
    .help("Most files in one archive; a download of more is answered 400."),
    SettingKey::texts("artifact_search", "indexed", "[\"build\", \"branch\", \"commit\"]", MOST_ITEMS, "keys of properties", |live, texts| {
        registry(live).artifact_search.indexed = parsed(texts)?;
        Ok(())
    })
    .help("Properties by which artifacts are found without looking at others; each takes 4 bytes per artifact in memory. Other properties are found, too. A change counts after a restart."),
    SettingKey::texts("migration", "allow_private", "[]", MOST_ITEMS, "networks such as \"10.0.0.0/8\"", |live, texts| {
        let networks: Vec<IpNet> = parsed(texts)?;
        live.migration.allow_private = networks.into();
        Ok(())
    })
    .help("Networks from which images may be copied although their addresses are not public, such as those of your own machines. Without it, nobody can reach private, loopback and link-local addresses by a migration; addresses of redirects and token services are checked, too."),
    SettingKey::number("migration", "parallel_migrations", "2", Unit::Count, 1, 16, |live, n| {
        live.migration.migrations = size(n);
    })
    .help("Most migrations that run at the same time. Others wait for their turn."),
    SettingKey::number("migration", "parallel_images", "4", Unit::Count, 1, 64, |live, n| {
        live.migration.images = size(n);
    })
    .help("Most images that one migration copies at the same time."),
    SettingKey::number("migration", "parallel_blobs", "8", Unit::Count, 1, 256, |live, n| {
        live.migration.blobs = size(n);
    })
    .help("Most blobs that one migration fetches at the same time, of all its images together."),
    SettingKey::number("migration", "max_images", "10000", Unit::Count, 1, 50_000, |live, n| {
        live.migration.most_images = size(n);
    })
    .help("Most images of one migration. One that finds more in the other registry fails before it copies anything."),
    SettingKey::number("migration", "attempts", "4", Unit::Count, 1, 20, |live, n| {
        live.migration.attempts = u32::try_from(n).unwrap_or(u32::MAX);
    })
    .help("How often an image is attempted if the other registry is unreachable, overloaded or sends wrong bytes. Each attempt continues where the last one ended."),
    SettingKey::seconds("migration", "max_retry_after_seconds", "900", 0, 86_400, |live| &mut live.migration.retry_after)
    .help("How long a migration waits if the other registry asks for that (`Retry-After`). If it asks for more, the image fails."),
    SettingKey::seconds("migration", "slow_source_seconds", "60", 1, 3600, |live| &mut live.migration.slow_after)
    .help("A download in which less than 64 KiB arrive in this time is given up, and counts as an attempt."),
    SettingKey::number("pagination", "default_limit", "100", Unit::Count, 1, PAGE_CEILING, |live, n| {
        registry(live).page_default = size(n);
    })
    .help("Repositories on one page of the catalog if the request does not say how many.")
        .locked_by("REGISTRY_PAGINATION_DEFAULT_LIMIT"),
    SettingKey::number("pagination", "max_limit", "1000", Unit::Count, 1, PAGE_CEILING, |live, n| {
        registry(live).page_max = size(n);
    })
    .help("Largest page of the catalog or of a tag list; a request for more gets this many.")
        .locked_by("REGISTRY_PAGINATION_MAX_LIMIT"),
    SettingKey::number("pagination", "max_referrers", "1000", Unit::Count, 1, PAGE_CEILING, |live, n| {
        registry(live).referrers_max = size(n);
    })
    .help("Most referrers that are read for one page of their list, also where a filter leaves out some of them; the others follow by its `Link`."),
];

/// The rules of retention of artifacts.
fn retention(live: &mut Live) -> &mut ArtifactRetention {
    &mut registry(live).artifact_retention
}

/// The values that these texts stand for.
fn parsed<T: FromStr<Err: fmt::Display>>(texts: &[&str]) -> Value<Vec<T>> {
    texts.iter().map(|text| text.parse().map_err(|why| format!("{text:?}: {why}"))).collect()
}

/// A pattern of media types.
fn type_pattern(text: &str) -> Value<String> {
    match !text.is_empty() && text.len() <= ArtifactMediaType::MAX && text.bytes().all(|b| b.is_ascii_graphic()) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(format!("{text:?}: must be a media type, in which * may stand for any text")),
    }
}

/// The registry's settings of a generation that is not shared yet.
fn registry(live: &mut Live) -> &mut Settings {
    Arc::make_mut(&mut live.registry)
}
