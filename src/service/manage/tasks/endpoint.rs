//! Which requests about tasks there are.

use super::{
    super::{
        super::{
            answer::Answering,
            endpoint::{Effect, Family, Methods, Need, RequestLine},
            error::{ApiError, ServiceError},
            gate::Granted,
        },
        migration,
        operation::{AnswerShape, Operation, Shape},
    },
    events, work,
};
use crate::who::Permission;
use api::{
    migration::{MigratedImage, ResumeRequest},
    tasks::{CheckRequest, CollectionRequest, Task, TaskStarted},
};
use http::Method;
use ulid::Ulid;

pub(in super::super) const OPERATIONS: &[Operation] = &[
    Operation::list::<Task>("/tasks", "list_tasks", "List your tasks, or all for an administrator, newest first."),
    Operation::get::<Task>("/tasks/{id}", "show_task", "Show a task."),
    Operation::of(
        "GET",
        "/tasks/{id}/events",
        "follow_task",
        "Follow a task: one server-sent event for each change.",
        AnswerShape::Other("text/event-stream"),
        200,
    ),
    Operation::list::<MigratedImage>("/tasks/{id}/images", "list_migrated_images", "List the images of a migration.")
        .with_query(&[
            ("status", "Only images in this state: `waiting`, `running`, `completed`, `skipped` or `failed`."),
            ("n", "Maximum number of items."),
            ("last", "Start after this item: `next` of the page before."),
        ]),
    Operation::of("POST", "/tasks/{id}/cancel", "cancel_task", "Cancel a task.", TASK, 202).refuses(&[409]),
    Operation::of(
        "POST",
        "/tasks/{id}/resume",
        "resume_task",
        "Continue a migration that was interrupted, cancelled or failed in part.",
        TASK,
        202,
    )
    .takes::<ResumeRequest>()
    .refuses(&[409]),
    Operation::of("POST", "/gc", "start_collection", "Collect garbage.", STARTED, 202)
        .takes::<CollectionRequest>()
        .refuses(&[409]),
    Operation::of("GET", "/gc", "show_last_collection", "Show the last report.", AnswerShape::Free, 200),
    Operation::of("POST", "/fsck", "start_check", "Check the store.", STARTED, 202)
        .takes::<CheckRequest>()
        .refuses(&[409]),
];

const TASK: AnswerShape = AnswerShape::One(Shape::of::<Task>());
const STARTED: AnswerShape = AnswerShape::One(Shape::of::<TaskStarted>());

/// A request about tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskEndpoint {
    /// `GET /tasks`.
    List,
    /// `GET /tasks/{id}`.
    Show(Ulid),
    /// `GET /tasks/{id}/events`.
    Events(Ulid),
    /// `GET /tasks/{id}/images`.
    Images(Ulid),
    /// `POST /tasks/{id}/cancel`.
    Cancel(Ulid),
    /// `POST /tasks/{id}/resume`.
    Resume(Ulid),
    /// `POST /gc`.
    Collect,
    /// `GET /gc`.
    LastCollection,
    /// `POST /fsck`.
    Check,
}

const CANCEL: Methods = Methods(&[("POST", Effect::Reads)]);
const RESUME: Methods = Methods(&[("POST", Effect::Writes)]);
const COLLECTION: Methods = Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("POST", Effect::Deletes)]);
const CHECK: Methods = Methods(&[("POST", Effect::Writes)]);

impl TaskEndpoint {
    pub(in super::super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        let id = |text: &str| text.parse::<Ulid>().map_err(|_| ServiceError::from(ApiError::NotFound));
        let (is_read, is_post) = (line.is_read(), *line.method == Method::POST);
        match line.segments {
            ["tasks"] if is_read => Ok(Self::List),
            ["tasks", task] if is_read => id(task).map(Self::Show),
            ["tasks", task, "events"] if is_read => id(task).map(Self::Events),
            ["tasks", task, "images"] if is_read => id(task).map(Self::Images),
            ["tasks", task, "cancel"] if is_post => id(task).map(Self::Cancel),
            ["tasks", task, "resume"] if is_post => id(task).map(Self::Resume),
            ["gc"] if is_read => Ok(Self::LastCollection),
            ["gc"] if is_post => Ok(Self::Collect),
            ["fsck"] if is_post => Ok(Self::Check),
            ["tasks"] | ["tasks", _] | ["tasks", _, "events" | "images"] => {
                Err(ServiceError::MethodNotAllowed(Methods::READ))
            }
            ["tasks", _, "resume"] => Err(ServiceError::MethodNotAllowed(RESUME)),
            ["tasks", _, "cancel"] => Err(ServiceError::MethodNotAllowed(CANCEL)),
            ["gc"] => Err(ServiceError::MethodNotAllowed(COLLECTION)),
            ["fsck"] => Err(ServiceError::MethodNotAllowed(CHECK)),
            _ => Err(ApiError::NotFound.into()),
        }
    }
}

impl Family for TaskEndpoint {
    fn name(&self) -> &'static str {
        match self {
            Self::List => "list_tasks",
            Self::Show(_) => "show_task",
            Self::Events(_) => "follow_task",
            Self::Images(_) => "list_migrated_images",
            Self::Cancel(_) => "cancel_task",
            Self::Resume(_) => "resume_task",
            Self::Collect => "start_collection",
            Self::LastCollection => "show_last_collection",
            Self::Check => "start_check",
        }
    }

    fn needs(&self) -> Need<'_> {
        match self {
            Self::List | Self::Show(_) | Self::Events(_) | Self::Images(_) | Self::Cancel(_) => Need::Tasks,
            Self::Resume(_) => Need::MayUnlessOpen(Permission::MIGRATE_TASK),
            Self::Collect | Self::LastCollection | Self::Check => Need::May(Permission::ADMIN),
        }
    }

    fn methods(&self) -> Methods {
        match self {
            Self::List | Self::Show(_) | Self::Events(_) | Self::Images(_) => Methods::READ,
            Self::Cancel(_) => CANCEL,
            Self::Resume(_) => RESUME,
            Self::Collect | Self::LastCollection => COLLECTION,
            Self::Check => CHECK,
        }
    }

    fn serve(self, granted: Granted) -> Answering {
        Box::pin(async move {
            match self {
                Self::List => super::list(&granted),
                Self::Show(id) => granted.resource(&super::find(&granted, id)?.shown()),
                Self::Events(id) => events::follow(&granted, id),
                Self::Images(id) => super::images(&granted, id),
                Self::Cancel(id) => super::cancel(&granted, id).await,
                Self::Resume(id) => migration::resume(granted, id).await,
                Self::Collect => work::collect(granted).await,
                Self::LastCollection => work::last_collection(&granted).await,
                Self::Check => work::check(granted).await,
            }
        })
    }
}
