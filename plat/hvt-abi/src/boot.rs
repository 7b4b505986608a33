//! What the guest is told when it starts.

use core::fmt;

use crate::{VERSION, WORDS_PER_PAGE};

/// Addresses of the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// The first one.
    pub start: u64,
    /// How many, in bytes.
    pub len: u64,
}

impl Range {
    /// Address after the last one; the end of the address space when the range goes beyond.
    pub const fn end(self) -> u64 {
        self.start.saturating_add(self.len)
    }

    /// Whether `[start, start + len)` lies in the range.
    pub const fn contains(self, start: u64, len: u64) -> bool {
        match start.checked_add(len) {
            Some(end) => self.start <= start && end <= self.end(),
            None => false,
        }
    }
}

/// The boot information. The entry of the image is called with its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootInfo {
    /// Frequency of the time-stamp counter in kHz.
    pub tsc_khz: u64,
    /// Wall-clock time of the start, in nanoseconds since 1970-01-01T00:00:00 UTC.
    pub wall_ns: u64,
    /// What must be subtracted from an address in the image to get the one it is linked for.
    pub bias: u64,
    /// Memory for heaps, all zero; pages of it are taken from the host when they are touched.
    pub memory: Range,
    /// The stack that the image starts on.
    pub stack: Range,
    /// Words of the command line, a zero byte after each.
    pub words: Range,
    /// Number of words.
    pub word_count: u64,
    /// Room for a table of the words, aligned, writable: 16 bytes for each.
    pub word_table: u64,
    /// The initial ram disk; of length 0 when there is none.
    pub initrd: Range,
    /// Address where a 32-bit write makes the tender do what the CPU's page asks for.
    pub doorbell: u64,
    /// Address of the page of CPU 0; those of the others follow.
    pub cpu_pages: u64,
    /// Number of CPUs.
    pub cpus: u64,
    /// Start of the stack that CPU 0 reports faults on.
    pub fault_stacks: u64,
    /// From the start of a CPU's fault stack to the start of the next one.
    pub fault_stack_stride: u64,
    /// Usable bytes of each fault stack.
    pub fault_stack_len: u64,
    /// Addresses where memory can be given further addresses.
    pub window: Range,
    /// Virtio devices, [`device::LEN`](crate::device::LEN) bytes for each.
    pub devices: Range,
}

/// First word of the boot information: "oxk-hvt" and a zero byte.
const MAGIC: u64 = u64::from_le_bytes(*b"oxk-hvt\0");
/// Words in use.
const WORDS: usize = 24;

/// Why a page is not the boot information of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbiError {
    /// It does not start as boot information does.
    NoBootInfo,
    /// It is of another version.
    Version(u64),
}

impl fmt::Display for AbiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AbiError::NoBootInfo => f.write_str("the monitor gave no boot information"),
            AbiError::Version(version) => {
                write!(f, "the monitor speaks version {version}, this is version {VERSION}")
            }
        }
    }
}

impl core::error::Error for AbiError {}

impl BootInfo {
    /// Of a machine with nothing.
    pub const EMPTY: Self = Self::of(&[0; WORDS]);

    /// Writes it to the start of a page.
    pub fn write(&self, page: &mut [u64; WORDS_PER_PAGE]) {
        page[..WORDS].copy_from_slice(&self.words_of());
        page[0] = MAGIC;
        page[1] = VERSION;
    }

    /// Reads it from the start of a page.
    ///
    /// # Errors
    /// [`AbiError`].
    pub fn read(page: &[u64; WORDS_PER_PAGE]) -> Result<Self, AbiError> {
        if page[0] != MAGIC {
            return Err(AbiError::NoBootInfo);
        }
        if page[1] != VERSION {
            return Err(AbiError::Version(page[1]));
        }
        let mut words = [0; WORDS];
        words.copy_from_slice(&page[..WORDS]);
        Ok(Self::of(&words))
    }

    const fn of(w: &[u64; WORDS]) -> Self {
        const fn range(start: u64, len: u64) -> Range {
            Range { start, len }
        }
        Self {
            tsc_khz: w[2],
            wall_ns: w[3],
            bias: w[4],
            memory: range(w[5], w[6]),
            stack: range(w[7], w[8]),
            words: range(w[9], w[10]),
            word_count: w[11],
            word_table: w[12],
            initrd: range(w[13], w[14]),
            doorbell: w[15],
            cpu_pages: w[16],
            cpus: w[17] & 0xffff_ffff,
            fault_stacks: w[18],
            fault_stack_stride: w[19] & 0xffff_ffff,
            fault_stack_len: w[19] >> 32,
            window: range(w[20], w[21]),
            devices: range(w[22], w[23]),
        }
    }

    const fn words_of(&self) -> [u64; WORDS] {
        [
            0,
            0,
            self.tsc_khz,
            self.wall_ns,
            self.bias,
            self.memory.start,
            self.memory.len,
            self.stack.start,
            self.stack.len,
            self.words.start,
            self.words.len,
            self.word_count,
            self.word_table,
            self.initrd.start,
            self.initrd.len,
            self.doorbell,
            self.cpu_pages,
            self.cpus,
            self.fault_stacks,
            self.fault_stack_stride & 0xffff_ffff | self.fault_stack_len << 32,
            self.window.start,
            self.window.len,
            self.devices.start,
            self.devices.len,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_comes_back() {
        let mut words = [0u64; WORDS];
        for (i, word) in words.iter_mut().enumerate().skip(2) {
            *word = 0x1000 + i as u64;
        }
        words[19] |= 0x77 << 32;
        let info = BootInfo::of(&words);
        let mut page = [u64::MAX; WORDS_PER_PAGE];
        info.write(&mut page);
        assert_eq!(page[2..WORDS], words[2..]);
        assert_eq!(page[WORDS], u64::MAX);
        assert_eq!(BootInfo::read(&page), Ok(info));
    }

    #[test]
    fn other_pages_are_refused() {
        assert_eq!(BootInfo::read(&[0; WORDS_PER_PAGE]), Err(AbiError::NoBootInfo));
        let mut page = [0; WORDS_PER_PAGE];
        BootInfo::EMPTY.write(&mut page);
        page[1] = 99;
        assert_eq!(BootInfo::read(&page), Err(AbiError::Version(99)));
    }

    #[test]
    fn ranges() {
        let range = Range { start: 0x1000, len: 0x1000 };
        assert!(range.contains(0x1000, 0x1000) && range.contains(0x1fff, 1));
        assert!(!range.contains(0xfff, 1) && !range.contains(0x1fff, 2));
        assert!(!range.contains(u64::MAX, 2));
        assert_eq!(Range { start: u64::MAX, len: 2 }.end(), u64::MAX);
    }
}
