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
        "yield" => "yield: from one thread to the other, both ready",
        "token-there-and-back" => "token: unpark another thread and wait for it to do the same",
        "semaphore-there-and-back" => "semaphore: release one, acquire the other's, on one CPU",
        "semaphore-between-cpus" => "semaphore: release one, acquire the other's, between two CPUs",
        "mutex-uncontended" => "mutex: lock and unlock, nobody else wants it",
        "mutex-contended" => "mutex: lock and unlock while another CPU does the same",
        "create-and-join" => "thread: create, run, join",
        "wake-up-late-p50" => "sleep of 100 us: too late by, median",
        "wake-up-late-p99" => "sleep of 100 us: too late by, 99th percentile",
        "deadline-beside-10" => {
            "wait with a deadline and be woken, there and back, beside 10 sleepers"
        }
        "deadline-beside-1000" => "the same beside 1000 sleepers",
        "deadline-beside-10000" => "the same beside 10 000 sleepers",
        "task-yield" => "task: from one to the other, both ready",
        "task-spawn-and-join" => "task: spawn, run, await",
        "task-sleeps-once" => "10 000 tasks that sleep at the same time: each",
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
    let (tasks, threads): (Vec<_>, Vec<_>) =
        rows.iter().partition(|row| row.what.starts_with("task-"));
    let section = |title: &str, rows: Vec<&Row>| Section {
        title: format!("{title}, in ns: median, line from least to largest"),
        panels: rows.into_iter().map(panel).collect(),
    };
    draw(&[section("threads and locks", threads), section("tasks without stacks", tasks)])
}

#[cfg(test)]
mod tests {
    use bench_report::Rounds;

    use super::*;

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
    fn tables_say_how_ours_compare_with_the_system() {
        let text = text(&rows(), 3);
        assert!(text.contains("  of bare switch"), "{text}");
        for ratio in ["2.00 / 2.00 / 2.00", "0.050 / 0.050 / 0.050"] {
            assert!(text.contains(ratio), "{text}");
        }
    }

    #[test]
    fn all_forms_name_everybody() {
        for form in [text(&rows(), 3), json(&rows(), 3).to_string(), svg(&rows())] {
            for name in ["bare switch", "coop", "glibc"] {
                assert!(form.contains(name), "{form}");
            }
        }
    }
}
