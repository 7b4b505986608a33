//! Models: shuttle runs the scheduler itself on a machine of several CPUs under many random
//! schedules, some with few but well placed preemptions (PCT). A lost wake-up is found as a state in
//! which nobody can go on; a thread that runs twice, by the machine.
#![cfg(feature = "model")]

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize};
use std::sync::{Arc, Mutex, Once, PoisonError};

use ukalloc::{Heap, HeapEntry, MemorySource, SpinLock};
use ukplat::{BootInfo, MemoryKind, MemoryRegion};
use uksched::model::{Machine, interrupts};
use uksched::{
    Bound, Builder, Config, Cpu, Either, Exited, Instance, JoinHandle, RunToCompletion, Table,
    ThreadRef, Wakeup, current, park, yield_now,
};
use ukschedcoop::Coop;
use ukschedpreempt::Preempt;

type Policy = Either<Preempt, Either<Coop, RunToCompletion>>;

const CPUS: usize = 5;
/// CPUs of the preemptive scheduler; `main` is on the first.
const FAST: [usize; 2] = [0, 1];
const COOP: [usize; 2] = [2, 3];
const PLANE: usize = 4;

static INSTANCES: [Instance; 3] = [
    Instance::new("preempt", 0b0_0011, true),
    Instance::new("coop", 0b0_1100, false),
    Instance::run_to_completion("none", 0b1_0000),
];

/// The CPUs of the machine that runs.
static NOW: AtomicPtr<[Cpu<Policy>; CPUS]> = AtomicPtr::new(std::ptr::null_mut());

struct Model;

impl Bound for Model {
    type Policy = Policy;
    const MIXED: bool = true;
    fn cpus() -> &'static [Cpu<Policy>] {
        // SAFETY: `check` stored CPUs that are never freed.
        unsafe { &*NOW.load(Acquire) }
    }
}

#[unsafe(no_mangle)]
static OXIKRAFT_SCHED: Table = Table::of::<Model>(CPUS, &INSTANCES);

fn cpus() -> Box<[Cpu<Policy>; CPUS]> {
    let preempt = || {
        let config = ukschedpreempt::Config { slice_us: 1, work_stealing: true };
        Cpu::new(Either::First(Preempt::new(config)), &INSTANCES[0])
    };
    let coop = || Cpu::new(Either::Second(Either::First(Coop::new())), &INSTANCES[1]);
    let plane = Either::Second(Either::Second(RunToCompletion::new()));
    Box::new([preempt(), preempt(), coop(), coop(), Cpu::new(plane, &INSTANCES[2])])
}

/// Memory for threads and stacks, touched where it is used only.
fn boot() {
    const MEMORY: usize = 1 << 30;
    static HEAP: Heap<ukalloc::model::Fixed, SpinLock> =
        Heap::new(ukalloc::model::Fixed::new(), SpinLock::new());
    static HEAPS: [HeapEntry; 1] = [HeapEntry {
        name: "main",
        backend: "fixed",
        alloc: &HEAP,
        source: MemorySource::Rest,
        libraries: &[],
    }];
    static CONFIG: ukalloc::Config = ukalloc::Config { heaps: &HEAPS, accounts: &[] };
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let base = Vec::<u8>::with_capacity(MEMORY).leak().as_mut_ptr() as usize;
        let region = MemoryRegion { base, len: MEMORY, kind: MemoryKind::Free };
        let boot = BootInfo { memory: vec![region].leak(), ..BootInfo::EMPTY };
        ukalloc::init(Box::leak(Box::new(boot)), &CONFIG).unwrap();
    });
}

/// Runs a model, which joins what it spawns, on many machines.
fn check(model: impl Fn() + Send + Sync + 'static) {
    static ONE: Mutex<()> = Mutex::new(());
    static CONFIG: Config = Config { stack_size: 16 << 10, stack_cache: 1000 };
    // The scheduler's variables are those of one image.
    let _alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    boot();
    let model = Arc::new(model);
    let run = move || {
        let machine = Machine::start(CPUS);
        NOW.store(Box::into_raw(cpus()), Release);
        uksched::init(&BootInfo::EMPTY, &CONFIG).unwrap();
        model();
        machine.over();
    };
    let again = run.clone();
    shuttle::check_random(run, 200);
    shuttle::check_pct(again, 100, 3);
}

fn spawn_on<T: Send + 'static>(
    cpus: u64,
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    Builder::new("model").on_cpus(cpus).spawn(work).unwrap()
}

fn mask(cpus: [usize; 2]) -> u64 {
    1 << cpus[0] | 1 << cpus[1]
}

/// Says when a thread runs where it may not.
fn at_home(cpus: u64) {
    interrupts();
    assert_ne!(cpus & 1 << ukplat_cpu(), 0, "a thread left its CPUs");
}

fn ukplat_cpu() -> usize {
    uksched::model::cpu_id()
}

