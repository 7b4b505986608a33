//! Looking up a function in the vDSO, the small library that the kernel maps into each process
//! (vdso(7); System V gABI chapter 5 "Dynamic Linking").

use core::ffi::CStr;
use core::ptr::null;

#[repr(C)]
struct ElfHeader {
    ident: [u8; 16],
    kind: u16,
    machine: u16,
    version: u32,
    entry: u64,
    program_headers: u64,
    section_headers: u64,
    flags: u32,
    header_size: u16,
    program_header_size: u16,
    program_header_count: u16,
}

#[repr(C)]
struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    physical_address: u64,
    file_size: u64,
    memory_size: u64,
    align: u64,
}

#[repr(C)]
struct Dynamic {
    tag: i64,
    value: u64,
}

#[repr(C)]
struct Symbol {
    name: u32,
    info: u8,
    other: u8,
    section: u16,
    value: u64,
    size: u64,
}

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const DT_HASH: i64 = 4;
const DT_STRTAB: i64 = 5;
const DT_SYMTAB: i64 = 6;
const DT_GNU_HASH: i64 = 0x6fff_fef5;

/// The address of the function `name`, or null.
///
/// # Safety
/// `base` must point to a valid ELF image that stays mapped.
pub unsafe fn symbol(base: *const u8, name: &[u8]) -> *const () {
    // SAFETY: all reads follow offsets of the valid image that the caller promises.
    unsafe {
        let header = &*base.cast::<ElfHeader>();
        let headers = base.add(header.program_headers as usize).cast::<ProgramHeader>();
        let (mut load_offset, mut dynamic) = (None, null::<Dynamic>());
        for i in 0..header.program_header_count.into() {
            let entry = &*headers.add(i);
            if entry.kind == PT_LOAD && load_offset.is_none() {
                // What to add to an address in the image to get where it is mapped.
                load_offset = Some((base.addr() as u64 + entry.offset).wrapping_sub(entry.address));
            } else if entry.kind == PT_DYNAMIC {
                dynamic = base.add(entry.offset as usize).cast();
            }
        }
        let Some(load_offset) = load_offset else { return null() };
        if dynamic.is_null() {
            return null();
        }
        let mapped = |address: u64| load_offset.wrapping_add(address) as usize;
        let (mut strings, mut symbols, mut hash, mut gnu_hash) = (0, 0, 0, 0);
        while (*dynamic).tag != 0 {
            match (*dynamic).tag {
                DT_STRTAB => strings = mapped((*dynamic).value),
                DT_SYMTAB => symbols = mapped((*dynamic).value),
                DT_HASH => hash = mapped((*dynamic).value),
                DT_GNU_HASH => gnu_hash = mapped((*dynamic).value),
                _ => {}
            }
            dynamic = dynamic.add(1);
        }
        if strings == 0 || symbols == 0 {
            return null();
        }
        let count = if hash != 0 {
            // The second word of the hash table is the number of symbols.
            *(hash as *const u32).add(1)
        } else if gnu_hash != 0 {
            gnu_symbol_count(gnu_hash as *const u32)
        } else {
            0
        };
        for i in 0..count as usize {
            let symbol = &*(symbols as *const Symbol).add(i);
            let text = CStr::from_ptr((strings + symbol.name as usize) as *const _);
            if symbol.section != 0 && text.to_bytes() == name {
                return mapped(symbol.value) as *const ();
            }
        }
        null()
    }
}

/// Number of symbols according to a `DT_GNU_HASH` table: one more than the last in the chains.
///
/// # Safety
/// `table` must point to such a table.
unsafe fn gnu_symbol_count(table: *const u32) -> u32 {
    // SAFETY: the layout is header (4 words), bloom filter (64-bit words), buckets, chains; the
    // last entry of each chain has its lowest bit set.
    unsafe {
        let (bucket_count, first, bloom_words) = (*table, *table.add(1), *table.add(2));
        let buckets = table.add(4 + 2 * bloom_words as usize);
        let chains = buckets.add(bucket_count as usize);
        let mut last = 0;
        for i in 0..bucket_count as usize {
            last = last.max(*buckets.add(i));
        }
        if last < first {
            return 0;
        }
        while *chains.add((last - first) as usize) & 1 == 0 {
            last += 1;
        }
        last + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_clock_of_this_machine() {
        const AT_SYSINFO_EHDR: u64 = 33;
        let auxv = std::fs::read("/proc/self/auxv").unwrap();
        let base = auxv
            .chunks_exact(16)
            .map(|e| (u64::from_ne_bytes(e[..8].try_into().unwrap()), &e[8..]))
            .find(|(tag, _)| *tag == AT_SYSINFO_EHDR)
            .map(|(_, v)| u64::from_ne_bytes(v.try_into().unwrap()));
        let Some(base) = base else {
            eprintln!("this kernel gives no vDSO: system calls are used instead");
            return;
        };
        // SAFETY: the address comes from the kernel.
        unsafe {
            assert!(!symbol(base as *const u8, b"__vdso_clock_gettime").is_null());
            assert!(symbol(base as *const u8, b"no_such_function").is_null());
        }
    }
}
