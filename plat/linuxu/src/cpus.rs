//! Further CPUs: host threads, made by clone(2), that interrupt each other with a signal, or, when they
//! sleep, wake each other by a futex, which costs less on both sides.
//!
//! The kernel runs as many of them at a time as the host has CPUs for this process.

use core::arch::asm;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32};

use ukarch_x86_64::local::Block;
use ukplat::CpuError;
use ukplat::cpu::MAX_CPUS;

use crate::local::{CPU_ID, CPU_PENDING, CPU_PENDING_WORD, STACK_TOP};
use crate::sys::Timespec;
use crate::{faults, sys, timer};

/// The signal by which CPUs interrupt each other: SIGURG. Not a real-time signal, because those
/// queue up: one that is pending says all there is to say. Whoever does not expect it ignores it.
const SIGNAL: usize = 23;
/// Mask of that signal.
pub const SIGNAL_MASK: u64 = 1 << (SIGNAL - 1);

const ARCH_SET_GS: usize = 0x1001;
const CLONE: usize = 56;
/// `CLONE_VM | FS | FILES | SIGHAND | THREAD | SYSVSEM | SETTLS | PARENT_SETTID`: a thread of this
/// process, whose number the kernel stores before either side goes on.
const THREAD_FLAGS: usize =
    0x100 | 0x200 | 0x400 | 0x800 | 0x1_0000 | 0x4_0000 | 0x8_0000 | 0x10_0000;

static BLOCKS: [Block; MAX_CPUS] = [const { Block::new() }; MAX_CPUS];
static COUNT: AtomicU32 = AtomicU32::new(1);
static STARTED: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];
/// The kernel's numbers of the host threads; 0 for CPUs that do not run.
static THREADS: [AtomicI32; MAX_CPUS] = [const { AtomicI32::new(0) }; MAX_CPUS];
/// Whether a CPU sleeps in [`sleep`], or is about to.
static SLEEPS: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(AWAKE) }; MAX_CPUS];
const AWAKE: u32 = 0;
const ASLEEP: u32 = 1;
static HANDLER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Makes the first host thread CPU 0; the first thing that the process does.
pub fn init(cpus: u32) {
    COUNT.store(cpus.clamp(1, MAX_CPUS as u32), Relaxed);
    become_cpu(0);
    // SAFETY: no pointers.
    let thread = unsafe { sys::call(sys::GETTID, [0; 6]) };
    THREADS[0].store(thread as i32, Release);
    faults::install_interrupt(SIGNAL, on_signal);
}

/// Gives the host thread the words of a CPU.
fn become_cpu(cpu: usize) {
    let block = &raw const BLOCKS[cpu] as usize;
    // SAFETY: nothing else uses GS; the block lives for ever and is this host thread's alone.
    unsafe { sys::call(sys::ARCH_PRCTL, [ARCH_SET_GS, block, 0, 0, 0, 0]) };
    CPU_ID.store(cpu);
}

pub fn count() -> usize {
    COUNT.load(Relaxed) as usize
}

/// What a new host thread finds on its stack.
#[repr(C, align(16))]
struct Launch {
    cpu: usize,
    entry: extern "C" fn(usize) -> !,
    argument: usize,
    fault_stack: usize,
}

/// # Safety
/// As [`ukplat::cpu_start`].
// What is in this section the host takes for its own, see `trap`.
#[cfg_attr(feature = "trap", inline(never), unsafe(link_section = ".text.host_calls"))]
pub unsafe fn start(
    cpu: usize,
    stack_top: usize,
    entry: extern "C" fn(usize) -> !,
    argument: usize,
) -> Result<(), CpuError> {
    if STARTED[cpu].swap(true, AcqRel) {
        return Err(CpuError::Running);
    }
    let failed = || {
        STARTED[cpu].store(false, Release);
        CpuError::NoMemory
    };
    let fault_stack = faults::map_fault_stack().ok_or_else(failed)?;
    let launch = (stack_top & !15) - size_of::<Launch>();
    // SAFETY: the stack is the new CPU's alone (the caller's promise).
    unsafe { (launch as *mut Launch).write(Launch { cpu, entry, argument, fault_stack }) };
    // No signal may come before the new thread has its words; it inherits the mask.
    let old_mask = timer::set_mask(timer::SIG_SETMASK, u64::MAX);
    let result: isize;
    // SAFETY: the child runs on the new stack and never returns here; the parent goes on as after
    // any system call. The call in the child pushes to the new stack, whose end is aligned.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, rsp",
            "call {run}",
            "ud2",
            "2:",
            run = sym run,
            inlateout("rax") CLONE as isize => result,
            in("rdi") THREAD_FLAGS,
            in("rsi") launch,
            in("rdx") THREADS[cpu].as_ptr(),
            in("r10") 0,
            in("r8") 0, // no thread pointer yet
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    timer::set_mask(timer::SIG_SETMASK, old_mask);
    if result > 0 { Ok(()) } else { Err(failed()) }
}

