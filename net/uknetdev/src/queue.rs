//! A queue in the hands of its user.

use core::fmt;

use uklock::EventCount;

use crate::interface::Lane;
use crate::{Burst, Interest, Interface, NetBuf, NetDevice, NetError};

/// Looks at a device that has no events, before the first nap.
const SPINS: u32 = 64;
/// Length of a nap between two looks, in nanoseconds.
const NAP_NS: u64 = 50_000;
/// After this time, in nanoseconds, it is looked even without an event.
const LOOK_NS: u64 = 1_000_000_000;

/// How a queue is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The thread sleeps until the device interrupts.
    #[default]
    Interrupts,
    /// The thread looks again and again: the shortest delay, for a CPU of its own.
    Polling,
}

/// A queue of a device, its user's alone until it is dropped: sends and receives frames.
///
/// It keeps buffers for reuse: those of frames that were sent, and those that are
/// [given back](Self::recycle).
pub struct Queue {
    interface: &'static Interface,
    index: usize,
    mode: Mode,
    /// Buffers that are not in use.
    spare: Burst,
    /// Where buffers are on their way to the device, or back.
    moving: Burst,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Queue({} of {})", self.index, self.interface.name())
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.interface.device.disarm(self.index);
        if let Some(lane) = self.interface.lanes.get(self.index) {
            lane.give();
        }
    }
}

impl Queue {
    pub(crate) fn new(interface: &'static Interface, index: usize) -> Result<Self, NetError> {
        let depth = interface.info().depth;
        let room = depth.saturating_mul(2);
        let mut this = Self {
            interface,
            index,
            mode: Mode::default(),
            spare: Burst::new(room)?,
            moving: Burst::new(depth)?,
        };
        interface.device.disarm(index);
        this.supply()?;
        // Too little is enough to begin with, nothing is not.
        if this.lane().supplied() == 0 { Err(NetError::OutOfMemory) } else { Ok(this) }
    }

