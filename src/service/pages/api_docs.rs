//! The API for people: what its OpenAPI document says, with commands for this host.

use super::{
    super::{
        error::{ApiError, ServiceError},
        gate::Granted,
        manage::{ManageEndpoint, SystemEndpoint},
    },
    markup,
    shell::{Shell, page},
};
use crate::wire::ResponseBody;
use askama::Template;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How deep a type is followed into its parts.
const DEEPEST: usize = 4;

/// What the parts of the API are called here, in the order in which they are shown.
const TITLES: [(&str, &str); 22] = [
    ("auth", "Logging in, sessions, your password"),
    ("keys", "API keys"),
    ("repositories", "Repositories, tags and manifests"),
    ("namespaces", "Namespaces"),
    ("artifacts", "Artifacts: files with versions and properties"),
    ("search", "Search"),
    ("dashboard", "The registry at a glance"),
    ("users", "Users"),
    ("groups", "Groups"),
    ("roles", "Roles"),
    ("permissions", "The words of permissions"),
    ("rules", "Access rules"),
    ("settings", "Settings"),
    ("config", "The configuration as a whole"),
    ("audit", "The audit log"),
    ("metrics", "What was pushed and pulled"),
    ("access-log", "The latest requests"),
    ("storage", "Storage"),
    ("quotas", "Quotas"),
    ("uploads", "Uploads"),
    ("tasks", "Tasks"),
    ("system", "The registry itself"),
];

/// A field of a request or an answer, or a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
struct DocField {
    name: String,
    kind: String,
    is_required: bool,
    about: String,
}

/// A request of the API.
struct DocOperation {
    id: String,
    method: String,
    path: String,
    summary: String,
    need: String,
    parameters: Vec<DocField>,
    body: Vec<DocField>,
    answer: String,
    answer_fields: Vec<DocField>,
    command: String,
}

/// A part of the API.
struct DocNoun {
    name: String,
    title: String,
    operations: Vec<DocOperation>,
}

#[derive(Template)]
#[template(path = "api_docs.html")]
struct ApiDocsTemplate {
    shell: Shell,
    api: String,
    nouns: Vec<DocNoun>,
    /// The part that is shown; without it, all of them in short.
    noun: Option<String>,
}

impl ApiDocsTemplate {
    fn is_shown(&self, noun: &DocNoun) -> bool {
        self.noun.as_ref() == Some(&noun.name)
    }
}

pub(super) async fn show(granted: &Granted, noun: Option<String>) -> Result<Response<ResponseBody>, ServiceError> {
    let document: Value = granted.ask(ManageEndpoint::System(SystemEndpoint::OpenApi), &[]).await?;
    let shell = Shell::of(granted, "docs").await;
    let scheme = if granted.request.is_secure() { "https" } else { "http" };
    let api = format!("{scheme}://{}/api/v1", shell.host);
    let user = shell.user.clone().unwrap_or_else(|| "USER".to_owned());
    let docs = ApiDocs { document: &document, api: &api, user: &user };
    let nouns = docs.nouns();
    if noun.as_ref().is_some_and(|noun| !nouns.iter().any(|known| known.name == *noun)) {
        return Err(ApiError::NotFound.into());
    }
    page(StatusCode::OK, &ApiDocsTemplate { shell, api, nouns, noun })
}

/// Reads the document.
struct ApiDocs<'d> {
    document: &'d Value,
    api: &'d str,
    user: &'d str,
}

