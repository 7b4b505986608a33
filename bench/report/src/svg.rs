//! Bars: one panel for each thing that was measured, shorter is better.

use std::fmt::Write as _;

use crate::Spread;

const STYLE: &str = "<style>text{font:12px 'DejaVu Sans',system-ui,sans-serif;fill:#222}\
.title{font-weight:600;font-size:15px}.name{font-weight:600}.small{fill:#666}.paper{fill:#fff}\
.panel{fill:#f6f6f6}.ours{fill:#4f9a4a}.theirs{fill:#7fa7cf}.line{stroke:#222;stroke-width:1.5}\
@media(prefers-color-scheme:dark){text{fill:#ddd}.small{fill:#aaa}.paper{fill:#111}\
.panel{fill:#1c1c1c}.line{stroke:#ddd}}</style>";

const COLUMNS: i64 = 3;
const PANEL: i64 = 400;
const LABEL: i64 = 158;
const BAR: i64 = 150;
const ROW: i64 = 18;

/// One bar: the median as its length, a line from the least to the largest value.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Whose it is.
    pub name: String,
    /// Whether that is this project's.
    pub ours: bool,
    /// What was measured.
    pub values: Spread,
}

/// What is compared.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What was measured.
    pub title: String,
    /// By whom, in order.
    pub bars: Vec<Bar>,
}

/// Panels of one kind.
#[derive(Clone, Debug)]
pub struct Section {
    /// What they show, and in which unit.
    pub title: String,
    /// In order.
    pub panels: Vec<Panel>,
}

/// The drawing, as text of an SVG file. Sections without panels are left out.
pub fn draw(sections: &[Section]) -> String {
    let height_of =
        |panels: &[Panel]| panels.iter().map(|p| p.bars.len()).max().unwrap_or(0) as i64 * ROW + 44;
    let width = COLUMNS * (PANEL + 12) + 12;
    let mut body = String::new();
    let mut y = 34;
    let text = |body: &mut String, x: i64, y: i64, class: &str, text: &str| {
        let _ =
            writeln!(body, "<text x=\"{x}\" y=\"{y}\" class=\"{class}\">{}</text>", escape(text));
    };
    for Section { title, panels } in sections.iter().filter(|s| !s.panels.is_empty()) {
        text(&mut body, 12, y, "title", title);
        y += 14;
        for line in panels.chunks(COLUMNS as usize) {
            let height = height_of(line);
            for (x, panel) in (0..).map(|i| 12 + i * (PANEL + 12)).zip(line) {
                let _ = writeln!(
                    body,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{PANEL}\" height=\"{height}\" rx=\"4\" class=\"panel\"/>"
                );
                text(&mut body, x + 10, y + 20, "name", &panel.title);
                bars(&mut body, x, y + 30, &panel.bars);
            }
            y += height + 12;
        }
        y += 26;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {y}\" width=\"{width}\" \
         height=\"{y}\">\n{STYLE}\n<rect class=\"paper\" width=\"{width}\" height=\"{y}\"/>\n{body}</svg>\n"
    )
}

fn bars(body: &mut String, x: i64, top: i64, bars: &[Bar]) {
    // One that is far slower than the rest must not squeeze the rest: its bar is cut.
    let mut medians: Vec<f64> = bars.iter().map(|bar| bar.values.median).collect();
    medians.sort_by(f64::total_cmp);
    let middle = medians.get(medians.len() / 2).copied().unwrap_or(1.0);
    let full = medians.last().copied().unwrap_or(1.0).min(middle * 4.0).max(f64::MIN_POSITIVE);
    let length = |value: f64| ((value / full).min(1.1) * BAR as f64).round() as i64;
    for (row, bar) in (0..).zip(bars) {
        let y = top + row * ROW;
        let left = x + LABEL;
        let class = if bar.ours { "ours" } else { "theirs" };
        let Spread { min: least, median, max: largest, .. } = bar.values;
        let _ =
            writeln!(body, "<text x=\"{}\" y=\"{}\">{}</text>", x + 10, y + 11, escape(&bar.name));
        let _ = writeln!(
            body,
            "<rect x=\"{left}\" y=\"{y}\" width=\"{}\" height=\"12\" class=\"{class}\"/>",
            length(median).max(1)
        );
        if largest > least && median <= 1.1 * full {
            let _ = writeln!(
                body,
                "<path d=\"M{} {m}H{}\" class=\"line\"/>",
                left + length(least),
                left + length(largest),
                m = y + 6
            );
        }
        let cut = if median > 1.1 * full { "\u{bb} " } else { "" };
        let number = if median < 100.0 { format!("{median:.1}") } else { format!("{median:.0}") };
        let end = left + length(median.max(largest.min(median * 1.1))).max(length(largest)) + 6;
        let _ = writeln!(
            body,
            "<text x=\"{end}\" y=\"{}\" class=\"small\">{cut}{number}</text>",
            y + 11
        );
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
