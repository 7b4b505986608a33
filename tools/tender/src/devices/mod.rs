//! Virtio devices (virtio 1.2) of a guest.
//!
//! A device is a type that implements [`Device`]. Most only answer requests:
//!
//! ```
//! use tender::devices::{Broken, Device, Request};
//!
//! /// An entropy device that is not very good.
//! struct Sevens;
//!
//! impl Device for Sevens {
//!     fn kind(&self) -> u32 {
//!         4 // virtio 1.2, chapter 5
//!     }
//!     fn queues(&self) -> &[u16] {
//!         &[64]
//!     }
//!     fn request(&mut self, _queue: usize, request: &mut Request) -> Result<u32, Broken> {
//!         // Reading takes from `request.readable`; both give what there is and no more.
//!         Ok(request.writable.write(&[7; 16]) as u32)
//!     }
//! }
//! ```
//!
//! To add one, write such a type in a file of its own here, give [`list`] the option by which it is
//! wanted, and name its kind in a driver of the guest. Files, sockets and the like are opened in
//! `new`, before the tender confines itself; [`Device::calls`] names the system calls that it makes
//! from then on. Each device has a thread of its own, so that it may wait; it looks for requests while
//! there are some, and sleeps until an eventfd that KVM writes to tells it of more. A device that is
//! [quick](Device::is_quick) has none of it, and works while the CPU that notifies it stands still.
//!
//! What comes from the guest is hostile. [`Queue`] and [`Request`] check all that virtio says about
//! them and read each word once; a device checks what it reads from a request, and reads it once too.
//! A guest may change the memory of a request while it is worked on. Who breaks the rules
//! ([`Broken`]) has a device that does nothing until it is reset; the tender says so on the console.

mod block;
mod entropy;
mod memory;
mod net;
mod queue;
mod request;
mod share;
mod slot;
#[cfg(test)]
mod tests;
mod thread;

use std::ffi::c_long;
use std::os::fd::RawFd;

pub use block::{Block, DiskArgs};
pub use entropy::Entropy;
pub use memory::DeviceMemory;
pub use net::{Link, Net};
pub use queue::Queue;
pub use request::{Broken, MAX_BYTES, MAX_SEGMENTS, Pieces, Request};
pub use share::{Share, ShareArgs};
pub use slot::{Slot, Slots};
pub use thread::spawn;

use crate::args::Args;
use crate::error::Error;

/// A kind of device.
pub trait Device: Send {
    /// Its number (virtio 1.2, chapter 5).
    fn kind(&self) -> u32;

    /// Its name, for messages.
    fn name(&self) -> String {
        format!("virtio {}", self.kind())
    }

    /// What it can do beside what all do: the bits below 24 (virtio 1.2, section 2.2).
    fn features(&self) -> u64 {
        0
    }

    /// Its queues: the largest size of each, powers of two.
    fn queues(&self) -> &[u16];

    /// Its registers.
    fn config(&self) -> Vec<u8> {
        Vec::new()
    }

    /// The driver is ready, and makes use of these features.
    fn start(&mut self, features: u64) {
        let _ = features;
    }

    /// Does a request that came in a queue; returns how many bytes were written to it.
    ///
    /// # Errors
    /// [`Broken`] when the driver broke the rules so that the request cannot even be refused.
    fn request(&mut self, queue: usize, request: &mut Request) -> Result<u32, Broken> {
        let _ = (queue, request);
        Ok(0)
    }

    /// Whether it would do requests of a queue now. Of others it is not told.
    fn takes(&self, queue: usize) -> bool {
        let _ = queue;
        true
    }

    /// Does requests that are in a queue, or some of them: it is called again for the rest. Unless a
    /// device leaves requests for later, it does not need this. Returns whether there is more to do at the
    /// [source](Self::source) already.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    fn serve(&mut self, index: usize, queues: &mut [Option<Queue>]) -> Result<bool, Broken> {
        let Some(queue) = queues.get_mut(index).and_then(Option::as_mut) else { return Ok(false) };
        // So many at a time, that somebody who has to reset the device gets to it.
        for _ in 0..queue.size() {
            let Some(mut request) = queue.pop()? else { break };
            let written = self.request(index, &mut request)?;
            queue.complete(&request, written)?;
        }
        Ok(false)
    }

    /// A descriptor, and what it waits for there: that something comes for the guest, while there is
    /// room for it, or that there is room for what comes from the guest.
    fn source(&self) -> Option<libc::pollfd> {
        None
    }

    /// What it waited for at the [source](Self::source) happened. Returns whether there is more to do
    /// already.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    fn input(&mut self, queues: &mut [Option<Queue>]) -> Result<bool, Broken> {
        let _ = queues;
        Ok(false)
    }

    /// The system calls that it makes, each with its first argument, which is a descriptor of its own or
    /// [`ANY`](crate::confine::ANY).
    fn calls(&self) -> Vec<(c_long, RawFd)> {
        Vec::new()
    }

    /// Whether it never waits, and is used so seldom that a thread is not worth it.
    fn is_quick(&self) -> bool {
        false
    }
}

/// Makes the devices that are wanted. Those that need nothing of the host are there in any case, for
/// images with drivers.
///
/// # Errors
/// Why one cannot be made.
pub fn list(args: &Args, has_drivers: bool) -> Result<Vec<Box<dyn Device>>, Error> {
    let mut devices: Vec<Box<dyn Device>> = Vec::new();
    for (index, disk) in args.disks.iter().enumerate() {
        devices.push(Box::new(Block::open(disk, index)?));
    }
    for net in &args.nets {
        devices.push(Box::new(Net::open(net)?));
    }
    for share in &args.shares {
        devices.push(Box::new(Share::open(share)?));
    }
    if has_drivers {
        devices.push(Box::new(Entropy));
    }
    if devices.len() > hvt_abi::device::MAX_DEVICES {
        let most = hvt_abi::device::MAX_DEVICES;
        return Err(Error::Arguments(format!("a guest has {most} devices at most")));
    }
    Ok(devices)
}
