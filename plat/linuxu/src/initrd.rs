//! The initial ram disk: a file of the host.

use core::mem::MaybeUninit;

use crate::sys;

/// `PATH_MAX` of Linux.
const PATH_MAX: usize = 4096;
// `S_IFMT`, `S_IFREG`
const FILE_TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const CANNOT_READ: &str = "cannot read the initial ram disk: linuxu.initrd must name a file";

/// `struct stat` of 64-bit Linux, as far as it is used.
#[repr(C)]
struct Stat {
    before: [u64; 3],
    mode: u32,
    between: [u32; 5],
    size: i64,
    after: [u64; 11],
}

/// The content of a file of the host, mapped for as long as the process lives.
///
/// # Errors
/// What to tell the user.
pub fn map(path: &str) -> Result<&'static [u8], &'static str> {
    const PROT_READ: usize = 1;
    const MAP_PRIVATE: usize = 2;
    let mut name = [0u8; PATH_MAX];
    // One byte stays zero, as the end.
    if path.len() >= name.len() || path.contains('\0') {
        return Err(CANNOT_READ);
    }
    name[..path.len()].copy_from_slice(path.as_bytes());
    // SAFETY: the name ends with a zero byte and lives during the call. O_RDONLY | O_CLOEXEC
    let fd = unsafe { sys::call(sys::OPEN, [name.as_ptr() as usize, 0o2000000, 0, 0, 0, 0]) };
    let fd = usize::try_from(fd).map_err(|_| CANNOT_READ)?;
    let mut stat = MaybeUninit::<Stat>::uninit();
    // SAFETY: the kernel writes one `struct stat`, whose size is that of `Stat`.
    let told = unsafe { sys::call(sys::FSTAT, [fd, stat.as_mut_ptr() as usize, 0, 0, 0, 0]) };
    if told != 0 {
        return Err(CANNOT_READ);
    }
    // SAFETY: the call succeeded and wrote all of it.
    let stat = unsafe { stat.assume_init_ref() };
    if stat.mode & FILE_TYPE != REGULAR {
        return Err(CANNOT_READ);
    }
    let len = usize::try_from(stat.size).map_err(|_| CANNOT_READ)?;
    let bytes = match len {
        0 => &[],
        _ => {
            // SAFETY: without an address hint the kernel takes unused address space.
            let at = unsafe { sys::call(sys::MMAP, [0, len, PROT_READ, MAP_PRIVATE, fd, 0]) };
            if at <= 0 {
                return Err(CANNOT_READ);
            }
            // SAFETY: the mapping has that many bytes and is never removed. Who shortens the file
            // while the image runs ends it, as with any program that the kernel maps.
            unsafe { core::slice::from_raw_parts(at as *const u8, len) }
        }
    };
    // SAFETY: no pointers; the mapping stays.
    unsafe { sys::call(sys::CLOSE, [fd, 0, 0, 0, 0, 0]) };
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_host() {
        assert_eq!(size_of::<Stat>(), 144);
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/src/initrd.rs");
        assert_eq!(map(own), Ok(include_bytes!("initrd.rs").as_slice()));
        for wrong in ["/none/there", "/proc", "/dev/null", "", "a\0b", &"x".repeat(5000)] {
            assert_eq!(map(wrong), Err(CANNOT_READ), "{wrong}");
        }
        let empty = std::env::temp_dir().join(format!("oxikraft-empty-{}", std::process::id()));
        std::fs::write(&empty, "").unwrap();
        assert_eq!(map(empty.to_str().unwrap()), Ok([].as_slice()));
        std::fs::remove_file(empty).unwrap();
    }
}
