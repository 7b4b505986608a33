//! Who measures.

use bench_report::run::Subject;

/// A part of this program, in a process of its own.
///
/// # Errors
/// This program cannot be found.
pub fn own(name: &str, part: &str, thousands: u64) -> Result<Subject, String> {
    let program = std::env::current_exe().map_err(|e| format!("cannot find myself: {e}"))?;
    let arguments = vec![part.to_owned(), thousands.to_string()];
    Ok(Subject { name: name.into(), ours: false, program, arguments })
}

/// An image for linuxu, with memory for the stacks of 10 000 threads.
pub fn image(name: &str, path: &str, thousands: u64) -> Subject {
    let arguments = vec!["linuxu.memory=1G".to_owned(), "--".to_owned(), thousands.to_string()];
    Subject { name: name.into(), ours: true, program: path.into(), arguments }
}
