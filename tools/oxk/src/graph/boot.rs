//! The boot order, with times and heaps.

use std::fmt::Write as _;

use super::svg::Svg;
use crate::option::format_size;
use crate::resolve::{Heap, Resolution};

/// How long one phase took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseTime {
    /// Name of the phase; `entry` for the platform's entry code, `total` for all.
    pub name: String,
    /// Nanoseconds.
    pub ns: u64,
}

/// Reads the lines `boot: NAME NANOSECONDS ns` that an image prints with `ukboot.trace`.
pub fn parse_times(text: &str) -> Vec<PhaseTime> {
    let lines = text.lines().filter_map(|line| line.trim_end().strip_prefix("boot: "));
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (name, ns) = (words.next()?, words.next()?.parse().ok()?);
            (words.next() == Some("ns")).then(|| PhaseTime { name: name.to_owned(), ns })
        })
        .collect()
}

fn time_of(times: Option<&[PhaseTime]>, name: &str) -> Option<u64> {
    times?.iter().find(|t| t.name == name).map(|t| t.ns)
}

fn heap_line(heap: &Heap) -> String {
    let memory = heap.size.map_or_else(|| "all other memory".to_owned(), format_size);
    let users = match (heap.libraries.as_slice(), heap.size) {
        ([], None) => "everybody".to_owned(),
        ([], Some(_)) => "who asks for it by name".to_owned(),
        (list, None) => format!("{}, and everybody else", list.join(", ")),
        (list, Some(_)) => list.join(", "),
    };
    let options: String =
        heap.options.iter().map(|(name, value)| format!("; {name} {value}")).collect();
    format!("{:<10} {:<16} {:<18} {users}{options}", heap.name, heap.backend, memory)
}

/// Order and times as a table.
pub fn text(resolution: &Resolution<'_>, times: Option<&[PhaseTime]>) -> String {
    let mut out = format!("boot order of {}\n", resolution.image_name());
    let mut row = |name: &str, library: &str, after: &str| {
        let time = time_of(times, name)
            .map_or(String::new(), |ns| format!("{:>9.1} us", ns as f64 / 1000.0));
        let line = format!("  {name:<10} {library:<16} {time}{after}");
        let _ = writeln!(out, "{}", line.trim_end());
    };
    row("entry", &resolution.platform.name, "");
    for step in &resolution.phases {
        let known = |p: &&String| resolution.phases.iter().any(|s| s.phase.name == **p);
        let after: Vec<&str> = step.phase.after.iter().filter(known).map(String::as_str).collect();
        let after =
            if after.is_empty() { String::new() } else { format!("   after {}", after.join(", ")) };
        row(&step.phase.name, &step.library, &after);
    }
    row("total", "", "   from the first instruction to main");
    if !resolution.heaps.is_empty() {
        out.push_str("heaps\n");
        for heap in &resolution.heaps {
            let _ = writeln!(out, "  {}", heap_line(heap));
        }
    }
    out
}

/// The order for Graphviz.
pub fn dot(resolution: &Resolution<'_>) -> String {
    let mut out =
        String::from("digraph boot {\n  rankdir=LR; node [shape=box, fontname=\"sans-serif\"];\n");
    let mut last = "entry".to_owned();
    for step in &resolution.phases {
        let _ = writeln!(out, "  {last:?} -> {:?};", step.phase.name);
        last.clone_from(&step.phase.name);
    }
    let _ = writeln!(out, "  {last:?} -> \"main\";\n}}");
    out
}

/// Order and times as bars on a common scale.
pub fn drawing(resolution: &Resolution<'_>, times: Option<&[PhaseTime]>) -> String {
    const ROW: i64 = 26;
    const LEFT: i64 = 190;
    const WIDTH: i64 = 480;
    let mut names = vec![("entry".to_owned(), resolution.platform.name.clone())];
    names.extend(resolution.phases.iter().map(|s| (s.phase.name.clone(), s.library.clone())));
    let total = time_of(times, "total").unwrap_or(0).max(1);
    let height = 60 + ROW * (names.len() + resolution.heaps.len()) as i64 + 40;
    let mut svg = Svg::new(LEFT + WIDTH + 110, height);
    let title = match times {
        Some(_) => format!(
            "{}: {:.1} us from the first instruction to main",
            resolution.image_name(),
            total as f64 / 1000.0
        ),
        None => format!("boot order of {}", resolution.image_name()),
    };
    svg.text(12, 24, &title, "title");
    let (mut y, mut start) = (44, 0);
    for (name, library) in &names {
        svg.text(12, y + 16, &format!("{name} ({library})"), "label");
        if let Some(ns) = time_of(times, name) {
            let x = LEFT + (start as i128 * i128::from(WIDTH) / i128::from(total)) as i64;
            let width = (i128::from(ns) * i128::from(WIDTH) / i128::from(total)).max(1) as i64;
            svg.rect(x, y + 3, width, ROW - 8, "bar");
            svg.text(x + width + 6, y + 16, &format!("{:.1} us", ns as f64 / 1000.0), "label");
            start += ns;
        }
        y += ROW;
    }
    for heap in &resolution.heaps {
        svg.text(12, y + 26, &format!("heap {}", heap_line(heap)), "mono");
        y += ROW;
    }
    svg.finish()
}

/// Phases for the JSON form.
pub fn json(resolution: &Resolution<'_>, times: Option<&[PhaseTime]>) -> Vec<serde_json::Value> {
    let entry = serde_json::json!({
        "name": "entry", "library": resolution.platform.name, "after": [], "ns": time_of(times, "entry"),
    });
    let steps = resolution.phases.iter().map(|s| {
        serde_json::json!({
            "name": s.phase.name,
            "library": s.library,
            "after": s.phase.after,
            "ns": time_of(times, &s.phase.name),
        })
    });
    std::iter::once(entry).chain(steps).collect()
}
