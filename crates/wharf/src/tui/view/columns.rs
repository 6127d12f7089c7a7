//! The labelled values of the selected row, and the columns of lists that no command has.

use crate::output::{Column, ColumnKind};

pub(super) const MENU: &[Column] = &[Column::text("", "/name"), Column::text("", "/about")];
pub(super) const REPOSITORY_DETAILS: &[Column] = &[
    Column::text("Name", "/name"),
    Column::text("Public", "/is_public"),
    Column::text("Owner", "/owner"),
    Column::text("Description", "/description"),
    Column::text("Immutable tags", "/immutable_tags"),
    Column::text("Path", "/path"),
    Column::text("Driver", "/driver"),
    Column::of("Disk Usage", "/size", ColumnKind::Bytes),
    Column::of("Tags", "/tag_count", ColumnKind::Number),
    Column::of("Manifests", "/manifest_count", ColumnKind::Number),
    Column::of("Layers and configs", "/blob_count", ColumnKind::Number),
    Column::of("Last push", "/last_pushed_at", ColumnKind::Time),
    Column::of("Last pull", "/last_pulled_at", ColumnKind::Time),
    Column::of("Created", "/created_at", ColumnKind::Time),
];
pub(super) const TAG_DETAILS: &[Column] = &[
    Column::text("Digest", "/digest"),
    Column::text("Kind", "/kind"),
    Column::text("Media type", "/media_type"),
    Column::text("Artifact type", "/artifact_type"),
    Column::text("Platforms", "/platforms"),
    Column::text("Other tags", "/aliases"),
    Column::of("Immutable", "/immutable", ColumnKind::Flag),
    Column::of("Last pull", "/last_pulled_at", ColumnKind::Time),
];
pub(super) const USER_DETAILS: &[Column] = &[
    Column::text("Name", "/username"),
    Column::text("Email", "/email"),
    Column::text("Groups", "/groups"),
    Column::text("Roles", "/roles"),
    Column::text("Administrator", "/is_admin"),
    Column::of("Locked", "/locked", ColumnKind::Flag),
    Column::of("Robot", "/robot", ColumnKind::Flag),
    Column::of("Created", "/created_at", ColumnKind::Time),
    Column::of("Last login", "/last_login_at", ColumnKind::Time),
];
pub(super) const KEY_DETAILS: &[Column] = &[
    Column::text("Id", "/id"),
    Column::text("Scopes", "/scopes"),
    Column::of("Created", "/created_at", ColumnKind::Time),
    Column::text("Created by", "/created_by"),
    Column::text("Expires", "/expires_at"),
    Column::of("Expired", "/expired", ColumnKind::Flag),
];
pub(super) const GROUP_DETAILS: &[Column] = &[
    Column::text("Name", "/name"),
    Column::text("Description", "/description"),
    Column::text("Roles", "/roles"),
    Column::text("Members", "/members"),
];
pub(super) const ROLE_DETAILS: &[Column] = &[
    Column::text("Name", "/name"),
    Column::text("Description", "/description"),
    Column::text("Permissions", "/permissions"),
    Column::text("Repositories", "/repositories"),
    Column::text("Artifacts", "/artifacts"),
];
pub(super) const SESSIONS: &[Column] = &[
    Column::text("PROGRAM", "/agent"),
    Column::text("ADDRESS", "/address"),
    Column::of("THIS ONE", "/current", ColumnKind::Flag),
    Column::of("SINCE", "/created_at", ColumnKind::Time),
    Column::of("LAST USED", "/refreshed_at", ColumnKind::Time),
    Column::of("EXPIRES", "/expires_at", ColumnKind::Time),
];
pub(super) const SESSION_DETAILS: &[Column] = &[Column::text("Id", "/sid"), Column::text("Program", "/agent")];
pub(super) const ARTIFACT_REPOSITORY_DETAILS: &[Column] = &[
    Column::text("Name", "/name"),
    Column::text("Description", "/description"),
    Column::text("Private", "/private"),
    Column::text("Owner", "/owner"),
    Column::of("Artifacts", "/artifact_count", ColumnKind::Number),
    Column::of("Versions", "/version_count", ColumnKind::Number),
    Column::of("Size", "/size", ColumnKind::Bytes),
    Column::of("Created", "/created_at", ColumnKind::Time),
    Column::of("Changed", "/updated_at", ColumnKind::Time),
    Column::text("Retention", "/retention"),
];
pub(super) const FOUND_ARTIFACTS: &[Column] = &[
    Column::text("REPOSITORY", "/repo"),
    Column::text("VERSION", "/version"),
    Column::text("PATH", "/path"),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
    Column::text("PROPERTIES", "/properties"),
];
pub(super) const ARTIFACT_DETAILS: &[Column] = &[
    Column::text("Name", "/name"),
    Column::text("Id", "/id"),
    Column::text("Digest", "/digest"),
    Column::text("Media type", "/media_type"),
    Column::text("Properties", "/properties"),
    Column::text("Metadata", "/metadata"),
    Column::text("Created by", "/created_by"),
    Column::of("Changed", "/updated_at", ColumnKind::Time),
];
pub(super) const TASK_DETAILS: &[Column] = &[
    Column::text("Id", "/id"),
    Column::text("Started", "/start_time"),
    Column::text("Ended", "/end_time"),
    Column::text("Error", "/error"),
    Column::text("Result", "/stats"),
];
pub(super) const REQUESTS: &[Column] = &[
    Column::of("WHEN", "/time", ColumnKind::Time),
    Column::text("USER", "/user"),
    Column::text("ACTION", "/action"),
    Column::text("REPOSITORY", "/repository"),
    Column::text("REFERENCE", "/reference"),
    Column::of("STATUS", "/status", ColumnKind::Number),
    Column::of("SENT", "/sent", ColumnKind::Bytes),
];
pub(super) const REQUEST_DETAILS: &[Column] = &[
    Column::text("Request", "/request_id"),
    Column::text("Address", "/address"),
    Column::text("Method", "/method"),
    Column::text("Program", "/agent"),
    Column::of("Received", "/received", ColumnKind::Bytes),
    Column::text("Milliseconds", "/milliseconds"),
    Column::text("Reason", "/reason"),
];
pub(super) const PROBLEMS: &[Column] = &[
    Column::text("FILE", "/file"),
    Column::of("LINE", "/line", ColumnKind::Number),
    Column::text("KEY", "/key"),
    Column::text("PROBLEM", "/problem"),
];
pub(super) const PROBLEM_DETAILS: &[Column] = &[Column::text("Problem", "/problem")];
pub(super) const AUDIT_DETAILS: &[Column] = &[
    Column::text("Time", "/time"),
    Column::text("Request", "/request_id"),
    Column::text("From", "/from"),
    Column::text("Files", "/files"),
];
pub(super) const SETTING_DETAILS: &[Column] = &[Column::text("Meaning", "/help")];
pub(super) const CHILDREN: &[Column] = &[
    Column::text("PLATFORM", "/platform"),
    Column::of("DIGEST", "/digest", ColumnKind::Digest),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
    Column::text("PRESENT", "/present"),
];
pub(super) const LAYERS: &[Column] = &[
    Column::of("DIGEST", "/digest", ColumnKind::Digest),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
    Column::of("SHARED BY", "/shared_by", ColumnKind::Number),
    Column::text("MEDIA TYPE", "/media_type"),
];
pub(super) const HISTORY: &[Column] = &[
    Column::of("STEP", "/step", ColumnKind::Number),
    Column::of("WHEN", "/created", ColumnKind::Time),
    Column::text("CREATED BY", "/created_by"),
    Column::text("COMMENT", "/comment"),
];
pub(super) const REFERRERS: &[Column] = &[
    Column::text("ARTIFACT TYPE", "/artifactType"),
    Column::of("DIGEST", "/digest", ColumnKind::Digest),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
    Column::text("ANNOTATIONS", "/annotations"),
];
