//! Tables.

use std::fmt::Write as _;

use super::Report;
use crate::list::Spec;
use crate::measure::Spread;

/// Width of a column, for three numbers or a name.
const COLUMN: usize = 23;
const FIRST: usize = 24;

/// The whole report.
pub fn report(report: &Report) -> String {
    let mut out = String::new();
    let names = |specs: &mut dyn Iterator<Item = &'static Spec>| {
        specs.map(|spec| format!("{:>COLUMN$}", spec.name)).collect::<String>()
    };
    let all = names(&mut report.specs.iter().copied());
    let rounds = report.rounds;

    let _ = writeln!(
        out,
        "time per call in ns, {rounds} rounds: min / median / max\n{:FIRST$}{all}",
        ""
    );
    for row in &report.throughput {
        line(&mut out, row.workload.name, row.cells.iter().map(|(_, cell)| cell.map(spread)));
    }
    ratios(&mut out, report);
    if !report.latency.is_empty() {
        let _ = writeln!(out, "\nlatency of a call in ns: p50 / p99 / longest\n{:FIRST$}{all}", "");
        for row in &report.latency {
            let cells = row.cells.iter();
            line(
                &mut out,
                row.workload.name,
                cells.map(|(_, cell)| cell.map(|l| three(l.p50, l.p99, l.max))),
            );
        }
    }
    if !report.memory.is_empty() {
        let _ = writeln!(
            out,
            "\nmemory needed / most bytes in use: smallest arena; for glibc and mimalloc, growth of \
             the process\n{:FIRST$}{all}",
            ""
        );
        for row in &report.memory {
            let name = format!("{} ({} KiB)", row.workload.name, row.live / 1024);
            let live = row.live as f64;
            line(
                &mut out,
                &name,
                row.cells.iter().map(|(_, cell)| cell.map(|b| format!("{:.3}", b as f64 / live))),
            );
        }
    }
    let _ = writeln!(out, "\nbytes beside each block's own, blocks in 16 MiB\n{:FIRST$}{all}", "");
    for row in &report.overhead {
        let cells = row.cells.iter();
        line(
            &mut out,
            &format!("{} bytes", row.size),
            cells.map(|(_, cell)| cell.map(|b| format!("{b:.1}"))),
        );
    }
    let _ = writeln!(
        out,
        "\nuntil ready in us, memory untouched before, page faults included: min / median / max\n{:FIRST$}{all}",
        ""
    );
    for row in &report.init {
        let us = |s: Spread| three(s.min / 1e3, s.median / 1e3, s.max / 1e3);
        let name = format!("{} MB", row.megabytes);
        line(&mut out, &name, row.cells.iter().map(|(_, cell)| cell.map(|(ready, _)| us(ready))));
        let name = "  and the first block";
        line(&mut out, name, row.cells.iter().map(|(_, cell)| cell.map(|(_, first)| us(first))));
    }
    if !report.count.is_empty() {
        let _ = writeln!(out, "\ninstructions of malloc and free together\n{:FIRST$}{all}", "");
        for row in &report.count {
            let cells = row.cells.iter();
            line(
                &mut out,
                row.workload.name,
                cells.map(|(_, cell)| cell.map(|n| format!("{n:.1}"))),
            );
        }
    }
    worst(&mut out, report);
    if !report.notes.is_empty() {
        let _ = writeln!(out, "\ndashes");
        for note in &report.notes {
            let _ = writeln!(out, "  {note}");
        }
    }
    out
}

fn worst(out: &mut String, report: &Report) {
    let Some(first) = report.worst.first() else { return };
    let _ = write!(
        out,
        "\nlongest paths, in a heap of holes slightly too small: instructions of one call; latency in ns: \
         p50 / p99 / longest\n{:FIRST$}",
        ""
    );
    for (spec, ..) in &first.cells {
        let _ = write!(out, "{:>COLUMN$}", spec.name);
    }
    out.push('\n');
    for row in &report.worst {
        let name = format!("{}, {} holes", row.call, row.holes);
        if row.cells.iter().any(|(_, _, count)| count.is_some()) {
            line(out, &name, row.cells.iter().map(|(_, _, n)| n.map(|n| format!("{n:.0}"))));
        }
        let name = format!("  {name}, ns");
        line(out, &name, row.cells.iter().map(|(_, l, _)| l.map(|l| three(l.p50, l.p99, l.max))));
    }
}

fn ratios(out: &mut String, report: &Report) {
    let ratios = report.ratios();
    let pairs: Vec<_> = report
        .pairs()
        .filter(|(spec, peer, _)| ratios.iter().any(|r| r.ours == spec.name && r.peer == *peer))
        .collect();
    if pairs.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "\nour time / theirs, smallest values (below 1: ours is faster; * the same design)"
    );
    let header = |name: &str, star: bool| {
        format!("{:>COLUMN$}", format!("{name}{}", if star { " *" } else { "" }))
    };
    let _ = writeln!(
        out,
        "{:FIRST$}{}",
        "",
        pairs.iter().map(|(spec, ..)| header(spec.name, false)).collect::<String>()
    );
    let _ = writeln!(
        out,
        "{:FIRST$}{}",
        "",
        pairs.iter().map(|(_, peer, star)| header(&format!("/ {peer}"), *star)).collect::<String>()
    );
    for row in &report.throughput {
        let work = row.workload.name;
        let cells = pairs.iter().map(|(spec, peer, _)| {
            let ratio = ratios
                .iter()
                .find(|r| r.ours == spec.name && r.peer == *peer && r.workload == work);
            ratio.map(|r| format!("{:.2}", r.ratio))
        });
        line(out, work, cells);
    }
}

fn line(out: &mut String, name: &str, cells: impl Iterator<Item = Option<String>>) {
    let _ = write!(out, "{name:<FIRST$}");
    for cell in cells {
        let _ = write!(out, "{:>COLUMN$}", cell.unwrap_or_else(|| "-".to_owned()));
    }
    out.push('\n');
}

fn spread(spread: Spread) -> String {
    three(spread.min, spread.median, spread.max)
}

fn three(a: f64, b: f64, c: f64) -> String {
    bench_report::three([a, b, c])
}
