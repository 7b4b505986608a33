//! Devices, driven as the specification has it, and against it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;

use hvt_abi::PAGE;
use hvt_abi::device::{self as at, SET_STATUS};

use super::{Block, Device, DiskArgs, Entropy, Link, Net};
use crate::error::Error;
use crate::exercise::{Driver, guest, memory_file};
use crate::guest::Guest;

const SIZE: u16 = 8;
const SECTORS: u64 = 16;
/// Status bits.
const READY: u32 = 15;
/// Features.
const VERSION_1: u64 = 1 << 32;
const EVENT_INDEX: u64 = 1 << 29;
const NEEDS_RESET: u32 = 64;
/// Request types (virtio 1.2, section 5.2.6).
const IN: u32 = 0;
const OUT: u32 = 1;
const FLUSH: u32 = 4;
const GET_ID: u32 = 8;
const DISCARD: u32 = 11;
const WRITE_ZEROES: u32 = 13;
/// Status bytes.
const OK: u8 = 0;
const IO_ERROR: u8 = 1;
const UNSUPPORTED: u8 = 2;

fn machine(devices: Vec<Box<dyn Device>>) -> &'static Guest {
    guest(8 << 20, devices)
}

fn disk(read_only: bool) -> (Driver, File) {
    let file = memory_file(SECTORS * 512);
    let pattern: Vec<u8> = (0..SECTORS * 512).map(|i| (i / 512) as u8 + 1).collect();
    file.write_all_at(&pattern, 0).unwrap();
    let args = DiskArgs { path: "disk".into(), read_only };
    let block = Block::of_file(file.try_clone().unwrap(), &args, 0).unwrap();
    let driver = Driver::new(machine(vec![Box::new(block)]), 0);
    driver.set_up(1, SIZE.into());
    assert_eq!(driver.status(), READY);
    (driver, file)
}

/// Does a request: data that the device reads, room for what it writes. Gives the status byte, the
/// number of bytes that the device says it wrote, and the room.
fn request(
    driver: &Driver,
    kind: u32,
    sector: u64,
    data: &[u8],
    room: usize,
) -> (u8, u32, Vec<u8>) {
    let (count, ..) = driver.completed(0, SIZE);
    let header = driver.data();
    let (from, to, status) = (header + PAGE, header + 3 * PAGE, header + 6 * PAGE);
    driver.write(header, &kind.to_le_bytes());
    driver.write(header + 4, &[0; 4]);
    driver.write(header + 8, &sector.to_le_bytes());
    driver.write(from, data);
    driver.write(to, &vec![0xee; room]);
    driver.write(status, &[0xff]);
    let mut chain = vec![(header, 16, false)];
    // Data in two pieces, as it is in memory of two pages.
    for (start, len, writes) in [(from, data.len(), false), (to, room, true)] {
        let first = len / 2;
        for (start, len) in [(start, first), (start + first as u64, len - first)] {
            if len > 0 {
                chain.push((start, len as u32, writes));
            }
        }
    }
    chain.push((status, 1, true));
    driver.chain(0, 0, &chain);
    driver.offer(0, SIZE, count, 0);
    driver.notify(0);
    let (done, head, written) = driver.completed(0, SIZE);
    assert_eq!((done, head), (count.wrapping_add(1), 0), "completed once");
    let mut bytes = vec![0; room];
    for (at, byte) in (to..).zip(&mut bytes) {
        [*byte] = driver.read(at);
    }
    let [status] = driver.read(status);
    (status, written, bytes)
}

#[test]
fn a_disk_says_what_it_is() {
    let (driver, _) = disk(false);
    assert_eq!(u32::from_le_bytes(driver.get(at::KIND)), 2);
    assert_eq!(u32::from_le_bytes(driver.get(at::QUEUE_COUNT)), 1);
    assert_eq!(u64::from_le_bytes(driver.get(at::CONFIG)), SECTORS);
    assert_eq!(u32::from_le_bytes(driver.get(at::CONFIG + 20)), 512);
    let offered = u64::from_le_bytes(driver.get(at::OFFERED));
    // Block size, flush, discard, zeroes; version 1, event index, indirect.
    for bit in [6, 9, 13, 14, 28, 29, 32] {
        assert_ne!(offered & 1 << bit, 0, "{bit}");
    }
    assert_eq!(offered & 1 << 5, 0, "not read-only");
    let (fixed, _) = disk(true);
    let offered = u64::from_le_bytes(fixed.get(at::OFFERED));
    assert_eq!((offered >> 5 & 1, offered >> 13 & 3), (1, 0), "read-only");
}

