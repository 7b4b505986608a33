//! Switching: who runs now, and what is to be done when nobody can.

#[cfg(feature = "smp")]
use core::sync::atomic::Ordering::Acquire;
use core::sync::atomic::Ordering::{Relaxed, Release, SeqCst};
use core::sync::atomic::fence;

use ukplat::preempt::{self, PreemptGuard};
use ukplat::{context, irq};

use crate::cpu::{self, Cpu, NEVER};
use crate::thread::count;
use crate::{Bound, Policy, Ready, Reason, ThreadRef, Wakeup};

/// Keeps the timer from taking the CPU away; nothing under policies that never do.
#[inline]
fn critical<B: Bound>() -> Option<PreemptGuard> {
    if B::Policy::PREEMPTIVE && !preempt::is_enabled() {
        waits_with_preemption_disabled();
    }
    B::Policy::PREEMPTIVE.then(preempt::disable)
}

#[cold]
#[inline(never)]
fn waits_with_preemption_disabled() -> ! {
    panic!("a thread waits while it keeps others from running")
}

/// Makes room for another thread that is ready.
#[inline]
pub fn yield_now<B: Bound>() {
    let _guard = critical::<B>();
    reschedule::<B>(Some(Reason::Yielded));
}

/// See [`crate::park`].
pub fn park<B: Bound>(deadline_ns: Option<u64>) -> Wakeup {
    let this = crate::current();
    let _guard = critical::<B>();
    if this.0.parker.begin_park() {
        return Wakeup::Token;
    }
    wait::<B>(this, deadline_ns);
    if this.0.parker.end_park() { Wakeup::Token } else { Wakeup::TimedOut }
}

/// See [`crate::sleep_until`].
pub fn sleep<B: Bound>(deadline_ns: u64) {
    let this = crate::current();
    let _guard = critical::<B>();
    this.0.parker.begin_sleep();
    wait::<B>(this, Some(deadline_ns));
}

fn wait<B: Bound>(this: ThreadRef, deadline_ns: Option<u64>) {
    if let Some(deadline) = deadline_ns {
        // SAFETY: preemption is disabled by the caller; the thread belongs to this CPU. It is
        // taken out again before it is made ready (`attend`), so it is never in twice.
        unsafe { B::cpu().with_timers(|timers| timers.insert(this, deadline)) };
    }
    reschedule::<B>(None);
}

/// A thread that waited is ready; called from anywhere.
pub fn make_ready<B: Bound>(thread: ThreadRef) {
    #[cfg(feature = "smp")]
    let _here = preempt::disable();
    #[cfg(feature = "smp")]
    let home = place::<B>(thread);
    #[cfg(not(feature = "smp"))]
    let home = 0;
    let cpu = &B::cpus()[home];
    cpu.inbox.push(Ready::new(thread));
    if home == ukplat::cpu_id() {
        if B::Policy::PREEMPTIVE {
            // Who of the two goes on is decided as soon as preemption is possible.
            preempt::request();
            drop(preempt::disable());
        }
        return;
    }
    // The other CPU says that it is idle before it looks into its inbox for the last time.
    fence(SeqCst);
    if B::Policy::PREEMPTIVE || cpu.idle.load(Relaxed) {
        ukplat::cpu_interrupt(home);
    }
}

/// The CPU for a thread that was made ready: its own, or one that has nothing to do.
#[cfg(feature = "smp")]
fn place<B: Bound>(thread: ThreadRef) -> usize {
    let home = thread.cpu();
    let cpus = &B::cpus()[..crate::cpus()];
    // A thread that is still being switched away from, or whose deadline is noted at home, has to
    // stay there.
    let stays = cpus[home].idle.load(Relaxed)
        || thread.0.on_cpu.load(Acquire) != 0
        || thread.0.timer.is_queued();
    if stays {
        return home;
    }
    let idle = cpus
        .iter()
        .enumerate()
        .position(|(number, cpu)| thread.affinity() >> number & 1 != 0 && cpu.idle.load(Relaxed));
    match idle {
        Some(cpu) => {
            thread.0.cpu.store(cpu as u32, Relaxed);
            cpu
        }
        _ => home,
    }
}

/// The timer's interrupt.
pub fn on_timer<B: Bound>() {
    let cpu = B::cpu();
    cpu.armed.store(NEVER, Relaxed);
    cpu.expired.store(true, Relaxed);
    cpu.inbox.call();
    if B::Policy::PREEMPTIVE {
        preempt::request();
    }
}

/// Another CPU left something in the inbox.
pub fn on_cpu_interrupt<B: Bound>() {
    if B::Policy::PREEMPTIVE {
        preempt::request();
    }
}

