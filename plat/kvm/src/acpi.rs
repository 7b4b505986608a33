//! The machine's CPUs according to ACPI: root pointer, root table, multiple APIC description table
//! (ACPI specification 6.5, sections 5.2.5 to 5.2.12).
//!
//! Pure parsing of memory that somebody else wrote: nothing in it is trusted.

use crate::pvh::PhysicalMemory;

/// CPUs that are looked for at most.
pub const MAX: usize = 64;

/// Where the firmware of a PC puts the root pointer.
const BIOS_AREA: u64 = 0xe_0000;
const BIOS_AREA_LEN: usize = 0x2_0000;
const ROOT_POINTER_LEN: usize = 36;
/// Length of the part that all versions have, and that its checksum covers.
const ROOT_POINTER_V1_LEN: usize = 20;
const HEADER_LEN: usize = 36;
/// A table of this kind is never longer.
const MAX_TABLE_LEN: usize = 1 << 16;

/// Numbers of local APICs, in the order of the table, each once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Apics {
    ids: [u8; MAX],
    len: usize,
}

impl Apics {
    /// The numbers.
    pub fn ids(&self) -> &[u8] {
        &self.ids[..self.len]
    }

    fn push(&mut self, id: u8) {
        if !self.ids().contains(&id)
            && let Some(slot) = self.ids.get_mut(self.len)
        {
            *slot = id;
            self.len += 1;
        }
    }
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

fn sums_to_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0u8, |sum, b| sum.wrapping_add(*b)) == 0
}

fn is_root_pointer(bytes: &[u8]) -> bool {
    bytes.starts_with(b"RSD PTR ") && bytes.get(..ROOT_POINTER_V1_LEN).is_some_and(sums_to_zero)
}

/// The table at an address, with its header.
fn table<M: PhysicalMemory>(memory: &M, address: u64) -> Option<&'static [u8]> {
    let header = memory.bytes(address, HEADER_LEN)?;
    let len = u32_at(header, 4)? as usize;
    if !(HEADER_LEN..=MAX_TABLE_LEN).contains(&len) {
        return None;
    }
    memory.bytes(address, len).filter(|table| sums_to_zero(table))
}

/// The local APICs of CPUs that can be used. `root` is the address of the root pointer, or 0 when
/// it must be searched for. `None` when the machine has no such tables.
pub fn find_cpus<M: PhysicalMemory>(memory: &M, root: u64) -> Option<Apics> {
    let at = |address| memory.bytes(address, ROOT_POINTER_LEN).filter(|p| is_root_pointer(p));
    let root = at(root).or_else(|| {
        let area = memory.bytes(BIOS_AREA, BIOS_AREA_LEN)?;
        area.windows(ROOT_POINTER_LEN).step_by(16).find(|p| is_root_pointer(p))
    })?;
    let (list, entry_len) = match (root.get(15)?, u64_at(root, 24)?) {
        (2.., list) if list != 0 => (list, 8),
        _ => (u32_at(root, 16)?.into(), 4),
    };
    let list = table(memory, list)?;
    let addresses = list.get(HEADER_LEN..)?.chunks_exact(entry_len).filter_map(|entry| {
        if entry_len == 8 { u64_at(entry, 0) } else { u32_at(entry, 0).map(u64::from) }
    });
    for address in addresses {
        if memory.bytes(address, HEADER_LEN).is_some_and(|header| header.starts_with(b"APIC")) {
            return Some(apics(table(memory, address)?));
        }
    }
    None
}