#[test]
fn requests_of_a_disk() {
    let (driver, file) = disk(false);
    let (status, written, bytes) = request(&driver, IN, 3, &[], 1024);
    assert_eq!((status, written), (OK, 1025));
    assert!(bytes[..512].iter().all(|b| *b == 4) && bytes[512..].iter().all(|b| *b == 5));

    let data: Vec<u8> = (0..1536).map(|i| i as u8).collect();
    assert_eq!(request(&driver, OUT, 7, &data, 0), (OK, 1, vec![]));
    let mut back = vec![0; data.len()];
    file.read_exact_at(&mut back, 7 * 512).unwrap();
    assert_eq!(back, data);
    assert_eq!(request(&driver, FLUSH, 0, &[], 0).0, OK);

    let (status, written, id) = request(&driver, GET_ID, 0, &[], 20);
    assert_eq!((status, written, &id[..12]), (OK, 21, &b"disk 0, disk"[..]));

    let range = |sector: u64, count: u32, flags: u32| {
        [&sector.to_le_bytes()[..], &count.to_le_bytes(), &flags.to_le_bytes()].concat()
    };
    // Of two ranges none is done.
    let two = [range(2, 1, 0), range(4, 1, 0)].concat();
    file.read_exact_at(&mut back, 0).unwrap();
    for kind in [WRITE_ZEROES, DISCARD] {
        assert_eq!(request(&driver, kind, 0, &two, 0).0, UNSUPPORTED);
        let mut after = vec![0; back.len()];
        file.read_exact_at(&mut after, 0).unwrap();
        assert!(after == back && after.iter().all(|b| *b != 0));
    }
    for flags in [0, 1] {
        assert_eq!(request(&driver, WRITE_ZEROES, 0, &range(2, 3, flags), 0).0, OK);
    }
    let mut back = vec![1; 3 * 512];
    file.read_exact_at(&mut back, 2 * 512).unwrap();
    assert!(back.iter().all(|b| *b == 0));
    assert_eq!(request(&driver, DISCARD, 0, &range(0, 1, 0), 0).0, OK);
    assert_eq!(request(&driver, DISCARD, 0, &range(0, 1, 1), 0).0, UNSUPPORTED);
    assert_eq!(request(&driver, WRITE_ZEROES, 0, &range(0, 1, 2), 0).0, UNSUPPORTED);
    assert_eq!(request(&driver, WRITE_ZEROES, 0, &range(15, 2, 0), 0).0, IO_ERROR);
    assert_eq!(request(&driver, WRITE_ZEROES, 0, &range(0, u32::MAX, 0), 0).0, IO_ERROR);
    assert_eq!(request(&driver, DISCARD, 0, &[], 0).0, UNSUPPORTED);
    assert_eq!(request(&driver, DISCARD, 0, &[0; 15], 0).0, UNSUPPORTED);
    assert_eq!(file.metadata().unwrap().len(), SECTORS * 512);
}

