//! The thread of a device: waits for notifications, and for the device's source.

use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use super::Slot;
use crate::confine::{Confinement, Role};
use crate::error::Error;

/// For how long a thread that had something to do looks for more before it sleeps: to be woken takes
/// as long.
const LOOK: Duration = Duration::from_micros(50);

/// Starts the thread of a device; devices that are quick need none.
///
/// # Errors
/// [`Error::System`].
pub fn spawn(slot: &'static Slot, confinement: Confinement) -> Result<(), Error> {
    if slot.bells().is_empty() {
        return Ok(());
    }
    // With one CPU looking would keep the guest from running.
    let looks = std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1);
    let run = move || {
        let mut calls = slot.with_device(|device| device.calls());
        calls.extend(slot.bells().iter().map(|bell| (libc::SYS_read, bell.as_raw_fd())));
        calls.extend(slot.bells().iter().map(|bell| (libc::SYS_write, bell.as_raw_fd())));
        confinement.enter_or_end(Role::Device, &calls);
        work(slot, looks)
    };
    let builder = std::thread::Builder::new().stack_size(256 << 10).name(slot.name().to_owned());
    let started = builder.spawn(run).map(|_| ());
    started.map_err(|e| Error::System("start a thread for a device", e))
}

fn work(slot: &Slot, looks: bool) -> ! {
    let waits_for = |fd: RawFd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let bells: Vec<libc::pollfd> =
        slot.bells().iter().map(|bell| waits_for(bell.as_raw_fd())).collect();
    let mut last: Option<Instant> = None;
    let mut again = false;
    loop {
        let mut entries = bells.clone();
        entries.extend(slot.source());
        let looks = looks && last.is_some_and(|last| last.elapsed() < LOOK);
        let limit = if looks || again { 0 } else { -1 };
        // SAFETY: the entries live during the call.
        let count =
            unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, limit) };
        if count <= 0 && !again {
            continue;
        }
        let (heard, source) = entries.split_at(bells.len());
        for (index, bell) in slot.bells().iter().enumerate() {
            if heard[index].revents != 0 {
                // Before looking: who notifies afterwards is heard again.
                let _ = bell.read();
                if slot.serve(index) {
                    let _ = bell.write(1);
                }
            }
        }
        if again || source.iter().any(|entry| entry.revents != 0) {
            again = slot.input();
        }
        last = Some(Instant::now());
    }
}
