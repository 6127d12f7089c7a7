//! The settings, section by section.

use super::{
    super::{
        error::{ApiError, ServiceError},
        gate::Granted,
        manage::{ConfigEndpoint, ManageEndpoint, SettingsEndpoint},
    },
    acts::NO_BODY,
    ask::Answered,
    form::PageForm,
    markup,
    shell::{Shell, go_to, page, segment},
};
use crate::wire::ResponseBody;
use api::{
    config::{BootSettings, ConfigStatus},
    settings::{SettingValues, SettingsList, SettingsSection},
};
use askama::Template;
use http::{Method, Response, StatusCode};
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
    /// Neither text nor a number: it is edited in the file.
    is_list: bool,
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
}

pub(super) async fn show(granted: &Granted, name: Option<String>) -> Result<Response<ResponseBody>, ServiceError> {
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
        (fields(content), etag, BootSettings::default())
    } else {
        return Err(ApiError::NotFound.into());
    };
    let (shell, file) = (Shell::of(granted, "settings"), file.unwrap_or_default());
    page(StatusCode::OK, &SettingsPage { shell, sections, section, is_startup, fields, boot, etag, file })
}

fn fields(section: SettingsSection) -> Vec<SettingField> {
    let SettingsSection { values, defaults, locked, help, .. } = section;
    let field = |(key, value): (String, Value)| {
        let default = defaults.get(&key).unwrap_or(&Value::Null);
        let about = help.get(&key);
        let range = about.map(|help| help.range.clone()).unwrap_or_default();
        SettingField {
            words: if value.is_boolean() { vec!["true".to_owned(), "false".to_owned()] } else { words(&range) },
            is_list: value.is_array() || value.is_object(),
            value: written(&value),
            default: written(default),
            help: about.map(|help| help.text.clone()).unwrap_or_default(),
            applies_at_once: about.is_none_or(|help| help.applies == "reload"),
            locked_by: locked.get(&key).cloned(),
            range,
            key,
        }
    };
    values.into_iter().map(field).collect()
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
        other => other.to_string(),
    }
}

/// Saves the settings that the form has changed.
pub(super) async fn save(
    granted: &Granted,
    name: &str,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let changed = fields.beginning("set.").filter(|(key, value)| fields.text(&format!("was.{key}")) != *value);
    let values = changed.map(|(key, value)| (key.to_owned(), Value::String(value.trim().to_owned()))).collect();
    let update = ManageEndpoint::Settings(SettingsEndpoint::Update(name.to_owned()));
    let etag = Some(fields.text("etag"));
    granted.act(update, Method::PATCH, &[], etag, Some(&SettingValues(values))).await?;
    Ok(go_to(&format!("/settings/{}?done=saved", segment(name))))
}

/// Gives a section its defaults.
pub(super) async fn reset(
    granted: &Granted,
    name: &str,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let reset = ManageEndpoint::Settings(SettingsEndpoint::Reset(name.to_owned()));
    granted.act(reset, Method::POST, &[], Some(fields.text("etag")), NO_BODY).await?;
    Ok(go_to(&format!("/settings/{}?done=saved", segment(name))))
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
