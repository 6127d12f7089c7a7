//! The rules of retention of a repository, and what they would do. Rules can be tried before they are saved.

use super::{
    super::{
        super::{
            error::{ApiError, ServiceError},
            gate::Granted,
            manage::{ArtifactEndpoint, ArtifactSearchEndpoint, ManageEndpoint},
        },
        form::PageForm,
        form_state::FormState,
        markup,
        shell::{Shell, go_to, page},
    },
    head::ArtifactHead,
};
use crate::{artifacts::ArtifactRepositoryName, config, wire::ResponseBody};
use api::{
    FieldProblem, Page,
    artifact_search::{ArtifactPlanItem, ArtifactRetentionRules},
    artifacts::ArtifactRepositoryChange,
};
use askama::Template;
use http::{Method, Response};
use serde_json::{Map, Value};

/// Rows on a page.
const ON_A_PAGE: &str = "100";

/// The fields of the form, as the API calls them.
const FIELDS: [&str; 8] =
    ["enabled", "max_versions", "max_age_days", "max_total_size", "exclude_latest", "group_by", "ignore", "keep"];

#[derive(Template)]
#[template(path = "artifact_retention.html")]
struct ArtifactRetentionTemplate {
    shell: Shell,
    head: ArtifactHead,
    rules: ArtifactRetentionRules,
    form: FormState,
    is_preview: bool,
    items: Vec<ArtifactPlanItem>,
    leaving: u64,
    next: Option<String>,
}

impl ArtifactRetentionTemplate {
    /// A rule of the repository itself, as the form has it; empty where the settings decide.
    fn own(&self, key: &str) -> String {
        self.rules.own.as_ref().and_then(|own| own.get(key)).map(|value| written(key, value)).unwrap_or_default()
    }

    /// A rule that applies.
    fn in_force(&self, key: &str) -> String {
        let value = self.rules.in_force.get(key).unwrap_or(&Value::Null);
        match (key, value) {
            (_, Value::Array(list)) if list.is_empty() => "none".to_owned(),
            ("max_total_size", Value::Number(bytes)) if bytes.as_u64() != Some(0) => {
                markup::size_text(bytes.as_u64().unwrap_or_default())
            }
            (_, Value::Number(number)) if number.as_u64() == Some(0) => "no limit".to_owned(),
            (_, value) => written(key, value).trim_end().replace('\n', ", "),
        }
    }

    fn is_enabled(&self) -> bool {
        self.rules.in_force.get("enabled") == Some(&Value::Bool(true))
    }

    /// Whether an option of a field is the one that is chosen.
    fn is(&self, key: &str, option: &str) -> bool {
        self.form.text(key, self.own(key)) == option
    }
}

