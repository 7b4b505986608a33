//! Tables of what programs measured side by side.

use std::fmt::Write as _;

use crate::run::Row;
use crate::svg::{Bar, Panel};
use crate::{Spread, ratio, three};

/// A paragraph for each thing that was measured, with a line for everybody who did; ours with the ratios to
/// all others. `describe` says what a name means.
pub fn text(rows: &[Row], rounds: u32, unit: &str, describe: impl Fn(&str) -> String) -> String {
    let mut out = format!(
        "{unit}, {rounds} rounds: min / median / max; ratios within a round (below 1: ours is faster)\n"
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

/// For scripts: {"rounds": N, UNIT: {what: {who: [min, median, max]}}}.
pub fn json(rows: &[Row], rounds: u32, unit: &str) -> serde_json::Value {
    let mut all = serde_json::Map::new();
    for row in rows {
        let cells = row
            .cells
            .iter()
            .map(|(name, _, values)| (name.clone(), values.spread()))
            .map(|(name, s)| (name, serde_json::json!([s.min, s.median, s.max])));
        all.insert(row.what.clone(), serde_json::Value::Object(cells.collect()));
    }
    serde_json::json!({ "rounds": rounds, unit: all })
}

/// The bars of a thing that was measured.
pub fn panel(row: &Row) -> Panel {
    let bars = row.cells.iter().map(|(name, ours, values)| Bar {
        name: name.clone(),
        ours: *ours,
        values: values.spread(),
    });
    Panel { title: row.what.clone(), bars: bars.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rounds;
    use crate::svg::{Section, draw};

    fn rows() -> Vec<Row> {
        let cell = |name: &str, ours, ns| (name.to_owned(), ours, Rounds::of(vec![ns]).unwrap());
        vec![Row {
            what: "yield".into(),
            cells: vec![
                cell("bare switch", false, 5.0),
                cell("coop", true, 10.0),
                cell("glibc", false, 200.0),
            ],
        }]
    }

    #[test]
    fn tables_say_how_ours_compare_with_the_others() {
        let text = text(&rows(), 3, "ns", |what| format!("{what}!"));
        assert!(text.contains("\nyield!\n"), "{text}");
        assert!(text.contains("  of bare switch"), "{text}");
        for ratio in ["2.00 / 2.00 / 2.00", "0.050 / 0.050 / 0.050"] {
            assert!(text.contains(ratio), "{text}");
        }
    }

    #[test]
    fn all_forms_name_everybody() {
        let svg =
            draw(&[Section { title: "t".into(), panels: rows().iter().map(panel).collect() }]);
        for form in [json(&rows(), 3, "ns").to_string(), svg] {
            for name in ["bare switch", "coop", "glibc"] {
                assert!(form.contains(name), "{form}");
            }
        }
    }
}
