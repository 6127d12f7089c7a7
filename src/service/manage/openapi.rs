//! The API's description in OpenAPI 3.1, at `/api/v1/openapi.json`.

use super::super::{
    endpoint::{Endpoint, Need},
    error::ServiceError,
};
use super::{
    aliases::{ALIASES, AliasRow},
    endpoint::OPERATIONS,
    operation::{AnswerShape, Operation, Shape},
};
use api::{ErrorBody, config::ChangePreview};
use http::Method;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// The whole description; made once.
pub(super) static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// Statuses that every operation may answer.
const USUAL_REFUSALS: [u16; 5] = [400, 401, 403, 404, 429];

/// Statuses that every operation with a body may answer besides.
const BODY_REFUSALS: [u16; 2] = [413, 415];

fn document() -> Value {
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    add_schema(&mut schemas, Shape::of::<ErrorBody>());
    for operation in OPERATIONS.iter().copied().flatten() {
        let described = described(operation, &mut schemas);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.to_ascii_lowercase()] = described;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Wharfinger management API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Users, access rules, settings, repositories and the registry itself. Errors have the \
                            format of the OCI distribution specification and the request's ID.",
        },
        "servers": [{ "url": "/api/v1" }],
        "paths": paths,
        "x-aliases": ALIASES.iter().map(described_alias).collect::<Value>(),
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "password": { "type": "http", "scheme": "basic" },
                "token": { "type": "http", "scheme": "bearer" },
                "session": { "type": "apiKey", "in": "cookie", "name": "__Host-wharf" },
            },
        },
        "security": [{ "password": [] }, { "token": [] }, { "session": [] }],
    })
}

/// Another path of an operation. Aliases are no `paths`: some of them are not below the API's URL.
fn described_alias(alias: &AliasRow) -> Value {
    json!({ "method": alias.method, "path": alias.path, "operationId": alias.operation, "deprecated": true })
}

fn described(operation: &Operation, schemas: &mut Map<String, Value>) -> Value {
    let in_path = operation
        .path
        .split(['{', '}'])
        .skip(1)
        .step_by(2)
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let in_query = operation.query.iter().map(|(name, about)| {
        let kind = if *name == "n" { "integer" } else { "string" };
        json!({ "name": name, "in": "query", "description": about, "schema": { "type": kind } })
    });
    let dry_run = json!({
        "name": "dry_run", "in": "query", "schema": { "type": "boolean" },
        "description": "Change nothing, and answer with what would change in the configuration files.",
    });
    let dry_run = operation.has_preview.then_some(dry_run);
    let error = json!({ "$ref": format!("#/components/schemas/{}", (Shape::of::<ErrorBody>().name)()) });
    let mut responses = Map::new();
    responses.insert(operation.status.to_string(), answered(operation.answer, schemas));
    if operation.has_preview {
        let preview = add_schema(schemas, Shape::of::<ChangePreview>());
        let content = &mut responses.entry("200").or_insert_with(|| json!({ "description": "Previewed." }))["content"];
        let schema = &mut content["application/json"]["schema"];
        *schema = match schema.take() {
            Value::Null => preview,
            done => json!({ "anyOf": [done, preview] }),
        };
    }
    let of_body: &[u16] = if operation.body.is_some() { &BODY_REFUSALS } else { &[] };
    for status in USUAL_REFUSALS.iter().chain(of_body).chain(operation.refusals) {
        let refusal = json!({ "description": "Refused.", "content": { "application/json": { "schema": error } } });
        responses.entry(status.to_string()).or_insert(refusal);
    }
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "x-need": need(operation).unwrap_or_default(),
        "parameters": in_path.chain(in_query).chain(dry_run).collect::<Vec<_>>(),
        "responses": responses,
    });
    if let Some(shape) = operation.body {
        described["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": add_schema(schemas, shape) } },
        });
    }
    if described["x-need"] == "nothing" {
        described["security"] = json!([]);
    }
    described
}

fn answered(answer: AnswerShape, schemas: &mut Map<String, Value>) -> Value {
    let json_of =
        |schema: Value| json!({ "description": "Done.", "content": { "application/json": { "schema": schema } } });
    match answer {
        AnswerShape::Nothing => json!({ "description": "Done." }),
        AnswerShape::One(shape) => json_of(add_schema(schemas, shape)),
        AnswerShape::List(shape) => json_of(json!({
            "type": "object",
            "required": ["items", "next", "total"],
            "properties": {
                "items": { "type": "array", "items": add_schema(schemas, shape) },
                "next": { "type": ["string", "null"], "description": "`last` of the next page." },
                "total": { "type": ["integer", "null"], "description": "Items on all pages, if known." },
                "incomplete": { "type": "boolean", "description": "Items may be missing: the registry is still looking at what it holds. Absent if not." },
            },
        })),
        AnswerShape::Free => json_of(json!({})),
        AnswerShape::Other(media_type) => json!({ "description": "Done.", "content": { media_type: {} } }),
    }
}

