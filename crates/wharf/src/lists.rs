//! Columns of lists that both the commands and the terminal UI show.

use crate::output::{Column, ColumnKind};

pub const REPOSITORIES: &[Column] = &[
    Column::text("NAME", "/name"),
    Column::of("TAGS", "/tag_count", ColumnKind::Number),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
    Column::text("VISIBILITY", "/visibility").in_commands(),
    Column::text("OWNER", "/owner").in_commands(),
    Column::of("MANIFESTS", "/manifest_count", ColumnKind::Number).wide(),
    Column::of("BLOBS", "/blob_count", ColumnKind::Number).wide(),
    Column::of("PUSHED", "/last_pushed_at", ColumnKind::Time).in_commands(),
    Column::text("IMMUTABLE TAGS", "/immutable_tags").wide(),
    Column::text("DESCRIPTION", "/description").wide(),
];
pub const TAGS: &[Column] = &[
    Column::text("TAG", "/name"),
    Column::of("DIGEST", "/digest", ColumnKind::Digest),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
    Column::text("PLATFORMS", "/platforms"),
    Column::text("KIND", "/kind").wide(),
    Column::of("SIGNED", "/has_signature", ColumnKind::Flag).roomy(),
    Column::of("PUSHED", "/pushed_at", ColumnKind::Time),
    Column::text("BY", "/pushed_by").roomy(),
    Column::of("IMMUTABLE", "/immutable", ColumnKind::Flag).wide(),
    Column::text("SAME AS", "/aliases").wide(),
];
pub const USERS: &[Column] = &[
    Column::text("NAME", "/username"),
    Column::text("GROUPS", "/groups").in_commands(),
    Column::text("ROLES", "/roles").wide(),
    Column::of("ADMIN", "/is_admin", ColumnKind::Flag),
    Column::of("LOCKED", "/locked", ColumnKind::Flag),
    Column::of("ROBOT", "/robot", ColumnKind::Flag).in_commands(),
    Column::text("EMAIL", "/email").wide(),
    Column::of("CREATED", "/created_at", ColumnKind::Time).wide(),
    Column::of("LAST LOGIN", "/last_login_at", ColumnKind::Time).in_commands(),
];
pub const USER_ACCESS: &[Column] =
    &[Column::text("REPOSITORY", "/repository"), Column::text("ACTIONS", "/actions"), Column::text("BECAUSE", "/why")];
