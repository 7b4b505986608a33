//! Bytes and lists as `strace` prints them.

use core::fmt::{self, Write};

use crate::Plain;

/// Bytes of a buffer, and elements of a list, that are printed.
pub(crate) const SHOWN: usize = 32;

/// Bytes as a C string literal; `…` when there are more than are shown.
pub(crate) fn bytes(bytes: &[u8], out: &mut dyn Write) -> fmt::Result {
    let shown = &bytes[..bytes.len().min(SHOWN)];
    let more = if bytes.len() > SHOWN { "…" } else { "" };
    write!(out, "\"{}\"{more}", shown.escape_ascii())
}

/// Values in brackets, of which there are `len`; `…` when they are more than are shown.
pub(crate) fn list<T: Plain>(
    values: impl Iterator<Item = T>,
    len: usize,
    out: &mut dyn Write,
) -> fmt::Result {
    out.write_char('[')?;
    for (index, value) in values.take(SHOWN).enumerate() {
        comma(index, out)?;
        value.trace(out)?;
    }
    out.write_str(if len > SHOWN { ", …]" } else { "]" })
}

/// What comes before all but the first.
pub(crate) fn comma(index: usize, out: &mut dyn Write) -> fmt::Result {
    out.write_str(if index > 0 { ", " } else { "" })
}

/// An address.
pub(crate) fn address(address: usize, out: &mut dyn Write) -> fmt::Result {
    if address == 0 { out.write_str("NULL") } else { write!(out, "{address:#x}") }
}
