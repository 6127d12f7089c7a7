//! Checks every row of the table with a sample of each error.

use super::{written::phrase, *};
use crate::registry::{AbsentReference, ExceededQuota, UploadHome};
use crate::service::{DistributionEndpoint, challenge::LoginFault};
use http_body_util::BodyExt;
use hyper::ext::ReasonPhrase;
use oci::{Digest, Field, InvalidChunkRange, InvalidManifest, ReferencedDigest, UploadId};
use serde_json::Value;
use std::collections::BTreeSet;

/// Must never appear in a response.
const SECRET: &str = "/srv/secret/path";

/// Codes of the distribution specification ("Error Codes").
const OF_THE_SPECIFICATION: [&str; 14] = [
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
];

/// Codes that other registries use too; `docs/errors.md` lists them.
const MORE: [&str; 22] = [
    "TAG_INVALID",
    "RANGE_INVALID",
    "PAGINATION_NUMBER_INVALID",
    "UNKNOWN",
    "UNAVAILABLE",
    "NOT_FOUND",
    "INVALID_REQUEST",
    "NAME_TAKEN",
    "IN_USE",
    "READ_ONLY_FILE",
    "FILE_BROKEN",
    "LOCKED_BY_ENVIRONMENT",
    "LAST_ADMIN",
    "BUILTIN",
    "AMBIGUOUS",
    "PRECONDITION_FAILED",
    "PRECONDITION_REQUIRED",
    "OTHER_REGISTRY",
    "MANAGEMENT_DISABLED",
    "ACCESS_CONTROL_DISABLED",
    "EXTERNAL_USERS",
    "SCOPE_TOO_NARROW",
];

/// Generates the name and one sample of every error from the same lines: an error without a line does not compile, and
/// every line has a sample.
macro_rules! samples {
    ($($name:literal: $pattern:pat => $sample:expr;)*) => {
        fn name(error: &ServiceError) -> &'static str {
            match error {
                $($pattern => $name,)*
            }
        }

        fn samples() -> Vec<ServiceError> {
            let samples = vec![$($sample),*];
            let names = [$($name),*];
            assert_eq!(samples.iter().map(name).collect::<Vec<_>>(), names, "each sample is of its own line");
            samples
        }
    };
}

use registry::RegistryError as R;
use storage::StorageError as S;

