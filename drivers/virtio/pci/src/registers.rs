//! Where the registers of a virtio device on PCI are (virtio 1.2, section 4.1.4).

use ukpci::Function;
use ukplat::device::Registers;
use ukplat::stack::Frames;
use virtio_device::Error;

const VENDOR: u16 = 0x1af4;
/// Identifiers of devices: transitional ones, and modern ones, whose kind follows from them.
const TRANSITIONAL: core::ops::Range<u16> = 0x1000..0x1040;
const MODERN: core::ops::Range<u16> = 0x1040..0x1080;
/// Configuration space: the kind of a transitional device.
const SUBSYSTEM: usize = 0x2e;

const CAPABILITY: u8 = 0x09;
const COMMON: u8 = 1;
const NOTIFY: u8 = 2;
const CONFIG: u8 = 4;

/// Offsets of the common registers (virtio 1.2, section 4.1.4.3).
pub mod common {
    pub const DEVICE_FEATURE_SELECT: usize = 0;
    pub const DEVICE_FEATURE: usize = 4;
    pub const DRIVER_FEATURE_SELECT: usize = 8;
    pub const DRIVER_FEATURE: usize = 12;
    pub const CONFIG_VECTOR: usize = 16;
    pub const QUEUES: usize = 18;
    pub const STATUS: usize = 20;
    pub const CONFIG_GENERATION: usize = 21;
    pub const QUEUE_SELECT: usize = 22;
    pub const QUEUE_SIZE: usize = 24;
    pub const QUEUE_VECTOR: usize = 26;
    pub const QUEUE_ENABLE: usize = 28;
    pub const QUEUE_NOTIFY_OFFSET: usize = 30;
    pub const QUEUE_DESCRIPTORS: usize = 32;
    pub const QUEUE_AVAILABLE: usize = 40;
    pub const QUEUE_USED: usize = 48;
    pub const LEN: usize = 56;
}

/// The kind of device; `None` when the function is no virtio device.
pub fn kind_of(function: &Function) -> Option<u32> {
    if function.vendor() != VENDOR {
        return None;
    }
    match function.device() {
        id if TRANSITIONAL.contains(&id) => Some(function.config().read16(SUBSYSTEM).into()),
        id if MODERN.contains(&id) => Some((id - MODERN.start).into()),
        _ => None,
    }
}

/// A capability of the vendor: what it is for, and where that lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Structure {
    pub kind: u8,
    pub bar: u8,
    pub offset: u32,
    pub len: u32,
    /// For notifications: distance of the registers of two queues.
    pub multiplier: u32,
}

/// The structures that a function names, in order of preference.
pub fn structures(function: &Function) -> impl Iterator<Item = Structure> + use<> {
    let config = function.config();
    function.capabilities().filter(|c| c.id == CAPABILITY).map(move |c| Structure {
        kind: config.read8(c.offset + 3),
        bar: config.read8(c.offset + 4),
        offset: config.read32(c.offset + 8),
        len: config.read32(c.offset + 12),
        multiplier: config.read32(c.offset + 16),
    })
}

/// The registers of a device.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    pub common: Registers,
    pub notify: Registers,
    pub notify_multiplier: u32,
    /// Registers of its kind of device; may be empty.
    pub config: Registers,
}

/// Registers of a structure are not larger.
const MAX_LEN: u32 = 1 << 20;

impl Parts {
    /// Finds and maps the registers.
    pub fn find(function: &Function, frames: &mut Frames<'_>) -> Result<Self, Error> {
        let first = |kind: u8| structures(function).find(|s| s.kind == kind);
        let mut map = |s: Structure| {
            let len = s.len.min(MAX_LEN);
            function.map(s.bar, s.offset, len, frames).ok_or(Error::Registers)
        };
        let (Some(common), Some(notify)) = (first(COMMON), first(NOTIFY)) else {
            return Err(Error::Legacy);
        };
        if (common.len as usize) < common::LEN {
            return Err(Error::Registers);
        }
        Ok(Self {
            common: map(common)?,
            notify: map(notify)?,
            notify_multiplier: notify.multiplier,
            config: match first(CONFIG) {
                Some(config) if config.len > 0 => map(config)?,
                _ => Registers::over(&[]),
            },
        })
    }
}
