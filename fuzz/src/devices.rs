use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ukblkdev::{BlockDevice, Buffer, Operation, Request};
use ukdma::{SegmentList, Segments};
use uknetdev::{Burst, Interest, NetBuf, NetDevice};
use ukpci::{Function, Place};
use ukplat::device::Registers;
use virtio_device::{features, kinds, model::Model};
use virtio_ring::{Config, SplitQueue, model::Device};

/// Bytes as numbers; zeroes when there are no more.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn word(&mut self) -> u32 {
        u32::from_le_bytes([(); 4].map(|()| self.byte()))
    }

    /// A small number, or sometimes any.
    fn number(&mut self) -> u32 {
        match self.byte() {
            255 => self.word(),
            small => small.into(),
        }
    }
}

struct Bytes(Vec<u8>);

impl Segments for Bytes {
    fn segments<'a>(&'a mut self, list: &mut SegmentList<'_, 'a>) {
        list.device_writes(&mut self.0);
    }
}

/// A queue's size and features, then what driver and device do, the device anything it likes.
pub fn virtio_ring(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (size, flags) = (input.byte() % 16 + 1, input.byte());
    let config = Config {
        size: size.into(),
        max_segments: 2,
        indirect: flags & 1 != 0,
        event_index: flags & 2 != 0,
    };
    let Ok(mut queue) = SplitQueue::new(config) else { return };
    let mut device = Device::new(queue.rings());
    let (mut taken, mut given) = (0usize, 0usize);
    let mut broken = None;
    while !input.0.is_empty() {
        match input.byte() % 6 {
            0 => taken += usize::from(queue.submit(Bytes(vec![0; 8])).is_ok()),
            1 => drop(queue.publish()),
            2 => device.push_raw(input.number(), input.number()),
            3 => device.publish(input.number() as u16),
            4 => device.publish(device.used()),
            _ => match queue.complete() {
                Ok(done) => {
                    assert!(broken.is_none(), "a broken queue stays broken");
                    if let Some(done) = done {
                        assert!(done.written as usize <= done.request.0.len());
                        given += 1;
                    }
                }
                Err(error) => broken = Some(error),
            },
        }
        assert!(given <= taken, "a request comes back once");
        assert!(usize::from(queue.in_flight()) == taken - given);
    }
}

/// Registers of a block device, then requests, and completions of any kind.
pub fn virtio_blk(bytes: &[u8]) {
    let mut input = Input(bytes);
    let offered = u64::from(input.word() & 0xffff) | features::VERSION_1;
    let offered = offered | if input.byte() & 1 != 0 { features::RING_INDIRECT } else { 0 };
    let model = Model::new(kinds::BLOCK, offered, &[8, 8]);
    for at in (0..60).step_by(4) {
        model.config().write32(at, input.number());
    }
    let Ok(block) = virtio_blk::Block::new(Box::new(model.clone())) else { return };
    let info = *block.info();
    assert!(info.block_size >= 512 && info.max_bytes >= info.block_size as usize);
    let mut waiting = BTreeSet::new();
    let mut tag = 0;
    while !input.0.is_empty() {
        match input.byte() % 4 {
            0 => {
                let operation = match input.byte() % 5 {
                    0 => Operation::Read,
                    1 => Operation::Write,
                    2 => Operation::Flush,
                    3 => Operation::Discard(input.number().into()),
                    _ => Operation::WriteZeroes(input.number().into()),
                };
                let len = usize::from(input.byte() % 3) * 512;
                let Ok(buffer) = Buffer::new(len) else { return };
                let request = Request { operation, block: input.number().into(), buffer, tag };
                let end = request.block.checked_add(info.blocks_of(operation, len));
                match block.submit(0, request) {
                    Ok(()) => {
                        // A flush is of the whole device, wherever it says that it begins.
                        let whole = operation == Operation::Flush;
                        assert!(whole || end.is_some_and(|end| end <= info.blocks));
                        waiting.insert(tag);
                        tag += 1;
                    }
                    Err(refused) => assert_eq!(refused.request.buffer.len(), len),
                }
                block.kick(0);
            }
            1 => model.queue(0).push_raw(input.number(), input.number()),
            2 => {
                let mut queue = model.queue(0);
                let used = queue.used();
                queue.publish(used);
            }
            _ => {
                if let Some(done) = block.poll(0) {
                    assert!(waiting.remove(&done.tag), "a request is done once");
                }
            }
        }
    }
}

