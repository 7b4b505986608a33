//! The same with threads, mutexes and semaphores of the C library.

use std::cell::UnsafeCell;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// Stacks of sleepers: many, and they do little.
const SMALL_STACK: usize = 16 << 10;

/// Writes a result.
pub fn report(name: &str, time: Duration, rounds: u64) {
    println!("{name} {:.2}", time.as_nanos() as f64 / rounds.max(1) as f64);
}

fn time(name: &str, rounds: u64, work: impl FnOnce()) {
    let start = Instant::now();
    work();
    report(name, start.elapsed(), rounds);
}

/// Keeps the calling thread, and those it makes from now on, on a CPU.
fn stay_on(cpu: usize) -> Result<(), String> {
    // SAFETY: a set of CPUs is a plain mask, and the call reads it only.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set)
    };
    if result == 0 {
        return Ok(());
    }
    Err(format!("cannot stay on CPU {cpu}: {}", std::io::Error::last_os_error()))
}

/// A CPU of those that this process may use.
fn usable_cpus() -> Vec<usize> {
    // SAFETY: the call writes a plain mask of the given size.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of_val(&set), &mut set);
        set
    };
    // SAFETY: numbers are within the set.
    (0..libc::CPU_SETSIZE as usize).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect()
}

fn thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, String> {
    Builder::new().spawn(work).map_err(|e| format!("a thread could not be made: {e}"))
}

fn join<T>(thread: JoinHandle<T>) -> Result<T, String> {
    thread.join().map_err(|_| "a thread gave up".to_owned())
}

/// A mutex of the C library.
struct Mutex(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: it is made to be shared.
unsafe impl Sync for Mutex {}

impl Mutex {
    const fn new() -> Self {
        Self(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER))
    }

    fn with(&self, work: impl FnOnce()) {
        // SAFETY: it was initialised and does not move while it is used; it is unlocked by who
        // locked it.
        unsafe {
            libc::pthread_mutex_lock(self.0.get());
            work();
            libc::pthread_mutex_unlock(self.0.get());
        }
    }
}

/// A semaphore of the C library.
struct Semaphore(Box<UnsafeCell<libc::sem_t>>);

// SAFETY: it is made to be shared.
unsafe impl Sync for Semaphore {}
// SAFETY: it lies in a box of its own.
unsafe impl Send for Semaphore {}

impl Semaphore {
    fn new() -> Self {
        let mut semaphore = Box::new(UnsafeCell::new(MaybeUninit::zeroed()));
        // SAFETY: it gets its value here, before anybody uses it; where it lies it stays.
        unsafe {
            libc::sem_init(semaphore.get_mut().as_mut_ptr(), 0, 0);
            let raw: *mut UnsafeCell<MaybeUninit<libc::sem_t>> = Box::into_raw(semaphore);
            Self(Box::from_raw(raw.cast()))
        }
    }

    fn acquire(&self) {
        // SAFETY: it was initialised. Signals make it return early.
        while unsafe { libc::sem_wait(self.0.get()) } != 0 {}
    }

    fn acquire_until(&self, wall: &libc::timespec) {
        // SAFETY: as above.
        while unsafe { libc::sem_timedwait(self.0.get(), wall) } != 0 {
            if std::io::Error::last_os_error().raw_os_error() == Some(libc::ETIMEDOUT) {
                return;
            }
        }
    }

    fn release(&self) {
        // SAFETY: as above.
        unsafe { libc::sem_post(self.0.get()) };
    }
}

/// On one CPU.
///
/// # Errors
/// A message.
pub fn measure(rounds: u64) -> Result<(), String> {
    stay_on(*usable_cpus().first().ok_or("there is no CPU")?)?;
    yields(rounds)?;
    tokens(rounds)?;
    semaphores("semaphore-there-and-back", rounds / 5, None)?;
    mutex(rounds * 10)?;
    create_and_join(rounds / 20)?;
    wake_latency((rounds / 1000).clamp(20, 200));
    for sleepers in [10, 1000, 10_000] {
        beside_sleepers(rounds / 10, sleepers)?;
    }
    Ok(())
}

/// On two CPUs.
///
/// # Errors
/// A message.
pub fn measure_on_two_cpus(rounds: u64) -> Result<(), String> {
    let &[first, second, ..] = usable_cpus().as_slice() else {
        return Ok(());
    };
    stay_on(first)?;
    semaphores("semaphore-between-cpus", rounds / 5, Some(second))?;
    contended(rounds, second)
}

fn yields(rounds: u64) -> Result<(), String> {
    let other = thread(move || (0..rounds).for_each(|_| std::thread::yield_now()))?;
    time("yield", rounds * 2, || (0..rounds).for_each(|_| std::thread::yield_now()));
    join(other)
}

