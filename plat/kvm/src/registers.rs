//! Registers of devices, and memory as devices see it.

use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ukarch_x86_64::lapic;
use ukarch_x86_64::page_table::{Flags, PAGE};
use ukplat::BootInfo;
use ukplat::stack::Frames;

use crate::guard::with_tables;
use crate::{interrupts, vm};

/// Where registers are mapped: above the window for aliases, whatever their physical address.
const WINDOW: Range<u64> = 0x6000_0000_0000..0x7000_0000_0000;
/// Below are things that only the platform may touch.
const LOWEST: u64 = 1 << 20;

static NEXT: AtomicU64 = AtomicU64::new(WINDOW.start);

/// See [`ukplat::Platform::map_registers`].
pub fn map(physical: u64, len: usize, frames: &mut Frames<'_>) -> Option<NonNull<u8>> {
    let offset = physical & (PAGE - 1);
    let start = physical - offset;
    let end = physical.checked_add(len as u64)?.checked_next_multiple_of(PAGE)?;
    if len == 0 || start < LOWEST || !is_free_of_memory(start, end) {
        return None;
    }
    let len = end - start;
    let take = |next: u64| next.checked_add(len).filter(|e| *e <= WINDOW.end);
    let at = NEXT.fetch_update(Relaxed, Relaxed, take).ok()?;
    let flags = Flags::WRITE | Flags::UNCACHED;
    // What was never mapped no CPU remembers.
    with_tables(frames, |mapper| mapper.map(at, start, len, flags)).ok()?;
    NonNull::new((at + offset) as *mut u8)
}

/// Whether neither memory nor an interrupt controller is in `[start, end)`.
fn is_free_of_memory(start: u64, end: u64) -> bool {
    let Some(boot) = BootInfo::get() else { return false };
    let overlaps = |other: u64, len: u64| start < other.saturating_add(len) && other < end;
    let memory = boot.memory.iter().filter(|r| r.kind != ukplat::MemoryKind::Reserved);
    let mut taken = memory
        .map(|r| (r.base as u64, r.len as u64))
        .chain([(lapic::DEFAULT_BASE, PAGE)])
        .chain(interrupts::controllers().map(|base| (base, PAGE)));
    !taken.any(|(base, len)| overlaps(base, len))
}

/// See [`ukplat::device::address`]. All memory is at its physical address but the aliases.
#[inline]
pub fn device_address(start: usize, len: usize) -> Option<(u64, usize)> {
    if start.checked_add(len)? <= vm::WINDOW.start {
        return Some((start as u64, len));
    }
    alias_address(start as u64, len)
}

#[cold]
fn alias_address(start: u64, len: usize) -> Option<(u64, usize)> {
    let (physical, _) = with_tables(&mut || None, |mapper| mapper.translate(start))?;
    let rest = PAGE - start % PAGE;
    Some((physical, len.min(rest as usize)))
}