    /// What it is a queue of.
    pub fn interface(&self) -> &'static Interface {
        self.interface
    }

    /// Its number.
    pub fn index(&self) -> usize {
        self.index
    }

    /// How [`wait`](Self::wait) waits.
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    fn lane(&self) -> &'static Lane {
        &self.interface.lanes[self.index]
    }

    /// An empty buffer for a frame of any length, with the room in front that the device needs and
    /// that a header of Ethernet takes.
    ///
    /// # Errors
    /// [`NetError::OutOfMemory`].
    pub fn buffer(&mut self) -> Result<NetBuf, NetError> {
        let headroom = self.interface.info().headroom + crate::HEADER_LEN;
        if self.spare.is_empty() {
            self.reclaim();
        }
        match self.spare.pop() {
            Some(mut buffer) => {
                buffer.reset(headroom);
                Ok(buffer)
            }
            None => NetBuf::new(self.interface.info().buffer_len(), headroom),
        }
    }

    /// Gives buffers back: of a frame that was received and is of no more use, for example.
    pub fn recycle(&mut self, mut frame: NetBuf) {
        let len = self.interface.info().buffer_len();
        loop {
            let next = frame.unchain();
            if frame.capacity() == len {
                // Beyond the room for them they are dropped.
                let _ = self.spare.push(frame);
            }
            match next {
                Some(piece) => frame = piece,
                None => return,
            }
        }
    }

    /// Receives frames that have arrived, until there are no more or the burst is full; returns how
    /// many. Each is in one piece.
    ///
    /// # Errors
    /// [`NetError::Broken`]. Frames that came before the device broke are in the burst.
    pub fn receive(&mut self, frames: &mut Burst) -> Result<usize, NetError> {
        let lane = self.lane();
        let before = frames.len();
        let result = self.interface.device.rx_burst(self.index, frames);
        let count = frames.len() - before;
        if count > 0 {
            lane.set_supplied(lane.supplied().saturating_sub(count));
            lane.received.add(count);
            lane.received_bytes.add(frames.iter().skip(before).map(|frame| frame.len()).sum());
        }
        result?;
        // Not for each frame: telling the device costs.
        let depth = self.interface.info().depth;
        if lane.supplied() <= depth - depth.div_ceil(4) {
            self.supply()?;
        }
        Ok(count)
    }

    /// Sends frames, in this order, until there are no more or the device has no room; returns how many
    /// it took. Others stay in the burst.
    ///
    /// # Errors
    /// What is wrong with the first frame that stays, or with the device.
    pub fn transmit(&mut self, frames: &mut Burst) -> Result<usize, NetError> {
        self.reclaim();
        let (before, bytes) = (frames.len(), bytes_of(frames));
        let result = self.interface.device.tx_burst(self.index, frames);
        let count = before - frames.len();
        let lane = self.lane();
        lane.sent.add(count);
        lane.sent_bytes.add(bytes - bytes_of(frames));
        result.map(|()| count)
    }

    /// Waits until there is something, or the monotonic clock is at `deadline_ns`; returns whether it
    /// is worth to look.
    pub fn wait(&mut self, interest: Interest, deadline_ns: u64) -> bool {
        let device: &'static dyn NetDevice = &*self.interface.device;
        let lane = self.lane();
        if device.is_ready(self.index, interest) {
            return true;
        }
        lane.waits.add(1);
        let mut looks = 0;
        loop {
            if lane.supplied() == 0 {
                // There was no memory for buffers; without one nothing arrives.
                let _ = self.supply();
            }
            let now = ukplat::monotonic_ns();
            match (self.mode, device.events()) {
                (Mode::Polling, _) => ukplat::relax(),
                (Mode::Interrupts, Some(events)) => {
                    // The count first: what comes after it was read ends the wait.
                    let seen = events.count();
                    if !device.arm(self.index, interest) {
                        events.wait_until(seen, deadline_ns.min(now.saturating_add(LOOK_NS)));
                    }
                    device.disarm(self.index);
                    // The link may have changed, which is no frame.
                    if events.count() != seen {
                        return true;
                    }
                }
                (Mode::Interrupts, None) if looks < SPINS => {
                    looks += 1;
                    ukplat::relax();
                }
                (Mode::Interrupts, None) => {
                    static NOBODY: EventCount = EventCount::new();
                    let nap = deadline_ns.min(now.saturating_add(NAP_NS));
                    NOBODY.wait_until(NOBODY.count(), nap);
                }
            }
            if device.is_ready(self.index, interest) {
                return true;
            }
            if now >= deadline_ns {
                return false;
            }
        }
    }

    /// Takes the buffers of frames back that were sent.
    fn reclaim(&mut self) {
        self.interface.device.reclaim(self.index, &mut self.moving);
        while let Some(buffer) = self.moving.pop() {
            self.recycle(buffer);
        }
    }

    /// Gives the device buffers, as many as it takes and as there is memory for.
    fn supply(&mut self) -> Result<(), NetError> {
        let info = self.interface.info();
        let lane = self.lane();
        let wanted = info.depth.saturating_sub(lane.supplied());
        while self.moving.len() < wanted {
            let buffer = match self.spare.pop() {
                Some(buffer) => Ok(buffer),
                None => NetBuf::new(info.buffer_len(), 0),
            };
            match buffer.map(|buffer| self.moving.push(buffer)) {
                Ok(Ok(())) => {}
                Ok(Err(_)) => break,
                Err(_) => {
                    // Next time there may be memory; until then the others must do.
                    lane.starved.add(1);
                    break;
                }
            }
        }
        let count = self.moving.len();
        let result = self.interface.device.supply(self.index, &mut self.moving);
        lane.set_supplied(lane.supplied() + count - self.moving.len());
        while let Some(buffer) = self.moving.pop() {
            self.recycle(buffer);
        }
        result
    }
}

fn bytes_of(frames: &Burst) -> usize {
    frames.iter().map(NetBuf::frame_len).sum()
}
