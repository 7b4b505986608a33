//! Who holds what and who waits for what: deadlocks are found when they happen.
//!
//! In debug builds and with the feature `diagnose`. Two tables of fixed size, so that nothing is
//! allocated and no lock is touched after its life: what finds no room is counted and not seen.

use core::fmt;

/// What is held or waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Mutex,
    Read,
    Write,
    Semaphore,
    Condvar,
    Barrier,
    Once,
    WaitQueue,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Mutex => "mutex",
            Kind::Read => "rwlock (reading)",
            Kind::Write => "rwlock (writing)",
            Kind::Semaphore => "semaphore",
            Kind::Condvar => "condition variable",
            Kind::Barrier => "barrier",
            Kind::Once => "once",
            Kind::WaitQueue => "wait queue",
        })
    }
}

/// Whether anything is recorded. A model checks the primitives, not their records.
pub(crate) const ENABLED: bool =
    cfg!(all(any(feature = "diagnose", debug_assertions), not(feature = "model")));

pub(crate) use tables::{held, released, report, waits, waits_no_more};

mod tables {
    use core::fmt;
    use core::panic::Location;

    use super::{ENABLED, Kind};
    use crate::guarded::Guarded;
    use crate::sys::{self, ThreadRef};

    /// Something held, or waited for, by one thread.
    #[derive(Clone, Copy)]
    struct Record {
        thread: ThreadRef,
        lock: *const (),
        kind: Kind,
        place: &'static Location<'static>,
    }

    impl fmt::Display for Record {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{} {:p} at {}", self.kind, self.lock, self.place)
        }
    }

    const RECORDS: usize = 256;
    /// Length of the longest chain that is followed and shown.
    const CHAIN: usize = 8;

    struct Tables {
        held: [Option<Record>; RECORDS],
        waiting: [Option<Record>; RECORDS],
        /// How many records found no room.
        lost: usize,
    }

    // Interrupts are disabled inside: handlers release semaphores.
    static TABLES: Guarded<Tables, true> =
        Guarded::new(Tables { held: [None; RECORDS], waiting: [None; RECORDS], lost: 0 });

    fn add(table: &mut [Option<Record>; RECORDS], record: Record) -> Option<usize> {
        let free = table.iter().position(Option::is_none)?;
        table[free] = Some(record);
        Some(free)
    }

    /// The calling thread has taken a lock.
    #[inline(always)]
    pub fn held(lock: *const (), kind: Kind, place: &'static Location<'static>) {
        if ENABLED {
            let record = Record { thread: sys::current(), lock, kind, place };
            TABLES.with(|tables| {
                if add(&mut tables.held, record).is_none() {
                    tables.lost += 1;
                }
            });
        }
    }

    /// The calling thread is about to release a lock.
    #[inline(always)]
    pub fn released(lock: *const ()) {
        if ENABLED {
            let me = sys::current();
            TABLES.with(|tables| {
                let of_lock = |r: &Option<Record>| r.is_some_and(|r| r.lock == lock);
                let own = |r: &Option<Record>| r.is_some_and(|r| r.lock == lock && r.thread == me);
                let held = &mut tables.held;
                // Layers above may release what another thread took.
                let found = held.iter().position(own).or_else(|| held.iter().position(of_lock));
                if let Some(index) = found {
                    held[index] = None;
                }
            });
        }
    }

    /// The record of a wait; it ends when this is dropped.
    pub struct Waits(Option<(usize, ThreadRef)>);

    impl Drop for Waits {
        fn drop(&mut self) {
            if let Some((index, me)) = self.0 {
                TABLES.with(|tables| {
                    // It may have been ended, and its place used again.
                    if tables.waiting[index].is_some_and(|r| r.thread == me) {
                        tables.waiting[index] = None;
                    }
                });
            }
        }
    }

    /// The calling thread is about to wait for a lock.
    ///
    /// # Panics
    /// When it waits without deadline for something that, directly or by others that wait, it
    /// holds itself.
    #[inline(always)]
    pub fn waits(
        lock: *const (),
        kind: Kind,
        place: &'static Location<'static>,
        for_ever: bool,
    ) -> Waits {
        if !ENABLED {
            return Waits(None);
        }
        let me = sys::current();
        let record = Record { thread: me, lock, kind, place };
        let mut chain = Chain { links: [None; CHAIN] };
        let (index, deadlock) = TABLES.with(|tables| {
            if for_ever && tables.leads_back(record, me, &mut chain, 0) {
                return (None, true);
            }
            let index = add(&mut tables.waiting, record);
            tables.lost += usize::from(index.is_none());
            (index, false)
        });
        assert!(!deadlock, "deadlock:{chain}");
        Waits(index.map(|index| (index, me)))
    }

    /// A thread has got what it waited for, although it has not run yet.
    pub fn waits_no_more(thread: ThreadRef) {
        TABLES.with(|tables| {
            for record in &mut tables.waiting {
                if record.is_some_and(|r| r.thread == thread) {
                    *record = None;
                }
            }
        });
    }

    /// Who waits for what that is held by whom; the last holder is the first to wait.
    struct Chain {
        links: [Option<(Record, Record)>; CHAIN],
    }

    impl fmt::Display for Chain {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            for (waits, held) in self.links.iter().flatten() {
                write!(
                    f,
                    "\n  thread `{}` waits for {waits}, which `{}` took at {}",
                    waits.thread, held.thread, held.place
                )?;
            }
            Ok(())
        }
    }

    impl Tables {
        /// Whether what is waited for is held by `me`, directly or by others that wait.
        fn leads_back(
            &self,
            waits: Record,
            me: ThreadRef,
            chain: &mut Chain,
            depth: usize,
        ) -> bool {
            if depth == CHAIN {
                return false;
            }
            for held in self.held.iter().flatten().filter(|held| held.lock == waits.lock) {
                chain.links[depth] = Some((waits, *held));
                if held.thread == me {
                    return true;
                }
                let next = self.waiting.iter().flatten().find(|w| w.thread == held.thread);
                if next.is_some_and(|next| self.leads_back(*next, me, chain, depth + 1)) {
                    return true;
                }
                chain.links[depth] = None;
            }
            false
        }
    }

    pub fn report(out: &mut dyn fmt::Write) -> fmt::Result {
        if !ENABLED {
            return writeln!(out, "locks are recorded in debug builds and with `diagnose` only");
        }
        for index in 0..RECORDS {
            // One at a time: writing may need locks.
            let Some(held) = TABLES.with(|tables| tables.held[index]) else { continue };
            writeln!(out, "thread `{}` holds {held}", held.thread)?;
        }
        for index in 0..RECORDS {
            let Some(waits) = TABLES.with(|tables| tables.waiting[index]) else { continue };
            write!(out, "thread `{}` waits for {waits}", waits.thread)?;
            let mut from = 0;
            // All holders, in the order of the table.
            while let Some((at, held)) = TABLES.with(|tables| {
                let held = tables.held.iter().enumerate().skip(from);
                let mut of_lock = held.filter_map(|(i, r)| r.map(|r| (i, r)));
                of_lock.find(|(_, r)| r.lock == waits.lock)
            }) {
                write!(out, ", held by `{}`", held.thread)?;
                from = at + 1;
            }
            writeln!(out)?;
        }
        match TABLES.with(|tables| tables.lost) {
            0 => Ok(()),
            lost => writeln!(out, "{lost} more found no room in the tables"),
        }
    }
}
