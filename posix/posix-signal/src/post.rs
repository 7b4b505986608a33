//! Sending a signal.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use posix_thread::Events;
use syscall_shim::{Delivery, Errno, request_call_end};
use ukplat::StaticRef;

use crate::info::Info;
use crate::number::{FIRST_QUEUED, SIGKILL, bit, name};
use crate::state::{DEFAULT, STATE, State, WAITING};
use crate::{deliver, masks, timers};

/// Who gets a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// One thread that does not block it.
    Process,
    /// The thread with this number.
    Thread(i32),
}

/// What sending leads to.
enum Effect {
    /// The signal is ignored.
    Ignore,
    /// It waits until somebody takes it.
    None,
    /// This thread takes it.
    Wake(i32),
    /// It ends the process.
    End,
}

/// Called when a signal is pending.
pub static ON_POST: StaticRef<fn()> = StaticRef::new();

/// Makes calls deliver signals from now on. What can send one calls this before.
pub fn activate() {
    static DELIVERY: Delivery = Delivery {
        after_call: deliver::after_call,
        begin_mask: masks::begin,
        end_mask: masks::end,
        begin_call: || posix_thread::set_in_call(true),
        end_call: || posix_thread::set_in_call(false),
    };
    static QUERY: uklock::Query = deliver::interrupted;
    syscall_shim::on_call_end(unknown(&DELIVERY));
    uklock::on_interrupted_query(unknown(&QUERY));
    know_threads();
}

/// The reference as one that the optimizer knows nothing about. It would find that nothing else is ever
/// stored in its place, and put direct calls into every system call: of images, too, that can never
/// send a signal.
pub fn unknown<T>(reference: &'static T) -> &'static T {
    core::hint::black_box(reference)
}

/// New threads get their masks from now on.
pub fn know_threads() {
    static EVENTS: Events = Events {
        created: |parent, child| STATE.lock().thread_created(parent, child),
        ended: |thread| {
            let lost = STATE.lock().thread_ended(thread);
            timers::forgotten(lost);
        },
    };
    static KNOWN: AtomicBool = AtomicBool::new(false);
    if !KNOWN.load(Relaxed) {
        KNOWN.store(true, Relaxed);
        posix_thread::on_thread_events(unknown(&EVENTS));
    }
}

/// What becomes of a signal that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It stays until somebody takes it.
    Pending,
    /// It is ignored, and gone.
    Ignored,
}

/// Sends a signal.
///
/// # Errors
/// `ESRCH` when there is no such thread; `EAGAIN` when too many signals are pending.
pub fn post(target: Target, info: Info) -> Result<(), Errno> {
    send(target, info).map(drop)
}

/// Sends a signal, as [`post`], and tells what becomes of it.
pub fn send(target: Target, info: Info) -> Result<Sent, Errno> {
    activate();
    if info.signal == SIGKILL {
        end(info.signal);
    }
    let effect = STATE.lock().post(target, info)?;
    match effect {
        Effect::Ignore => return Ok(Sent::Ignored),
        Effect::None => {}
        Effect::Wake(thread) => posix_thread::wake(thread),
        Effect::End => end(info.signal),
    }
    WAITING.wake_all();
    if let Some(hook) = ON_POST.get() {
        hook();
    }
    Ok(Sent::Pending)
}

/// The default action: ends the process as a shell would tell it.
pub fn end(signal: i32) -> ! {
    ukplat::eprintln!("ended by signal {} ({})", signal, name(signal));
    ukboot::exit(128 + signal as u8)
}

impl State {
    fn post(&mut self, target: Target, info: Info) -> Result<Effect, Errno> {
        let signal = info.signal;
        let caller = posix_thread::of_program();
        let find = |fits: &dyn Fn(i32) -> bool| match target {
            Target::Thread(thread) => Some(thread).filter(|thread| fits(*thread)),
            // The caller first: it is awake.
            Target::Process => {
                let caller = caller.filter(|thread| fits(*thread));
                caller.or_else(|| posix_thread::find_number(fits))
            }
        };
        if matches!(target, Target::Thread(thread) if !posix_thread::exists(thread)) {
            return Err(Errno::ESRCH);
        }
        let waits = find(&|thread| self.awaits(thread, signal));
        let open = find(&|thread| self.mask(thread) & bit(signal) == 0);
        // What is blocked may have another action when it is not any more.
        if waits.is_none() && open.is_some() {
            if self.is_ignored(signal) {
                return Ok(Effect::Ignore);
            }
            if self.action(signal).handler == DEFAULT {
                return Ok(Effect::End);
            }
        }
        let queue = match target {
            Target::Process => &mut self.pending,
            Target::Thread(thread) => &mut self.own(thread).pending,
        };
        let again = info.timer().and_then(|timer| queue.of_timer(timer));
        if let Some(pending) = again {
            pending.count_overruns(info.overrun() as u64 + 1);
        } else if !queue.push(info) && signal >= FIRST_QUEUED {
            return Err(Errno::EAGAIN);
        }
        match waits.or(open) {
            Some(thread) => {
                if waits.is_none() {
                    request_call_end(true);
                }
                Ok(Effect::Wake(thread))
            }
            None => Ok(Effect::None),
        }
    }
}
