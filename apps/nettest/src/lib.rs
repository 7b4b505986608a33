//! Tests network devices from the inside, and shows how to use one without a stack: it answers what
//! comes in the very memory in which it came.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod answer;
mod checksum;
mod ping;
mod serve;
#[cfg(test)]
mod tests;

use uknetdev::{Link, NetError, interfaces};
use ukplat::println;

/// An address of the Internet Protocol, version 4.
type Ipv4 = [u8; 4];

/// `nettest list` prints the interfaces; `serve ADDRESS` answers at that address on all of them, until
/// it is told to stop; `ping OWN PEER COUNT` asks a peer for so many echoes.
pub fn main(args: &[&str]) -> u8 {
    let result = match args {
        ["list"] => {
            list();
            Ok(())
        }
        ["serve", address] => match parse(address) {
            Some(address) => serve::run(address),
            None => return wrong(address),
        },
        ["ping", own, peer, count] => match (parse(own), parse(peer), count.parse()) {
            (Some(own), Some(peer), Ok(count)) => match ping::run(own, peer, count) {
                Ok(true) => Ok(()),
                Ok(false) => return 1,
                Err(error) => Err(error),
            },
            _ => return wrong(own),
        },
        _ => return wrong("?"),
    };
    match result {
        Ok(()) => 0,
        Err(error) => {
            println!("{}", error);
            1
        }
    }
}

fn wrong(what: &str) -> u8 {
    println!("not understood: {}; list, serve ADDRESS, ping OWN PEER COUNT", what);
    2
}

fn parse(text: &str) -> Option<Ipv4> {
    let mut words = text.split('.');
    let mut address = [0; 4];
    for byte in &mut address {
        *byte = words.next()?.parse().ok()?;
    }
    words.next().is_none().then_some(address)
}

fn list() {
    for interface in interfaces() {
        let info = interface.info();
        println!(
            "{}: {}, {} bytes, {}, {} queues of {} frames",
            interface.name(),
            info.mac,
            info.mtu,
            if interface.link() == Link::Up { "up" } else { "down" },
            info.queues,
            info.depth,
        );
    }
    println!("{} interfaces", interfaces().len());
}

/// The first interface's first queue.
fn queue() -> Result<uknetdev::Queue, NetError> {
    interfaces().first().ok_or(NetError::NoQueue)?.queue(0)
}
