//! The scheduler of the image: binding, the functions everybody calls, boot.

use core::sync::atomic::Ordering::Relaxed;

use ukplat::{BootInfo, InitError, preempt};

use crate::core_loop as imp;
use crate::cpu::{self, Cpu};
use crate::{Config, Policy, ThreadRef, Wakeup, report, spawn};

/// The scheduler that [`bind!`](crate::bind) makes of a policy.
pub trait Bound: 'static {
    /// Who runs next.
    type Policy: Policy;

    /// The CPUs of the image, by number.
    fn cpus() -> &'static [Cpu<Self::Policy>];

    /// This CPU.
    #[inline]
    fn cpu() -> &'static Cpu<Self::Policy> {
        &Self::cpus()[ukplat::cpu_id()]
    }
}

/// The scheduler's functions, as the linker sees them.
pub struct Table {
    cpus: usize,
    yield_now: fn(),
    park: fn(Option<u64>) -> Wakeup,
    sleep: fn(u64),
    make_ready: fn(ThreadRef),
    arrive: fn(),
    leave: fn() -> !,
    on_timer: fn(),
    on_cpu_interrupt: fn(),
    preempted: Option<fn()>,
}

impl Table {
    /// The table of a scheduler for that many CPUs.
    pub const fn of<B: Bound>(cpus: usize) -> Self {
        Self {
            cpus,
            yield_now: imp::yield_now::<B>,
            park: imp::park::<B>,
            sleep: imp::sleep::<B>,
            make_ready: imp::make_ready::<B>,
            arrive: first_arrival::<B>,
            leave: imp::leave::<B>,
            on_timer: imp::on_timer::<B>,
            on_cpu_interrupt: imp::on_cpu_interrupt::<B>,
            preempted: if B::Policy::PREEMPTIVE { Some(imp::preempted::<B>) } else { None },
        }
    }
}

/// Binds the scheduler of the image: a policy's type and initial value, and the number of CPUs.
/// Expanded at most once, in the generated root crate.
#[macro_export]
macro_rules! bind {
    ($policy:ty, $value:expr, $cpus:expr) => {
        static SCHEDULER_CPUS: [$crate::Cpu<$policy>; $cpus] =
            [const { $crate::Cpu::new($value) }; $cpus];
        struct Scheduler;
        impl $crate::Bound for Scheduler {
            type Policy = $policy;
            #[inline]
            fn cpus() -> &'static [$crate::Cpu<$policy>] {
                &SCHEDULER_CPUS
            }
        }
        #[unsafe(no_mangle)]
        static OXIKRAFT_SCHED: $crate::Table = $crate::Table::of::<Scheduler>($cpus);
    };
}

unsafe extern "Rust" {
    static OXIKRAFT_SCHED: Table;
}

#[inline(always)]
fn bound() -> &'static Table {
    // SAFETY: `bind!` defines the symbol with exactly this type (both are written in this file),
    // as an immutable static; a second definition or none is a link error.
    unsafe { &OXIKRAFT_SCHED }
}

/// Makes room for another ready thread; returns at once when there is none.
#[inline]
pub fn yield_now() {
    (bound().yield_now)()
}

/// Waits for a token of [`ThreadRef::unpark`], which it takes, or until the monotonic clock has
/// reached `deadline_ns`. A token that came before makes it return at once.
#[inline]
pub fn park(deadline_ns: Option<u64>) -> Wakeup {
    (bound().park)(deadline_ns)
}

/// Waits until the monotonic clock has reached `deadline_ns`; tokens that come are kept.
pub fn sleep_until(deadline_ns: u64) {
    (bound().sleep)(deadline_ns)
}

/// Number of CPUs that threads run on.
pub fn cpus() -> usize {
    bound().cpus
}

/// Whether the timer takes the CPU away from threads that neither wait nor yield.
pub fn is_preemptive() -> bool {
    bound().preempted.is_some()
}

#[inline]
pub(crate) fn make_ready(thread: ThreadRef) {
    (bound().make_ready)(thread)
}

pub(crate) fn arrive() {
    (bound().arrive)()
}

pub(crate) fn leave() -> ! {
    (bound().leave)()
}

/// What a new thread does first: the end of the switch to it, and of the critical section in which
/// switches happen.
fn first_arrival<B: Bound>() {
    imp::arrive::<B>();
    if B::Policy::PREEMPTIVE {
        // SAFETY: whoever switched here disabled preemption once, and its guard stays on its stack.
        drop(unsafe { preempt::PreemptGuard::adopt() });
    }
}

/// Boot phase `sched`: the flow of control that boots becomes the thread `main`.
///
/// # Errors
/// No memory.
pub fn init(_boot: &'static BootInfo, config: &'static Config) -> Result<(), InitError> {
    const NO_MEMORY: InitError = InitError::new("there is no memory for threads");
    spawn::configure(config);
    let main = spawn::adopt("main", 0).ok_or(NO_MEMORY)?;
    main.0.on_cpu.store(1, Relaxed);
    cpu::set_current(main);
    ukplat::timer_on_expiry(bound().on_timer);
    if let Some(hook) = bound().preempted {
        preempt::on_request(hook);
    }
    ukplat::stack::on_query(report::tell_stack);
    ukplat::on_cpu_interrupt(bound().on_cpu_interrupt);
    Ok(())
}
