//! Bars: one panel for each workload, shorter is faster.

use bench_report::svg::{Bar, Panel, Section, draw};
use bench_report::{Rounds, Spread};

use super::Report;
use crate::list::Spec;

fn panel(title: String, cells: impl Iterator<Item = (&'static Spec, Option<Spread>)>) -> Panel {
    let bars = cells
        .filter_map(|(spec, values)| {
            Some(Bar { name: spec.name.to_owned(), ours: spec.ours, values: values? })
        })
        .collect();
    Panel { title, bars }
}

/// The drawing.
pub fn report(report: &Report) -> String {
    let mut sections = vec![(
        format!(
            "time per call in ns, median of {} rounds, line from least to largest",
            report.rounds
        ),
        report
            .throughput
            .iter()
            .map(|row| {
                let cells = row.cells.iter();
                panel(
                    row.workload.name.to_owned(),
                    cells.map(|(s, c)| (*s, c.as_ref().map(Rounds::spread))),
                )
            })
            .collect::<Vec<_>>(),
    )];
    sections.push((
        "memory needed, divided by the most bytes in use".to_owned(),
        report
            .memory
            .iter()
            .map(|row| {
                let cells = row.cells.iter();
                let values =
                    cells.map(|(s, b)| (*s, b.map(|b| Spread::exact(b as f64 / row.live as f64))));
                panel(row.workload.name.to_owned(), values)
            })
            .collect(),
    ));
    sections.push((
        "instructions of malloc and free together".to_owned(),
        report
            .count
            .iter()
            .map(|row| {
                let cells = row.cells.iter().map(|(s, n)| (*s, n.map(Spread::exact)));
                panel(row.workload.name.to_owned(), cells)
            })
            .collect(),
    ));
    sections.push((
        "until ready, in microseconds".to_owned(),
        report
            .init
            .iter()
            .map(|row| {
                let cells = row.cells.iter();
                let values = cells.map(|(s, c)| (*s, c.map(|(c, _)| c.map(|ns| ns / 1e3))));
                panel(format!("{} MB", row.megabytes), values)
            })
            .collect(),
    ));
    let sections: Vec<_> =
        sections.into_iter().map(|(title, panels)| Section { title, panels }).collect();
    draw(&sections)
}
