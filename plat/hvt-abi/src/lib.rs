//! The interface between an image for platform `hvt` and the monitor that runs it, the tender.
//!
//! The guest runs in user mode, in page tables that it can neither read nor write, and needs no
//! interrupt and no privileged instruction. It is told about its machine by the boot information
//! ([`BootInfo`]) and asks for everything else by calls ([`Call`]), which go through a page that each
//! CPU shares with the tender ([`cpu_page`]), and uses virtio [`device`]s. The image says in a note what the tender must know of
//! it ([`ImageNote`]).
//!
//! Everything is made of little-endian 64-bit words; neither side casts memory to structures.
//!
//! ```
//! use hvt_abi::{BootInfo, Range, WORDS_PER_PAGE};
//!
//! let told = BootInfo { tsc_khz: 2_000_000, memory: Range { start: 0x1000, len: 0x8000 }, ..BootInfo::EMPTY };
//! let mut page = [0; WORDS_PER_PAGE];
//! told.write(&mut page);
//! assert_eq!(BootInfo::read(&page), Ok(told));
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod boot;
mod call;
pub mod cpu_page;
pub mod device;
mod note;

pub use boot::{AbiError, BootInfo, Range};
pub use call::{Call, CallError, NEVER, Rights, Stream};
pub use note::{ImageNote, NOTE_HAS_DRIVERS, NOTE_NAME, NOTE_TYPE, NOTE_WORDS, NoteVersion};

/// Version of everything in this crate: images and tenders of different versions do not fit.
pub const VERSION: u64 = 3;

/// Size in bytes of a page.
pub const PAGE: u64 = 4096;
/// Words in a page.
pub const WORDS_PER_PAGE: usize = 512;
/// CPUs that a guest can have at most.
pub const MAX_CPUS: usize = 64;

/// Where images are linked to run. They can run anywhere; crash reports give addresses as if they
/// ran here, and so they do when addresses are not randomised.
pub const LINK_BASE: u64 = 0x5000_0020_0000;