/// Adds a type and those it refers to; returns a reference to it.
fn add_schema(schemas: &mut Map<String, Value>, shape: Shape) -> Value {
    let name = (shape.name)().into_owned();
    if !schemas.contains_key(&name) {
        schemas.insert(name.clone(), json!((shape.schema)()));
        let mut referenced = Vec::new();
        (shape.referenced)(&mut referenced);
        for (name, schema) in referenced {
            schemas.entry(name).or_insert_with(|| json!(schema));
        }
    }
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// What the endpoint of an operation needs, in words; the endpoint itself says so.
fn need(operation: &Operation) -> Result<String, ServiceError> {
    let endpoint = sample(operation)?;
    Ok(match endpoint.needs() {
        Need::Nothing => "nothing".to_owned(),
        Need::Sight => "nothing; the caller's rights decide how much they see".to_owned(),
        Need::Entry => "access to the registry".to_owned(),
        Need::List => "to list repositories".to_owned(),
        Need::Repository(_, action) => action.to_string(),
        Need::RepositoryOr(_, action, permission) => format!("{action}, or {permission}"),
        Need::Operate => "VIEW:SYSTEM, or a request from this machine".to_owned(),
        Need::LoggedIn => "a login".to_owned(),
        Need::May(permission) => permission.to_string(),
        Need::MayOrRegister(permission) => format!("{permission}, or open registration"),
        Need::Tasks => "VIEW:TASK or MIGRATE:TASK, or no access control".to_owned(),
        Need::MayUnlessOpen(permission) => format!("{permission}, or no access control"),
        Need::ActionOfOwner(_, action, permission) => {
            format!("{action}, as the repository's owner or with {permission}")
        }
        Need::Artifacts(_, permission) => format!("{permission} in the artifact repository"),
        Need::Owner(_, permission) => format!("the repository's owner, or {permission}"),
    })
}

/// The endpoint of an operation, with example values in its path.
fn sample(operation: &Operation) -> Result<Endpoint, ServiceError> {
    let value = |name: &str| match name {
        "id" => "01J0000000000000000000000A",
        "artifact" => "art-aaaaaaaaaaaaaaaaaaaaaaaaaa",
        "upload" | "uuid" => "3fa85f64-5717-4562-b3fc-2c963f66afa6",
        "sid" => "00112233445566778899aabbccddeeff",
        "key" => "0011223344556677",
        "index" => "0",
        "file" => "settings",
        "digest" => "sha256:0000000000000000000000000000000000000000000000000000000000000000",
        _ => "x",
    };
    let parts = operation.path.split(['{', '}']).enumerate();
    let path: String = parts.map(|(i, part)| if i % 2 == 0 { part } else { value(part) }).collect();
    let method = Method::from_bytes(operation.method.as_bytes()).unwrap_or_default();
    Endpoint::parse(&method, &format!("/api/v1{path}"), "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, path::Path};

    #[test]
    fn every_operation_is_an_endpoint() {
        for operation in OPERATIONS.iter().copied().flatten() {
            let endpoint = sample(operation).unwrap_or_else(|error| panic!("{}: {error}", operation.id));
            assert_eq!(endpoint.name(), operation.id, "{} {}", operation.method, operation.path);
            assert!(operation.summary.ends_with('.'), "{}", operation.id);
        }
    }

    /// The strings in the bodies of `fn name` of this family.
    fn names_in_the_source() -> BTreeSet<String> {
        let mut dirs = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/service/manage")];
        let mut names = BTreeSet::new();
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    dirs.push(path);
                    continue;
                }
                if path.ends_with("openapi.rs") {
                    continue;
                }
                let text = std::fs::read_to_string(path).unwrap();
                for body in text.split("fn name(&self) -> &'static str {").skip(1) {
                    let body = body.split("\n    }\n").next().unwrap();
                    names.extend(body.split('"').skip(1).step_by(2).map(str::to_owned));
                }
            }
        }
        names
    }

    #[test]
    fn every_endpoint_has_its_operation() {
        let described: Vec<_> = OPERATIONS.iter().copied().flatten().map(|operation| operation.id.to_owned()).collect();
        let unique: BTreeSet<_> = described.iter().cloned().collect();
        assert_eq!(unique.len(), described.len(), "an operation is described twice");
        assert_eq!(unique, names_in_the_source());
    }

    #[test]
    fn nothing_is_added_to_an_object_that_takes_nothing_else() {
        let schemas = DOCUMENT["components"]["schemas"].as_object().unwrap();
        for (name, schema) in schemas {
            for part in schema["allOf"].as_array().into_iter().flatten() {
                let part = part["$ref"].as_str().map_or(part, |path| &schemas[path.rsplit('/').next().unwrap()]);
                assert_ne!(part["additionalProperties"], false, "{name} has fields besides those of {part}");
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let text = DOCUMENT.to_string();
        let schemas = DOCUMENT["components"]["schemas"].as_object().unwrap();
        for name in text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(schemas.contains_key(name), "{name}");
        }
        assert!(schemas.len() > 5 && DOCUMENT["paths"].as_object().unwrap().len() > 5);
    }
}
