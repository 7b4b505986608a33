//! Drawings without an external program.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::edges;
use crate::resolve::Resolution;

/// A drawing being made. Colours follow the reader's light or dark scheme.
pub struct Svg {
    out: String,
}

const STYLE: &str = "<style>text{font:13px system-ui,sans-serif;fill:#222}.title{font-weight:600;font-size:15px}\
.pool{fill:#666;font-style:italic}text.mono{font-family:monospace}.box{fill:#eef3f8;stroke:#5b7896}.app{fill:#dbe9d4;stroke:#5c8a48}\
.bar{fill:#7fa7cf}.edge{stroke:#8a8a8a;fill:none}.iface{stroke:#b0662f;stroke-dasharray:5 3;fill:none}\
.band{fill:#f6f6f6}.paper{fill:#fff}\
@media(prefers-color-scheme:dark){text{fill:#ddd}.pool{fill:#aaa}text.mono{font-family:monospace}.box{fill:#26323d}.app{fill:#2b3a25}\
.band{fill:#1c1c1c}.paper{fill:#111}}</style>";

impl Svg {
    /// An empty drawing of a size in pixels.
    pub fn new(width: i64, height: i64) -> Self {
        Self {
            out: format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
                 width=\"{width}\" height=\"{height}\">\n{STYLE}\n\
                 <rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n"
            ),
        }
    }

    /// A rectangle.
    pub fn rect(&mut self, x: i64, y: i64, width: i64, height: i64, class: &str) {
        let _ = writeln!(
            self.out,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"4\" class=\"{class}\"/>"
        );
    }

    /// A text starting at a point of its base line.
    pub fn text(&mut self, x: i64, y: i64, text: &str, class: &str) {
        let _ = writeln!(
            self.out,
            "<text x=\"{x}\" y=\"{y}\" class=\"{class}\" xml:space=\"preserve\">{}</text>",
            escape(text)
        );
    }

    fn curve(&mut self, from: (i64, i64), to: (i64, i64), class: &str) {
        let middle = (from.1 + to.1) / 2;
        let _ = writeln!(
            self.out,
            "<path d=\"M{} {}C{} {middle} {} {middle} {} {}\" class=\"{class}\"/>",
            from.0, from.1, from.0, to.0, to.0, to.1
        );
    }

    /// An arc below two points at the same height.
    fn arc(&mut self, from: (i64, i64), to: (i64, i64), class: &str) {
        let below = from.1 + 18;
        let _ = writeln!(
            self.out,
            "<path d=\"M{} {}C{} {below} {} {below} {} {}\" class=\"{class}\"/>",
            from.0, from.1, from.0, to.0, to.0, to.1
        );
    }

    /// The finished file.
    pub fn finish(mut self) -> String {
        self.out.push_str("</svg>\n");
        self.out
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Rows of the picture from top to bottom.
const ROWS: [&str; 14] = [
    "external", "libc", "posix", "fs", "net", "block", "sched", "alloc", "debug", "core",
    "drivers", "plat", "arch", "other",
];

/// The libraries of an image in rows by pool, the application on top.
pub fn dependencies(resolution: &Resolution<'_>) -> String {
    const HEIGHT: i64 = 30;
    const GAP: i64 = 62;
    const LEFT: i64 = 90;
    let width_of = |name: &str| 8 * name.chars().count() as i64 + 24;
    let mut rows: Vec<(&str, Vec<&str>)> = Vec::new();
    for pool in ROWS {
        let members: Vec<&str> = resolution
            .libraries
            .iter()
            .filter(|l| l.pool == pool || (pool == "other" && !ROWS.contains(&l.pool.as_str())))
            .map(|l| l.name.as_str())
            .collect();
        if !members.is_empty() {
            rows.push((pool, members));
        }
    }
    let row_width = |members: &[&str]| members.iter().map(|m| width_of(m) + 20).sum::<i64>();
    let width = rows.iter().map(|(_, m)| row_width(m)).max().unwrap_or(0).max(320) + LEFT + 20;
    let height = 44 + GAP * (rows.len() as i64 + 1);
    let mut svg = Svg::new(width, height);
    svg.text(
        12,
        24,
        &format!("{}: {} micro-libraries", resolution.image_name(), resolution.libraries.len()),
        "title",
    );

    // Centre and vertical position of every box.
    let app = resolution.manifest.name.as_str();
    let mut places: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    places.insert(app, (LEFT + (width - LEFT) / 2, 44));
    for (index, (_, members)) in rows.iter().enumerate() {
        let y = 44 + GAP * (index as i64 + 1);
        let mut x = LEFT + (width - LEFT - row_width(members)) / 2;
        for member in members {
            places.insert(member, (x + width_of(member) / 2, y));
            x += width_of(member) + 20;
        }
    }
    for (index, (pool, _)) in rows.iter().enumerate() {
        let y = 44 + GAP * (index as i64 + 1);
        svg.rect(6, y - 8, width - 12, HEIGHT + 16, "band");
        svg.text(14, y + 20, pool, "pool");
    }
    for edge in edges(resolution) {
        let (Some(from), Some(to)) = (places.get(edge.from.as_str()), places.get(edge.to.as_str()))
        else {
            continue;
        };
        // A provider often depends on who requires it: the two lines run side by side.
        let (class, aside) = if edge.interface.is_some() { ("iface", 10) } else { ("edge", 0) };
        let above = |p: &(i64, i64)| (p.0 + aside, p.1);
        let below = |p: &(i64, i64)| (p.0 + aside, p.1 + HEIGHT);
        match from.1.cmp(&to.1) {
            Ordering::Less => svg.curve(below(from), above(to), class),
            Ordering::Equal => svg.arc(below(from), below(to), class),
            Ordering::Greater => svg.curve(above(from), below(to), class),
        }
    }
    for (name, (x, y)) in &places {
        let width = width_of(name);
        let class = if *name == app { "app" } else { "box" };
        svg.rect(x - width / 2, *y, width, HEIGHT, class);
        svg.text(x - width / 2 + 12, y + 20, name, "label");
    }
    svg.finish()
}
