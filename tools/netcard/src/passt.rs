//! How passt (<https://passt.top>) is told what network an image has. It gives a network to those who
//! have no rights to make one: it makes connections of the image into connections of its own sockets, and
//! the other way round for ports that it was told to forward.

use std::os::fd::RawFd;

use crate::{Forward, Protocol};

/// The program.
pub const PROGRAM: &str = "passt";
/// The network as the image sees it: that of QEMU's user networking, so that an image finds the same on all
/// machines. Frames carry no more than Ethernet's.
const NETWORK: [&str; 8] =
    ["--address", "10.0.2.15", "--netmask", "24", "--gateway", "10.0.2.2", "--mtu", "1500"];

/// Arguments for it, with the number by which it has its end of the socket.
pub fn arguments(socket: RawFd, forwards: &[Forward]) -> Vec<String> {
    let mut arguments = vec!["--foreground".to_owned(), "--quiet".into(), "--fd".into()];
    arguments.push(socket.to_string());
    arguments.extend(NETWORK.map(str::to_owned));
    for Forward { protocol, address, host, guest } in forwards {
        let option = match protocol {
            Protocol::Tcp => "--tcp-ports",
            Protocol::Udp => "--udp-ports",
        };
        arguments.extend([option.to_owned(), format!("{address}/{host}:{guest}")]);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Card, Kind};

    #[test]
    fn ports_are_passed_on() {
        let card: Card = "user,tcp=0.0.0.0:8080:80,udp=53".parse().unwrap();
        let Kind::User(forwards) = card.kind else { panic!("it is user") };
        let line = arguments(5, &forwards).join(" ");
        assert!(line.starts_with("--foreground --quiet --fd 5 --address 10.0.2.15 "), "{line}");
        let ports = "--tcp-ports 0.0.0.0/8080:80 --udp-ports 127.0.0.1/53:53";
        assert!(line.ends_with(ports), "{line}");
    }
}