fn tokens(rounds: u64) -> Result<(), String> {
    let rounds = rounds / 5;
    let ends = Arc::new(AtomicBool::new(false));
    let (told, main) = (ends.clone(), std::thread::current());
    let other = thread(move || {
        loop {
            std::thread::park();
            if told.load(Relaxed) {
                return;
            }
            main.unpark();
        }
    })?;
    time("token-there-and-back", rounds, || {
        for _ in 0..rounds {
            other.thread().unpark();
            std::thread::park();
        }
    });
    ends.store(true, Relaxed);
    other.thread().unpark();
    join(other)
}

fn semaphores(name: &str, rounds: u64, other_cpu: Option<usize>) -> Result<(), String> {
    let both = Arc::new((Semaphore::new(), Semaphore::new()));
    let theirs = both.clone();
    let other = thread(move || {
        if let Some(cpu) = other_cpu {
            stay_on(cpu)?;
        }
        for _ in 0..rounds {
            theirs.0.acquire();
            theirs.1.release();
        }
        Ok(())
    })?;
    time(name, rounds, || {
        for _ in 0..rounds {
            both.0.release();
            both.1.acquire();
        }
    });
    join(other)?
}

fn mutex(rounds: u64) -> Result<(), String> {
    static MUTEX: Mutex = Mutex::new();
    let mut count = 0u64;
    // A second thread: the C library may leave atomic instructions out while there is one.
    let ends = Arc::new(Semaphore::new());
    let waits = ends.clone();
    let other = thread(move || waits.acquire())?;
    time("mutex-uncontended", rounds, || {
        for _ in 0..rounds {
            black_box(&MUTEX).with(|| count += 1);
        }
    });
    black_box(count);
    ends.release();
    join(other)
}

fn contended(rounds: u64, other_cpu: usize) -> Result<(), String> {
    static MUTEX: Mutex = Mutex::new();
    static START: std::sync::Barrier = std::sync::Barrier::new(2);
    static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let work = move || {
        for _ in 0..rounds {
            // Plain loads and stores: the mutex is what keeps them apart.
            black_box(&MUTEX).with(|| COUNT.store(COUNT.load(Relaxed) + 1, Relaxed));
        }
    };
    let other = thread(move || {
        let stayed = stay_on(other_cpu);
        START.wait();
        work();
        stayed
    })?;
    START.wait();
    let start = Instant::now();
    work();
    join(other)??;
    report("mutex-contended", start.elapsed(), rounds * 2);
    Ok(())
}

fn create_and_join(rounds: u64) -> Result<(), String> {
    let start = Instant::now();
    for i in 0..rounds {
        black_box(join(thread(move || i)?)?);
    }
    report("create-and-join", start.elapsed(), rounds);
    Ok(())
}

fn wake_latency(rounds: u64) {
    const SLEEP: Duration = Duration::from_micros(100);
    let mut late: Vec<Duration> = (0..rounds)
        .map(|_| {
            let deadline = Instant::now() + SLEEP;
            std::thread::sleep(SLEEP);
            deadline.elapsed()
        })
        .collect();
    late.sort_unstable();
    report("wake-up-late-p50", late[late.len() / 2], 1);
    report("wake-up-late-p99", late[late.len() * 99 / 100], 1);
}

/// Waiting with a deadline while others wait with deadlines of their own. Says nothing when the
/// system does not allow so many threads.
fn beside_sleepers(rounds: u64, count: u64) -> Result<(), String> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map_err(|e| e.to_string())?.as_secs() as libc::time_t;
    let at =
        move |seconds: libc::time_t| libc::timespec { tv_sec: now + 3600 + seconds, tv_nsec: 0 };
    let gate = Arc::new(Semaphore::new());
    let mut sleepers = Vec::new();
    for i in 0..count {
        let gate = gate.clone();
        let work = move || gate.acquire_until(&at((i % 997) as libc::time_t));
        match Builder::new().stack_size(SMALL_STACK).spawn(work) {
            Ok(sleeper) => sleepers.push(sleeper),
            Err(_) => break,
        }
    }
    if sleepers.len() as u64 == count {
        let both = Arc::new((Semaphore::new(), Semaphore::new()));
        let theirs = both.clone();
        let other = thread(move || {
            for _ in 0..rounds {
                theirs.0.acquire_until(&at(1000));
                theirs.1.release();
            }
        })?;
        time(&format!("deadline-beside-{count}"), rounds, || {
            for _ in 0..rounds {
                both.0.release();
                both.1.acquire_until(&at(1000));
            }
        });
        join(other)?;
    }
    sleepers.iter().for_each(|_| gate.release());
    sleepers.into_iter().try_for_each(join)
}
