//! Virtio devices with memory-mapped registers (virtio 1.2, section 4.2): QEMU's microvm,
//! Firecracker, and monitors that like it simple.
//!
//! ```
//! use std::sync::atomic::AtomicU64;
//! use ukplat::device::Registers;
//! use virtio_device::Transport;
//! use virtio_mmio::Mmio;
//!
//! // Plain memory stands for the registers.
//! static MEMORY: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];
//! let registers = Registers::over(&MEMORY);
//! registers.write32(0, 0x7472_6976);
//! registers.write32(4, 2);
//! registers.write32(8, virtio_device::kinds::ENTROPY);
//! let device = Mmio::new(registers, 0x1000, None)?.expect("a device is there");
//! assert_eq!(device.kind(), 4);
//! # Ok::<(), virtio_device::Error>(())
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use core::fmt;

use ukplat::device::{Device, InterruptHandler, Registers, line_interrupt};
use ukplat::stack::Frames;
use virtio_device::{Doorbell, Error, Transport};
use virtio_ring::Rings;

/// Offsets of registers (virtio 1.2, section 4.2.2).
mod offset {
    pub const MAGIC: usize = 0x000;
    pub const VERSION: usize = 0x004;
    pub const DEVICE: usize = 0x008;
    pub const DEVICE_FEATURES: usize = 0x010;
    pub const DEVICE_FEATURES_SELECT: usize = 0x014;
    pub const DRIVER_FEATURES: usize = 0x020;
    pub const DRIVER_FEATURES_SELECT: usize = 0x024;
    pub const QUEUE_SELECT: usize = 0x030;
    pub const QUEUE_MAX: usize = 0x034;
    pub const QUEUE_SIZE: usize = 0x038;
    pub const QUEUE_READY: usize = 0x044;
    pub const QUEUE_NOTIFY: usize = 0x050;
    pub const INTERRUPT_STATUS: usize = 0x060;
    pub const INTERRUPT_ACKNOWLEDGE: usize = 0x064;
    pub const STATUS: usize = 0x070;
    pub const QUEUE_DESCRIPTORS: usize = 0x080;
    pub const QUEUE_AVAILABLE: usize = 0x090;
    pub const QUEUE_USED: usize = 0x0a0;
    pub const CONFIG_GENERATION: usize = 0x0fc;
    pub const CONFIG: usize = 0x100;
}

const MAGIC: u32 = 0x7472_6976;
const VERSION: u32 = 2;
const LEGACY_VERSION: u32 = 1;

/// The device at an entry of the platform's list; `None` when there is none, or the entry is of
/// another kind.
///
/// # Errors
/// Why the device is of no use.
pub fn probe(
    device: &Device,
    frames: &mut Frames<'_>,
) -> Result<Option<Box<dyn Transport>>, Error> {
    let Device::VirtioMmio { base, len, line } = *device else { return Ok(None) };
    let len = usize::try_from(len).map_err(|_| Error::Registers)?;
    let registers = Registers::map(base, len, frames).ok_or(Error::Registers)?;
    let found = Mmio::new(registers, base, line)?;
    Ok(found.map(|device| Box::new(device) as Box<dyn Transport>))
}

/// A virtio device with memory-mapped registers.
#[derive(Debug)]
pub struct Mmio {
    registers: Registers,
    base: u64,
    line: Option<u32>,
}

impl Mmio {
    /// The device with these registers, `None` when there is none. `base` is for messages.
    ///
    /// # Errors
    /// [`Error::Registers`], [`Error::Legacy`].
    pub fn new(registers: Registers, base: u64, line: Option<u32>) -> Result<Option<Self>, Error> {
        if registers.read32(offset::MAGIC) != MAGIC || registers.len() < offset::CONFIG {
            return Err(Error::Registers);
        }
        if registers.read32(offset::DEVICE) == 0 {
            return Ok(None); // a place where a device could be
        }
        match registers.read32(offset::VERSION) {
            VERSION => Ok(Some(Self { registers, base, line })),
            LEGACY_VERSION => Err(Error::Legacy),
            _ => Err(Error::Registers),
        }
    }

    fn write_address(&self, at: usize, address: u64) {
        self.registers.write32(at, address as u32);
        self.registers.write32(at + 4, (address >> 32) as u32);
    }
}

/// Lowers the line before the handler looks, so that the next completion raises it again.
struct Acknowledge {
    registers: Registers,
    handler: &'static dyn InterruptHandler,
}

impl InterruptHandler for Acknowledge {
    fn interrupt(&self) {
        let status = self.registers.read32(offset::INTERRUPT_STATUS);
        self.registers.write32(offset::INTERRUPT_ACKNOWLEDGE, status);
        self.handler.interrupt();
    }
}

