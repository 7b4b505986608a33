//! Threads of shuttle as flows of control. Shuttle's own `park` is not used: it wakes up for no
//! reason so often that lost wake-ups would hardly be seen.

use std::boxed::Box;

use shuttle::sync::{Condvar, Mutex};
use shuttle::thread::ThreadId;

#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

/// A thread of shuttle.
#[derive(Clone, Copy)]
pub struct Flow {
    id: ThreadId,
    bell: &'static Bell,
}

impl core::fmt::Debug for Flow {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?}", self.id)
    }
}

impl PartialEq for Flow {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self.bell, other.bell)
    }
}

shuttle::thread_local! {
    static ME: Flow = Flow {
        id: shuttle::thread::current().id(),
        bell: Box::leak(Box::default()),
    };
}

impl Flow {
    pub fn current() -> Self {
        ME.with(|me| *me)
    }

    /// Time does not pass in a model: with a deadline there is nothing to wait for.
    pub fn wait(deadline_ns: Option<u64>, nothing_to_do: impl Fn() -> bool) {
        if !nothing_to_do() || deadline_ns.is_some() {
            return;
        }
        let bell = Self::current().bell;
        let mut rung = bell.rung.lock().unwrap();
        while !*rung {
            rung = bell.changed.wait(rung).unwrap();
        }
        *rung = false;
    }

    pub fn wake(self) {
        *self.bell.rung.lock().unwrap() = true;
        self.bell.changed.notify_one();
    }
}
