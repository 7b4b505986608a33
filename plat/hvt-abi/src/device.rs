//! A virtio device of the tender: a page of memory that guest and tender share, and behind it a page
//! of registers.
//!
//! Registers of virtual machines cost an exit for each access; so what a driver reads and writes when
//! it sets a device up (virtio 1.2, section 3.1) is plain memory here, and one register tells the
//! tender of it. Offsets are in bytes from the start of the page of memory. All numbers are
//! little-endian.
//!
//! A driver resets the device by [`SET_STATUS`] unless its [`STATUS`] is 0 already; writes
//! [`AGREED`], and size and addresses of each queue; and writes the status with the bit DRIVER_OK to
//! [`SET_STATUS`]. The tender reads it all, once, and writes the device's status to [`STATUS`]. Steps
//! in between need not be told.
//!
//! Addresses in queues are those that the guest uses itself, and a device reaches what the guest
//! itself could read or write there.

use crate::PAGE;

/// Bytes of a device: memory, then registers.
pub const LEN: u64 = 2 * PAGE;
/// Devices that a guest can have at most.
pub const MAX_DEVICES: usize = 32;

/// 32 bits: kind of device (virtio 1.2, chapter 5).
pub const KIND: usize = 0;
/// 32 bits: status (virtio 1.2, section 2.1).
pub const STATUS: usize = 4;
/// 32 bits: changes whenever the registers from [`CONFIG`] on do.
pub const GENERATION: usize = 8;
/// 32 bits: number of queues.
pub const QUEUE_COUNT: usize = 12;
/// 64 bits: features of the device.
pub const OFFERED: usize = 16;
/// 64 bits, written by the driver: features that it is going to use.
pub const AGREED: usize = 24;
/// Queues, [`QUEUE_LEN`] bytes for each.
pub const QUEUES: usize = 64;
/// Bytes of a queue.
pub const QUEUE_LEN: usize = 32;
/// Queues of a device at most.
pub const MAX_QUEUES: usize = 16;
/// Registers of this kind of device.
pub const CONFIG: usize = 1024;
/// How many bytes they can be.
pub const CONFIG_LEN: usize = PAGE as usize - CONFIG;

/// In a queue, 32 bits: its largest size.
pub const QUEUE_MAX: usize = 0;
/// In a queue, 32 bits, written by the driver: its size; 0 if it is not used.
pub const QUEUE_SIZE: usize = 4;
/// In a queue, 64 bits, written by the driver: address of the descriptor table.
pub const QUEUE_DESCRIPTORS: usize = 8;
/// In a queue, 64 bits, written by the driver: address of the ring of requests.
pub const QUEUE_AVAILABLE: usize = 16;
/// In a queue, 64 bits, written by the driver: address of the ring of completions.
pub const QUEUE_USED: usize = 24;

/// Register, 32 bits: sets the status; 0 resets the device.
pub const SET_STATUS: usize = PAGE as usize;
/// Registers, 32 bits for each queue: writing the number of the queue makes the device look.
pub const NOTIFY: usize = PAGE as usize + 64;

/// Offset of a queue.
pub const fn queue(index: usize) -> usize {
    QUEUES + index * QUEUE_LEN
}

/// Offset of the register that notifies a queue.
pub const fn notify(index: usize) -> usize {
    NOTIFY + 4 * index
}

const _: () = assert!(queue(MAX_QUEUES) <= CONFIG);
