//! Recorded traces: a compact form on disk, and a form to replay.
//!
//! ```text
//! "oxktrace" version:1 | varint number of operations | operations | FNV-1a of all before, 4 bytes
//! ```
//! Numbers are LEB128. An operation starts with `argument << 3 | kind`. Blocks are numbered in the
//! order in which they are made; one is named by how many were made since.
//!
//! | kind | operation | argument | more |
//! |---|---|---|---|
//! | 0 | malloc | size | |
//! | 1 | calloc | size | |
//! | 2 | free | block | |
//! | 3 | realloc | block | varint size |
//! | 4 | memalign | log2 of the alignment | varint size |

use core::fmt;
use std::collections::HashMap;

const MAGIC: &[u8; 8] = b"oxktrace";
const VERSION: u8 = 1;
const HEADER: usize = MAGIC.len() + 1;
const CHECKSUM: usize = 4;
/// Sizes and alignments above are damage, not programs.
const MAX_SIZE: u64 = 1 << 30;
const MAX_ALIGN_BITS: u64 = 20;

/// Why bytes are no trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The start is not that of a trace.
    NoTrace,
    /// The trace is of another version of the format.
    Version(u8),
    /// The checksum does not fit.
    Checksum,
    /// The trace ends in the middle; the number is the operation's.
    Truncated(usize),
    /// A number is longer than any valid one.
    Number(usize),
    /// There is no operation of this kind.
    Kind(usize),
    /// A size or an alignment is out of bounds.
    Size(usize),
    /// A block is used that is not live, or changed in a way that its kind does not allow.
    Block(usize),
    /// Bytes follow the last operation.
    Trailing,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoTrace => f.write_str("not a trace"),
            Error::Version(version) => write!(f, "a trace of version {version}, not {VERSION}"),
            Error::Checksum => f.write_str("damaged trace: the checksum does not fit"),
            Error::Truncated(op) => write!(f, "damaged trace: it ends within operation {op}"),
            Error::Number(op) => write!(f, "damaged trace: operation {op}: number too long"),
            Error::Kind(op) => write!(f, "damaged trace: operation {op}: unknown kind"),
            Error::Size(op) => write!(f, "damaged trace: operation {op}: size out of bounds"),
            Error::Block(op) => write!(f, "damaged trace: operation {op}: no such live block"),
            Error::Trailing => f.write_str("damaged trace: bytes after the last operation"),
        }
    }
}

impl core::error::Error for Error {}

/// A call, with the place of its block in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Malloc { slot: u32, size: u32 },
    Calloc { slot: u32, size: u32 },
    Memalign { slot: u32, size: u32, align: u32 },
    Realloc { slot: u32, size: u32 },
    Free { slot: u32 },
}

/// A valid trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    ops: Vec<Op>,
    slots: usize,
    peak_bytes: usize,
}

struct Reader<'a> {
    bytes: &'a [u8],
    op: usize,
}

impl Reader<'_> {
    fn number(&mut self) -> Result<u64, Error> {
        let mut value = 0;
        for shift in (0..63).step_by(7) {
            let (&byte, rest) = self.bytes.split_first().ok_or(Error::Truncated(self.op))?;
            self.bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                // One form for each number: no needless zeros at the end.
                return if byte == 0 && shift > 0 {
                    Err(Error::Number(self.op))
                } else {
                    Ok(value)
                };
            }
        }
        Err(Error::Number(self.op))
    }

    fn size(&self, size: u64) -> Result<u32, Error> {
        if size > MAX_SIZE { Err(Error::Size(self.op)) } else { Ok(size.max(1) as u32) }
    }
}

/// A block while a trace is read.
#[derive(Clone, Copy)]
struct Live {
    slot: u32,
    aligned: bool,
}

