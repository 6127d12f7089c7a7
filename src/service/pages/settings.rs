//! The settings, section by section.

use super::{
    super::{
        error::{ApiError, FieldProblem, ServiceError},
        gate::Granted,
        manage::{ConfigEndpoint, ManageEndpoint, SettingsEndpoint},
    },
    ask::Answered,
    form::PageForm,
    form_state::FormState,
    markup::{self, Markup},
    review::{self, FileSave},
    shell::{Shell, page, segment},
};
use crate::wire::ResponseBody;
use api::{
    config::{BootSettings, ConfigStatus},
    settings::{SettingHelp, SettingValues, SettingsList, SettingsSection},
};
use askama::Template;
use http::{Method, Response};
use serde_json::Value;

/// The section with the settings that are read at startup, which only the environment changes.
const STARTUP: &str = "startup";

/// A setting in its form.
struct SettingField {
    key: String,
    value: String,
    default: String,
    help: String,
    range: String,
    applies_at_once: bool,
    /// The variable that overrides it.
    locked_by: Option<String>,
    /// The words it accepts, if it accepts only some.
    words: Vec<String>,
    /// Neither text nor a number: it is edited as JSON.
    is_list: bool,
    /// What each key of a repeatable table does.
    columns: Vec<(String, String)>,
    /// What is in the form: what was typed, or the value.
    typed: String,
    /// What is wrong with it.
    problem: Markup,
}

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    shell: Shell,
    sections: Vec<String>,
    section: String,
    is_startup: bool,
    fields: Vec<SettingField>,
    boot: BootSettings,
    etag: String,
    file: String,
    form: FormState,
}

pub(super) async fn show(
    granted: &Granted,
    name: Option<String>,
    form: FormState,
) -> Result<Response<ResponseBody>, ServiceError> {
    let all: SettingsList = granted.ask(ManageEndpoint::Settings(SettingsEndpoint::List), &[]).await?;
    let sections: Vec<_> = all.items.into_iter().map(|section| section.section).collect();
    let config: Option<ConfigStatus> =
        granted.ask_if_allowed(ManageEndpoint::Config(ConfigEndpoint::Show), &[]).await?;
    let file = config.and_then(|config| config.files.into_iter().find(|file| file.name == "settings")?.path);
    let section = name.or_else(|| sections.first().cloned()).unwrap_or_default();
    let is_startup = section == STARTUP;
    let (fields, etag, boot) = if is_startup {
        (Vec::new(), String::new(), granted.ask(ManageEndpoint::Settings(SettingsEndpoint::Boot), &[]).await?)
    } else if sections.contains(&section) {
        let show = ManageEndpoint::Settings(SettingsEndpoint::Show(section.clone()));
        let Answered { content, etag } = granted.ask_tagged(show, &[]).await?;
        (fields(content, &form), etag, BootSettings::default())
    } else {
        return Err(ApiError::NotFound.into());
    };
    let (shell, file) = (Shell::of(granted, "settings").await, file.unwrap_or_default());
    page(form.status(), &SettingsPage { shell, sections, section, is_startup, fields, boot, etag, file, form })
}

fn fields(section: SettingsSection, form: &FormState) -> Vec<SettingField> {
    let SettingsSection { values, defaults, locked, help, .. } = section;
    let column =
        |(key, about): (&String, &SettingHelp)| (key.clone(), format!("{} Accepts {}.", about.text, about.range));
    let columns: Vec<_> = help.iter().map(column).collect();
    let field = |(number, (key, value)): (usize, (String, Value))| {
        let default = defaults.get(&key).unwrap_or(&Value::Null);
        let about = help.get(&key);
        let range = about.map(|help| help.range.clone()).unwrap_or_default();
        SettingField {
            words: if value.is_boolean() { vec!["true".to_owned(), "false".to_owned()] } else { words(&range) },
            is_list: value.is_array() || value.is_object(),
            columns: if about.is_none() { columns.clone() } else { Vec::new() },
            typed: form.text(&form_name(&key, &value), written(&value)),
            problem: form.why(&key, format!("f{}", number + 1)),
            value: written(&value),
            default: written(default),
            help: about.map(|help| help.text.clone()).unwrap_or_default(),
            applies_at_once: about.is_none_or(|help| help.applies == "reload"),
            locked_by: locked.get(&key).cloned(),
            range,
            key,
        }
    };
    values.into_iter().enumerate().map(field).collect()
}

