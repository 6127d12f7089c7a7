//! Every row of the table, by a sample of each error.

use super::*;
use crate::oci::{Digest, Field, InvalidChunkRange, InvalidManifest, ReferencedDigest, UploadId};
use crate::registry::AbsentReference;
use crate::service::{endpoint::Endpoint, login::Fault};
use http_body_util::BodyExt;
use std::collections::BTreeSet;

/// What must never be shown.
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

/// Codes that others use too; `docs/errors.md` tells them.
const MORE: [&str; 5] = ["TAG_INVALID", "RANGE_INVALID", "PAGINATION_NUMBER_INVALID", "UNKNOWN", "UNAVAILABLE"];

/// Makes the name of every error and one sample of each from the same lines: an error without a
/// line does not compile, and a line has a sample.
macro_rules! samples {
    ($($name:literal: $pattern:pat => $sample:expr;)*) => {
        fn name(error: &Error) -> &'static str {
            match error {
                $($pattern => $name,)*
            }
        }

        fn samples() -> Vec<Error> {
            let samples = vec![$($sample),*];
            let names = [$($name),*];
            assert_eq!(samples.iter().map(name).collect::<Vec<_>>(), names, "each sample is of its own line");
            samples
        }
    };
}

use registry::Error as R;
use storage::Error as S;

samples! {
    "PathUnknown": Error::PathUnknown => Error::PathUnknown;
    "MethodNotAllowed": Error::MethodNotAllowed(_) => Error::MethodNotAllowed("GET, HEAD");
    "HeadTooLarge": Error::HeadTooLarge { .. } => Error::HeadTooLarge { limit: 1, part: "the header cookie".into(), len: 2 };
    "LengthAmbiguous": Error::LengthAmbiguous => Error::LengthAmbiguous;
    "AuthorizationRepeated": Error::AuthorizationRepeated => Error::AuthorizationRepeated;
    "AuthorizationTooLong": Error::AuthorizationTooLong => Error::AuthorizationTooLong;
    "Unauthorized": Error::Unauthorized { .. } =>
        Error::Unauthorized { challenge: "Basic realm=\"Registry\"".into(), told: Fault::Absent.told(&Endpoint::Ping), reason: "the inner words".into() };
    "LoginUnsafe": Error::LoginUnsafe(_) => Error::LoginUnsafe(Some("registry.example.com".parse().unwrap()));
    "Denied": Error::Denied { .. } => Error::Denied { told: "access denied: user alice may not push to app".into(), reason: "the inner words".into() };
    "LoginBusy": Error::LoginBusy(_) => Error::LoginBusy(2);
    "SwitchedOff": Error::SwitchedOff { .. } =>
        Error::SwitchedOff { what: "this registry is read-only", allow: "GET, HEAD", message: "moving".into() };
    "TokenRequest": Error::TokenRequest(_) => Error::TokenRequest("the form is too long");
    "TokenUnsigned": Error::TokenUnsigned(_) => crate::auth::Unsigned.into();
    "NameInvalid": Error::NameInvalid(_) => InvalidName::Grammar.into();
    "TagInvalid": Error::TagInvalid(_) => InvalidTag.into();
    "DigestInvalid": Error::DigestInvalid(_) => InvalidDigest::Unsupported.into();
    "UploadIdInvalid": Error::UploadIdInvalid => Error::UploadIdInvalid;
    "ParameterRepeated": Error::ParameterRepeated(_) => Error::ParameterRepeated("digest");
    "PageSizeInvalid": Error::PageSizeInvalid => Error::PageSizeInvalid;
    "ChunkRangeInvalid": Error::ChunkRangeInvalid(_) => InvalidChunkRange.into();
    "ConditionInvalid": Error::ConditionInvalid => Error::ConditionInvalid;
    "RangeNotSatisfiable": Error::RangeNotSatisfiable(_) => Error::RangeNotSatisfiable(7);
    "EncodingUnsupported": Error::EncodingUnsupported(_) => Error::EncodingUnsupported("gzip".into());
    "Panicked": Error::Panicked => Error::Panicked;
    "BlobUnknown": Error::Registry(R::BlobUnknown(_)) => R::BlobUnknown(digest()).into();
    "ManifestUnknown": Error::Registry(R::ManifestUnknown(_)) => R::ManifestUnknown("v1".parse().unwrap()).into();
    "NameUnknown": Error::Registry(R::NameUnknown(_)) => R::NameUnknown("app".parse().unwrap()).into();
    "UploadUnknown": Error::Registry(R::UploadUnknown(_)) => R::UploadUnknown(UploadId::random()).into();
    "MissingReferences": Error::Registry(R::MissingReferences(_)) => missing();
    "ManifestInvalid": Error::Registry(R::ManifestInvalid(_)) => R::from(InvalidManifest::Unknown).into();
    "ManifestTooLarge": Error::Registry(R::ManifestTooLarge(_)) => R::ManifestTooLarge(4).into();
    "DigestMismatch": Error::Registry(R::DigestMismatch { .. }) => mismatch();
    "OutOfOrder": Error::Registry(R::OutOfOrder { .. }) => out_of_order(5);
    "ChunkLength": Error::Registry(R::ChunkLength) => R::ChunkLength.into();
    "BlobTooLarge": Error::Registry(R::BlobTooLarge(_)) => R::BlobTooLarge(4).into();
    "TooManyUploads": Error::Registry(R::TooManyUploads) => R::TooManyUploads.into();
    "UploadBytesExceeded": Error::Registry(R::UploadBytesExceeded(_)) => R::UploadBytesExceeded(4).into();
    "TooManyTags": Error::Registry(R::TooManyTags(_)) => R::TooManyTags(4).into();
    "TagImmutable": Error::Registry(R::TagImmutable(_)) => R::TagImmutable("v1".parse().unwrap()).into();
    "ChildProtected": Error::Registry(R::ChildProtected(_)) => R::ChildProtected(vec![digest().to_string()]).into();
    "PreconditionFailed": Error::Registry(R::PreconditionFailed) => R::PreconditionFailed.into();
    "Interrupted: stalled": Error::Registry(R::Interrupted(Interruption::Stalled)) => R::Interrupted(Interruption::Stalled).into();
    "Interrupted: cut": Error::Registry(R::Interrupted(Interruption::Cut)) => R::Interrupted(Interruption::Cut).into();
    "Overtaken": Error::Registry(R::Overtaken) => R::Overtaken.into();
    "Stopping": Error::Registry(R::Stopping) => R::Stopping.into();
    "Storage: full": Error::Registry(R::Storage(S::Full { .. })) => S::Full { what: SECRET.into() }.into();
    "Storage: read-only": Error::Registry(R::Storage(S::ReadOnly { .. })) => S::ReadOnly { why: SECRET.into() }.into();
    "Storage: damaged": Error::Registry(R::Storage(S::Damaged { .. })) => S::damaged(SECRET, SECRET).into();
    "Storage: io": Error::Registry(R::Storage(S::Io { .. })) => S::io("read", SECRET, std::io::Error::other(SECRET)).into();
}

