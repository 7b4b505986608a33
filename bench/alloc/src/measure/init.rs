//! How long it takes until an allocator is ready.

use std::time::Instant;

use super::{Effort, Spread};
use crate::arena::Arena;
use crate::list::{self, Spec, Visitor};
use crate::subject::{Memory, Subject};

/// Sizes of memory in MB (2^20 bytes).
pub const SIZES: [usize; 3] = [16, 256, 1024];

/// Results for one size of memory.
#[derive(Clone, Debug)]
pub struct Row {
    /// Memory in MB.
    pub megabytes: usize,
    /// Nanoseconds until the memory is in use, and until the first block is there too.
    pub cells: Vec<(&'static Spec, Option<(Spread, Spread)>)>,
}

struct Start(Arena);

impl Visitor for Start {
    type Out = Option<(f64, f64)>;
    fn visit<One: Subject, Many: Subject>(self, _: &'static Spec) -> Self::Out {
        if One::MEMORY == Memory::Process {
            return None;
        }
        // Made beforehand, as in an image, where it is part of the zeroed memory.
        let subject = One::empty();
        let start = Instant::now();
        // SAFETY: the arena outlives the subject's use.
        let took = unsafe { subject.add(self.0.base(), self.0.len()) };
        let ready = start.elapsed();
        let block = subject.malloc(64);
        let first = start.elapsed();
        (took && !block.is_null()).then_some((ready.as_nanos() as f64, first.as_nanos() as f64))
    }
}

/// Memory that nobody touched, in 4 KiB pages; page faults of what is touched are included.
///
/// # Errors
/// When there is no memory.
pub fn measure(effort: Effort, specs: &[&'static Spec]) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for megabytes in SIZES {
        let mut values = vec![(Vec::new(), Vec::new()); specs.len()];
        for _ in 0..effort.rounds {
            for (spec, (ready, first)) in specs.iter().zip(&mut values) {
                let arena = Arena::cold(megabytes << 20)?;
                if let Some(Some((a, b))) = list::visit(spec.name, Start(arena)) {
                    ready.push(a);
                    first.push(b);
                }
            }
        }
        let spreads =
            |(ready, first): &(Vec<f64>, Vec<f64>)| Some((Spread::of(ready)?, Spread::of(first)?));
        let cells = specs.iter().zip(&values).map(|(spec, v)| (*spec, spreads(v))).collect();
        rows.push(Row { megabytes, cells });
    }
    Ok(rows)
}
