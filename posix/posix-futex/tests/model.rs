//! Models: shuttle runs small programs under many random schedules. A lost wake-up is a state in which
//! nobody can go on.
#![cfg(feature = "model")]

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use shuttle::sync::atomic::AtomicU32;
use shuttle::thread;
use syscall_shim::{Errno, call, nr};

const WAIT: i32 = 0;
const WAKE: i32 = 1;
const CMP_REQUEUE: i32 = 4;
const LOCK_PI: i32 = 6;
const UNLOCK_PI: i32 = 7;

/// There is one queue of those who wait, so one model runs at a time.
static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn check(model: impl Fn() + Send + Sync + 'static) {
    let _turn = TURN.lock();
    let model = Arc::new(model);
    let again = model.clone();
    shuttle::check_random(move || again(), 1000);
    shuttle::check_pct(move || model(), 500, 3);
}

/// The word that programs pass: shuttle's atomic is not one, so each has one beside it.
#[derive(Default)]
struct Word {
    value: AtomicU32,
    plain: std::sync::atomic::AtomicU32,
}

impl Word {
    fn address(&self) -> usize {
        self.plain.as_ptr() as usize
    }

    fn set(&self, value: u32) {
        self.value.store(value, SeqCst);
        self.plain.store(value, SeqCst);
    }

    fn compare_exchange(&self, from: u32, to: u32) -> Result<u32, u32> {
        // A place where threads are switched.
        self.value.load(SeqCst);
        let result = self.plain.compare_exchange(from, to, SeqCst, SeqCst);
        if result.is_ok() {
            self.value.store(to, SeqCst);
        }
        result
    }

    fn swap(&self, to: u32) -> u32 {
        self.value.load(SeqCst);
        let before = self.plain.swap(to, SeqCst);
        self.value.store(to, SeqCst);
        before
    }
}

fn futex(word: &Word, operation: i32, value: u32) -> isize {
    call!(nr::futex, word.address(), operation, value, 0, 0, 0)
}

/// U. Drepper, "Futexes are tricky", mutex 2: nobody sleeps for ever while it is free.
#[test]
fn a_mutex_of_the_program_loses_no_wake_up() {
    fn lock(word: &Word) {
        let mut seen = match word.compare_exchange(0, 1) {
            Ok(_) => return,
            Err(seen) => seen,
        };
        if seen != 2 {
            seen = word.swap(2);
        }
        while seen != 0 {
            futex(word, WAIT, 2);
            seen = word.swap(2);
        }
    }
    fn unlock(word: &Word) {
        if word.swap(0) == 2 {
            futex(word, WAKE, 1);
        }
    }
    check(|| {
        let shared = Arc::new((Word::default(), AtomicU32::new(0)));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let shared = shared.clone();
                thread::spawn(move || {
                    for _ in 0..2 {
                        lock(&shared.0);
                        let inside = shared.1.fetch_add(1, SeqCst);
                        assert_eq!(inside, 0, "two hold it");
                        shared.1.fetch_sub(1, SeqCst);
                        unlock(&shared.0);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
    });
}

#[test]
fn requeued_threads_are_woken_where_they_are_then() {
    check(|| {
        let shared = Arc::new((Word::default(), Word::default()));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let shared = shared.clone();
                thread::spawn(move || {
                    // Woken, or too late.
                    let result = futex(&shared.0, WAIT, 0);
                    assert!(result == 0 || result == Errno::EAGAIN.to_raw());
                })
            })
            .collect();
        shared.0.set(1);
        let second = shared.1.address();
        let moved = call!(nr::futex, shared.0.address(), CMP_REQUEUE, 1u32, 9usize, second, 1u32);
        let mut left = (moved - 1).max(0);
        while left > 0 {
            let woken = futex(&shared.1, WAKE, 1);
            assert_eq!(woken, 1, "it waits there");
            left -= woken;
        }
        threads.into_iter().for_each(|t| t.join().unwrap());
    });
}

#[test]
fn counts_below_one_wake_one() {
    check(|| {
        let shared = Arc::new(Word::default());
        let threads = [(); 2].map(|()| {
            let shared = shared.clone();
            thread::spawn(move || futex(&shared, WAIT, 0))
        });
        shared.set(1);
        for count in [-1i32 as u32, 0, i32::MIN as u32] {
            let woken = futex(&shared, WAKE, count);
            assert!((0..=1).contains(&woken), "{woken}");
        }
        let results = threads.map(|t| t.join().unwrap());
        assert!(results.iter().all(|&result| [0, Errno::EAGAIN.to_raw()].contains(&result)));
    });
}

/// Threads are numbered by their names here; the last one may have ended.
static LAST_ENDED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
const LAST: u32 = 3;

static THREADS: posix_futex::Threads = posix_futex::Threads {
    current: || thread::current().name().unwrap().parse().unwrap(),
    exists: |number| number != LAST || !LAST_ENDED.load(SeqCst),
};

fn numbered<T: Send + 'static>(
    number: u32,
    work: impl FnOnce() -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    thread::Builder::new().name(number.to_string()).spawn(work).unwrap()
}

/// Takes a lock whose word names the owner, as the C library does; tells what the word was made to.
fn lock_pi(word: &Word, number: u32) -> u32 {
    if word.compare_exchange(0, number).is_err() {
        assert_eq!(futex(word, LOCK_PI, 0), 0);
    }
    word.plain.load(SeqCst)
}

fn unlock_pi(word: &Word, number: u32) {
    if word.compare_exchange(number, 0).is_err() {
        assert_eq!(futex(word, UNLOCK_PI, 0), 0);
    }
}

