//! The queue, and the calls by number on the only thread. What threads do to each other is tested in
//! images.

use std::sync::{Mutex, MutexGuard, PoisonError};

use posix_thread::FIRST;
use proptest::prelude::*;
use syscall_shim::{Errno, call, nr};

use crate::info::{Info, SI_USER};
use crate::number::{FIRST_QUEUED, bit};
use crate::queue::{MOST, Queue};
use crate::state::{Action, STATE};
use crate::timers;

const EINVAL: isize = -22;
const SIGUSR1: i32 = 10;
const SIGUSR2: i32 = 12;
const SIGRTMIN: i32 = 35;
const EIGHT: usize = 8;
const UNBLOCK: i32 = 1;
const SET: i32 = 2;

/// One test at a time: there is one process.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (none, default) = (0u64, Action { handler: 0, flags: 0, restorer: 0, mask: 0 });
    let ignore = Action { handler: 1, ..default };
    for signal in [SIGUSR1, SIGUSR2, SIGRTMIN, 14] {
        // Ignoring forgets what is pending.
        assert_eq!(call!(nr::rt_sigaction, signal, &ignore, 0, EIGHT), 0);
        assert_eq!(call!(nr::rt_sigaction, signal, &default, 0, EIGHT), 0);
    }
    assert_eq!(call!(nr::rt_sigprocmask, SET, &none, 0, EIGHT), 0);
    turn
}

proptest! {
    /// Against a list: standard signals once, the others each time, smallest number first.
    #[test]
    fn the_queue_is_a_list(steps in prop::collection::vec((0u8..3, 1i32..=64), 0..80)) {
        let (mut queue, mut model): (Queue, Vec<(i32, u64)>) = (Queue::new(), Vec::new());
        for (index, (step, signal)) in steps.into_iter().enumerate() {
            match step {
                0 | 1 => {
                    let mut info = Info::new(signal, SI_USER);
                    info.fields[1] = index as u64;
                    prop_assert!(queue.push(info));
                    let known = model.iter().any(|(other, _)| *other == signal);
                    if signal >= FIRST_QUEUED || !known {
                        model.push((signal, index as u64));
                    }
                }
                _ => {
                    // All signals up to this one.
                    let set = bit(signal) | (bit(signal) - 1);
                    let synchronous = [11, 7, 4, 8];
                    let key = |(number, order): &(i32, u64)| {
                        (!synchronous.contains(number), *number, *order)
                    };
                    let fits = |entry: &&(i32, u64)| entry.0 <= signal;
                    let expected = model.iter().filter(fits).min_by_key(|entry| key(entry)).copied();
                    let taken = queue.take(set).map(|info| (info.signal, info.fields[1]));
                    prop_assert_eq!(taken, expected);
                    model.retain(|entry| Some(*entry) != expected);
                }
            }
            let set = model.iter().fold(0, |set, (signal, _)| set | bit(*signal));
            prop_assert_eq!(queue.set(), set);
        }
    }
}

#[test]
fn the_queue_has_an_end() {
    let mut queue = Queue::new();
    for _ in 0..MOST {
        assert!(queue.push(Info::new(40, SI_USER)));
    }
    assert!(!queue.push(Info::new(41, SI_USER)));
    queue.forget(bit(40));
    assert!(queue.set() == 0 && queue.push(Info::new(41, SI_USER)));
    assert!(queue.take(bit(40)).is_none());
}

#[test]
fn overruns_are_counted() {
    let mut info = Info::from_timer(SIGRTMIN, 3, 4, 9);
    assert_eq!((info.timer(), info.overrun()), (Some(3), 4));
    info.count_overruns(2);
    assert_eq!((info.timer(), info.overrun(), info.fields[1]), (Some(3), 6, 9));
    assert_eq!(Info::new(SIGRTMIN, SI_USER).timer(), None);
}

static CALLED: Mutex<Vec<i32>> = Mutex::new(Vec::new());

