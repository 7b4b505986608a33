//! Network cards as command lines name them, those of `oxk run` and of the tender: `KIND[,OPTION…]`.
//!
//! ```
//! use netcard::{Card, Kind};
//!
//! let card: Card = "user,tcp=8080:80,mac=02:00:00:00:00:0a".parse()?;
//! let Kind::User(forwards) = &card.kind else { panic!("it is user") };
//! assert_eq!((forwards[0].host, forwards[0].guest), (8080, 80));
//! assert_eq!(card.to_string(), "user,tcp=127.0.0.1:8080:80,mac=02:00:00:00:00:0a");
//! # Ok::<(), String>(())
//! ```
#![forbid(unsafe_code)]

pub mod passt;

use std::fmt;
use std::net::Ipv4Addr;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::str::FromStr;

/// Longer names no network device of Linux has (IFNAMSIZ).
const MAX_TAP: usize = 15;

/// A network card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// What is behind it.
    pub kind: Kind,
    /// Hardware address; some address when nobody says.
    pub mac: Option<[u8; 6]>,
}

/// What frames go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The host's own sockets, with ports of the host that lead to the image.
    User(Vec<Forward>),
    /// A tap device of the host.
    Tap(String),
    /// A stream socket on which somebody listens who takes and gives frames behind their lengths.
    Socket(PathBuf),
    /// Such a stream socket, open, by its number: not one of the console.
    Descriptor(RawFd),
}

/// A port of the host that leads to one of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// What it is a port of.
    pub protocol: Protocol,
    /// Address of the host.
    pub address: Ipv4Addr,
    /// Port of the host.
    pub host: u16,
    /// Port of the image.
    pub guest: u16,
}

/// Protocols with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

impl FromStr for Card {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(',');
        let first = words.next().unwrap_or_default();
        let mut kind = match first.split_once('=') {
            None if first == "user" => Kind::User(Vec::new()),
            Some(("tap", name)) if (1..=MAX_TAP).contains(&name.len()) && !name.contains('/') => {
                Kind::Tap(name.to_owned())
            }
            Some(("socket", path)) if !path.is_empty() => Kind::Socket(path.into()),
            Some(("fd", number)) => match number.parse() {
                Ok(descriptor @ 3..) => Kind::Descriptor(descriptor),
                _ => return Err(format!("`{number}` is not the number of an open descriptor")),
            },
            _ => {
                return Err(format!(
                    "`{first}` is none of user[,tcp=8080:80], tap=NAME, socket=PATH"
                ));
            }
        };
        let mut mac = None;
        for word in words {
            match (word.split_once('='), &mut kind) {
                (Some(("mac", address)), _) => {
                    let parsed = parse_mac(address);
                    mac = Some(parsed.ok_or_else(|| {
                        format!("`{address}` is not a hardware address as 02:00:00:00:00:01")
                    })?);
                }
                (Some(("tcp", ports)), Kind::User(all)) => {
                    all.push(Forward::parse(Protocol::Tcp, ports)?);
                }
                (Some(("udp", ports)), Kind::User(all)) => {
                    all.push(Forward::parse(Protocol::Udp, ports)?);
                }
                _ => return Err(format!("`{word}` is no option of `{first}`")),
            }
        }
        Ok(Self { kind, mac })
    }
}

/// An address of one station.
fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut parts = text.split(':').map(|part| u8::from_str_radix(part, 16).ok());
    let mut mac = [0; 6];
    for byte in &mut mac {
        *byte = parts.next()??;
    }
    (parts.next().is_none() && mac[0] & 1 == 0 && mac != [0; 6]).then_some(mac)
}

impl Forward {
    /// `[ADDRESS:]HOST[:GUEST]`. Without an address it is for this machine alone.
    fn parse(protocol: Protocol, text: &str) -> Result<Self, String> {
        let parse = || {
            let (address, ports) = match text.split_once(':') {
                Some((first, rest)) if first.contains('.') => (first.parse().ok()?, rest),
                _ => (Ipv4Addr::LOCALHOST, text),
            };
            let (host, guest) = ports.split_once(':').unwrap_or((ports, ports));
            let port = |text: &str| text.parse().ok().filter(|port| *port != 0);
            Some(Self { protocol, address, host: port(host)?, guest: port(guest)? })
        };
        parse().ok_or_else(|| {
            format!("`{text}` are not ports of host and image as 8080:80 or 0.0.0.0:8080:80")
        })
    }
}

/// As it is parsed.
impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::User(forwards) => {
                f.write_str("user")?;
                for Forward { protocol, address, host, guest } in forwards {
                    write!(f, ",{protocol}={address}:{host}:{guest}")?;
                }
            }
            Kind::Tap(name) => write!(f, "tap={name}")?,
            Kind::Socket(path) => write!(f, "socket={}", path.display())?,
            Kind::Descriptor(descriptor) => write!(f, "fd={descriptor}")?,
        }
        f.write_str(&self.mac_option())
    }
}

impl Card {
    /// The hardware address as it stands behind what the card is.
    pub fn mac_option(&self) -> String {
        let text = |mac: &[u8; 6]| mac.map(|byte| format!("{byte:02x}")).join(":");
        self.mac.as_ref().map_or_else(String::new, |mac| format!(",mac={}", text(mac)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(text: &str) -> Card {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        for text in [
            "user",
            "user,tcp=127.0.0.1:8080:80,udp=0.0.0.0:53:53,mac=02:00:00:00:00:0a",
            "tap=oxk0,mac=02:00:00:00:00:0a",
            "socket=/run/net",
            "fd=3",
        ] {
            assert_eq!(card(text).to_string(), text);
        }
        assert_eq!(card("user,tcp=8080:80"), card("user,tcp=127.0.0.1:8080:80"));
        assert_eq!(card("user,udp=53"), card("user,udp=53:53"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, cause) in [
            ("", "is none of user"),
            ("wifi", "is none of user"),
            ("tap=", "is none of user"),
            ("tap=abcdefghijklmnop", "is none of user"),
            ("tap=../x", "is none of user"),
            ("socket=", "is none of user"),
            ("fd=2", "not the number of an open descriptor"),
            ("fd=x", "not the number of an open descriptor"),
            ("user,tcp=0:80", "are not ports"),
            ("user,tcp=80:99999", "are not ports"),
            ("user,tcp=1.2.3:80", "are not ports"),
            ("user,tcp=1.2.3.4:80:80:80", "are not ports"),
            ("tap=a,tcp=80", "is no option of `tap=a`"),
            ("user,colour", "is no option of `user`"),
            ("user,mac=01:00:00:00:00:00", "is not a hardware address"),
            ("user,mac=02:00:00:00:00", "is not a hardware address"),
        ] {
            let said = text.parse::<Card>().unwrap_err();
            assert!(said.contains(cause), "{text}: {said}");
        }
    }
}
