//! Looking up a function in the vDSO, the small library that the kernel maps into each process
//! (vdso(7); System V gABI chapter 5 "Dynamic Linking").
//!
//! The kernel is trusted to map a good image; that nothing outside of it is read even if it is not
//! keeps the parser safe code, but for the one place that makes the image a slice.

const HEADER_LEN: usize = 64;
const PROGRAM_HEADER_LEN: u64 = 56;
const SYMBOL_LEN: u64 = 24;
/// At least this much is mapped where the kernel says that the image is.
const PAGE: usize = 4096;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_GNU_HASH: u64 = 0x6fff_fef5;

/// The address of the function `name`, or null.
///
/// # Safety
/// `base` must point to an image that the kernel mapped as vDSO; it stays mapped.
pub unsafe fn symbol(base: *const u8, name: &[u8]) -> *const () {
    // SAFETY: the caller's promise; a mapping has at least one page.
    let start = Elf(unsafe { core::slice::from_raw_parts(base, PAGE) });
    let Some(len) = start.mapped_len() else { return core::ptr::null() };
    // SAFETY: the image says that it takes this much memory, and the kernel mapped all of it.
    let image = Elf(unsafe { core::slice::from_raw_parts(base, len) });
    match image.symbol(name) {
        // SAFETY: the offset lies inside the image.
        Some(offset) => unsafe { base.add(offset).cast() },
        None => core::ptr::null(),
    }
}

/// The addresses of the image; none if it says nothing good of itself.
///
/// # Safety
/// As [`symbol`].
#[cfg(feature = "trap")]
pub unsafe fn range(base: *const u8) -> core::ops::Range<usize> {
    // SAFETY: the caller's promise; a mapping has at least one page.
    let start = Elf(unsafe { core::slice::from_raw_parts(base, PAGE) });
    base as usize..base as usize + start.mapped_len().unwrap_or(0)
}

/// A 64-bit little-endian ELF image, or the start of one.
struct Elf<'a>(&'a [u8]);

