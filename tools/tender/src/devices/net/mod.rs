//! The network device (virtio 1.2, section 5.1): frames to and from a [`Link`].

mod link;
mod passt;

use std::ffi::c_long;
use std::net::Ipv4Addr;
use std::os::fd::RawFd;
use std::path::PathBuf;

use virtio_bindings::virtio_ids::VIRTIO_ID_NET;
use virtio_bindings::virtio_net::VIRTIO_NET_F_MAC;

use super::{Broken, Device, Queue, Request};
use crate::calls;
use crate::error::Error;

pub use link::{Link, MAX_FRAME};

/// Bytes in front of each frame (virtio 1.2, section 5.1.6): all zero but the number of buffers, for
/// no offloads are agreed on.
const HEADER: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0];
/// Queues: for the guest, of the guest.
const RECEIVE: usize = 0;
const TRANSMIT: usize = 1;
/// Frames that are taken at a time.
const BATCH: usize = 64;

/// `--net KIND[,OPTION…]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetArgs {
    /// What is behind it.
    pub kind: NetKind,
    /// Hardware address; a random one when nobody says.
    pub mac: Option<[u8; 6]>,
}

/// What frames go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetKind {
    /// A tap device of the host.
    Tap(String),
    /// The host's own sockets, by passt, with ports of the host that lead to the guest.
    User(Vec<Forward>),
    /// The stream socket of this path, on which somebody listens.
    Socket(PathBuf),
    /// An open stream socket.
    Descriptor(RawFd),
}

/// A port of the host that leads to one of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// UDP, else TCP.
    pub udp: bool,
    /// Address of the host.
    pub address: Ipv4Addr,
    /// Port of the host.
    pub host: u16,
    /// Port of the guest.
    pub guest: u16,
}