/// The name of the field of a setting.
fn form_name(key: &str, value: &Value) -> String {
    let is_list = value.is_array() || value.is_object();
    format!("{}.{key}", if is_list { "list" } else { "set" })
}

/// The words of a range such as `"a", "b" or "c"`.
fn words(range: &str) -> Vec<String> {
    let parts: Vec<_> = range.split('"').collect();
    let is_between = |text: &str| matches!(text.trim(), "" | "," | "or" | ", or");
    let only_words = parts.len() > 3 && parts.iter().step_by(2).all(|between| is_between(between));
    if only_words { parts.iter().skip(1).step_by(2).map(|word| (*word).to_owned()).collect() } else { Vec::new() }
}

fn written(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "[]".to_owned(),
        Value::Array(_) | Value::Object(_) => serde_json::to_string_pretty(value).unwrap_or_default(),
        other => other.to_string(),
    }
}

/// Lists that the form has changed, which are written as JSON.
fn changed_lists(fields: &PageForm) -> Result<Vec<(String, Value)>, ServiceError> {
    let parse = |key: &str, text: &str| {
        let wrong =
            |error: serde_json::Error| ApiError::invalid(FieldProblem::new(key, format!("is not JSON: {error}")));
        oci::json::from_slice::<Value>(text.as_bytes()).map_err(wrong)
    };
    let mut changed = Vec::new();
    for (key, text) in fields.beginning("list.") {
        let value = parse(key, text)?;
        if value != parse(key, fields.text(&format!("was.{key}")))? {
            changed.push((key.to_owned(), value));
        }
    }
    Ok(changed)
}

/// A change of a section.
fn change(name: &str, title: String, endpoint: SettingsEndpoint, method: Method, body: Option<Value>) -> FileSave {
    let back = format!("/settings/{}", segment(name));
    FileSave {
        endpoint: ManageEndpoint::Settings(endpoint),
        method,
        query: Vec::new(),
        body,
        section: "settings",
        title,
        done: format!("{back}?done=saved"),
        back,
    }
}

/// Saves the settings that the form has changed.
pub(super) async fn save(
    granted: &Granted,
    name: &str,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    match try_save(granted, name, fields).await {
        Err(error) => {
            let keys: Vec<_> = fields.beginning("was.").map(|(key, _)| key).collect();
            show(granted, Some(name.to_owned()), FormState::refused(fields, error, &keys)?).await
        }
        answered => answered,
    }
}

async fn try_save(granted: &Granted, name: &str, fields: &PageForm) -> Result<Response<ResponseBody>, ServiceError> {
    let changed = fields.beginning("set.").filter(|(key, value)| fields.text(&format!("was.{key}")) != *value);
    let values = changed.map(|(key, value)| (key.to_owned(), Value::String(value.trim().to_owned())));
    let values = values.chain(changed_lists(fields)?).collect();
    let update = SettingsEndpoint::Update(name.to_owned());
    let body = FileSave::json(&SettingValues(values))?;
    review::save(granted, fields, change(name, format!("Change [{name}]"), update, Method::PATCH, body)).await
}

/// Gives a section its defaults.
pub(super) async fn reset(
    granted: &Granted,
    name: &str,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let reset = SettingsEndpoint::Reset(name.to_owned());
    review::save(granted, fields, change(name, format!("Reset [{name}]"), reset, Method::POST, None)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_of_words_is_told_from_other_ranges() {
        assert_eq!(words("\"strict\", \"relaxed\" or \"none\""), ["strict", "relaxed", "none"]);
        for other in ["60 to 3600", "true or false", "at most 100 origins such as \"https://a\", or only \"*\"", ""] {
            assert!(words(other).is_empty(), "{other}");
        }
    }
}
