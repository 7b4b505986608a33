//! Values that applications pass in memory.

use core::fmt::{self, Debug, Write};

use crate::text;

/// Types that applications pass in memory: any bytes are a value, and all bytes belong to it.
/// Structures get it by `#[derive(Plain)]`.
///
/// # Safety
/// Every bit pattern must be valid, and there must be no padding and no reference inside.
pub unsafe trait Plain: Copy + Debug + 'static {
    /// Prints it for `strace`: what is derived prints a structure's fields, without those whose
    /// names begin with `_`.
    ///
    /// # Errors
    /// Those of `out`.
    fn trace(&self, out: &mut dyn Write) -> fmt::Result {
        write!(out, "{self:?}")
    }

    /// Prints an array of them.
    ///
    /// # Errors
    /// Those of `out`.
    fn trace_array(array: &[Self], out: &mut dyn Write) -> fmt::Result {
        text::list(array.iter().copied(), array.len(), out)
    }
}

macro_rules! plain {
    ($($number:ty)*) => {
        // SAFETY: numbers have no padding and no invalid values.
        $(unsafe impl Plain for $number {})*
    };
}

plain!(i8 u16 i16 u32 i32 u64 i64 u128 i128 usize isize f32 f64);

// SAFETY: as above.
unsafe impl Plain for u8 {
    /// A text, which ends where only zero bytes follow.
    fn trace_array(array: &[Self], out: &mut dyn Write) -> fmt::Result {
        let len = array.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        text::bytes(&array[..len], out)
    }
}

// SAFETY: elements of an array follow each other without padding.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {
    fn trace(&self, out: &mut dyn Write) -> fmt::Result {
        T::trace_array(self, out)
    }
}
