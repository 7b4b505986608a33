//! Makes a frame into its answer: ARP (RFC 826), pings (RFC 792), echoes by UDP (RFC 862), and frames
//! of an own type that just come back.

use uknetdev::{EtherType, HEADER_LEN, Mac, NetBuf, read_header};

use crate::{Ipv4, checksum};

/// A type for experiments (IEEE 802, local experimental).
pub const LOCAL: EtherType = EtherType(0x88b5);
/// What says that it is enough, as a local frame or by UDP.
pub const STOP: &[u8] = b"stop";

const ARP_LEN: usize = 28;
/// Ethernet, IPv4, a hardware address has 6 bytes and one of the protocol 4; then request or reply.
const ARP_REQUEST: [u8; 8] = [0, 1, 8, 0, 6, 4, 0, 1];
const IP_LEN: usize = 20;
const ICMP: u8 = 1;
const UDP: u8 = 17;
const UDP_LEN: usize = 8;
const ECHO_REQUEST: u8 = 8;

/// Who answers.
#[derive(Clone, Copy, Debug)]
pub struct Station {
    pub mac: Mac,
    pub ip: Ipv4,
}

/// What is to be done with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is the answer now.
    Send,
    /// It is not for this station.
    None,
    /// That was enough.
    Stop,
}

impl Station {
    /// Looks at a frame that arrived, and makes its answer of it.
    pub fn answer(&self, frame: &mut NetBuf) -> Answer {
        let Some((to, from, carries)) = read_header(frame) else { return Answer::None };
        if to != self.mac && to != Mac::BROADCAST {
            return Answer::None;
        }
        let answer = match carries {
            EtherType::ARP => self.arp(frame),
            EtherType::IPV4 => self.ip(frame),
            LOCAL if frame[HEADER_LEN..].starts_with(STOP) => Answer::Stop,
            LOCAL => Answer::Send,
            _ => Answer::None,
        };
        if answer == Answer::Send {
            frame[..6].copy_from_slice(&from.0);
            frame[6..12].copy_from_slice(&self.mac.0);
        }
        answer
    }

    fn arp(&self, frame: &mut NetBuf) -> Answer {
        let Some(arp) = frame[HEADER_LEN..].first_chunk_mut::<ARP_LEN>() else {
            return Answer::None;
        };
        if arp[..8] != ARP_REQUEST || arp[24..] != self.ip {
            return Answer::None;
        }
        arp[7] = 2;
        arp.copy_within(8..18, 18);
        arp[8..14].copy_from_slice(&self.mac.0);
        arp[14..18].copy_from_slice(&self.ip);
        Answer::Send
    }

    fn ip(&self, frame: &mut NetBuf) -> Answer {
        let Some((header_len, total, protocol)) = self.packet(&frame[HEADER_LEN..]) else {
            return Answer::None;
        };
        // What is behind it fills a short frame up.
        frame.truncate(HEADER_LEN + total);
        let (header, content) = frame[HEADER_LEN..].split_at_mut(header_len);
        let answer = match protocol {
            ICMP => ping(content),
            UDP => echo(content),
            _ => Answer::None,
        };
        if answer == Answer::Send {
            // The sum does not depend on the order.
            let (from, to) = header[12..20].split_at_mut(4);
            from.swap_with_slice(to);
        }
        answer
    }

    /// Bytes of the header of a packet for this station, of all of it, and what is in it.
    fn packet(&self, bytes: &[u8]) -> Option<(usize, usize, u8)> {
        let fixed = bytes.first_chunk::<IP_LEN>()?;
        let header_len = usize::from(fixed[0] & 15) * 4;
        let total = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
        let header = bytes.get(..header_len)?;
        let is_part = u16::from_be_bytes([fixed[6], fixed[7]]) & 0x3fff != 0;
        let is_right = fixed[0] >> 4 == 4
            && header_len >= IP_LEN
            && (header_len..=bytes.len()).contains(&total)
            && checksum::of(header) == 0;
        (is_right && !is_part && fixed[16..] == self.ip).then_some((header_len, total, fixed[9]))
    }
}

fn ping(message: &mut [u8]) -> Answer {
    if message.len() < 8 || message[0] != ECHO_REQUEST || checksum::of(message) != 0 {
        return Answer::None;
    }
    message[0] = 0;
    message[2..4].fill(0);
    let sum = checksum::of(message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    Answer::Send
}

fn echo(datagram: &mut [u8]) -> Answer {
    if datagram.len() < UDP_LEN {
        return Answer::None;
    }
    if datagram[UDP_LEN..].starts_with(STOP) {
        return Answer::Stop;
    }
    // The checksum stays right: it does not depend on the order.
    let (from, to) = datagram[..4].split_at_mut(2);
    from.swap_with_slice(to);
    Answer::Send
}
