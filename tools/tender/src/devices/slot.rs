//! A device and what the guest sees of it: a page of memory, and registers ([`hvt_abi::device`]).

use std::fmt;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::fence;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hvt_abi::Stream;
use hvt_abi::cpu_page::{LOOKING, PENDING, PENDING_DEVICE};
use hvt_abi::device::{self as at, MAX_QUEUES};
use virtio_bindings::virtio_config::{
    VIRTIO_CONFIG_S_DRIVER_OK, VIRTIO_CONFIG_S_FAILED, VIRTIO_CONFIG_S_FEATURES_OK,
    VIRTIO_CONFIG_S_NEEDS_RESET, VIRTIO_F_VERSION_1,
};
use virtio_bindings::virtio_ring::{VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use super::queue::Place;
use super::{Broken, Device, DeviceMemory, Queue};
use crate::confine::Call;
use crate::console::Console;
use crate::error::Error;
use crate::kick::Kick;
use crate::layout::{DEVICE_REGISTERS, Layout};
use crate::memory::GuestRam;

/// What all devices can do.
const FEATURES: u64 =
    1 << VIRTIO_F_VERSION_1 | 1 << VIRTIO_RING_F_EVENT_IDX | 1 << VIRTIO_RING_F_INDIRECT_DESC;
/// Bits of features that belong to the kind of device.
const OWN_FEATURES: u64 = (1 << 24) - 1;

/// A device that stops again and again says so that often.
const MAX_REPORTS: u32 = 3;

/// A device in its place.
pub struct Slot {
    name: String,
    /// Physical address of its page of memory.
    page: u64,
    /// Queues: largest sizes.
    sizes: Vec<u16>,
    offered: u64,
    /// One for each queue; none where the device works on the CPU's thread.
    bells: Vec<EventFd>,
    memory: &'static DeviceMemory,
    /// The CPU that it interrupts, and the physical address of that CPU's page.
    cpu: &'static Kick,
    cpu_page: u64,
    console: Console,
    state: Mutex<State>,
}

/// The part that only one thread uses at a time.
struct State {
    device: Box<dyn Device>,
    /// Empty unless the driver is ready.
    queues: Vec<Option<Queue>>,
    /// The device has not been asked yet for what it has from before, of which its source says nothing.
    is_new: bool,
    /// How often it was stopped.
    stops: u32,
}

impl State {
    /// A queue that there is, and that the device takes requests of now.
    fn queue_to_serve(&mut self, index: usize) -> Option<&mut Queue> {
        let queue = self.queues.get_mut(index)?.as_mut()?;
        self.device.takes(index).then_some(queue)
    }
}

/// What [`Slot::serve`] found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Served {
    /// Whether there were requests.
    pub any: bool,
    /// Whether there is more to do at the source already.
    pub again: bool,
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("name", &self.name).finish_non_exhaustive()
    }
}

/// All devices of a guest.
#[derive(Debug, Default)]
pub struct Slots(pub Vec<Slot>);

impl Slots {
    /// A write of the guest to registers of devices, at a physical address; others are ignored, and
    /// so are writes of another size than a register has.
    pub fn write(&self, address: u64, data: &[u8]) {
        let Some(offset) = address.checked_sub(DEVICE_REGISTERS) else { return };
        let Ok(index) = usize::try_from(offset / hvt_abi::PAGE) else { return };
        if let (Some(slot), Ok(data)) = (self.0.get(index), data.try_into()) {
            let register = at::SET_STATUS + (offset % hvt_abi::PAGE) as usize;
            slot.write(register, u32::from_le_bytes(data));
        }
    }
}

impl Slots {
    /// The calls by which a CPU's thread passes notifications on, where KVM does not.
    pub fn notifications(&self) -> Vec<Call> {
        let bells = self.0.iter().flat_map(Slot::bells);
        bells.map(|bell| (libc::SYS_write, bell.as_raw_fd())).collect()
    }
}

