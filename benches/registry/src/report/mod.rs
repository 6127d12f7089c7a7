//! The results of a run as text, JSON and plots.

mod json;
mod svg;
mod table;

pub use json::json;
pub use svg::{bars, lines};
pub use table::{bounds, figures, rows};

/// A number with three significant digits.
pub fn short(value: f64) -> String {
    match value.abs() {
        v if !v.is_finite() => "–".to_owned(),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 || v == 0.0 => format!("{value:.2}"),
        v if v >= 0.1 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn numbers_are_printed_with_three_significant_digits() {
        let shown = [12345.6, 12.34, 1.234, 0.0, 0.5678, 0.01234, f64::INFINITY].map(short);
        assert_eq!(shown, ["12346", "12.3", "1.23", "0.00", "0.568", "0.0123", "–"]);
    }
}
