//! Creating threads, and their end.

use core::fmt;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::NonNull;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use ukplat::StaticRef;

use crate::cpu::Lock;
use crate::hooks;
use crate::stack::{Stack, Store};
use crate::sys::atomic::{AtomicPtr, AtomicU32};
use crate::sys::{self, Context, preempt};
use crate::thread::{DEFAULT_PRIORITY, Thread};
use crate::{Config, Instance, PRIORITIES, ThreadRef, bind, instance_of, instances};

/// Smallest stack in bytes, its guard page included: what the scheduler, an interrupt's saved
/// registers and a crash report need.
pub const MIN_STACK: usize = 16 << 10;

/// The result is written.
pub(crate) const DONE: u8 = 1;
/// Nobody will ask for the result.
const DETACHED: u8 = 2;
/// Somebody waits for the result.
const JOINING: u8 = 4;
/// The thread ended itself, without a result.
const EXITED: u8 = 8;

static CONFIG: StaticRef<Config> = StaticRef::new();
static STACKS: Store = Store::new();
/// Threads whose life is over, linked through `link`, to be used again.
static FREE: Free = Free { first: AtomicPtr::new(core::ptr::null_mut()), lock: Lock::new() };
static NEXT_CPU: AtomicU32 = AtomicU32::new(0);

struct Free {
    first: AtomicPtr<Thread>,
    lock: Lock,
}

/// Why there is no new thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnError {
    /// There is no memory for the thread or its stack.
    OutOfMemory,
    /// What the thread takes with it does not fit into half of its stack.
    StackTooSmall,
    /// The image does not use that CPU, or the machine does not have it.
    NoSuchCpu,
    /// The CPUs do not all belong to one scheduler.
    SeveralSchedulers,
    /// A hook refused the thread.
    Refused,
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SpawnError::OutOfMemory => "there is no memory for another thread",
            SpawnError::StackTooSmall => "the thread's closure or result does not fit on its stack",
            SpawnError::NoSuchCpu => "the image does not use that CPU, or the machine has none",
            SpawnError::SeveralSchedulers => "a thread's CPUs must belong to one scheduler",
            SpawnError::Refused => "a hook refused the thread",
        })
    }
}

impl core::error::Error for SpawnError {}

/// The thread called [`exit`]: it has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exited;

impl fmt::Display for Exited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the thread ended itself before it had a result")
    }
}

impl core::error::Error for Exited {}

/// How a thread is to be.
///
/// Without [`on_cpu`](Builder::on_cpu), [`on_cpus`](Builder::on_cpus) or
/// [`on_instance`](Builder::on_instance) the thread belongs to the scheduler of the CPU it is made
/// on, or to that of CPU 0 when CPUs here [run to completion](Instance::runs_to_completion). It is
/// placed on one of its CPUs after the other.
#[derive(Clone, Copy, Debug)]
pub struct Builder<'a> {
    name: &'a str,
    stack: Option<usize>,
    priority: u8,
    cpus: Option<u64>,
    instance: Option<&'static Instance>,
}

impl<'a> Builder<'a> {
    /// A thread of that name (of which 23 bytes are kept), with the usual stack and priority.
    pub const fn new(name: &'a str) -> Self {
        Self { name, stack: None, priority: DEFAULT_PRIORITY, cpus: None, instance: None }
    }

    /// Another size for the stack, in bytes; rounded up to pages.
    pub const fn stack_size(self, bytes: usize) -> Self {
        Self { stack: Some(bytes), ..self }
    }

    /// Another priority, from 0 (lowest) to [`PRIORITIES`] - 1, where the policy knows them.
    pub const fn priority(self, priority: u8) -> Self {
        assert!(priority < PRIORITIES, "there is no such priority");
        Self { priority, ..self }
    }

    /// The thread runs on this CPU alone, under the scheduler that it belongs to.
    pub const fn on_cpu(self, cpu: usize) -> Self {
        let bit = if cpu < u64::BITS as usize { 1 << cpu } else { 0 };
        self.on_cpus(bit)
    }

