//! The interfaces of the image.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use uklock::Mutex;

use crate::{Interface, NetDevice};

static INTERFACES: Mutex<Vec<&'static Interface>> = Mutex::new(Vec::new());

/// Makes a device known; it gets the next name. A driver calls this once it works.
pub fn register(device: Box<dyn NetDevice>) -> &'static Interface {
    let mut interfaces = INTERFACES.lock();
    let name = format!("net{}", interfaces.len());
    let interface: &'static Interface = Box::leak(Box::new(Interface::new(name, device)));
    interfaces.push(interface);
    interface
}

/// All interfaces, in the order of their names.
pub fn interfaces() -> Vec<&'static Interface> {
    INTERFACES.lock().clone()
}

/// The interface of a name.
pub fn interface(name: &str) -> Option<&'static Interface> {
    INTERFACES.lock().iter().copied().find(|interface| interface.name() == name)
}
