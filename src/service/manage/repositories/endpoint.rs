//! The endpoints below `/repositories`.

use super::super::super::{
    answer::Answering,
    endpoint::{Effect, Family, Methods, Need, RequestLine},
    error::{ApiError, ServiceError},
    gate::Granted,
};
use super::{MARK, access, change, item, list, manifests, name_of, retention, tags};
use crate::who::{Action, Permission};
use http::Method;
use oci::{Reference, RepositoryName, Tag};

/// A request about repositories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepositoryEndpoint {
    /// `GET /repositories`.
    List,
    /// `POST /repositories`.
    Create,
    /// `GET /repositories/{repository}`.
    Show(RepositoryName),
    /// `PATCH /repositories/{repository}`.
    Change(RepositoryName),
    /// `DELETE /repositories/{repository}`.
    Delete(RepositoryName),
    /// `GET …/-/visibility`.
    Visibility(RepositoryName),
    /// `PUT …/-/visibility`.
    SetVisibility(RepositoryName),
    /// `POST /repositories/visibility`, with the name in the body.
    SetVisibilityByBody,
    /// `GET …/-/tags`.
    Tags(RepositoryName),
    /// `GET …/-/tags/{tag}`.
    ShowTag(RepositoryName, Tag),
    /// `PUT …/-/tags/{tag}`.
    SetTag(RepositoryName, Tag),
    /// `DELETE …/-/tags/{tag}`.
    DeleteTag(RepositoryName, Tag),
    /// `POST …/-/tags/delete`.
    DeleteTags(RepositoryName),
    /// `GET …/-/manifests/{reference}`.
    Manifest(RepositoryName, Reference),
    /// `GET …/-/untagged`.
    Untagged(RepositoryName),
    /// `GET …/-/referrers`.
    Attached(RepositoryName),
    /// `GET …/-/retention/plan`.
    RetentionPlan(RepositoryName),
    /// `GET …/-/access`.
    Access(RepositoryName),
    /// `GET …/-/compare`.
    Compare(RepositoryName),
    /// `POST …/-/copy`.
    Copy(RepositoryName),
}

const ALL: Methods = Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("POST", Effect::Writes)]);
const ONE: Methods =
    Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("PATCH", Effect::Writes), ("DELETE", Effect::Deletes)]);
const VISIBILITY: Methods = Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("PUT", Effect::Writes)]);
const TAG: Methods =
    Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("PUT", Effect::Writes), ("DELETE", Effect::Deletes)]);
const BY_BODY: Methods = Methods(&[("POST", Effect::Writes)]);
const DELETE_TAGS: Methods = Methods(&[("POST", Effect::Deletes)]);
const COPY: Methods = Methods(&[("POST", Effect::Writes)]);

impl RepositoryEndpoint {
    /// Parses a path that begins with `repositories`.
    pub(in super::super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        let Some((_, rest)) = line.segments.split_first() else { return Err(ApiError::NotFound.into()) };
        let wrong = |allow| Err(ServiceError::MethodNotAllowed(allow));
        let (method, is_read) = (line.method, line.is_read());
        let end = rest.iter().position(|segment| *segment == MARK);
        let Some(end) = end else {
            return match (rest, method) {
                ([], _) if is_read => Ok(Self::List),
                ([], &Method::POST) => Ok(Self::Create),
                ([], _) => wrong(ALL),
                (["visibility"], &Method::POST) => Ok(Self::SetVisibilityByBody),
                (name, _) if is_read => name_of(name).map(Self::Show),
                (name, &Method::PATCH) => name_of(name).map(Self::Change),
                (name, &Method::DELETE) => name_of(name).map(Self::Delete),
                _ => wrong(ONE),
            };
        };
        let name = name_of(&rest[..end])?;
        Ok(match (&rest[end + 1..], method) {
            (["visibility"], _) if is_read => Self::Visibility(name),
            (["visibility"], &Method::PUT) => Self::SetVisibility(name),
            (["visibility"], _) => return wrong(VISIBILITY),
            (["tags"], _) if is_read => Self::Tags(name),
            (["tags", "delete"], &Method::POST) => Self::DeleteTags(name),
            (["tags", tag], _) if is_read => Self::ShowTag(name, tag.parse::<Tag>()?),
            (["tags", tag], &Method::PUT) => Self::SetTag(name, tag.parse::<Tag>()?),
            (["tags", tag], &Method::DELETE) => Self::DeleteTag(name, tag.parse::<Tag>()?),
            (["tags", "delete"], _) => return wrong(DELETE_TAGS),
            (["tags", _], _) => return wrong(TAG),
            (["manifests", reference], _) if is_read => Self::Manifest(name, reference.parse::<Reference>()?),
            (["untagged"], _) if is_read => Self::Untagged(name),
            (["referrers"], _) if is_read => Self::Attached(name),
            (["retention", "plan"], _) if is_read => Self::RetentionPlan(name),
            (["access"], _) if is_read => Self::Access(name),
            (["compare"], _) if is_read => Self::Compare(name),
            (["copy"], &Method::POST) => Self::Copy(name),
            (["copy"], _) => return wrong(COPY),
            (
                ["tags" | "untagged" | "referrers" | "access" | "compare"] | ["manifests", _] | ["retention", "plan"],
                _,
            ) => {
                return wrong(Methods::READ);
            }
            _ => return Err(ApiError::NotFound.into()),
        })
    }
}

