//! What the device says of itself.

use uknetdev::Mac;
use ukplat::device::Registers;
use virtio_device::{Device, Error};

/// Bytes of the device's header in front of each frame (virtio 1.2, section 5.1.6).
pub const HEADER_LEN: usize = 12;

/// Feature bits (virtio 1.2, section 5.1.3).
pub mod feature {
    /// The device says how much a frame carries.
    pub const MTU: u64 = 1 << 3;
    /// The device has an address of its own.
    pub const MAC: u64 = 1 << 5;
    /// The device says whether it can reach others.
    pub const STATUS: u64 = 1 << 16;
    /// Those that the driver makes use of. None of them changes what frames look like: they come and
    /// go whole, with checksums, each in one buffer.
    pub const WANTED: u64 = MTU | MAC | STATUS;
}

/// Offsets of the registers (virtio 1.2, section 5.1.4).
mod offset {
    pub const MAC: usize = 0;
    pub const STATUS: usize = 6;
    pub const MTU: usize = 10;
}

/// Bit of the status: the device can reach others.
const LINK_UP: u16 = 1;
/// What a frame carries when the device says nothing, and what one must be able to carry
/// (virtio 1.2, section 5.1.4.1).
const MTU: u16 = 1500;
const MIN_MTU: u16 = 68;

/// What a device is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    pub mac: Mac,
    pub mtu: usize,
}

impl Config {
    /// Reads and checks the registers.
    pub fn read(device: &Device) -> Result<Self, Error> {
        let (mac, mtu) = device.read_config(|registers| {
            let mac = [0, 1, 2, 3, 4, 5].map(|byte| registers.read8(offset::MAC + byte));
            let has_mtu = device.has(feature::MTU);
            (mac, if has_mtu { registers.read16(offset::MTU) } else { MTU })
        });
        let mac = if device.has(feature::MAC) { Mac(mac) } else { random_mac() };
        if !mac.is_station() {
            return Err(Error::Config("its hardware address is not one of a station"));
        }
        if mtu < MIN_MTU {
            return Err(Error::Config("its frames are too short for anything"));
        }
        Ok(Self { mac, mtu: mtu.into() })
    }
}

/// Whether the device says that it can reach others.
pub fn is_link_up(registers: &Registers) -> bool {
    registers.read16(offset::STATUS) & LINK_UP != 0
}

/// An address for a device that has none.
fn random_mac() -> Mac {
    let mut bytes = [0; 6];
    if ukplat::entropy(&mut bytes) < bytes.len() {
        // Good enough to differ from the neighbours.
        let now = ukplat::wall_ns() ^ ukplat::monotonic_ns().rotate_left(24);
        bytes.copy_from_slice(&now.to_le_bytes()[..6]);
    }
    Mac::local(bytes)
}
