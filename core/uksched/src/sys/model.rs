//! A machine in the shuttle model checker.
//!
//! Every flow of control is a thread of shuttle, with the CPU that it runs on as its own: switching
//! passes the CPU on and waits until somebody passes one back. An access to an atomic, a lock and the
//! end of a critical section are points at which other CPUs may go on; interrupts come where they
//! are enabled again, and in [`interrupts`](Machine). Time passes when nobody can tell.
//!
//! Flows that would never end run on stacks of their own, so that they can be left for good when a
//! model is over.

use core::cell::Cell;
use core::ptr;
use core::sync::atomic::AtomicPtr as RealPtr;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::boxed::Box;
use std::vec::Vec;

use shuttle::rand::Rng as _;
use shuttle::sync::mpsc::{Receiver, Sender, channel};
use shuttle::sync::{Condvar, Mutex};
use shuttle::thread;

pub use shuttle::sync::atomic;
use ukplat::CpuError;
use ukplat::cpu::MAX_CPUS;

const STACK: usize = 256 << 10;

/// The machine of the model that runs.
static MACHINE: RealPtr<Machine> = RealPtr::new(ptr::null_mut());

/// CPUs, time, and all flows of control.
pub struct Machine {
    cpus: Vec<OneCpu>,
    count: usize,
    clock: atomic::AtomicU64,
    over: Cell<bool>,
    flows: Cell<Vec<&'static Flow>>,
    on_cpu: Cell<fn()>,
    on_timer: Cell<fn()>,
    on_preempt: Cell<Option<fn()>>,
}

// SAFETY: all threads of a model are one thread of the host, and cells are not left borrowed where
// it goes from one to another.
unsafe impl Sync for Machine {}

/// What belongs to a CPU. Cells are used by the flow that runs there.
struct OneCpu {
    flow: Cell<usize>,
    guards: Cell<usize>,
    requested: Cell<bool>,
    enabled: Cell<bool>,
    timer: Cell<Option<u64>>,
    rung: Mutex<bool>,
    bell: Condvar,
}

/// A flow of control.
struct Flow {
    cpu: Cell<usize>,
    suspended: Cell<bool>,
    give: Sender<usize>,
    take: Receiver<usize>,
    /// Where the thread of shuttle goes on when the flow is left for good.
    end: Cell<ukplat::Context>,
    entry: Cell<Option<(extern "C" fn(usize) -> !, usize)>>,
}

shuttle::thread_local! {
    static ME: Cell<Option<&'static Flow>> = Cell::new(None);
}

/// Sent instead of a CPU when the model is over.
const OVER: usize = usize::MAX;

fn nothing() {}

impl Machine {
    /// A new machine, on whose first CPU the caller runs; with `over` it ends.
    pub fn start(count: usize) -> &'static Self {
        assert!(count <= MAX_CPUS);
        let cpus = (0..count).map(|_| OneCpu {
            flow: Cell::new(0),
            guards: Cell::new(0),
            requested: Cell::new(false),
            enabled: Cell::new(true),
            timer: Cell::new(None),
            rung: Mutex::new(false),
            bell: Condvar::new(),
        });
        let machine = Box::leak(Box::new(Self {
            cpus: cpus.collect(),
            count,
            clock: atomic::AtomicU64::new(1),
            over: Cell::new(false),
            flows: Cell::new(Vec::new()),
            on_cpu: Cell::new(nothing),
            on_timer: Cell::new(nothing),
            on_preempt: Cell::new(None),
        }));
        MACHINE.store(machine, Release);
        ME.with(|me| me.set(Some(Flow::new(0))));
        machine
    }

    /// Ends all other flows.
    pub fn over(&self) {
        self.over.set(true);
        for flow in self.flows.take() {
            let _ = flow.give.send(OVER);
        }
        for cpu in &self.cpus {
            *cpu.rung.lock().unwrap() = true;
            cpu.bell.notify_all();
        }
    }
}

fn machine() -> &'static Machine {
    // SAFETY: `start` stored a machine that is never freed.
    unsafe { &*MACHINE.load(Acquire) }
}

