//! The time that files get.

use ukfile::Timestamp;

/// How far it goes at a time, in nanoseconds: as on Linux with 250 ticks a second.
const STEP: u32 = 4_000_000;

/// Now, in steps: who writes again within one changes no time of the file, and needs no transaction
/// for that.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp { nanoseconds: now.nanoseconds - now.nanoseconds % STEP, ..now }
}
