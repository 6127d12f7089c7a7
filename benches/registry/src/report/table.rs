//! Tables in Markdown, aligned so that they can be read in a terminal too.

use super::short;
use crate::compare::Comparison;
use crate::figures::{Metric, Runs};
use crate::work::Limit;

/// A table of these rows; the first one is the heading.
pub fn rows(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0).max(3)).collect();
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        text.push('|');
        for (column, width) in widths.iter().enumerate() {
            let cell = row.get(column).map_or("", String::as_str);
            let gap = " ".repeat(width - cell.chars().count());
            // Numbers are aligned to the right.
            if column == 0 { text += &format!(" {cell}{gap} |") } else { text += &format!(" {gap}{cell} |") }
        }
        text.push('\n');
        if at == 0 {
            text.push('|');
            for (column, width) in widths.iter().enumerate() {
                let dashes = "-".repeat(width + 1);
                text += &if column == 0 { format!("{dashes}-|") } else { format!("{dashes}:|") };
            }
            text.push('\n');
        }
    }
    text
}

/// Median, least and greatest value of every metric, with a row for each side.
pub fn figures(sides: &[(String, Runs)]) -> String {
    let mut metrics: Vec<Metric> = sides.iter().flat_map(|(_, runs)| runs.metrics()).collect();
    metrics.sort_unstable();
    metrics.dedup();
    // A column of zero errors is left out.
    metrics.retain(|metric| {
        *metric != Metric::Errors || sides.iter().any(|(_, runs)| runs.all(*metric).iter().any(|errors| *errors > 0.0))
    });
    let heading = std::iter::once(String::new()).chain(metrics.iter().map(|metric| metric.label().to_owned()));
    let mut table = vec![heading.collect()];
    for (label, runs) in sides {
        let cell = |metric: &Metric| match runs.spread(*metric) {
            None => "–".to_owned(),
            Some((middle, _, _)) if runs.0.len() < 2 => short(middle),
            Some((middle, least, most)) => format!("{} [{}..{}]", short(middle), short(least), short(most)),
        };
        table.push(std::iter::once(label.clone()).chain(metrics.iter().map(cell)).collect());
    }
    rows(&table)
}

/// Every bound with the measured value.
pub fn bounds(comparisons: &[Comparison]) -> String {
    let heading = ["workload", "clients", "figure", "bound", "aim", "measured", "kept"];
    let mut table = vec![heading.map(str::to_owned).to_vec()];
    for comparison in comparisons {
        for bound in comparison.workload.bounds {
            let measured = comparison.measured(bound);
            let figure = match bound.to {
                Some(other) => format!("{}, {} / {other}", bound.metric.label(), bound.side),
                None => format!("{}, {}", bound.metric.label(), bound.side),
            };
            let kept = match measured {
                None => "not measured",
                Some(_) if bound.limit == Limit::NONE => "–",
                Some(value) if bound.limit.keeps(value) => "yes",
                Some(_) => "NO",
            };
            table.push(vec![
                comparison.workload.name.to_owned(),
                comparison.clients.to_string(),
                figure,
                bound.limit.to_string(),
                bound.aim.to_owned(),
                measured.map_or("–".to_owned(), short),
                kept.to_owned(),
            ]);
        }
    }
    rows(&table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Figures;

    #[test]
    fn a_table_is_aligned_and_has_a_line_below_its_heading() {
        let table = rows(&[vec![String::new(), "µs".into()], vec!["nginx".into(), "5".into()], vec!["x".into()]]);
        assert_eq!(table, "|       |  µs |\n|-------|----:|\n| nginx |   5 |\n| x     |     |\n");
    }

    #[test]
    fn figures_are_medians_with_their_spread_and_errors_show_when_there_are_some() {
        let figures_of = |value, errors| Figures::from([(Metric::MbPerS, value), (Metric::Errors, errors)]);
        let runs = Runs(vec![figures_of(1.0, 0.0), figures_of(3.0, 0.0), figures_of(2.0, 0.0)]);
        let text = figures(&[("a".to_owned(), runs)]);
        assert!(text.contains("2.00 [1.00..3.00]") && !text.contains("errors"), "{text}");
        let text = figures(&[("a".to_owned(), Runs(vec![figures_of(1.0, 4.0)]))]);
        assert!(text.contains("errors") && text.contains("4.00"), "{text}");
    }
}