fn digest() -> Digest {
    format!("sha256:{}", "0".repeat(64)).parse().unwrap()
}

fn missing() -> Error {
    let config = AbsentReference { field: Field::Config, digest: ReferencedDigest::Known(digest()) };
    let layer = AbsentReference { field: Field::Layers(2), digest: ReferencedDigest::Foreign("blake3:00".into()) };
    R::MissingReferences(vec![config, layer]).into()
}

fn mismatch() -> Error {
    R::DigestMismatch { expected: digest(), actual: digest() }.into()
}

fn out_of_order(len: u64) -> Error {
    R::OutOfOrder { repository: "app".parse().unwrap(), id: UploadId::random(), len }.into()
}

/// A sample's answer and its body.
async fn answer(error: &Error) -> (http::response::Parts, Value) {
    let (parts, body) = error.response().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    assert!(bytes.ends_with(b"}\n"), "a line of its own on a terminal");
    (parts, serde_json::from_slice(&bytes).unwrap())
}

#[test]
fn every_code_is_of_the_specification_or_a_known_other() {
    for error in samples() {
        let code = error.row().code;
        assert!(OF_THE_SPECIFICATION.contains(&code) || MORE.contains(&code), "{}: {code}", name(&error));
    }
    let used: BTreeSet<_> = samples().iter().map(|error| error.row().code).collect();
    assert!(MORE.iter().all(|code| used.contains(code)), "one that nobody uses is no longer known");
}