    /// The thread runs on these CPUs alone, which must belong to one scheduler: bit `i` stands for
    /// CPU `i`.
    pub const fn on_cpus(self, cpus: u64) -> Self {
        Self { cpus: Some(cpus), ..self }
    }

    /// The thread runs on CPUs of this scheduler.
    pub const fn on_instance(self, instance: &'static Instance) -> Self {
        Self { instance: Some(instance), ..self }
    }

    /// Makes the thread; it is ready at once.
    ///
    /// # Errors
    /// See [`SpawnError`]; the closure is dropped.
    pub fn spawn<T, F>(self, work: F) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let config = CONFIG.get().ok_or(SpawnError::OutOfMemory)?;
        let usual = config.stack_size as usize;
        let len = self.stack.map_or(usual, |bytes| {
            // The guard page is not part of what was asked for.
            bytes
                .saturating_add(ukalloc::PAGE_SIZE)
                .max(MIN_STACK)
                .saturating_add(ukalloc::PAGE_SIZE - 1)
                & !(ukalloc::PAGE_SIZE - 1)
        });
        let place = self.place()?;
        let heap = ukalloc::for_library("uksched");
        let thread = new_thread(heap).ok_or(SpawnError::OutOfMemory)?;
        let Some(stack) = STACKS.take(heap, len, usual) else {
            keep(thread);
            return Err(SpawnError::OutOfMemory);
        };
        thread.0.stack.set(stack);
        let Some(packet) = Packet::<F, T>::place(stack) else {
            recycle(thread);
            return Err(SpawnError::StackTooSmall);
        };
        let inner = thread.0;
        inner.begin(self.name, self.priority);
        inner.cpu.store(place.cpu as u32, Relaxed);
        inner.affinity.store(place.affinity, Relaxed);
        inner.life.bits.store(0, Relaxed);
        inner.life.joiner.store(core::ptr::null_mut(), Relaxed);
        // From the closure's move on it is only on the new stack, which who looks at all threads'
        // stacks finds when the thread is alive.
        let unseen = preempt::disable();
        // SAFETY: the place is on the new stack, large enough and aligned; the stack below it is
        // for the thread alone. Nothing runs there yet, so the context is ours.
        unsafe {
            packet.write(Packet { work: ManuallyDrop::new(work), result: MaybeUninit::uninit() });
            let top = packet.as_ptr() as usize;
            let entry = thread_main::<F, T>;
            *inner.context.get() = Context::new(top, entry, packet.as_ptr() as usize);
        }
        inner.on_cpu.store(0, Relaxed);
        inner.life.uses.store(2, Release);
        drop(unseen);
        if !hooks::created(thread) {
            // SAFETY: the thread never starts: the closure is still there, and dropped once.
            unsafe { ManuallyDrop::drop(&mut (*packet.as_ptr()).work) };
            inner.life.uses.store(0, Release);
            recycle(thread);
            return Err(SpawnError::Refused);
        }
        bind::make_ready(thread);
        // SAFETY: the result follows the closure in the packet.
        let result = unsafe { NonNull::new_unchecked(&raw mut (*packet.as_ptr()).result) };
        Ok(JoinHandle { thread, result, _result: PhantomData })
    }
}

/// Where a thread may run, and where it is ready first.
struct Place {
    affinity: u64,
    cpu: usize,
}

impl Builder<'_> {
    fn place(&self) -> Result<Place, SpawnError> {
        let affinity = self.affinity()?;
        let running = affinity & u64::MAX >> (u64::BITS as usize - bind::cpus());
        let count = running.count_ones();
        if count == 0 {
            return Err(SpawnError::NoSuchCpu);
        }
        let turn = if count == 1 { 0 } else { NEXT_CPU.fetch_add(1, Relaxed) % count };
        let mut left = running;
        for _ in 0..turn {
            left &= left - 1;
        }
        Ok(Place { affinity, cpu: left.trailing_zeros() as usize })
    }

    fn affinity(&self) -> Result<u64, SpawnError> {
        let here = || match instance_of(sys::cpu_id()) {
            Some(instance) if !instance.runs_to_completion() => instance,
            _ => &instances()[0],
        };
        let Some(cpus) = self.cpus else {
            return Ok(self.instance.unwrap_or_else(here).cpus());
        };
        let first = instance_of(cpus.trailing_zeros() as usize);
        let instance = self.instance.or(first).ok_or(SpawnError::NoSuchCpu)?;
        if cpus & !instance.cpus() != 0 {
            let known = instances().iter().fold(0, |all, instance| all | instance.cpus());
            let several = cpus & !known == 0;
            return Err(if several {
                SpawnError::SeveralSchedulers
            } else {
                SpawnError::NoSuchCpu
            });
        }
        Ok(cpus)
    }
}

