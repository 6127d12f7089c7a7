//! Colours, for terminals with millions of them, 256, 16 or none.

use crate::{config::TuiConfig, failure::Failure};
use ratatui::style::{Color, Modifier, Style};
use std::env;

/// The themes by name.
pub const THEMES: &[&str] = &["terminal", "dark", "light", "mono"];

/// How many colours the terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ColorDepth {
    None,
    Sixteen,
    Indexed,
    True,
}

/// A style for each kind of thing on the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TuiTheme {
    pub name: &'static str,
    pub text: Style,
    pub dim: Style,
    pub title: Style,
    pub heading: Style,
    pub selected: Style,
    pub marked: Style,
    pub border: Style,
    pub active_border: Style,
    pub insert_border: Style,
    pub good: Style,
    pub warning: Style,
    pub bad: Style,
    pub key: Style,
}

impl ColorDepth {
    /// What the environment says about the terminal.
    pub fn of_terminal(no_color: bool) -> Self {
        let variable = |name: &str| env::var(name).unwrap_or_default();
        Self::of(no_color || !variable("NO_COLOR").is_empty(), &variable("TERM"), &variable("COLORTERM"))
    }

    fn of(no_color: bool, term: &str, colorterm: &str) -> Self {
        match () {
            () if no_color || term == "dumb" || term.starts_with("vt") => Self::None,
            () if matches!(colorterm, "truecolor" | "24bit") || term.ends_with("-direct") => Self::True,
            () if term.contains("256") => Self::Indexed,
            () => Self::Sixteen,
        }
    }
}

impl TuiTheme {
    /// The theme of the configuration, or the named one.
    pub fn choose(name: Option<&str>, config: &TuiConfig, depth: ColorDepth) -> Result<Self, Failure> {
        let name = name.or(config.theme.as_deref()).unwrap_or("terminal");
        let mut theme = Self::named(name, depth).ok_or_else(|| unknown(name))?;
        if theme.name == "mono" {
            return Ok(theme);
        }
        let color = |field: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => match text.parse::<Color>() {
                Ok(color) => Ok(Some(lowered(color, depth))),
                Err(_) => Err(Failure::usage(format!(
                    "[tui] {field} = {text:?} is not a colour: write a name such as blue, or #rrggbb"
                ))),
            },
        };
        if let Some(foreground) = color("foreground", &config.foreground)? {
            theme.text = theme.text.fg(foreground);
        }
        if let Some(background) = color("background", &config.background)? {
            theme.text = theme.text.bg(background);
        }
        if let Some(highlight) = color("highlight", &config.highlight)? {
            theme.title = theme.title.fg(highlight);
            theme.active_border = theme.active_border.fg(highlight);
            theme.key = theme.key.fg(highlight);
            theme.selected = theme.selected.bg(highlight).fg(readable_on(highlight));
        }
        Ok(theme)
    }

    /// A theme by its name. A terminal without colours has one theme only.
    pub fn named(name: &str, depth: ColorDepth) -> Option<Self> {
        let theme = match *THEMES.iter().find(|known| **known == name)? {
            _ if depth == ColorDepth::None => mono(),
            "terminal" => terminal(),
            "dark" => {
                painted("dark", depth, [0xd8dee9, 0x1d2129, 0x7b8494, 0x88c0d0, 0x3b4a5f, 0xa3be8c, 0xebcb8b, 0xe06c75])
            }
            "light" => painted(
                "light",
                depth,
                [0x24292f, 0xffffff, 0x6e7781, 0x0550ae, 0xd0e3ff, 0x116329, 0x9a6700, 0xcf222e],
            ),
            _ => mono(),
        };
        Some(theme)
    }
}

fn unknown(name: &str) -> Failure {
    Failure::usage(format!("there is no theme {name:?}: choose {}", THEMES.join(", ")))
}

/// The colours that the terminal itself has been given.
fn terminal() -> TuiTheme {
    let plain = Style::reset();
    let of = |color: Color| plain.fg(color);
    TuiTheme {
        name: "terminal",
        text: plain,
        dim: of(Color::DarkGray),
        title: of(Color::Cyan).add_modifier(Modifier::BOLD),
        heading: plain.add_modifier(Modifier::BOLD),
        selected: Style::new().fg(Color::Black).bg(Color::Cyan),
        marked: of(Color::Yellow),
        border: of(Color::DarkGray),
        active_border: of(Color::Cyan),
        insert_border: of(Color::Yellow),
        good: of(Color::Green),
        warning: of(Color::Yellow),
        bad: of(Color::Red),
        key: of(Color::Cyan),
    }
}

/// A theme with a background of its own: text, background, dim, highlight, selection, good, warning, bad.
fn painted(name: &'static str, depth: ColorDepth, colors: [u32; 8]) -> TuiTheme {
    let [text, background, dim, highlight, selection, good, warning, bad] =
        colors.map(|rgb| lowered(Color::from_u32(rgb), depth));
    let plain = Style::new().fg(text).bg(background);
    let of = |color: Color| plain.fg(color);
    TuiTheme {
        name,
        text: plain,
        dim: of(dim),
        title: of(highlight).add_modifier(Modifier::BOLD),
        heading: plain.add_modifier(Modifier::BOLD),
        selected: plain.bg(selection).add_modifier(Modifier::BOLD),
        marked: of(warning),
        border: of(dim),
        active_border: of(highlight),
        insert_border: of(warning),
        good: of(good),
        warning: of(warning),
        bad: of(bad),
        key: of(highlight),
    }
}

