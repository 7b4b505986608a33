//! The longest paths: one call in a heap full of holes that are slightly too small.
//!
//! Holes of 2050 bytes, kept apart by blocks in use, and a request of 2150: in the same class for
//! those who search a list. Three neighbours are taken behind them, the outer ones freed, then the
//! middle one: it is joined with both. Allocating finds its class empty, takes a block of another,
//! cuts it and puts the rest back.

use super::count::{instructions, note};
use super::latency::{Latency, best, of};
use crate::arena::Arena;
use crate::clock::{Clock, ticks};
use crate::list::{self, Serves, Spec, Visitor};
use crate::subject::Subject;

/// Numbers of holes.
pub const HOLES: [usize; 3] = [10, 1000, 10_000];
const HOLE: usize = 2050;
const REQUEST: usize = 2150;
/// Calls measured.
const CALLS: usize = 200;
const ARENA: usize = 256 << 20;

/// Which call is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `malloc`.
    Malloc,
    /// `free`.
    Free,
}

/// Both calls.
pub const CALLS_MEASURED: [(Call, &str); 2] = [(Call::Malloc, "malloc"), (Call::Free, "free")];

/// Results for one call and number of holes.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which call.
    pub call: &'static str,
    /// Holes in the heap.
    pub holes: usize,
    /// Latency, and instructions of one call when they were counted.
    pub cells: Vec<(&'static Spec, Option<Latency>, Option<f64>)>,
}

/// Not inlined, so that callgrind can count what happens inside.
#[inline(never)]
fn measured_malloc<S: Subject>(subject: &S, size: usize) -> *mut u8 {
    subject.malloc(size)
}

/// As [`measured_malloc`].
///
/// # Safety
/// See [`Subject::free`].
#[inline(never)]
unsafe fn measured_free<S: Subject>(subject: &S, block: *mut u8, size: usize) {
    // SAFETY: the caller's promise.
    unsafe { subject.free(block, size, 16) }
}

struct Run {
    arena: Arena,
    holes: usize,
    /// Differences of time stamps around `malloc` and `free`.
    malloc: Vec<u32>,
    free: Vec<u32>,
}

fn timed<R>(list: &mut Vec<u32>, call: impl FnOnce() -> R) -> R {
    let before = ticks();
    let result = call();
    list.push(u32::try_from(ticks() - before).unwrap_or(u32::MAX));
    result
}

impl Visitor for Run {
    type Out = Option<(Vec<u32>, Vec<u32>)>;

    fn visit<One: Subject, Many: Subject>(mut self, _: &'static Spec) -> Self::Out {
        let subject = One::empty();
        let got = |block: *mut u8| (!block.is_null()).then_some(block);
        // SAFETY: the arena outlives the subject's use; blocks are used while they live.
        unsafe {
            if !subject.add(self.arena.base(), self.arena.len()) {
                return None;
            }
            let mut holes = Vec::with_capacity(self.holes);
            for _ in 0..self.holes {
                holes.push(got(subject.malloc(HOLE))?);
                got(subject.malloc(HOLE))?;
            }
            // From the last to the first: quick for lists sorted by address too.
            for hole in holes.into_iter().rev() {
                subject.free(hole, HOLE, 16);
            }
            for _ in 0..CALLS {
                let first = got(subject.malloc(REQUEST))?;
                let middle = got(timed(&mut self.malloc, || measured_malloc(&*subject, REQUEST)))?;
                let last = got(subject.malloc(REQUEST))?;
                subject.free(first, REQUEST, 16);
                subject.free(last, REQUEST, 16);
                timed(&mut self.free, || measured_free(&*subject, middle, REQUEST));
            }
        }
        Some((self.malloc, self.free))
    }
}

fn run(name: &str, holes: usize) -> Option<(Vec<u32>, Vec<u32>)> {
    let arena = Arena::cold(ARENA).ok()?;
    let (malloc, free) = (Vec::with_capacity(CALLS), Vec::with_capacity(CALLS));
    list::visit(name, Run { arena, holes, malloc, free })?
}

/// The part that is run under valgrind; returns whether it worked.
pub fn run_once(name: &str, holes: usize) -> bool {
    run(name, holes).is_some()
}

/// Measures all allocators that give back blocks in any order.
pub fn measure(
    rounds: u32,
    specs: &[&'static Spec],
    clock: &Clock,
    counting: bool,
    notes: &mut Vec<String>,
    progress: &mut dyn FnMut(&str),
) -> Vec<Row> {
    let specs: Vec<_> = specs
        .iter()
        .copied()
        .filter(|spec| matches!(spec.serves, Serves::Everybody | Serves::OneCpu))
        .collect();
    let mut rows = Vec::new();
    for holes in HOLES {
        progress(&format!("{holes} holes"));
        let mut latencies = vec![[None; 2]; specs.len()];
        for _ in 0..rounds.clamp(1, 10) {
            for (spec, cell) in specs.iter().zip(&mut latencies) {
                let Some((mut malloc, mut free)) = run(spec.name, holes) else { continue };
                for (best_yet, ticks) in cell.iter_mut().zip([&mut malloc, &mut free]) {
                    if let Some(latency) = of(ticks, clock) {
                        *best_yet = Some(best(*best_yet, latency));
                    }
                }
            }
        }
        for (index, (_, call)) in CALLS_MEASURED.into_iter().enumerate() {
            let mut count = |spec: &Spec| {
                if !counting {
                    return None;
                }
                let inside = format!("--toggle-collect=*measured_{call}*");
                let args = ["--worst", spec.name, &holes.to_string()];
                match instructions(&[&inside], &args) {
                    Ok(sum) => Some(sum / CALLS as f64),
                    Err(why) => {
                        notes.push(note(spec, &format!("{call}, {holes} holes"), &why));
                        None
                    }
                }
            };
            let cells = specs.iter().zip(&latencies).map(|(s, l)| (*s, l[index], count(s)));
            rows.push(Row { call, holes, cells: cells.collect() });
        }
    }
    rows
}
