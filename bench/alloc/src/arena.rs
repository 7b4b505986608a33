//! Memory from the system.

use core::ptr::null_mut;

/// A private mapping, page-aligned, given back at the end.
#[derive(Debug)]
pub struct Arena {
    base: *mut u8,
    len: usize,
}

impl Arena {
    /// Memory in which every page was touched, so that no page fault is measured.
    ///
    /// # Errors
    /// When the system has none.
    pub fn warm(len: usize) -> Result<Self, String> {
        let arena = Self::map(len)?;
        // SAFETY: the mapping is writable and ours.
        unsafe { arena.base.write_bytes(0, len) };
        Ok(arena)
    }

    /// Memory that nobody touched, in pages of the least size: what a heap gets at boot.
    ///
    /// # Errors
    /// When the system has none.
    pub fn cold(len: usize) -> Result<Self, String> {
        let arena = Self::map(len)?;
        // SAFETY: advice about our own mapping.
        unsafe { libc::madvise(arena.base.cast(), len, libc::MADV_NOHUGEPAGE) };
        Ok(arena)
    }

    fn map(len: usize) -> Result<Self, String> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping, at a place that the system chooses.
        let base = unsafe { libc::mmap(null_mut(), len, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(format!("no {len} bytes of memory: {}", std::io::Error::last_os_error()));
        }
        Ok(Self { base: base.cast(), len })
    }

    /// Where it starts.
    pub const fn base(&self) -> *mut u8 {
        self.base
    }

    /// Its size in bytes.
    pub const fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: our own mapping; allocators on it are gone.
        unsafe { libc::munmap(self.base.cast(), self.len) };
    }
}

/// Memory of this process that is in RAM, in bytes; what the system counts in pages.
pub fn resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(text.split_whitespace().nth(1)?.parse::<usize>().ok()? * 4096)
}
