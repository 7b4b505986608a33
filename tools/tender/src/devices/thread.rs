//! The thread of a device: waits for requests, and for the device's source.
//!
//! As long as it looks for requests itself, drivers that agreed on event index need not notify it, which
//! would be an exit of the guest.

use std::ffi::c_int;
use std::hint::spin_loop;
use std::num::NonZero;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use vmm_sys_util::eventfd::EventFd;

use super::Slot;
use crate::confine::{Confinement, Role};
use crate::error::Error;

/// For how long a thread that had something to do looks for more before it sleeps: to be woken takes as
/// long.
const LOOK: Duration = Duration::from_micros(50);
/// As KVM does by default for CPUs that halt (`halt_poll_ns`).
const LONG_LOOK: Duration = Duration::from_micros(200);

/// Starts the thread of a device of a guest with so many CPUs; devices that are quick need none.
///
/// # Errors
/// [`Error::System`].
pub fn spawn(slot: &'static Slot, confinement: Confinement, cpus: usize) -> Result<(), Error> {
    if slot.bells().is_empty() {
        return Ok(());
    }
    // Looking must not keep the guest from running: never with one CPU, and only for a short while where
    // those of the guest may need all that there are.
    let look = match std::thread::available_parallelism().map_or(1, NonZero::get) {
        1 => Look { first: Duration::ZERO, long: Duration::ZERO },
        host if host > cpus => Look { first: LOOK, long: LONG_LOOK },
        _ => Look { first: LOOK, long: LOOK },
    };
    let run = move || {
        let mut calls = slot.with_device(|device| device.calls());
        calls.extend(slot.bells().iter().map(|bell| (libc::SYS_read, bell.as_raw_fd())));
        confinement.enter_or_end(Role::Device, &calls);
        work(slot, look)
    };
    let builder = std::thread::Builder::new().stack_size(256 << 10).name(slot.name().to_owned());
    let started = builder.spawn(run).map(|_| ());
    started.map_err(|e| Error::System("start a thread for a device", e))
}

/// For how long a thread looks.
#[derive(Clone, Copy)]
struct Look {
    first: Duration,
    /// While that would have saved it from sleeping.
    long: Duration,
}

fn work(slot: &Slot, look: Look) -> ! {
    let mut again = false;
    let mut limit = look.first;
    loop {
        let mut last = Instant::now();
        while last.elapsed() < limit || again {
            if serve(slot, &mut again) {
                last = Instant::now();
            } else {
                spin_loop();
            }
        }
        // What comes until the guest is asked to notify it is found here.
        if !serve(slot, &mut again) && !slot.listen() {
            sleep(slot);
            limit = if last.elapsed() < look.long { look.long } else { look.first };
        }
    }
}

/// Does what there is to be done; whether there was anything. `again`: whether there is more to do at the
/// source, of which the source says nothing.
fn serve(slot: &Slot, again: &mut bool) -> bool {
    let served = slot.serve();
    let at_source =
        *again || served.again || slot.source().is_some_and(|entry| wait(&mut [entry], 0));
    *again = at_source && slot.input();
    served.any || at_source
}

/// Waits for a notification, or for the source.
fn sleep(slot: &Slot) {
    let entry =
        |bell: &EventFd| libc::pollfd { fd: bell.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut entries: Vec<libc::pollfd> =
        slot.bells().iter().map(entry).chain(slot.source()).collect();
    wait(&mut entries, -1);
    for (bell, entry) in slot.bells().iter().zip(&entries) {
        if entry.revents != 0 {
            let _ = bell.read();
        }
    }
}

/// `poll`: whether there is anything.
fn wait(entries: &mut [libc::pollfd], timeout_ms: c_int) -> bool {
    // SAFETY: the entries live during the call.
    unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, timeout_ms) > 0 }
}
