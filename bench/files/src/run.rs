//! Runs everybody in turn and collects what they say.

use std::collections::BTreeMap;
use std::process::Command;

use bench_report::Rounds;
use tempfile::TempDir;

/// Who measures.
#[derive(Debug)]
pub struct Subject {
    /// In tables.
    pub name: String,
    /// Whether it is this project's.
    pub ours: bool,
    /// For a shell; the number of repetitions comes behind it.
    command: String,
    /// Kept until all is measured.
    _directory: Option<TempDir>,
}

impl Subject {
    /// An image.
    pub fn image(name: &str, command: &str) -> Self {
        Self { name: name.into(), ours: true, command: command.into(), _directory: None }
    }

    /// A program of Linux, with a directory in memory.
    ///
    /// # Errors
    /// There is no such directory.
    pub fn program(name: &str, path: &str) -> Result<Self, String> {
        let directory = tempfile::tempdir_in("/dev/shm")
            .map_err(|e| format!("cannot make a directory in /dev/shm, which is a tmpfs: {e}"))?;
        let command = format!("'{path}' '{}'", directory.path().display());
        Ok(Self { name: name.into(), ours: false, command, _directory: Some(directory) })
    }

    /// One round; names of measurements and nanoseconds.
    fn measure(&self, thousands: u64) -> Result<Vec<(String, f64)>, String> {
        let output = Command::new("sh")
            .args(["-c", &format!("exec {} {thousands}", self.command)])
            .output()
            .map_err(|e| format!("cannot start a shell: {e}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let lines: Result<Vec<_>, _> =
            text.lines().map(|line| self.line(line.trim_end())).collect();
        // Virtual machines of QEMU end with the code of QEMU.
        match lines {
            Ok(lines) if !lines.is_empty() => Ok(lines),
            _ => {
                let errors = String::from_utf8_lossy(&output.stderr);
                Err(format!("{} ended with {}: {text}{errors}", self.name, output.status))
            }
        }
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
        for (index, subject) in subjects.iter().enumerate() {
            for (what, ns) in subject.measure(thousands)? {
                if !order.contains(&what) {
                    order.push(what.clone());
                }
                values.entry((what, index)).or_default().push(ns);
            }
        }
    }
    let row = |what: &String| {
        let cells = subjects.iter().enumerate().filter_map(|(index, subject)| {
            let rounds = Rounds::of(values.get(&(what.clone(), index))?.clone())?;
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
        let subject = Subject::image("ramfs", "/nowhere");
        assert_eq!(subject.line("stat 12.50"), Ok(("stat".into(), 12.5)));
        assert!(subject.line("panic at 3").unwrap_err().contains("ramfs says"));
        assert!(subject.measure(1).unwrap_err().contains("/nowhere"));
    }

    #[test]
    fn rounds_are_put_together() {
        let subjects = [Subject::image("a", "echo speed"), Subject::image("b", "echo speed")];
        let rows = rounds(&subjects, 3, 7, |_| ()).unwrap();
        assert_eq!((rows.len(), rows[0].cells.len()), (1, 2));
        assert_eq!(rows[0].cells[1].2, Rounds::of(vec![7.0, 7.0, 7.0]).unwrap());
    }
}
