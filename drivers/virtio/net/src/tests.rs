use alloc::boxed::Box;

use uknetdev::{
    Burst, EtherType, HEADER_LEN as ETHERNET, Interest, Link, Mac, NetBuf, NetDevice, NetError,
    put_header,
};
use virtio_device::model::{Model, Piece};
use virtio_device::{Error, features, kinds};

use crate::config::{HEADER_LEN, feature};
use crate::device::Net;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
const SIZE: u16 = 8;

fn model(offered: u64) -> Model {
    let model = Model::new(kinds::NETWORK, features::VERSION_1 | offered, &[SIZE, SIZE]);
    MAC.iter().enumerate().for_each(|(at, byte)| model.config().write8(at, *byte));
    model
}

fn device(model: &Model) -> Result<Net, Error> {
    Net::new(Box::new(model.clone()))
}

fn plain() -> (Model, Net) {
    let model = model(feature::MAC);
    let net = device(&model).unwrap();
    (model, net)
}

/// A buffer as somebody gives it to receive into; the "device" has filled it already, as the model
/// cannot write to memory.
fn filled(net: &Net, content: &[u8]) -> NetBuf {
    let mut buffer = NetBuf::new(net.info().buffer_len(), 0).unwrap();
    buffer.extend(HEADER_LEN + content.len()).unwrap()[HEADER_LEN..].copy_from_slice(content);
    buffer
}

fn burst(frames: impl IntoIterator<Item = NetBuf>) -> Burst {
    let mut burst = Burst::new(32).unwrap();
    frames.into_iter().for_each(|frame| burst.push(frame).unwrap());
    burst
}

fn frame(len: usize) -> NetBuf {
    let mut frame = NetBuf::new(4096, HEADER_LEN + ETHERNET).unwrap();
    frame.extend(len).unwrap().fill(7);
    put_header(&mut frame, Mac::BROADCAST, Mac(MAC), EtherType::ARP).unwrap();
    frame
}

#[test]
fn a_device_is_what_it_says() {
    let (model, net) = plain();
    assert_eq!((net.info().mac, net.info().mtu, net.link()), (Mac(MAC), 1500, Link::Up));
    assert_eq!((net.info().depth, net.info().buffer_len()), (SIZE.into(), 2048));
    assert_eq!(model.agreed(), features::VERSION_1 | feature::MAC);

    let all = self::model(feature::WANTED | 1 << 0 | 1 << 15);
    all.config().write16(10, 9000);
    all.config().write16(6, 1);
    let net = device(&all).unwrap();
    assert_eq!(net.info().mtu, 9000);
    assert_eq!(
        all.agreed(),
        features::VERSION_1 | feature::WANTED,
        "no offloads, no merged buffers"
    );
    assert_eq!(net.link(), Link::Up);
    all.config().write16(6, 0);
    assert_eq!(net.link(), Link::Down);
}

#[test]
fn a_device_that_makes_no_sense_is_refused() {
    for mac in [[0; 6], [1, 0, 0, 0, 0, 1], [0xff; 6]] {
        let model = model(feature::MAC);
        mac.iter().enumerate().for_each(|(at, byte)| model.config().write8(at, *byte));
        let error = Error::Config("its hardware address is not one of a station");
        assert_eq!(device(&model).err(), Some(error));
    }
    let short = model(feature::MAC | feature::MTU);
    short.config().write16(10, 67);
    let error = Error::Config("its frames are too short for anything");
    assert_eq!(device(&short).err(), Some(error));
    let lonely = Model::new(kinds::NETWORK, features::VERSION_1, &[SIZE]);
    assert_eq!(device(&lonely).err(), Some(Error::NoQueue(1)));
    let long = model(feature::MTU);
    long.config().write16(10, u16::MAX);
    let small = Error::Config("its queue is too small for a frame");
    assert_eq!(device(&long).err(), Some(small), "17 pieces in a queue of 8");
}

#[test]
fn a_device_without_an_address_gets_one() {
    let macs = [(); 2].map(|()| device(&model(0)).unwrap().info().mac);
    assert!(macs.iter().all(|mac| mac.is_station() && mac.0[0] & 2 != 0));
    assert_ne!(macs[0], macs[1]);
}

