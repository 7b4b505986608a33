//! Where everything of a guest lies: in its physical memory and at the addresses that it sees.
//!
//! Physical memory starts at 0, with a hole from 3 to 4 GiB, in which lie the tender's own tables
//! and the doorbell. From 0 upwards come the image, pages that tender and guest share, stacks, the
//! initial ram disk; the rest is for heaps.

use hvt_abi::{LINK_BASE, PAGE, Range};

use crate::elf::{Image, SegmentRights};
use crate::error::Error;
use crate::size;

/// Start of the hole in physical memory.
pub const HOLE: u64 = 3 << 30;
/// End of the hole.
pub const HOLE_END: u64 = 4 << 30;
/// Physical address of the tender's tables.
pub const SYSTEM: u64 = HOLE;
/// Physical address of the doorbell, where there is no memory.
pub const DOORBELL: u64 = HOLE_END - (64 << 20);
/// Physical address of the registers of devices, a page for each.
pub const DEVICE_REGISTERS: u64 = DOORBELL + PAGE;
/// Memory of a guest at most.
pub const MAX_MEMORY: u64 = 1 << 40;
/// Addresses for aliases, as on the other platforms.
pub const WINDOW: Range = Range { start: 0x1000_0000_0000, len: 0x4000_0000_0000 };

/// Images lie in one of the GiB from here on …
const IMAGES: u64 = 0x5000_0000_0000;
/// … in its first quarter; what tender and guest share, and stacks, lie in the third.
const SHARED: u64 = 512 << 20;
const QUARTER: u64 = 256 << 20;
const GIB: u64 = 1 << 30;
/// Number of these GiB.
const IMAGE_PLACES: u64 = 0x2000_0000_0000 / GIB;
/// Memory for heaps lies from here on …
const HEAPS: u64 = 0x0100_0000_0000;
/// … at one of so many multiples of 2 MiB.
const HEAP_PLACES: u64 = (0x0e00_0000_0000 - MAX_MEMORY) / LARGE_PAGE;
/// Memory is mapped in pages of this size where it can be.
pub const LARGE_PAGE: u64 = 2 << 20;

/// What is used at once lies in so many bytes that begin at a multiple of them: a KVM that shadows page
/// tables reaches eight entries of a table with one fault, up to the first that is empty.
pub const CLUSTER: u64 = 8 * PAGE;

/// Usable bytes of the stack on which a CPU reports faults.
pub const FAULT_STACK: u64 = 16 << 10;
/// Size of a stack at most.
const MAX_STACK: u64 = 1 << 30;

/// What the guest may do with memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Read,
    /// Reading and running.
    Execute,
    /// Reading and writing; the guest may ask for less, and for this again.
    Write,
    /// Reading and writing, for ever.
    Fixed,
}

/// Memory at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Address that the guest sees.
    pub address: u64,
    /// Address in its physical memory.
    pub physical: u64,
    /// Length, whole pages.
    pub len: u64,
    /// Access.
    pub access: Access,
}

impl Piece {
    /// Whether the guest may change the rights of this range, and where it is in memory.
    pub fn changeable(&self, address: u64, len: u64) -> Option<u64> {
        let range = Range { start: self.address, len: self.len };
        let inside = self.access == Access::Write && range.contains(address, len);
        inside.then(|| self.physical + (address - self.address))
    }

    fn range(&self) -> Range {
        Range { start: self.address, len: self.len }
    }
}

/// A part of a range of addresses, in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Address that the guest sees.
    pub address: u64,
    /// Address in its physical memory.
    pub physical: u64,
    /// Length.
    pub len: u64,
}

/// The parts of a range, by pieces that follow each other, as those of a heap do around the hole in
/// physical memory; `None` unless the guest may change the rights of all of it.
pub fn changeable<'a, I: Iterator<Item = &'a Piece>>(
    pieces: impl Fn() -> I,
    address: u64,
    len: u64,
) -> Option<Vec<Part>> {
    let end = address.checked_add(len)?;
    let mut parts = Vec::new();
    let mut at = address;
    while at < end {
        let piece = pieces().find(|piece| piece.changeable(at, 1).is_some())?;
        let len = piece.range().end().min(end) - at;
        parts.push(Part { address: at, physical: piece.changeable(at, len)?, len });
        at += len;
    }
    Some(parts)
}