#[test]
fn requests_that_cannot_be_done_are_errors() {
    let (driver, file) = disk(false);
    for (kind, sector, data, room, status) in [
        (IN, SECTORS, 0, 512, IO_ERROR),
        (IN, SECTORS - 1, 0, 1024, IO_ERROR),
        (IN, u64::MAX, 0, 512, IO_ERROR),
        (IN, u64::MAX / 512, 0, 1024, IO_ERROR),
        (IN, 0, 0, 511, IO_ERROR),
        (OUT, SECTORS, 512, 0, IO_ERROR),
        (OUT, 0, 513, 0, IO_ERROR),
        (77, 0, 0, 0, UNSUPPORTED),
        (u32::MAX, 0, 512, 512, UNSUPPORTED),
    ] {
        let said = request(&driver, kind, sector, &vec![9; data], room);
        assert_eq!((said.0, said.1), (status, 1), "{kind} {sector} {data} {room}");
    }
    // A file that got shorter.
    file.set_len(512).unwrap();
    assert_eq!(request(&driver, IN, 0, &[], 512).0, OK);
    assert_eq!(request(&driver, IN, 0, &[], 1024).0, IO_ERROR);
    assert_eq!(driver.status(), READY);
}

#[test]
fn who_uses_a_disk_is_said_as_it_is() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(SECTORS * 512).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let open = |read_only| Block::open(&DiskArgs { path: path.clone(), read_only }, 0);
    let said = |read_only| open(read_only).unwrap_err().to_string();
    let reads = [open(true).unwrap(), open(true).unwrap()];
    assert!(said(false).contains("another guest uses it"), "{}", said(false));
    drop(reads);
    let writes = open(false).unwrap();
    assert!(said(false).contains("another guest uses it"), "{}", said(false));
    assert!(said(true).contains("another guest writes to it"), "{}", said(true));
    drop(writes);
    open(true).unwrap();
}

#[test]
fn a_disk_that_is_only_read_is_not_written() {
    let (driver, file) = disk(true);
    assert_eq!(request(&driver, OUT, 0, &[0; 512], 0).0, IO_ERROR);
    let range = [&0u64.to_le_bytes()[..], &1u32.to_le_bytes(), &[0; 4]].concat();
    assert_eq!(request(&driver, WRITE_ZEROES, 0, &range, 0).0, IO_ERROR);
    assert_eq!(request(&driver, DISCARD, 0, &range, 0).0, IO_ERROR);
    assert_eq!(request(&driver, FLUSH, 0, &[], 0).0, OK);
    let (_, _, bytes) = request(&driver, IN, 0, &[], 512);
    assert!(bytes.iter().all(|b| *b == 1));
    let mut first = [0];
    file.read_exact_at(&mut first, 0).unwrap();
    assert_eq!(first, [1]);
}

#[test]
fn a_device_stops_when_its_driver_breaks_the_rules_and_works_again_after_a_reset() {
    let (driver, _) = disk(false);
    driver.chain(0, 0, &[(driver.data(), 16, false)]);
    driver.offer(0, SIZE, 0, 0);
    driver.notify(0);
    assert_eq!(driver.status(), NEEDS_RESET);
    driver.notify(0);
    assert_eq!(driver.completed(0, SIZE).0, 0);
    driver.set_up(1, SIZE.into());
    assert_eq!(driver.status(), READY);
    assert_eq!(request(&driver, IN, 0, &[], 512).0, OK);
}

#[test]
fn a_device_stops_when_its_rings_are_taken_away() {
    let (own, _other) = UnixStream::pair().unwrap();
    let net = Net::new(Link::stream(own).unwrap(), [2, 0, 0, 0, 0, 1]);
    let devices: [(Box<dyn Device>, u32); 2] = [(Box::new(Entropy), 0), (Box::new(net), 1)];
    for (device, queue) in devices {
        let guest = machine(vec![device]);
        let driver = Driver::new(guest, 0);
        driver.set_up(queue as usize + 1, SIZE.into());
        // Flags and number of requests at the end of a page, the requests in the next.
        let rings = driver.rings(queue as usize);
        driver.register(SET_STATUS, 0);
        driver.write(rings + 2 * PAGE - 4, &[0; 4]);
        let places = [rings, rings + 2 * PAGE - 4, rings + 2 * PAGE + 0x800];
        driver.place(queue as usize, SIZE.into(), places);
        driver.register(SET_STATUS, READY);
        assert_eq!(driver.status(), READY);
        driver.write(rings + 2 * PAGE - 2, &1u16.to_le_bytes());
        guest.space().unmap(rings + 2 * PAGE, PAGE).unwrap();
        driver.notify(queue as usize);
        assert_eq!(driver.status(), NEEDS_RESET);
    }
}

