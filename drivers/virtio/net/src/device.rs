//! The device.

use alloc::boxed::Box;

use uklock::{EventCount, Mutex};
use uknetdev::{Burst, Info, Interest, Link, NetDevice, NetError};
use virtio_device::{Device, Error, Transport};

use crate::config::{self, Config, HEADER_LEN, feature};
use crate::receive::Receive;
use crate::transmit::{PIECES, Transmit};

/// The queues of the device (virtio 1.2, section 5.1.2).
const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;

/// A virtio network device that works.
#[derive(Debug)]
pub struct Net {
    info: Info,
    receive: Mutex<Receive>,
    transmit: Mutex<Transmit>,
    /// Counts interrupts; `None` when there will be none.
    events: Option<&'static EventCount>,
    // Kept: its registers name the queues' memory, and say how the link is.
    device: Mutex<Device>,
}

impl Net {
    /// Sets a device up.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn new(transport: Box<dyn Transport>) -> Result<Self, Error> {
        let mut device = Device::start(transport, feature::WANTED)?;
        match Self::set_up(&mut device) {
            Ok((info, receive, transmit, events)) => {
                device.ready();
                Ok(Self {
                    info,
                    receive: Mutex::new(receive),
                    transmit: Mutex::new(transmit),
                    events,
                    device: Mutex::new(device),
                })
            }
            Err(error) => {
                device.give_up();
                Err(error)
            }
        }
    }

    fn set_up(
        device: &mut Device,
    ) -> Result<(Info, Receive, Transmit, Option<&'static EventCount>), Error> {
        let Config { mac, mtu } = Config::read(device)?;
        let events: &'static EventCount = Box::leak(Box::new(EventCount::new()));
        let events = device.listen(events).then_some(events);
        let mut info =
            Info { mac, mtu, queues: 1, depth: 1, headroom: HEADER_LEN, pieces: PIECES.into() };
        let receive = Receive::new(device, RECEIVE, info.buffer_len())?;
        let transmit = Transmit::new(device, TRANSMIT, info.buffer_len())?;
        info.depth = receive.depth().min(transmit.depth());
        Ok((info, receive, transmit, events))
    }
}

impl NetDevice for Net {
    fn info(&self) -> &Info {
        &self.info
    }

    fn link(&self) -> Link {
        let device = self.device.lock();
        // A device that does not say is up.
        let is_down = device.has(feature::STATUS) && !config::is_link_up(&device.config());
        if is_down { Link::Down } else { Link::Up }
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
        self.receive.lock().burst(frames)
    }

    fn tx_burst(&self, queue: usize, frames: &mut Burst) -> Result<(), NetError> {
        if queue > 0 {
            return Err(NetError::NoQueue);
        }
        self.transmit.lock().burst(&self.info, frames)
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
        queue == 0
            && (self.receive.lock().is_ready()
                || interest == Interest::FramesOrRoom && self.transmit.lock().is_ready())
    }

    fn events(&self) -> Option<&'static EventCount> {
        self.events
    }

    fn arm(&self, queue: usize, interest: Interest) -> bool {
        if queue > 0 {
            return false;
        }
        let frames = self.receive.lock().arm();
        let room = interest == Interest::FramesOrRoom && self.transmit.lock().arm();
        frames || room
    }

    fn disarm(&self, queue: usize) {
        if queue == 0 {
            self.receive.lock().disarm();
            self.transmit.lock().disarm();
        }
    }
}
