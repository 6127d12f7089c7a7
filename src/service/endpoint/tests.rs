use super::*;
use proptest::prelude::*;

fn ask(method: &str, target: &str) -> Result<Endpoint, ServiceError> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Endpoint::parse(&Method::from_bytes(method.as_bytes()).unwrap(), path, query)
}

fn hex() -> String {
    "0123456789abcdef".repeat(4)
}

/// The endpoint's name and required permission in one line.
fn summary(method: &str, target: &str) -> String {
    let target = target.replace("DIGEST", &format!("sha256:{}", hex()));
    match ask(method, &target) {
        Ok(endpoint) => {
            let need = match endpoint.needs() {
                Need::Repository(name, action) => format!("{action} {name}"),
                other => format!("{other:?}"),
            };
            format!("{}: {need}", endpoint.name())
        }
        Err(error) => format!("{error:?}").split(['(', ' ']).next().unwrap().to_owned(),
    }
}

#[test]
fn every_url_and_method_has_its_endpoint_and_need() {
    let id = "3fa85f64-5717-4562-b3fc-2c963f66afa6";
    let upload = format!("/v2/a/b/blobs/uploads/{id}");
    let rows: &[(&str, &str, &str)] = &[
        ("GET", "/v2/", "ping: Entry"),
        ("HEAD", "/v2", "ping: Entry"),
        ("POST", "/v2/", "MethodNotAllowed"),
        ("GET", "/v2/_catalog?n=5&last=x", "catalog: List"),
        ("DELETE", "/v2/_catalog", "MethodNotAllowed"),
        ("GET", "/v2/a/b/tags/list", "tags: pull a/b"),
        ("PUT", "/v2/a/b/tags/list", "MethodNotAllowed"),
        ("GET", "/v2/a/b/referrers/DIGEST?artifactType=x", "referrers: pull a/b"),
        ("GET", "/v2/a/b/referrers/latest", "DigestInvalid"),
        ("HEAD", "/v2/a/b/manifests/latest", "manifest_read: pull a/b"),
        ("GET", "/v2/a/b/manifests/DIGEST", "manifest_read: pull a/b"),
        ("GET", "/v2/a/b/manifests/sha256:bad", "DigestInvalid"),
        ("GET", "/v2/a/b/manifests/-bad", "TagInvalid"),
        ("PUT", "/v2/a/b/manifests/DIGEST?tag=a&tag=b", "manifest_push: push a/b"),
        ("PUT", "/v2/a/b/manifests/DIGEST?tag=-", "TagInvalid"),
        ("DELETE", "/v2/a/b/manifests/latest", "manifest_delete: delete a/b"),
        ("POST", "/v2/a/b/manifests/latest", "MethodNotAllowed"),
        ("GET", "/v2/a/b/blobs/DIGEST", "blob_read: pull a/b"),
        (
            "HEAD",
            "/v2/a/b/blobs/sha256%3A0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "blob_read: pull a/b",
        ),
        ("DELETE", "/v2/a/b/blobs/DIGEST", "blob_delete: delete a/b"),
        ("PUT", "/v2/a/b/blobs/DIGEST", "MethodNotAllowed"),
        ("POST", "/v2/a/b/blobs/uploads/", "upload_begin: push a/b"),
        ("POST", "/v2/a/b/blobs/uploads", "upload_begin: push a/b"),
        ("POST", "/v2/a/b/blobs/uploads/?digest-algorithm=sha512", "upload_begin: push a/b"),
        ("POST", "/v2/a/b/blobs/uploads/?digest-algorithm=md5", "DigestInvalid"),
        ("POST", "/v2/a/b/blobs/uploads/?digest=DIGEST", "blob_push: push a/b"),
        ("POST", "/v2/a/b/blobs/uploads/?digest=DIGEST&digest=DIGEST", "ParameterRepeated"),
        ("POST", "/v2/a/b/blobs/uploads/?digest=x", "DigestInvalid"),
        ("POST", "/v2/a/b/blobs/uploads/?mount=DIGEST&from=c", "blob_mount: push a/b"),
        ("POST", "/v2/a/b/blobs/uploads/?mount=DIGEST", "blob_mount: push a/b"),
        ("POST", "/v2/a/b/blobs/uploads/?mount=DIGEST&from=UPPER", "upload_begin: push a/b"),
        ("GET", "/v2/a/b/blobs/uploads/", "MethodNotAllowed"),
        ("PATCH", &upload, "upload_append: push a/b"),
        ("PUT", &format!("{upload}?digest=DIGEST"), "upload_finish: push a/b"),
        ("PUT", &upload, "DigestInvalid"),
        ("GET", &format!("{upload}?digest=whatever"), "upload_status: push a/b"),
        ("HEAD", &upload, "upload_status: push a/b"),
        ("DELETE", &upload, "upload_cancel: push a/b"),
        ("POST", &upload, "MethodNotAllowed"),
        ("GET", "/v2/a/b/blobs/uploads/not-an-id", "UploadIdInvalid"),
        ("GET", "/health", "health: Nothing"),
        ("GET", "/health/ready", "ready: Sight"),
        ("GET", "/metrics", "metrics: Operate"),
        ("GET", "/api/v1/system", "show_system: Nothing"),
        ("HEAD", "/api/v1/permissions", "list_permissions: LoggedIn"),
        ("GET", "/api/v1/openapi.json", "show_openapi: Nothing"),
        ("DELETE", "/api/v1/system", "MethodNotAllowed"),
        ("GET", "/api/v1/system/", "Api"),
        ("GET", "/api/v1//system", "Api"),
        ("GET", "/api/v1/", "Api"),
        ("GET", "/api/v1", "Api"),
        ("GET", "/api/v2/system", "Api"),
        ("GET", "/api", "Api"),
        ("GET", "/", "page_home: Sight"),
        ("POST", "/", "MethodNotAllowed"),
        ("GET", "/login", "page_login: Nothing"),
        ("POST", "/login", "form_login: Nothing"),
        ("GET", "/logout", "MethodNotAllowed"),
        ("POST", "/logout", "form_logout: Nothing"),
        ("GET", "/repositories", "page_repositories: Sight"),
        ("GET", "/repositories/a/b", "page_tags: Sight"),
        ("GET", "/repositories/a/-/untagged", "page_untagged: Sight"),
        ("GET", "/repositories/a/-/retention", "page_retention: Sight"),
        ("GET", "/repositories/a/-/access", "page_access: Sight"),
        ("GET", "/repositories/a/-/compare?from=x", "page_compare: Sight"),
        ("GET", "/repositories/a/-/manifests/v1", "page_manifest: Sight"),
        ("GET", "/repositories/a/-/manifests/-", "TagInvalid"),
        ("GET", "/repositories/a/-/settings", "page_repository_settings: Sight"),
        ("POST", "/repositories/a/-/settings", "form_repository_settings: Sight"),
        ("DELETE", "/repositories/a/-/settings", "MethodNotAllowed"),
        ("POST", "/repositories/a/-/tags/delete", "form_delete_tags: Sight"),
        ("POST", "/repositories/a/-/tags/set", "form_set_tag: Sight"),
        ("POST", "/repositories/a/-/delete", "form_delete_repository: Sight"),
        ("GET", "/repositories/-/new", "page_new_repository: Sight"),
        ("POST", "/repositories/-/new", "form_create_repository: Sight"),
        ("GET", "/repositories/", "NameInvalid"),
        ("GET", "/repositories/UPPER", "NameInvalid"),
        ("GET", "/search?q=x", "page_search: Sight"),
        ("GET", "/profile", "page_profile: Sight"),
        ("POST", "/profile/keys", "form_create_key: Sight"),
        ("POST", "/profile/everywhere", "form_logout_everywhere: Sight"),
        ("GET", "/system", "page_system: Sight"),
        ("POST", "/system/gc", "form_gc: Sight"),
        ("POST", "/system/fsck", "form_fsck: Sight"),
        ("POST", "/ui/theme", "form_theme: Nothing"),
        ("GET", "/ui/absent.css", "Api"),
        ("GET", "/profile/keys/x/delete", "Api"),
        // Escapes are decoded once per segment; an escaped slash is a separator within a repository name only.
        ("GET", "/%762/", "ping: Entry"),
        ("GET", "/v2/%5fcatalog", "catalog: List"),
        ("GET", "/v2/te%61m/app/m%61nifests/l%61test", "manifest_read: pull team/app"),
        ("GET", "/v2/team%2Fapp/tags/lis%74", "tags: pull team/app"),
        ("POST", "/v2/team%2fa%2Fb/blobs/uploads/", "upload_begin: push team/a/b"),
        ("GET", "/v2/a%2Fmanifests/manifests/v1", "manifest_read: pull a/manifests"),
        ("GET", "/v2/a%2Fmanifests/v1", "PathUnknown"),
        ("GET", "/v2/a/manifests%2Fv1", "PathUnknown"),
        ("GET", "/v2%2Fa/manifests/v1", "PathUnknown"),
        ("GET", "/v2/a/manifests/v1%2Fx", "TagInvalid"),
        ("POST", "/v2/a/blobs/uploads%2F", "MethodNotAllowed"),
        ("GET", "/v2/a/m%2561nifests/v1", "PathUnknown"),
        ("GET", "/v2/a/manifests/%256catest", "TagInvalid"),
        ("GET", "/m%65trics", "metrics: Operate"),
        ("DELETE", "/he%61lth", "MethodNotAllowed"),
        ("POST", "/auth/tok%65n", "token: Nothing"),
        ("POST", "/metrics", "MethodNotAllowed"),
        // Keywords are found from the right; names may contain them.
        ("GET", "/v2/blobs/uploads/tags/tags/list", "tags: pull blobs/uploads/tags"),
        ("GET", "/v2/manifests/manifests/manifests/v1", "manifest_read: pull manifests/manifests"),
        ("POST", "/v2/blobs/blobs/uploads/", "upload_begin: push blobs"),
        ("GET", "/v2/public/manifests/x/manifests/y", "manifest_read: pull public/manifests/x"),
        // Unknown paths.
        ("GET", "/v9/", "PathUnknown"),
        ("GET", "/v1/", "PathUnknown"),
        ("GET", "/v2/a/b", "PathUnknown"),
        ("GET", "/v2/tags/list", "PathUnknown"),
        ("GET", "/v2/manifests/latest", "PathUnknown"),
        ("GET", "/v2/blobs/uploads/", "PathUnknown"),
        // Invalid pagination.
        ("GET", "/v2/_catalog?n=-1", "PageSizeInvalid"),
        ("GET", "/v2/_catalog?n=x", "PageSizeInvalid"),
        ("GET", "/v2/a/tags/list?n=", "tags: pull a"),
        ("GET", "/v2/a/tags/list?n=99999999999999999999999", "tags: pull a"),
    ];
    for (method, target, expected) in rows {
        assert_eq!(summary(method, target), *expected, "{method} {target}");
    }
}

