//! Random bytes of the host.

use crate::{start, sys};

/// Auxiliary vector entry with the address of 16 random bytes (getauxval(3)).
const AT_RANDOM: usize = 25;
const AT_RANDOM_LEN: usize = 16;

/// Fills `bytes` by getrandom(2); from the bytes of the process's start where a sandbox forbids that.
/// Returns how many bytes.
pub fn fill(bytes: &mut [u8]) -> usize {
    let mut filled = 0;
    while filled < bytes.len() {
        let rest = &mut bytes[filled..];
        let words = [rest.as_mut_ptr() as usize, rest.len(), 0, 0, 0, 0];
        // SAFETY: the kernel writes into the rest of the buffer.
        match unsafe { sys::call(sys::GETRANDOM, words) } {
            count @ 1.. => filled += count as usize,
            sys::EINTR => {}
            _ => break,
        }
    }
    if filled == 0
        && let Some(place) = start::auxiliary(AT_RANDOM)
    {
        filled = bytes.len().min(AT_RANDOM_LEN);
        // SAFETY: the kernel put 16 bytes there, which stay.
        let given = unsafe { core::slice::from_raw_parts(place as *const u8, filled) };
        bytes[..filled].copy_from_slice(given);
    }
    filled
}
