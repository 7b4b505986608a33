//! The scheduler of the image: binding, the functions everybody calls, boot.

use core::sync::atomic::Ordering::Relaxed;

use ukplat::{BootInfo, InitError, StaticRef};

use crate::core_loop as imp;
use crate::cpu::{self, Cpu};
use crate::sys::atomic::AtomicUsize;
use crate::sys::{self, preempt};
use crate::{Config, Instance, Policy, ThreadRef, Wakeup, report, spawn};

/// The scheduler that [`bind!`](crate::bind) makes of a policy.
pub trait Bound: 'static {
    /// Who runs next.
    type Policy: Policy;
    /// Whether some schedulers of the image are preemptive and others are not.
    const MIXED: bool;

    /// The CPUs of the image, by number.
    fn cpus() -> &'static [Cpu<Self::Policy>];

    /// This CPU.
    #[inline]
    fn cpu() -> &'static Cpu<Self::Policy> {
        &Self::cpus()[sys::cpu_id()]
    }
}

/// Whether some schedulers are preemptive and others are not.
pub const fn is_mixed(instances: &[Instance]) -> bool {
    let mut i = 1;
    while i < instances.len() {
        if instances[i].is_preemptive() != instances[0].is_preemptive() {
            return true;
        }
        i += 1;
    }
    false
}

/// The scheduler's functions, as the linker sees them.
pub struct Table {
    #[cfg_attr(not(feature = "smp"), expect(dead_code, reason = "there is one"))]
    cpus: usize,
    pub(crate) instances: &'static [Instance],
    #[cfg(feature = "smp")]
    meet: fn(),
    yield_now: fn(),
    park: fn(Option<u64>) -> Wakeup,
    sleep: fn(u64),
    make_ready: fn(ThreadRef),
    #[cfg(feature = "inherit")]
    prioritize: fn(ThreadRef, u8),
    arrive: fn(),
    leave: fn() -> !,
    on_timer: fn(),
    #[cfg_attr(not(feature = "smp"), expect(dead_code, reason = "there are no others"))]
    on_cpu_interrupt: fn(),
    preempted: Option<fn()>,
}

impl Table {
    /// The table of schedulers for that many CPUs.
    pub const fn of<B: Bound>(cpus: usize, instances: &'static [Instance]) -> Self {
        Self {
            cpus,
            instances,
            #[cfg(feature = "smp")]
            meet: imp::meet::<B>,
            yield_now: imp::yield_now::<B>,
            park: imp::park::<B>,
            sleep: imp::sleep::<B>,
            make_ready: imp::make_ready::<B>,
            #[cfg(feature = "inherit")]
            prioritize: imp::prioritize::<B>,
            arrive: first_arrival::<B>,
            leave: imp::leave::<B>,
            on_timer: imp::on_timer::<B>,
            on_cpu_interrupt: imp::on_cpu_interrupt::<B>,
            preempted: if B::Policy::PREEMPTIVE { Some(imp::preempted::<B>) } else { None },
        }
    }
}

/// Binds the scheduler of the image: its name, the type and initial value of its policy, and the
/// number of CPUs. Or the schedulers of the image: the type of their policies, the instances in
/// the order of their first CPUs, and for each CPU its instance and policy. Expanded at most once,
/// in the generated root crate.
#[macro_export]
macro_rules! bind {
    ($name:literal, $policy:ty, $value:expr, $cpus:expr) => {
        static SCHEDULERS: [$crate::Instance; 1] = [$crate::Instance::new(
            $name,
            u64::MAX >> (u64::BITS as usize - $cpus),
            <$policy as $crate::Policy>::PREEMPTIVE,
        )];
        static SCHEDULER_CPUS: [$crate::Cpu<$policy>; $cpus] =
            [const { $crate::Cpu::new($value, &SCHEDULERS[0]) }; $cpus];
        $crate::bind!(@table $policy, $cpus, false);
    };
    ($policy:ty, $count:expr, [$($instance:expr),+ $(,)?], [$($index:expr => $value:expr),+ $(,)?]) => {
        const SCHEDULER_LIST: &[$crate::Instance] = &[$($instance),+];
        static SCHEDULERS: &[$crate::Instance] = SCHEDULER_LIST;
        static SCHEDULER_CPUS: [$crate::Cpu<$policy>; $count] =
            [$($crate::Cpu::new($value, &SCHEDULER_LIST[$index])),+];
        $crate::bind!(@table $policy, $count, $crate::is_mixed(SCHEDULER_LIST));
    };
    (@table $policy:ty, $cpus:expr, $mixed:expr) => {
        struct Scheduler;
        impl $crate::Bound for Scheduler {
            type Policy = $policy;
            const MIXED: bool = $mixed;
            #[inline]
            fn cpus() -> &'static [$crate::Cpu<$policy>] {
                &SCHEDULER_CPUS
            }
        }
        #[unsafe(no_mangle)]
        static OXIKRAFT_SCHED: $crate::Table =
            $crate::Table::of::<Scheduler>($cpus, &SCHEDULERS);
    };
}

