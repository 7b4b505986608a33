//! Devices of the tender: where they are, and their interrupts.

use core::cell::UnsafeCell;
use core::ops::Range as Addresses;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicUsize};

use hvt_abi::Range;
use hvt_abi::device::{LEN, MAX_DEVICES};
use ukplat::device::{Device, InterruptHandler};

static START: AtomicUsize = AtomicUsize::new(0);
static END: AtomicUsize = AtomicUsize::new(0);

struct List(UnsafeCell<[Device; MAX_DEVICES]>);
// SAFETY: written once, by `list`, before anything else runs.
unsafe impl Sync for List {}

const NONE: Device = Device::VirtioShared { base: 0, len: LEN, line: 0 };
static LIST: List = List(UnsafeCell::new([NONE; MAX_DEVICES]));

/// The devices in a range that the tender told about.
///
/// # Safety
/// Called once, before anything else runs.
pub unsafe fn list(range: Range) -> &'static [Device] {
    START.store(range.start as usize, Relaxed);
    END.store(range.end() as usize, Relaxed);
    let count = ((range.len / LEN) as usize).min(MAX_DEVICES);
    // SAFETY: the caller's promise: nobody else has a reference.
    let list = unsafe { &mut *LIST.0.get() };
    for ((slot, line), base) in
        list[..count].iter_mut().zip(0..).zip((range.start..).step_by(LEN as usize))
    {
        *slot = Device::VirtioShared { base, len: LEN, line };
    }
    &list[..count]
}

/// See [`ukplat::Platform::map_registers`]. The tender mapped them; that is all there is.
pub fn registers(address: u64, len: usize) -> Option<NonNull<u8>> {
    let devices: Addresses<usize> = START.load(Relaxed)..END.load(Relaxed);
    let start = address as usize;
    let end = start.checked_add(len)?;
    let inside = devices.start <= start && end <= devices.end;
    NonNull::new(start as *mut u8).filter(|_| inside)
}

struct Slot {
    taken: AtomicBool,
    ready: AtomicBool,
    handler: UnsafeCell<Option<&'static dyn InterruptHandler>>,
}

// SAFETY: the handler is written once, by the one that set `taken`, before `ready`, and only read
// from then on; handlers are `Sync`.
unsafe impl Sync for Slot {}

static SLOTS: [Slot; MAX_DEVICES] = [const {
    Slot {
        taken: AtomicBool::new(false),
        ready: AtomicBool::new(false),
        handler: UnsafeCell::new(None),
    }
}; MAX_DEVICES];

/// See [`ukplat::device::line_interrupt`]: a line for each device.
pub fn listen(line: u32, handler: &'static dyn InterruptHandler) -> bool {
    let Some(slot) = SLOTS.get(line as usize) else { return false };
    if slot.taken.swap(true, Acquire) {
        return false;
    }
    // SAFETY: `taken` was false, so nobody else writes, and `ready` is, so nobody reads.
    unsafe { *slot.handler.get() = Some(handler) };
    slot.ready.store(true, Release);
    true
}

/// A device completed something; the tender does not say which.
pub fn on_interrupt() {
    for slot in &SLOTS {
        if slot.ready.load(Acquire) {
            // SAFETY: not written any more once `ready` is true.
            if let Some(handler) = unsafe { *slot.handler.get() } {
                handler.interrupt();
            }
        }
    }
}
