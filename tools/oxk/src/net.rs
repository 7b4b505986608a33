//! Network cards that an image has: what can be behind them, and how QEMU is told.

pub mod passt;

use std::path::Path;

pub use netcard::{Card, Forward, Kind};

use crate::diagnostic::{Diagnostic, Result};

/// `--net KIND[,OPTION…]`: a [`Card`] that this tool can start an image with.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> std::result::Result<Card, String> {
    let card: Card = text.parse()?;
    match card.kind {
        Kind::Descriptor(_) => Err("socket=PATH names a socket; fd=NUMBER is the tender's".into()),
        _ => Ok(card),
    }
}

/// Fails when it is clear that a card cannot be used.
pub fn check(card: &Card) -> Result<()> {
    match &card.kind {
        Kind::Tap(name) => check_tap(name),
        Kind::Socket(path) => check_socket(path),
        Kind::User(_) | Kind::Descriptor(_) => Ok(()),
    }
}

/// For QEMU: the value of `-netdev`, and options of the device.
pub fn qemu(card: &Card, index: usize) -> (String, String) {
    let id = format!("net{index}");
    let netdev = match &card.kind {
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
        Kind::Descriptor(descriptor) => {
            format!("stream,id={id},server=off,addr.type=fd,addr.str={descriptor}")
        }
    };
    (netdev, format!("netdev={id}{}", card.mac_option()))
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

    fn card(text: &str) -> Card {
        parse(text).unwrap()
    }

    #[test]
    fn an_open_descriptor_is_not_for_this_tool() {
        assert!(parse("fd=5").unwrap_err().contains("fd=NUMBER is the tender's"));
    }

    #[test]
    fn qemu_is_told() {
        let (netdev, device) = qemu(&card("user,tcp=8080:80,udp=0.0.0.0:53:53"), 0);
        let forwards = "hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=udp:0.0.0.0:53-:53";
        assert_eq!(netdev, format!("user,id=net0,{forwards}"));
        assert_eq!(device, "netdev=net0");
        let (netdev, device) = qemu(&card("tap=oxk0,mac=02:00:00:00:00:0a"), 1);
        assert_eq!(netdev, "tap,id=net1,ifname=oxk0,script=no,downscript=no");
        assert_eq!(device, "netdev=net1,mac=02:00:00:00:00:0a");
        let (netdev, _) = qemu(&card("socket=/a"), 0);
        assert_eq!(netdev, "stream,id=net0,server=off,addr.type=unix,addr.path=/a");
    }

    #[test]
    fn sockets_must_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("net");
        let card = card(&format!("socket={}", path.display()));
        let said = check(&card).unwrap_err().to_string();
        assert!(said.contains("as network") && said.contains("passt --socket"), "{said}");
        std::fs::write(&path, "").unwrap();
        assert!(check(&card).unwrap_err().to_string().contains("it is no socket"));
        std::fs::remove_file(&path).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        check(&card).unwrap();
    }
}
