//! Runs everybody in turn and collects what they say.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use bench_report::Rounds;

/// Who measures.
#[derive(Debug, Clone)]
pub struct Subject {
    /// In tables.
    pub name: String,
    /// Whether it is this project's.
    pub ours: bool,
    program: PathBuf,
    /// Come before the number of repetitions.
    arguments: &'static [&'static str],
}

impl Subject {
    /// A part of this program, in a process of its own.
    ///
    /// # Errors
    /// This program cannot be found.
    pub fn own(name: &str, arguments: &'static [&'static str]) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|e| format!("cannot find myself: {e}"))?;
        Ok(Self { name: name.into(), ours: false, program, arguments })
    }

    /// An image for linuxu.
    pub fn image(name: &str, path: &str) -> Self {
        // Stacks of 10 000 threads.
        const ARGUMENTS: [&str; 2] = ["linuxu.memory=1G", "--"];
        Self { name: name.into(), ours: true, program: path.into(), arguments: &ARGUMENTS }
    }

    /// One round; names of measurements and nanoseconds.
    fn measure(&self, thousands: u64) -> Result<Vec<(String, f64)>, String> {
        let mut command = Command::new(&self.program);
        command.args(self.arguments).arg(thousands.to_string());
        let output = command
            .output()
            .map_err(|e| format!("cannot start {}: {e}", self.program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{} ended with {}: {text}{errors}", self.name, output.status));
        }
        text.lines().map(|line| self.line(line)).collect()
    }

    fn line(&self, line: &str) -> Result<(String, f64), String> {
        let parsed = line.split_once(' ').and_then(|(name, ns)| Some((name, ns.parse().ok()?)));
        let (name, ns) = parsed.ok_or_else(|| format!("{} says `{line}`", self.name))?;
        Ok((name.to_owned(), ns))
    }
}

/// What one thing costs, by who measured it.
#[derive(Debug, Clone)]
pub struct Row {
    /// What.
    pub what: String,
    /// By subject: name, whether it is ours, nanoseconds.
    pub cells: Vec<(String, bool, Rounds)>,
}

/// All rounds, everybody once in each; in the order in which things were measured first.
///
/// # Errors
/// A message.
pub fn rounds(
    subjects: &[Subject],
    rounds: u32,
    thousands: u64,
    mut progress: impl FnMut(u32),
) -> Result<Vec<Row>, String> {
    let mut order: Vec<String> = Vec::new();
    let mut values: BTreeMap<(String, usize), Vec<f64>> = BTreeMap::new();
    for round in 1..=rounds {
        progress(round);
        for (i, subject) in subjects.iter().enumerate() {
            for (what, ns) in subject.measure(thousands)? {
                if !order.contains(&what) {
                    order.push(what.clone());
                }
                values.entry((what, i)).or_default().push(ns);
            }
        }
    }
    let row = |what: &String| {
        let cells = subjects.iter().enumerate().filter_map(|(i, subject)| {
            let rounds = Rounds::of(values.get(&(what.clone(), i))?.clone())?;
            Some((subject.name.clone(), subject.ours, rounds))
        });
        Row { what: what.clone(), cells: cells.collect() }
    };
    Ok(order.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_names_and_numbers() {
        let subject = Subject::image("coop", "/nowhere");
        assert_eq!(subject.line("yield 12.50"), Ok(("yield".into(), 12.5)));
        assert!(subject.line("panic at 3").unwrap_err().contains("coop says"));
        assert!(subject.measure(1).unwrap_err().contains("cannot start /nowhere"));
    }

    #[test]
    fn rounds_are_put_together() {
        let echo = Subject {
            name: "echo".into(),
            ours: true,
            program: "echo".into(),
            arguments: &["speed"],
        };
        let rows = rounds(&[echo.clone(), echo], 3, 7, |_| ()).unwrap();
        assert_eq!((rows.len(), rows[0].cells.len()), (1, 2));
        assert_eq!(rows[0].cells[1].2, Rounds::of(vec![7.0, 7.0, 7.0]).unwrap());
    }
}