impl Family for RepositoryEndpoint {
    fn name(&self) -> &'static str {
        match self {
            Self::List => "list_repositories",
            Self::Create => "create_repository",
            Self::Show(_) => "show_repository",
            Self::Change(_) => "change_repository",
            Self::Delete(_) => "delete_repository",
            Self::Visibility(_) => "show_visibility",
            Self::SetVisibility(_) => "set_visibility",
            Self::SetVisibilityByBody => "set_visibility_of_repository",
            Self::Tags(_) => "list_tags",
            Self::ShowTag(..) => "show_tag",
            Self::SetTag(..) => "set_tag",
            Self::DeleteTag(..) => "delete_tag",
            Self::DeleteTags(_) => "delete_tags",
            Self::Manifest(..) => "show_manifest",
            Self::Untagged(_) => "list_untagged",
            Self::Attached(_) => "list_attached",
            Self::RetentionPlan(_) => "plan_retention",
            Self::Access(_) => "list_access",
            Self::Compare(_) => "compare_manifests",
            Self::Copy(_) => "copy_images",
        }
    }

    fn needs(&self) -> Need<'_> {
        use Action::{Delete, Pull, Push};
        match self {
            // Strangers see what everybody may pull.
            Self::List => Need::Sight,
            // To push to it, or CREATE:REPO; to own it, or UPDATE:REPO. Its name is in the body.
            Self::Create | Self::SetVisibilityByBody => Need::Entry,
            Self::Show(name) => Need::RepositoryOr(name, Pull, Permission::VIEW_IMAGE),
            Self::Tags(name) | Self::ShowTag(name, _) => Need::RepositoryOr(name, Pull, Permission::VIEW_TAG),
            Self::Visibility(name)
            | Self::Manifest(name, _)
            | Self::Untagged(name)
            | Self::Attached(name)
            | Self::RetentionPlan(name)
            | Self::Compare(name) => Need::Repository(name, Pull),
            Self::Change(name) | Self::SetVisibility(name) | Self::Access(name) => {
                Need::Owner(name, Permission::UPDATE_REPO)
            }
            Self::Delete(name) => Need::ActionOfOwner(name, Delete, Permission::DELETE_REPO),
            Self::SetTag(name, _) => Need::RepositoryOr(name, Push, Permission::CREATE_TAG),
            Self::DeleteTag(name, _) | Self::DeleteTags(name) => {
                Need::RepositoryOr(name, Delete, Permission::DELETE_TAG)
            }
            Self::Copy(name) => Need::Repository(name, Push),
        }
    }

    fn methods(&self) -> Methods {
        match self {
            Self::List | Self::Create => ALL,
            Self::Show(_) | Self::Change(_) | Self::Delete(_) => ONE,
            Self::Visibility(_) | Self::SetVisibility(_) => VISIBILITY,
            Self::ShowTag(..) | Self::SetTag(..) | Self::DeleteTag(..) => TAG,
            Self::DeleteTags(_) => DELETE_TAGS,
            Self::SetVisibilityByBody => BY_BODY,
            Self::Copy(_) => COPY,
            Self::Tags(_)
            | Self::Manifest(..)
            | Self::Untagged(_)
            | Self::Attached(_)
            | Self::RetentionPlan(_)
            | Self::Access(_)
            | Self::Compare(_) => Methods::READ,
        }
    }

    fn reference(&self) -> Option<Reference> {
        match self {
            Self::ShowTag(_, tag) | Self::SetTag(_, tag) | Self::DeleteTag(_, tag) => Some(Reference::Tag(tag.clone())),
            Self::Manifest(_, reference) => Some(reference.clone()),
            _ => None,
        }
    }

    fn serve(self, granted: Granted) -> Answering {
        Box::pin(async move {
            match self {
                Self::List => list::list(&granted).await,
                Self::Create => change::create(granted).await,
                Self::Show(name) => item::show(&granted, &name).await,
                Self::Change(name) => change::change(granted, &name).await,
                Self::Delete(name) => change::delete(&granted, &name).await,
                Self::Visibility(name) => change::visibility(&granted, &name).await,
                Self::SetVisibility(name) => change::set_visibility(granted, &name).await,
                Self::SetVisibilityByBody => change::set_visibility_by_body(granted).await,
                Self::Tags(name) => tags::list(&granted, &name).await,
                Self::ShowTag(name, tag) => tags::show(&granted, &name, &tag).await,
                Self::SetTag(name, tag) => tags::set(granted, &name, tag).await,
                Self::DeleteTag(name, tag) => tags::delete(&granted, &name, tag).await,
                Self::DeleteTags(name) => tags::delete_many(granted, &name).await,
                Self::Manifest(name, reference) => manifests::show(&granted, &name, &reference).await,
                Self::Untagged(name) => retention::untagged(&granted, &name).await,
                Self::Attached(name) => manifests::attached(&granted, &name).await,
                Self::RetentionPlan(name) => retention::plan(&granted, &name).await,
                Self::Access(name) => access::list(&granted, &name).await,
                Self::Compare(name) => manifests::compare(&granted, &name).await,
                Self::Copy(name) => tags::copy(granted, &name).await,
            }
        })
    }
}