#[test]
fn a_device_does_not_start_with_what_makes_no_sense() {
    let (driver, _) = disk(false);
    let rings = driver.rings(0);
    let places = [rings, rings + PAGE, rings + 2 * PAGE];
    let mut end = places;
    end[2] = u64::MAX - 3;
    let mut code = places;
    code[2] = hvt_abi::LINK_BASE + PAGE;
    for (size, addresses, features) in [
        (SIZE.into(), places, u64::MAX),
        (SIZE.into(), places, 0),
        (7, places, 1 << 32),
        (1 << 16, places, 1 << 32),
        (256, places, 1 << 32),
        (SIZE.into(), [0; 3], 1 << 32),
        (SIZE.into(), [places[0] + 1, places[1], places[2]], 1 << 32),
        (SIZE.into(), end, 1 << 32),
        (SIZE.into(), code, 1 << 32),
    ] {
        driver.register(SET_STATUS, 0);
        driver.place(0, size, addresses);
        driver.put(at::AGREED, &features.to_le_bytes());
        driver.register(SET_STATUS, READY);
        assert_eq!(driver.status(), NEEDS_RESET, "{size} {addresses:x?} {features:x}");
    }
    // A device whose queue is not used does nothing.
    driver.register(SET_STATUS, 0);
    driver.place(0, 0, [0; 3]);
    driver.put(at::AGREED, &(1u64 << 32).to_le_bytes());
    driver.register(SET_STATUS, READY);
    driver.notify(0);
    assert_eq!(driver.status(), READY);
}

#[test]
fn a_driver_is_interrupted_when_it_wants_to_be() {
    let (driver, _) = disk(false);
    let interrupts = || driver.interrupts();
    assert!(request(&driver, FLUSH, 0, &[], 0).0 == OK && interrupts());
    // Flag 1 in the ring of requests: not now.
    driver.set_up_with(1, SIZE.into(), VERSION_1);
    driver.write(driver.rings(0) + PAGE, &1u16.to_le_bytes());
    assert!(request(&driver, FLUSH, 0, &[], 0).0 == OK && !interrupts());
    // By index: at the third completion from here.
    driver.set_up_with(1, SIZE.into(), VERSION_1 | EVENT_INDEX);
    let wanted = driver.rings(0) + PAGE + 4 + 2 * u64::from(SIZE);
    driver.write(wanted, &2u16.to_le_bytes());
    for expected in [false, false, true, false] {
        assert_eq!(request(&driver, FLUSH, 0, &[], 0).0, OK);
        assert_eq!(interrupts(), expected);
    }
}

#[test]
fn random_bytes_come_whole_and_differ() {
    let driver = Driver::new(machine(vec![Box::new(Entropy)]), 0);
    driver.set_up(1, SIZE.into());
    let data = driver.data();
    let mut seen = Vec::new();
    for number in 0..3 {
        driver.chain(0, 0, &[(data, 8, true), (data + PAGE, 24, true)]);
        driver.offer(0, SIZE, number, 0);
        driver.notify(0);
        assert_eq!(driver.completed(0, SIZE), (number + 1, 0, 32));
        seen.push((driver.read::<8>(data), driver.read::<24>(data + PAGE)));
    }
    assert!(seen[0] != seen[1] && seen[1] != seen[2]);
    // A request without room gets nothing.
    driver.chain(0, 0, &[(data, 8, false)]);
    driver.offer(0, SIZE, 3, 0);
    driver.notify(0);
    assert_eq!(driver.completed(0, SIZE), (4, 0, 0));
}

fn network() -> (Driver, UnixStream) {
    let (own, other) = UnixStream::pair().unwrap();
    let net = Net::new(Link::stream(own).unwrap(), [2, 0, 0, 0, 0, 1]);
    let driver = Driver::new(machine(vec![Box::new(net)]), 0);
    driver.set_up(2, SIZE.into());
    (driver, other)
}

