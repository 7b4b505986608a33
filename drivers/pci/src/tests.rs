use std::sync::atomic::AtomicU64;

use proptest::prelude::*;
use ukplat::device::Registers;

use super::*;
use crate::bus::on_bus;

fn memory(bytes: usize) -> Registers {
    Registers::over(Box::leak((0..bytes / 8).map(|_| AtomicU64::new(0)).collect()))
}

const PLACE: Place = Place { bus: 1, device: 2, function: 3 };

fn function(config: Registers) -> Function {
    config.write32(0, 0x1042_1af4);
    config.write16(6, 1 << 4);
    Function::new(config, PLACE).unwrap()
}

#[test]
fn functions_of_a_bus_are_found() {
    let bus = memory(1 << 20);
    for at in 0..256 {
        bus.write32(at * 4096, u32::MAX);
    }
    let put = |device: usize, function: usize, header: u8| {
        let at = (device * 8 + function) * 4096;
        bus.write32(at, 0x1234_8086);
        bus.write8(at + 0x0e, header);
    };
    put(0, 0, 0);
    put(0, 1, 0); // not looked for: function 0 says that it is alone
    put(3, 0, 0x80);
    put(3, 5, 0);
    put(4, 1, 0); // there is no function 0
    let mut found = Vec::new();
    on_bus(bus, 7, &mut |f| found.push(f.place().to_string()));
    assert_eq!(found, ["07:00.0", "07:03.0", "07:03.5"]);
}

#[test]
fn capabilities_end() {
    let config = memory(4096);
    let function = function(config);
    config.write8(0x34, 0x41); // the low bits do not count
    config.write16(0x40, 0x5009);
    config.write16(0x50, 0x4011); // a loop
    let ids: Vec<u8> = function.capabilities().map(|c| c.id).collect();
    assert_eq!(&ids[..3], [0x09, 0x11, 0x09]);
    assert_eq!(ids.len(), 48);
    config.write16(0x50, 0x2011); // into the header
    assert_eq!(function.capabilities().count(), 2);
    config.write16(6, 0);
    assert_eq!(function.capabilities().count(), 0);
}

#[test]
fn base_addresses() {
    let config = memory(4096);
    let function = function(config);
    config.write32(0x10, 0xfe00_0008); // memory, prefetchable
    config.write32(0x14, 0xc001); // ports
    config.write32(0x18, 0x0000_000c); // 64 bits
    config.write32(0x1c, 0x38);
    config.write32(0x24, 0xfe00_0004); // 64 bits in the last one
    let found: Vec<_> = (0..8).map(|i| function.bar(i)).collect();
    assert_eq!(found[..2], [Some(0xfe00_0000), None]);
    assert_eq!(found[2], Some(0x38_0000_0000));
    assert_eq!(found[4..], [None; 4]);
}

proptest! {
    #[test]
    fn any_configuration_space_is_read(words in prop::collection::vec(any::<u32>(), 64)) {
        let config = memory(4096);
        for (i, word) in words.into_iter().enumerate() {
            config.write32(i * 4, word);
        }
        let function = function(config);
        prop_assert!(function.capabilities().count() <= 48);
        for bar in 0..=255 {
            let _ = function.bar(bar);
            prop_assert!(function.map(bar, u32::MAX, u32::MAX, &mut || None).is_none());
        }
        prop_assert!(Msix::find(&function, &mut || None).is_none());
    }
}
