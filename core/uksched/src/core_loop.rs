//! Switching: who runs now, and what is to be done when nobody can.

#[cfg(feature = "smp")]
use core::sync::atomic::Ordering::Acquire;
use core::sync::atomic::Ordering::{Relaxed, Release, SeqCst};

use crate::cpu::{self, Cpu, NEVER};
use crate::sys::atomic::fence;
use crate::sys::preempt::{self, PreemptGuard};
use crate::sys::{self, context, irq};
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

/// Whether the timer takes this CPU away from threads. The same for all CPUs in most images, and
/// then a constant.
#[inline]
fn preempts<B: Bound>(cpu: &Cpu<B::Policy>) -> bool {
    B::Policy::PREEMPTIVE && (!B::MIXED || cpu.instance.is_preemptive())
}

/// Says which CPUs exchange threads; before others than the first are started.
#[cfg(feature = "smp")]
pub fn meet<B: Bound>() {
    let _guard = preempt::disable();
    for (number, cpu) in B::cpus().iter().enumerate() {
        // SAFETY: preemption is disabled; this is no interrupt handler.
        let exchanges = unsafe { cpu.with_policy(|policy| policy.steals()) };
        let others = cpu.instance.cpus() & !(1 << number);
        cpu.peers.store(if exchanges { others } else { 0 }, Relaxed);
    }
}

/// The peers of a CPU that run, from the one after it on.
#[cfg(feature = "smp")]
fn peers<B: Bound>(cpu: &'static Cpu<B::Policy>) -> impl Iterator<Item = usize> {
    let (peers, count) = (cpu.peers.load(Relaxed), crate::cpus());
    let first = sys::cpu_id() + 1;
    (0..count).map(move |i| (first + i) % count).filter(move |other| peers >> other & 1 != 0)
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
    let (home, claimed) = place::<B>(thread);
    #[cfg(not(feature = "smp"))]
    let home = 0;
    let cpu = &B::cpus()[home];
    cpu.inbox.push(Ready::new(thread));
    if home == sys::cpu_id() {
        if preempts::<B>(cpu) {
            // Who of the two goes on is decided as soon as preemption is possible.
            preempt::request();
            drop(preempt::disable());
        }
    } else {
        // The other CPU says that it is idle before it looks into its inbox for the last time.
        #[cfg(feature = "smp")]
        fence(SeqCst);
        #[cfg(feature = "smp")]
        if claimed || preempts::<B>(cpu) || cpu.idle.load(Relaxed) {
            sys::cpu_interrupt(home);
        }
    }
}

/// The CPU for a thread that was made ready: its own, or another one that has nothing to do. Says
/// whether that is idle and was claimed for this thread: others look for another one.
#[cfg(feature = "smp")]
fn place<B: Bound>(thread: ThreadRef) -> (usize, bool) {
    let home = thread.cpu();
    let cpus = B::cpus();
    let claim = |cpu: usize| {
        let idle = &cpus[cpu].idle;
        idle.load(Relaxed) && idle.swap(false, Relaxed)
    };
    if claim(home) {
        return (home, true);
    }
    // A thread that is still being switched away from, or whose deadline is noted at home, has to
    // stay there.
    if thread.0.on_cpu.load(Acquire) != 0 || thread.0.timer.is_queued() {
        return (home, false);
    }
    let affinity = thread.affinity();
    match peers::<B>(&cpus[home]).find(|cpu| affinity >> cpu & 1 != 0 && claim(*cpu)) {
        Some(cpu) => {
            thread.0.cpu.store(cpu as u32, Relaxed);
            (cpu, true)
        }
        None => (home, false),
    }
}

/// Makes another priority of a thread count, wherever it is.
#[cfg(feature = "inherit")]
pub fn prioritize<B: Bound>(thread: ThreadRef, priority: u8) {
    let _here = preempt::disable();
    thread.0.priority.store(priority, Relaxed);
    // Where it is not ready now it gets its place by the new priority when it is.
    fence(SeqCst);
    for (number, cpu) in B::cpus().iter().enumerate() {
        let may_be_here = thread.affinity() >> number & 1 != 0;
        // SAFETY: preemption is disabled, and this is no interrupt handler (contract).
        if may_be_here && unsafe { cpu.with_policy(|policy| policy.reorder(thread)) } {
            break;
        }
    }
    // It may have to go before who runs there now, or not any more.
    let home = thread.cpu();
    if !preempts::<B>(&B::cpus()[home]) {
        return;
    }
    if home == sys::cpu_id() {
        preempt::request();
    } else {
        #[cfg(feature = "smp")]
        sys::cpu_interrupt(home);
    }
}

/// The timer's interrupt.
pub fn on_timer<B: Bound>() {
    let cpu = B::cpu();
    cpu.armed.store(NEVER, Relaxed);
    cpu.expired.store(true, Relaxed);
    cpu.inbox.call();
    if preempts::<B>(cpu) {
        preempt::request();
    }
}

/// Another CPU left something in the inbox.
pub fn on_cpu_interrupt<B: Bound>() {
    if preempts::<B>(B::cpu()) {
        preempt::request();
    }
}