impl Slot {
    /// Puts a device into its place in the layout and writes what the guest shall know of it.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn new(
        device: Box<dyn Device>,
        index: usize,
        layout: &Layout,
        memory: &'static DeviceMemory,
        cpu: &'static Kick,
        console: Console,
    ) -> Result<Self, Error> {
        let page = layout.devices.get(index).map_or(u64::MAX, |piece| piece.physical);
        let mut sizes = device.queues().to_vec();
        sizes.truncate(MAX_QUEUES);
        let count = if device.is_quick() { 0 } else { sizes.len() };
        let bells: std::io::Result<Vec<EventFd>> =
            (0..count).map(|_| EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)).collect();
        let slot = Self {
            name: device.name(),
            page,
            offered: device.features() & OWN_FEATURES | FEATURES,
            bells: bells.map_err(|e| Error::System("make an eventfd", e))?,
            memory,
            cpu,
            cpu_page: layout.cpu_pages.physical,
            console,
            sizes,
            state: Mutex::new(State { queues: Vec::new(), is_new: false, stops: 0, device }),
        };
        slot.tell();
        Ok(slot)
    }

    fn tell(&self) {
        let state = self.state();
        self.set32(at::KIND, state.device.kind());
        self.set32(at::QUEUE_COUNT, self.sizes.len() as u32);
        self.ram().set_word(self.page + at::OFFERED as u64, self.offered);
        for (index, size) in self.sizes.iter().enumerate() {
            self.set32(at::queue(index) + at::QUEUE_MAX, (*size).into());
        }
        let mut config = state.device.config();
        config.truncate(at::CONFIG_LEN);
        self.ram().write(self.page + at::CONFIG as u64, &config);
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is written to when the guest notifies queues.
    pub fn bells(&self) -> &[EventFd] {
        &self.bells
    }

    /// The device itself.
    pub fn with_device<R>(&self, look: impl FnOnce(&dyn Device) -> R) -> R {
        look(&*self.state().device)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ram(&self) -> &GuestRam {
        &self.memory.ram
    }

    fn set32(&self, offset: usize, value: u32) {
        self.ram().write(self.page + offset as u64, &value.to_le_bytes());
    }

    fn get32(&self, offset: usize) -> u32 {
        let mut bytes = [0; 4];
        self.ram().read(self.page + offset as u64, &mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn get64(&self, offset: usize) -> u64 {
        self.ram().word(self.page + offset as u64)
    }

    /// A write of the guest to a register.
    fn write(&self, register: usize, value: u32) {
        if register == at::SET_STATUS {
            return self.set_status(value);
        }
        let Some(offset) = register.checked_sub(at::NOTIFY) else { return };
        let queue = offset / 4;
        if offset % 4 != 0 || queue >= self.sizes.len() {
            return;
        }
        match self.bells.get(queue) {
            // KVM does this itself, where it can.
            Some(bell) => drop(bell.write(1)),
            None => while self.serve().any || self.listen() {},
        }
    }

    fn set_status(&self, status: u32) {
        let mut state = self.state();
        let is_running = !state.queues.is_empty();
        let ready = VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK;
        if status == 0 || status & VIRTIO_CONFIG_S_FAILED != 0 {
            state.queues.clear();
        } else if status & ready == ready && !is_running {
            if let Err(error) = self.start(&mut state) {
                return self.stop(&mut state, error);
            }
            // Those that have a thread look for what they must wait for.
            if let Some(bell) = self.bells.first() {
                let _ = bell.write(1);
            }
        }
        self.set32(at::STATUS, status);
    }

    /// Takes what the driver wrote, each word once.
    fn start(&self, state: &mut State) -> Result<(), Broken> {
        let agreed = self.get64(at::AGREED);
        if agreed & !self.offered != 0 || agreed & 1 << VIRTIO_F_VERSION_1 == 0 {
            return Err(Broken::Request("its driver wants features that it does not have"));
        }
        let event_index = agreed & 1 << VIRTIO_RING_F_EVENT_IDX != 0;
        let mut queues = Vec::new();
        for (index, max) in self.sizes.iter().enumerate() {
            let word = |offset: usize| self.get64(at::queue(index) + offset);
            let place = Place {
                size: self.get32(at::queue(index) + at::QUEUE_SIZE),
                descriptors: word(at::QUEUE_DESCRIPTORS),
                available: word(at::QUEUE_AVAILABLE),
                used: word(at::QUEUE_USED),
            };
            queues.push(match place.size {
                0 => None,
                _ => {
                    let queue = Queue::new(self.memory, *max, &place, event_index);
                    Some(queue.ok_or(Broken::Queue(index))?)
                }
            });
        }
        state.device.start(agreed);
        state.queues = queues;
        state.is_new = true;
        Ok(())
    }

    /// Stops the device until it is reset.
    fn stop(&self, state: &mut State, error: Broken) {
        state.queues.clear();
        state.stops += 1;
        if state.stops <= MAX_REPORTS {
            let said = format!("tender: device {} stopped: {error}\n", self.name);
            self.console.write(Stream::Err, said.as_bytes());
        }
        self.set32(at::STATUS, VIRTIO_CONFIG_S_NEEDS_RESET);
        self.interrupt();
    }

    /// Interrupts the guest. A CPU that looks for it is not stopped.
    fn interrupt(&self) {
        let looks = || self.ram().word(self.cpu_page + 8 * LOOKING as u64) != 0;
        if looks() {
            self.ram().set_bits(self.cpu_page + 8 * PENDING as u64, PENDING_DEVICE);
            // Either the CPU, which looks once more when it stops looking, sees the bit, or this sees
            // that it stopped.
            fence(SeqCst);
            if looks() {
                return;
            }
        }
        self.cpu.interrupt(PENDING_DEVICE);
    }

    /// Does requests that are in the queues, whether the guest notified them or not.
    pub fn serve(&self) -> Served {
        self.work(|state| {
            let mut served = Served { any: false, again: std::mem::take(&mut state.is_new) };
            for index in 0..state.queues.len() {
                if state.queue_to_serve(index).map_or(Ok(false), |queue| queue.has_more())? {
                    served.any = true;
                    served.again |= state.device.serve(index, &mut state.queues)?;
                }
            }
            Ok(served)
        })
    }

    /// Asks the guest to notify what comes from now on. Returns whether there is something already, of
    /// which no notification comes.
    pub fn listen(&self) -> bool {
        self.work(|state| {
            for index in 0..state.queues.len() {
                if state.queue_to_serve(index).map_or(Ok(false), Queue::wants_more)? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// What the device waited for at its source happened. Returns whether it must be asked again.
    pub fn input(&self) -> bool {
        self.work(|state| state.device.input(&mut state.queues))
    }

    /// What the device waits for beside notifications.
    pub fn source(&self) -> Option<libc::pollfd> {
        let state = self.state();
        if state.queues.is_empty() { None } else { state.device.source() }
    }

    fn work<R: Default>(&self, act: impl FnOnce(&mut State) -> Result<R, Broken>) -> R {
        let mut state = self.state();
        if state.queues.is_empty() {
            return R::default();
        }
        let result = act(&mut state).and_then(|result| {
            let mut interrupt = false;
            for queue in state.queues.iter_mut().flatten() {
                interrupt |= queue.wants_interrupt()?;
            }
            Ok((result, interrupt))
        });
        match result {
            Ok((result, interrupt)) => {
                if interrupt {
                    self.interrupt();
                }
                result
            }
            Err(error) => {
                self.stop(&mut state, error);
                R::default()
            }
        }
    }
}