extern "C" fn handler(signal: i32) {
    CALLED.lock().unwrap().push(signal);
    // What a handler blocks is not blocked any more when it has ended.
    let mut mask = 0u64;
    assert_eq!(call!(nr::rt_sigprocmask, 0, 0, &mut mask, EIGHT), 0);
    assert_eq!(mask & (bit(signal) | bit(SIGUSR2)), bit(signal) | bit(SIGUSR2));
}

#[test]
fn handlers_run_when_a_call_ends() {
    let _turn = turn();
    CALLED.lock().unwrap().clear();
    let action = Action {
        handler: handler as *const () as usize,
        flags: 0,
        restorer: 0,
        mask: bit(SIGUSR2) | bit(9),
    };
    let mut now = Action { handler: 5, flags: 5, restorer: 5, mask: 5 };
    assert_eq!(call!(nr::rt_sigaction, SIGUSR1, &action, 0, EIGHT), 0);
    assert_eq!(call!(nr::rt_sigaction, SIGUSR1, 0, &mut now, EIGHT), 0);
    // What cannot be blocked is left out.
    assert_eq!(now, Action { mask: bit(SIGUSR2), ..action });
    assert_eq!(call!(nr::kill, 1, SIGUSR1), 0);
    assert_eq!(*CALLED.lock().unwrap(), [SIGUSR1]);
    let mut mask = 7u64;
    assert_eq!(call!(nr::rt_sigprocmask, 0, 0, &mut mask, EIGHT), 0);
    assert_eq!(mask, 0);
    // Blocked until the wait's own mask lets it through; the wait then ends.
    let (set, none) = (bit(SIGUSR1), 0u64);
    assert_eq!(call!(nr::rt_sigprocmask, SET, &set, 0, EIGHT), 0);
    assert_eq!(call!(nr::tkill, 1, SIGUSR1), 0);
    assert_eq!(CALLED.lock().unwrap().len(), 1);
    assert_eq!(call!(nr::rt_sigsuspend, &none, EIGHT), Errno::EINTR.to_raw());
    assert_eq!(CALLED.lock().unwrap().len(), 2);
    assert_eq!(call!(nr::rt_sigprocmask, UNBLOCK, &set, &mut mask, EIGHT), 0);
    assert_eq!((mask, CALLED.lock().unwrap().len()), (set, 2));
}

/// Who ends a wait for a signal gets it, whoever else could.
#[test]
fn a_signal_that_ends_a_wait_is_not_taken_by_others() {
    const OTHER: i32 = 99;
    let _turn = turn();
    let mut state = STATE.lock();
    assert!(!state.claim(FIRST));
    assert!(state.pending.push(Info::new(SIGUSR1, SI_USER)));
    assert_eq!(state.deliverable(OTHER), bit(SIGUSR1));
    assert!(state.claim(FIRST) && state.claim(FIRST), "it stays");
    assert_eq!((state.deliverable(OTHER), state.claim(OTHER)), (0, false));
    assert_eq!(state.take(FIRST, bit(SIGUSR1)).map(|info| info.signal), Some(SIGUSR1));
    // What a thread blocks is for others.
    state.own(FIRST).mask = bit(SIGUSR1);
    assert!(state.pending.push(Info::new(SIGUSR1, SI_USER)));
    assert!(!state.claim(FIRST) && state.claim(OTHER));
    state.thread_ended(OTHER);
}

