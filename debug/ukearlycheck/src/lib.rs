//! Takes memory during boot and gives it back later: with an allocator in two stages, blocks of the
//! early one live on when the main one serves.
//!
//! A thread is started as early as possible; stack and data are from the early stage. [`check`]
//! wakes it; it lets its data grow, which moves it to the main stage, and frees what it has.
//!
//! ```no_run
//! ukearlycheck::check()?;
//! # Ok::<(), &'static str>(())
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};

use ukplat::{BootInfo, InitError};
use uksched::Builder;

const NAME: &str = "earlycheck";
const STACK: usize = 16 << 10;

static GO: AtomicBool = AtomicBool::new(false);
static STATE: AtomicU8 = AtomicU8::new(WAITING);

const WAITING: u8 = 0;
const GOOD: u8 = 1;
const BAD: u8 = 2;
const IN_PLACE: u8 = 3;

/// Boot phase `earlycheck`: takes memory.
///
/// # Errors
/// There is none.
pub fn init(_boot: &'static BootInfo) -> Result<(), InitError> {
    let data: Vec<u64> = (0..100).collect();
    let other = Box::new([7u8; 200]);
    let thread = Builder::new(NAME).stack_size(STACK).spawn(move || work(data, other));
    thread.map(drop).map_err(|_| InitError::new("there is no memory for the early check"))
}

fn work(mut data: Vec<u64>, other: Box<[u8; 200]>) {
    while !GO.load(Relaxed) {
        uksched::park(None);
    }
    let early = data.as_ptr().addr();
    data.extend(100..10_000);
    let intact = data.iter().copied().eq(0..10_000) && *other == [7; 200];
    let state = match (intact, data.as_ptr().addr() == early) {
        (false, _) => BAD,
        (true, true) => IN_PLACE,
        (true, false) => GOOD,
    };
    drop((data, other));
    STATE.store(state, Relaxed);
}

/// Lets the thread finish. To be called once.
///
/// # Errors
/// What went wrong.
pub fn check() -> Result<(), &'static str> {
    GO.store(true, Relaxed);
    let thread = uksched::threads().find(|thread| thread.name().as_str() == NAME);
    thread.ok_or("the thread of the early check is gone")?.unpark();
    loop {
        match STATE.load(Relaxed) {
            WAITING => uksched::yield_now(),
            GOOD => return Ok(()),
            IN_PLACE => return Err("a block of the early stage grew where it was"),
            _ => return Err("a block of the early stage changed"),
        }
    }
}
