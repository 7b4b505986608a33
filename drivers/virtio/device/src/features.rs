//! Feature bits that do not belong to one kind of device (virtio 1.2, chapter 6).

/// Requests may be in tables of their own.
pub const RING_INDIRECT: u64 = 1 << 28;
/// Driver and device tell each other by index when they want events.
pub const RING_EVENT_INDEX: u64 = 1 << 29;
/// The device keeps version 1 of the specification, or a later one.
pub const VERSION_1: u64 = 1 << 32;
/// The device sees memory only through an IOMMU.
pub const ACCESS_PLATFORM: u64 = 1 << 33;