#[test]
fn frames_arrive_in_the_buffers_that_were_given() {
    let (model, net) = plain();
    let contents = [vec![1; ETHERNET], vec![2; 60], vec![3; net.info().max_frame()]];
    let buffers: Vec<_> = contents.iter().map(|content| filled(&net, content)).collect();
    let places: Vec<_> = buffers.iter().map(|buffer| buffer.as_ptr()).collect();
    let mut buffers = burst(buffers);
    net.supply(0, &mut buffers).unwrap();
    assert!(buffers.is_empty() && model.was_rung(0) && !net.is_ready(0, Interest::Frames));
    let chains: Vec<_> = std::iter::from_fn(|| model.queue(0).pop()).collect();
    // The last first: devices may.
    for (chain, content) in chains.iter().zip(&contents).rev() {
        assert_eq!(chain.pieces.len(), 1);
        assert!(chain.pieces[0].device_writes && chain.pieces[0].len == 2048);
        model.queue(0).push(chain.head, (HEADER_LEN + content.len()) as u32);
    }
    assert!(net.is_ready(0, Interest::Frames));
    let mut frames = burst([]);
    net.rx_burst(0, &mut frames).unwrap();
    for (content, place) in contents.iter().zip(places).rev() {
        let frame = frames.pop().unwrap();
        assert_eq!(*frame, **content);
        assert_eq!(
            (frame.headroom(), frame.as_ptr()),
            (HEADER_LEN, place.wrapping_add(HEADER_LEN))
        );
    }
    assert_eq!((frames.len(), net.dropped(0)), (0, 0));
}

#[test]
fn what_is_too_short_is_dropped_and_its_buffer_used_again() {
    let (model, net) = plain();
    net.supply(0, &mut burst([filled(&net, &[5; 60])])).unwrap();
    let mut frames = burst([]);
    for written in [0, HEADER_LEN - 1, HEADER_LEN, HEADER_LEN + ETHERNET - 1] {
        let chain = model.queue(0).pop().unwrap();
        model.queue(0).push(chain.head, written as u32);
        net.rx_burst(0, &mut frames).unwrap();
        assert!(frames.is_empty());
    }
    assert_eq!(net.dropped(0), 4);
    let chain = model.queue(0).pop().unwrap();
    model.queue(0).push(chain.head, (HEADER_LEN + 60) as u32);
    net.rx_burst(0, &mut frames).unwrap();
    assert_eq!(*frames.pop().unwrap(), [5; 60]);
}

#[test]
fn no_more_buffers_are_taken_than_fit_and_none_that_is_too_small() {
    let (_, net) = plain();
    let mut many = burst((0..SIZE + 3).map(|_| filled(&net, &[])));
    net.supply(0, &mut many).unwrap();
    assert_eq!(many.len(), 3);
    let (_, net) = plain();
    let mut small = burst([NetBuf::new(2047, 0).unwrap()]);
    assert_eq!(net.supply(0, &mut small), Err(NetError::BadLength));
    assert_eq!((small.len(), net.supply(1, &mut small)), (1, Err(NetError::NoQueue)));
}

#[test]
fn frames_are_sent_behind_an_empty_header() {
    let (model, net) = plain();
    let sent = frame(46);
    let place = sent.as_ptr() as u64 - HEADER_LEN as u64;
    let mut whole = frame(10);
    let mut piece = NetBuf::new(100, 20).unwrap();
    piece.extend(50).unwrap();
    whole.chain(piece).unwrap();
    let mut frames = burst([sent, whole]);
    net.tx_burst(0, &mut frames).unwrap();
    assert!(frames.is_empty() && model.was_rung(1));
    let first = model.queue(1).pop().unwrap();
    let len = (HEADER_LEN + ETHERNET + 46) as u32;
    assert_eq!(first.pieces, [Piece { address: place, len, device_writes: false }]);
    let second = model.queue(1).pop().unwrap();
    assert_eq!(second.pieces.iter().map(|p| p.len).collect::<Vec<_>>(), [36, 50]);
    for chain in [second, first] {
        model.queue(1).push(chain.head, 0);
    }
    let mut buffers = burst([]);
    net.reclaim(0, &mut buffers);
    assert_eq!(buffers.len(), 2);
    let back = buffers.iter().last().unwrap();
    assert_eq!(back[..HEADER_LEN], [0; HEADER_LEN]);
    assert_eq!(back[HEADER_LEN + ETHERNET..], [7; 46]);
}