/// Docker's library (distribution, `errcode`) drops such a message; its engine then takes the refusal
/// for an unknown failure, retries for 50 seconds and says no more than "unauthorized".
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
    let malformed = Fault::Malformed(crate::auth::InvalidCredentials::NoColon);
    for fault in [Fault::Absent, Fault::Password, malformed, Fault::Invalid, Fault::Scope, Fault::Nobody] {
        assert!(!texts.contains(&fault.told(&Endpoint::Ping).as_ref()), "{fault:?}");
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
async fn every_missing_digest_has_an_entry_of_its_own() {
    let (_, body) = answer(&missing()).await;
    let digests: Vec<_> = body["errors"].as_array().unwrap().iter().map(|e| &e["detail"]["digest"]).collect();
    assert_eq!(digests, [digest().as_str(), "blake3:00"]);
    let messages: Vec<_> = body["errors"].as_array().unwrap().iter().map(|e| &e["message"]).collect();
    let config = format!("config: blob {} is not in this repository", digest());
    assert_eq!(messages, [config.as_str(), "layers[2]: blob blake3:00 is not in this repository"]);
}

/// Clients retry other codes on their own: docker's engine for 50 seconds, crane and podman for some seconds less.
#[test]
fn what_trying_again_does_not_mend_has_a_code_that_clients_do_not_retry() {
    let too_large = [R::BlobTooLarge(1), R::ManifestTooLarge(1), R::UploadBytesExceeded(1)].map(Error::from);
    assert!(too_large.iter().all(|error| (error.row().status.as_u16(), error.row().code) == (413, "DENIED")));
    let full = Error::from(S::Full { what: "it".into() });
    assert_eq!((full.row().status.as_u16(), full.row().code), (507, "DENIED"));
}

#[tokio::test]
async fn the_reason_phrase_says_the_message_where_clients_show_no_more_than_the_status_line() {
    for error in samples() {
        let (parts, body) = answer(&error).await;
        let phrase = parts.extensions.get::<ReasonPhrase>().map(|phrase| str::from_utf8(phrase.as_bytes()).unwrap());
        match parts.status.as_u16() {
            // In the ordinary course of the protocol.
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
            415 => assert_eq!(parts.headers[header::ACCEPT_ENCODING], "identity", "{name}"),
            405 => assert!(has(header::ALLOW), "{name}"),
            // Of a read it tells the length, of an upload where the session stands.
            416 => assert!(has(header::CONTENT_RANGE) || (has(header::RANGE) && has(header::LOCATION)), "{name}"),
            429 | 503 | 507 => {
                let seconds = parts.headers[header::RETRY_AFTER].to_str().unwrap();
                assert!(seconds.parse::<u32>().is_ok_and(|seconds| seconds > 0), "{name}");
            }
            _ => {}
        }
    }
    let (parts, _) = answer(&Error::RangeNotSatisfiable(7)).await;
    assert_eq!(parts.headers[header::CONTENT_RANGE], "bytes */7");
    let (parts, _) = answer(&out_of_order(5)).await;
    assert_eq!(parts.headers[header::RANGE], "0-4");
    let (parts, _) = answer(&out_of_order(0)).await;
    assert!(!parts.headers.contains_key(header::RANGE), "0-0 would say that there is a byte");
}

#[tokio::test]
async fn a_failure_of_ours_says_one_sentence_and_nothing_of_the_inside() {
    let mut said = BTreeSet::new();
    for error in samples().iter().filter(|error| error.row().status.is_server_error()) {
        let (parts, body) = answer(error).await;
        assert!(!body.to_string().contains("secret"), "{}", name(error));
        if parts.status == StatusCode::INTERNAL_SERVER_ERROR {
            said.insert(body.to_string());
        }
    }
    assert_eq!(said.len(), 1, "{said:?}");
    let log = Error::from(S::io("read", SECRET, std::io::Error::other("why"))).to_string();
    assert!(log.contains(SECRET) && log.contains("why"), "the log has it: {log}");
}

#[test]
fn the_page_for_people_is_the_table() {
    let page = include_str!("../../../docs/errors.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    let rows: Vec<Vec<&str>> = rows.map(|row| row.split(" | ").map(|cell| cell.trim_matches('`')).collect()).collect();
    let (errors, codes): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.len() == 4);
    let told: Vec<_> = errors.iter().map(|row| (row[0].to_owned(), row[1].to_owned(), row[2].to_owned())).collect();
    let expected: Vec<_> = samples()
        .iter()
        .map(|error| (name(error).to_owned(), error.row().status.as_str().to_owned(), error.row().code.to_owned()))
        .collect();
    assert_eq!(told, expected);
    assert!(errors.iter().all(|row| !row[3].trim().is_empty()), "each says when");
    assert_eq!(codes.iter().map(|row| row[0]).collect::<Vec<_>>(), MORE);
}
