//! Tables: aligned, and on a terminal no wider than it.

use super::Column;
use serde_json::Value;
use std::io::{self, Write};

/// Between two columns.
const GAP: &str = "  ";

/// A column is cut to no less than this.
const LEAST: usize = 8;

/// Writes a table. With a width, the widest columns are cut until it fits; without one, nothing is cut.
pub(super) fn write(
    out: &mut impl Write,
    items: &[Value],
    columns: &[Column],
    is_wide: bool,
    width: Option<usize>,
) -> io::Result<()> {
    let columns: Vec<&Column> = columns.iter().filter(|column| column.is_in_table(is_wide)).collect();
    let rows = items.iter().map(|item| columns.iter().map(|column| column.shown(item)).collect());
    let rows: Vec<Vec<String>> = rows.collect();
    let of = |i: usize, title: &str| {
        rows.iter().map(|row| console::measure_text_width(&row[i])).fold(title.len(), usize::max)
    };
    let mut widths: Vec<usize> = columns.iter().enumerate().map(|(i, column)| of(i, column.title)).collect();
    if let Some(width) = width.filter(|_| !is_wide) {
        fit(&mut widths, width);
    }
    let titles = columns.iter().map(|column| column.title.to_owned()).collect();
    for row in std::iter::once(&titles).chain(&rows) {
        write_row(out, row, &columns, &widths)?;
    }
    Ok(())
}

fn write_row(out: &mut impl Write, row: &[String], columns: &[&Column], widths: &[usize]) -> io::Result<()> {
    let mut line = String::new();
    for (i, (cell, column)) in row.iter().zip(columns).enumerate() {
        let cell = console::truncate_str(cell, widths[i], "…");
        let alignment = if column.is_right() { console::Alignment::Right } else { console::Alignment::Left };
        if i > 0 {
            line.push_str(GAP);
        }
        line.push_str(&console::pad_str(&cell, widths[i], alignment, None));
    }
    writeln!(out, "{}", line.trim_end())
}

/// Cuts the widest column, again and again, until all fit.
fn fit(widths: &mut [usize], width: usize) {
    let gaps = GAP.len() * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > width {
        let Some(widest) = widths.iter_mut().max().filter(|widest| **widest > LEAST) else { return };
        *widest -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{super::ColumnKind, *};
    use serde_json::json;

    const COLUMNS: &[Column] = &[
        Column::text("NAME", "/name"),
        Column::of("SIZE", "/size", ColumnKind::Bytes),
        Column::text("OWNER", "/owner").wide(),
    ];

    fn table(is_wide: bool, width: Option<usize>) -> String {
        let items = [
            json!({ "name": "team/app", "size": 1536, "owner": "alice" }),
            json!({ "name": "team/an-application-with-a-long-name", "size": 5, "owner": null }),
        ];
        let mut out = Vec::new();
        write(&mut out, &items, COLUMNS, is_wide, width).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_in_a_pipe_is_not_cut() {
        assert_eq!(
            table(false, None),
            "NAME                                      SIZE\n\
             team/app                              1.50 KiB\n\
             team/an-application-with-a-long-name       5 B\n"
        );
        assert!(table(true, Some(20)).contains("alice"));
    }

    #[test]
    fn a_table_on_a_terminal_fits_it() {
        let table = table(false, Some(30));
        assert!(table.lines().all(|line| console::measure_text_width(line) <= 30), "{table}");
        assert!(table.contains("team/an-application…"), "{table}");
    }
}
