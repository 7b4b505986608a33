//! Network cards that an image has: what is behind them, and how each machine is told.

pub mod passt;

use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::diagnostic::{Diagnostic, Result};

/// Longer names no network device of Linux has (IFNAMSIZ).
const MAX_TAP: usize = 15;

/// `--net KIND[,OPTION…]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Net {
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

impl FromStr for Net {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let mut words = text.split(',');
        let first = words.next().unwrap_or_default();
        let mut kind = match first.split_once('=') {
            None if first == "user" => Kind::User(Vec::new()),
            Some(("tap", name)) if (1..=MAX_TAP).contains(&name.len()) && !name.contains('/') => {
                Kind::Tap(name.to_owned())
            }
            Some(("socket", path)) if !path.is_empty() => Kind::Socket(path.into()),
            _ => {
                return Err("one of user, user,tcp=8080:80, tap=NAME, socket=PATH is needed".into());
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
    fn parse(protocol: Protocol, text: &str) -> std::result::Result<Self, String> {
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

/// As on the command line, of this tool and of the tender.
impl fmt::Display for Net {
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
        }
        f.write_str(&self.mac_option())
    }
}

impl Net {
    /// Fails when it is clear that it cannot be used.
    pub fn check(&self) -> Result<()> {
        match &self.kind {
            Kind::Tap(name) => check_tap(name),
            Kind::Socket(path) => check_socket(path),
            Kind::User(_) => Ok(()),
        }
    }

    /// The hardware address as it stands behind what the card is.
    pub fn mac_option(&self) -> String {
        let text = |mac: &[u8; 6]| mac.map(|byte| format!("{byte:02x}")).join(":");
        self.mac.as_ref().map_or_else(String::new, |mac| format!(",mac={}", text(mac)))
    }

    /// For QEMU: the value of `-netdev`, and options of the device.
    pub fn qemu(&self, index: usize) -> (String, String) {
        let id = format!("net{index}");
        let netdev = match &self.kind {
            Kind::User(forwards) => {
                let mut netdev = format!("user,id={id}");
                for Forward { protocol, address, host, guest } in forwards {
                    netdev += &format!(",hostfwd={protocol}:{address}:{host}-:{guest}");
                }
                netdev
            }
            Kind::Tap(name) => format!("tap,id={id},ifname={name},script=no,downscript=no"),
            Kind::Socket(path) => {
                let path = crate::qemu::value(path);
                format!("stream,id={id},server=off,addr.type=unix,addr.path={path}")
            }
        };
        (netdev, format!("netdev={id}{}", self.mac_option()))
    }
}

fn check_tap(name: &str) -> Result<()> {
    let opened = std::fs::File::options().read(true).write(true).open("/dev/net/tun");
    opened.map(drop).map_err(|error| {
        Diagnostic::new(format!("cannot use the tap device {name}: /dev/net/tun: {error}"))
            .help("--net user needs no rights")
    })
}

fn check_socket(path: &Path) -> Result<()> {
    use std::os::unix::fs::FileTypeExt as _;
    let shown = path.display();
    let cause = match std::fs::metadata(path) {
        Ok(meta) if meta.file_type().is_socket() => return Ok(()),
        Ok(_) => "it is no socket".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(Diagnostic::new(format!("cannot use the socket {shown} as network: {cause}"))
        .help(format!("start first what listens there: passt --socket {shown}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Net {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        for text in [
            "user",
            "user,tcp=127.0.0.1:8080:80,udp=0.0.0.0:53:53,mac=02:00:00:00:00:0a",
            "tap=oxk0,mac=02:00:00:00:00:0a",
            "socket=/run/net",
        ] {
            assert_eq!(net(text).to_string(), text);
        }
        assert_eq!(net("user,tcp=8080:80"), net("user,tcp=127.0.0.1:8080:80"));
        assert_eq!(net("user,udp=53"), net("user,udp=53:53"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, cause) in [
            ("", "one of user"),
            ("wifi", "one of user"),
            ("tap=", "one of user"),
            ("tap=abcdefghijklmnop", "one of user"),
            ("tap=../x", "one of user"),
            ("socket=", "one of user"),
            ("user,tcp=0:80", "are not ports"),
            ("user,tcp=80:99999", "are not ports"),
            ("user,tcp=1.2.3:80", "are not ports"),
            ("tap=a,tcp=80", "is no option of `tap=a`"),
            ("user,colour", "is no option of `user`"),
            ("user,mac=01:00:00:00:00:00", "is not a hardware address"),
            ("user,mac=02:00:00:00:00", "is not a hardware address"),
        ] {
            let said = text.parse::<Net>().unwrap_err();
            assert!(said.contains(cause), "{text}: {said}");
        }
    }

    #[test]
    fn qemu_is_told() {
        let (netdev, device) = net("user,tcp=8080:80,udp=0.0.0.0:53:53").qemu(0);
        let forwards = "hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=udp:0.0.0.0:53-:53";
        assert_eq!(netdev, format!("user,id=net0,{forwards}"));
        assert_eq!(device, "netdev=net0");
        let (netdev, device) = net("tap=oxk0,mac=02:00:00:00:00:0a").qemu(1);
        assert_eq!(netdev, "tap,id=net1,ifname=oxk0,script=no,downscript=no");
        assert_eq!(device, "netdev=net1,mac=02:00:00:00:00:0a");
        let (netdev, _) = net("socket=/a").qemu(0);
        assert_eq!(netdev, "stream,id=net0,server=off,addr.type=unix,addr.path=/a");
    }

    #[test]
    fn sockets_must_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("net");
        let net = net(&format!("socket={}", path.display()));
        let said = net.check().unwrap_err().to_string();
        assert!(said.contains("as network") && said.contains("passt --socket"), "{said}");
        std::fs::write(&path, "").unwrap();
        assert!(net.check().unwrap_err().to_string().contains("it is no socket"));
        std::fs::remove_file(&path).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        net.check().unwrap();
    }
}