#[test]
fn frames_go_both_ways() {
    let (driver, mut other) = network();
    assert_eq!(driver.get::<6>(at::CONFIG), [2, 0, 0, 0, 0, 1]);
    let data = driver.data();
    // To the outside: a header of 12 bytes, then the frame, in two pieces.
    driver.write(data, &[0; 12]);
    driver.write(data + 12, b"a frame");
    driver.chain(1, 0, &[(data, 14, false), (data + 14, 5, false)]);
    driver.offer(1, SIZE, 0, 0);
    driver.notify(1);
    assert_eq!(driver.completed(1, SIZE), (1, 0, 0));
    let mut bytes = [0; 11];
    other.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"\0\0\0\x07a frame");
    // To the inside: nothing is taken before there is room.
    other.write_all(b"\0\0\0\x05first\0\0\0\x06second").unwrap();
    driver.chain(0, 0, &[(data + PAGE, 12, true), (data + 2 * PAGE, 1600, true)]);
    driver.offer(0, SIZE, 0, 0);
    driver.input();
    assert_eq!(driver.completed(0, SIZE), (1, 0, 17));
    assert_eq!(&driver.read::<5>(data + 2 * PAGE), b"first");
    assert_eq!(driver.read::<12>(data + PAGE), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
    // A frame that does not fit is lost, and its room is the next one's.
    driver.chain(0, 2, &[(data + PAGE, 15, true)]);
    driver.offer(0, SIZE, 1, 2);
    driver.input();
    assert_eq!(driver.completed(0, SIZE).0, 1);
    other.write_all(b"\0\0\0\x03ok!").unwrap();
    driver.input();
    assert_eq!(driver.completed(0, SIZE), (2, 2, 15));
    assert_eq!(&driver.read::<3>(data + PAGE + 12), b"ok!");
}

/// Where a driver with event index is to notify the device (virtio 1.2, section 2.7.10): behind the ring
/// of completions.
fn notify_at(driver: &Driver, queue: usize) -> u16 {
    let at = driver.rings(queue) + 2 * PAGE + 4 + 8 * u64::from(SIZE);
    u16::from_le_bytes(driver.read(at))
}

/// Gives room for frames: for a header and 1600 bytes each, in pages of their own.
fn give_room(driver: &Driver, numbers: std::ops::Range<u16>) {
    for number in numbers {
        let head = number % SIZE;
        driver.chain(0, head, &[(room(driver, head), 1612, true)]);
        driver.offer(0, SIZE, number, head);
    }
}

fn room(driver: &Driver, head: u16) -> u64 {
    driver.data() + (16 + u64::from(head)) * PAGE
}

fn send(driver: &Driver, number: u16, frame: &[u8]) -> bool {
    let data = driver.data();
    driver.write(data, &[0; 12]);
    driver.write(data + 12, frame);
    driver.chain(1, 0, &[(data, 12 + frame.len() as u32, false)]);
    driver.offer(1, SIZE, number, 0);
    driver.notify(1)
}

#[test]
fn room_for_frames_is_no_work_until_a_frame_waits() {
    for features in [VERSION_1, VERSION_1 | EVENT_INDEX] {
        let (driver, mut other) = network();
        driver.set_up_with(2, SIZE.into(), features);
        give_room(&driver, 0..3);
        assert!(!driver.notify(0), "nothing came");
        assert_eq!(driver.waits_for(), Some(libc::POLLIN));
        for number in 0..3u8 {
            other.write_all(&[0, 0, 0, 1, number]).unwrap();
            assert!(!driver.input());
        }
        assert_eq!(driver.completed(0, SIZE), (3, 2, 13));
        // With room for none the device is to be told of room, whoever finds that out.
        other.write_all(&[0, 0, 0, 1, 3]).unwrap();
        assert!(!driver.input());
        assert_eq!(driver.waits_for(), None);
        assert_eq!(notify_at(&driver, 0), if features & EVENT_INDEX == 0 { 0 } else { 3 });
        give_room(&driver, 3..5);
        assert!(!driver.notify(0));
        assert_eq!(driver.completed(0, SIZE), (4, 3, 13));
        assert_eq!(driver.read(room(&driver, 3) + 12), [3]);
    }
}

