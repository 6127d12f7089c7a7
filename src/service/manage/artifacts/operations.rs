//! What the API documents of artifacts.

use super::super::operation::{AnswerShape, Operation, PAGE, Shape};
use api::artifacts::{
    ArtifactInfo, ArtifactMetadataObject, ArtifactPropertyValues, ArtifactRepositoryChange, ArtifactRepositoryItem,
    FinishUploadRequest, NewArtifactRepositoryRequest, RenameArtifactRequest, StartedUpload, TrashedArtifactItem,
};

const REPOSITORY: AnswerShape = AnswerShape::One(Shape::of::<ArtifactRepositoryItem>());
const ARTIFACT: AnswerShape = AnswerShape::One(Shape::of::<ArtifactInfo>());
const OCTETS: AnswerShape = AnswerShape::Other("application/octet-stream");

const PROPERTY: (&str, &str) = ("property.<key>", "Only artifacts whose property has this value.");
const OVERWRITE: (&str, &str) =
    ("overwrite", "`true` replaces an artifact with the same version, path and properties and other content.");
const DIGEST: (&str, &str) = ("digest", "The digest that the bytes must have.");
const MEDIA_TYPE: (&str, &str) = ("media_type", "The media type, in place of that of the request.");

const LIST_QUERY: &[(&str, &str)] = &[
    ("n", "Maximum number of items."),
    ("last", "Start after this item: `next` of the page before."),
    ("q", "Only names that contain this."),
    ("owner", "Only repositories of this user; `me` is the caller."),
    ("visibility", "Only `public` or `private` repositories."),
];

pub(in super::super) const OPERATIONS: &[Operation] = &[
    Operation::list::<ArtifactRepositoryItem>(
        "/artifacts/repos",
        "list_artifact_repositories",
        "List the artifact repositories you may see.",
    )
    .with_query(LIST_QUERY),
    Operation::of(
        "POST",
        "/artifacts/repos",
        "create_artifact_repository",
        "Create an artifact repository.",
        REPOSITORY,
        201,
    )
    .takes::<NewArtifactRepositoryRequest>()
    .refuses(&[409]),
    Operation::get::<ArtifactRepositoryItem>(
        "/artifacts/repos/{repo}",
        "show_artifact_repository",
        "Show an artifact repository.",
    ),
    Operation::of(
        "PATCH",
        "/artifacts/repos/{repo}",
        "change_artifact_repository",
        "Change description, visibility, owner or retention.",
        REPOSITORY,
        200,
    )
    .takes::<ArtifactRepositoryChange>()
    .refuses(&[412]),
    Operation::of(
        "DELETE",
        "/artifacts/repos/{repo}",
        "delete_artifact_repository",
        "Move an artifact repository to the trash, with everything in it.",
        AnswerShape::Nothing,
        204,
    )
    .with_query(&[
        ("confirm", "The repository's name, to prevent mistakes."),
        ("purge", "`true` removes it for good at once."),
    ])
    .refuses(&[412]),
    Operation::of(
        "POST",
        "/artifacts/{repo}/upload",
        "begin_artifact_upload",
        "Begin an upload in chunks; `Location` says where they go.",
        AnswerShape::One(Shape::of::<StartedUpload>()),
        202,
    )
    .with_query(&[("size", "The number of bytes, to be told early that it is too large."), DIGEST])
    .refuses(&[413]),
    Operation::of(
        "GET",
        "/artifacts/{repo}/upload/{uuid}",
        "show_artifact_upload",
        "Show how far an upload is, in `Range`.",
        AnswerShape::Nothing,
        204,
    ),
    Operation::of(
        "PATCH",
        "/artifacts/{repo}/upload/{uuid}",
        "append_artifact_upload",
        "Append bytes to an upload; `Content-Range` says where they belong.",
        AnswerShape::Nothing,
        202,
    )
    .refuses(&[413, 416]),
    Operation::of(
        "PUT",
        "/artifacts/{repo}/upload/{uuid}",
        "finish_artifact_upload",
        "Make an artifact of an upload.",
        ARTIFACT,
        201,
    )
    .with_query(&[
        ("version", "The version; required."),
        ("path", "The path within the version; required."),
        ("properties", "Properties as a JSON object, in place of a body."),
        DIGEST,
        OVERWRITE,
        MEDIA_TYPE,
    ])
    .takes::<FinishUploadRequest>()
    .refuses(&[409]),
    Operation::of(
        "DELETE",
        "/artifacts/{repo}/upload/{uuid}",
        "cancel_artifact_upload",
        "Cancel an upload.",
        AnswerShape::Nothing,
        204,
    ),
    Operation::of(
        "PUT",
        "/artifacts/{repo}/-/{version}/{path}",
        "put_artifact",
        "Upload an artifact in one request: the body is the file.",
        ARTIFACT,
        201,
    )
    .with_query(&[("property.<key>", "A property of the artifact."), DIGEST, OVERWRITE, MEDIA_TYPE])
    .refuses(&[409, 413, 415]),
    Operation::of(
        "GET",
        "/artifacts/{repo}/{version}/{path}",
        "download_artifact",
        "Download an artifact, the newest if several match; version `latest` is the newest that has the path.",
        OCTETS,
        200,
    )
    .with_query(&[PROPERTY])
    .refuses(&[416]),
    Operation::of(
        "DELETE",
        "/artifacts/{repo}/{version}/{path}",
        "delete_artifact",
        "Move an artifact to the trash.",
        AnswerShape::Nothing,
        204,
    )
    .with_query(&[PROPERTY, ("all", "`true` deletes all that match.")])
    .refuses(&[409]),
    Operation {
        query: PAGE,
        ..Operation::of(
            "GET",
            "/artifacts/{repo}/versions",
            "list_artifact_versions",
            "List versions, newest first, each with its artifacts.",
            AnswerShape::Free,
            200,
        )
    },
    Operation::get::<ArtifactInfo>("/artifacts/{repo}/{artifact}", "show_artifact", "Show an artifact."),
    Operation::of(
        "DELETE",
        "/artifacts/{repo}/{artifact}",
        "delete_artifact_by_id",
        "Move an artifact to the trash, by its ID.",
        AnswerShape::Nothing,
        204,
    )
    .refuses(&[412]),
    // Of these four, 405 is for what is no ID: the path is then that of a file, in a version of that name.
    Operation::of(
        "PUT",
        "/artifacts/{repo}/{artifact}/metadata",
        "set_artifact_metadata",
        "Replace the metadata of an artifact.",
        ARTIFACT,
        200,
    )
    .takes::<ArtifactMetadataObject>()
    .refuses(&[405, 412]),
    Operation::of(
        "PUT",
        "/artifacts/{repo}/{artifact}/properties",
        "set_artifact_properties",
        "Replace the properties of an artifact, which gives it another ID.",
        ARTIFACT,
        200,
    )
    .takes::<ArtifactPropertyValues>()
    .refuses(&[405, 409, 412]),
    Operation::of(
        "PUT",
        "/artifacts/{repo}/{artifact}/rename",
        "rename_artifact",
        "Change version, path or name of an artifact.",
        ARTIFACT,
        200,
    )
    .takes::<RenameArtifactRequest>()
    .refuses(&[405, 409, 412]),
    Operation::of(
        "POST",
        "/artifacts/{repo}/{artifact}/restore",
        "restore_artifact",
        "Restore an artifact from the trash.",
        ARTIFACT,
        200,
    )
    .refuses(&[405, 409]),
    Operation::list::<TrashedArtifactItem>(
        "/artifacts/{repo}/trash",
        "list_artifact_trash",
        "List deleted artifacts that can be restored.",
    ),
];
