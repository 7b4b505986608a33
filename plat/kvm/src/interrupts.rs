//! Interrupts of devices: as messages (MSI, MSI-X) and by lines of I/O APICs (Intel 82093AA).
//!
//! Each user gets a vector of its own; all come to the CPU that asked.

use core::cell::UnsafeCell;
use core::ops::Range;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};

#[cfg(feature = "devices")]
use ukarch_x86_64::lapic;
use ukarch_x86_64::regs::cpuid;
use ukarch_x86_64::trap::SPURIOUS;
use ukplat::device::InterruptHandler;
#[cfg(feature = "devices")]
use ukplat::device::Message;

use crate::clock;

/// Vectors for devices, behind those of the platform itself.
pub const VECTORS: Range<u64> = 35..SPURIOUS as u64;
const COUNT: usize = (VECTORS.end - VECTORS.start) as usize;

struct Slot {
    ready: AtomicBool,
    handler: UnsafeCell<Option<&'static dyn InterruptHandler>>,
}

// SAFETY: the handler is written once, by the one that took the slot's number, before `ready`, and
// only read from then on; handlers are `Sync`.
unsafe impl Sync for Slot {}

static SLOTS: [Slot; COUNT] =
    [const { Slot { ready: AtomicBool::new(false), handler: UnsafeCell::new(None) } }; COUNT];
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// Takes a vector for a handler.
fn take(handler: &'static dyn InterruptHandler) -> Option<u8> {
    let next = |taken: usize| (taken < COUNT).then_some(taken + 1);
    let index = TAKEN.fetch_update(Relaxed, Relaxed, next).ok()?;
    // SAFETY: the number was taken here and by nobody else, and `ready` is false, so nobody reads.
    unsafe { *SLOTS[index].handler.get() = Some(handler) };
    SLOTS[index].ready.store(true, Release);
    Some(VECTORS.start as u8 + index as u8)
}

/// Called for the vectors of this module, with interrupts disabled.
pub fn on_interrupt(vector: u64) {
    if let Some(slot) = SLOTS.get((vector - VECTORS.start) as usize)
        && slot.ready.load(Acquire)
    {
        // SAFETY: not written any more once `ready` is true.
        if let Some(handler) = unsafe { *slot.handler.get() } {
            handler.interrupt();
        }
    }
    clock::end_of_interrupt();
}

/// Number of the local APIC of this CPU.
fn own_apic() -> u8 {
    (cpuid(1).ebx >> 24) as u8
}

/// See [`ukplat::device::message_interrupt`]. The address is that of Intel SDM volume 3, section
/// 11.11: physical destination, one CPU; the data is the vector, fixed delivery, edge.
#[cfg(feature = "devices")]
pub fn message(handler: &'static dyn InterruptHandler) -> Option<Message> {
    let vector = take(handler)?;
    let address = lapic::DEFAULT_BASE | u64::from(own_apic()) << 12;
    Some(Message { address, data: vector.into() })
}

/// I/O APICs that are used; machines have one or two.
const MAX_CONTROLLERS: usize = 4;

/// An I/O APIC: physical address, 0 for none, at which it is mapped too; number of its first line.
struct Controller {
    base: AtomicU64,
    first: AtomicU32,
}

static CONTROLLERS: [Controller; MAX_CONTROLLERS] =
    [const { Controller { base: AtomicU64::new(0), first: AtomicU32::new(0) } }; MAX_CONTROLLERS];

/// Makes I/O APICs known: address, page-aligned, and first line of each. Those that are
/// [returned](controllers) must be mapped at their addresses.
pub fn set_controllers(found: impl Iterator<Item = (u64, u32)>) {
    let found = found.filter(|(base, _)| *base != 0 && base % 4096 == 0);
    for (slot, (base, first)) in CONTROLLERS.iter().zip(found) {
        slot.base.store(base, Relaxed);
        slot.first.store(first, Relaxed);
    }
}

/// Addresses of the I/O APICs.
pub fn controllers() -> impl Iterator<Item = u64> {
    CONTROLLERS.iter().map(|c| c.base.load(Relaxed)).filter(|base| *base != 0)
}

const SELECT: u64 = 0x00;
const DATA: u64 = 0x10;
const VERSION: u32 = 0x01;
const REDIRECTION: u32 = 0x10;

fn read(base: u64, register: u32) -> u32 {
    // SAFETY: the registers of a controller are mapped, and reading them changes no memory.
    unsafe {
        ((base + SELECT) as *mut u32).write_volatile(register);
        ((base + DATA) as *const u32).read_volatile()
    }
}

fn write(base: u64, register: u32, value: u32) {
    // SAFETY: as above; what is written makes interrupts come on vectors that have handlers.
    unsafe {
        ((base + SELECT) as *mut u32).write_volatile(register);
        ((base + DATA) as *mut u32).write_volatile(value);
    }
}

/// See [`ukplat::device::line_interrupt`]. Lines of virtual machines are used as edges, active high:
/// the handler makes the device lower the line before it looks.
pub fn line(line: u32, handler: &'static dyn InterruptHandler) -> bool {
    const MASKED: u32 = 1 << 16;
    static CHANGING: AtomicBool = AtomicBool::new(false);
    let _interrupts = ukplat::irq::disable();
    while CHANGING.swap(true, Acquire) {
        core::hint::spin_loop();
    }
    let set = || {
        for controller in &CONTROLLERS {
            let base = controller.base.load(Relaxed);
            let Some(index) = line.checked_sub(controller.first.load(Relaxed)) else { continue };
            if base == 0 || index > read(base, VERSION) >> 16 & 0xff {
                continue;
            }
            let entry = REDIRECTION + 2 * index;
            if read(base, entry) & MASKED == 0 {
                return None; // given away
            }
            let vector = take(handler)?;
            write(base, entry + 1, u32::from(own_apic()) << 24);
            write(base, entry, vector.into());
            return Some(());
        }
        None
    };
    let done = set().is_some();
    CHANGING.store(false, Release);
    done
}
