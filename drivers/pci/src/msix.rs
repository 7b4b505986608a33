//! Interrupts by messages (PCI Local Bus 3.0, section 6.8.2).

use ukplat::device::{InterruptHandler, Registers, message_interrupt};
use ukplat::stack::Frames;

use crate::Function;

const ID: u8 = 0x11;
const CONTROL: usize = 2;
const TABLE: usize = 4;
const ENABLE: u16 = 1 << 15;
const MASK_ALL: u16 = 1 << 14;
const ENTRY_LEN: u32 = 16;

/// The table of messages of a function.
#[derive(Debug)]
pub struct Msix {
    config: Registers,
    offset: usize,
    table: Registers,
}

impl Msix {
    /// The function's table; `None` when it has none.
    pub fn find(function: &Function, frames: &mut Frames<'_>) -> Option<Self> {
        let config = function.config();
        let offset = function.capabilities().find(|c| c.id == ID)?.offset;
        let size = u32::from(config.read16(offset + CONTROL) & 0x7ff) + 1;
        let place = config.read32(offset + TABLE);
        let table = function.map((place & 7) as u8, place & !7, size * ENTRY_LEN, frames)?;
        Some(Self { config, offset, table })
    }

    /// Makes an entry interrupt a handler, and lets the function use the table. `false` when the
    /// platform has no interrupt left, or the table no such entry.
    pub fn set(&self, entry: u16, handler: &'static dyn InterruptHandler) -> bool {
        let Some(slot) = self.table.part(usize::from(entry) * ENTRY_LEN as usize, 16) else {
            return false;
        };
        let Some(message) = message_interrupt(handler) else { return false };
        slot.write32(0, message.address as u32);
        slot.write32(4, (message.address >> 32) as u32);
        slot.write32(8, message.data);
        slot.write32(12, 0); // not masked
        let control = self.config.read16(self.offset + CONTROL);
        self.config.write16(self.offset + CONTROL, control & !MASK_ALL | ENABLE);
        true
    }
}
