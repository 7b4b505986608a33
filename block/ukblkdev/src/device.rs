//! What a driver implements.

use ukdma::Buffer;
use uklock::EventCount;

use crate::BlockError;

/// What a device is like. Nothing of it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Bytes of a block, a power of two and at least 512: what requests are made of.
    pub block_size: u32,
    /// Number of blocks.
    pub blocks: u64,
    /// Whether writing fails.
    pub read_only: bool,
    /// Whether what was written may be lost, until a flush, when the machine loses power.
    pub has_cache: bool,
    /// Whether blocks can be [discarded](Operation::Discard).
    pub discards: bool,
    /// Whether blocks can be [zeroed](Operation::WriteZeroes) without sending zeroes.
    pub writes_zeroes: bool,
    /// Bytes that one request transfers at most; a multiple of the block size.
    pub max_bytes: usize,
    /// Queues, at least 1, that can be used at the same time.
    pub queues: usize,
    /// Requests that a queue takes at a time, at least 1.
    pub depth: usize,
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Fills the buffer from blocks.
    Read,
    /// Writes the buffer to blocks. Done means that readers see it; to survive a loss of power it
    /// needs a flush.
    Write,
    /// Makes what was written before this request was started survive a loss of power.
    Flush,
    /// Says that the content of that many blocks does not matter any more.
    Discard(u64),
    /// Fills that many blocks with zeroes.
    WriteZeroes(u64),
}

/// A request.
#[derive(Debug)]
pub struct Request {
    /// What to do.
    pub operation: Operation,
    /// First block.
    pub block: u64,
    /// What is written, or where it is read to; for the other operations it is only kept.
    pub buffer: Buffer,
    /// A number of the one who asks, to know the request by when it is done.
    pub tag: usize,
}

/// A request that is done.
#[derive(Debug)]
pub struct Done {
    /// The request's number.
    pub tag: usize,
    /// The request's buffer; without bytes when the device [broke](BlockError::Broken), which may
    /// still write to it.
    pub buffer: Buffer,
    /// How it went.
    pub result: Result<(), BlockError>,
}

/// A request that was not taken.
#[derive(Debug)]
pub struct Refused {
    /// The request.
    pub request: Request,
    /// Why.
    pub error: BlockError,
}

/// A block device, as its driver gives it. Who uses one takes a [`Disk`](crate::Disk).
pub trait BlockDevice: Send + Sync {
    /// What it is like.
    fn info(&self) -> &Info;

    /// Takes a request into a queue. The device need not begin before [`kick`](Self::kick).
    /// Requests of a queue may be done in any order.
    ///
    /// # Errors
    /// The request with the reason; [`BlockError::Busy`] when the queue is full.
    fn submit(&self, queue: usize, request: Request) -> Result<(), Refused>;

    /// Makes the device begin with what was submitted.
    fn kick(&self, queue: usize);

    /// A request that is done, if there is one.
    fn poll(&self, queue: usize) -> Option<Done>;

    /// Counts whenever a request may be done, on queues that are [armed](Self::arm). `None` when
    /// the device cannot tell: then somebody must look.
    fn events(&self) -> Option<&'static EventCount> {
        None
    }

    /// Makes the next completion of a queue an event. Returns whether there may be one already, for
    /// which no event comes.
    fn arm(&self, queue: usize) -> bool {
        let _ = queue;
        true
    }
}

impl Info {
    /// Number of blocks that a request is about.
    pub fn blocks_of(&self, operation: Operation, bytes: usize) -> u64 {
        match operation {
            Operation::Read | Operation::Write => bytes as u64 / u64::from(self.block_size),
            Operation::Flush => 0,
            Operation::Discard(blocks) | Operation::WriteZeroes(blocks) => blocks,
        }
    }

    /// Whether the device can be asked for this.
    ///
    /// # Errors
    /// [`BlockError::BadLength`], [`BlockError::OutOfRange`], [`BlockError::ReadOnly`],
    /// [`BlockError::Unsupported`].
    pub fn check(&self, operation: Operation, block: u64, bytes: usize) -> Result<(), BlockError> {
        let writes = match operation {
            Operation::Read | Operation::Write => {
                if bytes == 0
                    || !bytes.is_multiple_of(self.block_size as usize)
                    || bytes > self.max_bytes
                {
                    return Err(BlockError::BadLength);
                }
                operation == Operation::Write
            }
            Operation::Flush => return Ok(()),
            Operation::Discard(_) if !self.discards => return Err(BlockError::Unsupported),
            Operation::WriteZeroes(_) if !self.writes_zeroes => {
                return Err(BlockError::Unsupported);
            }
            Operation::Discard(_) | Operation::WriteZeroes(_) => true,
        };
        let end = block.checked_add(self.blocks_of(operation, bytes));
        if end.is_none_or(|end| end > self.blocks) {
            return Err(BlockError::OutOfRange);
        }
        if writes && self.read_only { Err(BlockError::ReadOnly) } else { Ok(()) }
    }
}
