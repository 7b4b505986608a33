//! Disks that are written to: each by one file system.

use alloc::vec::Vec;

use ukblkdev::{BlockError, Disk};
use ukerrno::Errno;
use ukfile::fallible;
use uklock::Mutex;

use crate::cache::Source;

/// Names of disks that are mounted for writing.
static CLAIMED: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

/// A disk that nobody else mounts for writing as long as this is there.
pub struct Claim(&'static Disk);

impl Claim {
    /// # Errors
    /// `EBUSY` when somebody has it; `ENOMEM`
    pub fn new(disk: &'static Disk) -> Result<Self, Errno> {
        let mut claimed = CLAIMED.lock();
        if claimed.contains(&disk.name()) {
            return Err(Errno::EBUSY);
        }
        fallible::push(&mut claimed, disk.name())?;
        Ok(Self(disk))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        CLAIMED.lock().retain(|name| *name != self.0.name());
    }
}

impl Source for Claim {
    fn bytes(&self) -> u64 {
        Source::bytes(&self.0)
    }

    fn block_size(&self) -> u32 {
        Source::block_size(&self.0)
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Result<(), BlockError> {
        Source::read(&self.0, at, into)
    }

    fn is_read_only(&self) -> bool {
        Source::is_read_only(&self.0)
    }

    fn write(&self, at: u64, bytes: &[u8]) -> Result<(), BlockError> {
        Source::write(&self.0, at, bytes)
    }

    fn write_blocks(
        &self,
        blocks: &mut dyn Iterator<Item = (u64, &[u8])>,
    ) -> Result<(), BlockError> {
        Source::write_blocks(&self.0, blocks)
    }

    fn flush(&self) -> Result<(), BlockError> {
        Source::flush(&self.0)
    }
}