#[test]
fn waiting_for_signals() {
    let _turn = turn();
    let set = bit(SIGUSR1) | bit(SIGRTMIN);
    assert_eq!(call!(nr::rt_sigprocmask, SET, &set, 0, EIGHT), 0);
    let soon = [0i64, 3_000_000];
    let start = ukplat::monotonic_ns();
    assert_eq!(call!(nr::rt_sigtimedwait, &set, 0, &soon, EIGHT), Errno::EAGAIN.to_raw());
    assert!(ukplat::monotonic_ns() >= start + 3_000_000);
    let mut info = Info::from_process(SIGRTMIN, -1);
    info.fields[1] = 77;
    assert_eq!(call!(nr::rt_sigqueueinfo, 1, SIGRTMIN, &info), 0);
    assert_eq!(call!(nr::kill, 1, SIGUSR1), 0);
    let mut pending = 0u64;
    assert_eq!(call!(nr::rt_sigpending, &mut pending, EIGHT), 0);
    assert_eq!(pending, set);
    let mut part = [0x55u8; 8];
    assert_eq!(call!(nr::rt_sigpending, &mut part, 4usize), 0);
    assert_eq!(part[..4], set.to_ne_bytes()[..4]);
    assert_eq!(part[4..], [0x55; 4], "no more than there is room for");
    assert_eq!(call!(nr::rt_sigpending, 0, 0usize), 0);
    assert_eq!(call!(nr::rt_sigpending, 0, EIGHT), Errno::EFAULT.to_raw());
    let mut found = Info::new(0, 0);
    assert_eq!(call!(nr::rt_sigtimedwait, &set, &mut found, 0, EIGHT), SIGUSR1 as isize);
    assert_eq!((found.signal, found.code, found.fields[0]), (SIGUSR1, SI_USER, 1));
    assert_eq!(call!(nr::rt_sigtimedwait, &set, &mut found, &soon, EIGHT), SIGRTMIN as isize);
    assert_eq!((found.code, found.fields[1]), (-1, 77));
}

#[test]
fn timers_expire_and_are_asked() {
    let _turn = turn();
    let set = bit(14) | bit(SIGRTMIN);
    assert_eq!(call!(nr::rt_sigprocmask, SET, &set, 0, EIGHT), 0);
    let mut id = -1i32;
    // No signal: it is only asked.
    let mut event = [0u64; 8];
    event[1] = 1 << 32;
    assert_eq!(call!(nr::timer_create, 1, &event, &mut id), 0);
    let mut setting = [0i64, 0, 100, 0];
    assert_eq!(call!(nr::timer_settime, id, 0, &setting, 0), 0);
    assert_eq!(call!(nr::timer_gettime, id, &mut setting), 0);
    assert!((99..=100).contains(&setting[2]), "{setting:?}");
    assert_eq!(call!(nr::timer_getoverrun, id), 0);
    assert_eq!((call!(nr::timer_delete, id), call!(nr::timer_delete, id)), (0, EINVAL));
    event[1] = 2 << 32 | 35;
    assert_eq!(call!(nr::timer_create, 1, &event, &mut id), EINVAL);
    assert_eq!(call!(nr::timer_create, 77, 0, &mut id), EINVAL);
    assert_eq!(call!(nr::timer_settime, 1000, 0, &setting, 0), EINVAL);
    setting[3] = -1;
    assert_eq!(call!(nr::timer_settime, id, 0, &setting, 0), EINVAL);
    assert_eq!((call!(nr::alarm, 50), call!(nr::alarm, 0), call!(nr::alarm, 0)), (0, 50, 0));
    let mut value = [0i64; 4];
    assert_eq!(call!(nr::setitimer, 0, &[3i64, 0, 0, 1_000_000], 0), EINVAL);
    assert_eq!(call!(nr::setitimer, 0, &[3i64, 5, 70, 0], 0), 0);
    assert_eq!(call!(nr::getitimer, 0, &mut value), 0);
    assert!(value[..2] == [3, 5] && (69..=70).contains(&value[2]), "{value:?}");
    assert_eq!(call!(nr::setitimer, 0, 0, &mut value), 0);
    assert_eq!(call!(nr::getitimer, 3, &mut value), EINVAL);
}

