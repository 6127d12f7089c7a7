//! The workloads by name, with the bounds for Wharfinger.

use super::lists::Names;
use super::{Bound, Limit, MIB, Place, Workload, beside, lists, small, state, transfer};
use crate::figures::Metric;
use crate::loader::Upload;
use Limit::{AtLeast, AtMost};

/// Limits the ratio of our figure to that of another side.
const fn over(metric: Metric, to: &'static str, limit: Limit, aim: &'static str) -> Bound {
    Bound { metric, side: "wharfinger", to: Some(to), limit, aim }
}

/// Limits our figure itself.
const fn alone(metric: Metric, limit: Limit, aim: &'static str) -> Bound {
    Bound { metric, side: "wharfinger", to: None, limit, aim }
}

const READERS: &[&str] = &["wharfinger", "nginx", "nginx+cache", "docker-registry", "distribution", "zot"];
const REGISTRIES: &[&str] = &["wharfinger", "docker-registry", "distribution", "zot"];
const PUSHERS: &[&str] = &["wharfinger", "floor", "docker-registry", "distribution", "zot"];

/// A manifest, by its digest or by a tag.
const MANIFEST: &[Bound] = &[
    over(Metric::CpuPerRequest, "nginx", AtMost(2.0), ""),
    over(Metric::CpuPerRequest, "nginx+cache", AtMost(2.0), ""),
    over(Metric::CpuPerRequest, "docker-registry", AtMost(0.02), ""),
    alone(Metric::CpuPerRequest, Limit::NONE, "≤ 10"),
];

/// A page of the catalog, for any user.
const CATALOG: &[Bound] =
    &[Bound { metric: Metric::P50, side: "wharfinger+basic", to: None, limit: AtMost(5.0), aim: "flat in position" }];

