//! All threads of the program, by number.

use alloc::vec::Vec;

use syscall_shim::Errno;
use ukplat::StaticRef;

use crate::task::{self, MAIN, Task};

/// What others want to know of threads.
#[derive(Debug)]
pub struct Events {
    /// Called on a thread that makes another, with its number and that of the new one, which does
    /// not run yet.
    pub created: fn(i32, i32),
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
    use alloc::collections::BTreeMap;
    use alloc::sync::Arc;

    use uklock::Mutex;

    use super::{EVENTS, Errno, MAIN, Task};
    use crate::FIRST;

    /// Numbers are smaller (`PID_MAX_LIMIT` of Linux).
    const LIMIT: i32 = 1 << 22;

    /// All but the first.
    struct Table {
        tasks: BTreeMap<i32, Arc<Task>>,
        last: i32,
        /// The first thread ended by itself.
        first_ended: bool,
    }

    static TABLE: Mutex<Table> =
        Mutex::new(Table { tasks: BTreeMap::new(), last: FIRST, first_ended: false });

    /// A new thread, with a number that no other has.
    pub fn add(parent: i32, clear: usize) -> Arc<Task> {
        let task = {
            let mut table = TABLE.lock();
            let mut id = table.last;
            loop {
                id = if id + 1 < LIMIT { id + 1 } else { FIRST + 1 };
                if !table.tasks.contains_key(&id) {
                    break;
                }
            }
            table.last = id;
            let task = Arc::new(Task::new(id, clear));
            table.tasks.insert(id, task.clone());
            task
        };
        if let Some(events) = EVENTS.get() {
            (events.created)(parent, task.id);
        }
        task
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

    pub fn numbers() -> alloc::vec::Vec<i32> {
        let table = TABLE.lock();
        let first = (!table.first_ended).then_some(FIRST);
        first.into_iter().chain(table.tasks.keys().copied()).collect()
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

/// The numbers of all threads of the program.
pub fn numbers() -> Vec<i32> {
    #[cfg(feature = "threads")]
    return threads::numbers();
    #[cfg(not(feature = "threads"))]
    alloc::vec![MAIN.id]
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