/// What a layout is made for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The image.
    pub image: &'a Image,
    /// Bytes of memory.
    pub memory: u64,
    /// Number of CPUs.
    pub cpus: u64,
    /// Bytes of the boot information with the command line.
    pub boot: u64,
    /// Number of devices.
    pub devices: u64,
    /// Bytes of the initial ram disk.
    pub initrd: u64,
    /// Random numbers for addresses; `None` for fixed ones.
    pub random: Option<[u64; 4]>,
}

/// Where everything lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// From addresses as linked to addresses of the guest, wrapping around.
    pub bias: u64,
    /// The image's segments, in their order.
    pub segments: Vec<Piece>,
    /// Boot information and command line.
    pub boot: Piece,
    /// Pages of the CPUs.
    pub cpu_pages: Piece,
    /// Address of the doorbell.
    pub doorbell: u64,
    /// Fault stacks, one for each CPU, each above a page that is not mapped.
    pub fault_stacks: Vec<Piece>,
    /// The memory of devices, a page for each; behind each the page of its registers.
    pub devices: Vec<Piece>,
    /// The stack to start on.
    pub stack: Piece,
    /// The initial ram disk.
    pub initrd: Option<Piece>,
    /// Memory for heaps: below the hole, and above it in one range of addresses.
    pub heap: Vec<Piece>,
}

impl Layout {
    /// Places everything.
    ///
    /// # Errors
    /// [`Error::TooSmall`], [`Error::TooLarge`].
    pub fn new(wanted: &Wanted<'_>) -> Result<Self, Error> {
        let Wanted { image, memory, cpus, .. } = *wanted;
        if memory > MAX_MEMORY || wanted.initrd > MAX_MEMORY || image.note.stack > MAX_STACK {
            return Err(Error::TooLarge(size::format(memory.max(image.note.stack))));
        }
        let random = wanted.random.unwrap_or_default();
        let (link, span) = image.span();
        if span > QUARTER {
            return Err(Error::TooLarge(size::format(span)));
        }
        let gib = IMAGES + (random[0] % IMAGE_PLACES) * GIB;
        let place = |random: u64, room: u64| random % (room / PAGE) * PAGE;
        let start = match wanted.random {
            Some(_) => gib + place(random[1], QUARTER - span + PAGE) / CLUSTER * CLUSTER,
            None => link.max(LINK_BASE),
        };
        let bias = start.wrapping_sub(link);

        // From 0 upwards in memory, and upwards from `next` in addresses.
        let mut physical = 0u64;
        let mut take = |len: u64| {
            let at = physical;
            physical += len.next_multiple_of(PAGE);
            at
        };
        let segments = image.segments.iter().map(|segment| Piece {
            address: segment.start.wrapping_add(bias),
            physical: take(segment.len),
            len: segment.len,
            access: match segment.rights {
                SegmentRights::Read => Access::Read,
                SegmentRights::Execute => Access::Execute,
                SegmentRights::Write => Access::Write,
            },
        });
        let segments: Vec<Piece> = segments.collect();
        let pages = |len: u64| len.next_multiple_of(PAGE);
        let up_to_cluster = |len: u64| len.next_multiple_of(CLUSTER) - len;
        let initrd_len = pages(wanted.initrd);
        let (boot_len, cpus_len, devices_len) =
            (pages(wanted.boot), cpus * PAGE, wanted.devices * PAGE);
        // The stack gets what is left before the first cluster of the heap.
        let stack_len = pages(image.note.stack.max(PAGE));
        let image_len: u64 = segments.iter().map(|piece| piece.len).sum();
        let own_len = boot_len + cpus_len + cpus * FAULT_STACK + devices_len;
        let stack_len = stack_len + up_to_cluster(image_len + stack_len + own_len + initrd_len);
        // The end of the stack, boot information and pages of CPUs are the end of a cluster.
        let up_to_end = cpus * (PAGE + FAULT_STACK) + PAGE + stack_len + boot_len + cpus_len;
        let mut next =
            gib + SHARED + place(random[2], QUARTER) / CLUSTER * CLUSTER + up_to_cluster(up_to_end);
        // Behind so many bytes that are not mapped.
        let mut piece = |gap: u64, len: u64, access: Access| {
            let address = next + gap;
            next = address + len;
            Piece { address, physical: take(len), len, access }
        };
        let fault_stacks = (0..cpus).map(|_| piece(PAGE, FAULT_STACK, Access::Fixed)).collect();
        let stack = piece(PAGE, stack_len, Access::Fixed);
        let boot = piece(0, boot_len, Access::Fixed);
        let cpu_pages = piece(0, cpus_len, Access::Fixed);
        // The page between two of these is for registers.
        let devices = (0..wanted.devices).map(|_| piece(PAGE, PAGE, Access::Fixed)).collect();
        let doorbell = next + PAGE;

        let heap_at = HEAPS + (random[3] % HEAP_PLACES) * LARGE_PAGE;
        let initrd_at = take(initrd_len);
        // One page at least is left for heaps.
        let used = physical;
        let needed = used + PAGE;
        let memory = memory / PAGE * PAGE;
        if memory < needed {
            return Err(Error::TooSmall {
                given: size::format(wanted.memory),
                needed: size::format(needed),
            });
        }
        // Everything but the heap must lie below the hole.
        if used > HOLE {
            return Err(Error::TooLarge(size::format(used)));
        }
        let low = memory.min(HOLE);
        // Address and physical address agree in their position in a large page.
        let above = |physical: u64, len: u64, base: u64| Piece {
            address: base + physical,
            physical,
            len,
            access: Access::Write,
        };
        let mut heap = vec![above(used, low - used, heap_at)];
        heap.retain(|piece| piece.len > 0);
        if memory > low {
            heap.push(above(HOLE_END, memory - low, heap_at + low - HOLE_END));
        }
        let initrd = (initrd_len > 0).then_some(Piece {
            address: heap_at + initrd_at,
            physical: initrd_at,
            len: initrd_len,
            access: Access::Read,
        });
        Ok(Self {
            bias,
            segments,
            boot,
            cpu_pages,
            doorbell,
            fault_stacks,
            devices,
            stack,
            initrd,
            heap,
        })
    }