/// The entries of a multiple APIC description table.
fn apics(table: &[u8]) -> Apics {
    const ENTRIES: usize = HEADER_LEN + 8;
    const LOCAL_APIC: u8 = 0;
    const LOCAL_X2APIC: u8 = 9;
    const ENABLED: u32 = 1;
    let mut found = Apics { ids: [0; MAX], len: 0 };
    let mut rest = table.get(ENTRIES..).unwrap_or_default();
    while let [kind, len, ..] = *rest {
        let Some(entry) = rest.get(..len.into()).filter(|entry| entry.len() >= 2) else { break };
        let id_flags = match kind {
            LOCAL_APIC => entry.get(3).map(|id| u32::from(*id)).zip(u32_at(entry, 4)),
            LOCAL_X2APIC => u32_at(entry, 4).zip(u32_at(entry, 8)),
            _ => None,
        };
        // 255 is not a CPU but all of them.
        if let Some((id @ 0..255, flags)) = id_flags
            && flags & ENABLED != 0
        {
            found.push(id as u8);
        }
        rest = &rest[len.into()..];
    }
    found
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

    fn put(m: &mut [u8], at: usize, bytes: &[u8]) {
        m[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn fix_sum(m: &mut [u8], at: usize, len: usize, sum_at: usize) {
        m[at + sum_at] = 0;
        let sum = m[at..at + len].iter().fold(0u8, |s, b| s.wrapping_add(*b));
        m[at + sum_at] = sum.wrapping_neg();
    }

    /// Root pointer at 0xf5ad0, RSDT at 0x200, XSDT at 0x280, MADT at 0x300 with CPUs 0, 2 (one that
    /// is disabled between), an I/O APIC, and x2APIC entries 2 and 5.
    fn machine(revision: u8) -> Vec<u8> {
        let mut m = vec![0u8; 0x10_0000];
        put(&mut m, 0xf_5ad0, b"RSD PTR ");
        m[0xf_5ad0 + 15] = revision;
        put(&mut m, 0xf_5ad0 + 16, &0x200u32.to_le_bytes());
        put(&mut m, 0xf_5ad0 + 24, &0x280u64.to_le_bytes());
        fix_sum(&mut m, 0xf_5ad0, 20, 8);
        let header = |m: &mut Vec<u8>, at: usize, name: &[u8], len: usize| {
            put(m, at, name);
            put(m, at + 4, &(len as u32).to_le_bytes());
            fix_sum(m, at, len, 9);
        };
        put(&mut m, 0x200 + 40, &0x300u32.to_le_bytes());
        header(&mut m, 0x200, b"RSDT", 44);
        put(&mut m, 0x280 + 44, &0x300u64.to_le_bytes());
        header(&mut m, 0x280, b"XSDT", 52);
        let entries = [
            &[0u8, 8, 0, 0, 1, 0, 0, 0][..],
            &[0, 8, 1, 1, 0, 0, 0, 0],
            &[1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0, 8, 2, 2, 1, 0, 0, 0],
            &[9, 16, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
            &[9, 16, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        put(&mut m, 0x300 + 44, &entries);
        header(&mut m, 0x300, b"APIC", 44 + entries.len());
        m
    }

    fn find(m: Vec<u8>, root: u64) -> Option<Vec<u8>> {
        find_cpus(&Memory(m.leak()), root).map(|apics| apics.ids().to_vec())
    }

    #[test]
    fn good_machines() {
        for revision in [0, 2] {
            assert_eq!(find(machine(revision), 0), Some(vec![0, 2, 5]));
            assert_eq!(find(machine(revision), 0xf_5ad0), Some(vec![0, 2, 5]));
            // A wrong address is no reason to give up.
            assert_eq!(find(machine(revision), 0x77), Some(vec![0, 2, 5]));
        }
    }

    #[test]
    fn bad_machines() {
        assert_eq!(find(vec![0; 0x10_0000], 0), None);
        let mut m = machine(2);
        m[0x300 + 50] ^= 1; // the checksum of the table is wrong
        assert_eq!(find(m, 0), None);
        let mut m = machine(2);
        m[0xf_5ad0] = b'r';
        assert_eq!(find(m, 0), None);
    }

    #[test]
    fn entries_without_end_end() {
        let mut table = vec![0u8; 60];
        table[44] = 7; // of length 0
        assert_eq!(apics(&table).ids(), []);
        table[45] = 200; // beyond the table
        assert_eq!(apics(&table).ids(), []);
    }

    proptest! {
        #[test]
        fn damage_never_panics(
            changes in prop::collection::vec((0usize..0x200, any::<u8>()), 0..20),
            root in prop_oneof![Just(0u64), Just(0xf_5ad0), any::<u64>()],
        ) {
            let mut m = machine(2);
            for (at, byte) in changes {
                m[0x200 + at] = byte;
            }
            // Damage behind right checksums goes further.
            for (at, sum_at) in [(0x200, 9), (0x280, 9), (0x300, 9)] {
                let len = u32_at(&m, at + 4).unwrap() as usize;
                if (HEADER_LEN..0x200).contains(&len) {
                    fix_sum(&mut m, at, len, sum_at);
                }
            }
            let _ = find(m, root);
        }

        #[test]
        fn arbitrary_tables_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let found = apics(&bytes);
            prop_assert!(found.ids().len() <= MAX);
        }
    }
}
