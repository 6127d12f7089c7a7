//! Progress on a terminal: a line for each transfer, and one for all of them. Elsewhere nothing is shown.

use crate::output::CommandOutput;
use client::{ProgressCallback, TransferPhase};
use indicatif::{BinaryBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

const TRANSFER: &str = "{prefix:<20} {bar:24} {binary_bytes:>11} of {binary_total_bytes} {wide_msg}";
const TOTAL: &str =
    "{prefix:<20} {bar:24} {binary_bytes:>11} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left";
const STEPS: &str = "{bar:24} {pos:>3} % {wide_msg}";

/// The lines of one command.
pub struct TransferLines {
    lines: MultiProgress,
    total: ProgressBar,
}

impl TransferLines {
    /// Lines for transfers of this many bytes.
    pub fn new(output: &CommandOutput, bytes: u64) -> Self {
        let target = match output.shows_progress {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let lines = MultiProgress::with_draw_target(target);
        let total = lines.add(ProgressBar::new(bytes).with_style(style(TOTAL)).with_prefix("total"));
        Self { lines, total }
    }

    /// A line for one transfer.
    pub fn add(&self, name: &str, bytes: u64) -> TransferLine {
        let bar = ProgressBar::new(bytes).with_style(style(TRANSFER)).with_prefix(client::escaped(name));
        TransferLine { bar: self.lines.insert_before(&self.total, bar), total: self.total.clone(), bytes }
    }

    /// Removes all lines.
    pub fn end(&self) {
        self.total.finish_and_clear();
        let _ = self.lines.clear();
    }
}

/// The line of one transfer.
pub struct TransferLine {
    bar: ProgressBar,
    total: ProgressBar,
    bytes: u64,
}

impl TransferLine {
    /// Moves the line along.
    pub fn callback(&self) -> ProgressCallback {
        let (bar, total) = (self.bar.clone(), self.total.clone());
        Arc::new(move |phase, bytes| {
            let before = bar.position();
            bar.set_position(bytes);
            match bytes.checked_sub(before) {
                Some(more) => total.inc(more),
                None => total.dec(before - bytes),
            }
            bar.set_message(match phase {
                TransferPhase::Resuming => "resuming",
                TransferPhase::Receiving | TransferPhase::Sending | TransferPhase::Complete => "",
            });
        })
    }

    /// Ends the line: all of it is there, sent or not.
    pub fn end(self) {
        self.total.inc(self.bytes.saturating_sub(self.bar.position()));
        self.bar.finish_and_clear();
    }
}

/// The lines of a migration: one for all of it, and one for each image that is being copied.
pub struct MigrationLines {
    lines: MultiProgress,
    total: ProgressBar,
    images: Mutex<HashMap<String, ProgressBar>>,
}

impl MigrationLines {
    pub fn new(output: &CommandOutput) -> Self {
        let target = match output.shows_progress {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let lines = MultiProgress::with_draw_target(target);
        let total = lines.add(ProgressBar::new(100).with_style(style(STEPS)));
        Self { lines, total, images: Mutex::default() }
    }

    /// Shows the state of a migration, as its task has it.
    pub fn show(&self, task: &Value) {
        let number = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
        let text = |value: &Value, pointer: &str| {
            client::escaped(value.pointer(pointer).and_then(Value::as_str).unwrap_or_default())
        };
        let of = |pointer: &str| number(task, pointer);
        self.total.set_position(of("/progress"));
        let ended = of("/migration/images/completed") + of("/migration/images/skipped");
        let failed = match of("/migration/images/failed") {
            0 => String::new(),
            n => format!(", {n} failed"),
        };
        self.total.set_message(match (of("/migration/images/total"), task.get("step").and_then(Value::as_str)) {
            (_, None) => text(task, "/status"),
            (0, Some(step)) => client::escaped(step),
            (all, Some(_)) => format!(
                "{ended} of {all} images{failed}, {} fetched, {}/s",
                BinaryBytes(of("/migration/bytes_fetched")),
                BinaryBytes(of("/migration/bytes_per_second"))
            ),
        });
        let running = task.pointer("/migration/running").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        let names: Vec<String> = running.iter().map(|image| text(image, "/source")).collect();
        images.retain(|name, bar| {
            let stays = names.contains(name);
            if !stays {
                bar.finish_and_clear();
                self.lines.remove(bar);
            }
            stays
        });
        for (image, name) in running.iter().zip(names) {
            let bar = images.entry(name.clone()).or_insert_with(|| {
                let bar = ProgressBar::new(0).with_style(style(TRANSFER)).with_prefix(name);
                self.lines.insert_before(&self.total, bar)
            });
            bar.set_length(number(image, "/bytes_total"));
            bar.set_position(number(image, "/bytes_fetched") + number(image, "/bytes_skipped"));
            bar.set_message(text(image, "/message"));
        }
    }

    /// Removes all lines.
    pub fn end(&self) {
        self.total.finish_and_clear();
        let _ = self.lines.clear();
    }
}

/// A line that counts to a hundred.
pub fn steps(output: &CommandOutput) -> ProgressBar {
    match output.shows_progress {
        true => ProgressBar::new(100).with_style(style(STEPS)),
        false => ProgressBar::hidden(),
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("━━─")
}