impl Flow {
    fn new(cpu: usize) -> &'static Self {
        let (give, take) = channel();
        Box::leak(Box::new(Self {
            cpu: Cell::new(cpu),
            suspended: Cell::new(false),
            give,
            take,
            end: Cell::new(ukplat::Context::NONE),
            entry: Cell::new(None),
        }))
    }

    /// A flow that calls `entry` when it has a CPU.
    fn spawn(entry: extern "C" fn(usize) -> !, argument: usize) -> &'static Self {
        let flow = Self::new(OVER);
        flow.suspended.set(true);
        flow.entry.set(Some((entry, argument)));
        let mut flows = machine().flows.take();
        flows.push(flow);
        machine().flows.set(flows);
        let address = ptr::from_ref(flow).expose_provenance();
        thread::spawn(move || {
            // SAFETY: flows are never freed.
            let flow: &'static Flow = unsafe { &*ptr::with_exposed_provenance(address) };
            ME.with(|me| me.set(Some(flow)));
            let Ok(cpu) = flow.take.recv() else { return };
            if cpu == OVER {
                return;
            }
            flow.cpu.set(cpu);
            let mut stack = Vec::<u128>::with_capacity(STACK / 16);
            let top = stack.as_mut_ptr() as usize + STACK;
            // SAFETY: the stack is this flow's alone, and freed when the flow was left for good:
            // nothing on it is used then.
            unsafe {
                let there = ukplat::Context::new(top, begin, address);
                ukplat::context::switch(flow.end.as_ptr(), there);
            }
        });
        flow
    }

    /// Leaves the flow for good.
    fn leave(&self) -> ! {
        let mut nowhere = ukplat::Context::NONE;
        // SAFETY: `end` was saved when the flow's stack was entered. Nobody comes back.
        unsafe { ukplat::context::switch(&raw mut nowhere, self.end.get()) };
        unreachable!("a flow was left for good")
    }

    /// Waits for a CPU.
    fn wait(&self) {
        let cpu = self.take.recv().expect("the flow has a sender");
        if cpu == OVER {
            self.leave();
        }
        self.cpu.set(cpu);
    }
}

extern "C" fn begin(flow: usize) -> ! {
    // SAFETY: the number is from `spawn`; flows are never freed.
    let flow: &Flow = unsafe { &*ptr::with_exposed_provenance(flow) };
    let (entry, argument) = flow.entry.take().expect("it begins once");
    entry(argument)
}

fn me() -> &'static Flow {
    ME.with(Cell::get).expect("a flow of the machine")
}

fn this() -> &'static OneCpu {
    &machine().cpus[me().cpu.get()]
}

fn random(chances: u32) -> bool {
    shuttle::rand::thread_rng().gen_ratio(1, chances)
}

/// Takes interrupts that came, as hardware does between two instructions.
pub fn interrupts() {
    let cpu = this();
    if !cpu.enabled.get() || machine().over.get() {
        return;
    }
    let rung = core::mem::take(&mut *cpu.rung.lock().unwrap());
    let expired = cpu.timer.get().is_some() && random(3);
    if !rung && !expired {
        return;
    }
    cpu.enabled.set(false);
    if rung {
        machine().on_cpu.get()();
    }
    if expired && let Some(deadline) = cpu.timer.take() {
        machine().clock.fetch_max(deadline, SeqCst);
        machine().on_timer.get()();
    }
    cpu.enabled.set(true);
    preempt::check();
}

/// The CPU that runs this.
pub fn cpu_id() -> usize {
    me().cpu.get()
}

pub fn cpu_count() -> usize {
    machine().count
}

/// # Safety
/// As `ukplat::cpu_started`: nobody counts.
pub fn cpu_started() {}

/// As `ukplat::cpu_start`; the stack is not used.
pub unsafe fn cpu_start(
    cpu: usize,
    _stack_top: usize,
    entry: extern "C" fn(usize) -> !,
    argument: usize,
) -> Result<(), CpuError> {
    let flow = Flow::spawn(entry, argument);
    machine().cpus[cpu].enabled.set(false);
    flow.suspended.set(false);
    let _ = flow.give.send(cpu);
    Ok(())
}

pub fn cpu_interrupt(cpu: usize) {
    let cpu = &machine().cpus[cpu];
    *cpu.rung.lock().unwrap() = true;
    cpu.bell.notify_all();
}

pub fn on_cpu_interrupt(handler: fn()) {
    machine().on_cpu.set(handler);
}

pub fn timer_on_expiry(handler: fn()) {
    machine().on_timer.set(handler);
}

pub fn timer_arm(deadline_ns: Option<u64>) {
    this().timer.set(deadline_ns);
}

/// The time, which passes with every look.
pub fn monotonic_ns() -> u64 {
    machine().clock.fetch_add(1, Relaxed)
}

/// # Safety
/// None.
pub unsafe fn set_thread_pointer(_value: usize) {}

