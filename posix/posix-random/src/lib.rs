//! Random bytes for POSIX programs: getrandom.
//!
//! ```
//! # use posix_random as _;
//! # use syscall_shim::{call, nr};
//! let mut bytes = [0u8; 16];
//! assert_eq!(call!(nr::getrandom, &mut bytes[..], 0), 16);
//! assert_ne!(bytes, [0; 16]);
//! ```
//!
//! The bytes are those of [`ukrandom`]. `/dev/random` and `/dev/urandom` are devices of `devfs`.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use syscall_shim::{Errno, RandomFlags, UserSliceMut, syscall};

const NONBLOCK: u32 = 1;
const RANDOM: u32 = 2;
const INSECURE: u32 = 4;

/// See getrandom(2). The generator is ready when it is first asked; on a machine without any
/// source of entropy, callers that would not wait for one are told (`EAGAIN`).
#[syscall]
fn getrandom(
    mut bytes: UserSliceMut<'_, u8>,
    #[trace(RandomFlags)] flags: u32,
) -> Result<usize, Errno> {
    if flags & !(NONBLOCK | RANDOM | INSECURE) != 0
        || flags & (RANDOM | INSECURE) == RANDOM | INSECURE
    {
        return Err(Errno::EINVAL);
    }
    if flags & NONBLOCK != 0 && flags & INSECURE == 0 && !ukrandom::is_seeded() {
        return Err(Errno::EAGAIN);
    }
    ukrandom::fill(bytes.as_mut_slice());
    Ok(bytes.len())
}

#[cfg(test)]
mod tests {
    use syscall_shim::{Errno, call, nr};

    #[test]
    fn lengths_and_flags() {
        let mut bytes = vec![0u8; 10_000];
        for flags in [0, 1, 2, 3, 4, 5] {
            bytes.fill(0);
            assert_eq!(call!(nr::getrandom, &mut bytes[..], flags), 10_000);
            assert!(bytes.iter().filter(|b| **b == 0).count() < 100);
        }
        assert_eq!(call!(nr::getrandom, &mut bytes[..0], 0), 0);
        for flags in [6, 8, -1] {
            assert_eq!(call!(nr::getrandom, &mut bytes[..], flags), Errno::EINVAL.to_raw());
        }
        assert_eq!(call!(nr::getrandom, 0, 1usize, 0), Errno::EFAULT.to_raw());
    }
}
