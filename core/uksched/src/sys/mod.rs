//! All that the scheduler needs from below, in one place.

mod platform;
pub use platform::*;
