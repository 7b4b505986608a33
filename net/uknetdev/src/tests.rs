use std::collections::VecDeque;

use proptest::prelude::*;
use ukerrno::Errno;

use super::model::{DEPTH, HEADROOM, Model, pair};
use super::*;

const LOCAL: EtherType = EtherType(0x88b5);

fn queues() -> ((Model, Queue), (Model, Queue)) {
    let (one, two) = pair();
    let queue = |model: &Model| register(Box::new(model.clone())).queue(0).unwrap();
    let (near, far) = (queue(&one), queue(&two));
    ((one, near), (two, far))
}

/// A frame with these bytes behind its header.
fn frame(queue: &mut Queue, content: &[u8]) -> NetBuf {
    let mut frame = queue.buffer().unwrap();
    frame.extend(content.len()).unwrap().copy_from_slice(content);
    let from = queue.interface().info().mac;
    put_header(&mut frame, Mac::BROADCAST, from, LOCAL).unwrap();
    frame
}

fn send(queue: &mut Queue, content: &[u8]) -> Result<usize, NetError> {
    let mut burst = Burst::new(1).unwrap();
    burst.push(frame(queue, content)).unwrap();
    queue.transmit(&mut burst)
}

/// What has arrived, without headers.
fn contents(queue: &mut Queue) -> Vec<Vec<u8>> {
    let mut burst = Burst::new(64).unwrap();
    let mut all = Vec::new();
    while queue.receive(&mut burst).unwrap() > 0 {
        while let Some(frame) = burst.pop() {
            all.push(frame[HEADER_LEN..].to_vec());
            queue.recycle(frame);
        }
    }
    all
}

#[test]
fn interfaces_have_names_and_queues_one_user() {
    let ((_, near), _) = queues();
    let net = near.interface();
    assert_eq!(interface(net.name()).map(Interface::name), Some(net.name()));
    assert!(interfaces().iter().any(|i| i.name() == net.name()));
    assert!(interface("net").is_none());
    assert_eq!(net.queue(0).err(), Some(NetError::InUse));
    assert_eq!(net.queue(1).err(), Some(NetError::NoQueue));
    drop(near);
    let again = net.queue(0).unwrap();
    assert_eq!((again.index(), net.link()), (0, Link::Up));
    assert_eq!(Errno::from(NetError::InUse), Errno::EBUSY);
}

#[test]
fn a_frame_arrives_as_it_was_sent() {
    let ((_, mut near), (_, mut far)) = queues();
    assert_eq!(send(&mut near, b"hello"), Ok(1));
    let mut burst = Burst::new(4).unwrap();
    assert_eq!(far.receive(&mut burst), Ok(1));
    let frame = burst.pop().unwrap();
    let mac = near.interface().info().mac;
    assert_eq!(read_header(&frame), Some((Mac::BROADCAST, mac, LOCAL)));
    assert_eq!(frame[HEADER_LEN..], *b"hello");
    let sent = near.interface().stats();
    let received = far.interface().stats();
    assert_eq!((sent.sent, sent.sent_bytes), (1, 19));
    assert_eq!((received.received, received.received_bytes), (1, 19));
}

#[test]
fn what_cannot_be_sent_stays_and_says_why() {
    let ((_, mut near), (_, mut far)) = queues();
    let mtu = near.interface().info().mtu;
    let mut burst = Burst::new(4).unwrap();
    let mut try_one = |near: &mut Queue, frame: NetBuf| {
        burst.push(self::frame(near, b"good")).unwrap();
        burst.push(frame).unwrap();
        let error = near.transmit(&mut burst).unwrap_err();
        assert_eq!(burst.len(), 1, "the good one is gone");
        burst.pop();
        error
    };
    let mut short = near.buffer().unwrap();
    short.extend(13).unwrap();
    assert_eq!(try_one(&mut near, short), NetError::BadLength);
    let mut long = NetBuf::new(4096, 64).unwrap();
    long.extend(mtu + HEADER_LEN + 5).unwrap();
    assert_eq!(try_one(&mut near, long), NetError::BadLength);
    let mut front = NetBuf::new(256, HEADROOM - 1).unwrap();
    front.extend(60).unwrap();
    assert_eq!(try_one(&mut near, front), NetError::Headroom);
    let mut pieces = frame(&mut near, b"");
    for _ in 0..4 {
        pieces.chain(NetBuf::of(ukdma::Buffer::new(8).unwrap())).unwrap();
    }
    assert_eq!(try_one(&mut near, pieces), NetError::Pieces);
    assert_eq!(contents(&mut far), vec![b"good"; 4]);
}

