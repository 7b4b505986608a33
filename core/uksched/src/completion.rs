//! No scheduling: a CPU runs one thing to its end, and then the next.

use core::sync::atomic::Ordering::Relaxed;

use crate::spawn::DONE;
use crate::{Builder, Policy, Queue, Ready, Reason, SpawnError, ThreadRef};

/// What stands for `none` in manifests with several schedulers: a CPU for a data plane.
///
/// What is spawned there runs to its end before the next begins. While it waits (for a lock, a
/// token, a deadline) its CPU runs nothing else, and is idle. The timer never interrupts it.
#[derive(Debug, Default)]
pub struct RunToCompletion {
    /// What began, and perhaps has ended since.
    current: Option<ThreadRef>,
    /// The same, when it waited and can go on.
    woken: Option<Ready>,
    /// What has not begun.
    next: Queue,
}

impl RunToCompletion {
    /// With nothing to do.
    pub const fn new() -> Self {
        Self { current: None, woken: None, next: Queue::new() }
    }

    fn is_busy(&self) -> bool {
        // The thread that waits for work on its CPU is done from the beginning.
        self.current.is_some_and(|thread| thread.0.life.bits.load(Relaxed) & DONE == 0)
    }
}

impl Policy for RunToCompletion {
    const PREEMPTIVE: bool = false;

    fn push(&mut self, thread: Ready, _reason: Reason) {
        if self.is_busy() && self.current == Some(thread.thread()) {
            self.woken = Some(thread);
        } else {
            self.next.push(thread);
        }
    }

    fn pop(&mut self) -> Option<Ready> {
        if self.is_busy() {
            return self.woken.take();
        }
        // Asked for the last time before that thread's memory can become another one.
        let next = self.next.pop();
        self.current = next.as_ref().map(Ready::thread);
        next
    }

    fn is_empty(&self) -> bool {
        if self.is_busy() { self.woken.is_none() } else { self.next.is_empty() }
    }

    fn steals(&self) -> bool {
        false
    }
}

/// Lets a CPU run a function of the application from the boot's end on, with the CPU's number. For
/// the generated root crate; others [`spawn`](crate::Builder::spawn). A CPU that the machine does
/// not have is left out.
///
/// # Panics
/// There is no memory.
pub fn run_on(cpu: usize, name: &str, function: fn(usize)) {
    match Builder::new(name).on_cpu(cpu).spawn(move || function(cpu)) {
        Ok(_) | Err(SpawnError::NoSuchCpu) => {}
        Err(error) => panic!("CPU {cpu} cannot run `{name}`: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thread::Thread;

    fn ready() -> (ThreadRef, Ready) {
        let thread = ThreadRef(Box::leak(Box::new(Thread::new())));
        (thread, Ready::new(thread))
    }

    fn end(thread: ThreadRef) {
        thread.0.life.bits.store(DONE, Relaxed);
    }

    #[test]
    fn the_next_begins_when_the_one_before_has_ended() {
        let mut policy = RunToCompletion::new();
        let ((a, first), (b, second)) = (ready(), ready());
        policy.push(first, Reason::New);
        policy.push(second, Reason::New);
        let running = policy.pop().unwrap();
        assert_eq!(running.thread(), a);
        assert!(policy.is_empty() && policy.pop().is_none(), "it waits: nothing else runs");
        policy.push(running, Reason::Woken);
        assert!(!policy.is_empty());
        assert_eq!(policy.pop().map(|r| r.thread()), Some(a));
        end(a);
        assert_eq!(policy.pop().map(|r| r.thread()), Some(b));
        end(b);
        assert!(policy.pop().is_none() && policy.is_empty());
    }

    #[test]
    fn the_thread_of_the_cpu_itself_keeps_nobody_waiting() {
        let mut policy = RunToCompletion::new();
        let ((base, waiting), (work, new)) = (ready(), ready());
        end(base);
        policy.push(waiting, Reason::Woken);
        policy.push(new, Reason::New);
        assert_eq!(policy.pop().map(|r| r.thread()), Some(base));
        assert_eq!(policy.pop().map(|r| r.thread()), Some(work));
    }
}
