//! Virtio devices of the tender, our own monitor: what a driver sets up is in memory that both share,
//! and one write to a register tells the tender of it ([`hvt_abi::device`]).
//!
//! ```
//! use std::sync::atomic::AtomicU64;
//! use ukplat::device::Registers;
//! use virtio_device::Transport;
//! use virtio_hvt::Hvt;
//!
//! // Plain memory stands for the device.
//! static MEMORY: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; 1024];
//! let registers = Registers::over(&MEMORY);
//! registers.write32(hvt_abi::device::KIND, virtio_device::kinds::ENTROPY);
//! let device = Hvt::new(registers, 0x1000, 0)?;
//! assert_eq!(device.kind(), 4);
//! # Ok::<(), virtio_device::Error>(())
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use core::fmt;

use hvt_abi::device as at;
use ukplat::device::{Device, InterruptHandler, Registers, line_interrupt};
use ukplat::stack::Frames;
use virtio_device::{Doorbell, Error, Transport};
use virtio_ring::Rings;

/// Bits of the status that the tender is told of: the driver is ready, or gave up.
const TOLD: u8 = 4 | 128;

/// The device at an entry of the platform's list; `None` when the entry is of another kind.
///
/// # Errors
/// [`Error::Registers`].
pub fn probe(
    device: &Device,
    frames: &mut Frames<'_>,
) -> Result<Option<Box<dyn Transport>>, Error> {
    let Device::VirtioShared { base, len, line } = *device else { return Ok(None) };
    let len = usize::try_from(len).map_err(|_| Error::Registers)?;
    let registers = Registers::map(base, len, frames).ok_or(Error::Registers)?;
    Ok(Some(Box::new(Hvt::new(registers, base, line)?)))
}

/// A virtio device of the tender.
#[derive(Debug)]
pub struct Hvt {
    registers: Registers,
    base: u64,
    line: u32,
}

impl Hvt {
    /// The device with these registers. `base` is for messages, `line` that of its interrupt.
    ///
    /// # Errors
    /// [`Error::Registers`].
    pub fn new(registers: Registers, base: u64, line: u32) -> Result<Self, Error> {
        if registers.len() < at::LEN as usize {
            return Err(Error::Registers);
        }
        Ok(Self { registers, base, line })
    }
}

