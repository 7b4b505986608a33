//! Buses and bridges (PCI Express 5.0, section 7.2.2).

use ukplat::device::{Device, Registers};
use ukplat::stack::Frames;

use crate::function::CONFIG_LEN;
use crate::{Function, Place};

const FUNCTIONS: u8 = 8;
const DEVICES: u8 = 32;
const BUS_LEN: usize = CONFIG_LEN * FUNCTIONS as usize * DEVICES as usize;
/// Kind of header of a bridge, and where it names the bus behind it.
const BRIDGE: u8 = 1;
const SECONDARY: usize = 0x19;

/// Calls `visit` with each function of a configuration space, those behind bridges included. A
/// device of another kind has none.
pub fn functions(device: &Device, frames: &mut Frames<'_>, visit: &mut dyn FnMut(Function)) {
    let Device::PciExpress { base, first_bus, last_bus } = *device else { return };
    // Buses to be looked at, and those that were: a bit each.
    let mut wanted = [0u64; 4];
    let mut seen = [0u64; 4];
    let bit = |bus: u8| (usize::from(bus >> 6), 1u64 << (bus & 63));
    let (word, mask) = bit(first_bus);
    wanted[word] |= mask;
    let mut next = Some(first_bus);
    while let Some(bus) = next {
        let (word, mask) = bit(bus);
        seen[word] |= mask;
        let offset = u64::from(bus - first_bus) * BUS_LEN as u64;
        let config = base.checked_add(offset).and_then(|at| Registers::map(at, BUS_LEN, frames));
        if let Some(config) = config {
            on_bus(config, bus, &mut |function| {
                if function.header() == BRIDGE {
                    let (word, mask) = bit(function.config().read8(SECONDARY));
                    wanted[word] |= mask;
                }
                visit(function);
            });
        }
        next = (first_bus..=last_bus).find(|bus| {
            let (word, mask) = bit(*bus);
            wanted[word] & !seen[word] & mask != 0
        });
    }
}

/// Calls `visit` with each function of one bus.
pub(crate) fn on_bus(config: Registers, bus: u8, visit: &mut dyn FnMut(Function)) {
    for device in 0..DEVICES {
        for function in 0..FUNCTIONS {
            let place = Place { bus, device, function };
            let at =
                (usize::from(device) * usize::from(FUNCTIONS) + usize::from(function)) * CONFIG_LEN;
            let found = config.part(at, CONFIG_LEN).and_then(|part| Function::new(part, place));
            let others = found.is_some_and(|f| f.has_others());
            if let Some(found) = found {
                visit(found);
            }
            if function == 0 && !others {
                break;
            }
        }
    }
}
