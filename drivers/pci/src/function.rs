//! One function: identity, registers, capabilities (PCI Local Bus 3.0, chapter 6).

use core::fmt;

use ukplat::device::Registers;
use ukplat::stack::Frames;

/// Bytes of a function's configuration space.
pub(crate) const CONFIG_LEN: usize = 4096;

const IDENTITY: usize = 0x00;
const COMMAND: usize = 0x04;
const STATUS: usize = 0x06;
const HEADER: usize = 0x0e;
const BARS: usize = 0x10;
const BAR_COUNT: u8 = 6;
const CAPABILITIES: usize = 0x34;

const COMMAND_MEMORY: u16 = 1 << 1;
const COMMAND_MASTER: u16 = 1 << 2;
const COMMAND_NO_LINE: u16 = 1 << 10;
const STATUS_CAPABILITIES: u16 = 1 << 4;

/// Where a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Bus.
    pub bus: u8,
    /// Device on the bus, below 32.
    pub device: u8,
    /// Function of the device, below 8.
    pub function: u8,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:02x}.{}", self.bus, self.device, self.function)
    }
}

/// A capability: its kind, and where it is in configuration space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Kind.
    pub id: u8,
    /// Offset of its first byte.
    pub offset: usize,
}

/// A function that is there.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    config: Registers,
    place: Place,
}

impl Function {
    /// The function with this configuration space; `None` when no function answers.
    pub fn new(config: Registers, place: Place) -> Option<Self> {
        let this = Self { config, place };
        (this.vendor() != u16::MAX && this.vendor() != 0).then_some(this)
    }

    /// Where it is.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Who made it.
    pub fn vendor(&self) -> u16 {
        self.config.read16(IDENTITY)
    }

    /// What it is, among what its vendor made.
    pub fn device(&self) -> u16 {
        self.config.read16(IDENTITY + 2)
    }

    /// Its configuration space.
    pub fn config(&self) -> Registers {
        self.config
    }

    /// Kind of header, without the bit for several functions.
    pub(crate) fn header(&self) -> u8 {
        self.config.read8(HEADER) & 0x7f
    }

    /// Whether the device has further functions.
    pub(crate) fn has_others(&self) -> bool {
        self.config.read8(HEADER) & 0x80 != 0
    }

    /// Lets the function answer at its registers, read and write memory, and interrupt by messages
    /// only.
    pub fn enable(&self) {
        let command = self.config.read16(COMMAND);
        self.config.write16(COMMAND, command | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_NO_LINE);
    }

    /// Its capabilities, in the order of their chain.
    pub fn capabilities(&self) -> impl Iterator<Item = Capability> + use<> {
        /// As many as fit into the space for them; a longer chain has a loop.
        const MOST: usize = 48;
        const FIRST_OFFSET: u8 = 0x40;
        let config = self.config;
        let first = match config.read16(STATUS) & STATUS_CAPABILITIES {
            0 => 0,
            _ => config.read8(CAPABILITIES),
        };
        let at = |pointer: u8| Some(pointer & !3).filter(|p| *p >= FIRST_OFFSET);
        core::iter::successors(at(first), move |offset| at(config.read8(usize::from(*offset) + 1)))
            .take(MOST)
            .map(move |offset| {
                let offset = usize::from(offset);
                Capability { id: config.read8(offset), offset }
            })
    }

    /// Physical address of the memory that a base address register gives; `None` when there is
    /// none, or it was not placed.
    pub fn bar(&self, index: u8) -> Option<u64> {
        const IO: u32 = 1;
        const KIND: u32 = 3 << 1;
        const KIND_64: u32 = 2 << 1;
        let read = |index: u8| {
            (index < BAR_COUNT).then(|| self.config.read32(BARS + 4 * usize::from(index)))
        };
        let low = read(index)?;
        if low & IO != 0 {
            return None;
        }
        let high = if low & KIND == KIND_64 { read(index + 1)? } else { 0 };
        let address = u64::from(high) << 32 | u64::from(low & !15);
        (address != 0).then_some(address)
    }

    /// Maps a part of the registers behind a base address register.
    pub fn map(
        &self,
        bar: u8,
        offset: u32,
        len: u32,
        frames: &mut Frames<'_>,
    ) -> Option<Registers> {
        let physical = self.bar(bar)?.checked_add(offset.into())?;
        Registers::map(physical, usize::try_from(len).ok()?, frames)
    }
}