impl Transport for Hvt {
    fn kind(&self) -> u32 {
        self.registers.read32(at::KIND)
    }
    fn place(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.base)
    }
    fn status(&self) -> u8 {
        self.registers.read32(at::STATUS) as u8
    }
    fn set_status(&mut self, status: u8) {
        // A device that was never used needs no reset.
        if status & TOLD != 0 || status == 0 && self.status() != 0 {
            self.registers.write32(at::SET_STATUS, status.into());
        } else {
            self.registers.write32(at::STATUS, status.into());
        }
    }
    fn features(&mut self) -> u64 {
        self.registers.read64(at::OFFERED)
    }
    fn set_features(&mut self, features: u64) {
        self.registers.write64(at::AGREED, features);
    }
    fn config(&self) -> Registers {
        let config = self.registers.part(at::CONFIG, at::CONFIG_LEN);
        config.unwrap_or(Registers::over(&[]))
    }
    fn generation(&self) -> u32 {
        self.registers.read32(at::GENERATION)
    }
    fn queue_size(&mut self, queue: u16) -> u16 {
        let count = (self.registers.read32(at::QUEUE_COUNT) as usize).min(at::MAX_QUEUES);
        if usize::from(queue) >= count {
            return 0;
        }
        let largest = self.registers.read32(at::queue(queue.into()) + at::QUEUE_MAX);
        u16::try_from(largest).unwrap_or(u16::MAX)
    }
    fn listen(&mut self, handler: &'static dyn InterruptHandler) -> bool {
        line_interrupt(self.line, handler)
    }
    fn enable_queue(&mut self, queue: u16, rings: &Rings) -> Result<Doorbell, Error> {
        let place = at::queue(queue.into());
        if self.queue_size(queue) == 0 || self.registers.read32(place + at::QUEUE_SIZE) != 0 {
            return Err(Error::NoQueue(queue));
        }
        let addresses = rings.addresses();
        self.registers.write64(place + at::QUEUE_DESCRIPTORS, addresses.descriptors);
        self.registers.write64(place + at::QUEUE_AVAILABLE, addresses.available);
        self.registers.write64(place + at::QUEUE_USED, addresses.used);
        self.registers.write32(place + at::QUEUE_SIZE, rings.config().size.into());
        let register = self.registers.part(at::notify(queue.into()), 4).ok_or(Error::Registers)?;
        Ok(Doorbell { register, value: queue, wide: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    use virtio_ring::{Config, SplitQueue};

    struct Nothing;
    impl ukdma::Segments for Nothing {
        fn segments<'a>(&'a mut self, _: &mut ukdma::SegmentList<'_, 'a>) {}
    }

    fn device() -> (Registers, Hvt) {
        let memory = (0..1024).map(|_| AtomicU64::new(0)).collect::<Box<[AtomicU64]>>();
        let registers = Registers::over(Box::leak(memory));
        (registers, Hvt::new(registers, 0x1000, 0).unwrap())
    }

    #[test]
    fn less_than_a_device_is_refused() {
        let (registers, _) = device();
        let short = registers.part(0, 4096).unwrap();
        assert_eq!(Hvt::new(short, 0, 0).err(), Some(Error::Registers));
    }

    #[test]
    fn the_tender_is_told_when_there_is_something_to_do() {
        let (registers, mut device) = device();
        for status in [0, 1, 3, 11] {
            device.set_status(status);
            assert_eq!((device.status(), registers.read32(at::SET_STATUS)), (status, 0));
        }
        device.set_status(15);
        assert_eq!(registers.read32(at::SET_STATUS), 15);
        device.set_status(0);
        assert_eq!(registers.read32(at::SET_STATUS), 0);
        assert_eq!(device.status(), 11, "what the tender wrote stays until it writes");
    }

    #[test]
    fn a_queue_is_told_to_the_device() {
        let (registers, mut device) = device();
        let config = Config { size: 8, max_segments: 1, ..Config::default() };
        let rings = SplitQueue::<Nothing>::new(config).unwrap().rings();
        assert_eq!(device.enable_queue(1, &rings).err(), Some(Error::NoQueue(1)));
        registers.write32(at::QUEUE_COUNT, 2);
        assert_eq!(device.queue_size(1), 0);
        registers.write32(at::queue(1) + at::QUEUE_MAX, 64);
        assert_eq!(device.queue_size(1), 64);
        let doorbell = device.enable_queue(1, &rings).unwrap();
        let place = at::queue(1);
        assert_eq!(registers.read32(place + at::QUEUE_SIZE), 8);
        let addresses = rings.addresses();
        for (offset, address) in [
            (at::QUEUE_DESCRIPTORS, addresses.descriptors),
            (at::QUEUE_AVAILABLE, addresses.available),
            (at::QUEUE_USED, addresses.used),
        ] {
            assert_eq!(registers.read64(place + offset), address);
        }
        doorbell.ring();
        assert_eq!(registers.read32(at::notify(1)), 1);
        assert_eq!(device.enable_queue(1, &rings).err(), Some(Error::NoQueue(1)), "again");
    }

    #[test]
    fn numbers_of_a_device_that_lies_do_no_harm() {
        let (registers, mut device) = device();
        registers.write32(at::QUEUE_COUNT, u32::MAX);
        registers.write32(at::queue(3) + at::QUEUE_MAX, u32::MAX);
        assert_eq!(device.queue_size(3), u16::MAX);
        assert_eq!(device.queue_size(16), 0);
        assert_eq!(device.config().len(), at::CONFIG_LEN);
    }
}
