//! Devices and a guest that writes what it likes.

use std::fs::File;
use std::os::fd::FromRawFd as _;
use std::os::unix::net::UnixStream;

use hvt_abi::PAGE;

use super::driver::Driver;
use super::guest;
use crate::devices::{Block, Device, DiskArgs, Entropy, Link, Net};
use crate::guest::Guest;
use crate::layout::Access;

/// Sectors of the disks.
const SECTORS: u64 = 64;
/// Size of queues.
const SIZE: u16 = 8;

/// A file that is nowhere but in memory.
pub(crate) fn memory_file(len: u64) -> File {
    // SAFETY: the name is a C string; the descriptor is new, and nobody else's.
    let file = unsafe {
        let fd = libc::memfd_create(c"disk".as_ptr(), libc::MFD_CLOEXEC);
        assert!(fd >= 0, "the host has memory files");
        File::from_raw_fd(fd)
    };
    file.set_len(len).expect("the host has memory");
    file
}

/// The network card among the devices.
const NET: usize = 3;

/// A disk that is written to, one that is only read, an entropy device, and a network card whose wire
/// leads nowhere.
fn all_devices() -> Vec<Box<dyn Device>> {
    let disk = |index: usize, read_only: bool| -> Box<dyn Device> {
        let args = DiskArgs { path: format!("disk{index}"), read_only };
        let file = memory_file(SECTORS * 512);
        Box::new(Block::of_file(file, &args, index).expect("it can be a disk"))
    };
    let (own, _) = UnixStream::pair().expect("the host has sockets");
    let link = Link::stream(own).expect("sockets need not wait");
    let net = Net::new(link, [2, 0, 0, 0, 0, 1]);
    vec![disk(0, false), disk(1, true), Box::new(Entropy), Box::new(net)]
}

/// How many queues a device has, and the one that requests go to.
fn queues(device: usize) -> (usize, usize) {
    if device == NET { (2, 1) } else { (1, 0) }
}

/// Bytes of a script, taken from the front; zeroes when they are used up.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn word(&mut self) -> u64 {
        u64::from_le_bytes([(); 8].map(|()| self.byte()))
    }

    /// A small number, or sometimes any.
    fn number(&mut self) -> u64 {
        match self.byte() {
            255 => self.word(),
            small => small.into(),
        }
    }

    /// An address: near one where something is, or sometimes any.
    fn address(&mut self, guest: &Guest, driver: &Driver) -> u64 {
        let layout = &guest.layout;
        let base = match self.byte() % 12 {
            0..5 => driver.data(),
            5 => driver.rings(0),
            6 => layout.segments[1].address,
            7 => layout.heap_range().end() - PAGE,
            8 => layout.doorbell,
            9 => layout.cpu_pages.address,
            10 => crate::stub::KERNEL,
            _ => return self.word(),
        };
        base.wrapping_add(self.number())
    }
}

/// Drivers of all devices do what the bytes say: set them up well or badly, write to rings and
/// descriptors, notify. Whatever that is, nothing but memory that the guest can write to changes.
pub fn devices(bytes: &[u8]) {
    thread_local! {
        static GUEST: &'static Guest = guest(8 << 20, all_devices());
    }
    let guest = GUEST.with(|guest| *guest);
    let sealed = sealed_memory(guest);
    let mut script = Script(bytes);
    for device in 0..guest.devices.0.len() {
        Driver::new(guest, device).set_up(queues(device).0, SIZE.into());
    }
    let mut offered = 0u16;
    while !script.0.is_empty() {
        let device = usize::from(script.byte()) % guest.devices.0.len();
        let driver = Driver::new(guest, device);
        let (count, queue) = queues(device);
        match script.byte() % 8 {
            // A request for a disk, with a header that makes some sense.
            0 | 1 => {
                let header = driver.data();
                driver.write(header, &script.number().to_le_bytes());
                driver.write(header + 8, &script.number().to_le_bytes());
                let data = script.address(guest, &driver);
                let len = (script.number() as u32).wrapping_mul(512);
                let status = script.address(guest, &driver);
                let writes = script.byte() & 1 != 0;
                driver.chain(
                    queue,
                    0,
                    &[(header, 16, false), (data, len, writes), (status, 1, true)],
                );
                driver.offer(queue, SIZE, offered, 0);
                offered = offered.wrapping_add(1);
                driver.notify(queue);
            }
            // One descriptor of any kind.
            2 => {
                let index = script.number();
                let address = script.address(guest, &driver);
                let (len, flags, next) = (script.number(), script.byte(), script.number());
                let rest = [(flags & 7).into(), next as u16];
                driver.descriptor(driver.rings(queue), index, address, len as u32, rest);
            }
            3 => {
                driver.offer(queue, SIZE, offered, script.number() as u16);
                offered = offered.wrapping_add(1);
            }
            4 => driver.notify(script.byte().into()),
            5 => {
                let at = script.address(guest, &driver);
                driver.write(at, &script.word().to_le_bytes());
            }
            // Its page and registers.
            6 => {
                let offset = script.number() as usize % PAGE as usize;
                driver.put(offset & !7, &script.word().to_le_bytes());
                driver.register(hvt_abi::device::SET_STATUS, script.number() as u32);
            }
            _ => {
                driver.set_up(count, script.number() as u32);
                offered = 0;
            }
        }
    }
    assert!(sealed == sealed_memory(guest), "what the guest cannot write to has changed");
}

/// Everything in memory that no device may write to: constants, code, page tables, the stub.
fn sealed_memory(guest: &Guest) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut add = |physical: u64, len: u64| {
        let start = bytes.len();
        bytes.resize(start + len as usize, 0);
        guest.ram.read(physical, &mut bytes[start..]);
    };
    for piece in guest.layout.pieces() {
        if matches!(piece.access, Access::Read | Access::Execute) {
            add(piece.physical, piece.len);
        }
    }
    add(crate::layout::SYSTEM, crate::stub::LEN);
    add(crate::memory::TABLES, 16 * PAGE);
    bytes
}
