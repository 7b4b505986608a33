//! The allocation interface: POSIX semantics, several heaps side by side, statistics.
//!
//! A *back end* ([`Backend`]) manages memory for one caller at a time. A [`Heap`] makes an
//! allocator ([`Alloc`]) of it: it locks as the configuration needs, decides the edge cases, and
//! counts. A back end that is divided into shards, one for each CPU, implements [`Alloc`] itself and
//! leaves it to [`Shards`] to keep them apart. The generated root crate makes the heaps of an image; [`init`] gives each its memory;
//! [`for_library`] tells a library which one is its own. [`Global`] puts one under `Box` and `Vec`.
//!
//! | call | result |
//! |---|---|
//! | `malloc(0)` | a pointer like any other; nothing may be stored there; to be freed |
//! | `calloc(n, size)` | zeroed; null when the product overflows |
//! | `realloc(null, n)` | as `malloc(n)` |
//! | `realloc(p, 0)` | frees `p`, returns null (as glibc does) |
//! | `realloc` that fails | null; the block stays as it is |
//! | `free(null)`, `usable_size(null)` | nothing; 0 |
//! | `memalign`, `posix_memalign` | any power of two; otherwise null, `EINVAL` |
//! | `posix_memalign` | also `EINVAL` when the alignment is no multiple of a pointer's size |
//! | sizes above `isize::MAX` | null |
//! | no memory left | null; the heap goes on |
//!
//! ```
//! use ukalloc::{Alloc, Heap, SpinLock};
//! # use ukalloc::model::Fixed;
//!
//! static HEAP: Heap<Fixed, SpinLock> = Heap::new(Fixed::new(), SpinLock::new());
//! let block = HEAP.malloc(100);
//! assert!(block.is_null(), "a heap without memory gives none");
//! ```
#![cfg_attr(not(any(test, feature = "host", feature = "model")), no_std)]

mod account;
mod alloc;
mod backend;
#[cfg(feature = "c-abi")]
pub mod c_abi;
mod flow_lock;
mod global;
mod heap;
mod lock;
#[cfg(feature = "model")]
pub mod model;
mod registry;
mod shards;
mod stats;
pub mod sync;
mod two_stage;

pub use account::{Account, LibraryAlloc};
pub use alloc::{Alloc, AllocError, MIN_ALIGN, PAGE_SIZE};
pub use backend::{AddMemoryError, Backend, Freed, corrupt};
pub use flow_lock::FlowLock;
pub use global::Global;
pub use heap::Heap;
pub use lock::{NoLock, RawLock, SpinLock};
pub use registry::{
    Config, HeapEntry, MAX_FIXED_HEAPS, MemorySource, accounts, default_heap, for_library, heap,
    heaps, init, report,
};
#[cfg(feature = "host")]
pub use shards::ThreadShards;
pub use shards::{CpuShards, LockedShards, Shards};
pub use stats::Stats;
pub use two_stage::{Staged, TwoStage};

#[cfg(test)]
mod tests;