/// No colours: what matters is bold, reversed or underlined.
fn mono() -> TuiTheme {
    let plain = Style::new();
    let bold = plain.add_modifier(Modifier::BOLD);
    TuiTheme {
        name: "mono",
        text: plain,
        dim: plain.add_modifier(Modifier::DIM),
        title: bold,
        heading: bold.add_modifier(Modifier::UNDERLINED),
        selected: plain.add_modifier(Modifier::REVERSED),
        marked: bold,
        border: plain,
        active_border: bold,
        insert_border: bold,
        good: plain,
        warning: bold,
        bad: bold,
        key: bold,
    }
}

/// The nearest colour that the terminal has.
fn lowered(color: Color, depth: ColorDepth) -> Color {
    let Color::Rgb(r, g, b) = color else { return color };
    match depth {
        ColorDepth::None => Color::Reset,
        ColorDepth::True => color,
        ColorDepth::Indexed => {
            // Above the 16 is a cube of six steps for each of red, green and blue.
            let step = |value: u8| ((u16::from(value) * 5 + 127) / 255) as u8;
            Color::Indexed(16 + 36 * step(r) + 6 * step(g) + step(b))
        }
        ColorDepth::Sixteen => {
            let distance = |(_, [x, y, z]): &(Color, [u8; 3])| {
                let square = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
                square(r, *x) + square(g, *y) + square(b, *z)
            };
            SIXTEEN.iter().min_by_key(|entry| distance(entry)).map_or(Color::Reset, |(color, _)| *color)
        }
    }
}

/// Black or white, whatever can be read on a colour.
fn readable_on(color: Color) -> Color {
    match color {
        Color::Rgb(r, g, b) if u32::from(r) * 3 + u32::from(g) * 6 + u32::from(b) < 1280 => Color::White,
        Color::Black | Color::Blue | Color::DarkGray | Color::Magenta | Color::Red => Color::White,
        _ => Color::Black,
    }
}

const SIXTEEN: [(Color, [u8; 3]); 16] = [
    (Color::Black, [0, 0, 0]),
    (Color::Red, [170, 0, 0]),
    (Color::Green, [0, 170, 0]),
    (Color::Yellow, [170, 85, 0]),
    (Color::Blue, [0, 0, 170]),
    (Color::Magenta, [170, 0, 170]),
    (Color::Cyan, [0, 170, 170]),
    (Color::Gray, [170, 170, 170]),
    (Color::DarkGray, [85, 85, 85]),
    (Color::LightRed, [255, 85, 85]),
    (Color::LightGreen, [85, 255, 85]),
    (Color::LightYellow, [255, 255, 85]),
    (Color::LightBlue, [85, 85, 255]),
    (Color::LightMagenta, [255, 85, 255]),
    (Color::LightCyan, [85, 255, 255]),
    (Color::White, [255, 255, 255]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_how_many_colours_there_are() {
        for (no_color, term, colorterm, depth) in [
            (true, "xterm-256color", "truecolor", ColorDepth::None),
            (false, "dumb", "", ColorDepth::None),
            (false, "xterm-256color", "truecolor", ColorDepth::True),
            (false, "screen-256color", "", ColorDepth::Indexed),
            (false, "linux", "", ColorDepth::Sixteen),
        ] {
            assert_eq!(ColorDepth::of(no_color, term, colorterm), depth, "{term}");
        }
    }

    #[test]
    fn a_theme_uses_only_colours_that_the_terminal_has() {
        for name in THEMES {
            for depth in [ColorDepth::None, ColorDepth::Sixteen, ColorDepth::Indexed] {
                let theme = TuiTheme::named(name, depth).unwrap();
                for style in [theme.text, theme.dim, theme.selected, theme.good, theme.bad, theme.key] {
                    for color in [style.fg, style.bg].into_iter().flatten() {
                        let fits = match color {
                            Color::Rgb(..) => false,
                            Color::Indexed(_) => depth == ColorDepth::Indexed,
                            Color::Reset => true,
                            _ => depth != ColorDepth::None,
                        };
                        assert!(fits, "{name} {depth:?}: {color:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn colours_of_the_configuration_replace_those_of_the_theme() {
        let config = TuiConfig { highlight: Some("#ff0000".into()), ..TuiConfig::default() };
        let theme = TuiTheme::choose(None, &config, ColorDepth::Sixteen).unwrap();
        assert_eq!(theme.title.fg, Some(Color::Red));
        let config = TuiConfig { foreground: Some("no such colour".into()), ..TuiConfig::default() };
        let failure = TuiTheme::choose(None, &config, ColorDepth::True).unwrap_err();
        assert!(failure.message.contains("foreground"), "{failure}");
        assert!(TuiTheme::choose(Some("drak"), &TuiConfig::default(), ColorDepth::True).is_err());
    }
}
