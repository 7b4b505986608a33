//! A disk that is damaged.

use super::*;

/// A file whose contents cannot be read to their end, on a file system of its own.
pub struct Torn(pub std::sync::atomic::AtomicUsize);

impl vfs::Node for Torn {
    fn kind(&self) -> ukfile::Kind {
        ukfile::Kind::Regular
    }
    fn metadata(&self) -> Result<ukfile::Metadata, Errno> {
        Ok(ukfile::Metadata { size: 1 << 20, ..ukfile::Metadata::default() })
    }
    fn read(&self, at: u64, buffers: &mut [&mut [u8]], _: bool) -> Result<usize, Errno> {
        if at < 65536 { Ok(ukfile::total_mut(buffers)) } else { Err(Errno::EIO) }
    }
}

pub struct TornFs(pub Arc<Torn>);

impl vfs::FileSystem for TornFs {
    fn name(&self) -> &'static str {
        "torn"
    }
    fn root(&self) -> vfs::NodeRef {
        self.0.clone()
    }
    fn statistics(&self) -> Result<vfs::Statistics, Errno> {
        Ok(vfs::Statistics::default())
    }
    fn sync(&self) -> Result<(), Errno> {
        self.0.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }
}
