//! All measurements as JSON.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::compare::{Comparison, Plan};
use crate::figures::Runs;
use crate::peers::Peer;
use crate::procs::machine;

fn side(runs: &Runs) -> Value {
    let mut metrics = Map::new();
    for metric in runs.metrics() {
        if let Some((median, least, most)) = runs.spread(metric) {
            let value = json!({"median": median, "min": least, "max": most, "rounds": runs.all(metric)});
            metrics.insert(metric.label().to_owned(), value);
        }
    }
    Value::Object(metrics)
}

fn comparison(comparison: &Comparison) -> Value {
    let sides: Map<String, Value> = comparison.sides.iter().map(|(label, runs)| (label.clone(), side(runs))).collect();
    let bounds: Vec<Value> = comparison
        .workload
        .bounds
        .iter()
        .map(|bound| {
            let measured = comparison.measured(bound);
            json!({"metric": bound.metric.label(), "side": bound.side, "to": bound.to,
                "bound": bound.limit.to_string(), "aim": bound.aim, "measured": measured,
                "kept": measured.map(|value| bound.limit.keeps(value))})
        })
        .collect();
    json!({"workload": comparison.workload.name, "what": comparison.workload.what, "clients": comparison.clients,
        "directory": comparison.directory, "sides": sides, "bounds": bounds,
        "not run": comparison.missing.iter().cloned().collect::<std::collections::BTreeMap<_, _>>()})
}

/// The machine, the versions, the command, and every round of every side.
pub fn json(plan: &Plan, machine_before: &Value, comparisons: &[Comparison]) -> Value {
    let versions: Map<String, Value> =
        Peer::ALL.into_iter().map(|peer| (peer.name().to_owned(), json!(plan.programs.version(peer)))).collect();
    let command: Vec<String> = std::env::args().collect();
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    json!({"machine": machine_before, "machine at the end": machine(), "unix time": time, "command": command,
        "versions": versions, "rounds": plan.rounds, "quick": plan.quick,
        "comparisons": comparisons.iter().map(comparison).collect::<Vec<_>>()})
}
