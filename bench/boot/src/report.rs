//! Results for people, scripts and eyes.

use std::fmt::Write as _;

use bench_report::svg::{Bar, Panel, Section, draw};
use bench_report::{Spread, three};

use crate::measure::{Results, Rows};

fn numbers(spread: &Spread) -> String {
    three([spread.min, spread.median, spread.max])
}

/// Tables.
pub fn text(results: &Results) -> String {
    let mut out = format!("us, {} runs: min / median / max\n", results.runs);
    let mut table = |title: &str, rows: &Rows| {
        if !rows.is_empty() {
            let _ = writeln!(out, "\n{title}");
        }
        for (name, spread) in rows {
            let _ = writeln!(out, "  {name:<42}{:>26}", numbers(spread));
        }
    };
    table("hello, from exec to the end of the process", &results.whole);
    table("hello, from exec to main: to the first thing that it says, just before", &results.first);
    table("hello, from the first instruction to main, as the guest says", &results.guest);
    table("hello, from main to the end of the process", &results.rest);
    table("hvt in parts, 64 MiB of memory", &results.parts);
    if !results.by_memory.is_empty() {
        let _ = writeln!(out, "\nhvt by memory{:>31}{:>26}", "kernel's part", "exec to main");
        for (megabytes, kernel, main) in &results.by_memory {
            let name = format!("{megabytes} MiB");
            let _ = writeln!(out, "  {name:<16}{:>26}{:>26}", numbers(kernel), numbers(main));
        }
    }
    let mut last = "";
    for (what, who, spread) in &results.calls {
        if what != last {
            let _ = writeln!(out, "\n{}", describe(what));
            last = what;
        }
        let _ = writeln!(out, "  {who:<42}{:>26}", numbers(spread));
    }
    if let Some(bytes) = results.smallest {
        let _ = writeln!(out, "\nsmallest memory in which hello boots on hvt: {} KiB", bytes >> 10);
    }
    out
}

fn describe(what: &str) -> &str {
    match what {
        "read" => "a call that does nothing much: reading the console when nothing is there",
        "timer" => "setting the timer",
        "doorbell" => "starting a request of a disk, notification included",
        "block" => "reading a block of a disk: request, wait, completion",
        "wait" => "waiting for 100 us: too late by",
        other => other,
    }
}

/// For scripts: times in microseconds as [min, median, max].
pub fn json(results: &Results) -> serde_json::Value {
    let spread = |s: &Spread| serde_json::json!([s.min, s.median, s.max]);
    let rows = |rows: &Rows| -> serde_json::Value {
        let cells = rows.iter().map(|(name, s)| (name.clone(), spread(s)));
        serde_json::Value::Object(cells.collect())
    };
    let memory: serde_json::Map<String, serde_json::Value> = results
        .by_memory
        .iter()
        .map(|(mib, kernel, main)| {
            let both =
                serde_json::json!({ "kernel": spread(kernel), "exec_to_main": spread(main) });
            (format!("{mib} MiB"), both)
        })
        .collect();
    let calls: Vec<serde_json::Value> = results
        .calls
        .iter()
        .map(|(what, who, s)| serde_json::json!({ "what": what, "who": who, "us": spread(s) }))
        .collect();
    serde_json::json!({
        "runs": results.runs,
        "whole_us": rows(&results.whole),
        "to_main_us": rows(&results.first),
        "from_main_us": rows(&results.rest),
        "guest_us": rows(&results.guest),
        "hvt_parts_us": rows(&results.parts),
        "hvt_by_memory_us": memory,
        "calls": calls,
        "smallest_memory_bytes": results.smallest,
    })
}

/// Bars.
pub fn svg(results: &Results) -> String {
    let bar = |name: &str, values: Spread| Bar { name: name.to_owned(), ours: true, values };
    let panel = |title: &str, bars: Vec<Bar>| Panel { title: title.to_owned(), bars };
    let of = |rows: &Rows| rows.iter().map(|(name, s)| bar(name, *s)).collect::<Vec<_>>();
    let by_memory = |pick: fn(&(u64, Spread, Spread)) -> Spread| {
        let bars = results.by_memory.iter().map(|row| bar(&format!("{} MiB", row.0), pick(row)));
        bars.collect::<Vec<_>>()
    };
    let mut calls: Vec<Panel> = Vec::new();
    for (what, who, s) in &results.calls {
        match calls.last_mut().filter(|panel| panel.title == *what) {
            Some(panel) => panel.bars.push(bar(who, *s)),
            None => calls.push(panel(what, vec![bar(who, *s)])),
        }
    }
    // Names of parts are long; one panel each would tell nothing, so the bars are numbered.
    let parts = results.parts.iter().map(|(name, s)| panel(name, vec![bar("hvt", *s)]));
    let mut start = vec![
        panel("exec to the end", of(&results.whole)),
        panel("exec to main", of(&results.first)),
        panel("first instruction to main", of(&results.guest)),
        panel("main to the end", of(&results.rest)),
    ];
    start.retain(|panel| !panel.bars.is_empty());
    let mut memory = vec![
        panel("kernel's part", by_memory(|row| row.1)),
        panel("exec to main", by_memory(|row| row.2)),
    ];
    memory.retain(|panel| !panel.bars.is_empty());
    let section = |title: &str, panels: Vec<Panel>| Section {
        title: format!("{title}, in us: median, line from least to largest"),
        panels,
    };
    draw(&[
        section("hello on every platform", start),
        section("hvt by memory", memory),
        section("hvt in parts", parts.collect()),
        section("calls", calls),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_have_everything() {
        let row = |name: &str| (name.to_owned(), Spread::exact(3.0));
        let results = Results {
            runs: 1,
            whole: vec![row("hvt"), row("linuxu")],
            first: vec![row("hvt, its pages shared")],
            rest: vec![row("QEMU q35")],
            guest: vec![row("hvt")],
            parts: vec![row("kernel: virtual CPU")],
            by_memory: vec![(64, Spread::exact(1.0), Spread::exact(2.0))],
            calls: vec![("wait".into(), "linuxu".into(), Spread::exact(9.0))],
            smallest: Some(200 << 10),
        };
        for form in [text(&results), json(&results).to_string(), svg(&results)] {
            for name in
                ["hvt", "linuxu", "pages shared", "QEMU q35", "kernel: virtual CPU", "64 MiB"]
            {
                assert!(form.contains(name), "{name}: {form}");
            }
        }
        assert!(text(&results).contains("boots on hvt: 200 KiB"));
    }
}
