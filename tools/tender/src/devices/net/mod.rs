//! The network device (virtio 1.2, section 5.1): frames to and from a [`Link`].

mod link;
mod passt;

use std::ffi::c_long;
use std::os::fd::RawFd;

use netcard::{Card, Kind};
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

/// A network device.
#[derive(Debug)]
pub struct Net {
    link: Link,
    mac: [u8; 6],
    /// The frame for the guest.
    received: Vec<u8>,
    /// Length of the frame that waits in `received` for room in the guest.
    waiting: Option<usize>,
    /// The frame of the guest.
    sent: Vec<u8>,
}

impl Net {
    /// Opens what the frames go to.
    ///
    /// # Errors
    /// [`Error::Net`], [`Error::NoPasst`].
    pub fn open(args: &Card) -> Result<Self, Error> {
        let link = match &args.kind {
            Kind::Tap(name) => Link::tap(name)?,
            Kind::User(forwards) => passt::start(forwards)?,
            Kind::Socket(path) => Link::connect(path)?,
            Kind::Descriptor(fd) => Link::descriptor(*fd)?,
        };
        Ok(Self::new(link, args.mac.unwrap_or_else(random_mac)))
    }

    /// With this link.
    pub fn new(link: Link, mac: [u8; 6]) -> Self {
        let [received, sent] = [(); 2].map(|()| vec![0; MAX_FRAME]);
        Self { link, mac, received, waiting: None, sent }
    }

    /// Gives the guest what there is, as far as it has room. Returns whether there may be more.
    fn receive(&mut self, queues: &mut [Option<Queue>]) -> Result<bool, Broken> {
        let mut queue = queues.get_mut(RECEIVE).and_then(Option::as_mut);
        for _ in 0..BATCH {
            let next = self.waiting.take().or_else(|| self.link.receive(&mut self.received));
            let Some(len) = next else { return Ok(false) };
            // A driver that has no queue for frames loses them.
            let Some(queue) = queue.as_mut() else { continue };
            let Some(mut room) = queue.pop()? else {
                self.waiting = Some(len);
                return Ok(false);
            };
            if room.writable.len() < HEADER.len() + len {
                // A frame for which the driver made too little room is lost.
                queue.put_back();
                continue;
            }
            room.writable.write(&HEADER);
            room.writable.write(&self.received[..len]);
            queue.complete(&room, (HEADER.len() + len) as u32)?;
        }
        Ok(true)
    }

    /// Sends what the guest gives, as far as the link has room; the rest stays in the queue.
    fn transmit(&mut self, queues: &mut [Option<Queue>]) -> Result<(), Broken> {
        let Some(Some(queue)) = queues.get_mut(TRANSMIT) else { return Ok(()) };
        for _ in 0..queue.size() {
            if self.link.is_sending() {
                break;
            }
            let Some(mut request) = queue.pop()? else { break };
            self.request(TRANSMIT, &mut request)?;
            queue.complete(&request, 0)?;
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
            let len = request.readable.read(&mut self.sent);
            self.link.send(&self.sent[..len]);
        }
        Ok(0)
    }

    /// Room for frames is no work until a frame waits for it.
    fn takes(&self, queue: usize) -> bool {
        if queue == RECEIVE { self.waiting.is_some() } else { !self.link.is_sending() }
    }

    fn serve(&mut self, index: usize, queues: &mut [Option<Queue>]) -> Result<bool, Broken> {
        if index == RECEIVE {
            return self.receive(queues);
        }
        self.transmit(queues)?;
        Ok(false)
    }

    fn source(&self) -> Option<libc::pollfd> {
        // Without room nothing more is taken: what sends waits, or loses frames, as networks do.
        let comes = if self.waiting.is_none() { libc::POLLIN } else { 0 };
        let goes = if self.link.is_sending() { libc::POLLOUT } else { 0 };
        let events = comes | goes;
        let fd = self.link.descriptor_number();
        (self.link.is_open() && events != 0).then_some(libc::pollfd { fd, events, revents: 0 })
    }

    fn input(&mut self, queues: &mut [Option<Queue>]) -> Result<bool, Broken> {
        if self.link.is_sending() {
            self.link.go_on();
            self.transmit(queues)?;
        }
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
    fn addresses_are_of_one_station_and_local() {
        for _ in 0..20 {
            assert_eq!(random_mac()[0] & 3, 2);
        }
    }
}
