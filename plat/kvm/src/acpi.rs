//! The machine's CPUs, interrupt controllers and devices according to ACPI: root pointer, root
//! table, and the tables that it lists (ACPI specification 6.5, sections 5.2.5 to 5.2.12).
//!
//! Pure parsing of memory that somebody else wrote: nothing in it is trusted.

use crate::pvh::PhysicalMemory;

/// CPUs that are looked for at most.
#[cfg(any(feature = "smp", test))]
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
#[cfg(any(feature = "smp", test))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Apics {
    ids: [u8; MAX],
    len: usize,
}

#[cfg(any(feature = "smp", test))]
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

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
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

/// The table with a signature. `root` is the address of the root pointer, or 0 when it must be
/// searched for. `None` when the machine has no such table.
pub fn find_table<M: PhysicalMemory>(
    memory: &M,
    root: u64,
    signature: &[u8; 4],
) -> Option<&'static [u8]> {
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
    let mut addresses = list.get(HEADER_LEN..)?.chunks_exact(entry_len).filter_map(|entry| {
        if entry_len == 8 { u64_at(entry, 0) } else { u32_at(entry, 0).map(u64::from) }
    });
    let is_wanted = |address: &u64| {
        memory.bytes(*address, HEADER_LEN).is_some_and(|header| header.starts_with(signature))
    };
    table(memory, addresses.find(is_wanted)?)
}

/// The local APICs of CPUs that can be used; see [`find_table`].
#[cfg(any(feature = "smp", test))]
pub fn find_cpus<M: PhysicalMemory>(memory: &M, root: u64) -> Option<Apics> {
    find_table(memory, root, b"APIC").map(apics)
}

/// The entries of a multiple APIC description table: kind, and the whole entry.
fn madt_entries(table: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    const ENTRIES: usize = HEADER_LEN + 8;
    let mut rest = table.get(ENTRIES..).unwrap_or_default();
    core::iter::from_fn(move || {
        let [kind, len, ..] = *rest else { return None };
        let entry = rest.get(..len.into()).filter(|entry| entry.len() >= 2)?;
        rest = &rest[len.into()..];
        Some((kind, entry))
    })
}

/// The local APICs of a multiple APIC description table.
#[cfg(any(feature = "smp", test))]
fn apics(table: &[u8]) -> Apics {
    const LOCAL_APIC: u8 = 0;
    const LOCAL_X2APIC: u8 = 9;
    const ENABLED: u32 = 1;
    let mut found = Apics { ids: [0; MAX], len: 0 };
    for (kind, entry) in madt_entries(table) {
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
    }
    found
}

/// The I/O APICs of a multiple APIC description table: physical address, and number of the first
/// interrupt line.
pub fn io_apics(table: &[u8]) -> impl Iterator<Item = (u64, u32)> {
    const IO_APIC: u8 = 1;
    madt_entries(table)
        .filter(|(kind, _)| *kind == IO_APIC)
        .filter_map(|(_, entry)| Some((u32_at(entry, 4)?.into(), u32_at(entry, 8)?)))
}

/// Configuration spaces in an MCFG table (PCI Firmware 3.3, section 4.1.2): physical address of
/// bus 0's space, first and last bus. Only the first segment, the one that all machines have.
#[cfg(any(feature = "devices", test))]
pub fn pci_express(table: &[u8]) -> impl Iterator<Item = (u64, u8, u8)> {
    let entries = table.get(HEADER_LEN + 8..).unwrap_or_default().chunks_exact(16);
    entries.filter_map(|entry| match *entry.get(8..12)? {
        [0, 0, first, last] if first <= last => Some((u64_at(entry, 0)?, first, last)),
        _ => None,
    })
}

/// The fixed description table (section 5.2.9); see [`find_table`].
pub fn find_fixed<M: PhysicalMemory>(memory: &M, root: u64) -> Option<&'static [u8]> {
    find_table(memory, root, b"FACP")
}

/// The differentiated system description table, to which the fixed one points.
pub fn find_description<M: PhysicalMemory>(memory: &M, fixed: &[u8]) -> Option<&'static [u8]> {
    let wide = u64_at(fixed, 140).filter(|address| *address != 0);
    let address = wide.or_else(|| u32_at(fixed, 40).map(u64::from))?;
    table(memory, address).filter(|table| table.starts_with(b"DSDT"))
}

/// A power button, as virtual machines have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerButton {
    /// In fixed registers (section 4.8.3.1), I/O ports.
    Fixed {
        /// What happened; writing a bit clears it.
        status: u16,
        /// What interrupts.
        enable: u16,
        /// The interrupt line.
        line: u32,
        /// Port and value that make the firmware leave the registers to us.
        takeover: Option<(u16, u8)>,
    },
    /// In a register that says what happened, and forgets it, when it is read (QEMU, "generic event
    /// device" in `docs/specs/acpi_hw_reduced_hotplug`).
    Event {
        /// Physical address of the register, of 32 bits.
        selector: u64,
        /// The interrupt line.
        line: u32,
    },
}

