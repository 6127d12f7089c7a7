//! Metrics of mirrors, by rule.

use super::follow;
use crate::mirror::{MirrorCounts, MirrorFetch, MirrorResult};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry as Collector,
};

/// A rule is known by its upstream and its prefix, which are the operator's words.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RuleLabels {
    upstream: String,
    prefix: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ResultLabels {
    upstream: String,
    prefix: String,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FetchLabels {
    upstream: String,
    prefix: String,
    kind: &'static str,
}

#[derive(Default)]
pub(super) struct MirrorMetrics {
    requests: Family<ResultLabels, Counter>,
    fetches: Family<FetchLabels, Counter>,
    bytes: Family<RuleLabels, Counter>,
    errors: Family<RuleLabels, Counter>,
}

impl MirrorMetrics {
    pub(super) fn register(collector: &mut Collector) -> Self {
        let metrics = Self::default();
        let help = "Reads of clients in mirrored repositories, by what became of them";
        collector.register("mirror_requests", help, metrics.requests.clone());
        let help = "Manifests, blobs and lists of tags fetched from upstreams";
        collector.register("mirror_fetches", help, metrics.fetches.clone());
        let help = "Bytes of manifests and blobs fetched from upstreams";
        collector.register("mirror_fetched_bytes", help, metrics.bytes.clone());
        let help = "Requests to upstreams that failed, without those for what they do not have";
        collector.register("mirror_upstream_errors", help, metrics.errors.clone());
        metrics
    }

    pub(super) fn follow(&self, rules: &[MirrorCounts]) {
        for rule in rules {
            let names = || (rule.upstream.clone(), rule.prefix.clone());
            for (result, count) in MirrorResult::ALL.into_iter().zip(rule.requests) {
                let (upstream, prefix) = names();
                let labels = ResultLabels { upstream, prefix, result: result.as_str() };
                follow(&self.requests.get_or_create(&labels), count);
            }
            for (kind, count) in MirrorFetch::ALL.into_iter().zip(rule.fetches) {
                let (upstream, prefix) = names();
                let labels = FetchLabels { upstream, prefix, kind: kind.as_str() };
                follow(&self.fetches.get_or_create(&labels), count);
            }
            let (upstream, prefix) = names();
            let labels = RuleLabels { upstream, prefix };
            follow(&self.bytes.get_or_create(&labels), rule.bytes);
            follow(&self.errors.get_or_create(&labels), rule.errors);
        }
    }
}
