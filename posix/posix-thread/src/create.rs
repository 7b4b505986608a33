//! The beginning and the end of threads.

use core::ops::Range;

use syscall_shim::{Address, CloneFlags, Errno, Plain, UserPtr, syscall};

#[cfg(feature = "threads")]
use crate::table;
use crate::{exit_group, task};

// Flags of `clone` (`linux/sched.h`).
const CLONE_VM: u64 = 0x100;
const CLONE_FS: u64 = 0x200;
const CLONE_FILES: u64 = 0x400;
const CLONE_SIGHAND: u64 = 0x800;
const CLONE_THREAD: u64 = 0x1_0000;
const CLONE_SYSVSEM: u64 = 0x4_0000;
const CLONE_SETTLS: u64 = 0x8_0000;
const CLONE_PARENT_SETTID: u64 = 0x10_0000;
const CLONE_CHILD_CLEARTID: u64 = 0x20_0000;
const CLONE_DETACHED: u64 = 0x40_0000;
const CLONE_CHILD_SETTID: u64 = 0x100_0000;
/// What makes a thread, and not a process.
const THREAD: u64 = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
const KNOWN: u64 = THREAD
    | CLONE_SYSVSEM
    | CLONE_SETTLS
    | CLONE_PARENT_SETTID
    | CLONE_CHILD_CLEARTID
    | CLONE_DETACHED
    | CLONE_CHILD_SETTID;

/// How a thread is to be; see clone(2).
#[derive(Clone, Copy, Debug, Plain)]
#[repr(C)]
pub struct CloneArguments {
    #[trace(CloneFlags)]
    flags: u64,
    /// Address after the last byte of the stack.
    #[trace(Address)]
    stack_top: usize,
    #[trace(Address)]
    parent_id: usize,
    #[trace(Address)]
    thread_pointer: usize,
    #[trace(Address)]
    child_id: usize,
}

/// Makes a thread that calls `function` with `argument` and ends with its result; returns the
/// thread's number.
///
/// Without a scheduler: `ENOSYS`.
#[syscall(nr = 510)]
fn clone_thread(
    #[trace(Address)] function: usize,
    #[trace(Address)] argument: usize,
    how: UserPtr<CloneArguments>,
) -> Result<i32, Errno> {
    let how = how.read();
    // Another process would need another address space.
    if how.flags & THREAD != THREAD {
        return Err(Errno::ENOSYS);
    }
    if how.flags & !KNOWN != 0 || function == 0 || how.stack_top == 0 {
        return Err(Errno::EINVAL);
    }
    #[cfg(feature = "threads")]
    return threads::create(function, argument, &how);
    #[cfg(not(feature = "threads"))]
    {
        let _ = argument;
        Err(Errno::ENOSYS)
    }
}

/// By which locks of the program name their owners.
static NUMBERS: posix_futex::Threads = posix_futex::Threads {
    current: || crate::gettid() as u32,
    exists: |number| i32::try_from(number).is_ok_and(crate::exists),
};

/// For how long each was on a CPU.
static TIME: posix_time::ThreadTime = |number| {
    crate::table::with(number, |task| {
        #[cfg(feature = "threads")]
        return task.thread().and_then(uksched::ThreadRef::cpu_ns);
        #[cfg(not(feature = "threads"))]
        {
            let _ = task;
            None
        }
    })
};

/// The calling thread is the first of the program of this name.
pub fn begin_program(name: &str) {
    posix_futex::set_threads(&NUMBERS);
    posix_time::set_thread_time(&TIME);
    #[cfg(feature = "threads")]
    task::MAIN.set_thread(uksched::current());
    task::MAIN.set_name(name.as_bytes());
    // At boot there is memory, or nothing goes at all.
    #[cfg(feature = "threads")]
    let _ = posix_futex::reserve(1);
}

/// Ends the calling thread, and unmaps the range, of which the thread's stack may be a part.
pub fn exit(code: i32, unmap: Range<usize>) -> ! {
    #[cfg(feature = "threads")]
    threads::exit(code, unmap);
    // The end of the only thread is that of the image, which nobody sees.
    #[cfg(not(feature = "threads"))]
    {
        let _ = unmap;
        exit_group(code)
    }
}

#[cfg(feature = "threads")]
mod threads {
    use alloc::sync::Arc;
    use core::cell::Cell;
    use core::sync::atomic::Ordering::Relaxed;

    use super::{
        CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_PARENT_SETTID, CLONE_SETTLS,
        CloneArguments, Errno, Range, exit_group, table, task,
    };
    use crate::task::{Place, Task};

