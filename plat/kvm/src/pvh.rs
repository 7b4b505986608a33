//! The start info of the PVH boot protocol (xen/include/public/arch-x86/hvm/start_info.h).
//!
//! Pure parsing of memory that somebody else wrote: nothing in it is trusted.

use core::fmt;

/// First word of the structure.
pub const MAGIC: u32 = 0x336e_c578;
/// Regions of memory the machine may list; more is an error.
pub const MAX_REGIONS: usize = 64;

/// Access to physical memory.
pub trait PhysicalMemory {
    /// The `len` bytes at `address`, when they can be read.
    fn bytes(&self, address: u64, len: usize) -> Option<&'static [u8]>;
}

/// What a machine can do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PvhError {
    /// The start info is not where the entry register points, or its first word is wrong.
    NoStartInfo,
    /// The version has no memory map.
    NoMemoryMap,
    /// The memory map, a module or the command line lies outside of memory.
    OutOfMemory,
    /// The memory map has more entries than fit.
    TooManyRegions,
    /// The command line has no end.
    EndlessCommandLine,
}

impl PvhError {
    /// One line for the user.
    pub const fn cause(self) -> &'static str {
        match self {
            PvhError::NoStartInfo => "the machine gave no PVH start info",
            PvhError::NoMemoryMap => "the machine gave no memory map: its PVH version is too old",
            PvhError::OutOfMemory => "the machine's start info points outside of memory",
            PvhError::TooManyRegions => "the machine's memory map has too many entries",
            PvhError::EndlessCommandLine => "the machine's command line has no end",
        }
    }
}

impl fmt::Display for PvhError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cause())
    }
}

impl core::error::Error for PvhError {}

/// A range of memory with its E820 type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Address of the first byte.
    pub base: u64,
    /// Length in bytes.
    pub len: u64,
    /// 1 RAM, 3 ACPI tables, others reserved (ACPI specification, section 15).
    pub kind: u32,
}

/// The parsed start info.
#[derive(Debug)]
pub struct StartInfo<'m, M> {
    memory: &'m M,
    address: u64,
    fields: &'static [u8],
}