/// Makes a thread with the usual properties.
///
/// # Errors
/// See [`SpawnError`].
pub fn spawn<T, F>(name: &str, work: F) -> Result<JoinHandle<T>, SpawnError>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Builder::new(name).spawn(work)
}

/// What a thread begins and ends with, at the top of its stack.
struct Packet<F, T> {
    work: ManuallyDrop<F>,
    result: MaybeUninit<T>,
}

impl<F, T> Packet<F, T> {
    /// Where it goes; `None` when it takes more than half of the stack.
    fn place(stack: Stack) -> Option<NonNull<Self>> {
        let at = stack.top().checked_sub(size_of::<Self>())? & !(align_of::<Self>().max(16) - 1);
        (at >= stack.start() + stack.len / 2).then(|| NonNull::new(at as *mut Self)).flatten()
    }
}

/// The first function of every thread.
extern "C" fn thread_main<F: FnOnce() -> T, T>(packet: usize) -> ! {
    bind::arrive();
    let packet = packet as *mut Packet<F, T>;
    // SAFETY: `spawn` wrote the packet for this thread alone; the closure is taken once. The
    // result's place is touched by the handle only after DONE.
    unsafe {
        let work = ManuallyDrop::take(&mut (*packet).work);
        (*packet).result.write(work());
    }
    let before = finish(DONE);
    if before & DETACHED != 0 {
        // SAFETY: the result was written, and the handle, which is gone, did not take it.
        unsafe { (*packet).result.assume_init_drop() };
    }
    bind::leave()
}

/// Says that the running thread is done with its work; returns the bits before.
fn finish(how: u8) -> u8 {
    let this = crate::current();
    hooks::ended(this);
    let life = &this.0.life;
    let before = life.bits.fetch_or(how, AcqRel);
    if before & JOINING != 0 {
        // SAFETY: `join` stored a thread before it set the bit.
        if let Some(joiner) = unsafe { life.joiner.load(Acquire).as_ref() } {
            ThreadRef(joiner).unpark();
        }
    }
    before
}

/// Ends the running thread at once; nothing on its stack is dropped. Whoever joins it gets
/// [`Exited`]. In `main` it ends that thread alone: the others go on.
pub fn exit() -> ! {
    finish(DONE | EXITED);
    bind::leave()
}

/// The right to wait for a thread's result. Dropping it detaches the thread.
pub struct JoinHandle<T> {
    thread: ThreadRef,
    result: NonNull<MaybeUninit<T>>,
    _result: PhantomData<T>,
}

