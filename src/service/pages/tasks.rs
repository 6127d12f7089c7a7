//! Long work: one task with its progress and result, and the forms that start one.

use super::{
    super::{
        error::ServiceError,
        gate::Granted,
        manage::{ManageEndpoint, TaskEndpoint},
    },
    acts::NO_BODY,
    form::PageForm,
    markup,
    shell::{Shell, go_to, page},
};
use crate::wire::ResponseBody;
use api::tasks::{CheckRequest, CollectionRequest, Task, TaskStarted};
use askama::Template;
use http::{Method, Response, StatusCode};
use serde_json::Value;
use ulid::Ulid;

/// Lines of a result that are shown.
const MOST_LINES: usize = 500;

/// A value of a result, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResultLine {
    pub(super) name: String,
    pub(super) value: String,
}

#[derive(Template)]
#[template(path = "task.html")]
struct TaskTemplate {
    shell: Shell,
    task: Task,
    status: String,
    lines: Vec<ResultLine>,
}

pub(super) async fn show(granted: &Granted, id: Ulid) -> Result<Response<ResponseBody>, ServiceError> {
    let task: Task = granted.ask(ManageEndpoint::Task(TaskEndpoint::Show(id)), &[]).await?;
    let shell = Shell::of(granted, "system").await;
    let (status, lines) = (word(&task), task.stats.as_ref().map(result_lines).unwrap_or_default());
    page(StatusCode::OK, &TaskTemplate { shell, task, status, lines })
}

/// How far a task is, as the API writes it.
pub(super) fn word(task: &Task) -> String {
    serde_json::to_value(task.status).ok().and_then(|word| Some(word.as_str()?.to_owned())).unwrap_or_default()
}

/// The values of a result, one a line.
pub(super) fn result_lines(value: &Value) -> Vec<ResultLine> {
    let mut lines = Vec::new();
    add_lines("", value, &mut lines);
    lines.truncate(MOST_LINES);
    lines
}

fn add_lines(name: &str, value: &Value, lines: &mut Vec<ResultLine>) {
    let mut push = |value: String| lines.push(ResultLine { name: name.replace('_', " "), value });
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (key, value) in fields {
                let name = if name.is_empty() { key.clone() } else { format!("{name}, {key}") };
                add_lines(&name, value, lines);
            }
        }
        Value::Array(items) => {
            for item in items {
                match item {
                    Value::Object(fields) => push(fields.iter().map(in_words).collect::<Vec<_>>().join(", ")),
                    other => push(text(name, other)),
                }
            }
        }
        other => push(text(name, other)),
    }
}

fn in_words((key, value): (&String, &Value)) -> String {
    format!("{} {}", key.replace('_', " "), text(key, value))
}

fn text(name: &str, value: &Value) -> String {
    match value {
        Value::Number(number) => match number.as_u64() {
            Some(bytes) if name.ends_with("bytes") => markup::size_text(bytes),
            Some(number) => markup::count(number),
            None => number.to_string(),
        },
        Value::Bool(is_so) => if *is_so { "yes" } else { "no" }.to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn started(task: &TaskStarted) -> Response<ResponseBody> {
    go_to(&format!("/system/tasks/{}?done=started", task.task_id))
}

pub(super) async fn collect(granted: &Granted, fields: &PageForm) -> Result<Response<ResponseBody>, ServiceError> {
    let asked = CollectionRequest {
        dry_run: fields.checked("dry_run"),
        now: fields.checked("now"),
        force: fields.checked("force"),
    };
    let collect = ManageEndpoint::Task(TaskEndpoint::Collect);
    Ok(started(&granted.act_for(collect, Method::POST, &asked).await?))
}

pub(super) async fn check(granted: &Granted, fields: &PageForm) -> Result<Response<ResponseBody>, ServiceError> {
    let asked = CheckRequest {
        read_data: fields.checked("read_data"),
        repair: fields.checked("repair"),
        bytes_per_second: None,
    };
    let check = ManageEndpoint::Task(TaskEndpoint::Check);
    Ok(started(&granted.act_for(check, Method::POST, &asked).await?))
}

pub(super) async fn cancel(granted: &Granted, id: Ulid) -> Result<Response<ResponseBody>, ServiceError> {
    granted.act(ManageEndpoint::Task(TaskEndpoint::Cancel(id)), Method::POST, &[], None, NO_BODY).await?;
    Ok(go_to(&format!("/system/tasks/{id}?done=cancelled")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_result_is_written_line_by_line() {
        let result = json!({
            "summary": { "blobs": 1200, "free_bytes": 2048 },
            "findings": [{ "kind": "lost", "path": "a" }],
            "dry_run": true,
            "error": null,
        });
        let lines = result_lines(&result);
        let lines: Vec<_> = lines.iter().map(|line| format!("{}: {}", line.name, line.value)).collect();
        let expected =
            ["dry run: yes", "findings: kind lost, path a", "summary, blobs: 1,200", "summary, free bytes: 2.0 KiB"];
        assert_eq!(lines, expected);
    }
}