samples! {
    "PathUnknown": ServiceError::PathUnknown => ServiceError::PathUnknown;
    "MethodNotAllowed": ServiceError::MethodNotAllowed(_) => ServiceError::MethodNotAllowed(Methods::READ);
    "TooManyConnections": ServiceError::TooManyConnections => ServiceError::TooManyConnections;
    "MemoryUsedUp": ServiceError::MemoryUsedUp(_) => crate::wire::memory::MemoryUsedUp.into();
    "HeadTooLarge": ServiceError::HeadTooLarge { .. } => ServiceError::HeadTooLarge { limit: 1, part: "the header cookie".into(), len: 2 };
    "LengthAmbiguous": ServiceError::LengthAmbiguous => ServiceError::LengthAmbiguous;
    "AuthorizationRepeated": ServiceError::AuthorizationRepeated => ServiceError::AuthorizationRepeated;
    "AuthorizationTooLong": ServiceError::AuthorizationTooLong => ServiceError::AuthorizationTooLong;
    "Unauthorized": ServiceError::Unauthorized { .. } =>
        ServiceError::Unauthorized { challenge: "Basic realm=\"Registry\"".into(), message: LoginFault::Absent.message(&DistributionEndpoint::Ping.into()), reason: "the inner words".into() };
    "LoginUnsafe": ServiceError::LoginUnsafe(_) => ServiceError::LoginUnsafe(Some("registry.example.com".parse().unwrap()));
    "Denied": ServiceError::Denied { .. } => ServiceError::Denied { message: "access denied: user alice may not push to app".into(), reason: "the inner words".into() };
    "LoginBusy": ServiceError::LoginBusy(_) => ServiceError::LoginBusy(2);
    "TooManyHeavy": ServiceError::TooManyHeavy => ServiceError::TooManyHeavy;
    "SwitchedOff": ServiceError::SwitchedOff { .. } =>
        ServiceError::SwitchedOff { what: "this registry is read-only", allow: "GET, HEAD".into(), message: "moving".into() };
    "TokenRequest": ServiceError::TokenRequest(_) => ServiceError::TokenRequest("the form is too long");
    "TokenUnsigned": ServiceError::TokenUnsigned(_) => crate::identity::Unsigned.into();
    "NameInvalid": ServiceError::NameInvalid(_) => InvalidName::Grammar.into();
    "TagInvalid": ServiceError::TagInvalid(_) => InvalidTag.into();
    "DigestInvalid": ServiceError::DigestInvalid(_) => InvalidDigest::Unsupported.into();
    "UploadIdInvalid": ServiceError::UploadIdInvalid => ServiceError::UploadIdInvalid;
    "ParameterRepeated": ServiceError::ParameterRepeated(_) => ServiceError::ParameterRepeated("digest");
    "PageSizeInvalid": ServiceError::PageSizeInvalid => ServiceError::PageSizeInvalid;
    "ChunkRangeInvalid": ServiceError::ChunkRangeInvalid(_) => InvalidChunkRange.into();
    "ConditionInvalid": ServiceError::ConditionInvalid => ServiceError::ConditionInvalid;
    "RangeNotSatisfiable": ServiceError::RangeNotSatisfiable(_) => ServiceError::RangeNotSatisfiable(7);
    "EncodingUnsupported": ServiceError::EncodingUnsupported(_) => ServiceError::EncodingUnsupported("gzip".into());
    "Mirror: absent": ServiceError::Mirror(MirrorError::Absent) => MirrorError::Absent.into();
    "Mirror: unavailable": ServiceError::Mirror(MirrorError::Unavailable { .. }) =>
        MirrorError::Unavailable { upstream: "docker.io".into(), why: SECRET.into(), seconds: 10 }.into();
    "Mirror: unusable": ServiceError::Mirror(MirrorError::Unusable { .. }) =>
        MirrorError::Unusable { upstream: "docker.io".into(), why: SECRET.into() }.into();
    "Mirror: not stored": ServiceError::Mirror(MirrorError::Store(_)) => MirrorError::Store(SECRET.into()).into();
    "Panicked": ServiceError::Panicked => ServiceError::Panicked;
    "NotFound": ServiceError::Api(ApiError::NotFound) => ApiError::NotFound.into();
    "InvalidRequest": ServiceError::Api(ApiError::InvalidRequest(_)) => ApiError::invalid(FieldProblem::new("/groups/0", "there is no group \"devs\"")).into();
    "ContentType": ServiceError::Api(ApiError::ContentType(_)) => ApiError::ContentType("application/json").into();
    "Replaced": ServiceError::Api(ApiError::Replaced(_)) => ApiError::Replaced("it is elsewhere".into()).into();
    "BodyTooLarge": ServiceError::Api(ApiError::BodyTooLarge(_)) => ApiError::BodyTooLarge(4).into();
    "ConfigurationInvalid": ServiceError::Api(ApiError::ConfigurationInvalid(_)) => ApiError::ConfigurationInvalid(problems()).into();
    "NameTaken": ServiceError::Api(ApiError::NameTaken(_)) => ApiError::NameTaken("user \"alice\"".into()).into();
    "InUse": ServiceError::Api(ApiError::InUse { .. }) => ApiError::InUse { what: "group \"devs\"".into(), by: vec!["rule 1".into()] }.into();
    "ReadOnlyFile": ServiceError::Api(ApiError::ReadOnlyFile { .. }) => ApiError::ReadOnlyFile { path: "./htpasswd".into(), why: "permission denied".into() }.into();
    "FileBroken": ServiceError::Api(ApiError::FileBroken(_)) => ApiError::FileBroken(problems()).into();
    "FileBusy": ServiceError::Api(ApiError::FileBusy(_)) => ApiError::FileBusy("./htpasswd".into()).into();
    "FileFailed": ServiceError::Api(ApiError::FileFailed(_)) => ApiError::FileFailed(SECRET.into()).into();
    "LockedByEnvironment": ServiceError::Api(ApiError::LockedByEnvironment { .. }) => ApiError::LockedByEnvironment { setting: "pagination.max_limit".into(), variable: "REGISTRY_PAGINATION_MAX_LIMIT".into() }.into();
    "LastAdmin": ServiceError::Api(ApiError::LastAdmin) => ApiError::LastAdmin.into();
    "Builtin": ServiceError::Api(ApiError::Builtin(_)) => ApiError::Builtin("role \"reader\"".into()).into();
    "Ambiguous": ServiceError::Api(ApiError::Ambiguous(_)) => ApiError::Ambiguous("\"reader\" is the name of a user and a group".into()).into();
    "ApiPreconditionFailed": ServiceError::Api(ApiError::PreconditionFailed(_)) => ApiError::PreconditionFailed(Some("ab".into())).into();
    "PreconditionRequired": ServiceError::Api(ApiError::PreconditionRequired) => ApiError::PreconditionRequired.into();
    "TooManyRequests": ServiceError::Api(ApiError::TooManyRequests(_)) => ApiError::TooManyRequests(7).into();
    "NotIndexedYet": ServiceError::Api(ApiError::NotIndexedYet(_)) => ApiError::NotIndexedYet("builds".into()).into();
    "OtherRegistry": ServiceError::Api(ApiError::OtherRegistry(_)) => ApiError::OtherRegistry("cannot reach the registry registry.example.com".into()).into();
    "ManagementDisabled": ServiceError::Api(ApiError::ManagementDisabled) => ApiError::ManagementDisabled.into();
    "AccessControlDisabled": ServiceError::Api(ApiError::AccessControlDisabled) => ApiError::AccessControlDisabled.into();
    "ExternalUsers": ServiceError::Api(ApiError::ExternalUsers) => ApiError::ExternalUsers.into();
    "ScopeTooNarrow": ServiceError::Api(ApiError::ScopeTooNarrow) => ApiError::ScopeTooNarrow.into();
    "OtherSite": ServiceError::Api(ApiError::OtherSite) => ApiError::OtherSite.into();
    "UnknownHost": ServiceError::Api(ApiError::UnknownHost(_)) => ApiError::UnknownHost("rebound.example.org".into()).into();
    "BlobUnknown": ServiceError::Registry(R::BlobUnknown(_)) => R::BlobUnknown(digest()).into();
    "ManifestUnknown": ServiceError::Registry(R::ManifestUnknown(_)) => R::ManifestUnknown("v1".parse().unwrap()).into();
    "NameUnknown": ServiceError::Registry(R::NameUnknown(_)) => R::NameUnknown("app".parse().unwrap()).into();
    "RepositoryAbsent": ServiceError::Registry(R::RepositoryAbsent(_)) => R::RepositoryAbsent("team/app".parse().unwrap()).into();
    "NamespaceAbsent": ServiceError::Registry(R::NamespaceAbsent { .. }) => R::NamespaceAbsent { repository: "app".parse().unwrap(), namespace: None }.into();
    "RepositoryExists": ServiceError::Registry(R::RepositoryExists(_)) => R::RepositoryExists("team/app".parse().unwrap()).into();
    "RepositoryLeaving": ServiceError::Registry(R::RepositoryLeaving(_)) => R::RepositoryLeaving("team/app".parse().unwrap()).into();
    "NamespaceExists": ServiceError::Registry(R::NamespaceExists(_)) => R::NamespaceExists("team".parse().unwrap()).into();
    "NamespaceUnknown": ServiceError::Registry(R::NamespaceUnknown(_)) => R::NamespaceUnknown("team".parse().unwrap()).into();
    "NamespaceInUse": ServiceError::Registry(R::NamespaceInUse(_)) => R::NamespaceInUse("team".parse().unwrap()).into();
    "UploadUnknown": ServiceError::Registry(R::UploadUnknown(_)) => R::UploadUnknown(UploadId::random()).into();
    "ArtifactRepositoryUnknown": ServiceError::Registry(R::ArtifactRepositoryUnknown(_)) => R::ArtifactRepositoryUnknown("builds".parse().unwrap()).into();
    "ArtifactRepositoryExists": ServiceError::Registry(R::ArtifactRepositoryExists(_)) => R::ArtifactRepositoryExists("builds".parse().unwrap()).into();
    "ArtifactRepositoryInTrash": ServiceError::Registry(R::ArtifactRepositoryInTrash(_)) => R::ArtifactRepositoryInTrash("builds".parse().unwrap()).into();
    "ArtifactUnknown": ServiceError::Registry(R::ArtifactUnknown) => R::ArtifactUnknown.into();
    "ArtifactExists": ServiceError::Registry(R::ArtifactExists(_)) => R::ArtifactExists(artifact()).into();
    "ArtifactAmbiguous": ServiceError::Registry(R::ArtifactAmbiguous(_)) => R::ArtifactAmbiguous(vec![artifact()]).into();
    "ArtifactTooLarge": ServiceError::Registry(R::ArtifactTooLarge(_)) => R::ArtifactTooLarge(4).into();
    "PropertyMissing": ServiceError::Registry(R::PropertyMissing(_)) => R::PropertyMissing("build".parse().unwrap()).into();
    "MediaTypeRefused": ServiceError::Registry(R::MediaTypeRefused(_)) => R::MediaTypeRefused("text/html".parse().unwrap()).into();
    "MissingReferences": ServiceError::Registry(R::MissingReferences(_)) => missing();
    "ManifestInvalid": ServiceError::Registry(R::ManifestInvalid(_)) => R::from(InvalidManifest::Unknown).into();
    "ManifestTooLarge": ServiceError::Registry(R::ManifestTooLarge(_)) => R::ManifestTooLarge(4).into();
    "DigestMismatch": ServiceError::Registry(R::DigestMismatch { .. }) => mismatch();
    "OutOfOrder": ServiceError::Registry(R::OutOfOrder { .. }) => out_of_order(5);
    "ChunkLength": ServiceError::Registry(R::ChunkLength) => R::ChunkLength.into();
    "BlobTooLarge": ServiceError::Registry(R::BlobTooLarge(_)) => R::BlobTooLarge(4).into();
    "TooManyUploads": ServiceError::Registry(R::TooManyUploads) => R::TooManyUploads.into();
    "UploadBytesExceeded": ServiceError::Registry(R::UploadBytesExceeded(_)) => R::UploadBytesExceeded(4).into();
    "QuotaExceeded: bytes": ServiceError::Registry(R::QuotaExceeded(ExceededQuota { limit: QuotaLimit::Bytes(_), .. })) => quota(QuotaLimit::Bytes(4));
    "QuotaExceeded: tags": ServiceError::Registry(R::QuotaExceeded(ExceededQuota { limit: QuotaLimit::Tags(_), .. })) => quota(QuotaLimit::Tags(4));
    "QuotaExceeded: repositories": ServiceError::Registry(R::QuotaExceeded(ExceededQuota { limit: QuotaLimit::Repositories(_), .. })) => quota(QuotaLimit::Repositories(4));
    "TooManyTags": ServiceError::Registry(R::TooManyTags(_)) => R::TooManyTags(4).into();
    "TagImmutable": ServiceError::Registry(R::TagImmutable(_)) => R::TagImmutable("v1".parse().unwrap()).into();
    "ImmutableContent": ServiceError::Registry(R::ImmutableContent(_)) => R::ImmutableContent("v1".parse().unwrap()).into();
    "ChildProtected": ServiceError::Registry(R::ChildProtected(_)) => R::ChildProtected(vec![digest().to_string()]).into();
    "PreconditionFailed": ServiceError::Registry(R::PreconditionFailed) => R::PreconditionFailed.into();
    "Interrupted: stalled": ServiceError::Registry(R::Interrupted(Interruption::Stalled)) => R::Interrupted(Interruption::Stalled).into();
    "Interrupted: no memory": ServiceError::Registry(R::Interrupted(Interruption::NoMemory)) => R::Interrupted(Interruption::NoMemory).into();
    "Interrupted: cut": ServiceError::Registry(R::Interrupted(Interruption::Cut)) => R::Interrupted(Interruption::Cut).into();
    "Overtaken": ServiceError::Registry(R::Overtaken) => R::Overtaken.into();
    "Stopping": ServiceError::Registry(R::Stopping) => R::Stopping.into();
    "Storage: full": ServiceError::Registry(R::Storage(S::Full { .. })) => S::Full { what: SECRET.into() }.into();
    "Storage: read-only": ServiceError::Registry(R::Storage(S::ReadOnly { .. })) => S::ReadOnly { why: SECRET.into() }.into();
    "Storage: damaged": ServiceError::Registry(R::Storage(S::Damaged { .. })) => S::damaged(SECRET, SECRET).into();
    "Storage: unavailable": ServiceError::Registry(R::Storage(S::Unavailable { .. })) =>
        S::Unavailable { operation: "read", what: SECRET.into(), why: SECRET.into(), retry_after: None }.into();
    "Storage: too many files": ServiceError::Registry(R::Storage(S::TooManyFiles { .. })) => S::TooManyFiles { operation: "open", what: SECRET.into() }.into();
    "Storage: io": ServiceError::Registry(R::Storage(S::Io { .. })) => S::io("read", SECRET, std::io::Error::other(SECRET)).into();
}

