//! What the device says of itself.

use ukblkdev::Info;
use ukplat::device::Registers;
use virtio_device::{Device, Error};

/// Bytes of a sector, the unit of addresses whatever the block size.
pub const SECTOR: u64 = 512;

/// Feature bits (virtio 1.2, section 5.2.3).
pub mod feature {
    pub const SIZE_MAX: u64 = 1 << 1;
    pub const SEG_MAX: u64 = 1 << 2;
    pub const READ_ONLY: u64 = 1 << 5;
    pub const BLOCK_SIZE: u64 = 1 << 6;
    pub const FLUSH: u64 = 1 << 9;
    pub const MULTI_QUEUE: u64 = 1 << 12;
    pub const DISCARD: u64 = 1 << 13;
    pub const WRITE_ZEROES: u64 = 1 << 14;
    /// Those that the driver makes use of.
    pub const WANTED: u64 =
        SIZE_MAX | SEG_MAX | READ_ONLY | BLOCK_SIZE | FLUSH | MULTI_QUEUE | DISCARD | WRITE_ZEROES;
}

/// Offsets of the registers (virtio 1.2, section 5.2.4).
mod offset {
    pub const CAPACITY: usize = 0;
    pub const SIZE_MAX: usize = 8;
    pub const SEG_MAX: usize = 12;
    pub const BLOCK_SIZE: usize = 20;
    pub const QUEUES: usize = 34;
    pub const MAX_DISCARD_SECTORS: usize = 36;
    pub const MAX_WRITE_ZEROES_SECTORS: usize = 48;
}

/// Blocks larger than this make no sense.
const MAX_BLOCK: u32 = 64 << 10;
/// Bytes that a request transfers at most, when the device says nothing.
const MAX_BYTES: u32 = 1 << 20;

/// What a device is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// For users, but for queues and depth, which depend on what can be set up.
    pub info: Info,
    /// Segments of data that a request may have.
    pub data_segments: u16,
    /// Queues of the device.
    pub queues: u16,
    /// Sectors that one request may discard, or fill with zeroes.
    pub max_discard: u32,
    pub max_zeroes: u32,
}

impl Config {
    /// Reads and checks the registers.
    pub fn read(device: &Device) -> Result<Self, Error> {
        device.read_config(|registers| Self::of(device, registers))
    }

    fn of(device: &Device, registers: &Registers) -> Result<Self, Error> {
        let field = |feature: u64, read: &dyn Fn() -> u32, default: u32| {
            if device.has(feature) { read() } else { default }
        };
        let number = |at: usize| move || registers.read32(at);
        // Two halves: not every bus can read 64 bits at once.
        let capacity = u64::from(registers.read32(offset::CAPACITY))
            | u64::from(registers.read32(offset::CAPACITY + 4)) << 32;
        let block_size = field(feature::BLOCK_SIZE, &number(offset::BLOCK_SIZE), SECTOR as u32);
        if !block_size.is_power_of_two() || !(SECTOR as u32..=MAX_BLOCK).contains(&block_size) {
            return Err(Error::Config("its block size makes no sense"));
        }
        if capacity > u64::MAX / SECTOR {
            return Err(Error::Config("its capacity makes no sense"));
        }
        let size_max = field(feature::SIZE_MAX, &number(offset::SIZE_MAX), MAX_BYTES);
        let max_bytes = size_max.min(MAX_BYTES) / block_size * block_size;
        if max_bytes == 0 {
            return Err(Error::Config("it takes less than a block at a time"));
        }
        let seg_max = field(feature::SEG_MAX, &number(offset::SEG_MAX), 1);
        let queues = || u32::from(registers.read16(offset::QUEUES));
        let max_discard = field(feature::DISCARD, &number(offset::MAX_DISCARD_SECTORS), 0);
        let max_zeroes = field(feature::WRITE_ZEROES, &number(offset::MAX_WRITE_ZEROES_SECTORS), 0);
        Ok(Self {
            info: Info {
                block_size,
                blocks: capacity * SECTOR / u64::from(block_size),
                read_only: device.has(feature::READ_ONLY),
                has_cache: device.has(feature::FLUSH),
                discards: max_discard > 0,
                writes_zeroes: max_zeroes > 0,
                max_bytes: max_bytes as usize,
                queues: 1,
                depth: 1,
            },
            data_segments: seg_max.clamp(1, 16) as u16,
            queues: field(feature::MULTI_QUEUE, &queues, 1).clamp(1, 1024) as u16,
            max_discard,
            max_zeroes,
        })
    }
}