/// A value as the form has it.
fn written(key: &str, value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(list) => {
            let texts: Vec<_> = list.iter().filter_map(Value::as_str).collect();
            texts.join(if key == "keep" { "\n" } else { ", " })
        }
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The rules that the form has; none if all of it is empty.
///
/// # Errors
/// [`ApiError::InvalidRequest`], with the field.
fn own_rules(fields: &PageForm) -> Result<Option<Map<String, Value>>, ServiceError> {
    let wrong = |key: &str, problem: String| ServiceError::from(ApiError::invalid(FieldProblem::new(key, problem)));
    let mut own = Map::new();
    for key in FIELDS {
        let Some(text) = fields.given(key) else { continue };
        let value = match key {
            "enabled" | "exclude_latest" => Value::Bool(text == "yes"),
            "max_total_size" => config::size(text).map(Value::from).map_err(|problem| wrong(key, problem))?,
            "max_versions" | "max_age_days" => match text.parse::<u32>() {
                Ok(number) => number.into(),
                Err(_) => return Err(wrong(key, format!("{:?} is not a number", oci::excerpt(text)))),
            },
            "keep" => text.lines().map(str::trim).filter(|line| !line.is_empty()).collect(),
            _ => fields.words(key).into(),
        };
        own.insert(key.to_owned(), value);
    }
    Ok(Some(own).filter(|own| !own.is_empty()))
}

/// The plan with rules that are not saved yet, or the one with those in force.
async fn plan(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    tried: Option<&PageForm>,
) -> Result<Page<ArtifactPlanItem>, ServiceError> {
    let last = granted.parameters().first("last").unwrap_or_default().to_owned();
    let rules = tried.map(own_rules).transpose()?.map(|own| Value::Object(own.unwrap_or_default()).to_string());
    let mut query = vec![("n", ON_A_PAGE), ("last", last.as_str())];
    query.extend(rules.as_deref().map(|rules| ("rules", rules)));
    let plan = ManageEndpoint::ArtifactSearch(ArtifactSearchEndpoint::Plan(name.clone()));
    granted.ask(plan, &query).await
}

/// Shows the plan; after a refusal, with what was typed.
pub(super) async fn show(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    refused: Option<FormState>,
) -> Result<Response<ResponseBody>, ServiceError> {
    let head = ArtifactHead::of(granted, name, "retention").await?;
    let parameters = granted.parameters();
    let tried = PageForm::of_query(&parameters);
    let is_preview = refused.is_none() && parameters.names("preview");
    let rules = ManageEndpoint::ArtifactSearch(ArtifactSearchEndpoint::Retention(name.clone()));
    let rules = granted.ask(rules, &[]).await?;
    let (found, form) = match (refused, is_preview) {
        (Some(form), _) => (plan(granted, name, None).await?, form),
        (None, false) => (plan(granted, name, None).await?, FormState::default()),
        (None, true) => match plan(granted, name, Some(&tried)).await {
            Ok(found) => (found, FormState::kept(&tried)),
            Err(error) => {
                let form = FormState::refused(&tried, error, &FIELDS)?;
                (plan(granted, name, None).await?, form)
            }
        },
    };
    let is_preview = is_preview && form.status().is_success();
    let next = |next: String| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(tried.pairs().filter(|(key, _)| is_preview && *key != "last"));
        query.append_pair("last", &next);
        format!("{}?{}", head.path("retention"), query.finish())
    };
    let next = found.next.map(next);
    let shell = Shell::of(granted, "artifacts").await;
    let leaving = found.items.iter().filter(|item| !item.keep).count() as u64;
    let template =
        ArtifactRetentionTemplate { shell, head, rules, form, is_preview, items: found.items, leaving, next };
    page(template.form.status(), &template)
}

pub(super) async fn save(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    match try_save(granted, name, fields).await {
        Ok(()) => Ok(go_to(&format!("/artifacts/{name}/-/retention?done=saved"))),
        Err(error) => show(granted, name, Some(FormState::refused(fields, error, &FIELDS)?)).await,
    }
}

async fn try_save(granted: &Granted, name: &ArtifactRepositoryName, fields: &PageForm) -> Result<(), ServiceError> {
    let asked = ArtifactRepositoryChange { retention: Some(own_rules(fields)?), ..ArtifactRepositoryChange::default() };
    let change = ManageEndpoint::Artifact(ArtifactEndpoint::ChangeRepository(name.clone()));
    granted.act(change, Method::PATCH, &[], Some(fields.text("etag")), Some(&asked)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_form_is_rules_and_rules_are_a_form() {
        let form = PageForm::of(&[
            ("enabled", "yes"),
            ("max_versions", "3"),
            ("max_total_size", "2 GiB"),
            ("exclude_latest", ""),
            ("group_by", "path, properties"),
            ("keep", "branch=main\r\n\r\nversion=latest"),
        ]);
        let own = own_rules(&form).unwrap().unwrap();
        let expected = json!({
            "enabled": true, "max_versions": 3, "max_total_size": 2_u64 << 30, "group_by": ["path", "properties"],
            "keep": ["branch=main", "version=latest"],
        });
        assert_eq!(Value::Object(own.clone()), expected);
        assert_eq!(written("keep", &own["keep"]), "branch=main\nversion=latest");
        assert_eq!(
            (written("group_by", &own["group_by"]), written("enabled", &own["enabled"])),
            ("path, properties".into(), "yes".into())
        );
        assert_eq!(own_rules(&PageForm::of(&[("enabled", ""), ("keep", " \n")])).unwrap(), None);
        for (key, value) in [("max_versions", "many"), ("max_age_days", "-1"), ("max_total_size", "2 GB")] {
            assert!(own_rules(&PageForm::of(&[(key, value)])).is_err(), "{key}={value}");
        }
    }
}