#[test]
fn a_lock_that_names_its_owner_is_handed_over() {
    posix_futex::set_threads(&THREADS);
    check(|| {
        LAST_ENDED.store(false, SeqCst);
        let shared = Arc::new((Word::default(), AtomicU32::new(0)));
        let threads = [1, 2, LAST].map(|number| {
            let shared = shared.clone();
            numbered(number, move || {
                for _ in 0..2 {
                    assert_eq!(lock_pi(&shared.0, number) << 2, number << 2);
                    let inside = shared.1.fetch_add(1, SeqCst);
                    assert_eq!(inside, 0, "two hold it");
                    shared.1.fetch_sub(1, SeqCst);
                    unlock_pi(&shared.0, number);
                }
            })
        });
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(shared.0.plain.load(SeqCst), 0);
    });
}

/// Whether the C library said so in the word, or not: others learn that the owner has ended.
#[test]
fn a_lock_is_inherited_from_an_owner_that_ended() {
    const OWNER_DIED: u32 = 1 << 30;
    posix_futex::set_threads(&THREADS);
    for told in [false, true] {
        check(move || {
            LAST_ENDED.store(false, SeqCst);
            let shared = Arc::new(Word::default());
            let of_owner = shared.clone();
            shared.set(LAST);
            let owner = numbered(LAST, move || {
                if told {
                    of_owner.swap(OWNER_DIED);
                }
                LAST_ENDED.store(true, SeqCst);
                posix_futex::thread_ended();
            });
            let others = [1, 2].map(|number| {
                let shared = shared.clone();
                numbered(number, move || {
                    let result = futex(&shared, LOCK_PI, 0);
                    if result == Errno::ESRCH.to_raw() {
                        return 0;
                    }
                    assert_eq!(result, 0);
                    let now = shared.plain.load(SeqCst);
                    unlock_pi(&shared, number);
                    assert_eq!(now << 2, number << 2);
                    now & OWNER_DIED
                })
            });
            owner.join().unwrap();
            let seen = others.map(|t| t.join().unwrap());
            // The first to get it is told, and unlocks it as any lock.
            let fine = [[OWNER_DIED, 0], [0, OWNER_DIED]].contains(&seen);
            assert!(fine || !told && seen == [0, 0], "{seen:x?}");
        });
    }
}

/// Threads are counted under a lock that looking for one takes too, as the table of threads is.
#[test]
fn room_is_made_while_others_lock_and_end() {
    type Table = uklock::Mutex<Vec<u32>>;
    static ALL: std::sync::Mutex<Option<Arc<Table>>> = std::sync::Mutex::new(None);
    fn table() -> Arc<Table> {
        ALL.lock().unwrap().clone().unwrap()
    }
    static COUNTED: posix_futex::Threads = posix_futex::Threads {
        current: || thread::current().name().unwrap().parse().unwrap(),
        exists: |number| table().lock().contains(&number),
    };
    fn begin(number: u32) {
        let table = table();
        let count = {
            let mut table = table.lock();
            table.push(number);
            table.len()
        };
        posix_futex::reserve(count).unwrap();
    }
    fn end(number: u32) {
        table().lock().retain(|other| *other != number);
        posix_futex::thread_ended();
    }
    check(|| {
        posix_futex::set_threads(&COUNTED);
        *ALL.lock().unwrap() = Some(Arc::new(uklock::Mutex::new(vec![])));
        let word = Arc::new(Word::default());
        let makers = [1, 2].map(|number| {
            let word = word.clone();
            numbered(number, move || {
                begin(number);
                begin(number + 2);
                let made = numbered(number + 2, move || {
                    lock_pi(&word, number + 2);
                    unlock_pi(&word, number + 2);
                    end(number + 2);
                });
                made.join().unwrap();
                end(number);
            })
        });
        makers.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(word.plain.load(SeqCst), 0);
    });
}

thread_local! {
    /// Names of threads for which a signal is pending.
    static PENDING: RefCell<bool> = const { RefCell::new(false) };
}

/// A signal that comes at any time ends the wait, also one that crosses a wake-up, which is then not
/// taken away from the other thread.
#[test]
fn signals_end_waits_and_take_no_wake_ups() {
    static QUERY: uklock::Query = || {
        thread::current().name() == Some("interrupted") && PENDING.with(|pending| *pending.borrow())
    };
    uklock::on_interrupted_query(&QUERY);
    check(|| {
        PENDING.with(|pending| *pending.borrow_mut() = false);
        let shared = Arc::new(Word::default());
        let handle = Arc::new(std::sync::Mutex::new(None));
        let (again, told) = (shared.clone(), handle.clone());
        let interrupted = thread::Builder::new().name("interrupted".into()).spawn(move || {
            *told.lock().unwrap() = Some(uklock::model::current());
            futex(&again, WAIT, 0)
        });
        let again = shared.clone();
        let other = thread::spawn(move || {
            let mut result = futex(&again, WAIT, 0);
            while result == Errno::EINTR.to_raw() {
                result = futex(&again, WAIT, 0);
            }
        });
        PENDING.with(|pending| *pending.borrow_mut() = true);
        let thread = *handle.lock().unwrap();
        if let Some(thread) = thread {
            thread.unpark();
        }
        // One that has not begun to wait looks before it does.
        let result = interrupted.unwrap().join().unwrap();
        assert!(result == Errno::EINTR.to_raw(), "{result}");
        shared.set(1);
        futex(&shared, WAKE, 1);
        other.join().unwrap();
    });
}