    /// The stack that a thread begins and ends on: the smallest, as what runs there waits for locks
    /// at most.
    const OWN_STACK: usize = uksched::MIN_STACK - posix_mmap::PAGE;
    /// Bytes of a stack that the program did not map: at least, for backtraces.
    const UNKNOWN_STACK: usize = 2048;

    /// What a new thread begins with, on its own stack.
    struct Start {
        function: usize,
        argument: usize,
        end: Cell<End>,
    }

    /// How it ended.
    #[derive(Clone, Copy, Default)]
    struct End {
        code: i32,
        unmap: (usize, usize),
    }

    pub fn create(function: usize, argument: usize, how: &CloneArguments) -> Result<i32, Errno> {
        let wants = |flag| how.flags & flag != 0;
        let clear = if wants(CLONE_CHILD_CLEARTID) { how.child_id } else { 0 };
        let parent = task::current();
        let child = table::add(parent.id, clear)?;
        let id = child.id;
        for (flag, place) in
            [(CLONE_PARENT_SETTID, how.parent_id), (CLONE_CHILD_SETTID, how.child_id)]
        {
            if wants(flag) && place != 0 {
                // SAFETY: the program said that there is room for a number.
                unsafe { (place as *mut i32).write_unaligned(id) };
            }
        }
        let (name, len) = parent.name();
        child.set_name(&name[..len]);
        let text = core::str::from_utf8(&name[..len]).ok().filter(|text| !text.is_empty());
        let pointer = wants(CLONE_SETTLS).then_some(how.thread_pointer);
        let top = how.stack_top & !15;
        let bottom = posix_mmap::start_of(top - 1).unwrap_or(top.saturating_sub(UNKNOWN_STACK));
        let (of_child, stack) = (child.clone(), bottom..top);
        let begun = uksched::Builder::new(text.unwrap_or("thread"))
            .stack_size(OWN_STACK)
            .spawn(move || run(of_child, function, argument, pointer, stack));
        match begun {
            Ok(handle) => {
                child.set_thread(handle.thread());
                Ok(id)
            }
            Err(_) => {
                table::remove(id);
                Err(Errno::EAGAIN)
            }
        }
    }

    /// A thread, from its beginning to its end.
    fn run(
        task: Arc<Task>,
        function: usize,
        argument: usize,
        pointer: Option<usize>,
        stack: Range<usize>,
    ) {
        let this = uksched::current();
        task.set_thread(this);
        let start = Start { function, argument, end: Cell::new(End::default()) };
        let place = Place { task: &raw const *task, start: &raw const start };
        this.word().store(&raw const place as usize, Relaxed);
        // SAFETY: the program says that this is where the thread's variables are, and that the
        // stack is for this thread. The place outlives what runs there.
        unsafe {
            if let Some(pointer) = pointer {
                uksched::set_thread_pointer(pointer);
            }
            uksched::enter_stack(stack, begin, &raw const start as usize);
        }
        let End { code, unmap: (from, len) } = start.end.get();
        if len > 0 {
            posix_mmap::unmap(from, len);
        }
        let last = table::remove(task.id);
        this.word().store(0, Relaxed);
        if last {
            exit_group(code);
        }
        task.tell_end();
        posix_futex::thread_ended();
    }

    /// The first function on the program's stack.
    extern "C" fn begin(start: usize) -> ! {
        // SAFETY: `run` made it, and waits with it until the thread ends.
        let start = unsafe { &*(start as *const Start) };
        // SAFETY: the program said that there is a function with this argument and result.
        let function = unsafe {
            core::mem::transmute::<usize, unsafe extern "C" fn(usize) -> i32>(start.function)
        };
        // SAFETY: as above.
        let code = unsafe { function(start.argument) };
        crate::exit(code)
    }

    pub fn exit(code: i32, unmap: Range<usize>) -> ! {
        let word = uksched::current().word().load(Relaxed);
        if word == 0 {
            exit_first(code);
        }
        // SAFETY: only `run` stores here, what lives until this thread has left its stack.
        let start = unsafe { &*(*(word as *const Place<Start>)).start };
        start.end.set(End { code, unmap: (unmap.start, unmap.len()) });
        uksched::leave_stack()
    }

    /// The end of the first thread: others go on.
    fn exit_first(code: i32) -> ! {
        if table::remove(crate::FIRST) {
            exit_group(code);
        }
        task::MAIN.tell_end();
        posix_futex::thread_ended();
        uksched::exit()
    }
}