/// All workloads; those with bounds first.
pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "pull-256m",
        what: "warm blob of 256 MiB",
        clients: 4,
        place: Place::Disk,
        sides: READERS,
        plots: &[Metric::CpuPerGb, Metric::MbPerS],
        bounds: &[
            over(Metric::CpuPerGb, "nginx", AtMost(1.4), "1.05"),
            over(Metric::CpuPerGb, "docker-registry", AtMost(0.3), ""),
            over(Metric::MbPerS, "nginx", AtLeast(0.65), "0.9"),
            over(Metric::MbPerS, "docker-registry", AtLeast(2.0), ""),
        ],
        prepare: |setup| transfer::pull(setup, 256 * MIB),
    },
    Workload {
        name: "cold-pull-1g",
        what: "small GETs (open loop, 500/s) beside cold pulls of 1 GiB, one for each client",
        clients: 2,
        place: Place::Disk,
        sides: &["wharfinger", "nginx", "docker-registry", "distribution", "zot"],
        plots: &[Metric::Max, Metric::P50],
        bounds: &[over(Metric::Max, "nginx", AtMost(1.5), "below 1")],
        prepare: beside::cold,
    },
    Workload {
        name: "manifest-digest",
        what: "manifest by digest",
        clients: 64,
        place: Place::Disk,
        sides: READERS,
        plots: &[Metric::CpuPerRequest, Metric::RequestsPerS],
        bounds: MANIFEST,
        prepare: |setup| small::manifest(setup, false),
    },
    Workload {
        name: "manifest-tag",
        what: "manifest by tag",
        clients: 64,
        place: Place::Disk,
        sides: READERS,
        plots: &[Metric::CpuPerRequest, Metric::RequestsPerS],
        bounds: MANIFEST,
        prepare: |setup| small::manifest(setup, true),
    },
    Workload {
        name: "manifest-tmpfs",
        what: "manifest by tag on tmpfs, which cannot say what is in memory",
        clients: 64,
        place: Place::Tmpfs,
        sides: &["wharfinger", "nginx", "nginx+cache"],
        plots: &[Metric::CpuPerRequest, Metric::RequestsPerS],
        bounds: &[over(Metric::CpuPerRequest, "nginx", AtMost(2.0), "")],
        prepare: |setup| small::manifest(setup, true),
    },
    Workload {
        name: "manifest-basic",
        what: "manifest by tag with Basic, bcrypt of cost 10",
        clients: 64,
        place: Place::Disk,
        sides: &["wharfinger+basic", "wharfinger", "docker-registry+basic", "distribution+basic", "zot+basic"],
        plots: &[Metric::CpuPerRequest, Metric::RequestsPerS],
        bounds: &[
            Bound {
                metric: Metric::CpuPerRequest,
                side: "wharfinger+basic",
                to: Some("wharfinger"),
                limit: AtMost(1.3),
                aim: "",
            },
            Bound {
                metric: Metric::RequestsPerS,
                side: "wharfinger+basic",
                to: Some("docker-registry+basic"),
                limit: AtLeast(1000.0),
                aim: "",
            },
        ],
        prepare: |setup| small::manifest(setup, true),
    },
    Workload {
        name: "push-256m",
        what: "new blobs of 256 MiB, POST and PUT, four one after the other",
        clients: 1,
        place: Place::Tmpfs,
        sides: PUSHERS,
        plots: &[Metric::CpuPerGb, Metric::MbPerS],
        bounds: &[
            over(Metric::CpuPerGb, "floor", AtMost(1.3), "1.1"),
            over(Metric::MbPerS, "docker-registry", AtLeast(2.5), ""),
        ],
        prepare: |setup| transfer::push(setup, 256 * MIB, Upload::Put, 4),
    },
    Workload {
        name: "push-patches",
        what: "new blobs of 256 MiB in 32 PATCHes and a PUT, two one after the other",
        clients: 1,
        place: Place::Tmpfs,
        sides: PUSHERS,
        plots: &[Metric::MbPerS, Metric::CpuPerGb],
        bounds: &[over(Metric::MbPerS, "docker-registry", AtLeast(2.5), "")],
        prepare: |setup| transfer::push(setup, 256 * MIB, Upload::Patches(32), 2),
    },
    Workload {
        name: "push-256m-4",
        what: "new blobs of 256 MiB, POST and PUT, from four clients",
        clients: 4,
        place: Place::Tmpfs,
        sides: PUSHERS,
        plots: &[Metric::MbPerS, Metric::CpuPerGb],
        bounds: &[over(Metric::MbPerS, "docker-registry", AtLeast(2.0), "")],
        prepare: |setup| transfer::push(setup, 256 * MIB, Upload::Put, 2),
    },
    Workload {
        name: "small-images",
        what: "new images of three layers of 4 KiB, on a disk, each answer durable",
        clients: 16,
        place: Place::Disk,
        sides: REGISTRIES,
        plots: &[Metric::OperationsPerS, Metric::CpuPerRequest],
        bounds: &[over(Metric::OperationsPerS, "docker-registry", AtLeast(5.0), "20")],
        prepare: small::images,
    },
    Workload {
        name: "memory-push",
        what: "100 pushes of 64 MiB at once",
        clients: 100,
        place: Place::Tmpfs,
        sides: REGISTRIES,
        plots: &[Metric::Anon],
        bounds: &[alone(Metric::Anon, AtMost(48.0), "")],
        prepare: |setup| transfer::push(setup, 64 * MIB, Upload::Put, 1),
    },
    Workload {
        name: "memory-pull",
        what: "100 pulls of 64 MiB at once, three one after the other",
        clients: 100,
        place: Place::Disk,
        sides: REGISTRIES,
        plots: &[Metric::Anon],
        bounds: &[alone(Metric::Anon, AtMost(32.0), "")],
        prepare: |setup| transfer::pull_at_once(setup, 64 * MIB, 3),
    },
    Workload {
        name: "idle",
        what: "three seconds after a start; also the program's size",
        clients: 1,
        place: Place::Tmpfs,
        sides: REGISTRIES,
        plots: &[Metric::Rss],
        bounds: &[alone(Metric::Rss, AtMost(15.0), ""), alone(Metric::ProgramMb, AtMost(15.0), "≤ 10")],
        prepare: state::idle,
    },
    Workload {
        name: "ready",
        what: "a start with 1,000,000 blobs",
        clients: 1,
        place: Place::Disk,
        sides: &["wharfinger"],
        plots: &[Metric::Ready],
        bounds: &[alone(Metric::Ready, AtMost(50.0), "")],
        prepare: state::ready,
    },
    Workload {
        name: "catalog-admin",
        what: "pages of 100 anywhere in 100,000 repositories org/app, for an administrator",
        clients: 1,
        place: Place::Tmpfs,
        sides: &["wharfinger+basic"],
        plots: &[Metric::P50, Metric::P99],
        bounds: CATALOG,
        prepare: |setup| lists::catalog(setup, Names::Nested, true),
    },
    Workload {
        name: "catalog-one",
        what: "the catalog of 100,000 repositories org/app, for a caller who may see one",
        clients: 1,
        place: Place::Tmpfs,
        sides: &["wharfinger+basic"],
        plots: &[Metric::P50, Metric::P99],
        bounds: CATALOG,
        prepare: |setup| lists::catalog(setup, Names::Nested, false),
    },
    Workload {
        name: "catalog-flat",
        what: "pages of 100 anywhere in 100,000 repositories without a slash",
        clients: 1,
        place: Place::Tmpfs,
        sides: &["wharfinger"],
        plots: &[Metric::P50, Metric::P99],
        bounds: &[alone(Metric::P50, Limit::NONE, "≤ 50")],
        prepare: |setup| lists::catalog(setup, Names::Flat, true),
    },
    Workload {
        name: "tags",
        what: "pages of 100 anywhere in 100,000 tags, and the first one after a start",
        clients: 1,
        place: Place::Tmpfs,
        sides: &["wharfinger"],
        plots: &[Metric::P50, Metric::P99],
        bounds: &[alone(Metric::P50, AtMost(2.0), ""), alone(Metric::First, AtMost(100.0), "")],
        prepare: lists::tags,
    },
    Workload {
        name: "upkeep",
        what: "HEADs and pulls, open loop at a quarter of capacity, while collections and checks run",
        clients: 16,
        place: Place::Disk,
        sides: &["wharfinger+rest+upkeep", "wharfinger+rest"],
        plots: &[Metric::P99, Metric::P50],
        bounds: &[Bound {
            metric: Metric::P99,
            side: "wharfinger+rest+upkeep",
            to: Some("wharfinger+rest"),
            limit: AtMost(1.2),
            aim: "1",
        }],
        prepare: beside::upkeep,
    },
    Workload {
        name: "tls-pull-256m",
        what: "warm blob of 256 MiB over TLS",
        clients: 4,
        place: Place::Disk,
        sides: &["wharfinger+tls", "nginx+tls", "docker-registry+tls", "distribution+tls", "zot+tls"],
        plots: &[Metric::CpuPerGb, Metric::MbPerS],
        bounds: &[Bound {
            metric: Metric::CpuPerGb,
            side: "wharfinger+tls",
            to: Some("nginx+tls"),
            limit: AtMost(1.1),
            aim: "0.8",
        }],
        prepare: |setup| transfer::pull(setup, 256 * MIB),
    },
    Workload {
        name: "push-one-patch",
        what: "new blobs of 256 MiB in one PATCH and a PUT, two one after the other",
        clients: 1,
        place: Place::Tmpfs,
        sides: PUSHERS,
        plots: &[Metric::MbPerS, Metric::CpuPerGb],
        bounds: &[],
        prepare: |setup| transfer::push(setup, 256 * MIB, Upload::Patches(1), 2),
    },
    Workload {
        name: "heads",
        what: "HEADs of layers that are there, as pushes begin",
        clients: 64,
        place: Place::Disk,
        sides: READERS,
        plots: &[Metric::CpuPerRequest, Metric::RequestsPerS],
        bounds: &[],
        prepare: small::heads,
    },
    Workload {
        name: "image-pull",
        what: "images of eight layers of 1 MiB by tag",
        clients: 16,
        place: Place::Disk,
        sides: READERS,
        plots: &[Metric::OperationsPerS, Metric::CpuPerGb],
        bounds: &[],
        prepare: small::image_pulls,
    },
    Workload {
        name: "image-push-shared",
        what: "new images of eight layers of 1 MiB, six of them shared",
        clients: 4,
        place: Place::Tmpfs,
        sides: REGISTRIES,
        plots: &[Metric::OperationsPerS, Metric::CpuPerGb],
        bounds: &[],
        prepare: small::shared_images,
    },
    Workload {
        name: "mixed",
        what: "40 % manifests, 30 % HEADs, 20 % layers of 1 MiB, 10 % pushes of 64 KiB",
        clients: 16,
        place: Place::Tmpfs,
        sides: REGISTRIES,
        plots: &[Metric::OperationsPerS, Metric::CpuPerRequest],
        bounds: &[],
        prepare: small::mixed,
    },
    Workload {
        name: "idle-connections",
        what: "so many connections that wait for their next request",
        clients: 1000,
        place: Place::Tmpfs,
        sides: &["wharfinger", "nginx", "docker-registry", "distribution", "zot"],
        plots: &[Metric::Anon],
        bounds: &[],
        prepare: state::idle_connections,
    },
];
