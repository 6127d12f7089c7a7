//! Pictures of screens for the documentation.

use super::fake::Desk;
use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::Cell,
    style::{Color, Modifier},
};
use std::{fmt::Write as _, fs, path::PathBuf};
use wharf::tui::{
    draw::draw,
    theme::{ColorDepth, TuiTheme},
};

/// The size of a cell in pixels.
const CELL: (f32, f32) = (8.4, 18.0);

#[test]
#[ignore = "writes docs/screens/tui-*.svg"]
fn write_the_screens() {
    for (name, keys) in [
        ("home", ""),
        ("repositories", "l"),
        ("tags", "l<Enter>"),
        ("image", "l<Enter><Enter>j<Enter>L"),
        ("users", "llj<Enter>"),
        ("tasks", "5"),
        ("activity", "6<Enter>"),
        ("delete", "ldteam/"),
        ("help", "?"),
    ] {
        let mut desk = Desk::tame();
        desk.app.theme = TuiTheme::named("dark", ColorDepth::True).unwrap();
        desk.types(keys);
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/screens/tui-{name}.svg"));
        fs::write(path, picture(&mut desk)).unwrap();
    }
}

/// The screen as SVG.
fn picture(desk: &mut Desk) -> String {
    let mut terminal = Terminal::new(TestBackend::new(100, 30)).unwrap();
    terminal.draw(|frame| draw(&mut desk.app, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let (width, height) = (100.0 * CELL.0, 30.0 * CELL.1);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"{}\"/>\n",
        hex(desk.app.theme.text.bg.unwrap())
    );
    for y in 0..30 {
        let mut x = 0;
        while x < 100 {
            let first = &buffer[(x, y)];
            let mut text = String::new();
            let start = x;
            while x < 100 && looks(&buffer[(x, y)]) == looks(first) {
                text.push_str(buffer[(x, y)].symbol());
                x += 1;
            }
            run(&mut svg, first, &text, (start, y), x - start, hex(desk.app.theme.text.bg.unwrap()));
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn looks(cell: &Cell) -> (Color, Color, Modifier) {
    (cell.fg, cell.bg, cell.modifier)
}

fn run(svg: &mut String, cell: &Cell, text: &str, at: (u16, u16), columns: u16, ground: String) {
    let (x, y) = (f32::from(at.0) * CELL.0, f32::from(at.1) * CELL.1);
    let width = f32::from(columns) * CELL.0;
    if hex(cell.bg) != ground {
        writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{}\" fill=\"{}\"/>",
            CELL.1,
            hex(cell.bg)
        )
        .unwrap();
    }
    if text.trim().is_empty() {
        return;
    }
    let weight = if cell.modifier.contains(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{width:.1}\" xml:space=\"preserve\" fill=\"{}\"{weight}>{text}</text>",
        y + 13.5,
        hex(cell.fg)
    )
    .unwrap();
}

fn hex(color: Color) -> String {
    match color {
        Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
        other => panic!("{other:?} has no number"),
    }
}
