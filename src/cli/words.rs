//! Formats numbers for people.

/// A number of things: `1 tag`, `2 tags`.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Bytes in the largest binary unit that leaves a number of at least one.
pub(super) fn bytes(number: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.iter().find(|(shift, _)| number >> shift > 0) {
        Some((shift, unit)) => format!("{:.1} {unit}", number as f64 / (1u64 << shift) as f64),
        None => format!("{number} B"),
    }
}