    /// Everything that is memory.
    pub fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.segments
            .iter()
            .chain([&self.boot, &self.cpu_pages, &self.stack])
            .chain(&self.fault_stacks)
            .chain(&self.devices)
            .chain(&self.initrd)
            .chain(&self.heap)
    }

    /// Address and physical address of the registers of each device.
    pub fn device_registers(&self) -> impl Iterator<Item = (u64, u64)> {
        let physical = (DEVICE_REGISTERS..).step_by(PAGE as usize);
        self.devices.iter().map(|piece| piece.address + PAGE).zip(physical)
    }

    /// All devices as one range of addresses.
    pub fn device_range(&self) -> Range {
        let start = self.devices.first().map_or(0, |piece| piece.address);
        Range { start, len: self.devices.len() as u64 * hvt_abi::device::LEN }
    }

    /// All memory for heaps as one range of addresses.
    pub fn heap_range(&self) -> Range {
        let start = self.heap.first().map_or(0, |piece| piece.address);
        Range { start, len: self.heap.iter().map(|piece| piece.len).sum() }
    }

    /// The stack, fault stack or segment's range that an address belongs to.
    pub fn stack_of(&self, address: u64) -> Option<Range> {
        let mut stacks = std::iter::once(&self.stack).chain(&self.fault_stacks).chain(&self.heap);
        stacks.find(|piece| piece.range().contains(address, 1)).map(Piece::range)
    }

    /// Physical memory that the tables of the tender take at most, for this much memory: enough to
    /// give every page rights of its own, and as much again for aliases.
    pub fn table_memory(memory: u64) -> u64 {
        let tables = memory / 512 * 4 + (4 << 20);
        tables.next_multiple_of(LARGE_PAGE).min(DOORBELL - SYSTEM - LARGE_PAGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_change_across_the_hole_and_nowhere_else() {
        let piece = |address, physical, len, access| Piece { address, physical, len, access };
        let pieces = [
            piece(0x1000, 0x8000, 0x1000, Access::Fixed),
            piece(0x2000, HOLE - 0x2000, 0x2000, Access::Write),
            piece(0x4000, HOLE_END, 0x3000, Access::Write),
            piece(0x9000, 0, 0x1000, Access::Write),
        ];
        let parts = |address, len| changeable(|| pieces.iter(), address, len);
        let part = |address, physical, len| Part { address, physical, len };
        assert_eq!(parts(0x2000, 0x1000), Some(vec![part(0x2000, HOLE - 0x2000, 0x1000)]));
        assert_eq!(
            parts(0x3000, 0x3000),
            Some(vec![part(0x3000, HOLE - 0x1000, 0x1000), part(0x4000, HOLE_END, 0x2000)])
        );
        // What is fixed, behind the end, in a gap, and around the end of all addresses.
        for (address, len) in [
            (0x1000, 0x1000),
            (0x1000, 0x2000),
            (0x6000, 0x2000),
            (0x8000, 0x1000),
            (!0xfff, 0x2000),
        ] {
            assert_eq!(parts(address, len), None, "{address:#x}");
        }
    }
}