/// Called on the stack of a thread that is to be preempted, with preemption disabled once.
pub fn preempted<B: Bound>() {
    let cpu = B::cpu();
    if !preempts::<B>(cpu) {
        return;
    }
    if cpu.inbox.calls() {
        attend::<B>(cpu);
    }
    // Ticks come twice in a slice: after two of them a thread had at least half of its slice.
    let this = crate::current();
    let ticks = cpu.ticks.load(Relaxed).wrapping_sub(this.0.since_tick.load(Relaxed));
    let reason = if ticks >= 2 { Reason::SliceOver } else { Reason::Interrupted };
    reschedule::<B>(Some(reason));
}

/// Tells who wants to know what this CPU does.
#[cfg(feature = "smp")]
#[inline]
fn tell(which: impl Fn(&crate::CpuHooks) -> fn(usize)) {
    if let Some(hooks) = crate::bind::cpu_hooks() {
        which(hooks)(sys::cpu_id());
    }
}

/// Runs the next thread, which may be the same. With a reason the running thread stays ready.
/// Returns when the thread runs again. Preemption is disabled by the caller.
#[inline(never)]
fn reschedule<B: Bound>(requeue: Option<Reason>) {
    let cpu = B::cpu();
    let this = crate::current();
    #[cfg(feature = "smp")]
    tell(|hooks| hooks.quiescent);
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
        // The timer may have come for a deadline that is no more, with others to follow.
        arm::<B>(cpu, next);
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
        unsafe { sys::set_thread_pointer(pointer) };
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
    let now = sys::monotonic_ns();
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
        expire::<B>(cpu, sys::monotonic_ns());
    }
}

/// Makes the threads ready whose deadline is over, and counts ticks.
fn expire<B: Bound>(cpu: &'static Cpu<B::Policy>, now: u64) {
    if cpu.tick_at.load(Relaxed) <= now {
        cpu.ticks.store(cpu.ticks.load(Relaxed).wrapping_add(1), Relaxed);
        cpu.tick_at.store(NEVER, Relaxed);
        #[cfg(feature = "smp")]
        offer::<B>(cpu);
    }
    // SAFETY: callers disabled preemption; this is no interrupt handler.
    while let Some(thread) = unsafe { cpu.with_timers(|timers| timers.pop_expired(now)) } {
        if thread.0.parker.time_out() {
            // SAFETY: as above.
            unsafe { cpu.with_policy(|policy| policy.push(Ready::new(thread), Reason::Woken)) };
        }
    }
}

/// Wakes a CPU that has nothing to do when threads wait here: those that became ready while they
/// had to stay, as after a deadline. Twice in a time slice.
#[cfg(feature = "smp")]
fn offer<B: Bound>(cpu: &'static Cpu<B::Policy>) {
    // SAFETY: callers disabled preemption; this is no interrupt handler.
    if unsafe { cpu.with_policy(|policy| policy.is_empty()) } {
        return;
    }
    if let Some(idle) = peers::<B>(cpu).find(|other| B::cpus()[*other].idle.load(Relaxed)) {
        sys::cpu_interrupt(idle);
    }
}

/// Sets the timer to what has to interrupt `next`: the earliest deadline, or the tick of slices.
#[inline]
fn arm<B: Bound>(cpu: &'static Cpu<B::Policy>, next: ThreadRef) {
    // SAFETY: callers disabled preemption; this is no interrupt handler.
    let deadline = unsafe { cpu.with_timers(|timers| timers.earliest()) };
    let mut wanted = deadline.unwrap_or(NEVER);
    if preempts::<B>(cpu) {
        wanted = wanted.min(tick::<B>(cpu, next));
    }
    // A timer that comes too early does no harm.
    if wanted < cpu.armed.load(Relaxed) {
        cpu.armed.store(wanted, Relaxed);
        sys::timer_arm(Some(wanted));
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
    let at = slice.map_or(NEVER, |slice| sys::monotonic_ns().saturating_add(slice / 2));
    cpu.tick_at.store(at, Relaxed);
    at
}

/// Waits until a thread is ready, on the stack of the thread that waits.
#[cold]
#[inline(never)]
fn idle<B: Bound>(cpu: &'static Cpu<B::Policy>) -> ThreadRef {
    // Nobody's time, whoever's stack it is.
    if cfg!(feature = "cpu-time") {
        account(crate::current(), crate::current());
    }
    let next = wait_for_next::<B>(cpu);
    if cfg!(feature = "cpu-time") {
        crate::current().0.counters.switched_in_ns.store(sys::monotonic_ns(), Relaxed);
    }
    next
}

fn wait_for_next<B: Bound>(cpu: &'static Cpu<B::Policy>) -> ThreadRef {
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
                tell(|hooks| hooks.offline);
                sys::idle_until(deadline);
                // Also when the hooks were set meanwhile.
                #[cfg(feature = "smp")]
                tell(|hooks| hooks.online);
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
    let here = sys::cpu_id();
    for other in peers::<B>(cpu) {
        let mut may = |thread: ThreadRef| {
            thread.affinity() & 1 << here != 0 && thread.0.on_cpu.load(Acquire) == 0
        };
        let other = &B::cpus()[other];
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