impl Trace {
    /// Reads and checks every byte.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() < HEADER || !bytes.starts_with(MAGIC) {
            return Err(Error::NoTrace);
        }
        if bytes[HEADER - 1] != VERSION {
            return Err(Error::Version(bytes[HEADER - 1]));
        }
        let Some((content, checksum)) =
            bytes.split_last_chunk::<CHECKSUM>().filter(|(content, _)| content.len() > HEADER)
        else {
            return Err(Error::Truncated(0));
        };
        if fnv(content) != u32::from_le_bytes(*checksum) {
            return Err(Error::Checksum);
        }
        let mut reader = Reader { bytes: content.get(HEADER..).ok_or(Error::Truncated(0))?, op: 0 };
        let count = reader.number()?;
        // Every operation takes a byte at least: what is reserved is bounded by what is there.
        if count > reader.bytes.len() as u64 {
            return Err(Error::Truncated(0));
        }
        let mut trace = Self { ops: Vec::with_capacity(count as usize), ..Self::default() };
        let (mut blocks, mut unused) = (Vec::<Option<Live>>::new(), Vec::<u32>::new());
        for op in 0..count as usize {
            reader.op = op;
            let first = reader.number()?;
            let (kind, argument) = (first & 7, first >> 3);
            match kind {
                0 | 1 | 4 => {
                    let size = if kind == 4 { reader.number()? } else { argument };
                    let size = reader.size(size)?;
                    if kind == 4 && argument > MAX_ALIGN_BITS {
                        return Err(Error::Size(op));
                    }
                    let slot = unused.pop().unwrap_or(trace.slots as u32);
                    trace.slots = trace.slots.max(slot as usize + 1);
                    trace.ops.push(match kind {
                        0 => Op::Malloc { slot, size },
                        1 => Op::Calloc { slot, size },
                        _ => Op::Memalign { slot, size, align: 1 << argument },
                    });
                    blocks.push(Some(Live { slot, aligned: kind == 4 }));
                }
                2 | 3 => {
                    let index = usize::try_from(argument)
                        .ok()
                        .and_then(|back| blocks.len().checked_sub(back.checked_add(1)?));
                    let entry = index.and_then(|i| blocks.get_mut(i)).ok_or(Error::Block(op))?;
                    let block = entry.ok_or(Error::Block(op))?;
                    if kind == 2 {
                        trace.ops.push(Op::Free { slot: block.slot });
                        unused.push(block.slot);
                        *entry = None;
                    } else {
                        if block.aligned {
                            return Err(Error::Block(op));
                        }
                        let size = reader.number()?;
                        let size = reader.size(size)?;
                        trace.ops.push(Op::Realloc { slot: block.slot, size });
                    }
                }
                _ => return Err(Error::Kind(op)),
            }
        }
        trace.peak_bytes = trace.peak();
        if reader.bytes.is_empty() { Ok(trace) } else { Err(Error::Trailing) }
    }

    /// Only the first calls.
    pub fn cut(&mut self, calls: usize) {
        self.ops.truncate(calls);
        self.peak_bytes = self.peak();
    }

    fn peak(&self) -> usize {
        let mut sizes = vec![0usize; self.slots];
        let (mut live, mut peak) = (0, 0);
        for op in &self.ops {
            let (slot, size) = match *op {
                Op::Malloc { slot, size }
                | Op::Calloc { slot, size }
                | Op::Memalign { slot, size, .. }
                | Op::Realloc { slot, size } => (slot, size as usize),
                Op::Free { slot } => (slot, 0),
            };
            live = live + size - std::mem::replace(&mut sizes[slot as usize], size);
            peak = peak.max(live);
        }
        peak
    }

    /// The calls.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Size of the table of blocks.
    pub const fn slots(&self) -> usize {
        self.slots
    }

    /// Most bytes asked for and not freed at any time.
    pub const fn peak_bytes(&self) -> usize {
        self.peak_bytes
    }
}

fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// Writes a trace.
#[derive(Debug, Default)]
pub struct Writer {
    content: Vec<u8>,
    count: u64,
    made: u64,
}

impl Writer {
    fn number(bytes: &mut Vec<u8>, mut value: u64) {
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
    }

