//! Ending an image in the foreground when this program is asked to end: by Ctrl-C, or SIGTERM.

use std::sync::Arc;
use std::sync::atomic::AtomicI32;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::time::Duration;

use rustix::process::Signal;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use crate::diagnostic::{Context, Result};
use crate::guests::process::Process;

/// How long an image has to shut down when it is asked to.
pub const GRACE: Duration = Duration::from_secs(5);

/// Passes requests to end on to an image, and ends it when it takes too long.
#[derive(Debug)]
pub struct Ending {
    asked: Arc<AtomicI32>,
    handle: Handle,
}

impl Ending {
    /// For a process, until this is dropped.
    pub fn of(process: Process) -> Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot watch for signals")?;
        let asked = Arc::new(AtomicI32::new(0));
        let (handle, first) = (signals.handle(), asked.clone());
        let process = Arc::new(process);
        std::thread::spawn(move || {
            for signal in signals.forever() {
                let before = first.swap(signal, AcqRel);
                if before == 0 {
                    eprintln!("oxk: stopping the image");
                    // From a terminal it has got a signal of its own already, which does not matter.
                    process.signal(Signal::TERM);
                    let process = process.clone();
                    std::thread::spawn(move || {
                        if !process.ends_within(GRACE) {
                            eprintln!("oxk: it did not stop in {} s: ended", GRACE.as_secs());
                            process.signal(Signal::KILL);
                        }
                    });
                } else if signal == SIGINT {
                    process.signal(Signal::KILL);
                }
            }
        });
        Ok(Self { asked, handle })
    }

    /// The exit code of a process that ends by the signal that came, if one came.
    pub fn code(&self) -> Option<u8> {
        match self.asked.load(Acquire) {
            0 => None,
            signal => Some(128 + signal as u8),
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.handle.close();
    }
}
