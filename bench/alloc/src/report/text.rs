//! Tables.

use std::fmt::Write as _;

use super::{COMMON, Report};
use crate::list::Spec;
use crate::measure::{Rounds, Spread};

/// Width of the column of names.
const FIRST: usize = 24;

/// A table: a line for each allocator.
struct Table {
    title: String,
    columns: Vec<String>,
    lines: Vec<(&'static str, Vec<Option<String>>)>,
}

impl Table {
    fn new(report: &Report, title: impl Into<String>) -> Self {
        let lines = report.specs.iter().map(|spec| (spec.name, Vec::new())).collect();
        Self { title: title.into(), columns: Vec::new(), lines }
    }

    /// One more column, with the cells of those who have any.
    fn column(&mut self, name: impl Into<String>, cell: impl Fn(&'static str) -> Option<String>) {
        self.columns.push(name.into());
        for (name, cells) in &mut self.lines {
            cells.push(cell(name));
        }
    }

    /// As text; nothing when there is not a single cell.
    fn write(self, out: &mut String) {
        let empty = |cells: &[Option<String>]| cells.iter().all(Option::is_none);
        if self.lines.iter().all(|(_, cells)| empty(cells)) {
            return;
        }
        let cells =
            |i: usize| self.lines.iter().filter_map(move |(_, cells)| cells.get(i)?.as_ref());
        let widths: Vec<usize> = (self.columns.iter().enumerate())
            .map(|(i, name)| cells(i).map(String::len).fold(name.len(), usize::max) + 3)
            .collect();
        let _ = write!(out, "\n{:<FIRST$}", self.title);
        for (name, width) in self.columns.iter().zip(&widths) {
            let _ = write!(out, "{name:>width$}");
        }
        out.push('\n');
        for (name, cells) in &self.lines {
            let _ = write!(out, "  {name:<width$}", width = FIRST - 2);
            for (cell, width) in cells.iter().zip(&widths) {
                let _ = write!(out, "{:>width$}", cell.as_deref().unwrap_or("-"));
            }
            out.push('\n');
        }
    }
}

/// The cell of an allocator in a row of a measurement.
fn of<'a, T>(cells: &'a [(&'static Spec, Option<T>)], name: &str) -> Option<&'a T> {
    cells.iter().find(|(spec, _)| spec.name == name)?.1.as_ref()
}

/// The whole report.
pub fn report(report: &Report) -> String {
    let mut out = format!(
        "time of a call in ns, {} rounds: min / median / max; latency of single calls: p50 / p99 / longest;\n\
         our time / theirs within a round: min / median / max (below 1: ours is faster)\n",
        report.rounds
    );
    workloads(&mut out, report);
    memory(&mut out, report);
    init(&mut out, report);
    instructions(&mut out, report);
    longest(&mut out, report);
    if !report.notes.is_empty() {
        let _ = writeln!(out, "\ndashes");
        for note in &report.notes {
            let _ = writeln!(out, "  {note}");
        }
    }
    out
}

fn workloads(out: &mut String, report: &Report) {
    let ratios = report.ratios();
    for row in &report.throughput {
        let work = row.workload.name;
        let mut table = Table::new(report, work);
        table.column("time", |name| of(&row.cells, name).map(Rounds::spread).map(spread));
        if let Some(latency) = report.latency.iter().find(|l| l.workload.name == work) {
            let three = |name: &str| of(&latency.cells, name).map(|l| three(l.p50, l.p99, l.max));
            table.column("latency", three);
        }
        let here = || ratios.iter().filter(|r| r.workload == work);
        table.column("/ the same design", |name| {
            let found = here().find(|r| r.ours == name && r.same_design)?;
            Some(format!("{}: {}", found.peer, bench_report::ratio(found.ratio)))
        });
        for peer in COMMON {
            table.column(format!("/ {peer}"), |name| {
                let found = here().find(|r| r.ours == name && r.peer == peer && !r.same_design)?;
                Some(bench_report::ratio(found.ratio))
            });
        }
        table.write(out);
    }
}

fn memory(out: &mut String, report: &Report) {
    let title = "memory needed / most bytes in use: smallest arena; for glibc and mimalloc, growth of the process";
    let _ = writeln!(out, "\n{title}; bytes beside each block's own, blocks in 16 MiB");
    let mut table = Table::new(report, "");
    for row in &report.memory {
        let live = row.live as f64;
        table.column(format!("{}, {} KiB", row.workload.name, row.live / 1024), |name| {
            of(&row.cells, name).map(|bytes| format!("{:.3}", *bytes as f64 / live))
        });
    }
    for row in &report.overhead {
        table.column(format!("{} bytes", row.size), |name| {
            of(&row.cells, name).map(|bytes| format!("{bytes:.1}"))
        });
    }
    table.write(out);
}

fn init(out: &mut String, report: &Report) {
    let _ = writeln!(
        out,
        "\nuntil ready, and until the first block too, in us, memory untouched before: min / median / max"
    );
    let mut table = Table::new(report, "");
    let us = |s: Spread| three(s.min / 1e3, s.median / 1e3, s.max / 1e3);
    for row in &report.init {
        table.column(format!("{} MB", row.megabytes), |name| of(&row.cells, name).map(|c| us(c.0)));
        table.column("first block", |name| of(&row.cells, name).map(|c| us(c.1)));
    }
    table.write(out);
}

fn instructions(out: &mut String, report: &Report) {
    if report.count.is_empty() {
        return;
    }
    let _ = writeln!(out, "\ninstructions of malloc and free together");
    let mut table = Table::new(report, "");
    for row in &report.count {
        table.column(row.workload.name, |name| of(&row.cells, name).map(|n| format!("{n:.1}")));
    }
    table.write(out);
}

fn longest(out: &mut String, report: &Report) {
    if report.worst.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "\nlongest paths, in a heap of holes slightly too small: instructions of one call; latency in ns: \
         p50 / p99 / longest"
    );
    let mut counts = Table::new(report, "");
    let mut times = Table::new(report, "ns");
    for row in &report.worst {
        let cell = |name: &str| row.cells.iter().find(|(spec, ..)| spec.name == name);
        let title = format!("{}, {} holes", row.call, row.holes);
        counts.column(title.clone(), |name| cell(name)?.2.map(|n| format!("{n:.0}")));
        times.column(title, |name| cell(name)?.1.map(|l| three(l.p50, l.p99, l.max)));
    }
    counts.write(out);
    times.write(out);
}

fn spread(spread: Spread) -> String {
    three(spread.min, spread.median, spread.max)
}

fn three(a: f64, b: f64, c: f64) -> String {
    bench_report::three([a, b, c])
}
