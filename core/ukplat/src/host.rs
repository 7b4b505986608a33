//! The platform that unit tests run on: `std` of the development machine.

use std::io::Write as _;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::{Exit, Platform, Stream};

/// `std` as a platform, for tests only.
#[derive(Debug)]
pub struct Host;

crate::bind!(Host);

fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

impl Platform for Host {
    const NAME: &'static str = "host";
    const ARCH: &'static str = std::env::consts::ARCH;

    fn console_write(stream: Stream, bytes: &[u8]) {
        let _ = match stream {
            Stream::Out => std::io::stdout().write_all(bytes),
            Stream::Err => std::io::stderr().write_all(bytes),
        };
    }
    fn console_read(_buf: &mut [u8]) -> usize {
        0
    }
    fn ticks() -> u64 {
        Self::monotonic_ns()
    }
    fn ticks_to_ns(ticks: u64) -> u64 {
        ticks
    }
    fn monotonic_ns() -> u64 {
        epoch().elapsed().as_nanos() as u64
    }
    fn wall_ns() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64)
    }
    fn idle_until(deadline_ns: Option<u64>) {
        let now = Self::monotonic_ns();
        let wait = deadline_ns.map_or(u64::MAX, |d| d.saturating_sub(now));
        std::thread::sleep(std::time::Duration::from_nanos(wait));
    }
    fn irq_disable() -> bool {
        false
    }
    fn irq_enable() {}
    fn timer_on_expiry(_handler: fn()) {}
    fn timer_arm(_deadline_ns: Option<u64>) {}
    fn backtrace(_visit: &mut dyn FnMut(usize)) {}
    fn cpu_count() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }
    fn terminate(exit: Exit) -> ! {
        std::process::exit(exit.code().into())
    }
}