#[test]
fn hostile_paths_never_parse() {
    for name in [
        "..",
        "a/..",
        "../a",
        "%2e%2e",
        "a%2f..%2fb",
        "a%2f",
        "%2fa",
        "a%2f%2fb",
        "a%00",
        "a%",
        "a%zz",
        "a%ff",
        "%61%2",
        "a//b",
        "a\\b",
        "a;b",
        "A",
        "é",
        "a%20b",
        ".",
        "a/./b",
        "a%252fb",
        &"a".repeat(256),
        "a/_layers",
        "_manifests",
    ] {
        for target in ["manifests/latest", "tags/list", "blobs/uploads/", &format!("blobs/sha256:{}", hex())] {
            let method = if target.ends_with('/') { "POST" } else { "GET" };
            let refused = ask(method, &format!("/v2/{name}/{target}")).unwrap_err();
            assert!(matches!(refused, ServiceError::NameInvalid(_)), "{name:?} {target}: {refused:?}");
        }
    }
    for reference in ["..", "%2e%2e", "a%2fb", "%00", "a%00", "%", "%f", "%ff", "sha256:..%2f..", "a%5cb"] {
        let refused = ask("GET", &format!("/v2/a/manifests/{reference}")).unwrap_err();
        assert!(
            matches!(refused, ServiceError::TagInvalid(_) | ServiceError::DigestInvalid(_)),
            "{reference}: {refused:?}"
        );
    }
}

