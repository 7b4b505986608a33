//! The memory that a queue shares with its device.

use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64};

use ukdma::{Arena, DmaError, Shared};

/// Largest size of a split virtqueue (virtio 1.2, section 2.7).
pub const MAX_SIZE: u16 = 1 << 15;

/// What a queue is to be like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Number of descriptors: a power of two, [`MAX_SIZE`] at most. Other sizes are rounded down.
    pub size: u16,
    /// Segments that a request has at most, at least 1.
    pub max_segments: u16,
    /// The device takes indirect descriptors: a request uses one descriptor, however many segments
    /// it has.
    pub indirect: bool,
    /// Driver and device tell each other by index when they want events.
    pub event_index: bool,
}

/// A descriptor as two words: the address; then length, flags, and index of the next one.
pub(crate) type Descriptor = [AtomicU64; 2];

/// Where a device finds the parts of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The descriptor table.
    pub descriptors: u64,
    /// The ring of requests, written by the driver.
    pub available: u64,
    /// The ring of completions, written by the device.
    pub used: u64,
}

/// The memory of a queue.
#[derive(Clone, Copy, Debug)]
pub struct Rings {
    pub(crate) descriptors: Shared<Descriptor>,
    /// Flags, index, a ring of heads, and the index of the completion that makes an event.
    pub(crate) available: Shared<AtomicU16>,
    /// Flags and index.
    pub(crate) used: Shared<AtomicU16>,
    /// Head and length.
    pub(crate) used_ring: Shared<[AtomicU32; 2]>,
    /// Index of the request that makes an event.
    pub(crate) used_event: Shared<AtomicU16>,
    /// A table for each descriptor.
    pub(crate) indirect: Option<Shared<Descriptor>>,
    pub(crate) config: Config,
}

pub(crate) const FLAG_NEXT: u64 = 1;
pub(crate) const FLAG_WRITE: u64 = 2;
pub(crate) const FLAG_INDIRECT: u64 = 4;
/// In the flags of either ring: no events, please.
pub(crate) const NO_EVENTS: u16 = 1;

/// Flags, index.
pub(crate) const HEAD: usize = 2;

impl Rings {
    pub(crate) fn new(config: Config) -> Result<Self, DmaError> {
        // Rounded down to a power of two.
        let size = config.size.clamp(1, MAX_SIZE);
        let size = 1 << size.ilog2();
        let max_segments = match config.indirect {
            true => config.max_segments.max(1),
            false => config.max_segments.clamp(1, size),
        };
        let config = Config { size, max_segments, ..config };
        let count = usize::from(size);
        let tables = if config.indirect { count * usize::from(max_segments) } else { 0 };
        let bytes = 16 * (count + tables) + 2 * (HEAD + count + 1) + 8 * count + 3 * 2 + 64;
        let mut arena = Arena::new(bytes)?;
        Self::cut(&mut arena, config, tables).ok_or(DmaError::OutOfMemory)
    }

    fn cut(arena: &mut Arena, config: Config, tables: usize) -> Option<Self> {
        let count = usize::from(config.size);
        Some(Self {
            descriptors: arena.take(count, 16)?,
            indirect: match tables {
                0 => None,
                tables => Some(arena.take(tables, 16)?),
            },
            available: arena.take(HEAD + count + 1, 2)?,
            // These three follow each other, as the layout wants it: all are multiples of 4 bytes.
            used: arena.take(HEAD, 4)?,
            used_ring: arena.take(count, 4)?,
            used_event: arena.take(1, 2)?,
            config,
        })
    }

    /// Where the device finds the queue.
    pub fn addresses(&self) -> Addresses {
        Addresses {
            descriptors: self.descriptors.address(),
            available: self.available.address(),
            used: self.used.address(),
        }
    }

    /// What the queue is like.
    pub fn config(&self) -> Config {
        self.config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_that_of_the_specification() {
        for (size, max_segments, indirect) in [(1, 1, false), (8, 3, true), (256, 18, false)] {
            let config = Config { size, max_segments, indirect, event_index: true };
            let rings = Rings::new(config).unwrap();
            let Addresses { descriptors, available, used } = rings.addresses();
            assert_eq!((descriptors % 16, available % 2, used % 4), (0, 0, 0));
            assert_eq!(rings.used_ring.address(), used + 4);
            assert_eq!(rings.used_event.address(), used + 4 + 8 * u64::from(size));
        }
    }

    #[test]
    fn sizes_are_rounded_down() {
        for (asked, got) in [(0, 1), (1, 1), (7, 4), (1024, 1024), (u16::MAX, MAX_SIZE)] {
            let config = Config { size: asked, ..Config::default() };
            assert_eq!(Rings::new(config).unwrap().config().size, got);
        }
    }
}