/// Waits for an interrupt; with a deadline, time may pass instead.
pub fn idle_until(deadline_ns: Option<u64>) {
    let cpu = this();
    assert!(!cpu.enabled.get(), "an interrupt may come between looking and waiting");
    if let Some(deadline) = deadline_ns {
        while !random(3) {
            thread::yield_now();
        }
        if !*cpu.rung.lock().unwrap() {
            machine().clock.fetch_max(deadline, SeqCst);
            return;
        }
    }
    let mut rung = cpu.rung.lock().unwrap();
    while !*rung && !machine().over.get() {
        rung = cpu.bell.wait(rung).unwrap();
    }
    let was_rung = core::mem::take(&mut *rung);
    drop(rung);
    if machine().over.get() {
        me().leave();
    }
    if was_rung {
        machine().on_cpu.get()();
    }
}

/// See `ukplat::irq`.
pub mod irq {
    use super::{interrupts, this};

    #[must_use]
    pub struct IrqGuard {
        enable_on_drop: bool,
    }

    pub fn disable() -> IrqGuard {
        IrqGuard { enable_on_drop: this().enabled.replace(false) }
    }

    pub fn enable() {
        this().enabled.set(true);
        interrupts();
    }

    impl Drop for IrqGuard {
        fn drop(&mut self) {
            if self.enable_on_drop && !std::thread::panicking() {
                enable();
            }
        }
    }
}

/// See `ukplat::preempt`.
pub mod preempt {
    use super::{interrupts, machine, this};

    #[must_use]
    #[derive(Debug)]
    pub struct PreemptGuard(());

    pub fn disable() -> PreemptGuard {
        let cpu = this();
        cpu.guards.set(cpu.guards.get() + 1);
        PreemptGuard(())
    }

    impl PreemptGuard {
        /// # Safety
        /// See there.
        pub unsafe fn adopt() -> Self {
            Self(())
        }
    }

    impl Drop for PreemptGuard {
        fn drop(&mut self) {
            if std::thread::panicking() {
                return;
            }
            let cpu = this();
            cpu.guards.set(cpu.guards.get() - 1);
            check();
            interrupts();
        }
    }

    pub fn is_enabled() -> bool {
        this().guards.get() == 0
    }

    pub fn request() {
        this().requested.set(true);
    }

    pub fn on_request(hook: fn()) {
        machine().on_preempt.set(Some(hook));
    }

    pub(super) fn check() {
        let Some(hook) = machine().on_preempt.get() else { return };
        while this().requested.get() && is_enabled() && this().enabled.get() {
            this().requested.set(false);
            this().guards.set(1);
            hook();
            // Perhaps on another CPU.
            this().guards.set(this().guards.get() - 1);
        }
    }
}

/// See `ukplat::context`.
pub mod context {
    use core::ptr;

    use super::{Context, Flow, me, this};

    /// # Safety
    /// See there.
    pub unsafe fn switch(save: *mut Context, to: Context) {
        let this = me();
        // SAFETY: the caller's promise.
        unsafe { *save = Context(ptr::from_ref(this).expose_provenance()) };
        // SAFETY: contexts are flows, which are never freed.
        let next: &Flow = unsafe { &*ptr::with_exposed_provenance(to.0) };
        assert!(next.suspended.replace(false), "a flow that runs was switched to");
        let cpu = this.cpu.get();
        // Others may go on with this flow from here on, not before.
        this.suspended.set(true);
        next.give.send(cpu).expect("the flow has a receiver");
        this.wait();
    }

    pub fn flow() -> usize {
        this().flow.get()
    }

    pub fn set_flow(value: usize) {
        this().flow.set(value);
    }
}

/// A flow of control that does not run.
#[derive(Clone, Copy, Debug)]
pub struct Context(usize);

impl Context {
    pub const NONE: Self = Self(0);

    /// # Safety
    /// See `ukplat::Context::new`; the stack is not used.
    pub unsafe fn new(_top: usize, entry: extern "C" fn(usize) -> !, argument: usize) -> Self {
        Self(ptr::from_ref(Flow::spawn(entry, argument)).expose_provenance())
    }

    pub fn stack_pointer(self) -> usize {
        0
    }
}

/// A lock between CPUs.
#[derive(Debug)]
pub struct SpinLock(atomic::AtomicBool);

impl SpinLock {
    pub const fn new() -> Self {
        Self(atomic::AtomicBool::new(false))
    }
}

// SAFETY: one exchange finds `false` until it is stored again.
unsafe impl ukalloc::RawLock for SpinLock {
    fn acquire(&self) {
        while self.0.swap(true, Acquire) {
            thread::yield_now();
        }
    }

    fn release(&self) {
        self.0.store(false, Release);
    }
}
