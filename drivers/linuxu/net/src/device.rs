//! The device.

use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::Relaxed;

use linuxu::io::{Packets, Tell};
use uklock::{EventCount, Mutex};
use uknetdev::{Burst, Info, Interest, Link, Mac, NetDevice, NetError};

use crate::Kind;
use crate::receive::Receive;
use crate::transmit::Transmit;

/// Frames at a time, on either side.
pub const DEPTH: usize = 64;
/// What a frame carries: as long as those of any link of the host.
const MTU: usize = 1500;

/// A tap device or a socket of the host as a network device.
#[derive(Debug)]
pub struct HostNet {
    info: Info,
    packets: Packets,
    receive: Mutex<Receive>,
    transmit: Mutex<Transmit>,
    /// Whether the other end is there.
    is_open: AtomicBool,
    events: Option<&'static EventCount>,
}

impl HostNet {
    /// Over a descriptor of this kind. `events` count when it [tells](Packets::tell) of something;
    /// `None` when nobody is told.
    pub fn new(
        packets: Packets,
        kind: Kind,
        mac: Mac,
        events: Option<&'static EventCount>,
    ) -> Self {
        let headroom = match kind {
            Kind::Tap => 0,
            Kind::Stream => crate::transmit::LENGTH,
        };
        let info = Info { mac, mtu: MTU, queues: 1, depth: DEPTH, headroom, pieces: 1 };
        Self {
            info,
            packets,
            receive: Mutex::new(Receive::new(kind, info)),
            transmit: Mutex::new(Transmit::new(kind)),
            is_open: AtomicBool::new(true),
            events,
        }
    }

    fn is_open(&self) -> bool {
        self.is_open.load(Relaxed)
    }

    /// The other end is gone.
    fn close(&self) {
        if self.is_open.swap(false, Relaxed) {
            self.events.inspect(|events| events.notify());
        }
    }
}

impl NetDevice for HostNet {
    fn info(&self) -> &Info {
        &self.info
    }

    fn link(&self) -> Link {
        if self.is_open() { Link::Up } else { Link::Down }
    }

    fn supply(&self, queue: usize, buffers: &mut Burst) -> Result<(), NetError> {
        if queue > 0 {
            return Err(NetError::NoQueue);
        }
        self.receive.lock().supply(buffers)
    }

    fn rx_burst(&self, queue: usize, frames: &mut Burst) -> Result<(), NetError> {
        if queue > 0 {
            return Err(NetError::NoQueue);
        }
        // What waits for room must not wait for the next frame to send.
        let sent = self.transmit.lock().flush(&self.packets);
        if sent.and_then(|()| self.receive.lock().burst(&self.packets, frames)).is_err() {
            self.close();
        }
        Ok(())
    }

    fn tx_burst(&self, queue: usize, frames: &mut Burst) -> Result<(), NetError> {
        if queue > 0 {
            return Err(NetError::NoQueue);
        }
        let mut transmit = self.transmit.lock();
        while transmit.has_room()
            && let Some(frame) = frames.first()
        {
            self.info.check(frame)?;
            let Some(frame) = frames.pop() else { break };
            // Without a link frames are lost, as on a wire that leads nowhere.
            if !self.is_open() {
                transmit.lose(frame);
            } else if transmit.send(&self.packets, frame).is_err() {
                self.close();
            }
        }
        Ok(())
    }

    fn reclaim(&self, queue: usize, buffers: &mut Burst) {
        if queue == 0 {
            self.transmit.lock().reclaim(buffers);
        }
    }

    fn dropped(&self, queue: usize) -> u64 {
        if queue == 0 { self.receive.lock().dropped() } else { 0 }
    }

    fn is_ready(&self, queue: usize, interest: Interest) -> bool {
        if queue > 0 || !self.is_open() {
            // Frames can always be lost.
            return queue == 0 && interest == Interest::FramesOrRoom;
        }
        let room = {
            let mut transmit = self.transmit.lock();
            if transmit.flush(&self.packets).is_err() {
                self.close();
            }
            interest == Interest::FramesOrRoom && transmit.is_done()
        };
        room || self.receive.lock().is_ready(&self.packets)
    }

    fn events(&self) -> Option<&'static EventCount> {
        self.events
    }

    fn arm(&self, queue: usize, interest: Interest) -> bool {
        if queue == 0 {
            self.packets.tell(Tell::Input);
        }
        self.is_ready(queue, interest)
    }

    fn disarm(&self, queue: usize) {
        if queue == 0 {
            self.packets.tell(Tell::Nothing);
        }
    }
}