/// The power button of a machine with these tables: multiple APIC, fixed, differentiated description.
pub fn power_button(apics: &[u8], fixed: &[u8], description: Option<&[u8]>) -> Option<PowerButton> {
    /// Flags: the button is no fixed one; there are no fixed registers.
    const BUTTON_ELSEWHERE: u32 = 1 << 4;
    const REDUCED: u32 = 1 << 20;
    let flags = u32_at(fixed, 112)?;
    if flags & REDUCED != 0 {
        return event_device(description?);
    }
    let status = u16::try_from(u32_at(fixed, 56)?).ok()?;
    let half = u16::from(fixed.get(88)? / 2);
    if flags & BUTTON_ELSEWHERE != 0 || status == 0 || half < 2 {
        return None;
    }
    let command = u16::try_from(u32_at(fixed, 48)?).ok().filter(|port| *port != 0);
    let takeover = command.zip(fixed.get(52).copied());
    let enable = status.checked_add(half)?;
    let line = line_of(apics, u16_at(fixed, 46)?);
    Some(PowerButton::Fixed { status, enable, line, takeover })
}

/// The line that an interrupt of the old controllers is (section 5.2.12.5).
fn line_of(apics: &[u8], source: u16) -> u32 {
    const OVERRIDE: u8 = 2;
    madt_entries(apics)
        .filter(|(kind, entry)| {
            *kind == OVERRIDE && entry.get(3).copied().map(u16::from) == Some(source)
        })
        .find_map(|(_, entry)| u32_at(entry, 4))
        .unwrap_or(source.into())
}

/// The generic event device of a description table, which is searched as [`virtio_mmio`] does: its
/// hardware identifier, the descriptor of its interrupt, the region of its register (section
/// 20.2.5.2) in system memory, at an address of 32 bits.
fn event_device(table: &[u8]) -> Option<PowerButton> {
    const ID: &[u8] = b"ACPI0013";
    const REGION: &[u8] = &[0x5b, 0x80];
    /// Behind the name of four letters: system memory, then an address of 32 bits.
    const IN_MEMORY: [u8; 2] = [0, 0x0c];
    let device = table.get(find(table, ID)?..)?;
    let device = &device[..device.len().min(NEAR)];
    let line = u32_at(device, find(device, INTERRUPT)? + 5)?;
    let region = device.get(find(device, REGION)? + REGION.len() + 4..)?;
    let selector = u32_at(region, 2).filter(|_| region.starts_with(&IN_MEMORY))?;
    Some(PowerButton::Event { selector: selector.into(), line })
}

/// Descriptor of an interrupt (section 6.4.3.6).
const INTERRUPT: &[u8] = &[0x89, 6, 0];
/// Bytes that one device has in a description table at most.
const NEAR: usize = 256;

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}