#[test]
fn pieces_arrive_as_one_frame() {
    let ((_, mut near), (_, mut far)) = queues();
    let mut whole = frame(&mut near, b"one ");
    for word in [&b"two "[..], b"three"] {
        let mut piece = NetBuf::new(16, 3).unwrap();
        piece.extend(word.len()).unwrap().copy_from_slice(word);
        whole.chain(piece).unwrap();
    }
    assert_eq!((whole.len(), whole.frame_len()), (18, 27));
    let mut burst = Burst::new(1).unwrap();
    burst.push(whole).unwrap();
    assert_eq!(near.transmit(&mut burst), Ok(1));
    assert_eq!(contents(&mut far), [b"one two three"]);
}

#[test]
fn a_device_without_room_takes_what_it_can() {
    let ((_, mut near), (_, mut far)) = queues();
    let mut burst = Burst::new(64).unwrap();
    for n in 0..40u8 {
        burst.push(frame(&mut near, &[n])).unwrap();
    }
    // As many as the other end has buffers for, and as the device keeps.
    let taken = near.transmit(&mut burst).unwrap() + near.transmit(&mut burst).unwrap();
    assert_eq!((taken, burst.len()), (2 * DEPTH, 40 - 2 * DEPTH));
    assert!(!near.wait(Interest::FramesOrRoom, ukplat::monotonic_ns()), "it is full");
    let mut arrived = contents(&mut far);
    while !burst.is_empty() {
        assert!(near.wait(Interest::FramesOrRoom, u64::MAX));
        near.transmit(&mut burst).unwrap();
        arrived.extend(contents(&mut far));
    }
    assert_eq!(arrived, (0..40u8).map(|n| vec![n]).collect::<Vec<_>>());
}

#[test]
fn frames_may_be_kept() {
    let ((_, mut near), (_, mut far)) = queues();
    let mut kept = Burst::new(200).unwrap();
    for n in 0..200u8 {
        send(&mut near, &[n]).unwrap();
        assert_eq!(far.receive(&mut kept), Ok(1));
    }
    assert!(kept.is_full());
    assert_eq!(far.receive(&mut kept), Ok(0));
    assert!((0..200u8).zip(kept.iter()).all(|(n, frame)| frame[HEADER_LEN..] == [n]));
}

#[test]
fn a_wait_ends_with_a_frame_a_change_of_the_link_or_its_time() {
    for mode in [Mode::Interrupts, Mode::Polling] {
        let ((one, mut near), (_, mut far)) = queues();
        far.set_mode(mode);
        let soon = ukplat::monotonic_ns() + 2_000_000;
        assert!(!far.wait(Interest::Frames, soon));
        assert!(ukplat::monotonic_ns() >= soon);
        let interface = far.interface();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| far.wait(Interest::Frames, u64::MAX));
            while interface.stats().waits < 2 {
                std::thread::yield_now();
            }
            send(&mut near, b"x").unwrap();
            assert!(waiting.join().unwrap());
        });
        if mode == Mode::Interrupts {
            std::thread::scope(|scope| {
                let waiting = scope.spawn(|| near.wait(Interest::Frames, u64::MAX));
                while !one.is_armed() {
                    std::thread::yield_now();
                }
                one.set_link(Link::Down);
                assert!(waiting.join().unwrap());
            });
        }
    }
}

#[test]
fn a_device_that_breaks_gives_errors_and_nothing_waits_for_it() {
    let ((one, mut near), (_, mut far)) = queues();
    send(&mut far, b"last").unwrap();
    one.break_down();
    let mut burst = Burst::new(8).unwrap();
    assert_eq!(near.receive(&mut burst), Err(NetError::Broken));
    assert_eq!(burst.len(), 1, "what came before");
    assert_eq!(send(&mut near, b""), Err(NetError::Broken));
    assert!(near.wait(Interest::Frames, u64::MAX));
}

#[test]
fn addresses_are_written_and_read() {
    let mac = Mac([2, 0, 0xab, 9, 0xff, 1]);
    assert_eq!(mac.to_string(), "02:00:ab:09:ff:01");
    assert_eq!(mac.to_string().parse(), Ok(mac));
    for wrong in
        ["", "02", "02:00:00:00:00", "02:00:00:00:00:00:00", "0g:0:0:0:0:0", "+1:0:0:0:0:0"]
    {
        assert_eq!(wrong.parse::<Mac>(), Err(NoMac), "{wrong}");
    }
    assert!(mac.is_station() && !Mac::BROADCAST.is_station() && !Mac::default().is_station());
    assert!(Mac::local([0xff; 6]).is_station());
    assert_eq!(read_header(&[0; 13]), None);
}