/// Registers of a network device, then buffers, frames to send, and completions of any kind.
pub fn virtio_net(bytes: &[u8]) {
    let mut input = Input(bytes);
    let offered = u64::from(input.word() & 0xff_ffff) | features::VERSION_1;
    let offered = offered | if input.byte() & 1 != 0 { features::RING_INDIRECT } else { 0 };
    let offered = offered | if input.byte() & 1 != 0 { features::RING_EVENT_INDEX } else { 0 };
    let model = Model::new(kinds::NETWORK, offered, &[8, 8]);
    for at in 0..12 {
        model.config().write8(at, input.byte());
    }
    let Ok(net) = virtio_net::Net::new(Box::new(model.clone())) else { return };
    let info = *net.info();
    assert!(info.mac.is_station() && info.depth > 0);
    let (Ok(mut burst), Ok(mut frames)) = (Burst::new(4), Burst::new(4)) else { return };
    let (mut supplied, mut received, mut sent, mut back) = (0, 0, 0, 0);
    while !input.0.is_empty() {
        match input.byte() % 7 {
            0 => {
                let count = usize::from(input.byte() % 4);
                let new = std::iter::from_fn(|| NetBuf::new(info.buffer_len(), 0).ok());
                new.take(count).for_each(|buffer| drop(burst.push(buffer)));
                let before = burst.len();
                drop(net.supply(0, &mut burst));
                supplied += before - burst.len();
                while burst.pop().is_some() {}
            }
            1 => {
                drop(net.rx_burst(0, &mut frames));
                received += frames.len();
                while let Some(frame) = frames.pop() {
                    assert!(frame.len() >= uknetdev::HEADER_LEN);
                    assert!(frame.len() + frame.headroom() <= info.buffer_len());
                }
                assert!(received <= supplied, "a buffer comes back once");
            }
            2 => {
                let Ok(mut frame) = NetBuf::new(256, input.byte().into()) else { return };
                let _ = frame.extend(input.byte().into());
                let (len, headroom) = (frame.len(), frame.headroom());
                drop(burst.push(frame));
                match net.tx_burst(0, &mut burst) {
                    Ok(()) if burst.is_empty() => sent += 1,
                    _ => {
                        let same = burst.pop().map(|frame| (frame.len(), frame.headroom()));
                        assert_eq!(same, Some((len, headroom)), "what stays is as it was");
                    }
                }
            }
            3 => {
                net.reclaim(0, &mut frames);
                back += frames.len();
                while frames.pop().is_some() {}
                assert!(back <= sent, "a frame comes back once");
            }
            4 => {
                let queue = usize::from(input.byte() % 2);
                model.queue(queue).push_raw(input.number(), input.number());
            }
            5 => {
                let mut queue = model.queue(usize::from(input.byte() % 2));
                let used = queue.used();
                queue.publish(used);
            }
            _ => {
                net.arm(0, Interest::FramesOrRoom);
                net.link();
            }
        }
    }
}

/// Configuration space of a PCI function.
pub fn pci(bytes: &[u8]) {
    static SPACE: [AtomicU64; 512] = [const { AtomicU64::new(0) }; 512];
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = TURN.lock();
    for (index, word) in SPACE.iter().enumerate() {
        let part = bytes.get(index * 8..).unwrap_or_default();
        let mut eight = [0; 8];
        let len = part.len().min(8);
        eight[..len].copy_from_slice(&part[..len]);
        word.store(u64::from_le_bytes(eight), Relaxed);
    }
    let place = Place { bus: 0, device: 0, function: 0 };
    let Some(function) = Function::new(Registers::over(&SPACE), place) else { return };
    assert!(function.capabilities().all(|c| (0x40..0x100).contains(&c.offset)));
    assert!((0..=255).filter_map(|bar| function.bar(bar)).all(|address| address & 15 == 0));
    assert!(virtio_pci::Pci::new(&function, &mut || None).is_err(), "nothing can be mapped here");
}