#[test]
fn a_disabled_method_lists_the_methods_that_remain() {
    let id = "3fa85f64-5717-4562-b3fc-2c963f66afa6";
    let allowed = |method: &str, target: &str, read_only: bool| {
        let operator = Operator { read_only, delete: false, message: "".into() };
        match ask(method, &target.replace("DIGEST", &format!("sha256:{}", hex())))
            .unwrap()
            .switched_off(&method.parse().unwrap(), &operator)
        {
            Ok(()) => None,
            Err(ServiceError::SwitchedOff { allow, .. }) => Some(allow),
            Err(other) => panic!("{other:?}"),
        }
    };
    for (method, target, read_only, no_delete) in [
        ("GET", "/v2/a/manifests/v1", None, None),
        ("PUT", "/v2/a/manifests/v1", Some("GET, HEAD"), None),
        ("DELETE", "/v2/a/manifests/v1", Some("GET, HEAD"), Some("GET, HEAD, PUT")),
        ("DELETE", "/v2/a/blobs/DIGEST", Some("GET, HEAD"), Some("GET, HEAD")),
        ("DELETE", &format!("/v2/a/blobs/uploads/{id}"), Some("GET, HEAD"), None),
        ("POST", "/v2/a/blobs/uploads/", Some(""), None),
        ("POST", "/v2/a/blobs/uploads/?digest=DIGEST", Some(""), None),
        ("POST", "/v2/a/blobs/uploads/?mount=DIGEST", Some(""), None),
        ("POST", "/auth/token", None, None),
    ] {
        assert_eq!(allowed(method, target, true).as_deref(), read_only, "{method} {target}");
        assert_eq!(allowed(method, target, false).as_deref(), no_delete, "{method} {target}");
    }
}

