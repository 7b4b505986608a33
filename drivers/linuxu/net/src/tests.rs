use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use uknetdev::{Burst, EtherType, HEADER_LEN, Interest, Link, Mac, NetError, Queue, put_header};

use crate::transmit::LENGTH;
use crate::{OpenError, open};
use linuxu::file::HostError;

/// A device, and the other end of its socket.
fn pair(mac: &str) -> (Queue, UnixStream) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("net");
    let listener = UnixListener::bind(&path).unwrap();
    let device = open(&format!("socket={}{mac}", path.display()), None).unwrap();
    let queue = uknetdev::register(Box::new(device)).queue(0).unwrap();
    (queue, listener.accept().unwrap().0)
}

fn frames_of(queue: &mut Queue, count: usize) -> Vec<Vec<u8>> {
    let mut burst = Burst::new(8).unwrap();
    let mut all = Vec::new();
    while all.len() < count {
        // Without the platform nobody tells: it looks from time to time.
        assert!(queue.wait(Interest::Frames, u64::MAX));
        queue.receive(&mut burst).unwrap();
        while let Some(frame) = burst.pop() {
            all.push(frame.to_vec());
            queue.recycle(frame);
        }
    }
    all
}

fn framed(frame: &[u8]) -> Vec<u8> {
    [&(frame.len() as u32).to_be_bytes()[..], frame].concat()
}

#[test]
fn frames_come_as_they_were_sent_however_they_are_cut() {
    let (mut queue, mut far) = pair(",mac=02:00:00:00:00:07");
    assert_eq!(queue.interface().info().mac, Mac([2, 0, 0, 0, 0, 7]));
    let frames: Vec<Vec<u8>> = (14..1519).step_by(17).map(|len| vec![len as u8; len]).collect();
    let mut bytes: Vec<u8> = framed(&[0; 13]);
    frames.iter().for_each(|frame| bytes.extend(framed(frame)));
    bytes.extend(framed(&[0; 1519]));
    let writer = std::thread::spawn(move || {
        bytes.chunks(997).for_each(|part| far.write_all(part).unwrap());
        far
    });
    assert_eq!(frames_of(&mut queue, frames.len()), frames);
    drop(writer.join().unwrap());
    while queue.interface().link() == Link::Up {
        queue.receive(&mut Burst::new(1).unwrap()).unwrap();
    }
    assert_eq!(queue.interface().stats().dropped, 2, "too short, too long");
}

#[test]
fn frames_are_sent_behind_their_lengths_and_wait_for_room() {
    let (mut queue, mut far) = pair("");
    assert!(queue.interface().info().mac.is_station());
    let count = 2000;
    let reader = std::thread::spawn(move || {
        // Late: the socket gets full.
        std::thread::sleep(std::time::Duration::from_millis(20));
        for number in 0..count {
            let mut length = [0; LENGTH];
            far.read_exact(&mut length).unwrap();
            let mut frame = vec![0; u32::from_be_bytes(length) as usize];
            far.read_exact(&mut frame).unwrap();
            assert_eq!(frame[HEADER_LEN..], vec![number as u8; number % 1500]);
        }
        // Closed with the last one read.
    });
    // More than the device takes at a time.
    let mut burst = Burst::new(100).unwrap();
    for number in 0..count {
        let mut frame = queue.buffer().unwrap();
        frame.extend(number % 1500).unwrap().fill(number as u8);
        put_header(&mut frame, Mac::BROADCAST, Mac::default(), EtherType::ARP).unwrap();
        burst.push(frame).unwrap();
        while burst.is_full() {
            queue.wait(Interest::FramesOrRoom, u64::MAX);
            queue.transmit(&mut burst).unwrap();
        }
    }
    while !burst.is_empty() {
        queue.wait(Interest::FramesOrRoom, u64::MAX);
        queue.transmit(&mut burst).unwrap();
    }
    // The rest of the last one may still wait for room.
    while !reader.is_finished() {
        queue.wait(Interest::Frames, ukplat::monotonic_ns() + 1_000_000);
        queue.receive(&mut Burst::new(1).unwrap()).unwrap();
    }
    reader.join().unwrap();
}

#[test]
fn a_length_that_makes_no_sense_takes_the_link_down() {
    let (mut queue, mut far) = pair("");
    far.write_all(&[0xff; 64]).unwrap();
    let mut burst = Burst::new(4).unwrap();
    assert!(queue.wait(Interest::Frames, u64::MAX));
    assert_eq!(queue.receive(&mut burst), Ok(0));
    assert_eq!(queue.interface().link(), Link::Down);
    // Frames are lost then, and nothing waits for ever.
    let mut frame = queue.buffer().unwrap();
    put_header(&mut frame, Mac::BROADCAST, Mac::default(), EtherType::ARP).unwrap();
    burst.push(frame).unwrap();
    assert!(queue.wait(Interest::FramesOrRoom, u64::MAX));
    assert_eq!(queue.transmit(&mut burst), Ok(1));
    assert!(!queue.wait(Interest::Frames, ukplat::monotonic_ns()));
}

#[test]
fn words_that_name_nothing_are_errors() {
    let error = |word: &str| open(word, None).err();
    assert_eq!(error("wifi"), Some(OpenError::Word));
    assert_eq!(error("user"), Some(OpenError::Word));
    assert_eq!(error("tap=x,mac=1"), Some(OpenError::Mac));
    assert_eq!(error("tap=x,mac=01:00:00:00:00:00"), Some(OpenError::Mac));
    assert_eq!(error("fd=one"), Some(OpenError::Word));
    assert_eq!(error("fd=987654"), Some(OpenError::Host(HostError(9))));
    assert_eq!(error("tap=a-name-that-is-too-long"), Some(OpenError::Host(HostError(36))));
    assert_eq!(error("socket=/nowhere/at/all"), Some(OpenError::Host(HostError(2))));
    let (queue, _far) = pair("");
    assert_eq!(queue.interface().queue(0).err(), Some(NetError::InUse));
}
