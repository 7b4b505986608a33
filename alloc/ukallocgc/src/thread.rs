//! When and where collections run: the allocator's own thread, and its own stack.

use core::cell::Cell;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ukalloc::{Freed, Staged};
use ukplat::context::{self, Context};
use ukplat::{BootInfo, InitError, preempt};
use uksched::{Builder, ThreadRef};

use crate::{Gc, roots};

/// Bytes of the thread's stack; marking happens on another one.
const STACK: usize = 16 << 10;

/// What a collection did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blocks that nobody pointed to.
    pub blocks: u64,
    /// Their usable bytes.
    pub bytes: usize,
    /// Nanoseconds for which nobody else ran.
    pub ns: u64,
}

struct State {
    heap: Cell<Option<&'static dyn Staged>>,
    thread: Cell<Option<ThreadRef>>,
    /// Wakes the thread. A pointer, so that programs that use the back end alone, as tests do, need
    /// no scheduler.
    wake: Cell<Option<fn()>>,
    last: Cell<Collected>,
}

// SAFETY: heap, thread and wake are set before READY, by which everybody else knows that they are; `last`
// is touched with preemption disabled. The image has one CPU.
unsafe impl Sync for State {}

static STATE: State = State {
    heap: Cell::new(None),
    thread: Cell::new(None),
    wake: Cell::new(None),
    last: Cell::new(Collected { blocks: 0, bytes: 0, ns: 0 }),
};
/// The thread runs: collections are possible.
static READY: AtomicBool = AtomicBool::new(false);

/// Whether collections are possible.
pub fn is_ready() -> bool {
    READY.load(Relaxed)
}

/// Boot phase `gc`: starts the thread, and lets the main stage serve. Does nothing when no heap uses
/// this library.
///
/// # Errors
/// No memory for the thread; more than one heap.
pub fn init(
    _boot: &'static BootInfo,
    heaps: &'static [&'static dyn Staged],
) -> Result<(), InitError> {
    let heap = match heaps {
        [] => return Ok(()),
        [heap] => *heap,
        _ => return Err(InitError::new("only one heap of an image can use ukallocgc")),
    };
    STATE.heap.set(Some(heap));
    let main = uksched::current();
    let thread = Builder::new("ukallocgc").stack_size(STACK).spawn(move || run(main));
    drop(thread.map_err(|_| {
        InitError::about(
            "there is no memory for the thread of",
            "ukallocgc",
            "raise its option early-size",
        )
    })?);
    while !is_ready() {
        uksched::park(None);
    }
    Ok(())
}

/// The thread.
fn run(starter: ThreadRef) {
    STATE.thread.set(Some(uksched::current()));
    STATE.wake.set(Some(|| {
        if let Some(thread) = STATE.thread.get() {
            thread.unpark();
        }
    }));
    READY.store(true, Relaxed);
    if let Some(heap) = STATE.heap.get() {
        heap.switch();
    }
    starter.unpark();
    loop {
        uksched::park(None);
        collect();
    }
}

/// Asks the thread to collect.
pub fn wake() {
    if let Some(wake) = STATE.wake.get() {
        wake();
    }
}

/// Collects now; returns what that did. Nothing before the boot phase `gc`, or in an image whose
/// heaps have other back ends.
pub fn collect() -> Collected {
    let Some(heap) = STATE.heap.get().filter(|_| is_ready()) else { return Collected::default() };
    let _no_others = preempt::disable();
    heap.reclaim();
    STATE.last.get()
}

/// What the flow of control that waits for a collection gives to the collector's.
struct Job<'a> {
    gc: &'a mut Gc,
    caller: Context,
    freed: Freed,
}

/// Collects, on the stack that is there for it. Going over to another stack saves the registers of
/// the caller on its own, where marking finds them, and needs no room there.
pub fn collect_now(gc: &mut Gc) -> Freed {
    let _no_others = preempt::disable();
    let start = ukplat::monotonic_ns();
    let stack_top = gc.stack.end;
    let mut job = Job { gc, caller: Context::NONE, freed: Freed::default() };
    let pointer = &raw mut job;
    // SAFETY: the stack is in use only during this call, during which nobody else runs. The job
    // lives until the other side is left for ever; only that side uses it meanwhile.
    unsafe {
        let collector = Context::new(stack_top, on_own_stack, pointer as usize);
        context::switch(&raw mut (*pointer).caller, collector);
    }
    // SAFETY: the other side is over.
    let freed = unsafe { (*pointer).freed };
    let ns = ukplat::monotonic_ns().saturating_sub(start);
    STATE.last.set(Collected { blocks: freed.blocks, bytes: freed.bytes, ns });
    freed
}

extern "C" fn on_own_stack(job: usize) -> ! {
    // SAFETY: `collect_now` gave its job, and waits.
    let job = unsafe { &mut *(job as *mut Job<'_>) };
    let stack_pointer = job.caller.stack_pointer();
    let early = STATE.heap.get().map_or(0..0, Staged::early_memory);
    // SAFETY: preemption is disabled, and the caller, the current thread, waits with all it has on
    // its stack; that is all the documentation promises to see.
    job.freed = unsafe { job.gc.collect(|marker| roots::mark_image(marker, early, stack_pointer)) };
    let (caller, mut nowhere) = (job.caller, Context::NONE);
    // SAFETY: the caller was saved by the switch that came here. What is left here is never gone
    // back to.
    unsafe { context::switch(&raw mut nowhere, caller) };
    unreachable!("the collector's stack was left for good")
}
