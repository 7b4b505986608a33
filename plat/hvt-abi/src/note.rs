//! What an image says about itself, in an ELF note (System V gABI chapter 5, "Note Section").

use core::fmt;

use crate::VERSION;

/// Owner of the note, without the zero byte at its end.
pub const NOTE_NAME: &str = "Oxikraft";
/// Type of the note.
pub const NOTE_TYPE: u32 = 1;
/// Words of the note's content. The addresses among them are given as distance from the word
/// itself, so that the linker can compute them once and for all.
pub const NOTE_WORDS: usize = 6;
/// Bit of [`ImageNote::flags`]: there are drivers of devices in the image.
pub const NOTE_HAS_DRIVERS: u64 = 1;

/// The content of the note. Addresses are those that the image is linked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageNote {
    /// Size in bytes of the stack to start on.
    pub stack: u64,
    /// Called in user mode when an interrupt comes: on the interrupted stack, below its red zone of
    /// 128 bytes. At the stack pointer lie the interrupted code's flags and, above, its instruction
    /// pointer; all other registers are the interrupted code's.
    pub interrupt: u64,
    /// Called in user mode for an exception, on the CPU's fault stack, with the address of the CPU's
    /// page in `rdi`.
    pub fault: u64,
    /// The instruction `ud2` by which memory calls are made.
    pub gate: u64,
    /// What the image has: [`NOTE_HAS_DRIVERS`]. Unknown bits mean nothing.
    pub flags: u64,
}

/// Why a note is not of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoteVersion(pub u64);

impl fmt::Display for NoteVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the image is made for version {} of the monitor, this is version {VERSION}",
            self.0
        )
    }
}

impl core::error::Error for NoteVersion {}

impl ImageNote {
    /// Reads the content of a note that lies at the address `at`.
    ///
    /// # Errors
    /// [`NoteVersion`].
    pub fn read(words: &[u64; NOTE_WORDS], at: u64) -> Result<Self, NoteVersion> {
        let [version, stack, interrupt, fault, gate, flags] = *words;
        if version != VERSION {
            return Err(NoteVersion(version));
        }
        let address = |index: u64, distance: u64| at.wrapping_add(8 * index).wrapping_add(distance);
        Ok(Self {
            stack,
            interrupt: address(2, interrupt),
            fault: address(3, fault),
            gate: address(4, gate),
            flags,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_become_addresses() {
        let below = 0u64.wrapping_sub(24);
        let note = ImageNote::read(&[VERSION, 7, 0x100, below, 0, 1], 0x1000).unwrap();
        let (interrupt, fault, gate) = (0x1110, 0x1000, 0x1020);
        assert_eq!(note, ImageNote { stack: 7, interrupt, fault, gate, flags: 1 });
        assert_eq!(ImageNote::read(&[9, 0, 0, 0, 0, 0], 0), Err(NoteVersion(9)));
    }
}