impl Transport for Mmio {
    fn kind(&self) -> u32 {
        self.registers.read32(offset::DEVICE)
    }
    fn place(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.base)
    }
    fn status(&self) -> u8 {
        self.registers.read32(offset::STATUS) as u8
    }
    fn set_status(&mut self, status: u8) {
        self.registers.write32(offset::STATUS, status.into());
    }
    fn features(&mut self) -> u64 {
        let half = |which: u32| {
            self.registers.write32(offset::DEVICE_FEATURES_SELECT, which);
            u64::from(self.registers.read32(offset::DEVICE_FEATURES))
        };
        half(0) | half(1) << 32
    }
    fn set_features(&mut self, features: u64) {
        for which in 0..2 {
            self.registers.write32(offset::DRIVER_FEATURES_SELECT, which);
            self.registers.write32(offset::DRIVER_FEATURES, (features >> (32 * which)) as u32);
        }
    }
    fn config(&self) -> Registers {
        let len = self.registers.len() - offset::CONFIG;
        self.registers.part(offset::CONFIG, len).unwrap_or(Registers::over(&[]))
    }
    fn generation(&self) -> u32 {
        self.registers.read32(offset::CONFIG_GENERATION)
    }
    fn queue_size(&mut self, queue: u16) -> u16 {
        self.registers.write32(offset::QUEUE_SELECT, queue.into());
        u16::try_from(self.registers.read32(offset::QUEUE_MAX)).unwrap_or(u16::MAX)
    }
    fn listen(&mut self, handler: &'static dyn InterruptHandler) -> bool {
        let Some(line) = self.line else { return false };
        let handler = Acknowledge { registers: self.registers, handler };
        line_interrupt(line, Box::leak(Box::new(handler)))
    }
    fn enable_queue(&mut self, queue: u16, rings: &Rings) -> Result<Doorbell, Error> {
        if self.queue_size(queue) == 0 || self.registers.read32(offset::QUEUE_READY) != 0 {
            return Err(Error::NoQueue(queue));
        }
        let addresses = rings.addresses();
        self.registers.write32(offset::QUEUE_SIZE, rings.config().size.into());
        self.write_address(offset::QUEUE_DESCRIPTORS, addresses.descriptors);
        self.write_address(offset::QUEUE_AVAILABLE, addresses.available);
        self.write_address(offset::QUEUE_USED, addresses.used);
        self.registers.write32(offset::QUEUE_READY, 1);
        let register = self.registers.part(offset::QUEUE_NOTIFY, 4).ok_or(Error::Registers)?;
        Ok(Doorbell { register, value: queue, wide: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

    use virtio_ring::{Config, SplitQueue};

    fn registers(version: u32, kind: u32) -> Registers {
        let memory = (0..64).map(|_| AtomicU64::new(0)).collect::<Box<[AtomicU64]>>();
        let registers = Registers::over(Box::leak(memory));
        registers.write32(offset::MAGIC, MAGIC);
        registers.write32(offset::VERSION, version);
        registers.write32(offset::DEVICE, kind);
        registers
    }

    #[test]
    fn only_modern_devices_will_do() {
        assert!(Mmio::new(registers(2, 0), 0, None).unwrap().is_none());
        assert_eq!(Mmio::new(registers(1, 2), 0, None).err(), Some(Error::Legacy));
        assert_eq!(Mmio::new(registers(3, 2), 0, None).err(), Some(Error::Registers));
        let short = registers(2, 2).part(0, 0x80).unwrap();
        assert_eq!(Mmio::new(short, 0, None).err(), Some(Error::Registers));
        let nothing = Registers::over(&[]);
        assert_eq!(Mmio::new(nothing, 0, None).err(), Some(Error::Registers));
    }

    #[test]
    fn a_queue_is_told_to_the_device() {
        struct Nothing;
        impl ukdma::Segments for Nothing {
            fn segments<'a>(&'a mut self, _: &mut ukdma::SegmentList<'_, 'a>) {}
        }
        let registers = registers(2, 2);
        let mut device = Mmio::new(registers, 0x1000, None).unwrap().unwrap();
        let config = Config { size: 8, max_segments: 1, ..Config::default() };
        let rings = SplitQueue::<Nothing>::new(config).unwrap().rings();
        assert_eq!(device.enable_queue(1, &rings).err(), Some(Error::NoQueue(1)));
        registers.write32(offset::QUEUE_MAX, 64);
        let doorbell = device.enable_queue(1, &rings).unwrap();
        let address =
            |at| u64::from(registers.read32(at)) | u64::from(registers.read32(at + 4)) << 32;
        assert_eq!(registers.read32(offset::QUEUE_SELECT), 1);
        assert_eq!(registers.read32(offset::QUEUE_SIZE), 8);
        assert_eq!(address(offset::QUEUE_DESCRIPTORS), rings.addresses().descriptors);
        assert_eq!(address(offset::QUEUE_AVAILABLE), rings.addresses().available);
        assert_eq!(address(offset::QUEUE_USED), rings.addresses().used);
        assert_eq!(registers.read32(offset::QUEUE_READY), 1);
        doorbell.ring();
        assert_eq!(registers.read32(offset::QUEUE_NOTIFY), 1);
        assert_eq!(device.enable_queue(1, &rings).err(), Some(Error::NoQueue(1)), "again");
    }

    #[test]
    fn an_interrupt_is_acknowledged_first() {
        struct Looks(Registers, AtomicU32);
        impl InterruptHandler for Looks {
            fn interrupt(&self) {
                self.1.store(self.0.read32(offset::INTERRUPT_ACKNOWLEDGE), Relaxed);
            }
        }
        let registers = registers(2, 2);
        registers.write32(offset::INTERRUPT_STATUS, 3);
        let handler: &'static Looks = Box::leak(Box::new(Looks(registers, AtomicU32::new(0))));
        Acknowledge { registers, handler }.interrupt();
        assert_eq!(handler.1.load(Relaxed), 3);
    }
}
