//! The x86-64 architecture.
#![cfg_attr(not(test), no_std)]

pub mod backtrace;
pub mod mem;
