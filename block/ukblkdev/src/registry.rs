//! The disks of the image.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use uklock::Mutex;

use crate::{BlockDevice, Disk};

static DISKS: Mutex<Vec<&'static Disk>> = Mutex::new(Vec::new());

/// Makes a device known; it gets the next name. A driver calls this once it works.
pub fn register(device: Box<dyn BlockDevice>) -> &'static Disk {
    let mut disks = DISKS.lock();
    let disk: &'static Disk = Box::leak(Box::new(Disk::new(format!("blk{}", disks.len()), device)));
    disks.push(disk);
    disk
}

/// All disks, in the order of their names.
pub fn disks() -> Vec<&'static Disk> {
    DISKS.lock().clone()
}

/// The disk of a name.
pub fn disk(name: &str) -> Option<&'static Disk> {
    DISKS.lock().iter().copied().find(|disk| disk.name() == name)
}
