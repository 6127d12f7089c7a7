//! The rows of variables for buckets.

use super::variable::{Applies, SECRET, Var};

const S3: &str = "S3";
const GCS: &str = "Google Cloud Storage";
const AZURE: &str = "Azure Blob Storage";

/// A row; everything here is read at startup.
const fn row(
    section: &'static str,
    (name, flag): (&'static str, &'static str),
    takes: &'static str,
    example: &'static str,
    help: &'static str,
) -> Var {
    Var { section, name, flag, takes, default: None, example, help, applies: Applies::Restart }
}

pub(super) const OBJECTS: &[Var] = &[
    row(S3, ("REGISTRY_S3_BUCKET", "s3-bucket"), "NAME", "images", "Bucket of REGISTRY_STORAGE=s3. It must exist."),
    row(
        S3,
        ("REGISTRY_S3_ENDPOINT", "s3-endpoint"),
        "URL",
        "https://s3.example.com",
        "URL of a service that speaks S3's protocol: MinIO, Ceph, SeaweedFS, R2 and others. If not set, AWS.",
    ),
    row(
        S3,
        ("REGISTRY_S3_REGION", "s3-region"),
        "NAME",
        "eu-central-1",
        "Region of the bucket. If not set, `AWS_REGION`, `AWS_DEFAULT_REGION`, or us-east-1.",
    ),
    row(
        S3,
        ("REGISTRY_S3_ACCESS_KEY", ""),
        SECRET,
        "AKIAEXAMPLE",
        "Access key ID. If neither it nor its file is set, credentials are looked for where AWS's own tools look: `AWS_ACCESS_KEY_ID`, the profile file, a web identity, the container, the instance.",
    ),
    row(
        S3,
        ("REGISTRY_S3_ACCESS_KEY_FILE", "s3-access-key-file"),
        "PATH",
        "/run/secrets/s3-access-key",
        "File with the access key ID; read again when it changes.",
    ),
    row(S3, ("REGISTRY_S3_SECRET_KEY", ""), SECRET, "wJalrEXAMPLEKEY", "Secret access key."),
    row(
        S3,
        ("REGISTRY_S3_SECRET_KEY_FILE", "s3-secret-key-file"),
        "PATH",
        "/run/secrets/s3-secret-key",
        "File with the secret access key; read again when it changes.",
    ),
    row(
        S3,
        ("REGISTRY_S3_PREFIX", "s3-prefix"),
        "PREFIX",
        "registry",
        "What the names of all objects begin with, so that several programs can share a bucket.",
    ),
    Var {
        default: Some("true"),
        ..row(
            S3,
            ("REGISTRY_S3_PATH_STYLE", "s3-path-style"),
            "true|false",
            "false",
            "Whether the bucket is in the path of URLs (`https://s3.example.com/images`) instead of the host (`https://images.s3.example.com`).",
        )
    },
    row(
        S3,
        ("REGISTRY_S3_CA", "s3-ca"),
        "PATH",
        "/etc/wharfinger/s3-ca.crt",
        "PEM file with certificate authorities to trust for the endpoint, besides those of the system.",
    ),
    row(
        S3,
        ("REGISTRY_S3_SSE", "s3-sse"),
        "AES256|aws:kms[:KEY]",
        "AES256",
        "Server-side encryption to ask for. If not set, the bucket's own default applies.",
    ),
    row(GCS, ("REGISTRY_GCS_BUCKET", "gcs-bucket"), "NAME", "images", "Bucket of REGISTRY_STORAGE=gcs. It must exist."),
    row(GCS, ("REGISTRY_GCS_PREFIX", "gcs-prefix"), "PREFIX", "registry", "What the names of all objects begin with."),
    row(
        GCS,
        ("REGISTRY_GCS_CREDENTIALS", "gcs-credentials"),
        "PATH",
        "/run/secrets/gcs.json",
        "JSON file with the key of a service account. If not set, `GOOGLE_APPLICATION_CREDENTIALS` or the metadata server of the machine.",
    ),
    row(
        GCS,
        ("REGISTRY_GCS_ENDPOINT", "gcs-endpoint"),
        "URL",
        "https://storage.googleapis.com",
        "Another URL of the service.",
    ),
    row(
        AZURE,
        ("REGISTRY_AZURE_ACCOUNT", "azure-account"),
        "NAME",
        "exampleaccount",
        "Storage account of REGISTRY_STORAGE=azure.",
    ),
    row(
        AZURE,
        ("REGISTRY_AZURE_CONTAINER", "azure-container"),
        "NAME",
        "images",
        "Container in the account. It must exist.",
    ),
    row(
        AZURE,
        ("REGISTRY_AZURE_ACCESS_KEY", ""),
        SECRET,
        "bm90LWEta2V5",
        "Access key of the account. If neither it nor its file is set, the workload identity or managed identity of the machine.",
    ),
    row(
        AZURE,
        ("REGISTRY_AZURE_ACCESS_KEY_FILE", "azure-access-key-file"),
        "PATH",
        "/run/secrets/azure-access-key",
        "File with the access key.",
    ),
    row(
        AZURE,
        ("REGISTRY_AZURE_PREFIX", "azure-prefix"),
        "PREFIX",
        "registry",
        "What the names of all objects begin with.",
    ),
    row(
        AZURE,
        ("REGISTRY_AZURE_ENDPOINT", "azure-endpoint"),
        "URL",
        "https://exampleaccount.blob.core.windows.net",
        "Another URL of the account.",
    ),
];