#[test]
fn a_full_queue_takes_no_more_and_frames_stay_as_they_were() {
    let (model, net) = plain();
    let mut frames = burst((0..SIZE + 2).map(|n| frame(n.into())));
    net.tx_burst(0, &mut frames).unwrap();
    assert_eq!(frames.len(), 2);
    assert!(!net.is_ready(0, Interest::FramesOrRoom) && !net.arm(0, Interest::FramesOrRoom));
    let first = frames.first().unwrap();
    assert_eq!((first.len(), first.headroom()), (ETHERNET + usize::from(SIZE), HEADER_LEN));
    let chain = model.queue(1).pop().unwrap();
    model.queue(1).push(chain.head, 0);
    assert!(model.queue(1).wants_interrupt() && net.is_ready(0, Interest::FramesOrRoom));
    net.disarm(0);
    let mut buffers = burst([]);
    net.reclaim(0, &mut buffers);
    net.tx_burst(0, &mut frames).unwrap();
    assert_eq!((buffers.len(), frames.len()), (1, 1));
    let mut long = burst([frame(1505)]);
    assert_eq!(net.tx_burst(0, &mut long), Err(NetError::BadLength));
    assert_eq!((long.len(), net.tx_burst(1, &mut long)), (1, Err(NetError::NoQueue)));
}

#[test]
fn interrupts_are_wanted_when_somebody_waits() {
    let (model, net) = plain();
    let events = net.events().unwrap();
    let mut buffers = burst((0..2).map(|_| filled(&net, &[1; 60])));
    net.supply(0, &mut buffers).unwrap();
    let arrive = || {
        let chain = model.queue(0).pop().unwrap();
        model.queue(0).push(chain.head, 72);
        model.queue(0).wants_interrupt()
    };
    assert!(!arrive(), "nobody waits");
    assert!(net.arm(0, Interest::Frames), "something is there already");
    net.disarm(0);
    let mut frames = burst([]);
    net.rx_burst(0, &mut frames).unwrap();
    assert!(!net.arm(0, Interest::Frames));
    assert!(arrive());
    let seen = events.count();
    model.interrupt();
    assert_ne!(events.count(), seen);
}

#[test]
fn a_device_that_lies_is_used_no_more() {
    for lie in 0..3 {
        let (model, net) = plain();
        net.supply(0, &mut burst([filled(&net, &[1; 60])])).unwrap();
        let chain = model.queue(0).pop().unwrap();
        match lie {
            0 => model.queue(0).push(chain.head, 2049),
            1 => model.queue(0).push(SIZE - 1, 0),
            _ => {
                let used = model.queue(0).used();
                model.queue(0).publish(used.wrapping_add(2));
            }
        }
        let mut frames = burst([]);
        assert_eq!(net.rx_burst(0, &mut frames), Err(NetError::Broken));
        assert_eq!(net.rx_burst(0, &mut frames), Err(NetError::Broken));
        assert!(net.is_ready(0, Interest::Frames), "nobody waits for ever");
        assert_eq!(net.supply(0, &mut burst([filled(&net, &[])])), Err(NetError::Broken));

        // The same where frames are sent.
        net.tx_burst(0, &mut burst([frame(0)])).unwrap();
        let chain = model.queue(1).pop().unwrap();
        match lie {
            0 => model.queue(1).push(chain.head, 1),
            1 => model.queue(1).push(SIZE - 1, 0),
            _ => model.queue(1).publish(7),
        }
        let mut buffers = burst([]);
        net.reclaim(0, &mut buffers);
        let mut frames = burst([frame(0)]);
        assert_eq!(net.tx_burst(0, &mut frames), Err(NetError::Broken));
        assert_eq!((buffers.len(), frames.len()), (0, 1));
    }
}