fn problems() -> crate::config::Problems {
    crate::config::Problems(vec![
        crate::config::Problem::of_file("htpasswd", "is not of the form name:hash").at_line(2),
    ])
}

fn quota(limit: QuotaLimit) -> ServiceError {
    R::QuotaExceeded(ExceededQuota { patterns: "team/**".into(), limit }).into()
}

fn artifact() -> crate::artifacts::ArtifactId {
    format!("art-{}", "a".repeat(26)).parse().unwrap()
}

fn digest() -> Digest {
    format!("sha256:{}", "0".repeat(64)).parse().unwrap()
}

fn missing() -> ServiceError {
    let config = AbsentReference { field: Field::Config, digest: ReferencedDigest::Known(digest()) };
    let layer = AbsentReference { field: Field::Layers(2), digest: ReferencedDigest::Foreign("blake3:00".into()) };
    R::MissingReferences(vec![config, layer]).into()
}

fn mismatch() -> ServiceError {
    R::DigestMismatch { expected: digest(), actual: digest() }.into()
}

fn out_of_order(len: u64) -> ServiceError {
    R::OutOfOrder { home: UploadHome::Images("app".parse().unwrap()), id: UploadId::random(), len }.into()
}

/// The response to a sample, and its body.
async fn answer(error: &ServiceError) -> (http::response::Parts, Value) {
    let (parts, body) = error.response(ErrorFormat::Distribution).into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    assert!(bytes.ends_with(b"}\n"), "a line of its own on a terminal");
    (parts, serde_json::from_slice(&bytes).unwrap())
}