/// Called on the stack of a thread that is to be preempted, with preemption disabled once.
pub fn preempted<B: Bound>() {
    let cpu = B::cpu();
    if cpu.inbox.calls() {
        attend::<B>(cpu);
    }
    // Ticks come twice in a slice: after two of them a thread had at least half of its slice.
    let this = crate::current();
    let ticks = cpu.ticks.load(Relaxed).wrapping_sub(this.0.since_tick.load(Relaxed));
    let reason = if ticks >= 2 { Reason::SliceOver } else { Reason::Interrupted };
    reschedule::<B>(Some(reason));
}

/// Runs the next thread, which may be the same. With a reason the running thread stays ready.
/// Returns when the thread runs again. Preemption is disabled by the caller.
#[inline(never)]
fn reschedule<B: Bound>(requeue: Option<Reason>) {
    let cpu = B::cpu();
    let this = crate::current();
    #[cfg(feature = "smp")]
    if let Some(hooks) = crate::bind::cpu_hooks() {
        (hooks.quiescent)(ukplat::cpu_id());
    }
    if cpu.inbox.calls() {
        attend::<B>(cpu);
    }
    // SAFETY: preemption is disabled, and interrupt handlers do not come here.
    let next = unsafe {
        cpu.with_policy(|policy| {
            if let Some(reason) = requeue {
                if policy.is_empty() {
                    return Some(this);
                }
                policy.push(Ready::new(this), reason);
            }
            policy.pop().map(|ready| ready.thread())
        })
    };
    let next = match next {
        Some(next) => next,
        None => match steal::<B>(cpu) {
            Some(ready) => ready.thread(),
            None => idle::<B>(cpu),
        },
    };
    if next == this {
        if B::Policy::PREEMPTIVE {
            arm::<B>(cpu, next);
        }
        return;
    }
    if matches!(requeue, Some(Reason::SliceOver | Reason::Interrupted)) {
        count(&this.0.counters.preemptions, 1);
    }
    arm::<B>(cpu, next);
    switch::<B>(cpu, this, next);
}

/// Goes over to another thread. Returns when somebody came back to this one, perhaps on another
/// CPU.
#[inline(always)]
fn switch<B: Bound>(cpu: &'static Cpu<B::Policy>, this: ThreadRef, next: ThreadRef) {
    cpu::set_current(next);
    count(&next.0.counters.switches, 1);
    next.0.since_tick.store(cpu.ticks.load(Relaxed), Relaxed);
    if cfg!(feature = "cpu-time") {
        account(this, next);
    }
    let pointer = next.0.thread_pointer.load(Relaxed);
    if pointer != 0 && pointer != this.0.thread_pointer.load(Relaxed) {
        // SAFETY: the value is what the thread itself set.
        unsafe { ukplat::set_thread_pointer(pointer) };
    }
    #[cfg(feature = "smp")]
    {
        next.0.on_cpu.store(1, Relaxed);
        cpu.left.store(core::ptr::from_ref(this.0).cast_mut(), Relaxed);
    }
    // SAFETY: `next` is not running: it was taken from the policy, and its context was saved when
    // it was switched away from (other CPUs wait for that in `steal`), or made by `spawn`. Its
    // stack lives as long as it. `this` is the thread whose context is saved.
    unsafe { context::switch(this.0.context.get(), *next.0.context.get()) };
    arrive::<B>();
}

/// The first thing a thread does when it was switched to.
#[inline]
pub fn arrive<B: Bound>() {
    let cpu = B::cpu();
    #[cfg(feature = "smp")]
    if let Some(left) = cpu::take(&cpu.left) {
        left.0.on_cpu.store(0, Release);
    }
    if let Some(ended) = cpu::take(&cpu.ended) {
        crate::spawn::release(ended);
    }
}

fn account(this: ThreadRef, next: ThreadRef) {
    let now = ukplat::monotonic_ns();
    let since = this.0.counters.switched_in_ns.load(Relaxed);
    count(&this.0.counters.cpu_ns, now.saturating_sub(since));
    next.0.counters.switched_in_ns.store(now, Relaxed);
}

/// Ends the running thread, whose stack may be used for something else as soon as it was left.
pub fn leave<B: Bound>() -> ! {
    // The guard is never dropped here: the next thread drops its own.
    core::mem::forget(critical::<B>());
    let this = crate::current();
    B::cpu().ended.store(core::ptr::from_ref(this.0).cast_mut(), Release);
    loop {
        reschedule::<B>(None);
    }
}

/// Moves what was woken from the inbox to the policy, and looks at deadlines when the timer says so.
#[cold]
#[inline(never)]
fn attend<B: Bound>(cpu: &'static Cpu<B::Policy>) {
    let mut woken = cpu.inbox.take();
    while let Some(ready) = woken.pop() {
        let thread = ready.thread();
        let reason = match thread.0.counters.switches.load(Relaxed) {
            0 => Reason::New,
            _ => Reason::Woken,
        };
        // SAFETY: callers disabled preemption; this is no interrupt handler.
        unsafe {
            cpu.with_timers(|timers| timers.remove(thread));
            cpu.with_policy(|policy| policy.push(ready, reason));
        }
    }
    if cpu.expired.load(Relaxed) {
        cpu.expired.store(false, Relaxed);
        expire::<B>(cpu, ukplat::monotonic_ns());
    }
}