#[test]
fn tokens_are_never_lost_between_cpus() {
    check(|| {
        for other in [FAST[1], COOP[0], PLANE] {
            let main = current();
            let turns = Arc::new(AtomicUsize::new(0));
            let shared = turns.clone();
            let pong = spawn_on(1 << other, move || {
                for _ in 0..3 {
                    while shared.load(Relaxed).is_multiple_of(2) {
                        park(None);
                    }
                    shared.fetch_add(1, Relaxed);
                    main.unpark();
                }
            });
            for _ in 0..3 {
                turns.fetch_add(1, Relaxed);
                pong.thread().unpark();
                while turns.load(Relaxed) % 2 == 1 {
                    park(None);
                }
            }
            pong.join().unwrap();
        }
    });
}

#[test]
fn deadlines_and_tokens_meet() {
    check(|| {
        let waiters: Vec<_> = [mask(FAST), mask(COOP), 1 << PLANE]
            .into_iter()
            .map(|cpus| {
                spawn_on(cpus, move || {
                    let mut tokens = 0;
                    for deadline in [5, 50, 500] {
                        tokens += usize::from(park(Some(deadline)) == Wakeup::Token);
                        at_home(cpus);
                    }
                    // One is left, or comes.
                    while tokens == 0 {
                        park(None);
                        tokens += 1;
                    }
                })
            })
            .collect();
        for waiter in &waiters {
            waiter.thread().unpark();
        }
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}

/// A group of threads that take turns, sleep and wake each other, on CPUs of one scheduler.
fn crowd(cpus: u64) {
    const THREADS: usize = 4;
    let running: Arc<[AtomicBool; THREADS]> = Arc::new([const { AtomicBool::new(false) }; THREADS]);
    let first: Arc<AtomicPtr<()>> = Arc::default();
    let handles: Vec<_> = (0..THREADS)
        .map(|i| {
            let (running, first) = (running.clone(), first.clone());
            spawn_on(cpus, move || {
                let enter = || {
                    at_home(cpus);
                    assert!(!running[i].swap(true, Relaxed), "a thread runs twice");
                };
                enter();
                for round in 0..3 {
                    running[i].store(false, Relaxed);
                    match (i + round) % 3 {
                        0 => yield_now(),
                        1 => {
                            park(Some(uksched::model::monotonic_ns() + 20));
                        }
                        _ => {
                            let thread = first.load(Relaxed) as usize;
                            if thread != 0 {
                                // SAFETY: only threads are stored.
                                unsafe { ThreadRef::from_usize(thread) }.unpark();
                            }
                        }
                    }
                    enter();
                }
            })
        })
        .collect();
    first.store(handles[0].thread().to_usize() as *mut (), Relaxed);
    for handle in handles {
        handle.join().unwrap();
    }
}

#[test]
fn placing_and_stealing_keep_threads_whole_and_at_home() {
    check(|| crowd(mask(COOP)));
    check(|| crowd(mask(FAST)));
}

#[test]
fn results_are_dropped_once_and_memory_is_used_again() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Relaxed);
        }
    }
    check(|| {
        DROPS.store(0, Relaxed);
        for round in 0..3 {
            let joined = spawn_on(mask(COOP), || Counted);
            let dropped = spawn_on(1 << FAST[1], || Counted);
            let left: JoinHandle<Counted> = spawn_on(mask(FAST), || uksched::exit());
            assert_eq!(left.join().err(), Some(Exited));
            drop(dropped);
            drop(joined.join().unwrap());
            assert!(DROPS.load(Relaxed) > round);
        }
        // Detached threads end when they can.
        while DROPS.load(Relaxed) < 6 {
            yield_now();
            interrupts();
            shuttle::thread::yield_now();
        }
        assert_eq!(DROPS.load(Relaxed), 6);
    });
}

#[test]
fn a_data_plane_runs_one_thing_after_the_other() {
    check(|| {
        let busy = Arc::new(AtomicBool::new(false));
        let handles: Vec<_> = (0..3)
            .map(|i| {
                let busy = busy.clone();
                spawn_on(1 << PLANE, move || {
                    assert!(!busy.swap(true, Relaxed), "two at once");
                    if i != 1 {
                        park(None);
                    }
                    assert!(busy.swap(false, Relaxed), "two at once");
                })
            })
            .collect();
        // A token that wakes what the CPU itself waits with does no harm.
        // Older ones are of machines that are over.
        let machine = uksched::threads().filter(|thread| thread.id() > current().id());
        machine.for_each(ThreadRef::unpark);
        for handle in &handles {
            handle.thread().unpark();
        }
        for handle in handles {
            handle.join().unwrap();
        }
    });
}

#[cfg(feature = "inherit")]
#[test]
fn priorities_change_under_way() {
    check(|| {
        let handles: Vec<_> = (0..3)
            .map(|_| {
                spawn_on(mask(FAST), || {
                    for _ in 0..3 {
                        at_home(mask(FAST));
                        yield_now();
                    }
                })
            })
            .collect();
        for priority in [20, 3, 17] {
            for handle in &handles {
                handle.thread().inherit_priority(priority);
                interrupts();
            }
        }
        for handle in handles {
            handle.join().unwrap();
        }
    });
}