/// The same path with some characters escaped. Existing and malformed escapes stay.
fn twin(path: &str, which: u64) -> String {
    let (mut twin, mut rest, mut which) = (String::new(), path, which.rotate_left(7));
    while let Some(next) = rest.chars().next() {
        which = which.rotate_left(1);
        let kept = if next == '%' { rest.len().min(3) } else { next.len_utf8() };
        match next {
            '%' | '/' => twin.push_str(&rest[..kept]),
            plain if which & 1 == 1 => twin.push_str(&format!("%{:02x}", plain as u32)),
            plain => twin.push(plain),
        }
        rest = &rest[kept..];
    }
    twin
}

proptest! {
#[test]
fn an_accepted_path_formats_back_to_itself(path in "/v2(/[a-z0-9._%/A-Z-]{1,12}){1,4}/(manifests/[a-zA-Z0-9._%-]{1,10}|tags/list)") {
let plain = form_urlencoded::parse(path.as_bytes()).next().unwrap().0.into_owned();
match Endpoint::parse(&Method::GET, &path, "") {
Ok(Endpoint::Distribution(DistributionEndpoint::ManifestRead(name, reference))) => prop_assert_eq!(format!("/v2/{name}/manifests/{reference}"), plain),
Ok(Endpoint::Distribution(DistributionEndpoint::Tags(name, _))) => prop_assert_eq!(format!("/v2/{name}/tags/list"), plain),
Ok(other) => prop_assert!(false, "{:?}", other),
Err(_) => {}
}
}

#[test]
fn an_escaped_path_is_the_same_path(
path in "/(v2|health|metrics|auth)(/(v2|token|ready|a|B|_|[a-z]{1,3}|%2f|%61|%2e|\\.\\.|blobs|uploads|manifests|tags|list)){0,5}/?",
which: u64,
method in "(GET|PUT|POST|DELETE)",
) {
let method = Method::from_bytes(method.as_bytes()).unwrap();
let read = |path: &str| format!("{:?}", Endpoint::parse(&method, path, ""));
prop_assert_eq!(read(&path), read(&twin(&path, which)), "{}", twin(&path, which));
// Within a repository name an escaped slash is a separator too.
if let Ok(endpoint) = Endpoint::parse(&method, &path, "")
&& let Some(name) = endpoint.repository()
{
let place = path.replace("%2f", "/").replacen(&format!("/v2/{name}/"), &format!("/v2/{}/", name.as_str().replace('/', "%2F")), 1);
prop_assert_eq!(Endpoint::parse(&method, &place, "").unwrap(), endpoint.clone());
}
}
}
