//! Changes of one artifact by the forms of its page.

use super::{
    super::{
        super::{
            error::{ApiError, ServiceError},
            gate::Granted,
            manage::{ArtifactEndpoint, ManageEndpoint},
        },
        acts::NO_BODY,
        ask::content,
        form::PageForm,
        form_state::FormState,
        shell::go_to,
    },
    ArtifactEditForm, ArtifactPlace,
    file::{self, FileForms},
};
use crate::{artifacts::ArtifactId, wire::ResponseBody};
use api::{
    FieldProblem,
    artifacts::{ArtifactInfo, ArtifactMetadataObject, ArtifactPropertyValues, RenameArtifactRequest},
};
use http::{Method, Response};
use std::collections::BTreeMap;

pub(super) async fn perform(
    granted: &Granted,
    edit: ArtifactEditForm,
    place: &ArtifactPlace,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let error = match try_perform(granted, edit, place, fields).await {
        Ok(answer) => return Ok(answer),
        Err(error) => error,
    };
    let mut forms = FileForms::default();
    let (form, known): (_, &[&str]) = match edit {
        ArtifactEditForm::Properties => (&mut forms.properties, &["properties"]),
        ArtifactEditForm::Metadata => (&mut forms.metadata, &["metadata"]),
        ArtifactEditForm::Rename => (&mut forms.rename, &["version", "path", "name"]),
        ArtifactEditForm::Delete => (&mut forms.deletion, &[]),
    };
    *form = FormState::refused(fields, error, known)?;
    file::show(granted, place, forms).await
}

async fn try_perform(
    granted: &Granted,
    edit: ArtifactEditForm,
    place: &ArtifactPlace,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let (repository, id) = (place.repository.clone(), super::parsed::<ArtifactId>(fields.text("id"))?);
    let etag = Some(fields.text("etag"));
    let answer = match edit {
        ArtifactEditForm::Properties => {
            let asked = ArtifactPropertyValues(properties(fields.text("properties"))?);
            let set = ManageEndpoint::Artifact(ArtifactEndpoint::SetProperties(repository, id));
            granted.act(set, Method::PUT, &[], etag, Some(&asked)).await?
        }
        ArtifactEditForm::Metadata => {
            let asked = ArtifactMetadataObject(metadata(fields.text("metadata"))?);
            let set = ManageEndpoint::Artifact(ArtifactEndpoint::SetMetadata(repository, id));
            granted.act(set, Method::PUT, &[], etag, Some(&asked)).await?
        }
        ArtifactEditForm::Rename => {
            let asked = RenameArtifactRequest {
                name: fields.owned("name"),
                path: fields.owned("path"),
                version: fields.text("version").trim().to_owned(),
            };
            let rename = ManageEndpoint::Artifact(ArtifactEndpoint::Rename(repository, id));
            granted.act(rename, Method::PUT, &[], etag, Some(&asked)).await?
        }
        ArtifactEditForm::Delete => {
            let delete = ManageEndpoint::Artifact(ArtifactEndpoint::DeleteOne(repository, id));
            granted.act(delete, Method::DELETE, &[], etag, NO_BODY).await?;
            return Ok(go_to(&format!("/artifacts/{}?done=artifact-deleted", place.repository)));
        }
    };
    let edited: ArtifactInfo = content(answer).await?;
    Ok(go_to(&format!("{}&done=saved", super::page_of(&edited))))
}

/// Properties that are written one on a line.
///
/// # Errors
/// [`ApiError::InvalidRequest`], with the line.
pub(super) fn properties(text: &str) -> Result<BTreeMap<String, String>, ServiceError> {
    let wrong = |problem: String| ServiceError::from(ApiError::invalid(FieldProblem::new("properties", problem)));
    let mut properties = BTreeMap::new();
    for (at, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let (key, value) =
            line.split_once('=').ok_or_else(|| wrong(format!("line {at} is not written as key=value")))?;
        if properties.insert(key.trim().to_owned(), value.trim().to_owned()).is_some() {
            return Err(wrong(format!("line {at} gives {:?} a second value", oci::excerpt(key.trim()))));
        }
    }
    Ok(properties)
}

/// Metadata that is written as JSON; nothing is an empty object.
fn metadata(text: &str) -> Result<serde_json::Map<String, serde_json::Value>, ServiceError> {
    if text.trim().is_empty() {
        return Ok(serde_json::Map::new());
    }
    oci::json::from_slice(text.as_bytes()).map_err(|why| {
        let problem = format!("is not a JSON object: {why}");
        ApiError::invalid(FieldProblem::new("metadata", problem)).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_one_on_a_line() {
        let read = |text: &str| properties(text).map_err(|error| error.message());
        let expected = [("a", "1"), ("b", "x=y"), ("c", "")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(read("a=1\r\n\r\n b = x=y \nc=\n"), Ok(BTreeMap::from(expected)));
        assert!(read("").unwrap().is_empty());
        assert!(read("a=1\nnonsense").unwrap_err().contains("line 2 is not written as key=value"));
        assert!(read("a=1\na=2").unwrap_err().contains("line 2 gives \"a\" a second value"));
    }

    #[test]
    fn metadata_is_an_object_of_json() {
        assert!(metadata(" \n").unwrap().is_empty());
        assert_eq!(metadata("{\"a\": [1]}").unwrap().len(), 1);
        for wrong in ["[1]", "{", "x"] {
            assert!(metadata(wrong).is_err(), "{wrong}");
        }
    }
}
