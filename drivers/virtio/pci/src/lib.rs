//! Virtio devices on PCI Express (virtio 1.2, section 4.1), modern ones and the modern half of
//! transitional ones.
//!
//! ```no_run
//! # let device = ukplat::device::Device::PciExpress { base: 0xb000_0000, first_bus: 0, last_bus: 255 };
//! # let mut frames = || None;
//! virtio_pci::probe(&device, &mut frames, &mut |transport| match transport {
//!     Ok(transport) => ukplat::println!("a device of kind {}", transport.kind()),
//!     Err((place, error)) => ukplat::println!("device {} is of no use: {}", place, error),
//! });
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod registers;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use core::fmt;

use ukpci::{Function, Msix, Place};
use ukplat::device::{Device, InterruptHandler, Registers};
use ukplat::stack::Frames;
use virtio_device::{Doorbell, Error, Transport};
use virtio_ring::Rings;

use registers::{Parts, common, kind_of};

/// No message, in registers that choose one.
const NO_VECTOR: u16 = 0xffff;

/// A device, or where it is and why it is of no use.
pub type Found = Result<Box<dyn Transport>, (Place, Error)>;

/// Calls `found` with each virtio device of a configuration space, or with why it is of no use.
pub fn probe(device: &Device, frames: &mut Frames<'_>, found: &mut dyn FnMut(Found)) {
    let mut functions = [const { None }; MAX];
    let mut count = 0;
    ukpci::functions(device, frames, &mut |function| {
        if kind_of(&function).is_some()
            && let Some(slot) = functions.get_mut(count)
        {
            *slot = Some(function);
            count += 1;
        }
    });
    for function in functions.iter().flatten() {
        found(match Pci::new(function, frames) {
            Ok(transport) => Ok(Box::new(transport)),
            Err(error) => Err((function.place(), error)),
        });
    }
}

/// Virtio devices of one configuration space that are used at most.
pub const MAX: usize = 64;

/// A virtio device on PCI Express.
#[derive(Debug)]
pub struct Pci {
    place: Place,
    kind: u32,
    parts: Parts,
    msix: Option<Msix>,
    /// Whether queues interrupt, by the first message of the table.
    interrupts: bool,
}

impl Pci {
    /// The device behind a function.
    ///
    /// # Errors
    /// [`Error::Legacy`] when it has no modern registers, [`Error::Registers`] when they cannot be
    /// mapped.
    pub fn new(function: &Function, frames: &mut Frames<'_>) -> Result<Self, Error> {
        let kind = kind_of(function).ok_or(Error::Legacy)?;
        function.enable();
        let parts = Parts::find(function, frames)?;
        let msix = Msix::find(function, frames);
        Ok(Self { place: function.place(), kind, parts, msix, interrupts: false })
    }

    fn common(&self) -> &Registers {
        &self.parts.common
    }

    fn write_address(&self, at: usize, address: u64) {
        self.common().write32(at, address as u32);
        self.common().write32(at + 4, (address >> 32) as u32);
    }
}

impl Transport for Pci {
    fn kind(&self) -> u32 {
        self.kind
    }
    fn place(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place)
    }
    fn status(&self) -> u8 {
        self.common().read8(common::STATUS)
    }
    fn set_status(&mut self, status: u8) {
        self.common().write8(common::STATUS, status);
    }
    fn features(&mut self) -> u64 {
        let half = |which: u32| {
            self.common().write32(common::DEVICE_FEATURE_SELECT, which);
            u64::from(self.common().read32(common::DEVICE_FEATURE))
        };
        half(0) | half(1) << 32
    }
    fn set_features(&mut self, features: u64) {
        for which in 0..2 {
            self.common().write32(common::DRIVER_FEATURE_SELECT, which);
            self.common().write32(common::DRIVER_FEATURE, (features >> (32 * which)) as u32);
        }
    }
    fn config(&self) -> Registers {
        self.parts.config
    }
    fn generation(&self) -> u32 {
        self.common().read8(common::CONFIG_GENERATION).into()
    }
    fn queue_size(&mut self, queue: u16) -> u16 {
        if queue >= self.common().read16(common::QUEUES) {
            return 0;
        }
        self.common().write16(common::QUEUE_SELECT, queue);
        self.common().read16(common::QUEUE_SIZE)
    }
    fn listen(&mut self, handler: &'static dyn InterruptHandler) -> bool {
        self.interrupts = self.msix.as_ref().is_some_and(|msix| msix.set(0, handler));
        if self.interrupts {
            self.common().write16(common::CONFIG_VECTOR, 0);
        }
        self.interrupts
    }
    fn enable_queue(&mut self, queue: u16, rings: &Rings) -> Result<Doorbell, Error> {
        if self.queue_size(queue) == 0 {
            return Err(Error::NoQueue(queue));
        }
        let addresses = rings.addresses();
        self.common().write16(common::QUEUE_SIZE, rings.config().size);
        self.write_address(common::QUEUE_DESCRIPTORS, addresses.descriptors);
        self.write_address(common::QUEUE_AVAILABLE, addresses.available);
        self.write_address(common::QUEUE_USED, addresses.used);
        let vector = if self.interrupts { 0 } else { NO_VECTOR };
        self.common().write16(common::QUEUE_VECTOR, vector);
        if self.common().read16(common::QUEUE_VECTOR) != vector {
            return Err(Error::Registers);
        }
        let offset = usize::from(self.common().read16(common::QUEUE_NOTIFY_OFFSET))
            .checked_mul(self.parts.notify_multiplier as usize);
        let register = offset.and_then(|offset| self.parts.notify.part(offset, 2));
        let register = register.ok_or(Error::Registers)?;
        self.common().write16(common::QUEUE_ENABLE, 1);
        Ok(Doorbell { register, value: queue, wide: false })
    }
}
