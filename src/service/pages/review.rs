//! What a form would change in the operator's files: shown first, and saved once that was seen.

use super::{
    super::{
        error::{ApiError, ServiceError},
        gate::Granted,
        manage::ManageEndpoint,
    },
    ask::content,
    form::PageForm,
    markup,
    shell::{Shell, go_to, page},
};
use crate::wire::ResponseBody;
use api::config::{ChangePreview, PreviewedFile};
use askama::Template;
use http::{HeaderValue, Method, Response, StatusCode, header};
use serde::Serialize;
use serde_json::Value;

/// The field with the files as they were when the change was shown.
const SEEN: &str = "seen";

/// A request of the API that edits the operator's files.
pub(super) struct FileSave {
    pub(super) endpoint: ManageEndpoint,
    pub(super) method: Method,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
    /// The entry of the menu.
    pub(super) section: &'static str,
    /// What it does, such as `Change the group "dev"`.
    pub(super) title: String,
    /// The page that the form is on.
    pub(super) back: String,
    /// The page that shows the result.
    pub(super) done: String,
}

impl FileSave {
    /// A body as JSON.
    ///
    /// # Errors
    /// None in practice: the types of the API can be written.
    pub(super) fn json(body: &impl Serialize) -> Result<Option<Value>, ServiceError> {
        serde_json::to_value(body).map(Some).map_err(|_| ServiceError::Panicked)
    }

    fn is_deletion(&self) -> bool {
        self.method == Method::DELETE
    }

    async fn send(
        &self,
        granted: &Granted,
        fields: &PageForm,
        dry_run: bool,
    ) -> Result<Response<ResponseBody>, ServiceError> {
        let mut query: Vec<_> = self.query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if dry_run {
            query.push(("dry_run", "true"));
        }
        let etag = Some(fields.text("etag"));
        granted.act(self.endpoint.clone(), self.method.clone(), &query, etag, self.body.as_ref()).await
    }
}

/// A line of a diff.
#[derive(Clone, Debug, PartialEq, Eq)]
struct DiffLine {
    number: String,
    sign: &'static str,
    text: String,
}

/// A file that would change.
struct ReviewedFile {
    file: PreviewedFile,
    lines: Vec<DiffLine>,
}

#[derive(Template)]
#[template(path = "review.html")]
struct ReviewTemplate {
    shell: Shell,
    title: String,
    action: String,
    back: String,
    is_deletion: bool,
    files: Vec<ReviewedFile>,
    /// The fields of the form, to send them again.
    fields: Vec<(String, String)>,
    password: String,
    seen: String,
    has_changed: bool,
    is_read_only: bool,
}

/// Shows what a form would change in the operator's files. A form that has shown it already is saved, unless somebody
/// has changed one of the files since.
///
/// # Errors
/// The API's refusal.
pub(super) async fn save(
    granted: &Granted,
    fields: &PageForm,
    save: FileSave,
) -> Result<Response<ResponseBody>, ServiceError> {
    let mut preview: ChangePreview = content(save.send(granted, fields, true).await?).await?;
    let (seen, now) = (fields.text(SEEN), state(&preview));
    let is_known = preview.files.is_empty() || seen == now;
    if is_known && !is_read_only(&preview) {
        match save.send(granted, fields, false).await {
            Ok(_) => return Ok(go_to(&save.done)),
            // That a file cannot be replaced may show only when it is tried.
            Err(ServiceError::Api(ApiError::ReadOnlyFile { path, why })) => {
                let is_it = |file: &&mut PreviewedFile| file.path.as_ref().is_none_or(|known| *known == path);
                preview.files.iter_mut().filter(is_it).for_each(|file| file.read_only = Some(why.clone()));
            }
            Err(error) => return Err(error),
        }
    }
    let has_changed = !seen.is_empty() && seen != now;
    let is_read_only = is_read_only(&preview);
    let status = match (is_read_only, has_changed) {
        (true, _) => StatusCode::CONFLICT,
        (false, true) => StatusCode::PRECONDITION_FAILED,
        (false, false) => StatusCode::OK,
    };
    let reviewed = |file: PreviewedFile| ReviewedFile { lines: lines(file.diff.as_deref().unwrap_or_default()), file };
    let kept = fields.pairs().filter(|(name, _)| !matches!(*name, SEEN | "password"));
    let template = ReviewTemplate {
        shell: Shell::of(granted, save.section).await,
        action: granted.request.head.uri.path().to_owned(),
        is_deletion: save.is_deletion(),
        fields: kept.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        password: fields.text("password").to_owned(),
        seen: now,
        files: preview.files.into_iter().map(reviewed).collect(),
        title: save.title,
        back: save.back,
        has_changed,
        is_read_only,
    };
    let mut response = page(status, &template)?;
    // It may have a password that was typed a moment ago.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn is_read_only(preview: &ChangePreview) -> bool {
    preview.files.iter().any(|file| file.read_only.is_some())
}

/// The files of a change as they are now.
fn state(preview: &ChangePreview) -> String {
    let one = |file: &PreviewedFile| format!("{}={}", file.file, file.etag);
    preview.files.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// The lines of a unified diff, each with its number in the file.
fn lines(diff: &str) -> Vec<DiffLine> {
    let (mut old, mut new, mut lines) = (0, 0, Vec::new());
    // The first two lines name the file.
    for line in diff.lines().skip(2) {
        let Some((sign, text)) = line.split_at_checked(1) else { continue };
        let mut push = |number: String, sign, text: &str| lines.push(DiffLine { number, sign, text: text.to_owned() });
        let next = |counter: &mut u64| {
            *counter += 1;
            (*counter - 1).to_string()
        };
        match sign {
            "@" => {
                let start = |sign: char| {
                    let part = line.split(' ').find_map(|part| part.strip_prefix(sign))?;
                    part.split(',').next()?.parse::<u64>().ok()
                };
                (old, new) = (start('-').unwrap_or(1), start('+').unwrap_or(1));
                if old > 1 {
                    push(String::new(), "", "…");
                }
            }
            "-" => push(next(&mut old), "−", text),
            "+" => push(next(&mut new), "+", text),
            _ => {
                old += 1;
                push(next(&mut new), "", text);
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_diff_has_its_number() {
        let diff = "--- f\n+++ f\n@@ -3,3 +3,4 @@\n a\n-b\n+x\n+y\n c\n@@ -20 +21,0 @@\n-z\n";
        let shown: Vec<_> =
            lines(diff).into_iter().map(|line| format!("{}{}{}", line.number, line.sign, line.text)).collect();
        assert_eq!(shown, ["…", "3a", "4−b", "4+x", "5+y", "6c", "…", "20−z"]);
        assert!(lines("").is_empty());
    }
}