#[test]
fn every_code_is_in_the_specification_or_in_our_list() {
    for error in samples() {
        let code = error.row().code;
        assert!(OF_THE_SPECIFICATION.contains(&code) || MORE.contains(&code), "{}: {code}", name(&error));
    }
    let used: BTreeSet<_> = samples().iter().map(|error| error.row().code).collect();
    assert!(MORE.iter().all(|code| used.contains(code)), "a code in the list is not used");
}

/// Docker's library (distribution, `errcode`) drops such a message; its engine then takes it for an unknown failure,
/// retries for 50 seconds and reports only "unauthorized".
#[tokio::test]
async fn no_message_is_just_the_text_of_its_code() {
    let texts = [
        "unknown error",
        "The operation is unsupported.",
        "authentication required",
        "requested access to the resource is denied",
        "service unavailable",
        "too many requests",
    ];
    for error in samples() {
        let (_, body) = answer(&error).await;
        let message = body["errors"][0]["message"].as_str().unwrap();
        assert!(!texts.contains(&message) && !message.is_empty(), "{}: {message}", name(&error));
    }
    let malformed = LoginFault::Malformed(crate::identity::InvalidCredentials::NoColon);
    for fault in [
        LoginFault::Absent,
        LoginFault::Password,
        malformed,
        LoginFault::Invalid,
        LoginFault::Scope,
        LoginFault::Nobody,
    ] {
        assert!(!texts.contains(&fault.message(&DistributionEndpoint::Ping.into()).as_ref()), "{fault:?}");
    }
}