unsafe extern "Rust" {
    static OXIKRAFT_SCHED: Table;
}

#[inline(always)]
pub(crate) fn bound() -> &'static Table {
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

/// Number of CPUs that threads run on: as many as the image uses and the machine has.
#[inline]
pub fn cpus() -> usize {
    if cfg!(feature = "smp") { STARTED.load(Relaxed) } else { 1 }
}

/// CPUs that run threads.
static STARTED: AtomicUsize = AtomicUsize::new(1);

/// Whether the timer takes CPUs away from threads that neither wait nor yield: in images with
/// several schedulers, of one of them (see [`Instance::is_preemptive`]).
pub fn is_preemptive() -> bool {
    bound().preempted.is_some()
}

/// Keeps the running thread on its CPU while it lives; nothing where no thread is ever taken off.
#[derive(Debug)]
#[must_use = "the thread can be preempted again when the guard is dropped"]
pub struct PreemptGuard {
    _guard: Option<preempt::PreemptGuard>,
}

/// Disables preemption of the running thread, which must not wait meanwhile. Guards nest; allowed
/// before there are threads, and in interrupt handlers.
#[inline]
pub fn preempt_disable() -> PreemptGuard {
    PreemptGuard { _guard: is_preemptive().then(preempt::disable) }
}

/// Functions that are called with the number of a CPU, on that CPU, outside of anything that a
/// thread there protects by [`preempt_disable`].
#[derive(Clone, Copy, Debug)]
pub struct CpuHooks {
    /// At every switch between threads.
    pub quiescent: fn(usize),
    /// Before the CPU waits for something to do.
    pub offline: fn(usize),
    /// When it has something to do again.
    pub online: fn(usize),
}

static CPU_HOOKS: StaticRef<CpuHooks> = StaticRef::new();

/// Sets the functions that are told what CPUs do; called once, while only the calling CPU runs
/// threads, in images with several CPUs.
pub fn on_cpu_events(hooks: &'static CpuHooks) {
    CPU_HOOKS.set(hooks);
    (hooks.online)(sys::cpu_id());
}

#[cfg(feature = "smp")]
#[inline]
pub(crate) fn cpu_hooks() -> Option<&'static CpuHooks> {
    CPU_HOOKS.get()
}

#[inline]
pub(crate) fn make_ready(thread: ThreadRef) {
    (bound().make_ready)(thread)
}

#[cfg(feature = "inherit")]
pub(crate) fn prioritize(thread: ThreadRef, priority: u8) {
    (bound().prioritize)(thread, priority)
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
    cpu::set_current(main);
    sys::timer_on_expiry(bound().on_timer);
    if let Some(hook) = bound().preempted {
        preempt::on_request(hook);
    }
    ukplat::stack::on_query(report::tell_stack);
    #[cfg(feature = "smp")]
    start_cpus()?;
    Ok(())
}

/// Starts the CPUs of the image that the machine has.
#[cfg(feature = "smp")]
fn start_cpus() -> Result<(), InitError> {
    sys::on_cpu_interrupt(bound().on_cpu_interrupt);
    // CPUs without gaps: threads are placed by number.
    let count = bound().cpus.min(sys::cpu_count());
    let missing = |instance: &Instance| (0..count).all(|cpu| !instance.has_cpu(cpu));
    if bound().instances.iter().any(missing) {
        return Err(InitError::new(
            "a scheduler has no CPU: give the machine as many as the image is made for",
        ));
    }
    (bound().meet)();
    for cpu in 1..count {
        start_cpu(cpu).map_err(|()| InitError::new("a CPU could not be started"))?;
        STARTED.store(cpu + 1, Relaxed);
    }
    Ok(())
}

/// Starts a CPU with a thread of its own, which waits for ever: what runs there are others.
#[cfg(feature = "smp")]
fn start_cpu(cpu: usize) -> Result<(), ()> {
    extern "C" fn cpu_main(thread: usize) -> ! {
        // SAFETY: the argument is the static thread made below.
        cpu::set_current(ThreadRef(unsafe { &*(thread as *const crate::thread::Thread) }));
        sys::cpu_started();
        sys::irq::enable();
        loop {
            park(None);
        }
    }
    let name = ["cpu 1", "cpu 2", "cpu 3"].get(cpu - 1).copied().unwrap_or("cpu");
    let thread = spawn::adopt(name, cpu).ok_or(())?;
    // It has nothing to finish.
    thread.0.life.bits.fetch_or(spawn::DONE, Relaxed);
    let stack = spawn::stack_for(thread).ok_or(())?;
    let argument = core::ptr::from_ref(thread.0) as usize;
    // SAFETY: the stack is the new thread's, which never ends.
    unsafe { sys::cpu_start(cpu, stack.top(), cpu_main, argument) }.map_err(|_| ())
}
