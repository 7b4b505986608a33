//! What the fuzz targets do with their bytes. Each function panics on a broken promise.
//!
//! `targets/` hands bytes of libFuzzer to them, `tests/replay.rs` the seeds and random bytes.

mod alloc;
mod boot;
mod devices;
mod disks;
mod files;
mod hvt;
mod tool;

pub use alloc::{ALLOCATORS, allocators};
pub use boot::{cmdline, parameters, pvh};
pub use files::{cpio, ninepfs, p9, p9server};
pub use devices::{pci, virtio_blk, virtio_net, virtio_ring};
pub use disks::ext4;
pub use hvt::{hvt_calls, hvt_devices, hvt_image};
pub use tool::{manifest, pool};

/// A target: its name and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 18] = [
    ("allocators", allocators),
    ("cmdline", cmdline),
    ("cpio", cpio),
    ("parameters", parameters),
    ("pvh", pvh),
    ("hvt-image", hvt_image),
    ("hvt-calls", hvt_calls),
    ("hvt-devices", hvt_devices),
    ("manifest", manifest),
    ("pool", pool),
    ("pci", pci),
    ("p9", p9),
    ("p9server", p9server),
    ("ninepfs", ninepfs),
    ("ext4", ext4),
    ("virtio_blk", virtio_blk),
    ("virtio_net", virtio_net),
    ("virtio_ring", virtio_ring),
];
