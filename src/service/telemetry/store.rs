//! Metrics of the state of the storage.

use crate::{files::Syncing, storage::StoreHealth};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry as Collector,
};
use std::sync::atomic::Ordering;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Mode {
    mode: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct What {
    what: &'static str,
}

pub(super) struct Store {
    state: Family<StateLabel, Gauge>,
    durability: Family<Mode, Gauge>,
    syncs: Family<What, Counter>,
    shared: Counter,
}

impl Store {
    pub(super) fn register(collector: &mut Collector) -> Self {
        let store = Self {
            state: Family::default(),
            durability: Family::default(),
            syncs: Family::default(),
            shared: Counter::default(),
        };
        let help = "1 for the state of the store; degraded: writes are refused";
        collector.register("store_state", help, store.state.clone());
        let help = "1 for the active durability (storage.durability)";
        collector.register("store_durability", help, store.durability.clone());
        collector.register("store_syncs", "Syncs of files and of directories", store.syncs.clone());
        let help = "Directory syncs that several requests shared";
        collector.register("store_syncs_shared", help, store.shared.clone());
        store
    }

    pub(super) fn set(&self, health: &StoreHealth) {
        for (state, is) in [("ok", health.trouble.is_none()), ("degraded", health.trouble.is_some())] {
            self.state.get_or_create(&StateLabel { state }).set(i64::from(is));
        }
        for mode in Syncing::ALL {
            let is = mode == health.syncing;
            self.durability.get_or_create(&Mode { mode: mode.as_str() }).set(i64::from(is));
        }
        for (what, count) in [("data", health.syncs.data), ("directory", health.syncs.directory)] {
            self.syncs.get_or_create(&What { what }).inner().store(count, Ordering::Relaxed);
        }
        self.shared.inner().store(health.syncs.shared, Ordering::Relaxed);
    }
}