impl std::str::FromStr for NetArgs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(',');
        let first = words.next().unwrap_or_default();
        let mut kind = match first.split_once('=') {
            None if first == "user" => NetKind::User(Vec::new()),
            Some(("tap", name)) if (1..16).contains(&name.len()) => NetKind::Tap(name.to_owned()),
            Some(("socket", path)) if !path.is_empty() => NetKind::Socket(path.into()),
            Some(("fd", number)) => match number.parse() {
                Ok(fd @ 3..) => NetKind::Descriptor(fd),
                _ => return Err(format!("`{number}` is not the number of an open descriptor")),
            },
            _ => {
                return Err(format!("`{first}` is none of user, tap=NAME, socket=PATH, fd=NUMBER"));
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
                (Some((protocol @ ("tcp" | "udp"), ports)), NetKind::User(forwards)) => {
                    let forward = parse_ports(protocol == "udp", ports);
                    forwards.push(forward.ok_or_else(|| {
                        format!("`{ports}` are not ports as 8080:80, 80, 0.0.0.0:8080:80")
                    })?);
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

/// `[ADDRESS:]HOST[:GUEST]`. Without an address it is for this machine alone.
fn parse_ports(udp: bool, text: &str) -> Option<Forward> {
    let (address, ports) = match text.split_once(':') {
        Some((first, rest)) if first.contains('.') => (first.parse().ok()?, rest),
        _ => (Ipv4Addr::LOCALHOST, text),
    };
    let (host, guest) = ports.split_once(':').unwrap_or((ports, ports));
    let port = |text: &str| text.parse().ok().filter(|port| *port != 0);
    Some(Forward { udp, address, host: port(host)?, guest: port(guest)? })
}

/// A network device.
#[derive(Debug)]
pub struct Net {
    link: Link,
    mac: [u8; 6],
    frame: Vec<u8>,
    /// Length of the frame that waits in `frame` for room in the guest.
    waiting: Option<usize>,
}

impl Net {
    /// Opens what the frames go to.
    ///
    /// # Errors
    /// [`Error::Net`], [`Error::NoPasst`].
    pub fn open(args: &NetArgs) -> Result<Self, Error> {
        let link = match &args.kind {
            NetKind::Tap(name) => Link::tap(name)?,
            NetKind::User(forwards) => passt::start(forwards)?,
            NetKind::Socket(path) => Link::connect(path)?,
            NetKind::Descriptor(fd) => Link::descriptor(*fd)?,
        };
        Ok(Self::new(link, args.mac.unwrap_or_else(random_mac)))
    }

    /// With this link.
    pub fn new(link: Link, mac: [u8; 6]) -> Self {
        Self { link, mac, frame: vec![0; MAX_FRAME], waiting: None }
    }

    /// Gives the guest what there is, as far as it has room.
    fn receive(&mut self, queues: &mut [Option<Queue>]) -> Result<(), Broken> {
        let Some(Some(queue)) = queues.get_mut(RECEIVE) else { return Ok(()) };
        for _ in 0..BATCH {
            let next = self.waiting.take().or_else(|| self.link.receive(&mut self.frame));
            let Some(len) = next else { return Ok(()) };
            let Some(mut room) = queue.pop()? else {
                self.waiting = Some(len);
                return Ok(());
            };
            if room.writable.len() < HEADER.len() + len {
                // A frame for which the driver made too little room is lost.
                queue.put_back();
                continue;
            }
            room.writable.write(&HEADER);
            room.writable.write(&self.frame[..len]);
            queue.complete(&room, (HEADER.len() + len) as u32)?;
        }
        Ok(())
    }
}

/// A random address, marked as one that no manufacturer gave.
fn random_mac() -> [u8; 6] {
    let mut mac = [0; 6];
    calls::random(&mut mac);
    mac[0] = mac[0] & !1 | 2;
    mac
}

impl Device for Net {
    fn kind(&self) -> u32 {
        VIRTIO_ID_NET
    }

    fn name(&self) -> String {
        "network".into()
    }

    fn features(&self) -> u64 {
        1 << VIRTIO_NET_F_MAC
    }

    fn queues(&self) -> &[u16] {
        &[256, 256]
    }

    fn config(&self) -> Vec<u8> {
        self.mac.to_vec()
    }

    fn start(&mut self, _features: u64) {
        self.waiting = None;
    }

    /// A frame of the guest.
    fn request(&mut self, _queue: usize, request: &mut Request) -> Result<u32, Broken> {
        let mut header = [0; HEADER.len()];
        if request.readable.read(&mut header) < header.len() {
            return Err(Broken::Request("a frame has no header"));
        }
        if request.readable.len() <= MAX_FRAME {
            let len = request.readable.read(&mut self.frame);
            self.link.send(&self.frame[..len]);
        }
        Ok(0)
    }

    fn notified(&mut self, index: usize, queues: &mut [Option<Queue>]) -> Result<(), Broken> {
        if index == RECEIVE {
            return self.receive(queues);
        }
        let Some(Some(queue)) = queues.get_mut(TRANSMIT) else { return Ok(()) };
        for _ in 0..queue.size() {
            let Some(mut request) = queue.pop()? else { break };
            self.request(TRANSMIT, &mut request)?;
            queue.complete(&request, 0)?;
        }
        Ok(())
    }

    fn source(&self) -> Option<RawFd> {
        // Without room nothing more is taken: what sends waits, or loses frames, as networks do.
        if self.waiting.is_some() { None } else { self.link.source() }
    }

    fn input(&mut self, queues: &mut [Option<Queue>]) -> Result<(), Broken> {
        self.receive(queues)
    }

    fn calls(&self) -> Vec<(c_long, RawFd)> {
        let fd = self.link.descriptor_number();
        // Those of a tap device, and of a socket.
        [libc::SYS_read, libc::SYS_write, libc::SYS_recvfrom, libc::SYS_sendto]
            .map(|call| (call, fd))
            .to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_or_refused() {
        let read = |text: &str| text.parse::<NetArgs>();
        assert_eq!(read("tap=tap0").unwrap().kind, NetKind::Tap("tap0".into()));
        assert_eq!(read("socket=/run/net").unwrap().kind, NetKind::Socket("/run/net".into()));
        let args = read("user,tcp=0.0.0.0:8080:80,udp=53,mac=02:00:00:00:00:0a").unwrap();
        let address = Ipv4Addr::UNSPECIFIED;
        let tcp = Forward { udp: false, address, host: 8080, guest: 80 };
        let udp = Forward { udp: true, address: Ipv4Addr::LOCALHOST, host: 53, guest: 53 };
        assert_eq!(args.kind, NetKind::User(vec![tcp, udp]));
        assert_eq!(args.mac, Some([2, 0, 0, 0, 0, 10]));
        for (text, cause) in [
            ("", "is none of user"),
            ("tap=", "is none of user"),
            ("tap=abcdefghijklmnop", "is none of user"),
            ("fd=2", "not the number of an open descriptor"),
            ("user,tcp=0:80", "are not ports"),
            ("user,tcp=80:99999", "are not ports"),
            ("user,tcp=1.2.3:80", "are not ports"),
            ("user,tcp=1.2.3.4:80:80:80", "are not ports"),
            ("socket=", "is none of user"),
            ("tap=a,tcp=80", "is no option of `tap=a`"),
            ("user,mac=01:00:00:00:00:00", "is not a hardware address"),
            ("user,mac=02:00:00:00:00", "is not a hardware address"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(cause), "{text}: {said}");
        }
    }

    #[test]
    fn addresses_are_of_one_station_and_local() {
        for _ in 0..20 {
            assert_eq!(random_mac()[0] & 3, 2);
        }
    }
}
