//! Runs programs that measure, in turn, and collects what they say: a line for each measurement, with its
//! name and a number.
//!
//! ```
//! use bench_report::run::{Subject, rounds};
//!
//! let subject = Subject {
//!     name: "shell".into(),
//!     ours: false,
//!     program: "sh".into(),
//!     arguments: ["-c", "echo speed 7"].map(str::to_owned).to_vec(),
//! };
//! let rows = rounds(&[subject], 3, |_| ())?;
//! assert_eq!((rows[0].what.as_str(), rows[0].cells[0].2.spread().median), ("speed", 7.0));
//! # Ok::<(), String>(())
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use crate::Rounds;

/// Who measures.
#[derive(Debug, Clone)]
pub struct Subject {
    /// In tables.
    pub name: String,
    /// Whether it is this project's.
    pub ours: bool,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// A line of what a subject says: a name and a number, or nothing that was measured. An error is a line
/// that has no place there.
pub type Read = fn(&str) -> Result<Option<(String, f64)>, ()>;

/// A name, a space and a number.
///
/// # Errors
/// It is something else.
pub fn name_and_number(line: &str) -> Result<Option<(String, f64)>, ()> {
    let (name, number) = line.split_once(' ').ok_or(())?;
    Ok(Some((name.to_owned(), number.parse().map_err(|_| ())?)))
}

impl Subject {
    /// One round; names of measurements and values.
    fn measure(&self, read: Read) -> Result<Vec<(String, f64)>, String> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        let output = command
            .output()
            .map_err(|e| format!("cannot start {}: {e}", self.program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{} ended with {}: {text}{errors}", self.name, output.status));
        }
        let line = |line| read(line).map_err(|()| format!("{} says `{line}`", self.name));
        text.lines().filter_map(|text| line(text).transpose()).collect()
    }
}

/// What one thing costs, by who measured it.
#[derive(Debug, Clone)]
pub struct Row {
    /// What.
    pub what: String,
    /// By subject: name, whether it is ours, values.
    pub cells: Vec<(String, bool, Rounds)>,
}

/// All rounds, everybody once in each; in the order in which things were measured first.
///
/// # Errors
/// A message.
pub fn rounds(
    subjects: &[Subject],
    rounds: u32,
    progress: impl FnMut(u32),
) -> Result<Vec<Row>, String> {
    rounds_read(subjects, rounds, name_and_number, progress)
}

/// The same with programs whose lines are of another form.
///
/// # Errors
/// A message.
pub fn rounds_read(
    subjects: &[Subject],
    rounds: u32,
    read: Read,
    mut progress: impl FnMut(u32),
) -> Result<Vec<Row>, String> {
    let mut order: Vec<String> = Vec::new();
    let mut values: BTreeMap<(String, usize), Vec<f64>> = BTreeMap::new();
    for round in 1..=rounds {
        progress(round);
        for (i, subject) in subjects.iter().enumerate() {
            for (what, ns) in subject.measure(read)? {
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

    fn subject(program: &str, arguments: &[&str]) -> Subject {
        let arguments = arguments.iter().map(|a| (*a).to_owned()).collect();
        Subject { name: "coop".into(), ours: true, program: program.into(), arguments }
    }

    #[test]
    fn lines_are_names_and_numbers() {
        assert_eq!(name_and_number("yield 12.50"), Ok(Some(("yield".into(), 12.5))));
        let measure = |program: &str, arguments: &[&str]| {
            subject(program, arguments).measure(name_and_number).unwrap_err()
        };
        assert!(measure("echo", &["panic at 3"]).contains("coop says `panic at 3`"));
        assert!(measure("/nowhere", &[]).contains("cannot start /nowhere"));
        assert!(measure("false", &[]).contains("coop ended with"));
    }

    #[test]
    fn rounds_are_put_together() {
        let echo = subject("echo", &["speed", "7"]);
        let rows = rounds(&[echo.clone(), echo], 3, |_| ()).unwrap();
        assert_eq!((rows.len(), rows[0].cells.len()), (1, 2));
        assert_eq!(rows[0].cells[1].2, Rounds::of(vec![7.0, 7.0, 7.0]).unwrap());
        let two = subject("printf", &["heading\nspeed 7\n"]);
        let read: Read = |line| if line == "heading" { Ok(None) } else { name_and_number(line) };
        assert_eq!(two.measure(read), Ok(vec![("speed".to_owned(), 7.0)]));
    }
}
