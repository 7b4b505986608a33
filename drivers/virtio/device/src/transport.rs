//! How a device is reached.

use core::fmt;

use ukplat::device::{InterruptHandler, Registers};
use virtio_ring::Rings;

use crate::Error;

/// Kinds of devices (virtio 1.2, chapter 5).
pub mod kinds {
    /// Network card.
    pub const NETWORK: u32 = 1;
    /// Block device.
    pub const BLOCK: u32 = 2;
    /// Console.
    pub const CONSOLE: u32 = 3;
    /// Source of random numbers.
    pub const ENTROPY: u32 = 4;
    /// 9P transport.
    pub const NINEP: u32 = 9;
    /// Sockets to the host.
    pub const VSOCK: u32 = 19;
    /// File system.
    pub const FILE_SYSTEM: u32 = 26;
}

/// Bits of the device status (virtio 1.2, section 2.1).
pub(crate) mod status {
    pub const ACKNOWLEDGE: u8 = 1;
    pub const DRIVER: u8 = 2;
    pub const DRIVER_OK: u8 = 4;
    pub const FEATURES_OK: u8 = 8;
    pub const FAILED: u8 = 128;
}

/// The register that tells a device of new requests.
#[derive(Clone, Copy, Debug)]
pub struct Doorbell {
    /// The register.
    pub register: Registers,
    /// What is written to it.
    pub value: u16,
    /// Whether it has 32 bits; else 16.
    pub wide: bool,
}

impl Doorbell {
    /// Tells the device to look.
    #[inline]
    pub fn ring(&self) {
        if self.wide {
            self.register.write32(0, self.value.into());
        } else {
            self.register.write16(0, self.value);
        }
    }
}

/// How a device is reached. Nothing here is used once a device works, but the doorbells.
pub trait Transport: Send {
    /// The kind of device, one of [`kinds`]; 0 where there is none.
    fn kind(&self) -> u32;
    /// Where the device is, for messages.
    fn place(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// The device status.
    fn status(&self) -> u8;
    /// Writes the device status; 0 resets the device.
    fn set_status(&mut self, status: u8);
    /// What the device can do.
    fn features(&mut self) -> u64;
    /// What the driver is going to use.
    fn set_features(&mut self, features: u64);

    /// Registers of this kind of device.
    fn config(&self) -> Registers;
    /// A number that changes whenever those registers do.
    fn generation(&self) -> u32;

    /// Largest size of a queue; 0 when there is no such queue.
    fn queue_size(&mut self, queue: u16) -> u16;
    /// Calls a handler when the device completed something, on queues that are enabled afterwards,
    /// or its registers changed. `false` when it cannot: then somebody must look.
    fn listen(&mut self, handler: &'static dyn InterruptHandler) -> bool;
    /// Gives a queue to the device.
    ///
    /// # Errors
    /// [`Error::NoQueue`], [`Error::Registers`].
    fn enable_queue(&mut self, queue: u16, rings: &Rings) -> Result<Doorbell, Error>;
}

impl fmt::Display for dyn Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place(f)
    }
}

impl fmt::Debug for dyn Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place(f)
    }
}