impl ApiDocs<'_> {
    fn nouns(&self) -> Vec<DocNoun> {
        let mut found: BTreeMap<String, Vec<DocOperation>> = BTreeMap::new();
        for (path, methods) in self.document["paths"].as_object().into_iter().flatten() {
            let noun = path.split('/').nth(1).unwrap_or_default();
            // What starts a task is shown with the tasks.
            let noun = match noun {
                "gc" | "fsck" => "tasks",
                "openapi.json" => "system",
                noun => noun,
            };
            for (method, operation) in methods.as_object().into_iter().flatten() {
                found.entry(noun.to_owned()).or_default().push(self.operation(path, method, operation));
            }
        }
        let place = |name: &str| TITLES.iter().position(|(known, _)| *known == name).unwrap_or(TITLES.len());
        let title =
            |name: &str| TITLES.get(place(name)).map_or_else(|| name.to_owned(), |(_, title)| (*title).to_owned());
        let noun = |(name, operations): (String, _)| DocNoun { title: title(&name), name, operations };
        let mut nouns: Vec<_> = found.into_iter().map(noun).collect();
        nouns.sort_by_key(|noun| place(&noun.name));
        nouns
    }

    fn operation(&self, path: &str, method: &str, operation: &Value) -> DocOperation {
        let text = |key: &str| operation[key].as_str().unwrap_or_default().to_owned();
        let parameter = |parameter: &Value| DocField {
            name: parameter["name"].as_str().unwrap_or_default().to_owned(),
            kind: self.kind(&parameter["schema"]),
            is_required: parameter["required"] == true,
            about: parameter["description"].as_str().unwrap_or("In the path.").to_owned(),
        };
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        let answers = operation["responses"].as_object();
        let done = answers.into_iter().flatten().find(|(status, _)| status.starts_with('2'));
        let (status, answer) = done.map_or(("", &Value::Null), |(status, answer)| (status.as_str(), answer));
        let answer = &answer["content"]["application/json"]["schema"];
        let answer = answer["anyOf"].get(0).unwrap_or(answer);
        DocOperation {
            id: text("operationId"),
            method: method.to_ascii_uppercase(),
            path: path.to_owned(),
            summary: text("summary"),
            need: text("x-need"),
            parameters: operation["parameters"].as_array().into_iter().flatten().map(parameter).collect(),
            body: self.fields(body),
            answer: match answer {
                Value::Null => status.to_owned(),
                answer => format!("{status}, {}", self.kind(answer)),
            },
            answer_fields: self.fields(self.item(answer)),
            command: self.command(path, method, body),
        }
    }

    /// The items of a page of a list; anything else as it is.
    fn item<'v>(&self, schema: &'v Value) -> &'v Value {
        match &schema["properties"]["items"]["items"] {
            Value::Null => schema,
            item => item,
        }
    }

    /// What a reference leads to.
    fn resolved<'v>(&'v self, schema: &'v Value) -> &'v Value {
        let name = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
        name.map_or(schema, |name| &self.document["components"]["schemas"][name])
    }

    /// The fields of an object, those that it takes over from others too.
    fn fields(&self, schema: &Value) -> Vec<DocField> {
        let mut fields = Vec::new();
        let parts = std::iter::once(self.resolved(schema));
        let parts = parts.flat_map(|schema| match schema["allOf"].as_array() {
            Some(parts) => parts.iter().map(|part| self.resolved(part)).collect(),
            None => vec![schema],
        });
        for part in parts {
            let required = part["required"].as_array().into_iter().flatten();
            let required: Vec<_> = required.filter_map(Value::as_str).collect();
            for (name, field) in part["properties"].as_object().into_iter().flatten() {
                let about = field["description"].as_str().or_else(|| self.resolved(field)["description"].as_str());
                fields.push(DocField {
                    kind: self.kind(field),
                    is_required: required.contains(&name.as_str()),
                    about: about.unwrap_or_default().to_owned(),
                    name: name.clone(),
                });
            }
        }
        fields
    }

    /// The type of a value, in words.
    fn kind(&self, schema: &Value) -> String {
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            let words = self.resolved(schema)["enum"].as_array().map(|words| listed(words));
            return words.unwrap_or_else(|| name.to_owned());
        }
        for key in ["oneOf", "anyOf"] {
            if let Some(choices) = schema[key].as_array() {
                let kinds: Vec<_> = choices.iter().map(|choice| self.kind(choice)).collect();
                return kinds.join(" or ");
            }
        }
        if let Some(words) = schema["enum"].as_array() {
            return listed(words);
        }
        let one = |kind: &Value| match kind.as_str() {
            Some("array") if !schema["items"].is_null() => format!("list of {}", self.kind(&schema["items"])),
            Some("object") if !schema["properties"]["items"].is_null() => {
                format!("page of {}", self.kind(self.item(schema)))
            }
            Some(kind) => kind.to_owned(),
            None => "any value".to_owned(),
        };
        match &schema["type"] {
            Value::Array(kinds) => kinds.iter().map(one).collect::<Vec<_>>().join(" or "),
            kind => one(kind),
        }
    }

    /// The request as a command.
    fn command(&self, path: &str, method: &str, body: &Value) -> String {
        let path: String = path
            .split(['{', '}'])
            .enumerate()
            .map(|(i, part)| if i % 2 == 0 { part.to_owned() } else { part.to_ascii_uppercase() })
            .collect();
        let login = format!("curl -fsS -u '{}'", self.user);
        let (verb, json) = (method.to_ascii_uppercase(), self.sample(body, DEEPEST));
        let verb = match (method, body) {
            ("get", _) => String::new(),
            ("post", body) if !body.is_null() => String::new(),
            _ => format!(" -X {verb}"),
        };
        let json = if body.is_null() { String::new() } else { format!(" --json '{json}'") };
        format!("{login}{verb}{json} '{}{path}'", self.api)
    }

    /// An example of a value: what must be given, or the first field if nothing must.
    fn sample(&self, schema: &Value, depth: usize) -> Value {
        let schema = self.resolved(schema);
        if depth == 0 {
            return Value::Null;
        }
        for key in ["oneOf", "anyOf"] {
            if let Some(choice) =
                schema[key].as_array().and_then(|choices| choices.iter().find(|one| one["type"] != "null"))
            {
                return self.sample(choice, depth);
            }
        }
        if let Some(word) = schema["enum"].get(0) {
            return word.clone();
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds.first().and_then(Value::as_str),
            kind => kind.as_str(),
        };
        match kind {
            Some("object") => {
                let required = schema["required"].as_array();
                let is_given = |name: &String| required.is_some_and(|names| names.iter().any(|one| one == name));
                let all = schema["properties"].as_object().into_iter().flatten();
                let mut given: Map<_, _> = all
                    .clone()
                    .filter(|(name, _)| is_given(name))
                    .map(|(name, field)| (name.clone(), self.named_sample(name, field, depth - 1)))
                    .collect();
                if given.is_empty() {
                    let first = all.take(1);
                    given.extend(first.map(|(name, field)| (name.clone(), self.named_sample(name, field, depth - 1))));
                }
                Value::Object(given)
            }
            Some("array") => json!([self.named_sample("value", &schema["items"], depth - 1)]),
            Some("boolean") => json!(true),
            Some("integer" | "number") => json!(1),
            _ => json!("VALUE"),
        }
    }

    fn named_sample(&self, name: &str, schema: &Value, depth: usize) -> Value {
        match self.sample(schema, depth) {
            Value::String(text) if text == "VALUE" => json!(name.to_ascii_uppercase()),
            sample => sample,
        }
    }
}

fn listed(words: &[Value]) -> String {
    words
        .iter()
        .map(|word| word.as_str().map_or_else(|| word.to_string(), str::to_owned))
        .collect::<Vec<_>>()
        .join(" | ")
}
