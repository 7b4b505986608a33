//! Finds the machine's virtio devices and gives them to the drivers in the image.
//!
//! Drivers register in the collection `virtio-drivers`; the boot phase `devices` calls the one for
//! each device that it finds. A device that is of no use is reported on the console, and the image
//! goes on without it; a device without a driver is left alone.
//!
//! ```
//! use virtio_bus::Config;
//! use virtio_device::{Driver, kinds};
//!
//! static DRIVER: Driver = Driver { name: "rng", kind: kinds::ENTROPY, attach: |_transport| Ok(()) };
//! static CONFIG: Config = Config { virtio_drivers: &[&DRIVER] };
//! virtio_bus::init(&ukplat::BootInfo::EMPTY, &CONFIG)?;
//! # Ok::<(), ukplat::InitError>(())
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use core::fmt;

use ukplat::{BootInfo, InitError};
use virtio_device::{Driver, Error, Transport};

/// What the image has.
#[derive(Debug)]
pub struct Config {
    /// The drivers, at most one for each kind of device.
    pub virtio_drivers: &'static [&'static Driver],
}

/// Boot phase `devices`.
///
/// # Errors
/// None: see the crate's documentation.
pub fn init(boot: &'static BootInfo, config: &'static Config) -> Result<(), InitError> {
    let frames = &mut ukdma::frame;
    for device in boot.devices {
        virtio_pci::probe(device, frames, &mut |found| match found {
            Ok(transport) => config.attach(transport),
            Err((place, error)) => report(&place, &error),
        });
        for probe in [virtio_mmio::probe, virtio_hvt::probe] {
            match probe(device, frames) {
                Ok(Some(transport)) => config.attach(transport),
                Ok(None) => {}
                Err(error) => report(&Registers(device), &error),
            }
        }
    }
    Ok(())
}

impl Config {
    fn attach(&self, transport: Box<dyn Transport>) {
        let kind = transport.kind();
        let Some(driver) = self.virtio_drivers.iter().find(|d| d.kind == kind) else { return };
        let place = alloc::format!("{transport} ({})", driver.name);
        if let Err(error) = (driver.attach)(transport) {
            report(&place, &error);
        }
    }
}

fn report(place: &dyn fmt::Display, error: &Error) {
    ukplat::eprintln!("virtio device {} is not used: {}", place, error);
}

/// Names an entry of the platform's list.
struct Registers<'a>(&'a ukplat::device::Device);

impl fmt::Display for Registers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ukplat::device::Device::VirtioMmio { base, .. }
            | ukplat::device::Device::VirtioShared { base, .. }
            | ukplat::device::Device::PciExpress { base, .. } => write!(f, "{base:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use virtio_device::{features, kinds, model::Model};

    static ATTACHED: AtomicUsize = AtomicUsize::new(0);
    static BLOCK: Driver = Driver {
        name: "block",
        kind: kinds::BLOCK,
        attach: |_| {
            ATTACHED.fetch_add(1, Relaxed);
            Ok(())
        },
    };
    static FAILS: Driver =
        Driver { name: "fails", kind: kinds::ENTROPY, attach: |_| Err(Error::Features) };
    static CONFIG: Config = Config { virtio_drivers: &[&FAILS, &BLOCK] };

    #[test]
    fn each_device_gets_its_driver() {
        for kind in [kinds::ENTROPY, kinds::BLOCK, kinds::CONSOLE] {
            CONFIG.attach(Box::new(Model::new(kind, features::VERSION_1, &[])));
        }
        assert_eq!(ATTACHED.load(Relaxed), 1);
    }

    #[test]
    fn registers_that_cannot_be_mapped_do_no_harm() {
        use ukplat::device::Device;
        static BOOT: BootInfo = BootInfo {
            devices: &[
                Device::VirtioMmio { base: 0x1000, len: 512, line: Some(5) },
                Device::VirtioShared { base: 0x1000, len: 8192, line: 0 },
                Device::PciExpress { base: u64::MAX, first_bus: 3, last_bus: 255 },
            ],
            ..BootInfo::EMPTY
        };
        assert!(init(&BOOT, &CONFIG).is_ok());
    }
}