impl Elf<'_> {
    fn bytes<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        let at = usize::try_from(at).ok()?;
        self.0.get(at..at.checked_add(N)?)?.try_into().ok()
    }

    fn u16(&self, at: u64) -> Option<u16> {
        self.bytes(at).map(u16::from_le_bytes)
    }

    fn u32(&self, at: u64) -> Option<u32> {
        self.bytes(at).map(u32::from_le_bytes)
    }

    fn u64(&self, at: u64) -> Option<u64> {
        self.bytes(at).map(u64::from_le_bytes)
    }

    /// Offset of the first program header of a kind.
    fn program_header(&self, kind: u32) -> Option<u64> {
        let (start, count) = (self.u64(32)?, self.u16(56)?);
        let mut headers = (0..u64::from(count)).map(|i| start.wrapping_add(i * PROGRAM_HEADER_LEN));
        headers.find(|at| self.u32(*at) == Some(kind))
    }

    /// Length in memory: that of the one loaded segment, which starts with the header.
    fn mapped_len(&self) -> Option<usize> {
        let load = self.program_header(PT_LOAD)?;
        let starts = self.u64(load.checked_add(8)?)? == 0;
        let len = usize::try_from(self.u64(load.checked_add(40)?)?).ok()?;
        (starts && len >= HEADER_LEN && len <= isize::MAX as usize).then_some(len)
    }

    /// Offset of the function of this name.
    fn symbol(&self, name: &[u8]) -> Option<usize> {
        // Addresses in the image count from where its loaded segment would like to be.
        let load = self.program_header(PT_LOAD)?;
        let preferred = self.u64(load.checked_add(16)?)?;
        let dynamic = self.u64(self.program_header(PT_DYNAMIC)?.checked_add(8)?)?;
        let (mut strings, mut symbols, mut hash, mut gnu_hash) = (None, None, None, None);
        for entry in 0.. {
            let at = dynamic.checked_add(entry * 16)?;
            let value = Some(self.u64(at.checked_add(8)?)?.wrapping_sub(preferred));
            match self.u64(at)? {
                0 => break,
                DT_STRTAB => strings = value,
                DT_SYMTAB => symbols = value,
                DT_HASH => hash = value,
                DT_GNU_HASH => gnu_hash = value,
                _ => {}
            }
        }
        let (strings, symbols) = (strings?, symbols?);
        let count = match (hash, gnu_hash) {
            // The second word of the hash table is the number of symbols.
            (Some(table), _) => u64::from(self.u32(table.checked_add(4)?)?),
            (None, Some(table)) => self.gnu_symbol_count(table)?,
            (None, None) => return None,
        };
        for index in 0..count {
            let at = symbols.checked_add(index * SYMBOL_LEN)?;
            let is_defined = self.u16(at.checked_add(6)?)? != 0;
            let text = strings.checked_add(self.u32(at)?.into())?;
            if is_defined && self.is_text(text, name) {
                let offset = self.u64(at.checked_add(8)?)?.wrapping_sub(preferred);
                return usize::try_from(offset).ok().filter(|offset| *offset < self.0.len());
            }
        }
        None
    }

    /// Whether this zero-terminated text is at an offset.
    fn is_text(&self, at: u64, text: &[u8]) -> bool {
        let rest = usize::try_from(at).ok().and_then(|at| self.0.get(at..));
        rest.and_then(|r| r.strip_prefix(text)).is_some_and(|r| r.first() == Some(&0))
    }

    /// Number of symbols according to a `DT_GNU_HASH` table: one more than the last in the chains.
    fn gnu_symbol_count(&self, table: u64) -> Option<u64> {
        // Header (4 words), bloom filter (64-bit words), buckets, chains; the last entry of each
        // chain has its lowest bit set.
        let word = |at: u64| self.u32(at).map(u64::from);
        let (bucket_count, first) = (word(table)?, word(table.checked_add(4)?)?);
        let bloom_words = word(table.checked_add(8)?)?;
        let buckets = table.checked_add(16 + 8 * bloom_words)?;
        let chains = buckets.checked_add(4 * bucket_count)?;
        let mut last = 0;
        for bucket in 0..bucket_count {
            last = last.max(word(buckets.checked_add(4 * bucket)?)?);
        }
        if last < first {
            return Some(0);
        }
        while word(chains.checked_add(4 * (last - first))?)? & 1 == 0 {
            last += 1;
        }
        Some(last + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Address of the vDSO of this process.
    fn base() -> Option<*const u8> {
        const AT_SYSINFO_EHDR: u64 = 33;
        let auxv = std::fs::read("/proc/self/auxv").unwrap();
        let word = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().unwrap());
        let entry = auxv.chunks_exact(16).find(|e| word(&e[..8]) == AT_SYSINFO_EHDR)?;
        Some(word(&entry[8..]) as *const u8)
    }

    #[test]
    fn finds_the_clock_of_this_machine() {
        let Some(base) = base() else {
            eprintln!("this kernel gives no vDSO: system calls are used instead");
            return;
        };
        // SAFETY: the address comes from the kernel.
        unsafe {
            assert!(!symbol(base, b"__vdso_clock_gettime").is_null());
            assert!(symbol(base, b"no_such_function").is_null());
            assert!(symbol(base, b"__vdso_clock_gettim").is_null());
        }
    }

    /// An image with the function `f` at 0x180, and a hash table of one of the two kinds.
    fn image(gnu: bool) -> Vec<u8> {
        const PREFERRED: u64 = 0x7000_0000;
        let mut image = vec![0u8; 0x200];
        let mut put = |at: usize, words: &[u64]| {
            for (i, word) in words.iter().enumerate() {
                image[at + 8 * i..at + 8 * i + 8].copy_from_slice(&word.to_le_bytes());
            }
        };
        put(32, &[64, 0, 0, 2]); // program headers: offset; count (at 56)
        put(64, &[PT_LOAD.into(), 0, PREFERRED, PREFERRED, 0x200, 0x200]);
        put(120, &[PT_DYNAMIC.into(), 0xb0, PREFERRED + 0xb0]);
        let table = if gnu { DT_GNU_HASH } else { DT_HASH };
        put(0xb0, &[DT_STRTAB, PREFERRED + 0x100, DT_SYMTAB, PREFERRED + 0x110]);
        put(0xd0, &[table, PREFERRED + 0x140, 0, 0]);
        put(0x110 + 24, &[1 | 1 << 48, PREFERRED + 0x180, 0]); // name 1, section 1
        if gnu {
            // One bucket, first symbol 1, one word of filter; bucket 1; one chain of one.
            put(0x140, &[1 | 1 << 32, 1, 0, 1 | 1 << 32]);
        } else {
            put(0x140, &[1 | 2 << 32]);
        }
        image[0x101] = b'f';
        image
    }

    #[test]
    fn both_kinds_of_hash_table_will_do() {
        for gnu in [false, true] {
            let image = image(gnu);
            let elf = Elf(&image);
            assert_eq!(elf.mapped_len(), Some(0x200));
            assert_eq!(elf.symbol(b"f"), Some(0x180));
            assert_eq!(elf.symbol(b"g"), None);
            assert_eq!(elf.symbol(b"ff"), None);
        }
    }

    proptest! {
        #[test]
        fn damage_never_panics(
            gnu: bool,
            changes in prop::collection::vec((0usize..0x1a0, any::<u8>()), 0..12),
            end in 0usize..0x201,
        ) {
            let mut image = image(gnu);
            for (at, byte) in changes {
                image[at] = byte;
            }
            let elf = Elf(&image[..end]);
            let _ = elf.mapped_len();
            if let Some(offset) = elf.symbol(b"f") {
                prop_assert!(offset < end);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Elf(&bytes).symbol(b"f");
        }
    }
}
