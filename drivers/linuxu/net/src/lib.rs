//! Tap devices and sockets of the host as network devices, for platform `linuxu`.
//!
//! The parameters `linuxu-net.net0` to `net3` name them: `tap=NAME`; `socket=PATH` of a stream socket
//! whose other end takes and gives frames behind their lengths, as passt and QEMU do; `fd=NUMBER` of
//! such a socket that is open when the process starts. Each may end with `,mac=ADDRESS`.
//! `oxk run --net KIND` sets them.
//!
//! ```no_run
//! // With this library in the image, after boot:
//! for interface in uknetdev::interfaces() {
//!     ukplat::println!("{}: {}", interface.name(), interface.info().mac);
//! }
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod device;
mod receive;
#[cfg(test)]
mod tests;
mod transmit;

use alloc::boxed::Box;
use core::fmt;

use linuxu::file::HostError;
use linuxu::io::Packets;
use uklock::EventCount;
use uknetdev::Mac;
use ukparam::Text;
use ukplat::device::InterruptHandler;
use ukplat::{BootInfo, InitError};

pub use device::HostNet;

/// Parameter `linuxu-net.net0`.
pub static NET0: Text = Text::new();
/// Parameter `linuxu-net.net1`.
pub static NET1: Text = Text::new();
/// Parameter `linuxu-net.net2`.
pub static NET2: Text = Text::new();
/// Parameter `linuxu-net.net3`.
pub static NET3: Text = Text::new();

/// Counts when something came for one of the devices.
static EVENTS: EventCount = EventCount::new();
static HANDLER: &dyn InterruptHandler = &EVENTS;

/// Boot phase `linuxu-net`: opens what the frames go to.
///
/// # Errors
/// What cannot be a network device.
pub fn init(_boot: &'static BootInfo) -> Result<(), InitError> {
    let nets = [&NET0, &NET1, &NET2, &NET3];
    let mut events = None;
    for word in nets.into_iter().filter_map(Text::get).filter(|word| !word.is_empty()) {
        events = events.or_else(|| linuxu::io::on_input(&HANDLER).then_some(&EVENTS));
        match open(word, events) {
            Ok(device) => _ = uknetdev::register(Box::new(device)),
            Err(error) => {
                ukplat::eprintln!("{}: {}", word, error);
                return Err(InitError::about("cannot use as a network", word, "see above"));
            }
        }
    }
    Ok(())
}

/// What the frames of a device go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A tap device: one frame at a time.
    Tap,
    /// A stream: each frame behind its length.
    Stream,
}

/// Why something cannot be a network device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The host says why.
    Host(HostError),
    /// The word is none of those that are known.
    Word,
    /// The hardware address.
    Mac,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Host(error) => error.fmt(f),
            OpenError::Word => {
                f.write_str("not understood; tap=NAME, socket=PATH, or fd=NUMBER; ,mac=ADDRESS")
            }
            OpenError::Mac => f.write_str("no hardware address of a station as 02:00:00:00:00:01"),
        }
    }
}

impl core::error::Error for OpenError {}

/// `tap=NAME`, `socket=PATH` or `fd=NUMBER`, and `,mac=ADDRESS`.
fn open(word: &str, events: Option<&'static EventCount>) -> Result<HostNet, OpenError> {
    let (what, mac) = match word.rsplit_once(",mac=") {
        Some((what, mac)) => (what, Some(mac)),
        None => (word, None),
    };
    let mac = match mac {
        None => random_mac(),
        Some(text) => {
            text.parse().ok().filter(|mac: &Mac| mac.is_station()).ok_or(OpenError::Mac)?
        }
    };
    let opened = match what.split_once('=') {
        Some(("tap", name)) => Packets::tap(name).map(|packets| (packets, Kind::Tap)),
        Some(("socket", path)) => Packets::connect(path).map(|packets| (packets, Kind::Stream)),
        Some(("fd", number)) => {
            let number = number.parse().map_err(|_| OpenError::Word)?;
            Packets::inherited(number).map(|packets| (packets, Kind::Stream))
        }
        _ => return Err(OpenError::Word),
    };
    let (packets, kind) = opened.map_err(OpenError::Host)?;
    Ok(HostNet::new(packets, kind, mac, events))
}

fn random_mac() -> Mac {
    let mut bytes = [0; 6];
    // What is missing stays 0, which is an address too.
    ukplat::entropy(&mut bytes);
    Mac::local(bytes)
}
