//! What the fuzz targets do with their bytes. Each function panics on a broken promise.
//!
//! `targets/` hands bytes of libFuzzer to them, `tests/replay.rs` the seeds and random bytes.

mod alloc;
mod boot;
mod devices;
mod tool;

pub use alloc::{ALLOCATORS, allocators};
pub use boot::{cmdline, parameters, pvh};
pub use devices::{pci, virtio_blk, virtio_ring};
pub use tool::{manifest, pool};

/// A target: its name and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 9] = [
    ("allocators", allocators),
    ("cmdline", cmdline),
    ("parameters", parameters),
    ("pvh", pvh),
    ("manifest", manifest),
    ("pool", pool),
    ("pci", pci),
    ("virtio_blk", virtio_blk),
    ("virtio_ring", virtio_ring),
];
