//! What the API documents of each endpoint: its path, its shapes, who may call it. OpenAPI is written from this, and
//! tests compare it with the endpoints.

use std::borrow::Cow;
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};

/// One method of one path.
pub(super) struct Operation {
    /// In upper case.
    pub(super) method: &'static str,
    /// Below `/api/v1`, with variables in braces.
    pub(super) path: &'static str,
    /// The endpoint's name in logs and metrics.
    pub(super) id: &'static str,
    /// What it does, in one line.
    pub(super) summary: &'static str,
    /// Parameters of the query: the name, and what it does.
    pub(super) query: &'static [(&'static str, &'static str)],
    /// The JSON of the request.
    pub(super) body: Option<Shape>,
    /// The answer to a request that succeeded.
    pub(super) answer: AnswerShape,
    pub(super) status: u16,
    /// The statuses of refusals, besides those that every operation has.
    pub(super) refusals: &'static [u16],
    /// Whether `?dry_run=true` shows what it would do to the configuration files.
    pub(super) has_preview: bool,
}

/// The answer to a request that succeeded.
#[derive(Clone, Copy)]
pub(super) enum AnswerShape {
    /// No body.
    Nothing,
    /// One resource.
    One(Shape),
    /// A page of a list.
    List(Shape),
    /// A body of another media type.
    Other(&'static str),
    /// JSON whose shape is described elsewhere.
    Free,
}

/// A type of the API.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) name: fn() -> Cow<'static, str>,
    pub(super) schema: fn() -> RefOr<Schema>,
    pub(super) referenced: fn(&mut Vec<(String, RefOr<Schema>)>),
}

impl Shape {
    pub(super) const fn of<T: ToSchema>() -> Self {
        Self { name: T::name, schema: T::schema, referenced: T::schemas }
    }
}

/// The parameters of every list.
pub(super) const PAGE: &[(&str, &str)] =
    &[("n", "Maximum number of items."), ("last", "Start after this item: `next` of the page before.")];

impl Operation {
    /// A `GET` of one resource.
    pub(super) const fn get<T: ToSchema>(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::of("GET", path, id, summary, AnswerShape::One(Shape::of::<T>()), 200)
    }

    /// A `GET` of a list.
    pub(super) const fn list<T: ToSchema>(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self { query: PAGE, ..Self::of("GET", path, id, summary, AnswerShape::List(Shape::of::<T>()), 200) }
    }

    /// Any other operation.
    pub(super) const fn of(
        method: &'static str,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
        answer: AnswerShape,
        status: u16,
    ) -> Self {
        Self { method, path, id, summary, query: &[], body: None, answer, status, refusals: &[], has_preview: false }
    }

    /// With the JSON of its request.
    pub(super) const fn takes<T: ToSchema>(self) -> Self {
        Self { body: Some(Shape::of::<T>()), ..self }
    }

    /// With parameters of the query.
    pub(super) const fn with_query(self, query: &'static [(&'static str, &'static str)]) -> Self {
        Self { query, ..self }
    }

    /// With a preview of the configuration files, by `?dry_run=true`.
    pub(super) const fn previews(self) -> Self {
        Self { has_preview: true, ..self }
    }

    /// With these statuses of refusals.
    pub(super) const fn refuses(self, refusals: &'static [u16]) -> Self {
        Self { refusals, ..self }
    }
}
