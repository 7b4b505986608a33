use super::*;
use crate::arena::Arena;
use crate::list::{self, Serves, Spec, Visitor};
use crate::measure::throughput::Run;

/// Fills blocks, and looks at what was filled before: blocks of an allocator do not overlap.
#[derive(Default)]
struct Fill(u64);

impl Probe for Fill {
    fn call<R>(&mut self, call: impl FnOnce() -> R) -> R {
        self.0 += 1;
        call()
    }
    unsafe fn fresh(&mut self, block: *mut u8, size: usize) {
        // SAFETY: the caller's promise.
        unsafe { block.write_bytes(0xa5, size) };
    }
    fn merge(&mut self, other: Self) {
        self.0 += other.0;
    }
}

#[test]
fn every_allocator_does_every_workload_that_it_takes_part_in() {
    let arena = Arena::warm(64 << 20).unwrap();
    for work in ALL {
        let plan = work.plan(4000).unwrap();
        for spec in list::ALL.iter().filter(|spec| spec.takes_part(work)) {
            let mut probe = Fill::default();
            let run = Run { plan: &plan, base: arena.base(), len: arena.len(), probe: &mut probe };
            let done = list::visit(spec.name, run).unwrap();
            let done = done.unwrap_or_else(|_| panic!("{} in {}", spec.name, work.name));
            assert!(done.calls > 0 && done.ns > 0.0 && probe.0 > 0, "{}, {}", spec.name, work.name);
            assert_eq!(probe.0 as usize, done.calls * work.threads(), "{}", work.name);
        }
    }
}

#[test]
fn too_little_memory_is_noticed() {
    let arena = Arena::warm(1 << 16).unwrap();
    for name in ["mixed", "larson", "redis"] {
        let plan = Workload::named(name).unwrap().plan(4000).unwrap();
        let run = Run { plan: &plan, base: arena.base(), len: arena.len(), probe: &mut Unseen };
        assert_eq!(list::visit("ukalloctlsf", run).unwrap().unwrap_err(), OutOfMemory, "{name}");
    }
}

struct Aligned;

impl Visitor for Aligned {
    type Out = ();
    fn visit<One: Subject, Many: Subject>(self, spec: &'static Spec) {
        let arena = Arena::warm(1 << 20).unwrap();
        let subject = One::of_size(5000);
        let aligns: &[usize] = if spec.serves == Serves::OneSize { &[16] } else { &[16, 64, 4096] };
        // SAFETY: the arena outlives the subject's use; blocks are used while they live.
        unsafe {
            assert!(subject.add(arena.base(), arena.len()));
            for &align in aligns {
                let block = subject.memalign(align, 100);
                assert!((block as usize).is_multiple_of(align), "{}", spec.name);
                subject.free(block, 100, align);
            }
            let block = subject.calloc(100);
            assert!((0..100).all(|i| block.add(i).read() == 0), "{}", spec.name);
            block.write_bytes(7, 100);
            let block = subject.realloc(block, 100, 5000);
            assert!((0..100).all(|i| block.add(i).read() == 7), "{}", spec.name);
            let block = subject.realloc(block, 5000, 50);
            assert!((0..50).all(|i| block.add(i).read() == 7), "{}", spec.name);
            subject.free(block, 50, 16);
        }
    }
}

#[test]
fn adapters_keep_the_contract() {
    for spec in list::ALL {
        list::visit(spec.name, Aligned);
    }
}

#[test]
fn peers_are_in_the_list() {
    for peer in list::ALL.iter().filter_map(|spec| spec.peer) {
        assert!(list::ALL.iter().any(|spec| spec.name == peer && !spec.ours), "{peer}");
    }
}

#[test]
fn sizes_follow_the_power_law() {
    let steps = plain::mixed_steps();
    let above =
        |size: u32| steps.iter().filter(|s| s.size >= size).count() as f64 / steps.len() as f64;
    assert!((0.48..0.52).contains(&above(16)) && (0.11..0.14).contains(&above(64)));
    assert!(steps.iter().all(|s| (8..=65_536).contains(&s.size)));
}
