//! Asking an image to shut down in order: a process, the tender among them, by SIGTERM; a machine of
//! QEMU, which ends by signals without asking its image, by its power button.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::guests::process::Process;
use crate::qemu::monitor::Monitor;

/// The button is pressed again after this time: an image that still boots does not hear it.
const AGAIN: Duration = Duration::from_millis(500);

/// An image that was asked to shut down.
#[derive(Debug)]
pub struct Asking<'a> {
    process: &'a Process,
    monitor: Option<Monitor>,
}

impl<'a> Asking<'a> {
    /// Asks it. `monitor` is the socket of a machine of QEMU; where it cannot be asked by that, it is
    /// ended.
    pub fn to_end(process: &'a Process, monitor: Option<&Path>) -> Self {
        let mut this =
            Self { process, monitor: monitor.and_then(|path| Monitor::connect(path).ok()) };
        if this.monitor.is_none() {
            process.signal(Signal::TERM);
        }
        this.press();
        this
    }

    fn press(&mut self) {
        if let Some(monitor) = &mut self.monitor
            && monitor.power_down().is_err()
        {
            self.monitor = None;
            self.process.signal(Signal::TERM);
        }
    }

    /// Ends it without asking.
    pub fn kill(&mut self) {
        self.monitor = None;
        self.process.signal(Signal::KILL);
    }

    /// Waits for its end, at most so long; whether it came.
    pub fn ends_within(&mut self, time: Duration) -> bool {
        let start = Instant::now();
        loop {
            let left = time.saturating_sub(start.elapsed());
            let pause = if self.monitor.is_some() { left.min(AGAIN) } else { left };
            if self.process.ends_within(pause) {
                return true;
            }
            if start.elapsed() >= time {
                return false;
            }
            self.press();
        }
    }
}
