//! `oxk bench syscall`: what a system call costs that does nothing (Table 1 of the paper).

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::BenchArgs;
use crate::build::{self, Progress};
use crate::diagnostic::{Diagnostic, Result};
use crate::project::{Project, Target};
use crate::run;
use crate::tender;

/// What the application names its measurements, and what they are.
const KINDS: [(&str, &str); 6] = [
    ("loop", "nothing: the loop alone"),
    ("function", "a call of a function"),
    ("wrapper", "a call of a function that calls another"),
    ("library", "a system call of the C library: a call of its handler"),
    ("number", "syscall(2) with a number in a variable: by the table"),
    ("linux", "Linux's own, by its instruction"),
];

/// A measurement: the least time of a call in ticks of the time-stamp counter.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    platform: &'static str,
    kind: &'static str,
    what: &'static str,
    cycles: f64,
}

/// The verb.
pub fn run(args: &BenchArgs) -> Result<u8> {
    let project = Project::find()?;
    let hvt = tender::kvm_opens().then_some(tender::PLATFORM);
    if hvt.is_none() {
        eprintln!("not measured: hvt, because /dev/kvm does not open");
    }
    let mut rows = Vec::new();
    for platform in ["linuxu"].into_iter().chain(hvt) {
        rows.extend(measure(&project, platform)?);
    }
    if args.json {
        let list = rows
            .iter()
            .map(|row| json!({ "platform": row.platform, "what": row.kind, "cycles": row.cycles }));
        println!("{}", Value::from(list.collect::<Vec<_>>()));
    } else {
        print!("{}", table(&rows));
    }
    Ok(0)
}

fn measure(project: &Project, platform: &'static str) -> Result<Vec<Row>> {
    let app = project.root.join("apps/syscallbench");
    let target = Target { app: app.clone(), plat: Some(platform.into()), ..Target::default() };
    let loaded = target.load()?;
    let resolution = loaded.resolve()?;
    let image = build::build(&loaded, &resolution, None, Progress::Quiet)?;
    let mut call = run::default_args(&app);
    // There an image is a process of Linux, which may call it.
    call.args.extend((platform == "linuxu").then(|| "linux".to_owned()));
    let said = run::run_captured(&call, project, &resolution, &image)?;
    if said.code != 0 {
        return Err(Diagnostic::new(format!("syscallbench ended with code {}", said.code))
            .help(format!("run it by hand: oxk run apps/syscallbench --plat {platform}")));
    }
    Ok(rows(platform, &said.text))
}

/// The lines `KIND: CYCLES cycles`.
fn rows(platform: &'static str, text: &str) -> Vec<Row> {
    let row = |(kind, what): (&'static str, &'static str)| {
        let line = text.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(": "))?;
        let cycles = line.trim().strip_suffix(" cycles")?.parse().ok()?;
        Some(Row { platform, kind, what, cycles })
    };
    KINDS.into_iter().filter_map(row).collect()
}

fn table(rows: &[Row]) -> String {
    let mut out = format!("{:<8} {:<56} {:>8}\n", "", "", "cycles");
    for Row { platform, what, cycles, .. } in rows {
        let _ = writeln!(out, "{platform:<8} {what:<56} {cycles:>8.1}");
    }
    out += "least time of a call, in ticks of the time-stamp counter; trapped instructions are no way \
            into an image yet\n";
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_rows() {
        let text = "loop: 1.0 cycles\r\nfunction: 2.5 cycles\nnoise\nlinux: x cycles\n";
        let rows = rows("linuxu", text);
        let found: Vec<(&str, f64)> = rows.iter().map(|row| (row.kind, row.cycles)).collect();
        assert_eq!(found, [("loop", 1.0), ("function", 2.5)]);
        assert!(table(&rows).contains("a call of a function"));
    }
}