#[test]
fn notifications_are_asked_for_only_when_nobody_looks() {
    let (driver, mut other) = network();
    driver.set_up_with(2, SIZE.into(), VERSION_1 | EVENT_INDEX);
    driver.write(driver.data(), &[0; 12]);
    driver.chain(1, 0, &[(driver.data(), 15, false)]);
    for number in 0..3 {
        driver.offer(1, SIZE, number, 0);
        driver.serve();
        assert_eq!(driver.completed(1, SIZE).0, number + 1);
        assert_eq!(notify_at(&driver, 1), 0);
        other.read_exact(&mut [0; 7]).unwrap();
    }
    driver.offer(1, SIZE, 3, 0);
    assert!(driver.listen(), "it came before");
    driver.serve();
    assert!(!driver.listen());
    assert_eq!((driver.completed(1, SIZE).0, notify_at(&driver, 1)), (4, 4));
}

#[test]
fn frames_that_were_taken_from_the_socket_outlive_a_reset() {
    let (driver, mut other) = network();
    give_room(&driver, 0..1);
    other.write_all(b"\0\0\0\x03one\0\0\0\x03two\0\0\0\x05three").unwrap();
    assert!(!driver.input());
    assert_eq!(driver.completed(0, SIZE).0, 1);
    // The second waited for room in queues that are no more; of the third the socket says nothing.
    driver.set_up(2, SIZE.into());
    give_room(&driver, 0..2);
    assert!(driver.serve(), "it was just started");
    assert!(!driver.input());
    assert!(!driver.serve());
    assert_eq!(driver.completed(0, SIZE), (1, 0, 17));
    assert_eq!(&driver.read::<5>(room(&driver, 0) + 12), b"three");
}

#[test]
fn a_driver_without_a_queue_for_frames_loses_them() {
    let (driver, mut other) = network();
    driver.register(SET_STATUS, 0);
    driver.place(0, 0, [0; 3]);
    driver.register(SET_STATUS, READY);
    assert_eq!(driver.status(), READY);
    other.write_all(&b"\0\0\0\x02no".repeat(70)).unwrap();
    assert!(driver.input(), "more than are taken at a time");
    assert!(!driver.input());
    send(&driver, 0, b"its own");
    let mut bytes = [0; 11];
    other.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes[4..], b"its own");
}

#[test]
fn frames_that_came_together_are_all_taken() {
    let (driver, mut other) = network();
    driver.chain(0, 0, &[(room(&driver, 0), 13, true)]);
    driver.offer(0, SIZE, 0, 0);
    // More than are taken at a time, of which all but the last are lost. They are read at once, so that
    // the socket says nothing of those that are left.
    let mut bytes = b"\0\0\0\x02no".repeat(70);
    bytes.extend(b"\0\0\0\x01y");
    other.write_all(&bytes).unwrap();
    assert!(driver.input());
    assert!(!driver.input());
    assert_eq!(driver.completed(0, SIZE), (1, 0, 13));
}

#[test]
fn a_frame_that_waits_is_not_what_the_guest_sends_meanwhile() {
    let (driver, mut other) = network();
    give_room(&driver, 0..1);
    other.write_all(b"\0\0\0\x05first\0\0\0\x06second").unwrap();
    driver.input();
    assert_eq!(driver.completed(0, SIZE), (1, 0, 17));
    assert!(!send(&driver, 0, b"its own"));
    let mut bytes = [0; 11];
    other.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"\0\0\0\x07its own");
    give_room(&driver, 1..2);
    driver.notify(0);
    assert_eq!(driver.completed(0, SIZE), (2, 1, 18));
    assert_eq!(&driver.read::<6>(room(&driver, 1) + 12), b"second");
}

