//! Results for people, scripts and eyes.

use std::fmt::Write as _;

use bench_report::Spread;
use bench_report::svg::{Bar, Panel, Section, draw};
use bench_report::{ratio, three};

use crate::run::Row;

/// Tables: a line for everybody who measured a thing; ours with the ratios to all others.
pub fn text(rows: &[Row], rounds: u32) -> String {
    let mut out = format!(
        "ns, {rounds} rounds: min / median / max; ratios within a round (below 1: ours is faster)\n"
    );
    for row in rows {
        let _ = writeln!(out, "\n{}", describe(&row.what));
        for (name, ours, values) in &row.cells {
            let Spread { min, median, max, .. } = values.spread();
            let _ = writeln!(out, "  {name:<24}{:>28}", three([min, median, max]));
            for (other, _, theirs) in row.cells.iter().filter(|(_, theirs, _)| *ours && !theirs) {
                let name = format!("of {other}");
                let _ = writeln!(out, "    {name:<22}{:>28}", ratio(values.against(theirs)));
            }
        }
    }
    out
}

/// What a name means.
fn describe(what: &str) -> &str {
    match what {
        "open-close" => "open and close a file of 1000 bytes",
        "stat" => "stat it by name",
        "open-read-close" => "open it, read all of it, close it",
        "fstat" => "stat it by descriptor",
        "pread" => "read all of it, open",
        "pwrite" => "write all of it, open",
        "create-write-unlink" => "make it, write 1000 bytes, close and remove it",
        other => other,
    }
}

/// For scripts: {what: {who: [min, median, max]}}.
pub fn json(rows: &[Row], rounds: u32) -> serde_json::Value {
    let mut all = serde_json::Map::new();
    for row in rows {
        let cells = row
            .cells
            .iter()
            .map(|(name, _, values)| (name.clone(), values.spread()))
            .map(|(name, s)| (name, serde_json::json!([s.min, s.median, s.max])));
        all.insert(row.what.clone(), serde_json::Value::Object(cells.collect()));
    }
    serde_json::json!({ "rounds": rounds, "ns": all })
}

/// Bars.
pub fn svg(rows: &[Row]) -> String {
    let panel = |row: &Row| {
        let bars = row.cells.iter().map(|(name, ours, values)| Bar {
            name: name.clone(),
            ours: *ours,
            values: values.spread(),
        });
        Panel { title: row.what.clone(), bars: bars.collect() }
    };
    let title = "calls on small files, in ns: median, line from least to largest".to_owned();
    draw(&[Section { title, panels: rows.iter().map(panel).collect() }])
}

#[cfg(test)]
mod tests {
    use bench_report::Rounds;

    use super::*;

    #[test]
    fn all_forms_name_everybody() {
        let cell = |name: &str, ours, ns| (name.to_owned(), ours, Rounds::of(vec![ns]).unwrap());
        let cells = vec![cell("ramfs", true, 10.0), cell("tmpfs", false, 200.0)];
        let rows = [Row { what: "stat".into(), cells }];
        for form in [text(&rows, 3), json(&rows, 3).to_string(), svg(&rows)] {
            assert!(form.contains("ramfs") && form.contains("tmpfs"), "{form}");
        }
        assert!(text(&rows, 3).contains("0.050 / 0.050 / 0.050"));
    }
}
