//! Ending an image in the foreground when this program is asked to end: by Ctrl-C, SIGTERM, or because
//! the terminal is gone.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::time::Duration;

use rustix::process::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use crate::diagnostic::{Context, Result};
use crate::guests::process::Process;
use crate::run::asking::Asking;

/// How long an image has to shut down when it is asked to.
pub const GRACE: Duration = Duration::from_secs(5);

/// From here on requests to end wait for an [`Ending`]; before an image is started, so that none is
/// missed.
pub fn watch() -> Result<Signals> {
    // Who ignores that the terminal goes (nohup) still does.
    let hang_up = (!is_ignored(SIGHUP)).then_some(SIGHUP);
    let wanted = [SIGINT, SIGTERM, SIGQUIT].into_iter().chain(hang_up);
    Signals::new(wanted).context("cannot watch for signals")
}

/// Passes requests to end on to an image, and ends it when it takes too long.
#[derive(Debug)]
pub struct Ending {
    asked: Arc<AtomicI32>,
    handle: Handle,
}

impl Ending {
    /// For a process, until this is dropped; `monitor` is that of a machine of QEMU.
    pub fn of(mut signals: Signals, process: Process, monitor: Option<&Path>) -> Self {
        let asked = Arc::new(AtomicI32::new(0));
        let (handle, first) = (signals.handle(), asked.clone());
        let process = Arc::new(process);
        let monitor = monitor.map(Path::to_owned);
        std::thread::spawn(move || {
            for signal in signals.forever() {
                let before = first.swap(signal, AcqRel);
                if before == 0 && signal != SIGQUIT {
                    eprintln!("oxk: stopping the image");
                    let (process, monitor) = (process.clone(), monitor.clone());
                    std::thread::spawn(move || {
                        // From a terminal it has got a signal of its own already, which does not
                        // matter.
                        let mut asked = Asking::to_end(&process, monitor.as_deref());
                        if !asked.ends_within(GRACE) {
                            eprintln!("oxk: it did not stop in {} s: ended", GRACE.as_secs());
                            asked.kill();
                        }
                    });
                } else if matches!(signal, SIGINT | SIGQUIT) {
                    process.signal(Signal::KILL);
                }
            }
        });
        Self { asked, handle }
    }

    /// The exit code of a process that ends by the signal that came, if one came.
    pub fn code(&self) -> Option<u8> {
        match self.asked.load(Acquire) {
            0 => None,
            signal => Some(128 + signal as u8),
        }
    }
}

/// Whether this program was started with a signal ignored (proc(5)).
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 != 0)
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.handle.close();
    }
}
