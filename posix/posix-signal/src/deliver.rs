//! Delivering signals when a call ends.

use posix_thread::of_program;
use syscall_shim::{Ended, Errno, Then, is_call_end_requested, nr};

use crate::info::{Info, SI_USER};
use crate::number::{FIXED, SIGPIPE, bit};
use crate::post::{Target, end, post};
use crate::stack::{call_handler, for_handler};
use crate::state::{Action, DEFAULT, IGNORE, STATE, State};
use crate::timers;

// Flags of actions (sigaction(2)).
const SA_RESTART: u64 = 0x1000_0000;
const SA_NODEFER: u64 = 0x4000_0000;
const SA_RESETHAND: u64 = 0x8000_0000;

/// `MSG_NOSIGNAL` of `send`.
const NO_SIGNAL: usize = 0x4000;

/// Handlers of timers' signals that run at the end of one call, at most.
const MOST_OF_TIMERS: u32 = 8;

/// What is to be done with a signal.
enum Next {
    Nothing,
    Ignore(Info),
    End(i32),
    Handle(Frame),
}

/// A handler that runs.
pub struct Frame {
    info: Info,
    pub action: Action,
    /// The mask from before.
    pub mask: u64,
}

/// Whether the running thread has to end its wait, because a signal is to be delivered.
pub fn interrupted() -> bool {
    timers::look();
    if !is_call_end_requested() {
        return false;
    }
    of_program().is_some_and(|thread| STATE.lock().claim(thread))
}

/// A call of the running thread has ended.
pub fn after_call(ended: Ended<'_>) -> Then {
    let Some(thread) = of_program() else { return Then::Return(ended.result) };
    timers::look();
    if ended.result == Errno::EPIPE.to_raw() && sends_sigpipe(&ended) {
        // A thread that runs is there.
        let _ = post(Target::Thread(thread), Info::from_process(SIGPIPE, SI_USER));
    }
    let (mut handled, mut restarts, mut of_timers) = (false, true, 0);
    loop {
        // A timer may expire again while a handler runs: the program gets its turn, and what is pending
        // is delivered at the end of its next call.
        if of_timers == MOST_OF_TIMERS {
            STATE.lock().settle(thread);
            break;
        }
        let next = STATE.lock().next(thread);
        match next {
            Next::Nothing => break,
            Next::Ignore(mut info) => {
                timers::delivered(&mut info);
            }
            Next::End(signal) => end(signal),
            Next::Handle(mut frame) => {
                handled = true;
                restarts &= frame.action.flags & SA_RESTART != 0;
                of_timers += u32::from(timers::delivered(&mut frame.info));
                if frame.action.flags & SA_RESETHAND != 0 {
                    // Others that are pending are forgotten, if nothing is what happens by default.
                    timers::forgotten(bit(frame.info.signal));
                }
                // A handler may never return, but jump to where the program wants to go on: nothing
                // is locked, and nothing here would have to be dropped.
                let in_call = posix_thread::in_call();
                posix_thread::set_in_call(false);
                let stack = for_handler(&frame.action);
                let mask = call_handler(&frame.action, frame.info, frame.mask, stack);
                posix_thread::set_in_call(in_call);
                STATE.lock().own(thread).mask = mask & !FIXED;
            }
        }
    }
    if ended.result != Errno::EINTR.to_raw() {
        return Then::Return(ended.result);
    }
    // Nobody wants the signal any more; or the handlers say so.
    if !handled || (restarts && is_restarted(&ended)) {
        Then::Again
    } else {
        Then::Return(ended.result)
    }
}

impl State {
    fn next(&mut self, thread: i32) -> Next {
        let open = !self.mask(thread);
        let Some(info) = self.take(thread, open) else {
            self.settle(thread);
            return Next::Nothing;
        };
        let action = self.action(info.signal);
        match action.handler {
            IGNORE => Next::Ignore(info),
            DEFAULT if self.is_ignored(info.signal) => Next::Ignore(info),
            DEFAULT => Next::End(info.signal),
            _ => Next::Handle(self.begin(thread, info)),
        }
    }

    /// A call of a thread returns: with the mask from before, and whatever is pending now is for later.
    fn settle(&mut self, thread: i32) {
        let own = self.own(thread);
        if let Some(saved) = own.saved.take() {
            own.mask = saved;
        }
        self.request();
        timers::request();
    }

    /// A handler of a thread begins.
    pub fn begin(&mut self, thread: i32, info: Info) -> Frame {
        let action = self.action(info.signal);
        if action.flags & SA_RESETHAND != 0 {
            self.set_action(info.signal, Action { handler: DEFAULT, ..action });
        }
        let own = self.own(thread);
        let mask = own.saved.take().unwrap_or(own.mask);
        own.mask |= action.mask;
        if action.flags & SA_NODEFER == 0 {
            own.mask |= bit(info.signal);
        }
        own.mask &= !FIXED;
        Frame { info, action, mask }
    }
}

/// Calls that write to what may have no reader.
fn sends_sigpipe(ended: &Ended<'_>) -> bool {
    match ended.call.number {
        nr::write
        | nr::writev
        | nr::pwrite64
        | nr::pwritev
        | nr::pwritev2
        | nr::sendfile
        | nr::splice
        | nr::tee
        | nr::vmsplice => true,
        nr::sendto => ended.words[3] & NO_SIGNAL == 0,
        nr::sendmsg => ended.words[2] & NO_SIGNAL == 0,
        nr::sendmmsg => ended.words[3] & NO_SIGNAL == 0,
        _ => false,
    }
}

/// Whether a call that a handler interrupted is made again when the handler's action says so
/// (signal(7), "Interruption of system calls"): not those that wait for a time.
fn is_restarted(ended: &Ended<'_>) -> bool {
    match ended.call.number {
        nr::read
        | nr::readv
        | nr::preadv
        | nr::preadv2
        | nr::write
        | nr::writev
        | nr::pwritev
        | nr::pwritev2
        | nr::sendfile
        | nr::copy_file_range
        | nr::ioctl
        | nr::open
        | nr::openat
        | nr::creat
        | nr::wait4
        | nr::waitid
        | nr::accept
        | nr::accept4
        | nr::connect
        | nr::recvfrom
        | nr::recvmsg
        | nr::sendto
        | nr::sendmsg
        | nr::flock
        | nr::fcntl
        | nr::getrandom => true,
        // Without a time only: with one it would wait longer.
        nr::futex => ended.words[3] == 0,
        _ => false,
    }
}
