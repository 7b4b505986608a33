//! Who measures.

use bench_report::run::Subject;
use tempfile::TempDir;

/// An image: what a shell starts it with; the number of repetitions comes behind it.
pub fn image(name: &str, command: &str, thousands: u64) -> Subject {
    let arguments = vec!["-c".to_owned(), format!("exec {command} {thousands}")];
    Subject { name: name.into(), ours: true, program: "sh".into(), arguments }
}

/// A program of Linux, and its directory in memory, to be kept until all is measured.
///
/// # Errors
/// There is no such directory.
pub fn program(name: &str, path: &str, thousands: u64) -> Result<(Subject, TempDir), String> {
    let directory = tempfile::tempdir_in("/dev/shm")
        .map_err(|e| format!("cannot make a directory in /dev/shm, which is a tmpfs: {e}"))?;
    let arguments = vec![directory.path().display().to_string(), thousands.to_string()];
    Ok((Subject { name: name.into(), ours: false, program: path.into(), arguments }, directory))
}