#[test]
fn frames_come_while_those_of_the_guest_find_no_room() {
    let (driver, mut other) = network();
    give_room(&driver, 0..1);
    let frame = [0x77; 1500];
    let mut given = 0u16;
    while driver.waits_for() == Some(libc::POLLIN) {
        send(&driver, given, &frame);
        given += 1;
    }
    assert_eq!(driver.waits_for(), Some(libc::POLLIN | libc::POLLOUT));
    // What is sent now stays in the queue, and is no work.
    assert_eq!(driver.completed(1, SIZE).0, given);
    assert!(!send(&driver, given, &frame));
    assert_eq!(driver.completed(1, SIZE).0, given);
    given += 1;
    other.write_all(b"\0\0\0\x05hello").unwrap();
    assert!(!driver.input());
    assert_eq!(driver.completed(0, SIZE), (1, 0, 17));
    let mut bytes = [0; 1504];
    for number in 0..given {
        other.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes[..4], [0, 0, 5, 0xdc], "frame {number}");
        assert!(bytes[4..] == frame);
        if driver.waits_for() != Some(libc::POLLIN) {
            driver.input();
        }
    }
    assert_eq!(driver.completed(1, SIZE).0, given);
    assert_eq!(driver.waits_for(), Some(libc::POLLIN));
}

#[test]
fn frames_without_a_header_stop_the_card_and_long_ones_are_lost() {
    let (driver, mut other) = network();
    let data = driver.data();
    let frames: Vec<(u64, u32, bool)> = (0..6).map(|_| (data, 16 << 10, false)).collect();
    driver.chain(1, 0, &frames);
    driver.offer(1, SIZE, 0, 0);
    driver.chain(1, 6, &[(data, 13, false)]);
    driver.offer(1, SIZE, 1, 6);
    driver.notify(1);
    assert_eq!(driver.completed(1, SIZE).0, 2);
    let mut bytes = [0; 5];
    other.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes[..4], [0, 0, 0, 1]);
    driver.chain(1, 0, &[(data, 11, false)]);
    driver.offer(1, SIZE, 2, 0);
    driver.notify(1);
    assert_eq!(driver.status(), NEEDS_RESET);
}

/// Whether there are children of this process whose names start so, each first in a group of its own:
/// fields 1, 2, 4 and 5 of /proc/PID/stat (proc(5)).
fn leads_its_group(name: &str) -> bool {
    let own = std::process::id().to_string();
    let mut groups = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok())
        .filter_map(|stat| {
            let (start, fields) = stat.rsplit_once(") ")?;
            let (pid, child) = start.split_once(" (")?;
            let fields: Vec<&str> = fields.split(' ').collect();
            let is_child = child.starts_with(name) && fields[1] == own;
            is_child.then(|| fields[2] == pid)
        })
        .peekable();
    groups.peek().is_some() && groups.all(|leads| leads)
}

#[test]
fn passt_answers_where_it_is_installed() {
    let net = match Net::open(&"user".parse().unwrap()) {
        Err(Error::NoPasst) => {
            return eprintln!("NOT RUN: networking by passt, which is not there");
        }
        net => net.unwrap(),
    };
    assert!(leads_its_group("passt"), "what a terminal sends does not reach it");
    let driver = Driver::new(machine(vec![Box::new(net)]), 0);
    driver.set_up(2, SIZE.into());
    let data = driver.data();
    // Who has 10.0.0.1 (RFC 826)? passt answers for everybody else.
    let own = [2, 0, 0, 0, 0, 1];
    let request = [
        &[0; 12][..],
        &[0xff; 6],
        &own,
        &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
        &own,
        &[10, 0, 0, 5, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1],
    ]
    .concat();
    driver.write(data, &request);
    driver.chain(0, 0, &[(data + PAGE, 1600, true)]);
    driver.offer(0, SIZE, 0, 0);
    driver.chain(1, 0, &[(data, request.len() as u32, false)]);
    driver.offer(1, SIZE, 0, 0);
    driver.notify(1);
    for _ in 0..500 {
        driver.input();
        if driver.completed(0, SIZE).0 == 1 {
            // An answer, to us.
            let frame = driver.read::<24>(data + PAGE + 12);
            assert_eq!((&frame[..6], &frame[12..14], frame[21]), (&own[..], &[8, 6][..], 2));
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("no answer");
}
