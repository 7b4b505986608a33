//! One flow of control: nobody to be kept out.

/// Nothing.
pub struct Critical;

#[inline(always)]
pub fn critical() -> Critical {
    Critical
}

/// A place where a model would switch threads.
#[inline(always)]
pub fn interleave() {}

/// A spin loop goes round once more.
#[inline]
pub fn relax() {
    core::hint::spin_loop();
}