pub const KEYS: &[Column] = &[
    Column::text("ID", "/id").in_commands(),
    Column::text("NAME", "/name"),
    Column::text("OWNER", "/owner"),
    Column::text("SCOPES", "/scopes"),
    Column::of("CREATED", "/created_at", ColumnKind::Time).wide(),
    Column::of("EXPIRES", "/expires_at", ColumnKind::Time),
    Column::of("LAST USED", "/last_used_at", ColumnKind::Time),
];
pub const GROUPS: &[Column] = &[
    Column::text("NAME", "/name"),
    Column::text("ROLES", "/roles"),
    Column::text("MEMBERS", "/members").in_commands(),
    Column::text("DESCRIPTION", "/description").in_commands(),
];
pub const ROLES: &[Column] = &[
    Column::text("NAME", "/name"),
    Column::text("PERMISSIONS", "/permissions").in_commands(),
    Column::text("REPOSITORIES", "/repositories").in_commands(),
    Column::of("BUILT-IN", "/builtin", ColumnKind::Flag),
    Column::text("DESCRIPTION", "/description").wide(),
];
pub const ARTIFACT_REPOSITORIES: &[Column] = &[
    Column::text("NAME", "/name"),
    Column::of("ARTIFACTS", "/artifact_count", ColumnKind::Number),
    Column::of("VERSIONS", "/version_count", ColumnKind::Number).in_commands(),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
    Column::of("PRIVATE", "/private", ColumnKind::Flag).in_commands(),
    Column::text("OWNER", "/owner").in_commands(),
    Column::of("UPDATED", "/updated_at", ColumnKind::Time).in_commands(),
    Column::text("DESCRIPTION", "/description").wide(),
];
pub const ARTIFACTS: &[Column] = &[
    // A screen has the artifacts of one repository.
    Column::text("REPO", "/repo").in_commands(),
    Column::text("VERSION", "/version"),
    Column::text("PATH", "/path"),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
    Column::text("PROPERTIES", "/properties"),
    Column::of("CREATED", "/created_at", ColumnKind::Time),
    Column::text("BY", "/created_by").wide(),
    Column::text("DIGEST", "/digest").wide(),
    Column::text("ID", "/id").in_commands(),
];
pub const TRASH: &[Column] = &[
    Column::text("VERSION", "/artifact/version"),
    Column::text("PATH", "/artifact/path"),
    Column::of("SIZE", "/artifact/size", ColumnKind::Bytes),
    Column::of("DELETED", "/deleted_at", ColumnKind::Time),
    Column::text("BY", "/deleted_by"),
    Column::text("RULE", "/rule"),
    Column::text("ID", "/artifact/id").in_commands(),
];
pub const TASKS: &[Column] = &[
    Column::text("ID", "/id").in_commands(),
    Column::text("KIND", "/kind"),
    Column::text("STATUS", "/status"),
    Column::of("PERCENT", "/progress", ColumnKind::Number),
    Column::text("STEP", "/step"),
    Column::of("DONE", "/step_done", ColumnKind::Number).on_screens(),
    Column::text("OWNER", "/owner"),
    Column::of("STARTED", "/start_time", ColumnKind::Time),
    Column::text("ERROR", "/error").in_commands(),
    Column::text("RESULT", "/stats").wide(),
];
pub const UPLOADS: &[Column] = &[
    Column::text("ID", "/id"),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
    Column::of("LAST WRITE", "/last_write_at", ColumnKind::Time),
];
pub const AUDIT: &[Column] = &[
    Column::of("WHEN", "/time", ColumnKind::Time),
    Column::text("WHO", "/actor"),
    Column::text("ACTION", "/action"),
    Column::text("TARGET", "/target"),
    Column::text("ADDRESS", "/address").roomy(),
    Column::text("REQUEST", "/request_id").wide(),
];
pub const SECTIONS: &[Column] = &[
    Column::text("SECTION", "/section"),
    Column::text("KEYS", "/keys").in_commands(),
    Column::text("VALUES", "/values").on_screens(),
];
pub const SETTINGS: &[Column] = &[
    Column::text("KEY", "/key"),
    Column::text("VALUE", "/value"),
    Column::text("DEFAULT", "/default"),
    Column::text("SET BY", "/locked"),
    Column::text("MEANING", "/help").wide(),
];
pub const QUOTAS: &[Column] = &[
    Column::text("REPOSITORIES", "/repositories"),
    Column::of("BYTES", "/used_bytes", ColumnKind::Bytes),
    Column::of("OF", "/max_bytes", ColumnKind::Bytes),
    Column::of("TAGS", "/used_tags", ColumnKind::Number),
    Column::of("OF", "/max_tags", ColumnKind::Number),
    Column::of("COUNT", "/used_repositories", ColumnKind::Number).in_commands(),
    Column::of("OF", "/max_repositories", ColumnKind::Number).in_commands(),
];
pub const NAMESPACES: &[Column] = &[
    Column::text("NAME", "/name"),
    Column::of("REPOSITORIES", "/repositories", ColumnKind::Number),
    Column::of("TAGS", "/tags", ColumnKind::Number),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
    Column::of("CREATED", "/created_at", ColumnKind::Time),
];
pub const MIGRATIONS: &[Column] = &[
    Column::text("ID", "/id").in_commands(),
    Column::text("STATUS", "/status"),
    Column::of("PERCENT", "/progress", ColumnKind::Number),
    Column::text("FROM", "/migration/source_registry"),
    Column::text("IMAGES", "/migration/patterns"),
    Column::of("FAILED", "/migration/images/failed", ColumnKind::Number),
    Column::of("FETCHED", "/migration/bytes_fetched", ColumnKind::Bytes),
    Column::of("STARTED", "/start_time", ColumnKind::Time),
    Column::text("OWNER", "/owner").wide(),
    Column::text("ERROR", "/error").wide(),
];
pub const MIGRATION: &[Column] = &[
    Column::text("ID", "/id"),
    Column::text("Status", "/status"),
    Column::text("Error", "/error"),
    Column::text("From", "/migration/source_registry"),
    Column::text("Images", "/migration/patterns"),
    Column::text("Prefix", "/migration/target_prefix"),
    Column::of("Dry run", "/migration/dry_run", ColumnKind::Flag),
    Column::of("Found", "/migration/images/total", ColumnKind::Number),
    Column::of("Copied", "/migration/images/completed", ColumnKind::Number),
    Column::of("Here already", "/migration/images/skipped", ColumnKind::Number),
    Column::of("Failed", "/migration/images/failed", ColumnKind::Number),
    Column::of("Left", "/migration/images/waiting", ColumnKind::Number),
    Column::of("Fetched", "/migration/bytes_fetched", ColumnKind::Bytes),
    Column::of("Not fetched", "/migration/bytes_skipped", ColumnKind::Bytes),
    Column::of("Per second", "/migration/bytes_per_second", ColumnKind::Bytes),
    Column::of("Started", "/start_time", ColumnKind::Time),
    Column::of("Ended", "/end_time", ColumnKind::Time),
    Column::text("Owner", "/owner"),
];
pub const MIGRATED_IMAGES: &[Column] = &[
    Column::text("IMAGE", "/source"),
    Column::text("STATUS", "/status"),
    Column::of("SIZE", "/bytes_total", ColumnKind::Bytes),
    Column::of("FETCHED", "/bytes_fetched", ColumnKind::Bytes),
    Column::of("HERE", "/bytes_skipped", ColumnKind::Bytes),
    Column::text("MESSAGE", "/message"),
    Column::text("TARGET", "/target").wide(),
    Column::text("DIGEST", "/digest").wide(),
];
pub const MIGRATED_IMAGE: &[Column] = &[
    Column::text("Image", "/source"),
    Column::text("Message", "/message"),
    Column::text("Target", "/target"),
    Column::text("Digest", "/digest"),
    Column::of("Left", "/bytes_remaining", ColumnKind::Bytes),
    Column::of("Per second", "/bytes_per_second", ColumnKind::Bytes),
];
pub const OUTBOX: &[Column] = &[
    Column::of("NUMBER", "/number", ColumnKind::Number),
    Column::text("ACTION", "/action"),
    Column::text("STATE", "/state"),
    Column::of("SIZE", "/bytes", ColumnKind::Bytes),
    Column::of("DONE", "/done", ColumnKind::Bytes),
    Column::of("TRIES", "/tries", ColumnKind::Number),
    Column::of("NEXT TRY", "/next_try_seconds", ColumnKind::Seconds),
    Column::text("PATH", "/key"),
    Column::text("ERROR", "/error").wide(),
];
pub const OUTBOX_WRITE: &[Column] = &[
    Column::text("Path", "/key"),
    Column::text("Error", "/error"),
    Column::of("Next try in", "/next_try_seconds", ColumnKind::Seconds),
];
pub const OUTBOX_TOTALS: &[Column] = &[
    Column::of("Writes", "/writes", ColumnKind::Number),
    Column::of("Bytes", "/bytes", ColumnKind::Bytes),
    Column::of("Of at most", "/max_bytes", ColumnKind::Bytes),
    Column::of("On their way", "/done", ColumnKind::Bytes),
    Column::of("Oldest waits", "/oldest_seconds", ColumnKind::Seconds),
    Column::of("Written", "/uploads", ColumnKind::Number),
    Column::of("Their bytes", "/uploaded_bytes", ColumnKind::Bytes),
    Column::of("Failed tries", "/failures", ColumnKind::Number),
];
