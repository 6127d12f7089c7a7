//! `wharf admin outbox`: what is written to an SFTP server later.

use crate::{
    failure::{ExitStatus, Failure},
    lists::{OUTBOX, OUTBOX_TOTALS},
    management::Management,
    output::OutputFormat,
    session::CommandSession,
};
use serde_json::Value;

/// What is still to be written to the SFTP server.
pub async fn outbox_report(management: &Management) -> Result<Value, Failure> {
    match management.get("/storage/outbox").await {
        Err(failure) if failure.status == ExitStatus::NotFound => {
            let message = "this server has no outbox: it writes nothing later to an SFTP server";
            Err(Failure { message: message.to_owned(), ..failure })
        }
        report => report,
    }
}

/// Prints the totals and the first writes.
pub(super) async fn show(session: &CommandSession, management: &Management) -> Result<(), Failure> {
    let report = outbox_report(management).await?;
    let items = report.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    if session.output.is_quiet {
        return session.output.list(&items, OUTBOX, "/key");
    }
    if !matches!(session.output.format, OutputFormat::Table | OutputFormat::Wide) {
        return session.output.one(&report, OUTBOX_TOTALS, "/writes");
    }
    session.output.one(&report, OUTBOX_TOTALS, "/writes")?;
    if items.is_empty() {
        session.output.note("The SFTP server has everything.");
        return Ok(());
    }
    session.output.line("")?;
    session.output.list(&items, OUTBOX, "/key")
}
