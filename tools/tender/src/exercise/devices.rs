//! Devices and a guest that writes what it likes.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::FromRawFd as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use hvt_abi::PAGE;

use super::driver::{Driver, FEATURES};
use super::guest;
use crate::devices::{Block, Device, DiskArgs, Entropy, Link, Net, Share, ShareArgs};
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

/// A shared directory that is nowhere any more once it is open: requests find it, and nothing in it.
fn nowhere() -> Share {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("oxk-exercise-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
    let path = std::env::temp_dir().join(name);
    std::fs::create_dir(&path).expect("the host has a directory for what is temporary");
    let text = path.to_str().expect("its name is text").to_owned();
    let args = ShareArgs { tag: "share".into(), path: text, read_only: false };
    let share = Share::open(&args).expect("it can be shared");
    std::fs::remove_dir(&path).expect("it is empty");
    share
}

/// The network card and the share among the devices.
const NET: usize = 3;
const SHARE: usize = 4;

/// A guest with all devices, and the other end of its network card's wire.
struct Machine {
    guest: &'static Guest,
    wire: UnixStream,
}

impl Machine {
    /// A disk that is written to, one that is only read, an entropy device, a network card, a share.
    fn new() -> Self {
        let disk = |index: usize, read_only: bool| -> Box<dyn Device> {
            let args = DiskArgs { path: format!("disk{index}"), read_only };
            let file = memory_file(SECTORS * 512);
            Box::new(Block::of_file(file, &args, index).expect("it can be a disk"))
        };
        let (own, wire) = UnixStream::pair().expect("the host has sockets");
        wire.set_nonblocking(true).expect("sockets need not wait");
        let link = Link::stream(own).expect("sockets need not wait");
        let net = Net::new(link, [2, 0, 0, 0, 0, 1]);
        let devices: Vec<Box<dyn Device>> = vec![
            disk(0, false),
            disk(1, true),
            Box::new(Entropy),
            Box::new(net),
            Box::new(nowhere()),
        ];
        Self { guest: guest(8 << 20, devices), wire }
    }

    /// A frame for the guest. Without room in the socket none of it is taken.
    fn send(&self, frame: &[u8]) {
        let bytes = [&(frame.len() as u32).to_be_bytes()[..], frame].concat();
        let _ = (&self.wire).write(&bytes);
    }

    /// Takes what the guest sent.
    fn drain(&self) {
        let mut bytes = [0; 4096];
        while (&self.wire).read(&mut bytes).is_ok_and(|len| len > 0) {}
    }

    /// Room for frames, of which some are there.
    fn take_frames(&self, script: &mut Script<'_>, number: u16) {
        let driver = Driver::new(self.guest, NET);
        let pieces = [(); 2].map(|()| {
            (script.address(self.guest, &driver), (script.number() as u32).wrapping_mul(16), true)
        });
        driver.chain(0, 0, &pieces);
        driver.offer(0, SIZE, number, 0);
        for _ in 0..script.byte() % 80 {
            self.send(&vec![script.byte(); usize::from(script.byte()) * 8]);
        }
        driver.input();
    }

    /// A message to the share.
    fn ask_share(&self, script: &mut Script<'_>, number: u16) {
        let driver = Driver::new(self.guest, SHARE);
        let said = message(script);
        driver.write(driver.data(), &said);
        let room = script.address(self.guest, &driver);
        let len = (script.number() as u32).wrapping_mul(16);
        driver.chain(0, 0, &[(driver.data(), said.len() as u32, false), (room, len, true)]);
        driver.offer(0, SIZE, number, 0);
        driver.notify(0);
    }

    /// Nothing is left on the wire: what one script did is not what the next one finds.
    fn be_quiet(&self) {
        let driver = Driver::new(self.guest, NET);
        driver.set_up(2, SIZE.into());
        // Frames for which there is too little room are lost.
        driver.chain(0, 0, &[(driver.data(), 1, true)]);
        driver.offer(0, SIZE, 0, 0);
        self.drain();
        while driver.input() {
            self.drain();
        }
    }
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

/// The number of the next request.
fn next(count: &mut u16) -> u16 {
    let number = *count;
    *count = number.wrapping_add(1);
    number
}

/// A 9P message: one that opens a session or the directory, or any.
fn message(script: &mut Script<'_>) -> Vec<u8> {
    const NO_TAG: [u8; 2] = [0xff; 2];
    let (kind, body) = match script.byte() % 4 {
        0 => (100, b"\0\x20\0\0\x08\09P2000.L".to_vec()),
        1 => (104, b"\0\0\0\0\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff".to_vec()),
        _ => {
            let kind = script.byte();
            let len = script.byte() % 64;
            (kind, (0..len).map(|_| script.byte()).collect())
        }
    };
    [&(7 + body.len() as u32).to_le_bytes()[..], &[kind], &NO_TAG, &body].concat()
}

/// Drivers of all devices do what the bytes say: set them up well or badly, write to rings and
/// descriptors, notify; and frames come. Whatever that is, nothing but memory that the guest can write
/// to changes.
pub fn devices(bytes: &[u8]) {
    thread_local! {
        static MACHINE: Machine = Machine::new();
    }
    MACHINE.with(|machine| drive(machine, bytes));
}

fn drive(machine: &Machine, bytes: &[u8]) {
    let guest = machine.guest;
    machine.be_quiet();
    let sealed = sealed_memory(guest);
    let mut script = Script(bytes);
    for device in 0..guest.devices.0.len() {
        Driver::new(guest, device).set_up(queues(device).0, SIZE.into());
    }
    // Of each device: how many requests there were in each queue.
    let mut offered = vec![[0u16; 2]; guest.devices.0.len()];
    while !script.0.is_empty() {
        let device = usize::from(script.byte()) % guest.devices.0.len();
        let driver = Driver::new(guest, device);
        let (count, queue) = queues(device);
        match script.byte() % 11 {
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
                driver.offer(queue, SIZE, next(&mut offered[device][queue]), 0);
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
                let number = next(&mut offered[device][queue]);
                driver.offer(queue, SIZE, number, script.number() as u16);
            }
            4 => {
                driver.notify(script.byte().into());
            }
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
            7 => {
                let size = script.number() as u32;
                // Perhaps without indirect descriptors, without event index.
                let without = u64::from(script.byte() & 3) << 28;
                driver.set_up_with(count, size, FEATURES & !without);
                offered[device] = [0; 2];
            }
            8 => machine.take_frames(&mut script, next(&mut offered[NET][0])),
            9 => {
                machine.drain();
                driver.input();
            }
            _ => machine.ask_share(&mut script, next(&mut offered[SHARE][0])),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_answers_reach_the_guest() {
        let machine = Machine::new();
        let [net, share] = [NET, SHARE].map(|device| Driver::new(machine.guest, device));
        net.set_up(2, SIZE.into());
        share.set_up(1, SIZE.into());
        // Room of 64 bytes and of 3200, and one frame of 80 bytes 7.
        machine.take_frames(&mut Script(&[0, 0, 4, 0, 100, 200, 1, 7, 10]), 0);
        assert_eq!(net.completed(0, SIZE), (1, 0, 92));
        assert_eq!(net.read::<2>(net.data() + 62), [7, 7]);
        assert_eq!(net.read::<2>(net.data() + 127), [7, 0]);
        // Which version? This one. The directory? Here it is.
        machine.ask_share(&mut Script(&[0, 0, 200, 10]), 0);
        assert_eq!(share.completed(0, SIZE), (1, 0, 21));
        assert_eq!(share.read::<5>(share.data() + 200), [21, 0, 0, 0, 101]);
        machine.ask_share(&mut Script(&[1, 0, 200, 10]), 1);
        assert_eq!(share.read::<5>(share.data() + 200), [20, 0, 0, 0, 105]);
    }

    #[test]
    fn what_one_script_left_on_the_wire_is_gone_for_the_next() {
        let machine = Machine::new();
        for _ in 0..200 {
            machine.send(&[1; 60]);
        }
        machine.be_quiet();
        let net = Driver::new(machine.guest, NET);
        net.set_up(2, SIZE.into());
        machine.take_frames(&mut Script(&[0, 0, 4, 0, 100, 200, 1, 7, 10]), 0);
        assert_eq!(net.completed(0, SIZE), (1, 0, 92));
        assert_eq!(net.read::<1>(net.data() + 62), [7]);
    }
}
