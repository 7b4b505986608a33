//! Finding devices, or where they are listed: in ACPI tables and on the command line.

use ukplat::device::Device;
use ukplat::parse_size;

#[cfg(feature = "devices")]
use crate::acpi;
#[cfg(feature = "devices")]
use crate::pvh::PhysicalMemory;

/// Devices that are found at most.
pub const MAX: usize = 40;

/// A list of devices.
#[derive(Debug)]
pub struct Found {
    list: [Device; MAX],
    len: usize,
}

impl Found {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { list: [Device::VirtioMmio { base: 0, len: 0, line: None }; MAX], len: 0 }
    }

    /// What was found, by address: machines number their devices so, whatever the order in which
    /// they list them.
    pub fn devices(&mut self) -> &[Device] {
        let found = &mut self.list[..self.len];
        found.sort_unstable_by_key(base);
        found
    }

    /// Adds a device unless one at its address is there; what is too much is left out.
    fn add(&mut self, device: Device) {
        let is_new = self.list[..self.len].iter().all(|d| base(d) != base(&device));
        if is_new && let Some(slot) = self.list.get_mut(self.len) {
            *slot = device;
            self.len += 1;
        }
    }

    /// Adds what ACPI tables list.
    #[cfg(feature = "devices")]
    pub fn add_firmware<M: PhysicalMemory>(&mut self, memory: &M, root: u64) {
        if let Some(table) = acpi::find_table(memory, root, b"MCFG") {
            for (base, first_bus, last_bus) in acpi::pci_express(table) {
                // The table gives the address that bus 0 would have.
                let Some(base) = base.checked_add(u64::from(first_bus) << 20) else { continue };
                self.add(Device::PciExpress { base, first_bus, last_bus });
            }
        }
        let fixed = acpi::find_fixed(memory, root);
        if let Some(table) = fixed.and_then(|fixed| acpi::find_description(memory, fixed)) {
            for (base, len, line) in acpi::virtio_mmio(table) {
                self.add(Device::VirtioMmio { base, len, line });
            }
        }
    }

    /// Adds what virtual machines append to the command line; returns how many words are left.
    pub fn add_words(&mut self, words: &[&str]) -> usize {
        let mut left = words.len();
        while let Some(device) = words[..left].last().and_then(|w| virtio_mmio_word(w)) {
            left -= 1;
            self.add(device);
        }
        left
    }
}

fn base(device: &Device) -> u64 {
    match device {
        Device::PciExpress { base, .. }
        | Device::VirtioMmio { base, .. }
        | Device::VirtioShared { base, .. } => *base,
    }
}

/// Reads `virtio_mmio.device=SIZE@BASE:LINE[:ID]` (Linux,
/// Documentation/admin-guide/kernel-parameters.txt).
fn virtio_mmio_word(word: &str) -> Option<Device> {
    let (len, place) = word.strip_prefix("virtio_mmio.device=")?.split_once('@')?;
    let mut parts = place.split(':');
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    let base = number(parts.next()?)?;
    let line = u32::try_from(number(parts.next()?)?).ok()?;
    Some(Device::VirtioMmio { base, len: parse_size(len)? as u64, line: Some(line) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_at_the_end_are_devices() {
        let mut found = Found::new();
        let words = [
            "image",
            "virtio_mmio.device=512@0x1000:1",
            "a",
            "virtio_mmio.device=4K@0xd0000000:5",
            "virtio_mmio.device=512@0xfeb00e00:12:3",
            "virtio_mmio.device=512@0xfeb00e00:12:3",
        ];
        assert_eq!(found.add_words(&words), 3);
        let mmio = |base, len, line| Device::VirtioMmio { base, len, line: Some(line) };
        assert_eq!(
            found.devices(),
            [mmio(0xd000_0000, 4096, 5), mmio(0xfeb0_0e00, 512, 12)],
            "each once, by address"
        );
    }

    #[test]
    fn bad_words_stay_where_they_are() {
        for word in ["", "512@1:2", "=1@2", "=512@x:1", "=512@0x1", "=@1:1", "=1@1:-1"] {
            let word = format!("virtio_mmio.device{word}");
            assert_eq!(Found::new().add_words(&[word.as_str()]), 1, "{word}");
        }
    }

    #[test]
    fn too_many_are_left_out() {
        let words: Vec<String> =
            (1..100).map(|i| format!("virtio_mmio.device=512@{i}:1")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut found = Found::new();
        assert_eq!(found.add_words(&words), 0);
        assert_eq!(found.devices().len(), MAX);
    }

    proptest! {
        #[test]
        fn any_word_is_read_or_left(word in "virtio_mmio.device=[0-9KMx@:]{0,20}|.{0,30}") {
            let mut found = Found::new();
            let left = found.add_words(&[word.as_str()]);
            prop_assert_eq!(left + found.devices().len(), 1);
        }
    }
}