/// What can be done with a buffer.
#[derive(Clone, Debug)]
enum Step {
    Prepend(usize),
    Extend(usize),
    Strip(usize),
    Truncate(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let count = prop_oneof![0usize..20, 0usize..300, Just(usize::MAX)];
    (0..4, count).prop_map(|(kind, count)| match kind {
        0 => Step::Prepend(count),
        1 => Step::Extend(count),
        2 => Step::Strip(count),
        _ => Step::Truncate(count),
    })
}

proptest! {
    /// Against a deque of bytes with room on both sides.
    #[test]
    fn a_buffer_is_its_bytes(capacity in 0usize..256, headroom in 0usize..300, steps in prop::collection::vec(step(), 0..60)) {
        let mut buffer = NetBuf::new(capacity, headroom).unwrap();
        let mut bytes = VecDeque::new();
        let mut front = headroom.min(capacity);
        let mut next = 0u8;
        for step in steps {
            let back = capacity - front - bytes.len();
            let mut fill = |room: &mut [u8]| room.iter_mut().for_each(|byte| {
                next = next.wrapping_add(1);
                *byte = next;
            });
            match step {
                Step::Prepend(count) => match buffer.prepend(count) {
                    Some(room) => {
                        fill(room);
                        prop_assert!(room.len() == count && count <= front);
                        room.iter().rev().for_each(|byte| bytes.push_front(*byte));
                        front -= count;
                    }
                    None => prop_assert!(count > front),
                },
                Step::Extend(count) => match buffer.extend(count) {
                    Some(room) => {
                        fill(room);
                        prop_assert!(room.len() == count && count <= back);
                        bytes.extend(room.iter());
                    }
                    None => prop_assert!(count > back),
                },
                Step::Strip(count) => {
                    prop_assert_eq!(buffer.strip(count), count <= bytes.len());
                    if count <= bytes.len() {
                        bytes.drain(..count);
                        front += count;
                    }
                }
                Step::Truncate(count) => {
                    buffer.truncate(count);
                    bytes.truncate(count);
                }
            }
            prop_assert!(buffer.iter().eq(bytes.iter()));
            prop_assert_eq!((buffer.headroom(), buffer.capacity()), (front, capacity));
            prop_assert_eq!(buffer.tailroom(), capacity - front - bytes.len());
        }
    }

    /// Both ends send, receive, keep and give back as they like: what arrives is what was sent, in
    /// order, and nothing is lost unless the wire loses it.
    #[test]
    fn what_arrives_is_what_was_sent(loses in prop::option::of(2usize..9), steps in prop::collection::vec((0usize..2, 0..4, 1usize..12), 0..120)) {
        let ((one, near), (two, far)) = queues();
        for model in [&one, &two] {
            loses.into_iter().for_each(|every| model.lose(every));
        }
        let mut ends = [near, far];
        let mut sent = [Vec::new(), Vec::new()];
        let mut arrived = [Vec::new(), Vec::new()];
        let mut kept = Vec::new();
        let mut next = 0u16;
        for (end, action, count) in steps {
            match action {
                0 | 1 => {
                    let mut burst = Burst::new(count).unwrap();
                    let mut contents = Vec::new();
                    while !burst.is_full() {
                        next += 1;
                        let content = next.to_be_bytes().repeat(1 + usize::from(next) % 700);
                        burst.push(frame(&mut ends[end], &content)).unwrap();
                        contents.push(content);
                    }
                    let taken = ends[end].transmit(&mut burst).unwrap();
                    prop_assert_eq!(taken + burst.len(), count);
                    sent[end].extend(contents.into_iter().take(taken));
                }
                2 => {
                    let mut burst = Burst::new(count).unwrap();
                    let received = ends[end].receive(&mut burst).unwrap();
                    prop_assert_eq!(received, burst.len());
                    while let Some(frame) = burst.pop() {
                        arrived[1 - end].push(frame[HEADER_LEN..].to_vec());
                        kept.push(frame);
                    }
                }
                _ => kept.drain(..).for_each(|frame| ends[end].recycle(frame)),
            }
        }
        for (end, queue) in ends.iter_mut().enumerate() {
            arrived[1 - end].extend(contents(queue));
        }
        for (index, (sent, arrived)) in sent.iter().zip(&arrived).enumerate() {
            // A part of what was sent, in the same order …
            let mut all = sent.iter();
            prop_assert!(arrived.iter().all(|content| all.any(|s| s == content)));
            // … which lacks just the lost ones.
            let lost = loses.map_or(0, |every| sent.len() / every);
            prop_assert_eq!(arrived.len() + lost, sent.len());
            prop_assert_eq!(ends[index].interface().stats().sent, sent.len() as u64);
            prop_assert_eq!(ends[1 - index].interface().stats().received, arrived.len() as u64);
        }
    }
}
