//! All threads of the program, by number.

use syscall_shim::Errno;
use ukplat::StaticRef;

use crate::task::{self, MAIN, Task};

/// What others want to know of threads.
#[derive(Debug)]
pub struct Events {
    /// Called on a thread that makes another, with its number and that of the new one, which does
    /// not run yet.
    ///
    /// An error, `EAGAIN` or `ENOMEM`, means that the thread cannot be.
    pub created: fn(i32, i32) -> Result<(), Errno>,
    /// Called on a thread that ends, with its number.
    pub ended: fn(i32),
}

static EVENTS: StaticRef<Events> = StaticRef::new();

/// Sets what is called when threads begin and end.
pub fn on_thread_events(events: &'static Events) {
    EVENTS.set(events);
}

#[cfg(feature = "threads")]
mod threads {
    use alloc::sync::Arc;

    use uklock::Mutex;
    use ukmap::SortedMap;

    use super::{EVENTS, Errno, MAIN, Task};
    use crate::FIRST;

    /// Numbers are smaller (`PID_MAX_LIMIT` of Linux).
    const LIMIT: i32 = 1 << 22;

    /// All but the first.
    struct Table {
        tasks: SortedMap<i32, Arc<Task>>,
        last: i32,
        /// The first thread ended by itself.
        first_ended: bool,
    }

    /// Futexes ask for threads while they hold a lock of their own ([`crate::exists`]): none of theirs
    /// may be taken under this one.
    static TABLE: Mutex<Table> =
        Mutex::new(Table { tasks: SortedMap::new(), last: FIRST, first_ended: false });

    /// A new thread, with a number that no other has.
    ///
    /// # Errors
    /// `EAGAIN` when there is no memory.
    pub fn add(parent: i32, clear: usize) -> Result<Arc<Task>, Errno> {
        let (task, threads) = {
            let mut table = TABLE.lock();
            let mut id = table.last;
            loop {
                id = if id + 1 < LIMIT { id + 1 } else { FIRST + 1 };
                if !table.tasks.contains_key(&id) {
                    break;
                }
            }
            table.last = id;
            let task = ukfile::fallible::arc(Task::new(id, clear)).map_err(|_| Errno::EAGAIN)?;
            table.tasks.try_insert(id, task.clone()).map_err(|_| Errno::EAGAIN)?;
            // One for the first thread.
            (task, table.tasks.len() + 1)
        };
        // Each thread that runs is among those that the last of them was counted with.
        let reserved = posix_futex::reserve(threads);
        let created =
            reserved.and_then(|()| EVENTS.get().map_or(Ok(()), |e| (e.created)(parent, task.id)));
        if created.is_err() {
            remove(task.id);
            return Err(Errno::EAGAIN);
        }
        Ok(task)
    }

    /// A thread ends; returns whether it was the last.
    pub fn remove(id: i32) -> bool {
        if let Some(events) = EVENTS.get() {
            (events.ended)(id);
        }
        let mut table = TABLE.lock();
        if id == FIRST {
            table.first_ended = true;
        }
        let removed = table.tasks.remove(&id);
        let last = table.first_ended && table.tasks.is_empty();
        drop(table);
        drop(removed);
        last
    }

    pub fn find(id: i32) -> Result<Option<Arc<Task>>, Errno> {
        let table = TABLE.lock();
        if id == FIRST && !table.first_ended {
            return Ok(None);
        }
        table.tasks.get(&id).cloned().map(Some).ok_or(Errno::ESRCH)
    }

    pub fn find_number(mut fits: impl FnMut(i32) -> bool) -> Option<i32> {
        let table = TABLE.lock();
        let first = (!table.first_ended).then_some(FIRST);
        first.into_iter().chain(table.tasks.keys().copied()).find(|id| fits(*id))
    }

    /// The task of a number that [`find`] found.
    pub fn task(found: &Option<Arc<Task>>) -> &Task {
        found.as_deref().unwrap_or(&MAIN)
    }
}

#[cfg(feature = "threads")]
pub use threads::{add, remove};

/// Calls `f` with the thread of a number; 0 is the calling one.
pub fn with<R>(id: i32, f: impl FnOnce(&Task) -> R) -> Result<R, Errno> {
    if id == 0 || id == task::current().id {
        return Ok(f(task::current()));
    }
    #[cfg(feature = "threads")]
    return threads::find(id).map(|found| f(threads::task(&found)));
    #[cfg(not(feature = "threads"))]
    Err(Errno::ESRCH)
}

/// Whether there is a thread with this number.
pub fn exists(id: i32) -> bool {
    id > 0 && with(id, |_| ()).is_ok()
}

/// The smallest number of a thread of the program that fits. Threads neither begin nor end
/// meanwhile.
pub fn find_number(fits: impl FnMut(i32) -> bool) -> Option<i32> {
    #[cfg(feature = "threads")]
    return threads::find_number(fits);
    #[cfg(not(feature = "threads"))]
    {
        let mut fits = fits;
        fits(MAIN.id).then_some(MAIN.id)
    }
}

/// How many threads the program has.
pub fn count() -> usize {
    let mut count = 0;
    find_number(|_| {
        count += 1;
        false
    });
    count
}

/// Makes a thread look again at what it waits for: at whether it was
/// [interrupted](uklock::interrupted).
pub fn wake(id: i32) {
    #[cfg(feature = "threads")]
    if let Ok(Some(thread)) = with(id, Task::thread) {
        thread.unpark();
    }
    #[cfg(not(feature = "threads"))]
    let _ = id;
}

/// Number of the calling thread, if it is one of the program and not one of the system.
pub fn of_program() -> Option<i32> {
    #[cfg(feature = "threads")]
    {
        let this = uksched::try_current()?;
        let task = task::current();
        (task.thread() == Some(this)).then_some(task.id)
    }
    #[cfg(not(feature = "threads"))]
    Some(MAIN.id)
}
