//! What an object was made of, so that it is made again when something of that changes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::diagnostic::{Context, Result};

/// Clocks of file systems are behind by up to this.
const BEHIND: Duration = Duration::from_millis(20);

/// Size and time of a file, as a line has them.
fn stamp(path: &Path) -> Option<(String, SystemTime)> {
    let metadata = std::fs::metadata(path).ok()?;
    let modified = metadata.modified().ok()?;
    let time = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some((format!("{} {}", metadata.len(), time.as_nanos()), modified))
}

fn place(object: &Path) -> PathBuf {
    object.with_extension("made-of")
}

/// Notes the files, as seen from the folder `from`. What was written since `started` may have been read
/// before or after that: it counts as changed.
///
/// # Errors
/// The record cannot be written.
pub fn write(object: &Path, from: &Path, files: &[PathBuf], started: SystemTime) -> Result<()> {
    let mut text = String::new();
    for file in files {
        let known = stamp(&from.join(file)).filter(|(_, time)| *time + BEHIND < started);
        let known = known.map_or("- -".to_owned(), |(stamp, _)| stamp);
        let _ = writeln!(text, "{known} {}", file.display());
    }
    let (place, whole) =
        (place(object), object.with_extension(format!("{}.tmp", std::process::id())));
    std::fs::write(&whole, text).context(format!("cannot write {}", whole.display()))?;
    std::fs::rename(&whole, &place).context(format!("cannot write {}", place.display()))
}

/// Whether an object is there and all that it was made of is as it was.
pub fn is_current(object: &Path, from: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(place(object)) else { return false };
    let unchanged = |line: &str| {
        let mut words = line.splitn(3, ' ');
        let (Some(size), Some(time), Some(file)) = (words.next(), words.next(), words.next())
        else {
            return false;
        };
        stamp(&from.join(file)).is_some_and(|(now, _)| now == format!("{size} {time}"))
    };
    object.is_file() && !text.is_empty() && text.lines().all(unchanged)
}
