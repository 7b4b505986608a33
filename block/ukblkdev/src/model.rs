//! A disk in memory, for tests: it does requests in any order, loses what was not flushed when told
//! to, and fails on demand.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use uklock::Mutex;

use crate::{BlockDevice, BlockError, Done, Info, Operation, Refused, Request};

/// The disk. Clones are the same disk: one for the registry, one for the test.
#[derive(Clone, Debug)]
pub struct Memory {
    info: Info,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// What readers see.
    bytes: Vec<u8>,
    /// What survives a loss of power.
    stable: Vec<u8>,
    waiting: VecDeque<Request>,
    done: Vec<Done>,
    bad: BTreeSet<u64>,
    writes: usize,
    flushes: usize,
}

impl Memory {
    /// A disk of `blocks` zeroed blocks.
    pub fn new(block_size: u32, blocks: u64) -> Self {
        let bytes = vec![0; block_size as usize * blocks as usize];
        let info = Info {
            block_size,
            blocks,
            read_only: false,
            has_cache: true,
            discards: false,
            writes_zeroes: true,
            max_bytes: 8 * block_size as usize,
            queues: 1,
            depth: 4,
        };
        let state = State {
            stable: bytes.clone(),
            bytes,
            waiting: VecDeque::new(),
            done: Vec::new(),
            bad: BTreeSet::new(),
            writes: 0,
            flushes: 0,
        };
        Self { info, state: Arc::new(Mutex::new(state)) }
    }

    /// Makes it read-only.
    pub fn read_only(mut self) -> Self {
        self.info.read_only = true;
        self
    }

    /// Makes requests for a block fail.
    pub fn break_block(&self, block: u64) {
        self.state.lock().bad.insert(block);
    }

    /// What readers see.
    pub fn content(&self) -> Vec<u8> {
        self.state.lock().bytes.clone()
    }

    /// Loses what was not flushed.
    pub fn lose_power(&self) {
        let mut state = self.state.lock();
        state.bytes = state.stable.clone();
    }

    /// Number of writes and of flushes that were done.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.writes, state.flushes)
    }
}

impl State {
    fn serve(&mut self, info: &Info, mut request: Request) -> Done {
        let blocks = info.blocks_of(request.operation, request.buffer.len());
        let range = request.block..request.block + blocks;
        let bytes = range.start as usize * info.block_size as usize
            ..range.end as usize * info.block_size as usize;
        let mut result = Ok(());
        if self.bad.range(range).next().is_some() {
            result = Err(BlockError::Io);
        } else {
            match request.operation {
                Operation::Read => request.buffer.copy_from_slice(&self.bytes[bytes]),
                Operation::Write => {
                    self.bytes[bytes].copy_from_slice(&request.buffer);
                    self.writes += 1;
                }
                Operation::Flush => {
                    self.stable.clone_from(&self.bytes);
                    self.flushes += 1;
                }
                Operation::Discard(_) => {}
                Operation::WriteZeroes(_) => self.bytes[bytes].fill(0),
            }
        }
        Done { tag: request.tag, buffer: request.buffer, result }
    }
}

impl BlockDevice for Memory {
    fn info(&self) -> &Info {
        &self.info
    }

    fn submit(&self, _queue: usize, request: Request) -> Result<(), Refused> {
        let check = self.info.check(request.operation, request.block, request.buffer.len());
        if let Err(error) = check {
            return Err(Refused { request, error });
        }
        let mut state = self.state.lock();
        if state.waiting.len() + state.done.len() >= self.info.depth {
            return Err(Refused { request, error: BlockError::Busy });
        }
        state.waiting.push_back(request);
        Ok(())
    }

    fn kick(&self, _queue: usize) {
        let mut state = self.state.lock();
        while let Some(request) = state.waiting.pop_front() {
            let done = state.serve(&self.info, request);
            state.done.push(done);
        }
    }

    fn poll(&self, _queue: usize) -> Option<Done> {
        // The last first: out of order.
        self.state.lock().done.pop()
    }
}