/// Virtio devices that a description table lists: physical address, length, interrupt line.
///
/// The table is a program. It is not run but searched: virtual machines write each device as
/// constants, its hardware identifier `LNRO0005`, then one descriptor of memory and one of an
/// interrupt (ACPI specification 6.5, sections 6.4.3.4 and 6.4.3.6).
#[cfg(any(feature = "devices", test))]
pub fn virtio_mmio(table: &[u8]) -> impl Iterator<Item = (u64, u64, Option<u32>)> {
    const ID: &[u8] = b"LNRO0005";
    const MEMORY: &[u8] = &[0x86, 9, 0];
    let mut rest = table;
    core::iter::from_fn(move || {
        loop {
            rest = &rest[find(rest, ID)? + ID.len()..];
            let device = &rest[..find(rest, ID).unwrap_or(rest.len()).min(NEAR)];
            let Some(at) = find(device, MEMORY) else { continue };
            let (Some(base), Some(len)) = (u32_at(device, at + 4), u32_at(device, at + 8)) else {
                continue;
            };
            let behind = device.get(at + 12..).unwrap_or_default();
            let line = find(behind, INTERRUPT).and_then(|at| u32_at(behind, at + 5));
            return Some((base.into(), len.into(), line));
        }
    })
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
    fn the_description_is_found_by_either_address() {
        for wide in [false, true] {
            let mut m = machine(2);
            // The table of the CPUs becomes the fixed one.
            put(&mut m, 0x300, b"FACP");
            put(&mut m, 0x304, &160u32.to_le_bytes());
            put(&mut m, 0x300 + 40, &(if wide { 0x77u32 } else { 0x600 }).to_le_bytes());
            put(&mut m, 0x300 + 140, &(if wide { 0x600u64 } else { 0 }).to_le_bytes());
            fix_sum(&mut m, 0x300, 160, 9);
            put(&mut m, 0x600, b"DSDT");
            put(&mut m, 0x604, &40u32.to_le_bytes());
            fix_sum(&mut m, 0x600, 40, 9);
            let memory = Memory(m.leak());
            let fixed = find_fixed(&memory, 0).expect("it is there");
            let found = find_description(&memory, fixed).expect("it is there");
            assert_eq!((found.len(), &found[..4]), (40, &b"DSDT"[..]));
        }
        let memory = Memory(machine(2).leak());
        assert_eq!(find_fixed(&memory, 0), None);
        assert_eq!(find_description(&memory, &[]), None);
    }

    /// A fixed table with event registers at ports 0x600 to 0x603 and interrupt 9.
    fn fixed() -> Vec<u8> {
        let mut m = vec![0u8; 244];
        put(&mut m, 46, &9u16.to_le_bytes());
        put(&mut m, 48, &0xb2u32.to_le_bytes());
        m[52] = 2;
        put(&mut m, 56, &0x600u32.to_le_bytes());
        m[88] = 4;
        m
    }

    /// A multiple APIC table in which interrupt 9 is line 20.
    fn apics_with_override() -> Vec<u8> {
        let mut m = vec![0u8; 44];
        m.extend([2, 10, 0, 5, 5, 0, 0, 0, 13, 0, 2, 10, 0, 9, 20, 0, 0, 0, 13, 0]);
        m
    }

    const EVENTS: &[u8] = b"DSDT....ACPI0013....\x89\x06\x00\x03\x01\x09\x00\x00\x00\
        \x5b\x80EREG\x00\x0c\x00\x00\xa0\xfe\x0a\x04";

    #[test]
    fn the_button_is_in_fixed_registers() {
        let takeover = Some((0xb2, 2));
        let button =
            |line| Some(PowerButton::Fixed { status: 0x600, enable: 0x602, line, takeover });
        assert_eq!(power_button(&apics_with_override(), &fixed(), None), button(20));
        assert_eq!(power_button(&[], &fixed(), None), button(9));
        let mut no_firmware = fixed();
        no_firmware[48] = 0;
        let found = power_button(&[], &no_firmware, None);
        assert!(matches!(found, Some(PowerButton::Fixed { takeover: None, .. })));
        for (at, value) in [(56 + 2, 1), (57, 0), (88, 2), (112, 1 << 4)] {
            let mut without = fixed();
            without[at] = value;
            assert_eq!(power_button(&[], &without, Some(EVENTS)), None, "{at}");
        }
    }

    #[test]
    fn the_button_is_an_event() {
        let mut reduced = fixed();
        reduced[114] = 1 << 4;
        let button = PowerButton::Event { selector: 0xfea0_0000, line: 9 };
        assert_eq!(power_button(&[], &reduced, Some(EVENTS)), Some(button));
        assert_eq!(power_button(&[], &reduced, None), None);
        for len in 0..EVENTS.len() - 2 {
            assert_eq!(power_button(&[], &reduced, Some(&EVENTS[..len])), None, "{len}");
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

    #[test]
    fn interrupt_controllers() {
        let mut table = vec![0u8; 44];
        table.extend([1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 24, 0, 0, 0]);
        table.extend([1, 3, 0]); // too short
        assert_eq!(io_apics(&table).collect::<Vec<_>>(), [(0xfec0_0000, 24)]);
    }

    #[test]
    fn configuration_spaces() {
        let mut table = vec![0u8; 44];
        table.extend(0xb000_0000u64.to_le_bytes());
        table.extend([0, 0, 0, 255, 0, 0, 0, 0]);
        table.extend(0xc000_0000u64.to_le_bytes());
        table.extend([1, 0, 0, 255, 0, 0, 0, 0]); // another segment
        table.extend([0; 8]);
        assert_eq!(pci_express(&table).collect::<Vec<_>>(), [(0xb000_0000, 0, 255)]);
    }

    #[test]
    fn virtio_devices_in_a_description() {
        let mut table = b"DSDT".to_vec();
        table.extend(b"LNRO0005 and nothing of use");
        table.extend(b"LNRO0005....\x86\x09\x00\x01\x00\x0e\xb0\xfe\x00\x02\x00\x00");
        table.extend(b"\x89\x06\x00\x0d\x01\x1f\x00\x00\x00\x79\x00");
        table.extend(b"LNRO0005....\x86\x09\x00\x01\x00\x0c\xb0\xfe\x00\x02\x00\x00");
        let found: Vec<_> = virtio_mmio(&table).collect();
        assert_eq!(found, [(0xfeb0_0e00, 0x200, Some(31)), (0xfeb0_0c00, 0x200, None)]);
        table.truncate(table.len() - 4);
        assert_eq!(virtio_mmio(&table).count(), 1);
    }

    proptest! {
        #[test]
        fn any_description_is_searched_to_its_end(
            parts in prop::collection::vec(prop::sample::select(vec![
                &b"LNRO0005"[..], &b"\x86\x09\x00"[..], &b"\x89\x06\x00"[..], &b"abcd"[..], &b"LNRO"[..],
                &b"ACPI0013"[..], &b"\x5b\x80"[..], &b"\x00\x0c"[..],
            ]), 0..200),
        ) {
            let table = parts.concat();
            prop_assert!(virtio_mmio(&table).count() <= table.len() / 8);
            let _ = (io_apics(&table).count(), pci_express(&table).count());
            let _ = event_device(&table);
        }

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
            let _ = power_button(&bytes, &bytes, Some(&bytes));
        }
    }
}
