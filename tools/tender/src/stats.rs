//! What KVM counts of a CPU: exits, page faults … (Documentation/virt/kvm/api.rst, 4.133
//! `KVM_GET_STATS_FD`), for those who measure.

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::fs::FileExt;

use kvm_ioctls::VcpuFd;

const KVM_GET_STATS_FD: libc::c_ulong = 0xaece;
/// Counters and their names at most.
const MAX: usize = 1024;
const MAX_NAME: usize = 256;
/// Length of the header, and of a descriptor without its name.
const HEADER: usize = 24;
const DESCRIPTOR: usize = 16;

/// The counters of a CPU.
#[derive(Debug)]
pub struct Stats {
    file: File,
    counters: Vec<(String, u64)>,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

impl Stats {
    /// Those of a CPU; `None` where KVM has none.
    pub fn of(cpu: &VcpuFd) -> Option<Self> {
        // SAFETY: the call takes no argument and makes a descriptor.
        let fd = unsafe { libc::ioctl(cpu.as_raw_fd(), KVM_GET_STATS_FD as _, 0) };
        if fd < 0 {
            return None;
        }
        // SAFETY: the descriptor is new and nobody else's.
        let file = unsafe { File::from_raw_fd(fd) };
        let counters = counters(&file)?;
        Some(Self { file, counters })
    }

    /// What is read from.
    pub fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Counters that are not zero.
    pub fn read(&self) -> Vec<(&str, u64)> {
        let value = |at: u64| {
            let mut word = [0; 8];
            self.file.read_exact_at(&mut word, at).map_or(0, |()| u64::from_le_bytes(word))
        };
        let all = self.counters.iter().map(|(name, at)| (name.as_str(), value(*at)));
        all.filter(|(_, value)| *value != 0).collect()
    }
}

/// Names and places of the plain counters in a file of statistics.
fn counters(file: &File) -> Option<Vec<(String, u64)>> {
    let read = |at: u64, len: usize| {
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, at).ok().map(|()| bytes)
    };
    let header = read(0, HEADER)?;
    let word = |index: usize| u32_at(&header, 4 * index);
    let (name_len, count) = (word(1)? as usize, word(2)? as usize);
    let (descriptors, data) = (u64::from(word(4)?), u64::from(word(5)?));
    let len = DESCRIPTOR + name_len.min(MAX_NAME);
    let all = read(descriptors, count.min(MAX) * len)?;
    let counter = |descriptor: &[u8]| {
        let size = u16::from_le_bytes([descriptor[6], descriptor[7]]);
        let name = descriptor[DESCRIPTOR..].split(|byte| *byte == 0).next()?;
        let at = data + u64::from(u32_at(descriptor, 8)?);
        (size == 1).then(|| (String::from_utf8_lossy(name).into_owned(), at))
    };
    Some(all.chunks_exact(len).filter_map(counter).collect())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn counters_are_found_by_name() {
        let mut bytes = Vec::new();
        for word in [0u32, 8, 2, 24, 32, 100] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.resize(32, 0);
        for (size, offset, name) in [(1u16, 8u32, b"exits\0\0\0"), (4, 16, b"times\0\0\0")] {
            bytes.extend([0; 6]);
            bytes.extend(size.to_le_bytes());
            bytes.extend(offset.to_le_bytes());
            bytes.extend([0; 4]);
            bytes.extend(name);
        }
        bytes.resize(108, 0);
        bytes.extend(77u64.to_le_bytes());
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let counters = counters(&file).unwrap();
        assert_eq!(counters, [("exits".to_owned(), 108)]);
        assert_eq!(Stats { file, counters }.read(), [("exits", 77)]);
        assert!(super::counters(&tempfile::tempfile().unwrap()).is_none());
    }
}
