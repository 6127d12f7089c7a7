//! Plots for the documentation: bars for the sides of a comparison, lines over the number of clients.

use super::short;
use crate::compare::Comparison;
use crate::figures::Metric;

const COLOURS: [&str; 6] = ["#1f6f8b", "#999999", "#c6c6c6", "#d98e04", "#7a5195", "#5b8c5a"];
const WIDTH: f64 = 720.0;
/// Where labels end and bars begin.
const LEFT: f64 = 190.0;
const RIGHT: f64 = 120.0;
const ROW: f64 = 26.0;

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn text(x: f64, y: f64, anchor: &str, size: u32, what: &str) -> String {
    let what = escape(what);
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\">{what}</text>\n")
}

fn document(height: f64, inside: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" \
         font-family=\"sans-serif\" fill=\"#222\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{inside}</svg>\n"
    )
}

/// Bars for the medians, with a line from least to greatest, for each metric that a workload plots.
pub fn bars(comparison: &Comparison) -> String {
    let workload = comparison.workload;
    let title = format!("{} ({} clients): {}", workload.name, comparison.clients, workload.what);
    let mut inside = text(12.0, 22.0, "start", 12, &title);
    let mut y = 40.0;
    for metric in workload.plots {
        let values: Vec<_> =
            comparison.sides.iter().filter_map(|(label, runs)| Some((label, runs.spread(*metric)?))).collect();
        let most = values.iter().map(|(_, (_, _, most))| *most).fold(f64::MIN_POSITIVE, f64::max);
        let scale = (WIDTH - LEFT - RIGHT) / most;
        y += 14.0;
        inside += &text(12.0, y, "start", 12, metric.label());
        y += 8.0;
        for (at, (label, (middle, least, most))) in values.iter().enumerate() {
            let colour = COLOURS[at % COLOURS.len()];
            let centre = y + ROW / 2.0;
            inside += &text(LEFT - 8.0, centre + 4.0, "end", 12, label);
            inside += &format!(
                "<rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{}\" fill=\"{colour}\"/>\n",
                y + 4.0,
                middle * scale,
                ROW - 8.0
            );
            inside += &format!(
                "<line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{centre:.1}\" y2=\"{centre:.1}\" stroke=\"#222\"/>\n",
                LEFT + least * scale,
                LEFT + most * scale
            );
            inside += &text(LEFT + most * scale + 6.0, centre + 4.0, "start", 12, &short(*middle));
            y += ROW;
        }
        y += 8.0;
    }
    document(y + 8.0, &inside)
}

/// One metric of a workload over the number of clients, evenly spaced; a line for each side.
pub fn lines(comparisons: &[&Comparison], metric: Metric) -> String {
    const HEIGHT: f64 = 300.0;
    const TOP: f64 = 50.0;
    let mut labels: Vec<&String> =
        comparisons.iter().flat_map(|one| one.sides.iter().map(|(label, _)| label)).collect();
    labels.sort();
    labels.dedup();
    let value = |one: &Comparison, label: &str| {
        one.sides
            .iter()
            .find(|(side, _)| side == label)
            .and_then(|(_, runs)| runs.spread(metric))
            .map(|spread| spread.0)
    };
    let all = comparisons.iter().flat_map(|one| labels.iter().filter_map(|label| value(one, label)));
    let most = all.fold(f64::MIN_POSITIVE, f64::max);
    let step = (WIDTH - 60.0 - LEFT) / (comparisons.len().max(2) - 1) as f64;
    let place = |at: usize, value: f64| (60.0 + at as f64 * step, TOP + HEIGHT * (1.0 - value / most));
    let title =
        comparisons.first().map_or(String::new(), |one| format!("{}: {}", one.workload.name, one.workload.what));
    let mut inside = text(12.0, 22.0, "start", 12, &title);
    inside += &text(12.0, 40.0, "start", 12, &format!("{} over clients", metric.label()));
    for part in [0.0, 0.5, 1.0] {
        let (_, y) = place(0, most * part);
        inside +=
            &format!("<line x1=\"60\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\n", WIDTH - LEFT);
        inside += &text(54.0, y + 4.0, "end", 11, &short(most * part));
    }
    for (at, one) in comparisons.iter().enumerate() {
        inside += &text(place(at, 0.0).0, TOP + HEIGHT + 18.0, "middle", 11, &one.clients.to_string());
    }
    for (row, label) in labels.iter().enumerate() {
        let colour = COLOURS[row % COLOURS.len()];
        let points = comparisons.iter().enumerate().filter_map(|(at, one)| Some(place(at, value(one, label)?)));
        let points: Vec<String> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        inside += &format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n",
            points.join(" ")
        );
        let y = TOP + 16.0 * row as f64;
        let x = WIDTH - LEFT + 12.0;
        inside += &format!("<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"10\" height=\"10\" fill=\"{colour}\"/>\n", y - 9.0);
        inside += &text(x + 16.0, y, "start", 12, label);
    }
    document(TOP + HEIGHT + 32.0, &inside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{Figures, Runs};
    use crate::work::WORKLOADS;

    fn comparison(clients: usize) -> Comparison {
        let workload = &WORKLOADS[0];
        let figures = |value| Figures::from(workload.plots.iter().map(|metric| (*metric, value)).collect::<Figures>());
        let side = |label: &str, value| (label.to_owned(), Runs(vec![figures(value)]));
        let sides = vec![side("wharfinger", 1.0), side("<nginx>", 2.0)];
        Comparison { workload, clients, directory: "/tmp".into(), sides, missing: Vec::new() }
    }

    #[test]
    fn a_plot_names_every_side_and_escapes_what_svg_does_not_take() {
        for plot in [bars(&comparison(4)), lines(&[&comparison(1), &comparison(4)], Metric::MbPerS)] {
            assert!(plot.starts_with("<svg") && plot.trim_end().ends_with("</svg>"));
            assert!(plot.contains("wharfinger") && plot.contains("&lt;nginx&gt;"));
            assert!(!plot.contains("NaN") && !plot.contains("inf"));
        }
    }
}
