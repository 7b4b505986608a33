//! `oxk bench syscall`: what a system call costs that does nothing (Table 1 of the paper).

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::BenchArgs;
use crate::build::{self, Progress};
use crate::diagnostic::{Diagnostic, Result};
use crate::project::{Project, Target};
use crate::qemu::{self, Accel};
use crate::run;
use crate::tender;

/// What the application names its measurements, and what they are.
const KINDS: [(&str, &str); 7] = [
    ("loop", "nothing: the loop alone"),
    ("function", "a call of a function"),
    ("wrapper", "a call of a function that calls another"),
    ("library", "a system call of the C library: a call of its handler"),
    ("number", "syscall(2) with a number in a variable: by the table"),
    (TRAPPED, "an instruction of the program that traps: by the table"),
    (LINUX, "Linux's own, by its instruction"),
];
const TRAPPED: &str = "trapped";
const LINUX: &str = "linux";

/// What lets instructions arrive, in images that have it.
const WAY_IN: &str = "trap=syscall-trap";

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Ticks of the time-stamp counter.
    Cycles,
    /// Instructions of the guest: where QEMU executes one after the other, time says nothing.
    Instructions,
}

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Self::Cycles => "cycles",
            Self::Instructions => "instructions",
        }
    }
}

/// A measurement: the least that a call takes.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    platform: &'static str,
    kind: &'static str,
    what: &'static str,
    unit: Unit,
    value: f64,
}

/// The verb.
pub fn run(args: &BenchArgs) -> Result<u8> {
    let project = Project::find()?;
    let hvt = tender::kvm_opens().then_some(tender::PLATFORM);
    if hvt.is_none() {
        eprintln!("not measured: hvt, because /dev/kvm does not open");
    }
    let mut rows = measure(&project, "linuxu", Some(LINUX))?;
    // Direct calls are measured in an image without a way in for instructions.
    let trapped = measure(&project, "linuxu", Some(TRAPPED))?;
    rows.extend(trapped.into_iter().filter(|row| row.kind == TRAPPED));
    if let Some(platform) = hvt {
        rows.extend(measure(&project, platform, None)?);
    }
    qemu::ensure(std::env::consts::ARCH)?;
    rows.extend(measure(&project, "kvm", Some(TRAPPED))?);
    if args.json {
        let list = rows.iter().map(
            |row| json!({ "platform": row.platform, "what": row.kind, row.unit.name(): row.value }),
        );
        println!("{}", Value::from(list.collect::<Vec<_>>()));
    } else {
        print!("{}", table(&rows));
    }
    Ok(0)
}

/// Runs the application; with the call by its instruction, under the name of what that is there.
fn measure(
    project: &Project,
    platform: &'static str,
    instruction: Option<&str>,
) -> Result<Vec<Row>> {
    let app = project.root.join("apps/syscallbench");
    let mut target = Target::new(&app, platform);
    target.choices.provider.extend((instruction == Some(TRAPPED)).then(|| WAY_IN.to_owned()));
    let loaded = target.load()?;
    let resolution = loaded.resolve()?;
    let image = build::build(&loaded, &resolution, None, Progress::Quiet)?;
    let mut call = run::default_args(&app);
    call.args.extend(instruction.map(str::to_owned));
    let unit = if platform == "kvm" { Unit::Instructions } else { Unit::Cycles };
    if unit == Unit::Instructions {
        // A tick of the guest's counter is a nanosecond of its time, and that an instruction.
        call.accel = Accel::Tcg;
        call.qemu_arg.extend(["-icount", "shift=0"].map(str::to_owned));
    }
    let said = run::run_captured(&call, project, &resolution, &image)?;
    if said.code != 0 {
        return Err(Diagnostic::new(format!("syscallbench ended with code {}", said.code))
            .help(format!("run it by hand: oxk run apps/syscallbench --plat {platform}")));
    }
    Ok(rows(platform, unit, &said.text))
}

/// The lines `KIND: CYCLES cycles`.
fn rows(platform: &'static str, unit: Unit, text: &str) -> Vec<Row> {
    let row = |(kind, what): (&'static str, &'static str)| {
        let line = text.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(": "))?;
        let value = line.trim().strip_suffix(" cycles")?.parse().ok()?;
        Some(Row { platform, kind, what, unit, value })
    };
    KINDS.into_iter().filter_map(row).collect()
}

fn table(rows: &[Row]) -> String {
    let mut out = String::new();
    for (unit, note) in [
        (
            Unit::Cycles,
            "least time of a call, in ticks of the time-stamp counter; an instruction that traps is a signal of Linux there\n",
        ),
        (
            Unit::Instructions,
            "instructions of the guest, as QEMU counts them when it executes one after the other: no times\n",
        ),
    ] {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.unit == unit).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(out, "{:<8} {:<56} {:>12}", "", "", unit.name());
        for Row { platform, what, value, .. } in rows {
            let _ = writeln!(out, "{platform:<8} {what:<56} {value:>12.1}");
        }
        out += note;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_rows() {
        let text = "loop: 1.0 cycles\r\nfunction: 2.5 cycles\nnoise\nlinux: x cycles\n";
        let mut all = rows("linuxu", Unit::Cycles, text);
        let found: Vec<(&str, f64)> = all.iter().map(|row| (row.kind, row.value)).collect();
        assert_eq!(found, [("loop", 1.0), ("function", 2.5)]);
        let printed = table(&all);
        assert!(printed.contains("a call of a function") && !printed.contains("instructions"));
        all.extend(rows("kvm", Unit::Instructions, "trapped: 200.0 cycles\n"));
        assert!(table(&all).contains("instructions\nkvm"), "{}", table(&all));
    }
}
