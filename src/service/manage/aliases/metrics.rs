//! The activity report as DistroFace names it.

use serde_json::{Map, Value, json};

/// Adds what programs for DistroFace read: transfers, samples and requests under its names. What a registry says of the
/// memory and the processor of its machine is not here.
pub(super) fn add_metrics(fields: &mut Map<String, Value>) {
    let totals = |name: &str| {
        let totals = &fields[name];
        let milliseconds = totals["average_seconds"].as_f64().unwrap_or_default() * 1000.0;
        json!({
            "total": totals["total"],
            "failed": totals["failed"],
            "inProgress": totals["in_progress"],
            "bytesProcessed": totals["bytes"],
            "avgDuration": milliseconds.round(),
        })
    };
    let list = |name: &str| fields.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let (samples, requests) = (list("samples"), list("requests"));
    let average = |name: &str| {
        let sum: u64 = samples.iter().filter_map(|sample| sample[name].as_u64()).sum();
        sum / (samples.len() as u64).max(1)
    };
    let sample = |sample: &Value| {
        json!({
            "timestamp": sample["time"],
            "uploadSpeed": sample["received_per_second"],
            "downloadSpeed": sample["sent_per_second"],
            "activeUploads": sample["active_uploads"],
        })
    };
    let request = |request: &Value| {
        json!({
            "timestamp": request["time"],
            "username": request["user"],
            "action": request["action"],
            "resource": resource(request),
            "method": request["method"],
            "status": request["status"],
        })
    };
    let added = [
        ("blobUploads", totals("uploads")),
        ("blobDownloads", totals("downloads")),
        (
            "performance",
            json!({ "avgUploadSpeed": average("received_per_second"), "avgDownloadSpeed": average("sent_per_second") }),
        ),
        ("timeseriesData", samples.iter().map(sample).collect()),
        ("access_logs", requests.iter().map(request).collect()),
    ];
    fields.extend(added.map(|(name, value)| (name.to_owned(), value)));
}

/// The repository with its tag or digest.
fn resource(request: &Value) -> String {
    let text = |name: &str| request[name].as_str().unwrap_or_default();
    match text("reference") {
        "" => text("repository").to_owned(),
        digest if digest.contains(':') => format!("{}@{digest}", text("repository")),
        tag => format!("{}:{tag}", text("repository")),
    }
}
