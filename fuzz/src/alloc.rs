use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use ukalloc::model::{Call, Reuse, check, trace_of_bytes};
use ukalloc::{Heap, LockedShards, SpinLock};
use ukallocbuddy::Buddy;
use ukallocgc::Gc;
use ukallocmi::Mi;
use ukallocoscar::Oscar;
use ukallocpool::FixedPool;
use ukallocregion::Region;
use ukalloctiny::Tiny;
use ukalloctlsf::Tlsf;

/// Plays a trace on a fresh allocator with that many bytes.
pub type Play = fn(usize, &[Call]) -> Result<(), String>;

const fn heap<B: ukalloc::Backend>(backend: B) -> Heap<B, SpinLock> {
    Heap::new(backend, SpinLock::new())
}

/// The allocators of `alloc/`. One that needs more memory than is given says `len.max(…)`.
#[rustfmt::skip]
pub const ALLOCATORS: &[(&str, Play)] = &[
    ("buddy", |len, calls| check(&heap(Buddy::new()), len, calls, Reuse::Coalesces)),
    ("gc", |len, calls| check(&heap(Gc::default()), len.max(GC_LEAST), calls, Reuse::Coalesces)),
    ("mi", |len, calls| check(&Mi::new(MI), len.max(MI_LEAST), calls, Reuse::Coalesces)),
    ("oscar", |len, calls| check(&heap(Oscar::new(OSCAR)), len.max(OSCAR_LEAST), calls, Reuse::Coalesces)),
    ("pool", |len, calls| check(&heap(FixedPool::new(POOL)), len, calls, Reuse::Coalesces)),
    ("region", |len, calls| check(&heap(Region::new()), len, calls, Reuse::Never)),
    ("tiny", |len, calls| check(&heap(Tiny::new(TINY)), len, calls, Reuse::Coalesces)),
    ("tlsf", |len, calls| check(&heap(Tlsf::new()), len, calls, Reuse::Coalesces)),
];
// Every call comes from another flow, so that blocks are freed into shards that are not their own.
const MI: LockedShards<3> = LockedShards::new(|| TURN.fetch_add(1, Relaxed));
const GC_LEAST: usize = 32 << 10;
const MI_LEAST: usize = 128 << 10;
static TURN: AtomicUsize = AtomicUsize::new(0);
const OSCAR: ukallocoscar::Config = ukallocoscar::Config { freed_blocks: 16 };
const OSCAR_LEAST: usize = 64 << 10;
const POOL: ukallocpool::Config = ukallocpool::Config { object_size: 2048, alignment: 64 };
const TINY: ukalloctiny::Config = ukalloctiny::Config { bytes_per_block: 512 };

/// Set to the name of an allocator, it is the only one that plays.
const ONLY: &str = "OXK_FUZZ_ALLOCATOR";

/// Two bytes for the amount of memory, then calls.
pub fn allocators(bytes: &[u8]) {
    static CHOSEN: LazyLock<Vec<(&str, Play)>> = LazyLock::new(|| {
        let only = std::env::var(ONLY).ok();
        let is_chosen = |name: &str| only.as_ref().is_none_or(|only| only == name);
        let chosen: Vec<_> = ALLOCATORS.iter().copied().filter(|(n, _)| is_chosen(n)).collect();
        assert!(!chosen.is_empty(), "there is no allocator {only:?}");
        chosen
    });
    let Some((memory, calls)) = bytes.split_first_chunk() else { return };
    // Any length, aligned or not; often so little that it runs out.
    let len = (16 << 10) + usize::from(u16::from_le_bytes(*memory)) * 3;
    let calls = trace_of_bytes(calls);
    for (name, play) in CHOSEN.iter() {
        if let Err(broken) = play(len, &calls) {
            panic!("{name} with {len} bytes: {broken}\n{calls:#?}");
        }
    }
}