#[tokio::test]
async fn every_body_has_the_shape_of_the_specification() {
    for error in samples() {
        let (parts, body) = answer(&error).await;
        let row = error.row();
        assert_eq!(parts.status, row.status);
        assert!(row.status.is_client_error() || row.status.is_server_error());
        assert_eq!(parts.headers[header::CONTENT_TYPE], "application/json");
        assert_eq!(body.as_object().unwrap().len(), 1);
        let errors = body["errors"].as_array().unwrap();
        assert!(!errors.is_empty());
        for entry in errors {
            assert_eq!(entry["code"], row.code);
            assert!(!entry["message"].as_str().unwrap().is_empty(), "{}", name(&error));
            assert!(entry.as_object().unwrap().keys().all(|key| ["code", "message", "detail"].contains(&key.as_str())));
        }
    }
}

#[tokio::test]
async fn the_management_api_adds_the_id_of_the_request() {
    let format = ErrorFormat::Api { request_id: "7f3a".into(), says_success: true };
    let body = ApiError::LastAdmin.row();
    assert_eq!(body.status, StatusCode::CONFLICT);
    let body = ServiceError::from(ApiError::LastAdmin).response(format).into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&body["errors"][0]["code"], &body["request_id"]), (&"LAST_ADMIN".into(), &"7f3a".into()));
    assert_eq!((&body["success"], &body["message"]), (&false.into(), &body["errors"][0]["message"]));
}

