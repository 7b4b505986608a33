//! Lists of buffers, as `readv` and `writev` take them.

use core::fmt::{self, Write};

use crate::text::{SHOWN, comma};
use crate::{Argument, Errno, Plain, Raw, Traced, UserSlice, WORDS, text};

/// A buffer in a list (`struct iovec`).
#[derive(Clone, Copy, Debug, Plain)]
#[repr(C)]
pub struct IoVec {
    /// Where it is.
    pub base: Raw<u8>,
    /// Its bytes.
    pub len: usize,
}

/// How buffers are printed that a call writes out: `#[trace(FullBuffers)]`.
pub struct FullBuffers<'a>(UserSlice<'a, IoVec>);

/// How buffers are printed that a call fills, with what it has filled: `#[trace(FilledBuffers)]`.
pub struct FilledBuffers<'a>(UserSlice<'a, IoVec>);

/// Of the buffers those bytes that belong to the first `left` of all.
fn trace(
    buffers: &UserSlice<'_, IoVec>,
    mut left: Option<usize>,
    out: &mut dyn Write,
) -> fmt::Result {
    out.write_char('[')?;
    for (index, buffer) in buffers.iter().take(SHOWN).enumerate() {
        comma(index, out)?;
        out.write_char('{')?;
        let filled = left.map(|left| left.min(buffer.len));
        match filled.map(|len| buffer.base.slice(buffers.scope(), len)) {
            Some(Ok(bytes)) => text::bytes(bytes.as_slice(), out)?,
            _ => buffer.base.trace(out)?,
        }
        write!(out, ", {}}}", buffer.len)?;
        left = left.zip(filled).map(|(left, filled)| left - filled);
    }
    let more = if buffers.len() > SHOWN { ", …" } else { "" };
    write!(out, "{more}], {}", buffers.len())
}

macro_rules! buffers {
    ($($name:ident shows $left:expr;)*) => {
        $(impl<'a> Argument<'a> for $name<'a> {
            const WORDS: usize = 2;

            #[inline(always)]
            unsafe fn from_words(words: &[usize; WORDS], at: usize) -> Result<Self, Errno> {
                // SAFETY: the caller's promise.
                unsafe { UserSlice::from_words(words, at) }.map(Self)
            }

            fn trace(&self, call: &Traced<'_>, out: &mut dyn Write) -> fmt::Result {
                let left: fn(&Traced<'_>) -> Option<usize> = $left;
                trace(&self.0, left(call), out)
            }
        })*
    };
}

buffers! {
    FullBuffers shows |_| Some(usize::MAX);
    FilledBuffers shows |call| call.returned();
}