const LEN: usize = 56;
const MODULE_LEN: usize = 32;
const REGION_LEN: usize = 24;
/// Longest command line that is read, in bytes.
const MAX_COMMAND_LINE: usize = 1 << 20;

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    bytes.get(offset..offset + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    bytes.get(offset..offset + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

impl<'m, M: PhysicalMemory> StartInfo<'m, M> {
    /// Reads the structure at `address`.
    ///
    /// # Errors
    /// [`PvhError::NoStartInfo`], [`PvhError::NoMemoryMap`].
    pub fn read(memory: &'m M, address: u64) -> Result<Self, PvhError> {
        let fields = memory.bytes(address, LEN).ok_or(PvhError::NoStartInfo)?;
        if u32_at(fields, 0) != MAGIC {
            return Err(PvhError::NoStartInfo);
        }
        if u32_at(fields, 4) == 0 {
            return Err(PvhError::NoMemoryMap);
        }
        Ok(Self { memory, address, fields })
    }

    /// Address of the ACPI root pointer, or 0.
    pub fn rsdp(&self) -> u64 {
        u64_at(self.fields, 32)
    }

    /// The memory map.
    ///
    /// # Errors
    /// [`PvhError::NoMemoryMap`], [`PvhError::TooManyRegions`], [`PvhError::OutOfMemory`].
    pub fn regions(&self) -> Result<impl Iterator<Item = Region> + use<M>, PvhError> {
        let (address, count) = (u64_at(self.fields, 40), u32_at(self.fields, 48) as usize);
        match count {
            0 => return Err(PvhError::NoMemoryMap),
            1..=MAX_REGIONS => {}
            _ => return Err(PvhError::TooManyRegions),
        }
        let entries =
            self.memory.bytes(address, count * REGION_LEN).ok_or(PvhError::OutOfMemory)?;
        Ok(entries.chunks_exact(REGION_LEN).map(|e| Region {
            base: u64_at(e, 0),
            len: u64_at(e, 8),
            kind: u32_at(e, 16),
        }))
    }

    /// Address and length of all that this structure consists of and points to, modules excepted:
    /// start info, memory map, module list, command line with its final zero.
    ///
    /// # Errors
    /// As [`Self::command_line`].
    pub fn ranges(&self) -> Result<[(u64, u64); 4], PvhError> {
        let list = |address: usize, count: usize, entry_len: usize| {
            let count = u64::from(u32_at(self.fields, count));
            (u64_at(self.fields, address), count * entry_len as u64)
        };
        let words = u64_at(self.fields, 24);
        let words_len = if words == 0 { 0 } else { self.command_line()?.len() as u64 + 1 };
        Ok([
            (self.address, LEN as u64),
            list(40, 48, REGION_LEN),
            list(16, 12, MODULE_LEN),
            (words, words_len),
        ])
    }

    /// Address and length of the first module, the initial ram disk.
    ///
    /// # Errors
    /// [`PvhError::OutOfMemory`].
    pub fn module(&self) -> Result<Option<(u64, u64)>, PvhError> {
        if u32_at(self.fields, 12) == 0 {
            return Ok(None);
        }
        let entry =
            self.memory.bytes(u64_at(self.fields, 16), MODULE_LEN).ok_or(PvhError::OutOfMemory)?;
        Ok(Some((u64_at(entry, 0), u64_at(entry, 8))).filter(|(_, len)| *len > 0))
    }

    /// The command line without its final zero.
    ///
    /// # Errors
    /// [`PvhError::OutOfMemory`], [`PvhError::EndlessCommandLine`].
    pub fn command_line(&self) -> Result<&'static [u8], PvhError> {
        let address = u64_at(self.fields, 24);
        if address == 0 {
            return Ok(&[]);
        }
        // How much can be read is not known, so look ever further.
        let mut len = 256;
        while len <= MAX_COMMAND_LINE {
            let bytes = self.memory.bytes(address, len).ok_or(PvhError::OutOfMemory)?;
            if let Some(end) = bytes.iter().position(|b| *b == 0) {
                return Ok(&bytes[..end]);
            }
            len *= 4;
        }
        Err(PvhError::EndlessCommandLine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug)]
    struct Memory(&'static [u8]);

    impl PhysicalMemory for Memory {
        fn bytes(&self, address: u64, len: usize) -> Option<&'static [u8]> {
            let start = usize::try_from(address).ok()?;
            self.0.get(start..start.checked_add(len)?)
        }
    }

    /// Start info at 0x100, map at 0x200, module list at 0x300, command line at 0x400.
    fn machine() -> Vec<u8> {
        let mut m = vec![0u8; 0x1000];
        let mut put = |at: usize, bytes: &[u8]| m[at..at + bytes.len()].copy_from_slice(bytes);
        put(0x100, &MAGIC.to_le_bytes());
        put(0x104, &1u32.to_le_bytes());
        put(0x10c, &1u32.to_le_bytes());
        put(0x110, &0x300u64.to_le_bytes());
        put(0x118, &0x400u64.to_le_bytes());
        put(0x120, &0xe0000u64.to_le_bytes());
        put(0x128, &0x200u64.to_le_bytes());
        put(0x130, &2u32.to_le_bytes());
        put(0x208, &0x9fc00u64.to_le_bytes());
        put(0x210, &1u32.to_le_bytes());
        put(0x218, &0x10_0000u64.to_le_bytes());
        put(0x220, &0x70_0000u64.to_le_bytes());
        put(0x228, &1u32.to_le_bytes());
        put(0x300, &0x50_0000u64.to_le_bytes());
        put(0x308, &1234u64.to_le_bytes());
        put(0x400, b"a.b=c -- d\0");
        m
    }

    fn memory(bytes: Vec<u8>) -> Memory {
        Memory(bytes.leak())
    }

    #[test]
    fn a_good_machine() {
        let memory = memory(machine());
        let info = StartInfo::read(&memory, 0x100).unwrap();
        let regions: Vec<Region> = info.regions().unwrap().collect();
        assert_eq!(regions[1], Region { base: 0x10_0000, len: 0x70_0000, kind: 1 });
        assert_eq!(info.module(), Ok(Some((0x50_0000, 1234))));
        assert_eq!(info.command_line(), Ok(&b"a.b=c -- d"[..]));
        assert_eq!(info.rsdp(), 0xe0000);
        let ranges = [(0x100, 56), (0x200, 48), (0x300, 32), (0x400, 11)];
        assert_eq!(info.ranges(), Ok(ranges));
    }

    #[test]
    fn bad_machines() {
        assert_eq!(StartInfo::read(&memory(vec![0; 64]), 0).unwrap_err(), PvhError::NoStartInfo);
        let mut m = machine();
        m[0x104] = 0;
        assert_eq!(StartInfo::read(&memory(m), 0x100).unwrap_err(), PvhError::NoMemoryMap);
        let mut m = machine();
        m[0x131] = 1;
        let m = memory(m);
        assert!(matches!(
            StartInfo::read(&m, 0x100).unwrap().regions().err(),
            Some(PvhError::TooManyRegions)
        ));
        let mut m = machine();
        m[0x400..].fill(b'x');
        let m = memory(m);
        let info = StartInfo::read(&m, 0x100).unwrap();
        assert_eq!(info.command_line(), Err(PvhError::OutOfMemory));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut m in prop::collection::vec(any::<u8>(), 56..400), at in 0u64..400) {
            let start = (at as usize).min(m.len() - 56);
            m[start..start + 4].copy_from_slice(&MAGIC.to_le_bytes());
            let memory = memory(m);
            let _ = StartInfo::read(&memory, at);
            if let Ok(info) = StartInfo::read(&memory, start as u64) {
                let _ = info.regions().map(|r| r.count());
                let _ = (info.module(), info.command_line(), info.ranges());
            }
        }

        #[test]
        fn damage_never_panics(changes in prop::collection::vec((0usize..0x440, any::<u8>()), 0..30)) {
            let mut m = machine();
            for (at, byte) in changes {
                m[at] = byte;
            }
            let memory = memory(m);
            if let Ok(info) = StartInfo::read(&memory, 0x100) {
                let _ = info.regions().map(|r| r.count());
                let _ = info.module();
                let _ = info.command_line();
                let _ = info.ranges();
                let _ = info.rsdp();
            }
        }
    }
}