#[tokio::test]
async fn every_missing_digest_has_its_own_entry() {
    let (_, body) = answer(&missing()).await;
    let digests: Vec<_> = body["errors"].as_array().unwrap().iter().map(|e| &e["detail"]["digest"]).collect();
    assert_eq!(digests, [digest().as_str(), "blake3:00"]);
    let messages: Vec<_> = body["errors"].as_array().unwrap().iter().map(|e| &e["message"]).collect();
    let config = format!("config: blob {} is not in this repository", digest());
    assert_eq!(messages, [config.as_str(), "layers[2]: blob blake3:00 is not in this repository"]);
}

#[tokio::test]
async fn a_response_names_at_most_a_hundred_missing_digests() {
    for (missing, named) in [(99, 99), (100, 100), (101, 100)] {
        let absent = |i| AbsentReference { field: Field::Layers(i), digest: ReferencedDigest::Known(digest()) };
        let (_, body) = answer(&R::MissingReferences((0..missing).map(absent).collect()).into()).await;
        assert_eq!(body["errors"].as_array().unwrap().len(), named);
    }
}

/// Clients retry other codes: docker's engine for 50 seconds, crane and podman for a few seconds less.
#[test]
fn permanent_errors_have_codes_that_clients_do_not_retry() {
    let too_large = [R::BlobTooLarge(1), R::ManifestTooLarge(1), R::UploadBytesExceeded(1)].map(ServiceError::from);
    assert!(too_large.iter().all(|error| (error.row().status.as_u16(), error.row().code) == (413, "DENIED")));
    let full = ServiceError::from(S::Full { what: "it".into() });
    assert_eq!((full.row().status.as_u16(), full.row().code), (507, "DENIED"));
}