// SAFETY: the handle gives the result, once, to whoever holds it.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: nothing can be done with a shared handle that touches the result.
unsafe impl<T: Send> Sync for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// The thread, which is alive as long as the handle.
    pub fn thread(&self) -> ThreadRef {
        self.thread
    }

    /// Whether the thread has its result, so that `join` returns at once.
    pub fn is_finished(&self) -> bool {
        self.thread.0.life.bits.load(Acquire) & DONE != 0
    }

    /// Waits until the thread ends and returns its result.
    ///
    /// # Errors
    /// [`Exited`] when the thread ended by [`exit`].
    pub fn join(self) -> Result<T, Exited> {
        let life = &self.thread.0.life;
        let me = crate::current();
        assert!(me != self.thread, "a thread cannot wait for its own end");
        life.joiner.store(core::ptr::from_ref(me.0).cast_mut(), Relaxed);
        let mut bits = life.bits.fetch_or(JOINING, AcqRel);
        while bits & DONE == 0 {
            crate::park(None);
            bits = life.bits.load(Acquire);
        }
        let this = ManuallyDrop::new(self);
        let result = if bits & EXITED != 0 {
            Err(Exited)
        } else {
            // SAFETY: DONE says that the result was written; it is taken once, here, because the
            // handle is consumed and its `Drop` does not run.
            Ok(unsafe { this.result.as_ref().assume_init_read() })
        };
        release(this.thread);
        result
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        let before = self.thread.0.life.bits.fetch_or(DETACHED, AcqRel);
        if before & (DONE | EXITED) == DONE {
            // SAFETY: the result was written before DETACHED was set: the thread left it to us.
            unsafe { self.result.as_mut().assume_init_drop() };
        }
        release(self.thread);
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("thread", &self.thread).finish_non_exhaustive()
    }
}

/// One use of a thread's memory is over: of its stack, or of its handle. After both it is free.
pub(crate) fn release(thread: ThreadRef) {
    if thread.0.life.uses.fetch_sub(1, AcqRel) == 1 {
        recycle(thread);
    }
}

fn recycle(thread: ThreadRef) {
    let stack = thread.0.stack.replace(Stack::NONE);
    if stack != Stack::NONE
        && let Some(config) = CONFIG.get()
    {
        let heap = ukalloc::for_library("uksched");
        STACKS.put(heap, stack, config.stack_size as usize, config.stack_cache as usize);
    }
    keep(thread);
}

fn keep(thread: ThreadRef) {
    let _held = FREE.lock.hold();
    // SAFETY: only static threads are stored here.
    let next = unsafe { FREE.first.load(Relaxed).as_ref() };
    thread.0.link.set(next.map(ThreadRef));
    FREE.first.store(core::ptr::from_ref(thread.0).cast_mut(), Relaxed);
}

/// A thread whose life has not begun.
fn new_thread(heap: &dyn ukalloc::Alloc) -> Option<ThreadRef> {
    {
        let _held = FREE.lock.hold();
        // SAFETY: only static threads are stored here.
        if let Some(thread) = unsafe { FREE.first.load(Relaxed).as_ref() } {
            let next = thread.link.take();
            let next = next.map_or(core::ptr::null_mut(), |t| core::ptr::from_ref(t.0).cast_mut());
            FREE.first.store(next, Relaxed);
            return Some(ThreadRef(thread));
        }
    }
    let memory = heap.memalign(align_of::<Thread>(), size_of::<Thread>()).cast::<Thread>();
    let memory = NonNull::new(memory)?;
    // SAFETY: fresh memory of that size and alignment, never given back.
    let thread: &'static Thread = unsafe {
        memory.write(Thread::new());
        memory.as_ref()
    };
    thread.publish();
    Some(ThreadRef(thread))
}

/// Makes the flow of control that boots the first thread, or that of another CPU.
pub(crate) fn adopt(name: &str, cpu: usize) -> Option<ThreadRef> {
    let thread = new_thread(ukalloc::for_library("uksched"))?;
    thread.0.begin(name, DEFAULT_PRIORITY);
    thread.0.cpu.store(cpu as u32, Relaxed);
    thread.0.affinity.store(1 << cpu, Relaxed);
    thread.0.life.bits.store(DETACHED, Relaxed);
    thread.0.life.uses.store(1, Release);
    thread.0.on_cpu.store(1, Relaxed);
    Some(thread)
}

/// The usual stack for a thread that was adopted.
#[cfg(feature = "smp")]
pub(crate) fn stack_for(thread: ThreadRef) -> Option<Stack> {
    let usual = CONFIG.get()?.stack_size as usize;
    let stack = STACKS.take(ukalloc::for_library("uksched"), usual, usual)?;
    thread.0.stack.set(stack);
    Some(stack)
}

pub(crate) fn configure(config: &'static Config) {
    CONFIG.set(config);
}
