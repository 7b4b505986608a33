//! Two devices with a wire between them, for tests of what is above: the wire can lose frames, and
//! the devices break on demand.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use uklock::{EventCount, Mutex};

use crate::{Burst, Info, Interest, Link, Mac, NetBuf, NetDevice, NetError};

/// Frames that each device takes at a time.
pub const DEPTH: usize = 8;
/// Room that each device needs in front of frames.
pub const HEADROOM: usize = 10;

/// One of the two devices. Clones are the same device: one for the registry, one for the test.
#[derive(Clone, Debug)]
pub struct Model {
    info: Info,
    own: Arc<Mutex<End>>,
    other: Arc<Mutex<End>>,
    events: &'static EventCount,
    other_events: &'static EventCount,
}

#[derive(Debug)]
struct End {
    /// Buffers for frames that will arrive.
    empty: VecDeque<NetBuf>,
    arrived: VecDeque<NetBuf>,
    /// On their way to the other end: they stay until that one has a buffer.
    sending: VecDeque<NetBuf>,
    sent: VecDeque<NetBuf>,
    link: Link,
    /// Every so many frames one is lost.
    loses: Option<usize>,
    count: usize,
    dropped: u64,
    armed: bool,
    broken: bool,
}

/// Two devices with a wire between them.
pub fn pair() -> (Model, Model) {
    let end = || {
        Arc::new(Mutex::new(End {
            empty: VecDeque::new(),
            arrived: VecDeque::new(),
            sending: VecDeque::new(),
            sent: VecDeque::new(),
            link: Link::Up,
            loses: None,
            count: 0,
            dropped: 0,
            armed: false,
            broken: false,
        }))
    };
    let events = || -> &'static EventCount { Box::leak(Box::new(EventCount::new())) };
    let (one, two) = ((end(), events()), (end(), events()));
    let model = |last, own: &(Arc<Mutex<End>>, _), other: &(Arc<Mutex<End>>, _)| Model {
        info: Info {
            mac: Mac([2, 0, 0, 0, 0, last]),
            mtu: 1500,
            queues: 1,
            depth: DEPTH,
            headroom: HEADROOM,
            pieces: 4,
        },
        own: own.0.clone(),
        other: other.0.clone(),
        events: own.1,
        other_events: other.1,
    };
    (model(1, &one, &two), model(2, &two, &one))
}

impl Model {
    /// Loses every `every`th frame that this device sends.
    pub fn lose(&self, every: usize) {
        self.own.lock().loses = Some(every);
    }

    /// Pulls the cable of this device, or plugs it in.
    pub fn set_link(&self, link: Link) {
        self.own.lock().link = link;
        self.events.notify();
    }

    /// Whether the next frame that arrives is to be an event.
    pub fn is_armed(&self) -> bool {
        self.own.lock().armed
    }

    /// Breaks this device.
    pub fn break_down(&self) {
        self.own.lock().broken = true;
        self.events.notify();
    }

    /// What is on its way from `from` to `to`, as far as there are buffers for it.
    fn carry(from: &Mutex<End>, to: &Mutex<End>, events: &EventCount) {
        loop {
            let (frame, is_lost) = {
                let mut end = from.lock();
                let Some(frame) = end.sending.pop_front() else { return };
                end.count += 1;
                let is_lost = end.loses.is_some_and(|every| end.count.is_multiple_of(every));
                (frame, is_lost || end.link == Link::Down)
            };
            let tell = {
                let mut end = to.lock();
                if is_lost || end.link == Link::Down {
                    false
                } else if let Some(mut buffer) = end.empty.pop_front() {
                    let bytes: Vec<u8> = frame.pieces().flat_map(|p| p.iter().copied()).collect();
                    buffer.reset(HEADROOM);
                    match buffer.extend(bytes.len()) {
                        Some(room) => {
                            room.copy_from_slice(&bytes);
                            end.arrived.push_back(buffer);
                        }
                        None => {
                            end.dropped += 1;
                            end.empty.push_front(buffer);
                        }
                    }
                    core::mem::take(&mut end.armed)
                } else {
                    drop(end);
                    // It waits for a buffer.
                    let mut end = from.lock();
                    end.count -= 1;
                    end.sending.push_front(frame);
                    return;
                }
            };
            from.lock().sent.push_back(frame);
            if tell {
                events.notify();
            }
        }
    }
}

impl NetDevice for Model {
    fn info(&self) -> &Info {
        &self.info
    }

    fn link(&self) -> Link {
        self.own.lock().link
    }

    fn supply(&self, queue: usize, buffers: &mut Burst) -> Result<(), NetError> {
        if queue > 0 {
            return Err(NetError::NoQueue);
        }
        {
            let mut end = self.own.lock();
            while end.empty.len() + end.arrived.len() < DEPTH {
                let Some(buffer) = buffers.pop() else { break };
                assert!(buffer.capacity() >= self.info.buffer_len(), "a buffer is too small");
                end.empty.push_back(buffer);
            }
        }
        Self::carry(&self.other, &self.own, self.events);
        // There may be room in the other one now.
        self.other_events.notify();
        Ok(())
    }

    fn rx_burst(&self, queue: usize, frames: &mut Burst) -> Result<(), NetError> {
        if queue > 0 {
            return Err(NetError::NoQueue);
        }
        let mut end = self.own.lock();
        while !frames.is_full() {
            let Some(frame) = end.arrived.pop_front() else {
                return if end.broken { Err(NetError::Broken) } else { Ok(()) };
            };
            let _ = frames.push(frame);
        }
        Ok(())
    }

    fn tx_burst(&self, queue: usize, frames: &mut Burst) -> Result<(), NetError> {
        if queue > 0 {
            return Err(NetError::NoQueue);
        }
        let mut result = Ok(());
        {
            let mut end = self.own.lock();
            if end.broken {
                return Err(NetError::Broken);
            }
            while end.sending.len() + end.sent.len() < DEPTH {
                let Some(frame) = frames.first() else { break };
                result = self.info.check(frame);
                if result.is_err() {
                    break;
                }
                end.sending.extend(frames.pop());
            }
        }
        Self::carry(&self.own, &self.other, self.other_events);
        result
    }

    fn reclaim(&self, _queue: usize, buffers: &mut Burst) {
        let mut end = self.own.lock();
        while !buffers.is_full() {
            let Some(buffer) = end.sent.pop_front() else { return };
            let _ = buffers.push(buffer);
        }
    }

    fn dropped(&self, _queue: usize) -> u64 {
        self.own.lock().dropped
    }

    fn is_ready(&self, _queue: usize, interest: Interest) -> bool {
        let end = self.own.lock();
        let room = interest == Interest::FramesOrRoom
            && (!end.sent.is_empty() || end.sending.len() < DEPTH);
        room || !end.arrived.is_empty() || end.broken
    }

    fn events(&self) -> Option<&'static EventCount> {
        Some(self.events)
    }

    fn arm(&self, queue: usize, interest: Interest) -> bool {
        self.own.lock().armed = true;
        self.is_ready(queue, interest)
    }

    fn disarm(&self, _queue: usize) {
        self.own.lock().armed = false;
    }
}
