use std::sync::atomic::AtomicU64;

use ukpci::{Function, Place};
use ukplat::device::Registers;
use virtio_device::Error;

use super::Pci;
use super::registers::{Structure, kind_of, structures};

fn function(id: u16) -> Function {
    let memory = Box::leak((0..512).map(|_| AtomicU64::new(0)).collect::<Box<[AtomicU64]>>());
    let config = Registers::over(memory);
    config.write16(0, 0x1af4);
    config.write16(2, id);
    config.write16(6, 1 << 4);
    config.write16(0x2e, 2);
    Function::new(config, Place { bus: 0, device: 1, function: 0 }).unwrap()
}

#[test]
fn kinds_of_modern_and_transitional_devices() {
    assert_eq!(kind_of(&function(0x1042)), Some(2));
    assert_eq!(kind_of(&function(0x1001)), Some(2), "by its subsystem");
    assert_eq!(kind_of(&function(0x1080)), None);
    let other = function(0x1042);
    other.config().write16(0, 0x8086);
    assert_eq!(kind_of(&other), None);
}

#[test]
fn structures_are_listed() {
    let function = function(0x1042);
    let config = function.config();
    config.write8(0x34, 0x40);
    config.write32(0x40, 0x0114_5009); // a structure of kind 1, then 0x50
    config.write8(0x44, 4);
    config.write32(0x48, 0x1000);
    config.write32(0x4c, 0x38);
    config.write32(0x50, 0x0210_0009);
    config.write32(0x60, 4);
    let found: Vec<Structure> = structures(&function).collect();
    assert_eq!(
        found[0],
        Structure { kind: 1, bar: 4, offset: 0x1000, len: 0x38, multiplier: 0x0210_0009 }
    );
    assert_eq!((found[1].kind, found[1].multiplier, found.len()), (2, 4, 2));
}

#[test]
fn what_is_missing_is_said() {
    let legacy = function(0x1001);
    assert_eq!(Pci::new(&legacy, &mut || None).err(), Some(Error::Legacy));
    let modern = function(0x1042);
    let config = modern.config();
    config.write8(0x34, 0x40);
    config.write32(0x40, 0x0114_5009);
    config.write32(0x4c, 0x37); // too short
    config.write32(0x50, 0x0214_0009);
    assert_eq!(Pci::new(&modern, &mut || None).err(), Some(Error::Registers));
    config.write32(0x4c, 0x38); // but there is no base address
    assert_eq!(Pci::new(&modern, &mut || None).err(), Some(Error::Registers));
}