/// Nobody looks at a timer whose signal is pending, however often it expires: that is counted when the
/// signal is taken.
#[test]
fn a_timer_waits_until_its_signal_is_taken() {
    let _turn = turn();
    let set = bit(SIGRTMIN);
    assert_eq!(call!(nr::rt_sigprocmask, SET, &set, 0, EIGHT), 0);
    let (mut id, mut event) = (-1i32, [0u64; 8]);
    event[1] = SIGRTMIN as u64;
    assert_eq!(call!(nr::timer_create, 1, &event, &mut id), 0);
    // Each nanosecond.
    assert_eq!(call!(nr::timer_settime, id, 0, &[0i64, 1, 0, 1], 0), 0);
    assert_eq!(timers::expire(), None);
    let start = ukplat::monotonic_ns();
    while ukplat::monotonic_ns() < start + 2_000_000 {}
    let mut found = Info::new(0, 0);
    assert_eq!(call!(nr::rt_sigtimedwait, &set, &mut found, 0, EIGHT), SIGRTMIN as isize);
    assert!(found.timer() == Some(id) && found.overrun() >= 2_000_000, "{found:?}");
    assert_eq!(call!(nr::timer_getoverrun, id), found.overrun() as isize);
    // It goes on then; when its signal is ignored, too, but not all the time.
    let mut pending = 0u64;
    assert_eq!(call!(nr::rt_sigpending, &mut pending, EIGHT), 0);
    assert_eq!((pending, timers::expire()), (set, None));
    let ignore = Action { handler: 1, flags: 0, restorer: 0, mask: 0 };
    assert_eq!(call!(nr::rt_sigaction, SIGRTMIN, &ignore, 0, EIGHT), 0);
    assert_eq!(call!(nr::rt_sigprocmask, UNBLOCK, &set, 0, EIGHT), 0);
    let now = ukplat::monotonic_ns();
    assert!(timers::expire().is_some_and(|next| next > now), "it pauses");
    assert_eq!(call!(nr::timer_delete, id), 0);
    assert_eq!(timers::expire(), None);
}

#[test]
fn wrong_arguments() {
    let _turn = turn();
    let (set, info) = (1u64, Info::new(0, 0));
    for (number, size) in [(nr::rt_sigaction, 4usize), (nr::rt_sigprocmask, 128)] {
        assert_eq!(call!(number, 1, 0, 0, size), EINVAL);
    }
    assert_eq!(call!(nr::rt_sigpending, &mut 0u64, 9usize), EINVAL);
    assert_eq!(call!(nr::rt_sigsuspend, &set, 4usize), EINVAL);
    assert_eq!(call!(nr::rt_sigtimedwait, &set, 0, &[0i64, -1], EIGHT), EINVAL);
    assert_eq!(call!(nr::rt_sigprocmask, 3, &set, 0, EIGHT), EINVAL);
    for signal in [0, 65, -1] {
        assert_eq!(call!(nr::rt_sigaction, signal, 0, 0, EIGHT), EINVAL);
    }
    let ignore = Action { handler: 1, flags: 0, restorer: 0, mask: 0 };
    assert_eq!(call!(nr::rt_sigaction, 9, &ignore, 0, EIGHT), EINVAL);
    let esrch = Errno::ESRCH.to_raw();
    assert_eq!(
        (call!(nr::kill, 1, 0), call!(nr::kill, 0, 0), call!(nr::kill, 1, 99)),
        (0, 0, EINVAL)
    );
    assert_eq!(
        (call!(nr::kill, 2, 1), call!(nr::kill, -1, 1), call!(nr::kill, -7, 0)),
        (esrch, esrch, esrch)
    );
    assert_eq!(
        (call!(nr::tkill, 1, 0), call!(nr::tkill, 5, 1), call!(nr::tkill, 0, 1)),
        (0, esrch, EINVAL)
    );
    assert_eq!((call!(nr::tgkill, 2, 1, 1), call!(nr::tgkill, 1, -1, 1)), (esrch, EINVAL));
    assert_eq!(call!(nr::rt_tgsigqueueinfo, 1, 9999, 10, &info), esrch);
    assert_eq!(call!(nr::signalfd4, 99, &set, EIGHT, 0), Errno::EBADF.to_raw());
    assert_eq!(call!(nr::signalfd4, -1, &set, EIGHT, 1), EINVAL);
    let stack = [0x1000usize, 0, 100];
    assert_eq!(call!(nr::sigaltstack, &stack, 0), Errno::ENOMEM.to_raw());
    assert_eq!(call!(nr::sigaltstack, &[0x1000usize, 8, 9000], 0), EINVAL);
}
