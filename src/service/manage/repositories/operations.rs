//! What the API documents of repositories.

use super::super::operation::{AnswerShape, Operation, Shape};
use api::manifests::{
    AttachedManifest, CopiedImages, CopyRequest, DeletedTags, ManifestComparison, ManifestView, RetentionPlanItem,
    TagDeletion, TagItem, TagTarget, UntaggedManifest,
};
use api::repositories::{
    AccessItem, DeletedRepository, NewRepositoryRequest, RepositoryChange, RepositoryItem, VisibilityChange,
    VisibilityOfRepository, VisibilityState,
};

const N: (&str, &str) = ("n", "Maximum number of items.");
const LAST: (&str, &str) = ("last", "Start after this item: `next` of the page before.");
const ORDER: (&str, &str) = ("order", "`asc` or `desc`.");

const LIST_QUERY: &[(&str, &str)] = &[
    N,
    LAST,
    ("q", "Only names that contain this."),
    ("namespace", "Only this namespace."),
    ("visibility", "Only `public` or `private` ones."),
    ("owner", "Only those of this user; `me` is the caller."),
    ("kind", "Only those with a tagged `image`, `index`, `chart` or `artifact`."),
    ("sort", "`name`, `updated`, `pushed`, `size` or `tags`."),
    ORDER,
    ("include", "`tags`, `pulls` or both, with a comma between them."),
];

const TAGS_QUERY: &[(&str, &str)] =
    &[N, LAST, ("q", "Only tags that contain this."), ("sort", "`name`, `version`, `pushed` or `size`."), ORDER];

pub(in super::super) const OPERATIONS: &[Operation] = &[
    Operation::list::<RepositoryItem>("/repositories", "list_repositories", "List the repositories you may see.")
        .with_query(LIST_QUERY),
    Operation::of("POST", "/repositories", "create_repository", "Create an empty repository.", REPOSITORY, 201)
        .takes::<NewRepositoryRequest>()
        .refuses(&[409]),
    Operation::get::<RepositoryItem>("/repositories/{repository}", "show_repository", "Show a repository."),
    Operation::of(
        "PATCH",
        "/repositories/{repository}",
        "change_repository",
        "Change description, owner or immutable tags.",
        REPOSITORY,
        200,
    )
    .takes::<RepositoryChange>()
    .refuses(&[412]),
    Operation::of(
        "DELETE",
        "/repositories/{repository}",
        "delete_repository",
        "Delete a repository with everything in it.",
        AnswerShape::One(Shape::of::<DeletedRepository>()),
        202,
    )
    .with_query(&[("confirm", "The repository's name, to prevent mistakes.")])
    .refuses(&[409, 412]),
    Operation::get::<VisibilityState>(
        "/repositories/{repository}/-/visibility",
        "show_visibility",
        "Show who may pull.",
    ),
    Operation::of(
        "PUT",
        "/repositories/{repository}/-/visibility",
        "set_visibility",
        "Make a repository public or private.",
        AnswerShape::One(Shape::of::<VisibilityState>()),
        200,
    )
    .takes::<VisibilityChange>(),
    Operation::of(
        "POST",
        "/repositories/visibility",
        "set_visibility_of_repository",
        "Make a repository public or private; its name is in the body.",
        AnswerShape::One(Shape::of::<VisibilityState>()),
        200,
    )
    .takes::<VisibilityOfRepository>(),
    Operation::list::<TagItem>("/repositories/{repository}/-/tags", "list_tags", "List tags with what they point to.")
        .with_query(TAGS_QUERY),
    Operation::get::<TagItem>("/repositories/{repository}/-/tags/{tag}", "show_tag", "Show a tag."),
    Operation::of(
        "PUT",
        "/repositories/{repository}/-/tags/{tag}",
        "set_tag",
        "Point a tag to a manifest of the repository.",
        AnswerShape::One(Shape::of::<TagItem>()),
        200,
    )
    .takes::<TagTarget>()
    .refuses(&[409, 412]),
    Operation::of(
        "DELETE",
        "/repositories/{repository}/-/tags/{tag}",
        "delete_tag",
        "Delete a tag; its manifest stays.",
        AnswerShape::One(Shape::of::<DeletedTags>()),
        202,
    )
    .refuses(&[409]),
    Operation::of(
        "POST",
        "/repositories/{repository}/-/tags/delete",
        "delete_tags",
        "Delete several tags, or report what that would do.",
        AnswerShape::One(Shape::of::<DeletedTags>()),
        200,
    )
    .takes::<TagDeletion>(),
    Operation::get::<ManifestView>(
        "/repositories/{repository}/-/manifests/{digest}",
        "show_manifest",
        "Show a manifest with its configuration, layers and referrers; by digest or tag.",
    ),
    Operation::list::<AttachedManifest>(
        "/repositories/{repository}/-/referrers",
        "list_attached",
        "List the manifests that refer to others: signatures, SBOMs and what else is attached.",
    ),
    Operation::list::<UntaggedManifest>(
        "/repositories/{repository}/-/untagged",
        "list_untagged",
        "List manifests without a tag.",
    ),
    Operation::list::<RetentionPlanItem>(
        "/repositories/{repository}/-/retention/plan",
        "plan_retention",
        "Show what the retention rules would delete now.",
    ),
    Operation::list::<AccessItem>(
        "/repositories/{repository}/-/access",
        "list_access",
        "List who may do what in the repository, and why.",
    ),
    Operation::get::<ManifestComparison>(
        "/repositories/{repository}/-/compare",
        "compare_manifests",
        "Compare two manifests.",
    )
    .with_query(&[("from", "A tag or digest."), ("to", "A tag or digest.")]),
    Operation::of(
        "POST",
        "/repositories/{repository}/-/copy",
        "copy_images",
        "Copy tags from another repository.",
        AnswerShape::One(Shape::of::<CopiedImages>()),
        200,
    )
    .takes::<CopyRequest>()
    .refuses(&[409]),
];

const REPOSITORY: AnswerShape = AnswerShape::One(Shape::of::<RepositoryItem>());
