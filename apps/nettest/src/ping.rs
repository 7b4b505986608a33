//! Asking for echoes.

use uknetdev::{Burst, EtherType, HEADER_LEN, Interest, Mac, NetBuf, NetError, Queue, put_header};
use ukplat::println;

use crate::answer::{Answer, Station};
use crate::{Ipv4, checksum};

/// A question is asked again after so many nanoseconds …
const PATIENCE_NS: u64 = 1_000_000_000;
/// … so often.
const TRIES: u32 = 30;
const ETHERNET_ARP: [u8; 8] = [0, 1, 8, 0, 6, 4, 0, 1];

/// Asks for `count` echoes of different lengths; whether they all came as they should.
pub fn run(own: Ipv4, peer: Ipv4, count: u16) -> Result<bool, NetError> {
    let mut queue = crate::queue()?;
    let station = Station { mac: queue.interface().info().mac, ip: own };
    let mut talk = Talk { queue: &mut queue, station, burst: Burst::new(16)? };
    let question = |queue: &mut Queue| question(queue, station, peer);
    let reply = |frame: &[u8]| {
        let arp = frame.get(HEADER_LEN..HEADER_LEN + 28)?;
        let is_reply = arp[..8] == [0, 1, 8, 0, 6, 4, 0, 2] && arp[14..18] == peer;
        let mac = arp[8..14].first_chunk::<6>()?;
        is_reply.then_some(Mac(*mac))
    };
    let Some(mac) = talk.ask(question, reply)? else {
        println!("nobody has the address");
        return Ok(false);
    };
    println!("the peer is {}", mac);
    for number in 0..count {
        // From nothing to as much as fits.
        let most = talk.queue.interface().info().mtu - 28;
        let len = most * usize::from(number) / usize::from(count.max(2) - 1);
        let content = |at: usize| (at as u8).wrapping_mul(7).wrapping_add(number as u8);
        let question = |queue: &mut Queue| echo(queue, station, (mac, peer), number, len, content);
        let reply = |frame: &[u8]| {
            let ip = frame.get(HEADER_LEN..)?;
            let icmp = ip.get(20..28 + len)?;
            let is_reply = ip[9] == 1
                && ip[12..16] == peer
                && icmp[..2] == [0, 0]
                && icmp[6..8] == number.to_be_bytes();
            is_reply.then(|| {
                let is_same = (0..).zip(&icmp[8..]).all(|(at, byte)| *byte == content(at));
                is_same && checksum::of(icmp) == 0
            })
        };
        if talk.ask(question, reply)? != Some(true) {
            println!("no right echo of {} bytes", len);
            return Ok(false);
        }
    }
    println!("{} echoes", count);
    Ok(true)
}

/// A queue that somebody asks questions on.
struct Talk<'a> {
    queue: &'a mut Queue,
    station: Station,
    burst: Burst,
}

impl Talk<'_> {
    /// Asks until there is a reply; others are answered meanwhile.
    fn ask<R>(
        &mut self,
        mut question: impl FnMut(&mut Queue) -> Result<NetBuf, NetError>,
        reply: impl Fn(&[u8]) -> Option<R>,
    ) -> Result<Option<R>, NetError> {
        for _ in 0..TRIES {
            let frame = question(self.queue)?;
            self.send(frame)?;
            let deadline = ukplat::monotonic_ns().saturating_add(PATIENCE_NS);
            while self.queue.wait(Interest::Frames, deadline) {
                let mut arrived = Burst::new(16)?;
                self.queue.receive(&mut arrived)?;
                while let Some(mut frame) = arrived.pop() {
                    if let Some(reply) = reply(&frame) {
                        return Ok(Some(reply));
                    }
                    match self.station.answer(&mut frame) {
                        Answer::Send => self.send(frame)?,
                        Answer::None | Answer::Stop => self.queue.recycle(frame),
                    }
                }
            }
        }
        Ok(None)
    }

    fn send(&mut self, frame: NetBuf) -> Result<(), NetError> {
        // It is empty between the calls.
        let _ = self.burst.push(frame);
        while self.queue.transmit(&mut self.burst)? == 0 {
            self.queue.wait(Interest::FramesOrRoom, u64::MAX);
        }
        Ok(())
    }
}

/// Who has an address? Asked for one's own, it tells the others that somebody is there (RFC 5227,
/// section 2.3).
pub fn question(queue: &mut Queue, station: Station, peer: Ipv4) -> Result<NetBuf, NetError> {
    let mut frame = queue.buffer()?;
    let arp = frame.extend(28).ok_or(NetError::BadLength)?;
    arp[..8].copy_from_slice(&ETHERNET_ARP);
    arp[8..14].copy_from_slice(&station.mac.0);
    arp[14..18].copy_from_slice(&station.ip);
    arp[18..24].fill(0);
    arp[24..].copy_from_slice(&peer);
    put_header(&mut frame, Mac::BROADCAST, station.mac, EtherType::ARP)?;
    Ok(frame)
}

/// Echo, please.
fn echo(
    queue: &mut Queue,
    station: Station,
    (mac, peer): (Mac, Ipv4),
    number: u16,
    len: usize,
    content: impl Fn(usize) -> u8,
) -> Result<NetBuf, NetError> {
    let mut frame = queue.buffer()?;
    let packet = frame.extend(28 + len).ok_or(NetError::BadLength)?;
    let (ip, icmp) = packet.split_at_mut(20);
    let total = (28 + len) as u16;
    ip.copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    ip[2..4].copy_from_slice(&total.to_be_bytes());
    ip[12..16].copy_from_slice(&station.ip);
    ip[16..].copy_from_slice(&peer);
    let sum = checksum::of(ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    icmp[..8].copy_from_slice(&[8, 0, 0, 0, 0x0c, 0x4b, 0, 0]);
    icmp[6..8].copy_from_slice(&number.to_be_bytes());
    (0..).zip(&mut icmp[8..]).for_each(|(at, byte)| *byte = content(at));
    let sum = checksum::of(icmp);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    put_header(&mut frame, mac, station.mac, EtherType::IPV4)?;
    Ok(frame)
}