/// Makes the threads ready whose deadline is over, and counts ticks.
fn expire<B: Bound>(cpu: &'static Cpu<B::Policy>, now: u64) {
    if cpu.tick_at.load(Relaxed) <= now {
        cpu.ticks.store(cpu.ticks.load(Relaxed).wrapping_add(1), Relaxed);
        cpu.tick_at.store(NEVER, Relaxed);
    }
    // SAFETY: callers disabled preemption; this is no interrupt handler.
    while let Some(thread) = unsafe { cpu.with_timers(|timers| timers.pop_expired(now)) } {
        if thread.0.parker.time_out() {
            // SAFETY: as above.
            unsafe { cpu.with_policy(|policy| policy.push(Ready::new(thread), Reason::Woken)) };
        }
    }
}

/// Sets the timer to what has to interrupt `next`: the earliest deadline, or the tick of slices.
#[inline]
fn arm<B: Bound>(cpu: &'static Cpu<B::Policy>, next: ThreadRef) {
    // SAFETY: callers disabled preemption; this is no interrupt handler.
    let deadline = unsafe { cpu.with_timers(|timers| timers.earliest()) };
    let mut wanted = deadline.unwrap_or(NEVER);
    if B::Policy::PREEMPTIVE {
        wanted = wanted.min(tick::<B>(cpu, next));
    }
    // A timer that comes too early does no harm.
    if wanted < cpu.armed.load(Relaxed) {
        cpu.armed.store(wanted, Relaxed);
        ukplat::timer_arm(Some(wanted));
    }
}

/// When the next tick has to come; starts ticking when others wait for the CPU.
fn tick<B: Bound>(cpu: &'static Cpu<B::Policy>, next: ThreadRef) -> u64 {
    let at = cpu.tick_at.load(Relaxed);
    if at != NEVER {
        return at;
    }
    // SAFETY: callers disabled preemption; this is no interrupt handler.
    let slice =
        unsafe { cpu.with_policy(|p| if p.is_empty() { None } else { p.time_slice_ns(next) }) };
    let at = slice.map_or(NEVER, |slice| ukplat::monotonic_ns().saturating_add(slice / 2));
    cpu.tick_at.store(at, Relaxed);
    at
}

/// Waits until a thread is ready, on the stack of the thread that waits.
#[cold]
#[inline(never)]
fn idle<B: Bound>(cpu: &'static Cpu<B::Policy>) -> ThreadRef {
    loop {
        {
            // Between looking and waiting no interrupt may come.
            let _no_interrupts = irq::disable();
            cpu.idle.store(true, Relaxed);
            if cfg!(feature = "smp") {
                fence(SeqCst);
            }
            if !cpu.inbox.calls() {
                // SAFETY: callers disabled preemption; this is no interrupt handler.
                let deadline = unsafe { cpu.with_timers(|timers| timers.earliest()) };
                #[cfg(feature = "smp")]
                if let Some(hooks) = crate::bind::cpu_hooks() {
                    (hooks.offline)(ukplat::cpu_id());
                    ukplat::idle_until(deadline);
                    (hooks.online)(ukplat::cpu_id());
                } else {
                    ukplat::idle_until(deadline);
                }
                #[cfg(not(feature = "smp"))]
                ukplat::idle_until(deadline);
            }
            cpu.idle.store(false, Relaxed);
        }
        cpu.expired.store(true, Relaxed);
        attend::<B>(cpu);
        // SAFETY: as above.
        let next = unsafe { cpu.with_policy(|policy| policy.pop()) };
        if let Some(ready) = next.or_else(|| steal::<B>(cpu)) {
            return ready.thread();
        }
    }
}

/// Takes a ready thread from another CPU, when there is one that may run here.
#[cfg(feature = "smp")]
fn steal<B: Bound>(cpu: &'static Cpu<B::Policy>) -> Option<Ready> {
    let here = ukplat::cpu_id();
    for other in B::cpus().iter().filter(|other| !core::ptr::eq(*other, cpu)) {
        let mut may = |thread: ThreadRef| {
            thread.affinity() & 1 << here != 0 && thread.0.on_cpu.load(Acquire) == 0
        };
        // SAFETY: preemption is disabled, so that the lock is held for a short time only.
        if let Some(ready) = unsafe { other.with_policy(|policy| policy.steal(&mut may)) } {
            ready.thread().0.cpu.store(here as u32, Relaxed);
            return Some(ready);
        }
    }
    None
}

/// There is no other CPU.
#[cfg(not(feature = "smp"))]
fn steal<B: Bound>(_cpu: &'static Cpu<B::Policy>) -> Option<Ready> {
    None
}