/// First function of a new host thread.
extern "C" fn run(launch: &Launch) -> ! {
    become_cpu(launch.cpu);
    STACK_TOP.store(core::ptr::from_ref(launch) as usize + size_of::<Launch>());
    faults::set_fault_stack(launch.fault_stack);
    #[cfg(feature = "trap")]
    crate::trap::prepare_cpu();
    timer::set_mask(timer::SIG_SETMASK, 0);
    (launch.entry)(launch.argument)
}

pub fn interrupt(cpu: usize) {
    let thread = THREADS.get(cpu).map_or(0, |thread| thread.load(Acquire)) as usize;
    if thread == 0 {
        return;
    }
    BLOCKS[cpu].0[CPU_PENDING_WORD].store(1, SeqCst);
    // Whoever still is `ASLEEP` here looks at what is pending once more when it becomes `AWAKE`.
    if SLEEPS[cpu].swap(AWAKE, SeqCst) == ASLEEP {
        const FUTEX_WAKE_PRIVATE: usize = 1 | 128;
        // SAFETY: the kernel takes the address as a name.
        unsafe {
            sys::call(sys::FUTEX, [SLEEPS[cpu].as_ptr() as usize, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0])
        };
    } else {
        // The first host thread has the number of the process.
        let process = THREADS[0].load(Relaxed) as usize;
        // SAFETY: no pointers.
        unsafe { sys::call(sys::TGKILL, [process, thread, SIGNAL, 0, 0, 0]) };
    }
}

/// Waits until [`interrupt`], a signal, or `timeout` (without end when `None`), unless `is_awaited`
/// says that what is waited for is there. Interrupts are disabled.
pub fn sleep(timeout: Option<Timespec>, is_awaited: impl Fn() -> bool) {
    const FUTEX_WAIT_PRIVATE: usize = 128;
    let state = &SLEEPS[CPU_ID.load()];
    state.store(ASLEEP, SeqCst);
    if !is_awaited() {
        let timeout = timeout.as_ref().map_or(0, |t| core::ptr::from_ref(t) as usize);
        // SAFETY: state and timeout live during the call.
        unsafe {
            sys::call(
                sys::FUTEX,
                [state.as_ptr() as usize, FUTEX_WAIT_PRIVATE, ASLEEP as usize, timeout, 0, 0],
            );
        }
    }
    state.swap(AWAKE, SeqCst);
}

/// Keeps this CPU from falling asleep in [`sleep`]; for handlers of signals, after they noted
/// what they came for.
pub fn stay_awake() {
    SLEEPS[CPU_ID.load()].store(AWAKE, SeqCst);
}

pub fn on_interrupt(handler: fn()) {
    HANDLER.store(handler as *mut (), Release);
}

extern "C" fn on_signal(
    _signal: i32,
    _info: *const faults::SignalInfo,
    context: *mut faults::SignalContext,
) {
    // Already pending, because whoever sends the signal sets it.
    // SAFETY: the kernel gives the context, alive while the handler runs.
    timer::interrupt(unsafe { &mut *context });
}

/// Whether another CPU's interrupt waits for its handler.
pub fn pending() -> bool {
    CPU_PENDING.load() != 0
}

/// Runs the handler if another CPU's interrupt came. Interrupts are disabled.
pub fn take() {
    // An exchange, because what others did before an interrupt must be visible to its handler.
    if !pending() || BLOCKS[CPU_ID.load()].0[CPU_PENDING_WORD].swap(0, SeqCst) == 0 {
        return;
    }
    let handler = HANDLER.load(Acquire);
    if !handler.is_null() {
        // SAFETY: only `on_interrupt` stores here, and it takes a `fn()`.
        let handler = unsafe { core::mem::transmute::<*mut (), fn()>(handler) };
        handler();
    }
}

/// `struct sigevent` that sends a signal to one host thread (timer_create(2)).
#[repr(C)]
#[derive(Debug)]
pub struct TimerEvent {
    value: usize,
    signal: i32,
    notify: i32,
    thread: i32,
    _pad: [i32; 11],
}

impl TimerEvent {
    /// An event for the current CPU.
    pub fn to_this_cpu(signal: usize) -> Self {
        const SIGEV_THREAD_ID: i32 = 4;
        Self {
            value: 0,
            signal: signal as i32,
            notify: SIGEV_THREAD_ID,
            thread: THREADS[CPU_ID.load()].load(Relaxed),
            _pad: [0; 11],
        }
    }
}

const _: () = assert!(size_of::<TimerEvent>() == 64);
