//! What drivers need of the platform: registers of devices, addresses as devices see them,
//! interrupts.
//!
//! A platform without devices, as `linuxu`, leaves the defaults: there is nothing to map.
//!
//! ```
//! use std::sync::atomic::AtomicU64;
//! use ukplat::device::Registers;
//!
//! // Plain memory stands for the registers of a device.
//! static MEMORY: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
//! let registers = Registers::over(&MEMORY);
//! registers.write32(4, 7);
//! assert_eq!(registers.read32(4), 7);
//! // Where no register is, nothing happens and all bits read as one.
//! registers.write32(16, 7);
//! assert_eq!(registers.read32(16), u32::MAX);
//! ```

use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;

use crate::platform::bound;
use crate::stack::Frames;

/// Something that wants to know of interrupts. The call comes in an interrupt handler of any CPU,
/// perhaps without cause: it looks at the device, wakes who waits, and returns.
pub trait InterruptHandler: Sync {
    /// The device may have done something.
    fn interrupt(&self);
}

/// What a device writes where to interrupt a CPU (PCI Local Bus 3.0, section 6.8: MSI and MSI-X).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Physical address.
    pub address: u64,
    /// Value.
    pub data: u32,
}

/// Where a machine has devices, or lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// Configuration space of PCI Express (PCI Express 5.0, section 7.2.2): 1 MiB for each bus.
    PciExpress {
        /// Physical address of the configuration space of the first bus.
        base: u64,
        /// First bus.
        first_bus: u8,
        /// Last bus, not below the first.
        last_bus: u8,
    },
    /// Registers of one virtio device (virtio 1.2, section 4.2).
    VirtioMmio {
        /// Physical address.
        base: u64,
        /// Length in bytes.
        len: u64,
        /// Interrupt line, where it has one.
        line: Option<u32>,
    },
    /// Memory shared with a virtio device of the platform's own monitor, and its registers.
    VirtioShared {
        /// Address.
        base: u64,
        /// Length in bytes.
        len: u64,
        /// Interrupt line.
        line: u32,
    },
}

pub(crate) struct Table {
    pub map_registers: fn(u64, usize, &mut Frames<'_>) -> Option<NonNull<u8>>,
    pub address: fn(usize, usize) -> Option<(u64, usize)>,
    pub message_interrupt: fn(&'static dyn InterruptHandler) -> Option<Message>,
    pub line_interrupt: fn(u32, &'static dyn InterruptHandler) -> bool,
}

/// The address under which devices reach the memory at `start`, and how many of the `len` bytes
/// from there on follow each other; at least one. `None` when devices cannot reach it.
#[inline]
pub fn address(start: usize, len: usize) -> Option<(u64, usize)> {
    (bound().device.address)(start, len)
}

/// Takes an interrupt that devices cause by a message. `None` when the platform has none left; the
/// driver looks from time to time then.
pub fn message_interrupt(handler: &'static dyn InterruptHandler) -> Option<Message> {
    (bound().device.message_interrupt)(handler)
}

/// Calls a handler at each interrupt of a line. `false` when the platform has no such line, or
/// gave it away.
pub fn line_interrupt(line: u32, handler: &'static dyn InterruptHandler) -> bool {
    (bound().device.line_interrupt)(line, handler)
}

/// Registers of a device: a window of its physical addresses.
///
/// Values are little-endian, as all buses here have them. An access outside of the window, or one
/// that is not aligned to its size, reads as all ones and writes nothing, as on a bus where no
/// device answers.
#[derive(Clone, Copy, Debug)]
pub struct Registers {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: every access is one volatile instruction on memory that is no Rust object.
unsafe impl Send for Registers {}
// SAFETY: as above; what concurrent accesses mean, the device decides.
unsafe impl Sync for Registers {}

macro_rules! accesses {
    ($($read:ident $write:ident $int:ty,)*) => {$(
        /// Reads a register at an offset in bytes.
        #[inline]
        pub fn $read(&self, offset: usize) -> $int {
            match self.at::<$int>(offset) {
                // SAFETY: `at` checked that it is inside the window and aligned.
                Some(at) => <$int>::from_le(unsafe { at.read_volatile() }),
                None => <$int>::MAX,
            }
        }

        /// Writes a register at an offset in bytes.
        #[inline]
        pub fn $write(&self, offset: usize, value: $int) {
            if let Some(at) = self.at::<$int>(offset) {
                // SAFETY: as for reading; device registers are not memory that Rust code uses
                // (promise of `Platform::map_registers`).
                unsafe { at.write_volatile(value.to_le()) }
            }
        }
    )*};
}

impl Registers {
    /// Maps `len` bytes of registers at a physical address. `frames` gives pages for page tables,
    /// which the platform keeps. `None` when the platform maps no devices, the range holds memory,
    /// or there are no pages for tables.
    pub fn map(physical: u64, len: usize, frames: &mut Frames<'_>) -> Option<Self> {
        let base = (bound().device.map_registers)(physical, len, frames)?;
        Some(Self { base, len })
    }

    /// Plain memory as registers, for models of devices.
    pub fn over(memory: &'static [AtomicU64]) -> Self {
        let base = NonNull::from(memory).cast();
        Self { base, len: size_of_val(memory) }
    }

    /// Length in bytes.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no register.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A part of the window; `None` when it is not inside.
    pub fn part(&self, offset: usize, len: usize) -> Option<Self> {
        let end = offset.checked_add(len)?;
        if end > self.len {
            return None;
        }
        // SAFETY: the offset is at most the length of one mapping.
        Some(Self { base: unsafe { self.base.add(offset) }, len })
    }

    #[inline]
    fn at<T>(&self, offset: usize) -> Option<*mut T> {
        let end = offset.checked_add(size_of::<T>())?;
        if end > self.len {
            return None;
        }
        let at = self.base.as_ptr().wrapping_add(offset).cast::<T>();
        at.is_aligned().then_some(at)
    }

    accesses! {
        read8 write8 u8,
        read16 write16 u16,
        read32 write32 u32,
        read64 write64 u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses_outside_do_nothing() {
        let memory: &'static [AtomicU64] = Box::leak(Box::new([const { AtomicU64::new(0) }; 4]));
        let window = Registers::over(memory).part(8, 8).unwrap();
        window.write8(7, 0x11);
        window.write16(4, 0x2233);
        window.write32(0, 0x4455_6677);
        assert_eq!(window.read64(0), 0x1100_2233_4455_6677);
        window.write32(6, 1); // crosses the end
        window.write32(2, 1); // not aligned
        window.write64(usize::MAX, 1);
        assert_eq!(window.read32(2), u32::MAX);
        let words: Vec<u64> =
            memory.iter().map(|w| w.load(core::sync::atomic::Ordering::Relaxed)).collect();
        assert_eq!(words, [0, 0x1100_2233_4455_6677, 0, 0]);
        assert!(window.part(8, 1).is_none() && window.part(usize::MAX, 2).is_none());
        assert!(window.part(8, 0).is_some_and(|p| p.is_empty()));
    }

    #[test]
    fn a_host_has_no_devices() {
        assert!(Registers::map(0x1000, 0x1000, &mut || None).is_none());
        let byte = 0u8;
        let at = &raw const byte as usize;
        assert_eq!(address(at, 1), Some((at as u64, 1)));
    }
}
