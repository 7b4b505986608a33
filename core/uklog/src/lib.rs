//! Log messages of the `log` crate on the console's error stream.
//!
//! Libraries and applications use the macros of the `log` crate; this library prints them.
//!
//! ```
//! log::info!("{} packets", 3); // "[    0.000123] INFO  net: 3 packets"
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use core::fmt::Write as _;
use core::sync::atomic::{AtomicU64, Ordering};

use log::{LevelFilter, Log, Metadata, Record};
use ukplat::console::LineBuffer;
use ukplat::{BootInfo, InitError, Stream};

/// Parameter `uklog.level`, in the order of [`LevelFilter`].
pub static LEVEL: ukparam::Choice = ukparam::Choice::new();
/// Parameter `uklog.time`.
pub static TIME: ukparam::Bool = ukparam::Bool::new();

static ENTRY_TICKS: AtomicU64 = AtomicU64::new(0);

const LEVELS: [LevelFilter; 6] = [
    LevelFilter::Off,
    LevelFilter::Error,
    LevelFilter::Warn,
    LevelFilter::Info,
    LevelFilter::Debug,
    LevelFilter::Trace,
];

struct Console;

impl Log for Console {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut line = LineBuffer::new(Stream::Err);
        // Writing to the console does not fail.
        if TIME.get() {
            let ticks = ukplat::ticks().wrapping_sub(ENTRY_TICKS.load(Ordering::Relaxed));
            let us = ukplat::ticks_to_ns(ticks) / 1_000;
            let _ = write!(line, "[{:5}.{:06}] ", us / 1_000_000, us % 1_000_000);
        }
        let _ = writeln!(line, "{:<5} {}: {}", record.level(), record.target(), record.args());
    }

    fn flush(&self) {}
}

/// Boot phase `log`: connects the macros of `log` with the console at the level of `uklog.level`.
///
/// # Errors
/// Another logger was set before.
pub fn init(boot: &'static BootInfo) -> Result<(), InitError> {
    ENTRY_TICKS.store(boot.entry_ticks, Ordering::Relaxed);
    log::set_logger(&Console).map_err(|_| InitError::new("a logger was set twice"))?;
    log::set_max_level(LEVELS.get(LEVEL.get()).copied().unwrap_or(LevelFilter::Warn));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_parameter_sets_the_filter() {
        static BOOT: BootInfo = BootInfo { words: &["image"], ..BootInfo::EMPTY };
        LEVEL.set(4);
        TIME.set(true);
        init(&BOOT).unwrap();
        assert_eq!(log::max_level(), LevelFilter::Debug);
        log::debug!("printed once");
        assert!(init(&BOOT).is_err(), "a second logger is refused");
    }
}
