use proptest::prelude::*;
use uknetdev::{EtherType, HEADER_LEN, Mac, NetBuf, model, put_header, register};

use crate::answer::{Answer, LOCAL, STOP, Station};
use crate::{checksum, parse, ping, serve};

const STATION: Station = Station { mac: Mac([2, 0, 0, 0, 0, 5]), ip: [10, 0, 0, 5] };

fn frame(carries: EtherType, content: &[u8]) -> NetBuf {
    let mut frame = NetBuf::new(2048, 64).unwrap();
    frame.extend(content.len()).unwrap().copy_from_slice(content);
    put_header(&mut frame, STATION.mac, Mac([2, 0, 0, 0, 0, 9]), carries).unwrap();
    frame
}

#[test]
fn one_asks_and_the_other_answers() {
    let (near, far) = model::pair();
    let near = register(Box::new(near));
    let far = register(Box::new(far));
    // What `ping` uses is the first interface.
    assert_eq!(near.name(), "net0");
    std::thread::scope(|scope| {
        let serving = scope.spawn(|| {
            let mut queue = far.queue(0).unwrap();
            serve::serve(&mut queue, [10, 0, 0, 2])
        });
        assert_eq!(ping::run([10, 0, 0, 1], [10, 0, 0, 2], 20), Ok(true));
        let mut queue = near.queue(0).unwrap();
        let mut stop = queue.buffer().unwrap();
        stop.extend(STOP.len()).unwrap().copy_from_slice(STOP);
        put_header(&mut stop, Mac::BROADCAST, near.info().mac, LOCAL).unwrap();
        let mut burst = uknetdev::Burst::new(1).unwrap();
        burst.push(stop).unwrap();
        queue.transmit(&mut burst).unwrap();
        assert_eq!(serving.join().unwrap(), Ok(()));
    });
    assert!(far.stats().sent >= 21);
}

#[test]
fn a_datagram_comes_back() {
    // From 10.0.0.9, port 4000, to port 7: "hi", without a checksum.
    let mut packet = vec![0x45, 0, 0, 30, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 9, 10, 0, 0, 5];
    let sum = checksum::of(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend([0x0f, 0xa0, 0, 7, 0, 10, 0, 0, b'h', b'i']);
    let mut padded = packet.clone();
    padded.resize(46, 0);
    let mut frame = frame(EtherType::IPV4, &padded);
    assert_eq!(STATION.answer(&mut frame), Answer::Send);
    let answer = &frame[HEADER_LEN..];
    assert_eq!((answer.len(), checksum::of(&answer[..20])), (30, 0));
    assert_eq!(answer[12..20], [10, 0, 0, 5, 10, 0, 0, 9]);
    assert_eq!(answer[20..], [0, 7, 0x0f, 0xa0, 0, 10, 0, 0, b'h', b'i']);
    assert_eq!(frame[..6], [2, 0, 0, 0, 0, 9]);
    // A part of a packet, and one for another.
    for (at, value) in [(6, 0x20), (19, 6)] {
        let mut other = packet.clone();
        other[at] = value;
        other[10..12].fill(0);
        let sum = checksum::of(&other[..20]);
        other[10..12].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(STATION.answer(&mut self::frame(EtherType::IPV4, &other)), Answer::None);
    }
}

#[test]
fn addresses() {
    assert_eq!(parse("10.0.0.255"), Some([10, 0, 0, 255]));
    for wrong in ["", "10.0.0", "10.0.0.0.0", "10.0.0.256", "a.b.c.d"] {
        assert_eq!(parse(wrong), None);
    }
}

proptest! {
    #[test]
    fn any_frame_may_come(mut bytes in prop::collection::vec(any::<u8>(), 0..80), kind in 0..4) {
        if let (Some(header), true) = (bytes.first_chunk_mut::<16>(), kind > 0) {
            header[..6].copy_from_slice(&STATION.mac.0);
            header[12..14].copy_from_slice(&[[8, 0], [8, 6], [0x88, 0xb5]][kind as usize - 1]);
            header[14] = 0x40 | header[14] & 15;
        }
        let mut frame = NetBuf::new(128, 0).unwrap();
        frame.extend(bytes.len()).unwrap().copy_from_slice(&bytes);
        STATION.answer(&mut frame);
        prop_assert!(frame.len() <= bytes.len());
    }
}
