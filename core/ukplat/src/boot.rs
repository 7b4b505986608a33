//! What the platform's entry code tells the rest of the system.

use core::fmt;
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::memory::MemoryRegion;

/// Facts known when the platform's entry code has run. They live until the image ends.
#[derive(Debug)]
pub struct BootInfo {
    /// Words of the command line. The first is the name of the image; then come
    /// `library.option=value` words up to `--`, then the application's arguments.
    /// Without `--` all words belong to the application.
    pub words: &'static [&'static str],
    /// Physical memory, sorted, without overlaps.
    pub memory: &'static [MemoryRegion],
    /// The initial ram disk, when there is one.
    pub initrd: Option<&'static [u8]>,
    /// [`crate::ticks`] at the image's first instruction.
    pub entry_ticks: u64,
}

static BOOT_INFO: AtomicPtr<BootInfo> = AtomicPtr::new(core::ptr::null_mut());

impl BootInfo {
    /// Publishes the facts for [`BootInfo::get`]; the boot sequence calls it once.
    pub fn publish(info: &'static BootInfo) {
        BOOT_INFO.store(core::ptr::from_ref(info).cast_mut(), Ordering::Release);
    }

    /// The boot information, once published.
    pub fn get() -> Option<&'static BootInfo> {
        let info = BOOT_INFO.load(Ordering::Acquire);
        // SAFETY: only `publish` stores here, and it takes a `&'static BootInfo`.
        unsafe { info.as_ref() }
    }

    /// Total size in bytes of the memory that is free for allocators.
    pub fn free_memory(&self) -> usize {
        self.memory.iter().filter(|r| r.is_free()).map(|r| r.len).sum()
    }
}

/// Why a boot phase failed. The text is the one-line cause that the user sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitError {
    cause: &'static str,
    detail: Option<(&'static str, &'static str)>,
}

impl InitError {
    /// An error with a fixed text.
    pub const fn new(cause: &'static str) -> Self {
        Self { cause, detail: None }
    }

    /// An error about one word of the command line, with what would have been right.
    pub const fn about(cause: &'static str, subject: &'static str, expected: &'static str) -> Self {
        Self { cause, detail: Some((subject, expected)) }
    }
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.detail {
            None => f.write_str(self.cause),
            Some((subject, expected)) => write!(f, "{} `{subject}`: {expected}", self.cause),
        }
    }
}

impl core::error::Error for InitError {}