#[tokio::test]
async fn the_reason_phrase_repeats_the_message_for_clients_that_show_only_the_status_line() {
    for error in samples() {
        let (parts, body) = answer(&error).await;
        let phrase = parts.extensions.get::<ReasonPhrase>().map(|phrase| str::from_utf8(phrase.as_bytes()).unwrap());
        match parts.status.as_u16() {
            // Part of the ordinary course of the protocol.
            401 | 404 => assert_eq!(phrase, None, "{}", name(&error)),
            _ => assert_eq!(phrase, body["errors"][0]["message"].as_str(), "{}", name(&error)),
        }
    }
    let (parts, _) = answer(&S::Full { what: "it".into() }.into()).await;
    let phrase = parts.extensions.get::<ReasonPhrase>().unwrap().as_bytes();
    assert!(
        str::from_utf8(phrase).unwrap().contains("no space left on device"),
        "docker's engine looks for these words"
    );
}

#[tokio::test]
async fn a_reason_phrase_is_one_short_line() {
    let hostile = format!("x\r\nSet-Cookie: a=b\u{e9}{}", "y".repeat(1000));
    let phrase = phrase(StatusCode::BAD_REQUEST, &hostile).unwrap();
    assert_eq!(phrase.as_bytes(), format!("x??Set-Cookie: a=b?{}", "y".repeat(200 - 19)).as_bytes());
}

#[tokio::test]
async fn every_status_has_the_headers_that_belong_to_it() {
    for error in samples() {
        let (parts, _) = answer(&error).await;
        let has = |name| parts.headers.contains_key(name);
        let name = name(&error);
        match parts.status.as_u16() {
            401 => assert!(has(header::WWW_AUTHENTICATE), "{name}"),
            415 if name == "EncodingUnsupported" => assert_eq!(parts.headers[header::ACCEPT_ENCODING], "identity"),
            405 => assert!(has(header::ALLOW), "{name}"),
            // For a read it carries the length, for an upload the session's state.
            416 => assert!(has(header::CONTENT_RANGE) || (has(header::RANGE) && has(header::LOCATION)), "{name}"),
            429 | 503 | 507 => {
                let seconds = parts.headers[header::RETRY_AFTER].to_str().unwrap();
                assert!(seconds.parse::<u32>().is_ok_and(|seconds| seconds > 0), "{name}");
            }
            _ => {}
        }
    }
    let (parts, _) = answer(&ServiceError::RangeNotSatisfiable(7)).await;
    assert_eq!(parts.headers[header::CONTENT_RANGE], "bytes */7");
    let (parts, _) = answer(&out_of_order(5)).await;
    assert_eq!(parts.headers[header::RANGE], "0-4");
    let (parts, _) = answer(&out_of_order(0)).await;
    assert!(!parts.headers.contains_key(header::RANGE), "0-0 would say that there is a byte");
}

#[tokio::test]
async fn an_internal_error_reveals_nothing() {
    let mut said = BTreeSet::new();
    for error in samples().iter().filter(|error| error.row().status.is_server_error()) {
        let (parts, body) = answer(error).await;
        assert!(!body.to_string().contains("secret"), "{}", name(error));
        if parts.status == StatusCode::INTERNAL_SERVER_ERROR {
            said.insert(body.to_string());
        }
    }
    assert_eq!(said.len(), 1, "{said:?}");
    let log = ServiceError::from(S::io("read", SECRET, std::io::Error::other("why"))).to_string();
    assert!(log.contains(SECRET) && log.contains("why"), "the log has it: {log}");
}

#[test]
fn the_errors_page_matches_the_table() {
    let page = include_str!("../../../docs/errors.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    let rows: Vec<Vec<&str>> = rows.map(|row| row.split(" | ").map(|cell| cell.trim_matches('`')).collect()).collect();
    let (errors, codes): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.len() == 4);
    let message: Vec<_> = errors.iter().map(|row| (row[0].to_owned(), row[1].to_owned(), row[2].to_owned())).collect();
    let expected: Vec<_> = samples()
        .iter()
        .map(|error| (name(error).to_owned(), error.row().status.as_str().to_owned(), error.row().code.to_owned()))
        .collect();
    assert_eq!(message, expected);
    assert!(errors.iter().all(|row| !row[3].trim().is_empty()), "each says when");
    assert_eq!(codes.iter().map(|row| row[0]).collect::<Vec<_>>(), MORE);
}