    fn op(&mut self, kind: u64, argument: u64) {
        Self::number(&mut self.content, argument << 3 | kind);
        self.count += 1;
    }

    /// A new block; returns its number. `kind` and `argument` as in the table of the format.
    fn make(&mut self, kind: u64, argument: u64) -> u64 {
        self.op(kind, argument);
        self.made += 1;
        self.made - 1
    }

    /// `malloc`; returns the block's number.
    pub fn malloc(&mut self, size: u64) -> u64 {
        self.make(0, size)
    }

    /// `calloc`; returns the block's number.
    pub fn calloc(&mut self, size: u64) -> u64 {
        self.make(1, size)
    }

    /// `memalign`; returns the block's number.
    pub fn memalign(&mut self, align: u64, size: u64) -> u64 {
        let block = self.make(4, u64::from(align.max(1).ilog2()));
        Self::number(&mut self.content, size);
        block
    }

    /// `free`.
    pub fn free(&mut self, block: u64) {
        self.op(2, self.made - 1 - block);
    }

    /// `realloc`.
    pub fn realloc(&mut self, block: u64, size: u64) {
        self.op(3, self.made - 1 - block);
        Self::number(&mut self.content, size);
    }

    /// Bytes so far, roughly.
    pub fn len(&self) -> usize {
        self.content.len()
    }

    /// The file.
    pub fn finish(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        Self::number(&mut bytes, self.count);
        bytes.extend(&self.content);
        bytes.extend(fnv(&bytes).to_le_bytes());
        bytes
    }
}

/// Size of a record of the recorder: kind, size or alignment, address, old address or size.
const RECORD: usize = 32;

/// Makes a trace of what the recorder wrote, of the calls from `from` on, up to `limit` bytes.
/// Blocks made before are made first, in their order, when the window uses them.
///
/// # Errors
/// When the recording is cut within a record or has an unknown kind.
pub fn compact(raw: &[u8], from: usize, limit: usize) -> Result<Vec<u8>, Error> {
    if !raw.len().is_multiple_of(RECORD) {
        return Err(Error::Truncated(raw.len() / RECORD));
    }
    let records = raw.chunks_exact(RECORD).map(|record| {
        let word = |i: usize| {
            record[i * 8..].first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        [word(0), word(1), word(2), word(3)]
    });
    let mut writer = Writer::default();
    // Live blocks before the window: address, and (order, size).
    let mut before = HashMap::<u64, (usize, u64)>::new();
    let mut live = HashMap::<u64, u64>::new();
    for (index, [kind, argument, address, extra]) in records.enumerate() {
        if index == from {
            let mut blocks: Vec<_> = before.drain().collect();
            blocks.sort_by_key(|(_, (order, _))| *order);
            for (address, (_, size)) in blocks {
                live.insert(address, writer.malloc(size));
            }
        }
        if index < from {
            match kind {
                0 | 1 => _ = before.insert(address, (index, argument)),
                2 => _ = before.remove(&address),
                3 => {
                    before.remove(&extra);
                    before.insert(address, (index, argument));
                }
                4 => _ = before.insert(address, (index, extra)),
                _ => return Err(Error::Kind(index)),
            }
            continue;
        }
        if writer.len() >= limit {
            break;
        }
        match kind {
            0 => _ = live.insert(address, writer.malloc(argument)),
            1 => _ = live.insert(address, writer.calloc(argument)),
            // Blocks from before the recording are nobody's.
            2 => _ = live.remove(&address).map(|block| writer.free(block)),
            3 => match live.remove(&extra) {
                Some(block) => {
                    writer.realloc(block, argument);
                    live.insert(address, block);
                }
                None => _ = live.insert(address, writer.malloc(argument)),
            },
            4 => _ = live.insert(address, writer.memalign(argument, extra)),
            _ => return Err(Error::Kind(index)),
        }
    }
    Ok(writer.finish())
}

#[cfg(test)]
mod tests;
