//! Looking at a file.

use ukfile::{Events, File};

/// What `file` is ready for of `wanted`; when it is not, when to look again without having been
/// told, if ever.
pub fn look(file: &dyn File, wanted: Events) -> (Events, Option<u64>) {
    if !file.is_timed() {
        return (file.ready() & wanted, None);
    }
    let now = ukplat::monotonic_ns();
    let found = file.ready() & wanted;
    // What was due before the look is ready, but not for what is wanted: there is nothing to come.
    let next = if found.is_empty() { file.ready_at().filter(|&at| at > now) } else { None };
    (found, next)
}
