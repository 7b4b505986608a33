//! A transport in memory: tests of drivers play the device behind it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};

use uklock::{Mutex, MutexGuard};
use ukplat::device::{InterruptHandler, Registers};
use virtio_ring::Rings;
pub use virtio_ring::model::{Chain, Device as QueueModel, Piece};

use crate::{Doorbell, Error, Transport};

/// Bytes of registers of the device.
const CONFIG: usize = 256;

struct Shared {
    kind: u32,
    offered: u64,
    agreed: AtomicU64,
    status: AtomicU8,
    generation: AtomicU32,
    refuses: AtomicU8,
    config: Registers,
    sizes: Vec<u16>,
    bells: &'static [AtomicU64],
    queues: Vec<Mutex<Option<QueueModel>>>,
    handler: Mutex<Option<&'static dyn InterruptHandler>>,
}

/// A device as a test sees it; clones are the same device, one of them the driver's transport.
#[derive(Clone)]
pub struct Model(Arc<Shared>);

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Model of kind {}", self.0.kind)
    }
}

impl Model {
    /// A device of a kind, with features, and queues of these sizes.
    pub fn new(kind: u32, features: u64, sizes: &[u16]) -> Self {
        let words = |count: usize| -> &'static [AtomicU64] {
            Box::leak((0..count).map(|_| AtomicU64::new(0)).collect())
        };
        Self(Arc::new(Shared {
            kind,
            offered: features,
            agreed: AtomicU64::new(0),
            status: AtomicU8::new(0xff),
            generation: AtomicU32::new(0),
            refuses: AtomicU8::new(0),
            config: Registers::over(words(CONFIG / 8)),
            sizes: sizes.to_vec(),
            bells: words(sizes.len()),
            queues: sizes.iter().map(|_| Mutex::new(None)).collect(),
            handler: Mutex::new(None),
        }))
    }

    /// The registers of the device, to be filled by the test.
    pub fn config(&self) -> Registers {
        self.0.config
    }

    /// Features that were agreed on.
    pub fn agreed(&self) -> u64 {
        self.0.agreed.load(Relaxed)
    }

    /// Refuses what the driver wants to use.
    pub fn refuse_features(&self) {
        self.0.refuses.store(1, Relaxed);
    }

    /// The device's side of a queue.
    ///
    /// # Panics
    /// When the driver did not enable the queue.
    pub fn queue(&self, index: usize) -> QueueGuard<'_> {
        let guard = self.0.queues[index].lock();
        assert!(guard.is_some(), "queue {index} is not enabled");
        QueueGuard(guard)
    }

    /// Whether the doorbell of a queue was rung since the last call.
    pub fn was_rung(&self, index: usize) -> bool {
        self.0.bells[index].swap(0, Relaxed) != 0
    }

    /// Interrupts the driver.
    pub fn interrupt(&self) {
        let handler = *self.0.handler.lock();
        if let Some(handler) = handler {
            handler.interrupt();
        }
    }
}

/// The device's side of a queue, while it is used.
pub struct QueueGuard<'a>(MutexGuard<'a, Option<QueueModel>>);

impl core::ops::Deref for QueueGuard<'_> {
    type Target = QueueModel;

    fn deref(&self) -> &QueueModel {
        self.0.as_ref().unwrap_or_else(|| unreachable!("checked when it was made"))
    }
}

impl core::ops::DerefMut for QueueGuard<'_> {
    fn deref_mut(&mut self) -> &mut QueueModel {
        self.0.as_mut().unwrap_or_else(|| unreachable!("checked when it was made"))
    }
}

impl Transport for Model {
    fn kind(&self) -> u32 {
        self.0.kind
    }
    fn place(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("model")
    }
    fn status(&self) -> u8 {
        self.0.status.load(Relaxed)
    }
    fn set_status(&mut self, status: u8) {
        let refuses = self.0.refuses.load(Relaxed) != 0;
        self.0.status.store(if refuses { status & !8 } else { status }, Relaxed);
    }
    fn features(&mut self) -> u64 {
        self.0.offered
    }
    fn set_features(&mut self, features: u64) {
        assert_eq!(features & !self.0.offered, 0, "features that were not offered");
        self.0.agreed.store(features, Relaxed);
    }
    fn config(&self) -> Registers {
        self.0.config
    }
    fn generation(&self) -> u32 {
        self.0.generation.load(Relaxed)
    }
    fn queue_size(&mut self, queue: u16) -> u16 {
        self.0.sizes.get(usize::from(queue)).copied().unwrap_or(0)
    }
    fn listen(&mut self, handler: &'static dyn InterruptHandler) -> bool {
        *self.0.handler.lock() = Some(handler);
        true
    }
    fn enable_queue(&mut self, queue: u16, rings: &Rings) -> Result<Doorbell, Error> {
        let index = usize::from(queue);
        let slot = self.0.queues.get(index).ok_or(Error::NoQueue(queue))?;
        *slot.lock() = Some(QueueModel::new(*rings));
        let register = Registers::over(&self.0.bells[index..=index]);
        // Any number but 0 shows that it was rung.
        Ok(Doorbell { register, value: queue + 1, wide: true })
    }
}
