use super::super::super::{endpoint::Endpoint, error::ServiceError};
use super::{super::endpoint::ManageEndpoint, ALIASES};
use http::Method;

fn parsed(method: &str, target: &str) -> Result<Endpoint, ServiceError> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Endpoint::parse(&Method::from_bytes(method.as_bytes()).unwrap(), path, query)
}

#[test]
fn every_alias_is_the_operation_that_it_says() {
    for row in ALIASES {
        let value = |name: &str| if name == "id" { "01J0000000000000000000000A" } else { "x" };
        let parts = row.path.split(['{', '}']).enumerate();
        let target: String = parts.map(|(i, part)| if i % 2 == 0 { part } else { value(part) }).collect();
        let endpoint = parsed(row.method, &target).unwrap_or_else(|error| panic!("{target}: {error}"));
        assert_eq!(endpoint.name(), row.operation, "{} {target}", row.method);
        assert!(matches!(endpoint, Endpoint::Manage(ManageEndpoint::Alias(_))), "{} {target}", row.method);
    }
}

#[test]
fn aliases_are_read_from_the_right_and_never_shadow_what_has_the_mark() {
    for (method, target, expected) in [
        ("DELETE", "/api/v1/repositories/team/app/tags/1.0", "delete_tag"),
        ("DELETE", "/api/v1/repositories/team/tags", "delete_repository"),
        ("DELETE", "/api/v1/repositories/team/app/-/tags/1.0", "delete_tag"),
        ("GET", "/api/v1/repositories/team/app/tags/1.0", "show_repository"),
        ("DELETE", "/api/v1/repositories/team/app/tags/-x", "TagInvalid"),
        ("GET", "/api/v1/repositories/public/-/tags", "list_tags"),
        ("DELETE", "/api/v1/repositories/public", "delete_repository"),
        ("PUT", "/api/v1/team/app/visibility", "set_visibility"),
        ("PUT", "/api/v1/team/deep/app/visibility", "set_visibility"),
        ("PUT", "/api/v1/repositories/app/visibility", "MethodNotAllowed"),
        ("PUT", "/api/v1/settings/visibility", "put_settings"),
        ("PUT", "/api/v1/groups/visibility", "put_group"),
        ("PUT", "/api/v1/repositories/app/-/visibility", "set_visibility"),
        ("GET", "/api/v1/registry/migrate/status", "InvalidRequest"),
        ("GET", "/api/repositories/team/app/-/tags", "list_tags"),
        ("DELETE", "/api/repositories/team/app/tags/", "NotFound"),
        ("DELETE", "/api/repositories/", "NotFound"),
        ("POST", "/api/users", "NotFound"),
        ("GET", "/api/v2/repositories", "NotFound"),
    ] {
        let found = match parsed(method, target) {
            Ok(endpoint) => endpoint.name().to_owned(),
            Err(error) => format!("{error:?}"),
        };
        assert!(found.contains(expected), "{method} {target}: {found}, not {expected}");
    }
}
