//! As much of Ethernet (IEEE 802.3) as is needed below a stack.

use core::fmt;
use core::str::FromStr;

use crate::{NetBuf, NetError};

/// Bytes of the header of a frame: destination, source, type.
pub const HEADER_LEN: usize = 14;

/// A hardware address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// All stations.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether it can be that of one station.
    pub const fn is_station(&self) -> bool {
        let [first, b, c, d, e, f] = self.0;
        first & 1 == 0 && (first | b | c | d | e | f) != 0
    }

    /// An address of one station made of any bytes, marked as one that no manufacturer gave.
    pub const fn local(mut bytes: [u8; 6]) -> Self {
        bytes[0] = bytes[0] & !1 | 2;
        Self(bytes)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// The text is no hardware address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMac;

impl fmt::Display for NoMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no hardware address as 02:00:00:00:00:01")
    }
}

impl core::error::Error for NoMac {}

impl FromStr for Mac {
    type Err = NoMac;

    fn from_str(text: &str) -> Result<Self, NoMac> {
        let mut words = text.split(':');
        let mut mac = [0; 6];
        for byte in &mut mac {
            let word = words.next().filter(|w| w.len() <= 2 && !w.starts_with('+')).ok_or(NoMac)?;
            *byte = u8::from_str_radix(word, 16).map_err(|_| NoMac)?;
        }
        if words.next().is_none() { Ok(Self(mac)) } else { Err(NoMac) }
    }
}

/// What a frame carries, as the two bytes behind its addresses say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EtherType(pub u16);

impl EtherType {
    /// Internet Protocol, version 4.
    pub const IPV4: Self = Self(0x0800);
    /// Address Resolution Protocol.
    pub const ARP: Self = Self(0x0806);
    /// Internet Protocol, version 6.
    pub const IPV6: Self = Self(0x86dd);
}

/// Puts a header in front of a frame.
///
/// # Errors
/// [`NetError::Headroom`].
pub fn put_header(
    frame: &mut NetBuf,
    to: Mac,
    from: Mac,
    carries: EtherType,
) -> Result<(), NetError> {
    let header = frame.prepend(HEADER_LEN).ok_or(NetError::Headroom)?;
    header[..6].copy_from_slice(&to.0);
    header[6..12].copy_from_slice(&from.0);
    header[12..].copy_from_slice(&carries.0.to_be_bytes());
    Ok(())
}

/// Destination, source and type of a frame; `None` when it is too short for a header.
pub fn read_header(frame: &[u8]) -> Option<(Mac, Mac, EtherType)> {
    let (header, _) = frame.split_first_chunk::<HEADER_LEN>()?;
    let [a, b, c, d, e, f, g, h, i, j, k, l, high, low] = *header;
    let carries = EtherType(u16::from_be_bytes([high, low]));
    Some((Mac([a, b, c, d, e, f]), Mac([g, h, i, j, k, l]), carries))
}
